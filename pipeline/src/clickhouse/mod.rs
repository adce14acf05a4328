//! ClickHouse over HTTP: one client, its errors sorted by what to do about them, and tables.

mod client;
mod error;
mod servers;
mod table;
mod tls;

pub use client::{ClickHouse, ClickHouseOptions, MIN_VERSION};
pub use error::{ClickHouseError, ErrorKind};
pub use servers::Servers;
pub use table::{
    Column, CreateTable, CreateTableError, Creation, Evolution, ForgetfulTable, ParseTableError,
    TableInfo, TableName,
};
pub use tls::{Identity, TlsOptions};
