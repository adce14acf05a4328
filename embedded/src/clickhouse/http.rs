//! The HTTP side: routes, headers, statuses.

use std::collections::hash_map::RandomState;
use std::ffi::CString;
use std::hash::{BuildHasher as _, Hasher as _};
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request as HttpRequest, State};
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing;
use bytes::Bytes;
use futures_util::{Stream, stream};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use tokio::time;

use crate::chdb::{Connection, Exception, Library, Progress};
use crate::clickhouse::body;
use crate::clickhouse::request::{Credentials, Request};
use crate::clickhouse::run::{self, Reply, ReplyBody};

/// How many requests the engine works on at once, as a server's `max_concurrent_queries`. More of
/// them wait.
const MAX_CONCURRENT: u32 = 100;

/// How long a client may go on sending a body that is of no use any more.
const REST_OF_BODY: Duration = Duration::from_secs(5);

/// What the handlers share.
#[derive(Debug)]
pub(crate) struct Endpoint {
    library: &'static Library,
    arguments: Vec<CString>,
    credentials: Credentials,
    version: String,
    timezone: HeaderValue,
    running: Arc<Semaphore>,
    cut_off: watch::Sender<bool>,
}

impl Endpoint {
    pub(crate) fn new(
        library: &'static Library,
        arguments: Vec<CString>,
        credentials: Credentials,
        version: &str,
        timezone: &str,
    ) -> Self {
        Self {
            library,
            arguments,
            credentials,
            version: version.to_owned(),
            timezone: header_value(timezone),
            running: Arc::new(Semaphore::new(MAX_CONCURRENT as usize)),
            cut_off: watch::Sender::new(false),
        }
    }

    /// Breaks off every request under way, and those to come.
    pub(crate) fn cut_off(&self) {
        self.cut_off.send_replace(true);
    }

    /// Waits until the engine works on nothing.
    pub(crate) async fn idle(&self) {
        // An error means a closed semaphore, and nothing closes it.
        let _ = self.running.acquire_many(MAX_CONCURRENT).await;
    }
}

/// Serves until `stopped` and then until the connections have ended.
pub(crate) async fn serve(
    listener: TcpListener,
    endpoint: Arc<Endpoint>,
    mut stopped: watch::Receiver<bool>,
) {
    let ok = || async { "Ok.\n" };
    let router = Router::new()
        .route("/", routing::get(handle).post(handle))
        .route("/ping", routing::get(ok))
        .route("/replicas_status", routing::get(ok))
        .with_state(endpoint);
    let stopped = async move {
        // An error means that the handle is gone, which stops the server too.
        let _ = stopped.wait_for(|stopped| *stopped).await;
    };
    let server = axum::serve(listener, router).with_graceful_shutdown(stopped);
    if let Err(error) = server.await {
        tracing::warn!(%error, "the embedded ClickHouse stopped listening");
    }
}

async fn handle(State(endpoint): State<Arc<Endpoint>>, request: HttpRequest) -> Response {
    let (parts, body) = request.into_parts();
    let read_only = matches!(parts.method, Method::GET | Method::HEAD);
    if read_only && parts.uri.query().is_none() {
        return "Ok.\n".into_response();
    }
    let request =
        match Request::read(&parts.method, &parts.uri, &parts.headers, &endpoint.credentials) {
            Ok(request) => request,
            Err(exception) => return failed(&exception, &endpoint, &random_id()),
        };
    let id = request.query_id.clone().unwrap_or_else(random_id);
    match answer(&endpoint, request, body).await {
        Ok(reply) => succeeded(reply, &endpoint, &id),
        Err(exception) => failed(&exception, &endpoint, &id),
    }
}

async fn answer(endpoint: &Endpoint, request: Request, body: Body) -> Result<Reply, Exception> {
    let gone = || Exception::new(210, "NETWORK_ERROR", "the server is shutting down");
    let mut cut_off = endpoint.cut_off.subscribe();
    let permit = Arc::clone(&endpoint.running).acquire_owned().await.map_err(|_| gone())?;
    let (pump, reader) = body::channel();
    let (sender, mut reply) = oneshot::channel();
    let stop = endpoint.cut_off.subscribe();
    let (library, arguments) = (endpoint.library, endpoint.arguments.clone());
    // Detached on purpose: it ends by itself once the pump or the reply's receiver is dropped,
    // and holds the permit until then.
    tokio::task::spawn_blocking(move || {
        let connection = Connection::open(library, &arguments);
        run::run(connection, request, reader, sender, stop);
        drop(permit);
    });
    let replied = async {
        let mut pumping = pin!(pump.run(body));
        tokio::select! {
            biased;
            reply = &mut reply => {
                // The answer is known early, and the client may not read it before it has sent all.
                let _ = time::timeout(REST_OF_BODY, pumping).await;
                reply
            }
            () = &mut pumping => reply.await,
        }
    };
    tokio::select! {
        reply = replied => reply.map_err(|_| gone())?,
        _ = cut_off.wait_for(|cut_off| *cut_off) => Err(gone()),
    }
}

fn succeeded(reply: Reply, endpoint: &Endpoint, id: &str) -> Response {
    let Reply { format, progress, body } = reply;
    let tag = random_letters();
    let body = match body {
        ReplyBody::Whole(bytes) => Body::from(bytes),
        ReplyBody::Stream(begin, rest) => {
            Body::from_stream(stream_body(begin, rest, tag.clone(), endpoint.version.clone()))
        }
    };
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type(&format)));
    headers.insert(HeaderName::from_static("x-clickhouse-format"), header_value(&format));
    headers.insert(HeaderName::from_static("x-clickhouse-exception-tag"), header_value(&tag));
    headers.insert(HeaderName::from_static("x-clickhouse-summary"), summary(progress));
    common_headers(&mut response, endpoint, id);
    response
}

