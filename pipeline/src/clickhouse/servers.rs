use std::sync::{
    OnceLock,
    atomic::{AtomicUsize, Ordering},
};

use super::{ClickHouse, ClickHouseError, ClickHouseOptions};
use crate::turn::Turn;

/// Several addresses of one table. The first one is used for as long as it works, then the next, and
/// so on around; whoever works is stayed with.
#[derive(Debug)]
pub struct Servers {
    options: ClickHouseOptions,
    /// One for each address.
    servers: Vec<Server>,
    current: AtomicUsize,
}

/// Connected when it is first used.
#[derive(Debug, Default)]
struct Server {
    connected: OnceLock<ClickHouse>,
    turn: Turn<ClickHouseError>,
}

impl Servers {
    /// None of the addresses is asked yet.
    pub fn new(options: ClickHouseOptions) -> Self {
        let servers = options.urls.iter().map(|_| Server::default()).collect();
        Self { options, servers, current: AtomicUsize::new(0) }
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.servers.len()
    }

    /// Which one to use now.
    pub fn current(&self) -> usize {
        self.current.load(Ordering::Acquire)
    }

    /// One of them, which has answered at least once. Those who want it at the same time ask it once.
    ///
    /// # Errors
    ///
    /// [`ClickHouseError`] of one that does not, or is too old.
    pub async fn get(&self, index: usize) -> Result<&ClickHouse, ClickHouseError> {
        let (Some(Server { connected, turn }), Some(url)) =
            (self.servers.get(index), self.options.urls.get(index))
        else {
            return Err(ClickHouseError::NoAddress);
        };
        if let Some(server) = connected.get() {
            return Ok(server);
        }
        let mut turn = turn.take().await?;
        if let Some(server) = connected.get() {
            return Ok(server);
        }
        let server = ClickHouse::connect(url, &self.options).await;
        let server = server.inspect_err(|error| turn.failed(error))?;
        Ok(connected.get_or_init(|| server))
    }

    /// Goes on to the next one, unless somebody else did already.
    pub fn pass_over(&self, failed: usize) {
        let next = (failed + 1) % self.servers.len().max(1);
        let order = (Ordering::AcqRel, Ordering::Acquire);
        let moved = self.current.compare_exchange(failed, next, order.0, order.1);
        if moved.is_ok()
            && next != failed
            && let Some(url) = self.options.urls.get(next)
        {
            tracing::warn!(url, "going on with another clickhouse");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures_util::future::join_all;

    use super::*;
    use crate::clickhouse::{SilentServer, TlsOptions};

    fn servers_at(urls: Vec<String>, timeout: Duration) -> Servers {
        let tls = TlsOptions::default();
        Servers::new(ClickHouseOptions { urls, user: None, password: None, timeout, tls })
    }

    fn servers(n_urls: usize) -> Servers {
        let url = |i: usize| format!("http://127.0.0.1:{}", i + 1);
        servers_at((0..n_urls).map(url).collect(), Duration::from_secs(1))
    }

    #[test]
    fn a_server_is_passed_over_once_however_many_notice() {
        let servers = servers(3);
        assert_eq!(servers.current(), 0);
        servers.pass_over(0);
        servers.pass_over(0);
        assert_eq!(servers.current(), 1);
        servers.pass_over(1);
        servers.pass_over(2);
        assert_eq!(servers.current(), 0);
    }

    #[test]
    fn one_alone_is_stayed_with() {
        let servers = servers(1);
        servers.pass_over(0);
        assert_eq!((servers.current(), servers.count()), (0, 1));
    }

    #[tokio::test]
    async fn one_that_hangs_is_waited_for_once_however_many_want_it() {
        let silent = SilentServer::start().await;
        let servers = servers_at(vec![silent.url.clone()], Duration::from_millis(300));
        let asked = join_all((0..20).map(|_| servers.get(0))).await;
        let is_time_out = |asked| matches!(asked, Err(ClickHouseError::TimedOut { .. }));
        assert!(asked.into_iter().all(is_time_out));
        assert_eq!(silent.n_connections(), 1);
        // Whoever comes later asks anew.
        assert!(servers.get(0).await.is_err());
        assert_eq!(silent.n_connections(), 2);
    }
}
