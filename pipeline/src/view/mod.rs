//! `volley view`: the inspector's page, and a read-only API that it asks for files and messages.
//!
//! ```text
//! GET  /                                             the page, and what it loads
//! GET  /api/view                                     files, and whether there is a cluster
//! GET  /api/files/INDEX                              bytes of a file of the command line
//! GET  /api/topics                                   names, numbers of partitions
//! GET  /api/topics/TOPIC                             offsets of its partitions, limits
//! GET  /api/topics/TOPIC/PARTITION?first=&count=     envelopes: messages without their values
//! GET  /api/topics/TOPIC/PARTITION/OFFSET            value of a message, as it is
//! GET  /api/tail?topic=TOPIC                         WebSocket: envelopes as they come
//! ```
//!
//! Nothing can be written, committed or named that was not given when it started; `guard` says who
//! may ask. Memory is bounded: by questions at a time, bytes of an answer, and tails, whose readers
//! lose messages where they are slow, and are told how many.

mod api;
mod cluster;
mod envelope;
mod error;
mod files;
mod guard;
mod page;
mod ring;
mod tail;

use std::net::SocketAddr;

use tokio::net::TcpListener;

pub(crate) use self::{cluster::Cluster, files::Files, guard::Guard, page::Page};
use crate::shutdown::Shutdown;

/// What is served, and to whom.
pub(crate) struct ViewOptions {
    /// The page.
    pub(crate) page: Page,
    /// The files of the command line.
    pub(crate) files: Files,
    /// A cluster, where one was named.
    pub(crate) cluster: Option<Cluster>,
    /// Names beside addresses and `localhost` that a request may call us by, in lower case.
    pub(crate) names: Vec<String>,
    /// What the API asks for.
    pub(crate) token: Option<String>,
}

/// Serves until `shutdown`, and then for as long as answers under way take, two seconds at most.
///
/// # Errors
///
/// Where the listener fails.
pub(crate) async fn serve(
    listener: TcpListener,
    options: ViewOptions,
    shutdown: Shutdown,
) -> std::io::Result<()> {
    let address: SocketAddr = listener.local_addr()?;
    let guard = Guard {
        names: options.names,
        is_loopback: address.ip().is_loopback(),
        token: options.token,
    };
    let router = api::router(options.page, options.files, options.cluster, guard, shutdown.clone());
    let stopped = shutdown.clone();
    let server = axum::serve(listener, router)
        .with_graceful_shutdown(async move { stopped.requested().await });
    let late = async {
        shutdown.requested().await;
        tokio::time::sleep(std::time::Duration::from_secs(2)).await;
    };
    tokio::select! {
        served = server.into_future() => served,
        () = late => Ok(()),
    }
}
