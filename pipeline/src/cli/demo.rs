use std::{io, num::NonZeroU64, path::PathBuf, sync::Arc, time::Duration};

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};

use super::{
    args::{CodecArgs, Format, Metrics},
    output::{BOLD, DIM, GOOD, line, print_result},
    status::Shown,
};
use crate::{
    demo::{DemoObserver, DemoOptions, DemoReport, demo},
    human::{Bytes, Count, Seconds, parse_duration},
    shutdown::Shutdown,
};

/// See the whole pipeline at work, with nothing to set up
///
/// Starts a Kafka broker and ClickHouse in this process, samples this machine,
/// sends the rows as Arrow record batches, loads them, and asks ClickHouse what it got.
#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// Batches to send
    #[arg(long, value_name = "N", default_value = "10", help_heading = "Batches")]
    batches: NonZeroU64,

    #[command(flatten)]
    codec: CodecArgs,

    /// Which columns rows have
    #[arg(long, value_name = "SET", default_value = "basic", help_heading = "Rows")]
    metrics: Metrics,

    /// Time between samples; 0 is as fast as it goes
    #[arg(
        long,
        value_name = "DURATION",
        default_value = "100us",
        value_parser = parse_duration,
        help_heading = "Rows"
    )]
    interval: Duration,

    /// Keep ClickHouse's data in this folder, rather than in a temporary one
    #[arg(long, value_name = "DIR", help_heading = "Output")]
    data: Option<PathBuf>,

    /// How to print the result
    #[arg(long, value_name = "FORMAT", default_value = "text", help_heading = "Output")]
    format: Format,
}

pub(crate) async fn run(args: DemoArgs) -> anyhow::Result<()> {
    let shutdown = Shutdown::on_signals()?;
    let options = DemoOptions {
        n_batches: args.batches.get(),
        rows_per_batch: args.codec.rows_per_batch,
        codec: args.codec.options(),
        metrics: args.metrics.into(),
        interval: args.interval,
        data: args.data,
    };
    let n_rows = options.n_batches.saturating_mul(options.rows_per_batch.get() as u64);
    let shown = Shown::new(bar(n_rows, args.format));
    let progress = Progress { bar: shown.bar().clone() };
    let report = demo(options, shutdown, Arc::new(progress)).await;
    drop(shown);
    let report = report?;
    print_result(args.format, &report, |out| print(out, &report))
}

/// A bar on standard error, where that is a terminal and a person reads the result.
fn bar(n_rows: u64, format: Format) -> ProgressBar {
    let template = "{bar:40.cyan/dim} {human_pos} of {human_len} rows queryable{msg}";
    let style = ProgressStyle::with_template(template);
    let style = style.unwrap_or_else(|_| ProgressStyle::default_bar()).progress_chars("━╸─");
    let bar = if format == Format::Json {
        ProgressBar::hidden()
    } else {
        // Hidden by itself where standard error is no terminal.
        ProgressBar::new(n_rows)
    };
    bar.with_style(style)
}

struct Progress {
    bar: ProgressBar,
}

impl DemoObserver for Progress {
    fn delivered(&self, n_rows: u64) {
        self.bar.set_message(format!(", {} in Kafka", Count(n_rows)));
    }

    fn loaded(&self, n_rows: u64) {
        self.bar.set_position(n_rows);
    }
}

fn print(out: &mut dyn io::Write, report: &DemoReport) -> io::Result<()> {
    let DemoReport { rows_sampled, rows_loaded, rows_queryable, .. } = *report;
    writeln!(out, "{BOLD}host metrics → Arrow IPC → Kafka → ClickHouse{BOLD:#}\n")?;
    let rows = format!(
        "{} sampled, {} loaded, {} queryable",
        Count(rows_sampled),
        Count(rows_loaded),
        Count(rows_queryable)
    );
    let is_equal = rows_sampled == rows_loaded && rows_loaded == rows_queryable;
    let verdict = if is_equal {
        format!("{GOOD}✓ nothing lost{GOOD:#}")
    } else {
        format!("{BOLD}✗ not the same{BOLD:#}")
    };
    line(out, "rows", format!("{rows}  {verdict}"))?;
    let per_message = rows_sampled / report.messages.max(1);
    let messages = format!(
        "{} of {} rows, {}, {} framing, {} each",
        Count(report.messages),
        Count(per_message),
        report.codec,
        report.framing,
        Bytes(report.payload_bytes / report.messages.max(1))
    );
    line(out, "messages", messages)?;
    let per_row = |bytes: u64| bytes as f64 / rows_sampled.max(1) as f64;
    let times = |bytes: u64| bytes as f64 / report.payload_bytes.max(1) as f64;
    let size = format!(
        "{:.1} B/row; raw Arrow is {:.1} ({:.1}×), JSON lines {:.0} ({:.1}×)",
        per_row(report.payload_bytes),
        per_row(report.raw_bytes),
        times(report.raw_bytes),
        per_row(report.json_bytes),
        times(report.json_bytes)
    );
    line(out, "size", size)?;
    let rates = report.rows_per_second;
    let speed = format!(
        "sample {}, batch {}, encode {}, insert {} rows/s",
        rate(rates.sample),
        rate(rates.batch),
        rate(rates.encode),
        rate(rates.insert)
    );
    line(out, "speed", speed)?;
    let in_ms = |ms: f64| Seconds(Duration::from_secs_f64(ms / 1e3));
    let freshness = format!(
        "p50 {}, p99 {} from sample to queryable",
        in_ms(report.freshness_p50_ms),
        in_ms(report.freshness_p99_ms)
    );
    line(out, "freshness", freshness)?;
    let clickhouse =
        format!("{}, max(cpu_used) = {:.1} %", report.clickhouse_version, report.max_cpu_used);
    line(out, "clickhouse", clickhouse)?;

    writeln!(out, "\n{DIM}last rows{DIM:#}")?;
    let width = report.last_rows.iter().map(|row| row.device.chars().count()).max().unwrap_or(0);
    for row in &report.last_rows {
        writeln!(
            out,
            "  {:width$}  {}  cpu {:5.1} %  memory {:5.1} %  +{} ms",
            row.device, row.ts, row.cpu_used, row.memory_used, row.run_elapsed_ms
        )?;
    }
    writeln!(out, "\n{DIM}next{DIM:#}")?;
    for (command, what) in [
        ("volley demo --batches 100 --codec zstd:9", "more rows, packed tighter"),
        ("volley dev", "the same broker and ClickHouse, to keep"),
        ("volley produce --help", "send rows to your own Kafka"),
        ("volley load --help", "load them into your own ClickHouse"),
    ] {
        writeln!(out, "  {command:<42} {DIM}{what}{DIM:#}")?;
    }
    Ok(())
}

/// Rows in a second, with three digits; a dash where the time was too short to tell.
fn rate(per_second: f64) -> String {
    if per_second <= 0.0 {
        return "–".to_owned();
    }
    let rate = crate::human::PerSecond(per_second as u64, Duration::from_secs(1)).to_string();
    rate.trim_end_matches("/s").to_owned()
}
