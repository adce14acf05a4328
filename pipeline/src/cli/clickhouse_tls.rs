use std::path::PathBuf;

use clap::Args;

use super::env_vars;
use crate::clickhouse::{Identity, TlsOptions};

/// Flags of every command that reaches ClickHouse through TLS.
#[derive(Debug, Args)]
#[command(next_help_heading = "ClickHouse")]
pub(crate) struct ClickHouseTlsArgs {
    /// PEM file with the authorities to trust at an https address [default: the system's]
    #[arg(long = "clickhouse-ca", value_name = "FILE", env = env_vars::CLICKHOUSE_CA)]
    authority: Option<PathBuf>,

    /// PEM file with a certificate to show there
    #[arg(
        long = "clickhouse-cert",
        value_name = "FILE",
        env = env_vars::CLICKHOUSE_CERT,
        requires = "key"
    )]
    certificate: Option<PathBuf>,

    /// PEM file with the certificate's key
    #[arg(
        long = "clickhouse-key",
        value_name = "FILE",
        env = env_vars::CLICKHOUSE_KEY,
        requires = "certificate"
    )]
    key: Option<PathBuf>,
}

impl From<ClickHouseTlsArgs> for TlsOptions {
    fn from(args: ClickHouseTlsArgs) -> Self {
        let pair = args.certificate.zip(args.key);
        let identity = pair.map(|(certificate, key)| Identity { certificate, key });
        Self { authority: args.authority, identity }
    }
}
