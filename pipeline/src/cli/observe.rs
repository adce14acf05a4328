use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use clap::Args;

use crate::{
    human::parse_duration,
    observe::{Observed, ServeError, Server},
};

/// How a load can be watched.
#[derive(Debug, Args)]
#[command(next_help_heading = "Observing")]
pub(crate) struct ObserveArgs {
    /// Serve Prometheus metrics at /metrics, health at /healthz, readiness at /readyz. A port alone is
    /// on 127.0.0.1; at any other address, anyone who reaches it can read them: there is no password
    #[arg(
        long,
        visible_alias = "metrics-address",
        value_name = "[ADDRESS:]PORT",
        value_parser = parse_address
    )]
    pub(crate) metrics: Option<SocketAddr>,

    /// How long nothing may be loaded of a partition that has something to load, before /healthz says
    /// that it is stalled. --block-age comes on top
    #[arg(
        long,
        value_name = "DURATION",
        default_value = "60s",
        value_parser = parse_duration,
        requires = "metrics"
    )]
    pub(crate) stall_after: Duration,
}

/// How a produce can be watched, where `--metrics` says which columns there are.
#[derive(Debug, Args)]
#[command(next_help_heading = "Observing")]
pub(crate) struct ObserveProduceArgs {
    /// Serve Prometheus metrics at /metrics, health at /healthz, readiness at /readyz. A port alone is
    /// on 127.0.0.1; at any other address, anyone who reaches it can read them: there is no password
    #[arg(long, value_name = "[ADDRESS:]PORT", value_parser = parse_address)]
    pub(crate) metrics_address: Option<SocketAddr>,

    /// How long nothing may be acknowledged while something is in flight, before /healthz says that it
    /// is stalled
    #[arg(
        long,
        value_name = "DURATION",
        default_value = "60s",
        value_parser = parse_duration,
        requires = "metrics_address"
    )]
    pub(crate) stall_after: Duration,
}

fn parse_address(text: &str) -> Result<SocketAddr, String> {
    let on_loopback = |port: u16| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let port = text.strip_prefix("localhost:").unwrap_or(text);
    port.parse().map(on_loopback).or_else(|_| text.parse()).map_err(|_| {
        "expected a port such as 9464, or an address such as 127.0.0.1:9464 or [::1]:9464"
            .to_owned()
    })
}

/// Serves what is known of a run, if there is an address to do it at; until the server is dropped.
pub(crate) fn serve(
    address: Option<SocketAddr>,
    observed: Arc<dyn Observed>,
) -> Result<Option<Server>, ServeError> {
    let Some(address) = address else {
        return Ok(None);
    };
    let server = Server::start(address, observed)?;
    let address = server.address();
    tracing::info!("serving metrics at http://{address}/metrics");
    if !address.ip().is_loopback() {
        tracing::warn!(%address, "anyone who reaches this address can read the metrics");
    }
    Ok(Some(server))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_alone_is_on_loopback() {
        let check = |text: &str, address: &str| {
            assert_eq!(parse_address(text), Ok(address.parse().unwrap()), "{text}");
        };
        check("9464", "127.0.0.1:9464");
        check("0", "127.0.0.1:0");
        check("localhost:9464", "127.0.0.1:9464");
        check("[::1]:9464", "[::1]:9464");
        check("0.0.0.0:9464", "0.0.0.0:9464");
        for wrong in
            ["", ":9464", "65536", "-1", "example.org:9464", "127.0.0.1", "http://127.0.0.1:1"]
        {
            assert!(parse_address(wrong).is_err(), "{wrong}");
        }
    }
}
