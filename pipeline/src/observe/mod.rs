//! What a run says of itself while it runs: metrics, health, a line of status.
//!
//! ```text
//!  load ──events──▶ LoadWatch ──┬──▶ Server: /metrics, /healthz, /readyz
//!  produce ──────▶ ProduceWatch ┘──▶ status line
//! ```
//!
//! A watch only keeps what it is told, under a lock that nobody holds while waiting, so that it
//! answers however busy or stuck the run is.

mod clock;
mod health;
mod load;
mod metrics;
mod partition;
mod produce;
mod server;
mod status;

pub use health::{Readiness, Report};
pub use load::{LoadWatch, WatchOptions};
pub use produce::ProduceWatch;
pub use server::{Observed, ServeError, Server};
