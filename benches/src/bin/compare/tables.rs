//! `compare.md`: the tables, and what they say against the goals.

use std::fmt::Write as _;

use crate::{
    freshness,
    party::{MESSAGE_ROWS, N_PARTITIONS, Party, Sender},
    report::Report,
    run::{Loaded, Sent},
    scaling::Scaling,
};

/// The page for people.
pub(crate) fn text(report: &Report) -> String {
    let mut out = String::new();
    let quick = if report.is_quick { " --quick" } else { "" };
    let scaling = if report.scaling.is_some() { " --scaling" } else { "" };
    let rounds = report.loaded.iter().filter(|loaded| loaded.party == Party::Volley).count();
    let _ = write!(
        out,
        "# Side by side\n\n`cargo xtask compare{quick}{scaling}`, {rounds} rounds of {rows} rows. {machine}\n\
         Apache Kafka {kafka}, ClickHouse {clickhouse} (libchdb), each in a process of its own. Messages of \
         {MESSAGE_ROWS} rows in {N_PARTITIONS} partitions. Medians; parties take turns; every table was compared \
         with the rows. CPU is user and system time of whole processes, start-up included; what it all means, \
         and what each party is, stands in [the README of the benches](../../README.md#side-by-side).\n",
        rows = count(report.n_rows),
        machine = report.machine.describe(),
        kafka = report.kafka,
        clickhouse = report.clickhouse,
    );
    goals(&mut out, report);
    end_to_end(&mut out, report);
    sending(&mut out, report);
    loading(&mut out, report);
    steps(&mut out, report);
    fresh(&mut out, report);
    if let Some(scaling) = &report.scaling {
        scaled(&mut out, scaling);
    }
    out
}

impl Report {
    /// CPU seconds of a million rows: sending.
    fn sending_cpu(&self, sender: Sender) -> f64 {
        self.sent(sender, |sent| sent.cost.cpu_s) / self.millions()
    }

    /// CPU seconds of a million rows: the loader's own.
    fn loader_cpu(&self, party: Party) -> f64 {
        self.loaded(party, Loaded::loader_cpu_s) / self.millions()
    }

    /// CPU seconds of a million rows: loader and engine.
    fn loading_cpu(&self, party: Party) -> f64 {
        self.loaded(party, |loaded| loaded.loader_cpu_s() + loaded.engine_cpu_s) / self.millions()
    }

    fn millions(&self) -> f64 {
        self.n_rows as f64 / 1e6
    }
}

/// A goal, what was found, and whether that is enough.
fn goals(out: &mut String, report: &Report) {
    out.push_str("\n## Goals\n\n| goal | found | |\n|---|---|---|\n");
    let mut goal = |what: &str, found: String, is_met: bool| {
        let met = if is_met { "met" } else { "**not met**" };
        let _ = writeln!(out, "| {what} | {found} | {met} |");
    };
    let parties = report.parties();
    if parties.contains(&Party::Python) {
        let own = |party: Party| report.sending_cpu(party.sender()) + report.loader_cpu(party);
        let all = |party: Party| report.sending_cpu(party.sender()) + report.loading_cpu(party);
        let (own, all) =
            (own(Party::Python) / own(Party::Volley), all(Party::Python) / all(Party::Volley));
        let found = format!(
            "{own:.1}× in the processes that are Volley or Python; {all:.1}× with the engine, whose work \
             is the same for both"
        );
        goal("rows per CPU second, end to end, at least 10× Python's", found, own >= 10.0);
    }
    if let Some(steps) = &report.steps {
        let (encode, one) = (steps.encode.ratio(), steps.encode_one_thread.ratio());
        let found = format!("{encode:.1}× as it comes, {one:.1}× with one thread");
        goal("encode at least 4× pyarrow's speed", found, encode >= 4.0);
        let (body, decode) = (steps.insert_body.ratio(), steps.decode_concat.ratio());
        let found = format!("{body:.0}×; {decode:.0}× without clickhouse-connect's encoding");
        goal("messages to insert at least 100× Python's speed", found, body >= 100.0);
    }
    for engine in [Party::EngineArrow, Party::EngineJson] {
        if parties.contains(&engine) {
            let (ours, theirs) = (report.loading_cpu(Party::Volley), report.loading_cpu(engine));
            let found = format!("{ours:.2} s against {theirs:.2} s a million rows");
            let what = format!("less CPU a row than the {}", engine.name());
            goal(&what, found, ours < theirs);
        }
    }
}

