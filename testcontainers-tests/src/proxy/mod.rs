//! A way to ClickHouse's HTTP interface on which things go wrong as they are told to.

mod body;
#[cfg(test)]
mod tests;
mod trap;

use std::{
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::{
    Request, Response, StatusCode,
    body::{Body, Incoming},
    client, header, http, server,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use tokio::{
    net::{TcpListener, TcpStream},
    runtime::Handle,
    task::{AbortHandle, JoinSet},
};

pub use self::trap::{Moment, Trap};
use self::{
    body::Pump,
    trap::{Armed, Release},
};

/// What goes wrong, until something else is set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fault {
    /// Nothing.
    #[default]
    None,
    /// Every connection breaks, as where nobody listens.
    Away,
    /// Everything is answered with 500, in the words of a gateway and not of ClickHouse.
    ServerError,
    /// Each piece of an insert waits so long before it is passed on.
    Slow(Duration),
    /// Half of the first piece of an insert is passed on, then both connections break.
    CutBody,
    /// Inserts are stored, and the connection breaks in place of the answer.
    CutAnswer,
    /// Inserts are read to their end, thrown away, and answered as if they were stored.
    Swallow,
}

/// The proxy; it ends when it is dropped. What arrives is read with HTTP's own framing, so that it
/// knows an insert from a question, and where in it it is.
pub struct FaultProxy {
    url: String,
    shared: Arc<Shared>,
    accepting: AbortHandle,
}

impl fmt::Debug for FaultProxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FaultProxy").field("url", &self.url).finish_non_exhaustive()
    }
}

struct Shared {
    /// Host and port of what it is a proxy for.
    upstream: String,
    state: Mutex<State>,
    n_inserts: AtomicU64,
    n_faults: AtomicU64,
    n_underway: AtomicU64,
}

#[derive(Default)]
struct State {
    fault: Fault,
    armed: Option<Armed>,
}

/// A connection that is to break.
#[derive(Debug, thiserror::Error)]
#[error("cut")]
struct Cut;

impl FaultProxy {
    /// A way to an address such as `http://127.0.0.1:8123`, on a free port of loopback.
    pub fn start(runtime: &Handle, url: &str) -> Self {
        let upstream = url.strip_prefix("http://").expect("a plain address");
        let shared = Arc::new(Shared {
            upstream: upstream.trim_end_matches('/').to_owned(),
            state: Mutex::default(),
            n_inserts: AtomicU64::new(0),
            n_faults: AtomicU64::new(0),
            n_underway: AtomicU64::new(0),
        });
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        listener.set_nonblocking(true).unwrap();
        let accepting = {
            let shared = shared.clone();
            runtime.spawn(accept(listener, shared)).abort_handle()
        };
        Self { url, shared, accepting }
    }

    /// Where it listens.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// What goes wrong from now on.
    pub fn set(&self, fault: Fault) {
        self.shared.lock().fault = fault;
    }

    /// Holds the next insert when it gets to a moment.
    pub fn hold_next(&self, moment: Moment) -> Trap {
        let (armed, trap) = trap::trap(moment);
        self.shared.lock().armed = Some(armed);
        trap
    }

    /// Inserts that have begun.
    pub fn n_inserts(&self) -> u64 {
        self.shared.n_inserts.load(Ordering::Acquire)
    }

    /// Requests that went wrong as they were told to.
    pub fn n_faults(&self) -> u64 {
        self.shared.n_faults.load(Ordering::Acquire)
    }

