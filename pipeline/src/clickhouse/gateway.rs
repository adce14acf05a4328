//! Answers that are not ClickHouse's, sorted by what to do about them.

use super::ErrorKind;

/// Most characters of an answer that are told.
const MAX_ANSWER_CHARS: usize = 200;

/// HTTP statuses that do not pass, each with the words that some send in place of a number. All
/// others may: a gateway gives 502, 503 and 504 while what is behind it is away, 408 and 429 when it
/// is busy, and what is not known is taken for that.
const STATUSES: &[(u16, ErrorKind, &[&str])] = &[
    // It sends elsewhere, and an insert's body is not sent twice.
    (301, ErrorKind::Configuration, &["moved permanently"]),
    (302, ErrorKind::Configuration, &[]),
    (307, ErrorKind::Configuration, &["temporary redirect"]),
    (308, ErrorKind::Configuration, &["permanent redirect"]),
    // What is sent is nothing for whoever answers: http to a port for https, for one.
    (400, ErrorKind::Configuration, &["bad request"]),
    // It does not let us in.
    (401, ErrorKind::Configuration, &["unauthorized"]),
    (403, ErrorKind::Configuration, &["forbidden"]),
    (407, ErrorKind::Configuration, &["proxy authentication required"]),
    // Nothing that takes inserts is there; the last is what ClickHouse says of another path than its own.
    (404, ErrorKind::Configuration, &["not found", "404 page not found", "there is no handle"]),
    (405, ErrorKind::Configuration, &["method not allowed"]),
    // It wants to know how long a body is before it comes.
    (411, ErrorKind::Configuration, &["length required"]),
    // Less at once may get through.
    (
        413,
        ErrorKind::TooLarge,
        &["request entity too large", "payload too large", "content too large"],
    ),
    // The address names all columns, and names no fewer the next time.
    (
        414,
        ErrorKind::Configuration,
        &["request-uri too large", "request-uri too long", "uri too long"],
    ),
    (431, ErrorKind::Configuration, &["request header fields too large"]),
];

/// What to do about an answer.
pub(super) fn kind(status: Option<u16>) -> ErrorKind {
    let known = STATUSES.iter().find(|(known, ..)| Some(*known) == status);
    known.map_or(ErrorKind::Transient, |(_, kind, _)| *kind)
}

/// What a user can do about one that does not pass.
pub(super) fn way_out(status: Option<u16>) -> &'static str {
    match status {
        Some(401 | 403 | 407) => "; check --clickhouse, --user and --password",
        Some(411) => "; let it pass requests of a length that is not known before",
        Some(413) => "; raise its limit for the body of a request",
        Some(414 | 431) => "; raise its limit for the address of a request",
        status if kind(status) == ErrorKind::Transient => "",
        _ => "; check --clickhouse",
    }
}

/// Status and first words of an answer, of which only the text is known. One without text reads `413
/// Payload Too Large`, a page has that as its title, and others have only the words.
pub(super) fn parse(text: &str) -> (Option<u16>, String) {
    let text = text.trim();
    let title = ["<title>", "<h1>"].into_iter().find_map(|tag| inside(text, tag));
    let is_page = text.starts_with('<');
    let words = title.filter(|_| is_page).or_else(|| text.lines().next()).unwrap_or_default();
    let words: String = words.trim().chars().take(MAX_ANSWER_CHARS).collect();
    let said = words.to_ascii_lowercase();
    let said = said.strip_prefix("error ").unwrap_or(&said);
    let begins = |start: &&str| said.starts_with(*start);
    let named = || STATUSES.iter().find(|(.., names)| names.iter().any(begins));
    let status = number(said).or_else(|| named().map(|(status, ..)| *status));
    (status, words)
}

/// What follows a tag, in whatever case, up to the next one.
fn inside<'t>(page: &'t str, tag: &str) -> Option<&'t str> {
    let start = page.to_ascii_lowercase().find(tag)? + tag.len();
    page[start..].split('<').next()
}

/// The three digits that a text begins with.
fn number(text: &str) -> Option<u16> {
    let (digits, rest) = text.split_at_checked(3)?;
    let is_number = digits.bytes().all(|byte| byte.is_ascii_digit());
    let is_whole = !rest.starts_with(|next: char| next.is_alphanumeric());
    (is_number && is_whole).then(|| digits.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, status: Option<u16>, expected: ErrorKind) {
        let (found, answer) = parse(text);
        assert_eq!((found, kind(found)), (status, expected), "{answer}");
        assert!(answer.chars().count() <= MAX_ANSWER_CHARS);
    }

    #[test]
    fn what_does_not_pass_is_known_in_every_guise() {
        let page = "<html>\r\n<head><title>413 Request Entity Too Large</title></head>\r\n<body>";
        check(page, Some(413), ErrorKind::TooLarge);
        check("413 Payload Too Large", Some(413), ErrorKind::TooLarge);
        check("Payload Too Large", Some(413), ErrorKind::TooLarge);
        check("<HTML><Title>Error 413 (Too Large)!!1</title>", Some(413), ErrorKind::TooLarge);
        for (status, _, names) in STATUSES {
            check(&format!("{status} Whatever"), Some(*status), kind(Some(*status)));
            for name in *names {
                assert_ne!(kind(parse(name).0), ErrorKind::Transient, "{name}");
            }
            assert!(!way_out(Some(*status)).is_empty());
        }
        check("There is no handle /x\n\nUse / or /ping", Some(404), ErrorKind::Configuration);
        check("<html><body><h1>403 Forbidden</h1>", Some(403), ErrorKind::Configuration);
    }

    #[test]
    fn what_may_pass_does() {
        let page = "<html><body><h1>500 Internal Server Error</h1></body></html>";
        check(page, Some(500), ErrorKind::Transient);
        check("503 Service Unavailable", Some(503), ErrorKind::Transient);
        check("429 Too Many Requests", Some(429), ErrorKind::Transient);
        check(
            "upstream connect error or disconnect/reset before headers",
            None,
            ErrorKind::Transient,
        );
        check("", None, ErrorKind::Transient);
        check("4131 is no status", None, ErrorKind::Transient);
        check(&"é".repeat(1000), None, ErrorKind::Transient);
    }
}
