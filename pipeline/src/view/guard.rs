use std::{net::IpAddr, sync::Arc};

use axum::{
    extract::{Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, Uri, header},
    middleware::Next,
    response::{IntoResponse as _, Response},
};

use super::{error::ApiError, page::FRAMES};

/// Who may ask.
///
/// A browser on this machine reaches every address of this machine for any page of the web, so that
/// listening on loopback alone protects nobody. Three things do:
///
/// - the `Host` of a request must be an address, `localhost` or a name that was allowed: a foreign
///   name that was made to point here (DNS rebinding) is refused;
/// - the `Origin`, which browsers send with sockets and with requests across origins, must be our
///   own, and nothing is allowed to other origins (no CORS);
/// - where others than this machine can reach it, the API asks for a token.
#[derive(Clone, Debug)]
pub(crate) struct Guard {
    /// Lower case.
    pub(super) names: Vec<String>,
    /// Whether only this machine can reach it.
    pub(super) is_loopback: bool,
    pub(super) token: Option<String>,
}

const NOSNIFF: HeaderValue = HeaderValue::from_static("nosniff");
const NO_REFERRER: HeaderValue = HeaderValue::from_static("no-referrer");
const SAME_ORIGIN: HeaderValue = HeaderValue::from_static("same-origin");
/// What was read may be gone from the topic the next time, and is nobody's to keep.
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");

/// Lets a request through, or answers why not.
pub(super) async fn check(
    State(guard): State<Arc<Guard>>,
    request: Request,
    next: Next,
) -> Response {
    let mut response = match guard.judge(request.uri(), request.headers()) {
        Ok(()) => next.run(request).await,
        Err(error) => error.into_response(),
    };
    let headers = response.headers_mut();
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, NOSNIFF);
    headers.insert(header::REFERRER_POLICY, NO_REFERRER);
    headers.insert(header::CACHE_CONTROL, NO_STORE);
    headers.insert(header::CONTENT_SECURITY_POLICY, FRAMES);
    headers.insert(HeaderName::from_static("cross-origin-resource-policy"), SAME_ORIGIN);
    headers.insert(HeaderName::from_static("cross-origin-opener-policy"), SAME_ORIGIN);
    response
}

impl Guard {
    fn judge(&self, uri: &Uri, headers: &HeaderMap) -> Result<(), ApiError> {
        let host = only(headers, &header::HOST).ok_or(ApiError::ForeignHost)?;
        // A request line may name a host as well.
        let is_same = uri.authority().is_none_or(|authority| authority.as_str() == host);
        if !is_same || !self.is_ours(host) {
            return Err(ApiError::ForeignHost);
        }
        if headers.contains_key(header::ORIGIN) {
            let origin = only(headers, &header::ORIGIN).and_then(|origin| origin.split_once("://"));
            let is_own = |(scheme, from): (&str, &str)| {
                matches!(scheme, "http" | "https") && from.eq_ignore_ascii_case(host)
            };
            if !origin.is_some_and(is_own) {
                return Err(ApiError::ForeignOrigin);
            }
        }
        match &self.token {
            Some(token) if uri.path().starts_with("/api/") => {
                let given = bearer(headers).or_else(|| in_query(uri));
                if given.is_some_and(|given| is_equal(given, token)) {
                    Ok(())
                } else {
                    Err(ApiError::Token)
                }
            }
            _ => Ok(()),
        }
    }

    /// Whether a `Host` can only be ours. No page of the web has a number for its name.
    fn is_ours(&self, host: &str) -> bool {
        let name = host_name(host).to_ascii_lowercase();
        let bare = name.trim_start_matches('[').trim_end_matches(']');
        match bare.parse::<IpAddr>() {
            Ok(address) => !self.is_loopback || address.is_loopback(),
            Err(_) => name == "localhost" || self.names.contains(&name),
        }
    }
}

/// `localhost:80` without its port.
fn host_name(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) && !name.is_empty() => name,
        _ => host,
    }
}