    /// Requests that are on their way to ClickHouse or not answered yet, whoever still waits.
    pub fn n_underway(&self) -> u64 {
        self.shared.n_underway.load(Ordering::Acquire)
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(listener: std::net::TcpListener, shared: Arc<Shared>) {
    let listener = TcpListener::from_std(listener).unwrap();
    // Ends with this task.
    let mut connections = JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        while connections.try_join_next().is_some() {}
        let shared = shared.clone();
        connections.spawn(async move {
            let _ = stream.set_nodelay(true);
            let service = service_fn(|request| answer(shared.clone(), request));
            // A connection that breaks is what this is for.
            let _ = server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

/// An error breaks the connection.
async fn answer(
    shared: Arc<Shared>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Cut> {
    let is_insert = is_insert(&request);
    let (fault, armed) = {
        let mut state = shared.lock();
        (state.fault, state.armed.take_if(|_| is_insert))
    };
    if is_insert {
        shared.n_inserts.fetch_add(1, Ordering::AcqRel);
    }
    let is_met = match fault {
        Fault::None | Fault::Swallow => false,
        Fault::Away | Fault::ServerError => true,
        Fault::Slow(_) | Fault::CutBody | Fault::CutAnswer => is_insert,
    };
    shared.n_faults.fetch_add(u64::from(is_met), Ordering::AcqRel);
    match fault {
        Fault::Away => return Err(Cut),
        Fault::ServerError => {
            read_to_end(request.into_body()).await?;
            return Ok(server_error());
        }
        Fault::Swallow if is_insert => {
            read_to_end(request.into_body()).await?;
            return Ok(Response::default());
        }
        _ => {}
    }
    if is_insert {
        insert(&shared, request, fault, armed).await
    } else {
        let (head, body) = request.into_parts();
        forward(&shared, head, body).await
    }
}

async fn insert(
    shared: &Arc<Shared>,
    request: Request<Incoming>,
    fault: Fault,
    armed: Option<Armed>,
) -> Result<Response<Full<Bytes>>, Cut> {
    let (head, body) = request.into_parts();
    let moment = armed.as_ref().map(Armed::moment);
    if moment == Some(Moment::Late) {
        let body = body.collect().await.map_err(|_| Cut)?.to_bytes();
        // It goes on when whoever sent it is gone.
        let (shared, armed) = (shared.clone(), armed);
        let late = tokio::spawn(async move {
            let _underway = Underway::new(&shared.n_underway);
            hold(armed).await?;
            forward(&shared, head, Full::new(body)).await
        });
        return late.await.map_err(|_| Cut)?;
    }
    let (before, mid, after) = match moment {
        Some(Moment::Begun) => (armed, None, None),
        Some(Moment::MidBody) => (None, armed, None),
        _ => (None, None, armed),
    };
    hold(before).await?;
    let (pump, piped) = body::channel();
    let (answer, ()) = tokio::join!(forward(shared, head, piped), async {
        // What it leaves without its end fails there too.
        let _ = pump_body(pump, body, fault, mid).await;
    });
    let answer = answer?;
    if fault == Fault::CutAnswer {
        return Err(Cut);
    }
    match after {
        Some(armed) if armed.moment() == Moment::Answered => armed.tell(),
        after => hold(after).await?,
    }
    Ok(answer)
}

/// Passes a body on, piece by piece. An error leaves it without its end.
async fn pump_body(
    pump: Pump,
    mut body: Incoming,
    fault: Fault,
    mut mid: Option<Armed>,
) -> Result<(), Cut> {
    while let Some(frame) = body.frame().await {
        let Ok(mut piece) = frame.map_err(|_| Cut)?.into_data() else { continue };
        if let Fault::Slow(wait) = fault {
            tokio::time::sleep(wait).await;
        }
        let is_cut = fault == Fault::CutBody;
        if is_cut || mid.is_some() {
            pump.send(piece.split_to(piece.len() / 2)).await;
            pump.taken().await;
            if is_cut {
                return Err(Cut);
            }
            hold(mid.take()).await?;
        }
        pump.send(piece).await;
    }
    pump.end().await;
    Ok(())
}

async fn hold(armed: Option<Armed>) -> Result<(), Cut> {
    match armed {
        None => Ok(()),
        Some(armed) => match armed.hold().await {
            Release::LetGo => Ok(()),
            Release::Cut => Err(Cut),
        },
    }
}

async fn read_to_end(mut body: Incoming) -> Result<(), Cut> {
    while let Some(frame) = body.frame().await {
        frame.map_err(|_| Cut)?;
    }
    Ok(())
}

/// The answer of the server behind, whole.
async fn forward<B>(
    shared: &Shared,
    head: http::request::Parts,
    body: B,
) -> Result<Response<Full<Bytes>>, Cut>
where
    B: Body<Data = Bytes, Error: std::error::Error + Send + Sync> + Send + 'static,
{
    let _underway = Underway::new(&shared.n_underway);
    let stream = TcpStream::connect(&shared.upstream).await.map_err(|_| Cut)?;
    let _ = stream.set_nodelay(true);
    let handshake = client::conn::http1::handshake(TokioIo::new(stream));
    let (mut sender, connection) = handshake.await.map_err(|_| Cut)?;
    tokio::spawn(connection);
    let answer = sender.send_request(Request::from_parts(head, body)).await.map_err(|_| Cut)?;
    let (mut head, body) = answer.into_parts();
    let body = body.collect().await.map_err(|_| Cut)?.to_bytes();
    for framing in [header::CONNECTION, header::CONTENT_LENGTH, header::TRANSFER_ENCODING] {
        head.headers.remove(framing);
    }
    Ok(Response::from_parts(head, Full::new(body)))
}

/// Counts for as long as it lives.
struct Underway<'a>(&'a AtomicU64);

impl<'a> Underway<'a> {
    fn new(count: &'a AtomicU64) -> Self {
        count.fetch_add(1, Ordering::AcqRel);
        Self(count)
    }
}

impl Drop for Underway<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Inserts have their statement in the address and their rows in the body.
fn is_insert(request: &Request<Incoming>) -> bool {
    let query = request.uri().query().unwrap_or_default();
    query.split('&').any(|pair| pair.to_ascii_uppercase().starts_with("QUERY=INSERT"))
}

fn server_error() -> Response<Full<Bytes>> {
    let text = "<html><body><h1>500 Internal Server Error</h1></body></html>\n";
    let mut answer = Response::new(Full::new(Bytes::from_static(text.as_bytes())));
    *answer.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
    answer
}