fn failed(exception: &Exception, endpoint: &Endpoint, id: &str) -> Response {
    let mut response = Response::new(Body::from(exception_text(exception, &endpoint.version)));
    *response.status_mut() = status(exception.code);
    let headers = response.headers_mut();
    let plain = HeaderValue::from_static("text/plain; charset=UTF-8");
    headers.insert(header::CONTENT_TYPE, plain);
    headers.insert(HeaderName::from_static("x-clickhouse-exception-code"), exception.code.into());
    common_headers(&mut response, endpoint, id);
    response
}

fn common_headers(response: &mut Response, endpoint: &Endpoint, id: &str) {
    let headers = response.headers_mut();
    let server = HeaderValue::from_static("volley-embedded");
    headers.insert(HeaderName::from_static("x-clickhouse-server-display-name"), server);
    headers.insert(HeaderName::from_static("x-clickhouse-timezone"), endpoint.timezone.clone());
    headers.insert(HeaderName::from_static("x-clickhouse-query-id"), header_value(id));
}

/// The engine's text as a server sends it: with the version, and a line end.
fn exception_text(exception: &Exception, version: &str) -> String {
    let text = exception.message.trim_end();
    if text.contains("(version ") {
        format!("{text}\n")
    } else {
        format!("{text} (version {version})\n")
    }
}

/// The body of a long result. A failure midway follows the data in the frame that clients know
/// from the header `X-ClickHouse-Exception-Tag`, and breaks the transfer for everyone else.
fn stream_body(
    begin: Bytes,
    rest: mpsc::Receiver<Result<Bytes, Exception>>,
    tag: String,
    version: String,
) -> impl Stream<Item = io::Result<Bytes>> {
    enum State {
        Begin(Bytes, mpsc::Receiver<Result<Bytes, Exception>>),
        Rest(mpsc::Receiver<Result<Bytes, Exception>>),
        Failed(String),
        Ended,
    }
    stream::unfold(State::Begin(begin, rest), move |state| {
        let (tag, version) = (tag.clone(), version.clone());
        async move {
            match state {
                State::Begin(begin, rest) => Some((Ok(begin), State::Rest(rest))),
                State::Rest(mut rest) => match rest.recv().await? {
                    Ok(block) => Some((Ok(block), State::Rest(rest))),
                    Err(exception) => {
                        let text = exception_text(&exception, &version);
                        let frame = format!(
                            "\r\n__exception__\r\n{tag}\r\n{text}{} {tag}\r\n__exception__\r\n",
                            text.len()
                        );
                        Some((Ok(frame.into()), State::Failed(text)))
                    }
                },
                State::Failed(text) => {
                    // Lets the connection write the frame before the error ends it.
                    tokio::task::yield_now().await;
                    Some((Err(io::Error::other(text)), State::Ended))
                }
                State::Ended => None,
            }
        }
    })
}

/// ClickHouse's mapping of error codes.
fn status(code: i32) -> StatusCode {
    match code {
        // Texts and values that cannot be parsed, types that do not fit.
        6 | 25 | 26 | 27 | 38 | 41 | 53 | 59 | 62 | 72 | 117 | 167 | 168 | 223 | 321 | 427 => {
            StatusCode::BAD_REQUEST
        }
        159 => StatusCode::REQUEST_TIMEOUT,
        194 => StatusCode::UNAUTHORIZED,
        192 | 193 | 516 => StatusCode::FORBIDDEN,
        // Things that do not exist.
        46 | 47 | 50 | 56 | 60 | 63 | 73 | 78 | 81 | 94 | 115 | 336 | 372 => StatusCode::NOT_FOUND,
        66 => StatusCode::PAYLOAD_TOO_LARGE,
        48 => StatusCode::NOT_IMPLEMENTED,
        76 | 209 | 439 => StatusCode::SERVICE_UNAVAILABLE,
        381 => StatusCode::LENGTH_REQUIRED,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

fn content_type(format: &str) -> &'static str {
    let starts = |prefix| format.starts_with(prefix);
    if starts("TabSeparated") || starts("TSV") {
        "text/tab-separated-values; charset=UTF-8"
    } else if starts("CSV") {
        "text/csv; charset=UTF-8"
    } else if format.contains("EachRow") && starts("JSON") {
        "application/x-ndjson; charset=UTF-8"
    } else if starts("JSON") {
        "application/json; charset=UTF-8"
    } else if ["Pretty", "Vertical", "Values", "Markdown", "SQLInsert"].into_iter().any(starts) {
        "text/plain; charset=UTF-8"
    } else if starts("XML") {
        "application/xml; charset=UTF-8"
    } else {
        "application/octet-stream"
    }
}

fn summary(progress: Progress) -> HeaderValue {
    let Progress { read_rows, read_bytes, written_rows, written_bytes } = progress;
    header_value(&format!(
        "{{\"read_rows\":\"{read_rows}\",\"read_bytes\":\"{read_bytes}\",\
         \"written_rows\":\"{written_rows}\",\"written_bytes\":\"{written_bytes}\"}}"
    ))
}

/// What cannot be in a header is left out of it.
fn header_value(text: &str) -> HeaderValue {
    let visible: String = text.chars().filter(|c| c.is_ascii_graphic() || *c == ' ').collect();
    HeaderValue::from_str(&visible).unwrap_or_else(|_| HeaderValue::from_static(""))
}

/// A query id in the form of a UUID.
fn random_id() -> String {
    let (a, b) = (random(), random());
    let hex = format!("{a:016x}{b:016x}");
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
}

fn random_letters() -> String {
    (0..16).map(|_| char::from(b'a' + (random() % 26) as u8)).collect()
}

/// Distinct each time; nothing here needs better randomness.
fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}
