//! Just enough of ClickHouse's grammar to find where an INSERT ends and its data begins.

use std::ops::Range;

/// What the beginning of a request's text is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Statement {
    /// The text so far does not decide it.
    Incomplete,
    /// `INSERT … FORMAT name data` or `INSERT … VALUES data`.
    Insert {
        /// The statement without its FORMAT or VALUES: the text's first so many bytes.
        sql_len: usize,
        format: String,
        /// Where the data begins.
        data_at: usize,
    },
    /// Anything else, INSERT … SELECT included.
    Other,
}

/// Looks at a text that may go on (`more`), or is whole.
pub(crate) fn classify(text: &[u8], more: bool) -> Statement {
    let mut tokens = Tokens { text, at: 0 };
    let classified = classify_tokens(&mut tokens);
    // A token that touches the end of the text might read differently once the rest is there.
    if more && (classified.is_none() || tokens.at >= text.len()) {
        return Statement::Incomplete;
    }
    classified.unwrap_or(Statement::Other)
}

/// The name in the `FORMAT name` that ends a query, if there is one.
pub(crate) fn output_format(text: &[u8]) -> Option<String> {
    let tokens = top_level(text);
    let at = tokens.iter().rposition(|token| token.eq_ignore_ascii_case(b"FORMAT"))?;
    let name = tokens.get(at + 1)?;
    let ends = tokens
        .get(at + 2)
        .is_none_or(|after| *after == b";" || after.eq_ignore_ascii_case(b"SETTINGS"));
    ends.then(|| String::from_utf8_lossy(name).into_owned())
}

/// Whether the statement would write its result to a file of this machine.
pub(crate) fn writes_outfile(text: &[u8]) -> bool {
    top_level(text)
        .windows(2)
        .any(|two| two[0].eq_ignore_ascii_case(b"INTO") && two[1].eq_ignore_ascii_case(b"OUTFILE"))
}

/// Whether another statement follows a `;`.
pub(crate) fn is_several(text: &[u8]) -> bool {
    let tokens = top_level(text);
    let first = tokens.iter().position(|token| *token == b";");
    first.is_some_and(|first| tokens[first..].iter().any(|token| *token != b";"))
}

/// The words and single characters outside parentheses and quotes.
fn top_level(text: &[u8]) -> Vec<&[u8]> {
    let mut tokens = Tokens { text, at: 0 };
    let mut depth = 0_usize;
    let mut found = Vec::new();
    while let Some(token) = tokens.next() {
        match token {
            Token::Open => depth += 1,
            Token::Close => depth = depth.saturating_sub(1),
            Token::Word(range) if depth == 0 => found.push(&text[range]),
            Token::Other(_) if depth == 0 => found.push(&text[tokens.at - 1..tokens.at]),
            Token::Word(_) | Token::Quoted | Token::Other(_) => {}
        }
    }
    found
}

/// `None` when the tokens end before it is decided.
fn classify_tokens(tokens: &mut Tokens<'_>) -> Option<Statement> {
    if !tokens.next_word_is(b"INSERT")? || !tokens.next_word_is(b"INTO")? {
        return Some(Statement::Other);
    }
    let mut target = tokens.next()?;
    if tokens.is_word(&target, b"TABLE") {
        target = tokens.next()?;
    }
    if tokens.is_word(&target, b"FUNCTION") {
        tokens.next()?;
    }
    loop {
        match tokens.next()? {
            Token::Open => tokens.skip_parentheses()?,
            Token::Other(b'.') => {
                // Whatever follows a dot is a name, even `values` or `format`.
                tokens.next()?;
            }
            Token::Word(word) => {
                let sql_len = word.start;
                if tokens.text[word.clone()].eq_ignore_ascii_case(b"VALUES") {
                    let data_at = tokens.at;
                    return Some(Statement::Insert { sql_len, format: "Values".into(), data_at });
                }
                if tokens.text[word.clone()].eq_ignore_ascii_case(b"FORMAT") {
                    let Token::Word(name) = tokens.next()? else {
                        return Some(Statement::Other);
                    };
                    let format = String::from_utf8_lossy(&tokens.text[name]).into_owned();
                    tokens.skip_to_data();
                    return Some(Statement::Insert { sql_len, format, data_at: tokens.at });
                }
                let reads = [&b"SELECT"[..], b"WITH", b"FROM", b"WATCH"];
                if reads.iter().any(|read| tokens.text[word.clone()].eq_ignore_ascii_case(read)) {
                    return Some(Statement::Other);
                }
            }
            Token::Close | Token::Quoted | Token::Other(_) => {}
        }
    }
}

