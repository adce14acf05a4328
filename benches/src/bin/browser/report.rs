//! The results as a page for people.

use std::fmt::Write as _;

use serde::Serialize;
use volley::human::Count;
use volley_benches::{machine::Machine, statistics::median};

use crate::{
    files::{File, Files},
    times::{Party, Run, Times},
};

const PEERS: [Party; 2] = [Party::ArrowJsJs, Party::ArrowJsWasm];

/// A column of the table: what is timed.
type Timed = (&'static str, fn(&Run) -> f64);
const TIMED: [Timed; 3] = [
    ("schema", |run| run.schema_ms),
    ("first row", |run| run.row_ms),
    ("all columns", |run| run.all_ms),
];

/// What `browser.json` holds.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) machine: Machine,
    pub(crate) is_quick: bool,
    #[serde(flatten)]
    pub(crate) files: Files,
    pub(crate) times: Times,
}

impl Report {
    pub(crate) fn to_markdown(&self) -> String {
        let version = |name: &str| self.times.versions.get(name).map_or("?", String::as_str);
        let mut out = format!(
            "# In the browser\n\n`cargo xtask bench --browser{}`. {} Chromium {}.\n\nVolley's wasm module and \
             arrow-js {} on the same files, in turns, each time in a worker of its own, so that neither's \
             code is warm. arrow-js has no codecs of its own: lz4js {} in JavaScript; zstd in JavaScript \
             (fzstd {}), or zstd's own code in wasm (@bokuweb/zstd-wasm {}).\n\nMilliseconds from the bytes \
             being in the worker until it has the schema, also the first row, also the least and greatest \
             value of every column, which needs all of them: both must find the same. Medians. How many \
             times as long arrow-js takes stands in brackets. Volley's schema comes with the place and the \
             size of every buffer of every batch, for which it walks the whole file; arrow-js reads the \
             first message. Record batches of 10,000 rows.\n",
            if self.is_quick { " --quick" } else { "" },
            self.machine.describe(),
            self.times.chromium,
            version("apache-arrow"),
            version("lz4js"),
            version("fzstd"),
            version("@bokuweb/zstd-wasm"),
        );
        for (name, time) in TIMED {
            let _ = writeln!(
                out,
                "\n## Time to {name}\n\n| file | rows | Volley | arrow-js, JavaScript | arrow-js, zstd in wasm |\n\
                 |---|--:|--:|--:|--:|"
            );
            for file in &self.files.files {
                self.line(&mut out, file, time);
            }
        }
        self.rest(&mut out);
        out
    }

    fn line(&self, out: &mut String, file: &File, time: fn(&Run) -> f64) {
        let File { name, data, codec, rows, bytes } = file;
        let own = self.times.median(name, Party::Volley, time).unwrap_or(f64::NAN);
        let _ = write!(out, "| {data}, {codec}, {} | {} |", size(*bytes), Count(*rows as u64));
        let _ = write!(out, " {} |", three_digits(own));
        for peer in PEERS {
            let _ = match self.times.median(name, peer, time) {
                None => write!(out, " – |"),
                Some(ms) => write!(out, " {} ({:.1}×) |", three_digits(ms), ms / own),
            };
        }
        out.push('\n');
    }

    fn rest(&self, out: &mut String) {
        let _ = write!(
            out,
            "\n## To begin with\n\nBytes to load, with brotli, and from the start of a worker until it takes \
             a file: fetched from this machine, compiled, initialised.\n\n| | bytes | ms |\n|---|--:|--:|\n"
        );
        let names = ["Volley", "arrow-js, JavaScript", "arrow-js, zstd in wasm"];
        for (name, party) in names.into_iter().zip([Party::Volley].into_iter().chain(PEERS)) {
            let bytes = self.times.sizes.get(&party).copied().unwrap_or_default();
            let ms = three_digits(self.times.start_ms(party));
            let _ = writeln!(out, "| {name} | {} | {ms} |", Count(bytes as u64));
        }
        let first = three_digits(median(&self.times.paints.first_ms));
        let again = three_digits(median(&self.times.paints.again_ms));
        let large = self.files.files.iter().find(|file| file.name == self.files.large);
        let _ = writeln!(
            out,
            "\n## The page\n\nFrom one record batch of 1 MB (logs, zstd:1) being dropped on the page until its \
             first rows are painted: {again} ms, and {first} ms where it is the first of a page that was just \
             opened.\n\nWhile a file of {} opened, and its columns were gone through, the longest task of the \
             page's own thread took {}.",
            large.map_or_else(String::new, |file| size(file.bytes)),
            match self.times.longest_task_ms {
                0.0 => "less than 50 ms".to_owned(),
                ms => format!("{ms:.0} ms"),
            }
        );
    }
}

fn size(bytes: usize) -> String {
    match bytes as f64 {
        bytes if bytes < 1e6 => format!("{:.0} kB", bytes / 1e3),
        bytes => format!("{} MB", three_digits(bytes / 1e6)),
    }
}

fn three_digits(value: f64) -> String {
    let digits = match value {
        v if v < 9.995 => 2,
        v if v < 99.95 => 1,
        _ => 0,
    };
    format!("{value:.digits$}")
}