/// The value of a header that must be there once.
fn only<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?.to_str().ok()?;
    values.next().is_none().then_some(value)
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    only(headers, &header::AUTHORIZATION)?.strip_prefix("Bearer ")
}

/// Of a socket: browsers let nobody set its headers.
fn in_query(uri: &Uri) -> Option<&str> {
    uri.query()?.split('&').find_map(|pair| pair.strip_prefix("token="))
}

/// Takes as long wherever the two differ.
fn is_equal(given: &str, token: &str) -> bool {
    let differences = given.bytes().zip(token.bytes()).map(|(a, b)| a ^ b);
    given.len() == token.len() && differences.fold(0, |all, one| all | one) == 0
}

#[cfg(test)]
mod tests {
    use std::slice;

    use super::*;

    fn guard(is_loopback: bool, token: Option<&str>) -> Guard {
        Guard { names: vec!["viewer.lan".into()], is_loopback, token: token.map(str::to_owned) }
    }

    #[track_caller]
    fn check(guard: &Guard, uri: &str, headers: &[(HeaderName, &str)], expect: Result<(), &str>) {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(name, HeaderValue::from_str(value).unwrap());
        }
        let judged = guard.judge(&uri.parse().unwrap(), &map);
        let judged = judged.map_err(|error| error.to_string());
        match expect {
            Ok(()) => assert_eq!(judged, Ok(()), "{uri} {headers:?}"),
            Err(what) => assert!(judged.unwrap_err().contains(what), "{uri} {headers:?}"),
        }
    }

    #[test]
    fn hosts_are_addresses_and_names_that_were_allowed() {
        let local = guard(true, None);
        for host in ["127.0.0.1:80", "localhost:1", "LOCALHOST", "[::1]:80", "[::1]", "viewer.lan"]
        {
            check(&local, "/", &[(header::HOST, host)], Ok(()));
        }
        for host in [
            "evil.example",
            "evil.example:80",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "10.0.0.1",
            "",
            ":80",
            "viewer.lan.",
            "xviewer.lan",
            "127.0.0.1:80:evil",
            "a@127.0.0.1",
        ] {
            check(&local, "/", &[(header::HOST, host)], Err("host"));
        }
        check(&local, "/", &[], Err("host"));
        let twice = [(header::HOST, "localhost"), (header::HOST, "evil.example")];
        check(&local, "/", &twice, Err("host"));
        let absolute = "http://evil.example/api/view";
        check(&local, absolute, &[(header::HOST, "localhost")], Err("host"));
        check(&guard(false, None), "/", &[(header::HOST, "10.0.0.1:80")], Ok(()));
        check(&guard(false, None), "/", &[(header::HOST, "evil.example")], Err("host"));
    }

    #[test]
    fn origins_are_our_own() {
        let local = guard(true, None);
        let with = |origin| [(header::HOST, "localhost:80"), (header::ORIGIN, origin)];
        check(&local, "/api/tail", &with("http://localhost:80"), Ok(()));
        for origin in
            ["null", "http://localhost:81", "http://evil.example", "file://", "http://127.0.0.1:80"]
        {
            check(&local, "/api/tail", &with(origin), Err("origin"));
        }
    }

    #[test]
    fn the_token_is_asked_for_by_the_api_alone() {
        let guard = guard(false, Some("0123456789abcdef"));
        let host = (header::HOST, "10.0.0.1:80");
        check(&guard, "/", slice::from_ref(&host), Ok(()));
        check(&guard, "/api/tail?topic=t&token=0123456789abcdef", slice::from_ref(&host), Ok(()));
        let bearer = |text| [host.clone(), (header::AUTHORIZATION, text)];
        check(&guard, "/api/view", &bearer("Bearer 0123456789abcdef"), Ok(()));
        for wrong in ["Bearer 0123456789abcdeF", "Bearer ", "0123456789abcdef", "Bearer 0123"] {
            check(&guard, "/api/view", &bearer(wrong), Err("token"));
        }
        check(&guard, "/api/view", slice::from_ref(&host), Err("token"));
        check(&guard, "/api/view?xtoken=0123456789abcdef", &[host], Err("token"));
    }
}
