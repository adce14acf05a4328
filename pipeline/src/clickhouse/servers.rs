use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::OnceCell;

use super::{ClickHouse, ClickHouseError, ClickHouseOptions};

/// Several addresses of one table. The first one is used for as long as it works, then the next, and
/// so on around; whoever works is stayed with.
#[derive(Debug)]
pub struct Servers {
    options: ClickHouseOptions,
    /// One for each address; connected when it is first used.
    servers: Vec<OnceCell<ClickHouse>>,
    current: AtomicUsize,
}

impl Servers {
    /// None of the addresses is asked yet.
    pub fn new(options: ClickHouseOptions) -> Self {
        let servers = options.urls.iter().map(|_| OnceCell::new()).collect();
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

    /// One of them, which has answered at least once.
    ///
    /// # Errors
    ///
    /// [`ClickHouseError`] of one that does not, or is too old.
    pub async fn get(&self, index: usize) -> Result<&ClickHouse, ClickHouseError> {
        let (Some(server), Some(url)) = (self.servers.get(index), self.options.urls.get(index))
        else {
            return Err(ClickHouseError::NoAddress);
        };
        server.get_or_try_init(|| ClickHouse::connect(url, &self.options)).await
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

    use super::*;
    use crate::clickhouse::TlsOptions;

    fn servers(n_urls: usize) -> Servers {
        let url = |i: usize| format!("http://127.0.0.1:{}", i + 1);
        Servers::new(ClickHouseOptions {
            urls: (0..n_urls).map(url).collect(),
            user: None,
            password: None,
            timeout: Duration::from_secs(1),
            tls: TlsOptions::default(),
        })
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
}
