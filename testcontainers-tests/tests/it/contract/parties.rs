//! Who takes part, in which release.

use volley_embedded::cache::LIBCHDB_VERSION;

/// A foreign program.
#[derive(Debug)]
pub(crate) struct Party {
    /// As the docs call it.
    pub(crate) name: &'static str,
    pin: Pin,
    /// How it gets hold of our payloads; without it, it does not read them from bytes.
    pub(crate) reads: Option<&'static str>,
    /// How it writes its own.
    pub(crate) writes: Option<&'static str>,
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
}

/// Everyone whose column is in the tables.
pub(crate) const PARTIES: &[Party] = &[
    Party {
        name: "pyarrow",
        pin: Pin::Python("pyarrow"),
        reads: Some("`ipc.open_stream`, `ipc.open_file`"),
        writes: Some("`ipc.new_stream`, `ipc.new_file`"),
    },
    Party {
        name: "Polars",
        pin: Pin::Python("polars"),
        reads: Some("`read_ipc_stream`, `read_ipc`"),
        writes: Some("`write_ipc_stream`, `write_ipc`"),
    },
    Party {
        name: "DuckDB",
        pin: Pin::Python("duckdb"),
        reads: Some(
            "`CREATE TABLE … AS SELECT * FROM` what pyarrow opened, which is the way that needs no extension",
        ),
        writes: None,
    },
    Party {
        name: "arrow-js",
        pin: Pin::Npm("apache-arrow"),
        reads: Some("`tableFromIPC`, with lz4js and @bokuweb/zstd-wasm in its codec registry"),
        writes: Some("`tableToIPC`, with the same codecs"),
    },
    Party {
        name: "arrow-go",
        pin: Pin::Go("github.com/apache/arrow-go/v18"),
        reads: Some("`ipc.NewReader`, `ipc.NewFileReader`"),
        writes: None,
    },
    Party {
        name: "arrow-java",
        pin: Pin::Maven("arrow.version"),
        reads: Some("`ArrowStreamReader`, `ArrowFileReader`, with arrow-compression"),
        writes: None,
    },
    Party {
        name: "ClickHouse",
        pin: Pin::Libchdb,
        reads: Some("`INSERT … FORMAT ArrowStream` and `FORMAT Arrow` through HTTP"),
        writes: Some("`SELECT … FORMAT ArrowStream` and `FORMAT Arrow`"),
    },
    Party {
        name: "ClickHouse Kafka engine",
        pin: Pin::Libchdb,
        reads: Some(
            "a `Kafka` table with a materialized view, `kafka_format` `ArrowStream` and `Arrow`",
        ),
        writes: None,
    },
    Party {
        name: "clickhouse-connect",
        pin: Pin::Python("clickhouse-connect"),
        reads: Some("`insert_arrow` of what pyarrow read"),
        writes: None,
    },
    Party { name: "Bytewax", pin: Pin::Python("bytewax"), reads: None, writes: None },
    Party {
        name: "confluent-kafka",
        pin: Pin::Python("confluent-kafka"),
        reads: None,
        writes: None,
    },
];

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
        Pin::Libchdb => LIBCHDB_VERSION.split('.').take(2).collect::<Vec<_>>().join("."),
    }
}
