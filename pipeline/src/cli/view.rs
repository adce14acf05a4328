//! `volley view`: the inspector in a browser, over files and topics.

use std::{
    io::Write as _, net::SocketAddr, num::NonZeroUsize, path::PathBuf, process::Command,
    process::Stdio, time::Duration,
};

use anyhow::{Context as _, bail};
use clap::Args;
use serde::Serialize;
use tokio::net::TcpListener;

use super::{
    args::{Format, parse_topic},
    env_vars,
    kafka_properties::PropertyArgs,
    output::{DIM, line},
};
use crate::{
    human::{parse_bytes, parse_duration},
    shutdown::Shutdown,
    view::{Cluster, Files, Page, ViewOptions, serve},
};

const EXAMPLES: &str = "\
Examples:
  volley view --open batch.arrows                     look into a file
  volley view --brokers localhost:9092                browse and follow every topic
  volley view --brokers localhost:9092 --topic metrics --listen 0.0.0.0:8080
                                                      one topic, for others too, who need the token";

/// Look into files and topics in the browser: rows, sizes, bytes, live
///
/// Serves the inspector's page on this machine, with a read-only API behind it: the files that are
/// named here, and the messages of a cluster, whose topics can be browsed and followed live. Nothing
/// is committed and no consumer group is joined. Runs until Ctrl-C.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ViewArgs {
    /// Files that the page may open
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,

    #[command(flatten)]
    kafka: ViewKafkaArgs,

    #[command(flatten)]
    server: ServerArgs,

    /// Open the page in the browser
    #[arg(long)]
    open: bool,

    /// How to print the address
    #[arg(long, value_name = "FORMAT", default_value = "text", help_heading = "Output")]
    format: Format,
}

/// Which messages can be looked at.
#[derive(Debug, Args)]
#[command(next_help_heading = "Kafka")]
struct ViewKafkaArgs {
    /// Addresses of the cluster, with commas between [default: no cluster]
    #[arg(long, value_name = "HOST:PORT", env = env_vars::BROKERS)]
    brokers: Option<String>,

    /// Show this topic only; may be given several times
    #[arg(long = "topic", value_name = "NAME", value_parser = parse_topic, requires = "brokers")]
    topics: Vec<String>,

    #[command(flatten)]
    properties: PropertyArgs,

    /// Longest wait for each answer of a broker
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = parse_duration)]
    timeout: Duration,
}

/// How the page is served.
#[derive(Debug, Args)]
#[command(next_help_heading = "Server")]
struct ServerArgs {
    /// Where to listen; port 0 takes a free one
    ///
    /// On any other address than loopback the page asks for a token, which the printed address has:
    /// whoever knows it can read what is served, and without TLS whoever is on the way as well.
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:0")]
    listen: SocketAddr,

    /// A name by which the page is reached, such as that of a proxy; may be given several times
    ///
    /// Requests for other names than localhost are refused, because any page of the web could make
    /// them.
    #[arg(long = "allow-host", value_name = "NAME", value_parser = parse_host)]
    allow_hosts: Vec<String>,

    /// Most bytes of a file that is served
    #[arg(long, value_name = "SIZE", default_value = "1GiB", value_parser = parse_bytes)]
    max_bytes: NonZeroUsize,

    /// Serve the page in this folder, as `cargo xtask viewer` builds it, rather than the one inside
    #[arg(long, value_name = "DIR")]
    page: Option<PathBuf>,
}

fn parse_host(text: &str) -> Result<String, String> {
    let is_legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    if text.is_empty() || !text.chars().all(is_legal) {
        return Err("expected a name without a port, such as viewer.example".to_owned());
    }
    Ok(text.to_ascii_lowercase())
}

#[derive(Serialize)]
struct Printed<'a> {
    url: &'a str,
    token: Option<&'a str>,
    files: usize,
    brokers: Option<&'a str>,
}

pub(crate) async fn run(args: ViewArgs) -> anyhow::Result<()> {
    let ViewArgs { files, kafka, server, open, format } = args;
    let n_files = files.len();
    let files = Files::new(files, server.max_bytes.get() as u64)
        .map_err(|(path, error)| anyhow::Error::new(error).context(path.display().to_string()))
        .context("cannot serve a file")?;
    let page = match &server.page {
        None => Page::built_in(),
        Some(folder) => Page::in_folder(folder)
            .with_context(|| format!("cannot read --page {}", folder.display()))?,
    };
    if !page.is_built() {
        tracing::warn!(
            "the page is not in this binary: `cargo xtask build` builds one that has it, or name it \
             by --page"
        );
    }
    let shutdown = Shutdown::on_signals()?;
    let brokers = kafka.brokers.clone();
    let cluster = match kafka.brokers {
        None => None,
        Some(brokers) => {
            let options = kafka.properties.options(&brokers, kafka.timeout);
            let connect = move || Cluster::connect(options, kafka.topics);
            Some(tokio::task::spawn_blocking(connect).await??)
        }
    };
    let listener = TcpListener::bind(server.listen)
        .await
        .with_context(|| format!("cannot listen on {}; check --listen", server.listen))?;
    let address = listener.local_addr()?;
    let token = (!address.ip().is_loopback()).then(|| format!("{:032x}", rand::random::<u128>()));
    let url = match &token {
        None => format!("http://{address}/"),
        // Behind the mark it is sent to nobody.
        Some(token) => format!("http://{address}/#token={token}"),
    };
    let printed =
        Printed { url: &url, token: token.as_deref(), files: n_files, brokers: brokers.as_deref() };
    print(format, &printed)?;
    if open && let Err(error) = open_browser(&url) {
        tracing::warn!("{error:#}");
    }
    let names = server.allow_hosts;
    serve(listener, ViewOptions { page, files, cluster, names, token }, shutdown).await?;
    Ok(())
}

fn print(format: Format, printed: &Printed<'_>) -> anyhow::Result<()> {
    let mut out = anstream::stdout().lock();
    match format {
        Format::Json => writeln!(out, "{}", serde_json::to_string(printed)?)?,
        Format::Text => {
            line(&mut out, "page", printed.url)?;
            line(&mut out, "kafka", printed.brokers.unwrap_or("none; --brokers names one"))?;
            line(&mut out, "files", printed.files)?;
            if printed.token.is_some() {
                let who = "Others can reach this. The address has the token that they need.";
                writeln!(out, "\n{DIM}{who}{DIM:#}")?;
            }
            writeln!(out, "\nCtrl-C ends it.")?;
        }
    }
    out.flush()?;
    Ok(())
}

fn open_browser(url: &str) -> anyhow::Result<()> {
    let program = if cfg!(target_os = "macos") { "open" } else { "xdg-open" };
    let started = Command::new(program)
        .arg(url)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    if let Err(error) = started {
        bail!("cannot open the browser by {program}: {error}; open the address by hand");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_names_alone() {
        assert_eq!(parse_host("Viewer.example"), Ok("viewer.example".to_owned()));
        for wrong in ["", "a:80", "http://a", "a/b", "a b", "*"] {
            assert!(parse_host(wrong).is_err(), "{wrong}");
        }
    }
}