#[derive(Debug)]
enum Token {
    Word(Range<usize>),
    Quoted,
    Open,
    Close,
    Other(u8),
}

struct Tokens<'t> {
    text: &'t [u8],
    at: usize,
}

impl Tokens<'_> {
    fn next(&mut self) -> Option<Token> {
        self.skip_space_and_comments();
        let start = self.at;
        let first = *self.text.get(start)?;
        self.at += 1;
        match first {
            b'(' => Some(Token::Open),
            b')' => Some(Token::Close),
            b'\'' | b'"' | b'`' => self.skip_quoted(first),
            _ if is_word(first) => {
                self.at += self.text[self.at..].iter().take_while(|byte| is_word(**byte)).count();
                Some(Token::Word(start..self.at))
            }
            other => Some(Token::Other(other)),
        }
    }

    fn is_word(&self, token: &Token, word: &[u8]) -> bool {
        matches!(token, Token::Word(range) if self.text[range.clone()].eq_ignore_ascii_case(word))
    }

    fn next_word_is(&mut self, word: &[u8]) -> Option<bool> {
        let token = self.next()?;
        Some(self.is_word(&token, word))
    }

    fn skip_space_and_comments(&mut self) {
        loop {
            let rest = &self.text[self.at..];
            let space = rest.iter().take_while(|byte| is_space(**byte)).count();
            let rest = &rest[space..];
            let comment = if rest.starts_with(b"--") || rest.starts_with(b"# ") {
                rest.iter().position(|byte| *byte == b'\n').map_or(rest.len(), |end| end + 1)
            } else if rest.starts_with(b"/*") {
                rest.windows(2).skip(2).position(|two| two == b"*/").map_or(rest.len(), |at| at + 4)
            } else {
                0
            };
            self.at += space + comment;
            if comment == 0 {
                return;
            }
        }
    }

    /// Past the closing quote, with `\` escapes and doubled quotes. `None` if it never closes.
    fn skip_quoted(&mut self, quote: u8) -> Option<Token> {
        while let Some(byte) = self.text.get(self.at) {
            self.at += 1;
            if *byte == b'\\' {
                self.at = (self.at + 1).min(self.text.len());
            } else if *byte == quote {
                if self.text.get(self.at) != Some(&quote) {
                    return Some(Token::Quoted);
                }
                self.at += 1;
            }
        }
        None
    }

    /// Past the parenthesis that closes one already open.
    fn skip_parentheses(&mut self) -> Option<()> {
        let mut depth = 1_usize;
        while depth > 0 {
            match self.next()? {
                Token::Open => depth += 1,
                Token::Close => depth -= 1,
                Token::Word(_) | Token::Quoted | Token::Other(_) => {}
            }
        }
        Some(())
    }

    /// ClickHouse's rule for what separates the format's name from the data: blanks, and then one
    /// line end. (A `;` after the name is skipped too.)
    fn skip_to_data(&mut self) {
        let rest = &self.text[self.at..];
        let blanks = |bytes: &[u8]| bytes.iter().take_while(|b| matches!(b, b' ' | b'\t')).count();
        let mut skip = blanks(rest);
        if rest.get(skip) == Some(&b';') {
            skip += 1;
            skip += blanks(&rest[skip..]);
        }
        skip += usize::from(rest.get(skip) == Some(&b'\r'));
        skip += usize::from(rest.get(skip) == Some(&b'\n'));
        self.at += skip;
    }
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80
}

