use std::{
    fmt, io,
    net::{SocketAddr, TcpListener},
    sync::Arc,
    thread::{self, JoinHandle},
};

use axum::{
    Router,
    extract::State,
    http::{StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
    routing::get,
};
use tokio::{runtime::Builder, sync::oneshot};

use super::Report;

/// What Prometheus takes, and asks for first.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// A run that can be asked how it is.
pub trait Observed: Send + Sync + 'static {
    /// Every metric, in the OpenMetrics text format.
    ///
    /// # Errors
    ///
    /// Never, as writing text does not fail.
    fn metrics(&self) -> Result<String, fmt::Error>;

    /// Whether it does what it is there for.
    fn health(&self) -> Report;

    /// Whether it is past its start.
    fn readiness(&self) -> Report;
}

/// The server could not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// The address is not to be had.
    #[error("cannot serve metrics at {address}; choose another address, or port 0 for any")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// No thread.
    #[error("cannot start the thread that serves metrics")]
    Thread(#[source] io::Error),
}

/// Answers `/metrics`, `/healthz` and `/readyz` over HTTP until it is dropped.
///
/// It has a thread and a runtime of its own, so that it answers also while those of the run are busy.
/// Nobody is asked for a password.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Listens at `address`, where port 0 is any free one, and answers from then on.
    ///
    /// # Errors
    ///
    /// [`ServeError`].
    pub fn start(address: SocketAddr, observed: Arc<dyn Observed>) -> Result<Self, ServeError> {
        let bind_error = |source| ServeError::Bind { address, source };
        let listener = TcpListener::bind(address).map_err(bind_error)?;
        listener.set_nonblocking(true).map_err(bind_error)?;
        let address = listener.local_addr().map_err(bind_error)?;
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(ServeError::Thread)?;
        let (stop, stopped) = oneshot::channel();
        let serve = move || {
            runtime.block_on(async {
                tokio::select! {
                    _ = stopped => {}
                    served = serve(listener, observed) => {
                        if let Err(error) = served {
                            tracing::error!(%error, "metrics are no longer served");
                        }
                    }
                }
            });
        };
        let thread = thread::Builder::new().name("volley-metrics".to_owned()).spawn(serve);
        let thread = thread.map_err(ServeError::Thread)?;
        Ok(Self { address, stop: Some(stop), thread: Some(thread) })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic there was reported there, and stops nothing here.
            let _ = thread.join();
        }
    }
}

async fn serve(listener: TcpListener, observed: Arc<dyn Observed>) -> io::Result<()> {
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let router = Router::new()
        .route("/metrics", get(metrics))
        .route("/healthz", get(health))
        .route("/readyz", get(readiness))
        .fallback(|| async {
            (StatusCode::NOT_FOUND, "there are /metrics, /healthz and /readyz\n")
        })
        .with_state(observed);
    axum::serve(listener, router).await
}

async fn metrics(State(observed): State<Arc<dyn Observed>>) -> Response {
    match observed.metrics() {
        Ok(text) => ([(CONTENT_TYPE, OPEN_METRICS)], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

async fn health(State(observed): State<Arc<dyn Observed>>) -> Response {
    answer(&observed.health())
}

async fn readiness(State(observed): State<Arc<dyn Observed>>) -> Response {
    answer(&observed.readiness())
}

fn answer(report: &Report) -> Response {
    let status = if report.ok { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    match serde_json::to_string(report) {
        Ok(json) => (status, [(CONTENT_TYPE, "application/json")], json + "\n").into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}
