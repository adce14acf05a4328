//! ClickHouse over HTTP: one client, its errors sorted by what to do about them, and tables.

mod client;
mod error;
mod gateway;
mod kind;
mod servers;
#[cfg(test)]
mod silent;
mod table;
mod tls;

pub use client::{ClickHouse, ClickHouseOptions, MIN_VERSION};
pub use error::ClickHouseError;
pub use kind::ErrorKind;
pub use servers::Servers;
#[cfg(test)]
pub(crate) use silent::SilentServer;
pub use table::{
    Column, CreateTable, CreateTableError, Creation, Evolution, ForgetfulTable, ParseTableError,
    TableInfo, TableName,
};
pub use tls::{Identity, TlsOptions};
