//! Runs both parts until Ctrl-C: `cargo run -p volley-embedded --example serve [DATA-FOLDER]`.

use std::error::Error;

use volley_embedded::{ClickHouseOptions, EmbeddedBroker, EmbeddedClickHouse, NOTICE};

#[tokio::main]
#[allow(clippy::print_stdout, clippy::print_stderr)] // an example talks to its user
async fn main() -> Result<(), Box<dyn Error>> {
    let data = std::env::args_os().nth(1).map(Into::into);
    let broker = EmbeddedBroker::start()?;
    let options = ClickHouseOptions { data, ..ClickHouseOptions::default() };
    let clickhouse = EmbeddedClickHouse::start(options).await?;
    eprintln!("{NOTICE}");
    println!("brokers    {}", broker.bootstrap_servers());
    println!("clickhouse {} (version {})", clickhouse.url(), clickhouse.version());
    tokio::signal::ctrl_c().await?;
    clickhouse.shutdown().await;
    Ok(())
}
