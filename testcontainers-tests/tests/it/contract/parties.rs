//! Who takes part, in which release.

use volley_embedded::cache::LIBCHDB_VERSION;

/// A foreign program.
#[derive(Debug)]
pub(crate) struct Party {
    /// As the docs call it.
    pub(crate) name: &'static str,
    pin: Pin,
    /// How it reads our payloads, if it does.
    pub(crate) reads: Option<&'static str>,
    /// How it writes its own.
    pub(crate) writes: Option<&'static str>,
    /// What it does with our topics.
    pub(crate) through_broker: Option<&'static str>,
}

/// Where its release is pinned.
#[derive(Debug)]
enum Pin {
    Python(&'static str),
    Npm(&'static str),
    Go(&'static str),
    Maven(&'static str),
    /// The engine that the embedded endpoint loads.
    Libchdb,
    /// What the system has; this is tried.
    System(&'static str),
}

/// Everyone, in the order of the docs.
pub(crate) const PARTIES: &[Party] = &[
    Party {
        reads: Some("`ipc.open_stream`, `ipc.open_file`"),
        writes: Some("`ipc.new_stream`, `ipc.new_file`"),
        ..party("pyarrow", Pin::Python("pyarrow"))
    },
    Party {
        reads: Some("`read_ipc_stream`, `read_ipc`"),
        writes: Some("`write_ipc_stream`, `write_ipc`"),
        ..party("Polars", Pin::Python("polars"))
    },
    Party {
        reads: Some(
            "`CREATE TABLE … AS SELECT` from what pyarrow opened: the way without extensions",
        ),
        ..party("DuckDB", Pin::Python("duckdb"))
    },
    Party {
        reads: Some("`tableFromIPC`, with lz4js and @bokuweb/zstd-wasm in its codec registry"),
        writes: Some("`tableToIPC`, with the same codecs"),
        ..party("arrow-js", Pin::Npm("apache-arrow"))
    },
    Party {
        reads: Some("`ipc.NewReader`, `ipc.NewFileReader`"),
        ..party("arrow-go", Pin::Go("github.com/apache/arrow-go/v18"))
    },
    Party {
        reads: Some("`ArrowStreamReader`, `ArrowFileReader`, with arrow-compression"),
        ..party("arrow-java", Pin::Maven("arrow.version"))
    },
    Party {
        reads: Some("`INSERT … FORMAT ArrowStream` and `FORMAT Arrow` through HTTP"),
        writes: Some("`SELECT … FORMAT ArrowStream` and `FORMAT Arrow`"),
        ..party("ClickHouse", Pin::Libchdb)
    },
    Party {
        reads: Some(
            "a `Kafka` table and a materialized view, `kafka_format` `ArrowStream` and `Arrow`",
        ),
        ..party("ClickHouse Kafka engine", Pin::Libchdb)
    },
    Party {
        reads: Some("`insert_arrow` of what pyarrow read"),
        ..party("clickhouse-connect", Pin::Python("clickhouse-connect"))
    },
    Party {
        through_broker: Some(
            "a dataflow reads our topic, both framings in it, into Polars and takes max(cpu_used) of \
             each device; another writes file-framed zstd messages, which `volley load` loads",
        ),
        ..party("Bytewax", Pin::Python("bytewax"))
    },
    Party {
        through_broker: Some("fetches key, value and headers as they were sent"),
        ..party("confluent-kafka", Pin::Python("confluent-kafka"))
    },
    Party {
        through_broker: Some("fetches single values by offset, byte for byte, and their headers"),
        ..party("kcat", Pin::System("1.7"))
    },
];

const fn party(name: &'static str, pin: Pin) -> Party {
    Party { name, pin, reads: None, writes: None, through_broker: None }
}

/// The release of a party that this checkout pins.
pub(crate) fn version(name: &str) -> String {
    let party = PARTIES.iter().find(|party| party.name == name).expect("a party");
    let after = |text: &str, mark: String, end: &[char]| {
        let (_, rest) = text.split_once(&mark).unwrap_or_else(|| panic!("no {mark} for {name}"));
        rest.split(end).next().unwrap().to_owned()
    };
    match party.pin {
        Pin::Python(package) => {
            let requirements = include_str!("../../../requirements.txt");
            after(requirements, format!("\n{package}=="), &['\n', ';'])
        }
        Pin::Npm(package) => {
            let manifest = include_str!("../../../contract/js/package.json");
            after(manifest, format!("\"{package}\": \""), &['"'])
        }
        Pin::Go(module) => {
            let module_file = include_str!("../../../contract/go/go.mod");
            after(module_file, format!("{module} v"), &['\n', ' '])
        }
        Pin::Maven(property) => {
            let pom = include_str!("../../../contract/java/pom.xml");
            after(pom, format!("<{property}>"), &['<'])
        }
        Pin::System(version) => version.to_owned(),
        Pin::Libchdb => LIBCHDB_VERSION.split('.').take(2).collect::<Vec<_>>().join("."),
    }
}