fn end_to_end(out: &mut String, report: &Report) {
    out.push_str(
        "\n## End to end\n\nCPU seconds for a million rows.\n\n\
         | | sending | loader | engine | in all | of Volley's |\n|---|--:|--:|--:|--:|--:|\n",
    );
    let all = |party: Party| report.sending_cpu(party.sender()) + report.loading_cpu(party);
    for party in report.parties() {
        let sender = party.sender();
        let _ = writeln!(
            out,
            "| {} | {:.3} | {:.3} | {:.3} | {:.3} | {:.1}× |",
            party.name(),
            report.sending_cpu(sender),
            report.loader_cpu(party),
            report.loaded(party, |loaded| loaded.engine_cpu_s) / report.millions(),
            all(party),
            all(party) / all(Party::Volley),
        );
    }
}

fn sending(out: &mut String, report: &Report) {
    out.push_str(
        "\n## Rows to topic\n\n\
         | | rows/s | CPU s | peak memory | broker's CPU s | bytes a row in the topic |\n\
         |---|--:|--:|--:|--:|--:|\n",
    );
    for sender in report.senders() {
        let median = |value: fn(&Sent) -> f64| report.sent(sender, value);
        let _ = writeln!(
            out,
            "| {} | {} | {:.2} | {} | {:.2} | {:.1} |",
            sender.name(),
            rate(median(|sent| sent.n_rows as f64 / sent.cost.wall_s)),
            median(|sent| sent.cost.cpu_s),
            megabytes(median(|sent| sent.cost.peak_bytes as f64)),
            median(|sent| sent.broker_cpu_s),
            median(|sent| sent.topic_bytes as f64 / sent.n_rows as f64),
        );
    }
}

fn loading(out: &mut String, report: &Report) {
    out.push_str(
        "\n## Topic to table\n\nTime until all rows can be queried. Merges are off: parts are what is left to \
         merge.\n\n| | rows/s | loader's CPU s | engine's CPU s | both | loader's peak | engine's peak | broker's \
         CPU s | parts |\n|---|--:|--:|--:|--:|--:|--:|--:|--:|\n",
    );
    for party in report.parties() {
        let median = |value: fn(&Loaded) -> f64| report.loaded(party, value);
        let peak = |loaded: &Loaded| loaded.loaders.iter().map(|cost| cost.peak_bytes).sum::<u64>();
        let _ = writeln!(
            out,
            "| {} | {} | {:.2} | {:.2} | {:.2} | {} | {} | {:.2} | {} |",
            party.name(),
            rate(median(|loaded| loaded.n_rows as f64 / loaded.wall_s)),
            median(Loaded::loader_cpu_s),
            median(|loaded| loaded.engine_cpu_s),
            median(|loaded| loaded.loader_cpu_s() + loaded.engine_cpu_s),
            megabytes(report.loaded(party, |loaded| peak(loaded) as f64)),
            megabytes(median(|loaded| loaded.engine_peak_bytes as f64)),
            median(|loaded| loaded.broker_cpu_s),
            median(|loaded| loaded.n_parts as f64),
        );
    }
}

fn steps(out: &mut String, report: &Report) {
    let Some(steps) = &report.steps else { return };
    let _ = write!(
        out,
        "\n## Single steps\n\nTime a message of {} rows, in turns in one process each.\n\n\
         | | Volley | Python | |\n|---|--:|--:|--:|\n",
        count(steps.message_rows as u64)
    );
    for (name, step) in [
        ("batch to message, zstd:1", steps.encode),
        ("the same, pyarrow with one thread", steps.encode_one_thread),
        ("messages to what is sent as an insert", steps.insert_body),
        ("the same, decoding and concatenating only", steps.decode_concat),
    ] {
        let (ours, theirs) = (step.volley_ns / 1e3, step.python_ns / 1e3);
        let ratio = step.ratio();
        let _ = writeln!(out, "| {name} | {ours:.2} µs | {theirs:.2} µs | {ratio:.1}× |");
    }
}

