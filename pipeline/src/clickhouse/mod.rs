//! ClickHouse over HTTP: one client, its errors sorted by what to do about them, and tables.

mod client;
mod error;
mod servers;
#[cfg(test)]
mod silent;
mod table;
mod tls;
mod turn;

pub use client::{ClickHouse, ClickHouseOptions, MIN_VERSION};
pub use error::{ClickHouseError, ErrorKind};
pub use servers::Servers;
#[cfg(test)]
pub(crate) use silent::SilentServer;
pub use table::{
    Column, CreateTable, CreateTableError, Creation, Evolution, ForgetfulTable, ParseTableError,
    TableInfo, TableName,
};
pub use tls::{Identity, TlsOptions};
pub(crate) use turn::Turn;
