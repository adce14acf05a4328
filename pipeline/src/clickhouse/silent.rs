use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use tokio::net::TcpListener;

/// A server that takes connections and answers nothing.
pub(crate) struct SilentServer {
    pub(crate) url: String,
    n_connections: Arc<AtomicUsize>,
}

impl SilentServer {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let n_connections = Arc::new(AtomicUsize::new(0));
        let taken = n_connections.clone();
        tokio::spawn(async move {
            let mut open = Vec::new();
            while let Ok((stream, _)) = listener.accept().await {
                taken.fetch_add(1, Ordering::Relaxed);
                open.push(stream);
            }
        });
        Self { url, n_connections }
    }

    /// How often it was asked.
    pub(crate) fn n_connections(&self) -> usize {
        self.n_connections.load(Ordering::Relaxed)
    }
}
