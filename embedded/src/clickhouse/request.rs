//! What a request asks for: its URL, its headers, its credentials.

use axum::http::{HeaderMap, HeaderName, Method, Uri, header};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::percent_decode;

use crate::chdb::Exception;

/// A request without its body. Values are bytes, as in ClickHouse: nothing says they are UTF-8.
#[derive(Debug, Default)]
pub(crate) struct Request {
    /// The part of the query that is in the URL.
    pub(crate) query: Vec<u8>,
    pub(crate) database: Option<Vec<u8>>,
    pub(crate) format: Option<String>,
    pub(crate) query_id: Option<String>,
    /// Settings for this query only, in the order given.
    pub(crate) settings: Vec<(String, Vec<u8>)>,
    /// Values for `{name:Type}`, from `param_name=value`.
    pub(crate) params: Vec<(Vec<u8>, Vec<u8>)>,
    /// A GET may not change anything.
    pub(crate) read_only: bool,
    /// The answer is to come in ClickHouse's compressed blocks.
    pub(crate) compress: bool,
    /// The body comes in ClickHouse's compressed blocks.
    pub(crate) decompress: bool,
    pub(crate) content_encoding: Option<String>,
    pub(crate) content_type: Option<String>,
}

/// Whom the endpoint lets in.
#[derive(Clone, Debug)]
pub(crate) struct Credentials {
    pub(crate) user: String,
    pub(crate) password: String,
}

impl Request {
    /// Reads URL and headers, and checks the credentials.
    ///
    /// # Errors
    ///
    /// 516 for credentials that are wrong or given in two ways, 48 for what a server has and this
    /// endpoint has not.
    pub(crate) fn read(
        method: &Method,
        uri: &Uri,
        headers: &HeaderMap,
        allowed: &Credentials,
    ) -> Result<Self, Exception> {
        refuse_other_sites(headers)?;
        let text = |name: &str| {
            let value = headers.get(HeaderName::from_bytes(name.as_bytes()).ok()?)?;
            Some(String::from_utf8_lossy(value.as_bytes()).into_owned())
        };
        let mut request = Self {
            read_only: matches!(*method, Method::GET | Method::HEAD),
            content_encoding: text("content-encoding"),
            content_type: text("content-type"),
            query_id: text("x-clickhouse-query-id"),
            ..Self::default()
        };
        let mut user = None;
        let mut password = None;
        for (name, value) in url_params(uri.query().unwrap_or_default()) {
            match name.as_str() {
                "user" => user = Some(lossy(&value)),
                "password" => password = Some(lossy(&value)),
                _ => request.set_param(name, value)?,
            }
        }
        // Headers outrank the URL, as in ClickHouse.
        if let Some(database) = text("x-clickhouse-database") {
            request.database = Some(database.into_bytes());
        }
        if let Some(format) = text("x-clickhouse-format") {
            request.format = Some(format);
        }
        let given = credentials(headers, &text, user, password)?;
        if given.user != allowed.user || given.password != allowed.password {
            return Err(Exception::new(
                516,
                "AUTHENTICATION_FAILED",
                &format!(
                    "{}: Authentication failed: password is incorrect, or there is no user with \
                     such name",
                    given.user
                ),
            ));
        }
        Ok(request)
    }

    /// Takes one parameter of the URL or of a form.
    pub(crate) fn set_param(&mut self, name: String, value: Vec<u8>) -> Result<(), Exception> {
        if let Some(param) = name.strip_prefix("param_") {
            self.params.push((param.as_bytes().to_vec(), value));
            return Ok(());
        }
        match name.as_str() {
            "query" => self.query = value,
            "database" => self.database = Some(value),
            "default_format" => self.format = Some(lossy(&value)),
            "query_id" => self.query_id = Some(lossy(&value)),
            "compress" => self.compress = is_true(&value),
            "decompress" => self.decompress = is_true(&value),
            "session_check" if is_true(&value) => {
                return Err(Exception::new(
                    372,
                    "SESSION_NOT_FOUND",
                    "this endpoint keeps no sessions: each request starts afresh",
                ));
            }
            "role" => return Err(unsupported("roles")),
            // Each request is a session of its own, and results are answered as they come.
            "session_id"
            | "session_timeout"
            | "session_check"
            | "close_session"
            | "quota_key"
            | "buffer_size"
            | "wait_end_of_query"
            | "stacktrace"
            | "client_protocol_version" => {}
            _ => self.settings.push((name, value)),
        }
        Ok(())
    }
}

pub(crate) fn unsupported(what: &str) -> Exception {
    Exception::new(48, "NOT_IMPLEMENTED", &format!("the embedded ClickHouse has no {what}"))
}

/// The parameters of a URL, `+` and percent-decoded. What is no valid escape stays as it is.
fn url_params(query: &str) -> impl Iterator<Item = (String, Vec<u8>)> {
    let decode =
        |text: &str| -> Vec<u8> { percent_decode(text.replace('+', " ").as_bytes()).collect() };
    query.split('&').filter(|pair| !pair.is_empty()).map(move |pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        (lossy(&decode(name)), decode(value))
    })
}

/// A web page that the user happens to visit must not run queries here: browsers say where a
/// request comes from, and other clients send neither header.
fn refuse_other_sites(headers: &HeaderMap) -> Result<(), Exception> {
    let site = headers.get("sec-fetch-site").map(|site| site.as_bytes());
    let foreign = site.is_some_and(|site| !matches!(site, b"same-origin" | b"none"));
    if foreign || (site.is_none() && headers.contains_key(header::ORIGIN)) {
        return Err(Exception::new(
            516,
            "AUTHENTICATION_FAILED",
            "requests from web pages are refused",
        ));
    }
    Ok(())
}

fn credentials(
    headers: &HeaderMap,
    text: &impl Fn(&str) -> Option<String>,
    user: Option<String>,
    password: Option<String>,
) -> Result<Credentials, Exception> {
    let in_headers = (text("x-clickhouse-user"), text("x-clickhouse-key"));
    let basic = headers.get(header::AUTHORIZATION);
    let ways = [
        in_headers.0.is_some() || in_headers.1.is_some(),
        basic.is_some(),
        user.is_some() || password.is_some(),
    ];
    let refused = |why: &str| Exception::new(516, "AUTHENTICATION_FAILED", why);
    if ways.iter().filter(|given| **given).count() > 1 {
        return Err(refused("Invalid authentication: credentials are given in more than one way"));
    }
    let (user, password) = if let Some(basic) = basic {
        let decoded = basic
            .as_bytes()
            .split_at_checked(6)
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case(b"Basic "))
            .and_then(|(_, encoded)| STANDARD.decode(encoded.trim_ascii()).ok())
            .ok_or_else(|| refused("Invalid authentication: only the Basic scheme is supported"))?;
        let decoded = lossy(&decoded);
        let (user, password) = decoded.split_once(':').unwrap_or((&decoded, ""));
        (Some(user.to_owned()), Some(password.to_owned()))
    } else if ways[0] {
        in_headers
    } else {
        (user, password)
    };
    Ok(Credentials {
        user: user.filter(|user| !user.is_empty()).unwrap_or_else(|| "default".into()),
        password: password.unwrap_or_default(),
    })
}

fn is_true(value: &[u8]) -> bool {
    matches!(value, b"1" | b"true")
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
