//! Apache Kafka for people: `cargo xtask kafka`.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command-line tool")]

use std::process::ExitCode;

use clap::{Parser, value_parser};
use volley::shutdown::Shutdown;
use volley_e2e::{Access, KAFKA_VERSION, KafkaError, KafkaSize, NativeKafka};

/// Run Apache Kafka on loopback, until Ctrl-C
///
/// Its data lies in a temporary folder and goes when it ends. Topics are not made by themselves:
/// `volley produce --create-topic` makes one.
#[derive(Debug, Parser)]
#[command(bin_name = "cargo xtask kafka", help_expected = true)]
struct Cli {
    /// Brokers, each of about 220 MB of memory when it has started
    #[arg(long, value_name = "N", default_value = "1", value_parser = value_parser!(u16).range(1..=9))]
    brokers: u16,

    /// First of the ports, three for each broker: plain, with a password, with a certificate; 0 for
    /// any that are free
    #[arg(long, value_name = "PORT", default_value = "9092")]
    port: u16,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(&Cli::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let cause = std::error::Error::source(&error);
            let cause = cause.map(|cause| format!(": {cause}")).unwrap_or_default();
            eprintln!("error: {error}{cause}");
            ExitCode::from(2)
        }
    }
}

async fn run(cli: &Cli) -> Result<(), KafkaError> {
    let shutdown = Shutdown::on_signals()?;
    let first_port = (cli.port != 0).then_some(cli.port);
    let size = KafkaSize { n_brokers: cli.brokers, first_port };
    let starting = tokio::task::spawn_blocking(move || NativeKafka::start(size));
    let kafka = tokio::select! {
        started = starting => started.map_err(std::io::Error::other)??,
        () = shutdown.requested() => return Ok(()),
    };
    println!("Apache Kafka {KAFKA_VERSION}, until Ctrl-C\n");
    show("in the clear", &kafka.plain());
    show("TLS and a password (SCRAM-SHA-256 works too)", &kafka.with_password("SCRAM-SHA-512"));
    show("TLS and a certificate", &kafka.with_certificate());
    println!("volley load takes the same --brokers and --kafka");
    shutdown.requested().await;
    Ok(())
}

/// A command to paste.
fn show(title: &str, access: &Access) {
    let brokers = &access.brokers;
    print!("{title}\n  volley produce --topic metrics --create-topic --brokers {brokers}");
    for (key, value) in &access.properties {
        print!(" \\\n    --kafka {key}={value}");
    }
    println!("\n");
}