fn is_space(byte: u8) -> bool {
    byte.is_ascii_whitespace() || byte == 0x0B
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is left of the text as statement, format and data.
    fn check(text: &str, expect: Option<(&str, &str, &str)>) {
        let bytes = text.as_bytes();
        let found = match classify(bytes, false) {
            Statement::Insert { sql_len, format, data_at } => {
                Some((text[..sql_len].to_owned(), format, text[data_at..].to_owned()))
            }
            Statement::Other => None,
            Statement::Incomplete => panic!("{text:?} is whole"),
        };
        let expect = expect.map(|(sql, format, data)| (sql.into(), format.into(), data.into()));
        assert_eq!(found, expect, "{text:?}");
        // However the text is cut, what is decided early is what the whole text says.
        for cut in 0..bytes.len() {
            match classify(&bytes[..cut], true) {
                Statement::Incomplete => {}
                decided => assert_eq!(
                    decided,
                    classify(bytes, false),
                    "{text:?} cut at {cut} decides otherwise"
                ),
            }
        }
    }

    #[test]
    fn inserts_end_at_their_format() {
        check("INSERT INTO t FORMAT CSV\n1,2", Some(("INSERT INTO t ", "CSV", "1,2")));
        check("insert into t format CSV\r\n\n1", Some(("insert into t ", "CSV", "\n1")));
        check("INSERT INTO t FORMAT CSV 1,2", Some(("INSERT INTO t ", "CSV", "1,2")));
        check("INSERT INTO t FORMAT CSV;\n1,2", Some(("INSERT INTO t ", "CSV", "1,2")));
        check("INSERT INTO t VALUES (1)", Some(("INSERT INTO t ", "Values", " (1)")));
        check(
            "INSERT INTO db.`t``)` (a, `values`) SETTINGS x = 'FORMAT y' FORMAT Native \nX",
            Some(("INSERT INTO db.`t``)` (a, `values`) SETTINGS x = 'FORMAT y' ", "Native", "X")),
        );
        check(
            "-- c\n/* FORMAT x */ INSERT INTO TABLE format.values (a) FORMAT TSV\n1",
            Some(("-- c\n/* FORMAT x */ INSERT INTO TABLE format.values (a) ", "TSV", "1")),
        );
        check(
            "INSERT INTO FUNCTION null('a Int8') VALUES (1)",
            Some(("INSERT INTO FUNCTION null('a Int8') ", "Values", " (1)")),
        );
    }

    #[test]
    fn other_statements_are_left_whole() {
        for other in [
            "",
            "SELECT 1",
            "INSERT INTO t SELECT * FROM u FORMAT CSV",
            "INSERT INTO t (a) (SELECT 1)",
            "INSERT INTO t WITH 1 AS x SELECT x",
            "INSERT INTO t",
            "INSERTS INTO t FORMAT CSV",
            "INSERT INTO t (a 'never closed",
            "EXPLAIN INSERT INTO t VALUES (1)",
        ] {
            check(other, None);
        }
    }

    #[test]
    fn the_format_of_a_query_is_the_one_that_ends_it() {
        let format = |text: &str| output_format(text.as_bytes());
        assert_eq!(format("SELECT 1 FORMAT JSON"), Some("JSON".into()));
        assert_eq!(format("SELECT 1 format JSON;"), Some("JSON".into()));
        assert_eq!(format("SELECT 1 FORMAT JSON SETTINGS a = 1"), Some("JSON".into()));
        assert_eq!(format("SELECT format FROM t"), None);
        assert_eq!(format("SELECT * FROM (SELECT 1 FORMAT JSON)"), None);
        assert_eq!(format("SELECT 'FORMAT JSON'"), None);
    }

    #[test]
    fn files_are_recognised_outside_strings() {
        assert!(writes_outfile(b"SELECT 1 INTO /* x */ outfile 'f'"));
        assert!(!writes_outfile(b"SELECT 'INTO OUTFILE'"));
    }

    #[test]
    fn several_statements_are_recognised() {
        assert!(is_several(b"SELECT 1; SELECT 2"));
        assert!(!is_several(b"SELECT ';' ; -- SELECT 2\n;"));
    }

    #[test]
    fn any_bytes_are_classified() {
        let mut state = 0x9E37_79B9_7F4A_7C15_u64;
        let alphabet = b"INSERTO tFMVALU('`\"\\-/*#;.,\n\0\xFF)";
        for _ in 0..5_000 {
            let text: Vec<u8> = (0..40)
                .map(|_| {
                    state ^= state << 13;
                    state ^= state >> 7;
                    state ^= state << 17;
                    alphabet[(state % alphabet.len() as u64) as usize]
                })
                .collect();
            for text in [text.clone(), [b"INSERT INTO t ", &text[..]].concat()] {
                if let Statement::Insert { sql_len, data_at, .. } = classify(&text, false) {
                    assert!(sql_len <= data_at && data_at <= text.len(), "{text:?}");
                }
                output_format(&text);
            }
        }
    }
}