fn fresh(out: &mut String, report: &Report) {
    let _ = write!(
        out,
        "\n## Freshness\n\nAge of the newest row in the table, asked every 20 ms while this machine is sampled \
         every {} ms; messages of up to {} rows, {} ms at most until a message, and again until an insert. CPU \
         seconds for a thousand samples.\n\n\
         | | p50 | p99 | sampling and sending | loader | engine | in all |\n|---|--:|--:|--:|--:|--:|--:|\n",
        freshness::INTERVAL.as_millis(),
        freshness::MESSAGE_ROWS,
        freshness::WAIT.as_millis(),
    );
    for party in report.parties() {
        let thousands = report.fresh(party, |fresh| fresh.n_rows as f64) / 1000.0;
        let sender = report.fresh(party, |fresh| fresh.sender.cpu_s) / thousands;
        let loader = report.fresh(party, |fresh| fresh.loader_cpu_s) / thousands;
        let engine = report.fresh(party, |fresh| fresh.engine_cpu_s) / thousands;
        let _ = writeln!(
            out,
            "| {} | {:.0} ms | {:.0} ms | {sender:.3} | {loader:.3} | {engine:.3} | {:.3} |",
            party.name(),
            report.fresh(party, |fresh| fresh.p50_ms),
            report.fresh(party, |fresh| fresh.p99_ms),
            sender + loader + engine,
        );
    }
}

fn scaled(out: &mut String, scaling: &Scaling) {
    let header = "| | sending, rows/s | sending, CPU s a million | loading, rows/s | loader, CPU s a million | \
                  engine, CPU s a million | loader's peak |\n|---|--:|--:|--:|--:|--:|--:|\n";
    let _ = write!(out, "\n## Scaling\n\nVolley alone.\n\n{header}");
    for (sent, loaded) in &scaling.rows {
        scaled_row(out, &format!("{} rows", count(sent.n_rows)), sent, loaded);
    }
    let _ = write!(out, "\n{header}");
    for (sent, loaded) in &scaling.partitions {
        let title = match sent.n_partitions {
            1 => "1 partition".to_owned(),
            n => format!("{n} partitions"),
        };
        scaled_row(out, &title, sent, loaded);
    }
    out.push_str(
        "\n| loaders, 6 partitions | rows/s | loaders' CPU s a million | engine's CPU s a million |\n\
         |---|--:|--:|--:|\n",
    );
    for loaded in &scaling.loaders {
        let millions = loaded.n_rows as f64 / 1e6;
        let _ = writeln!(
            out,
            "| {} | {} | {:.3} | {:.3} |",
            loaded.n_loaders,
            rate(loaded.n_rows as f64 / loaded.wall_s),
            loaded.loader_cpu_s() / millions,
            loaded.engine_cpu_s / millions,
        );
    }
    let Some((_, longest)) = scaling.rows.last() else { return };
    let tenths = |rss: &[u64]| {
        let at = |tenth: usize| rss.get(tenth * rss.len().saturating_sub(1) / 10).copied();
        let values = (1..=10).filter_map(at).map(|bytes| megabytes(bytes as f64));
        values.collect::<Vec<_>>().join(", ")
    };
    for loader in &longest.loaders {
        let _ = writeln!(
            out,
            "\nMemory of the loader after each tenth of the time that {} rows took: {}.",
            count(longest.n_rows),
            tenths(&loader.rss_bytes)
        );
    }
}

fn scaled_row(out: &mut String, title: &str, sent: &Sent, loaded: &Loaded) {
    let millions = sent.n_rows as f64 / 1e6;
    let peak = loaded.loaders.iter().map(|cost| cost.peak_bytes).sum::<u64>();
    let _ = writeln!(
        out,
        "| {title} | {} | {:.3} | {} | {:.3} | {:.3} | {} |",
        rate(sent.n_rows as f64 / sent.cost.wall_s),
        sent.cost.cpu_s / millions,
        rate(loaded.n_rows as f64 / loaded.wall_s),
        loaded.loader_cpu_s() / millions,
        loaded.engine_cpu_s / millions,
        megabytes(peak as f64),
    );
}

fn count(n: u64) -> String {
    volley::human::Count(n).to_string()
}

fn megabytes(bytes: f64) -> String {
    format!("{:.0} MB", bytes / 1e6)
}

fn rate(per_second: f64) -> String {
    match per_second {
        rate if rate >= 1e6 => format!("{:.2} M", rate / 1e6),
        rate => format!("{:.0} k", rate / 1e3),
    }
}
