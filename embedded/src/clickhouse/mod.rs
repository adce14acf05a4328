//! ClickHouse's engine behind ClickHouse's HTTP interface.

mod body;
mod form;
mod http;
mod request;
mod run;
mod statement;

use std::env;
use std::ffi::CString;
use std::io;
use std::net::SocketAddr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time;

use crate::cache;
use crate::chdb::{Connection, Library};
use crate::clickhouse::http::Endpoint;
use crate::clickhouse::request::Credentials;

/// How long [`EmbeddedClickHouse::shutdown`] lets requests finish, and how long it then waits for
/// those that it cut off.
const GRACE: Duration = Duration::from_secs(5);

const KILL_OTHERS: &[u8] = b"KILL QUERY WHERE query_id != queryID() ASYNC";

/// How to start an [`EmbeddedClickHouse`].
#[derive(Clone, Debug)]
pub struct ClickHouseOptions {
    /// The folder for the engine's data, created where missing and kept. `None`: a temporary one,
    /// removed at shutdown.
    pub data: Option<PathBuf>,
    /// Where to listen. Loopback only; port 0 takes a free one.
    pub listen: SocketAddr,
    /// The library to load. `None`: the one that `VOLLEY_LIBCHDB` names, then the one in the cache
    /// ([`cache::libchdb_path`]). A process keeps the library that it loaded first.
    pub libchdb: Option<PathBuf>,
    /// The one user that is let in. Requests that name none are `default`.
    pub user: String,
    /// That user's password.
    pub password: String,
}

impl Default for ClickHouseOptions {
    fn default() -> Self {
        Self {
            data: None,
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            libchdb: None,
            user: "default".into(),
            password: String::new(),
        }
    }
}

/// Why an [`EmbeddedClickHouse`] did not start or stop.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClickHouseError {
    /// There is no library.
    #[error(
        "no libchdb at {}: run `cargo xtask setup`, or set {} to a libchdb.so of chDB's releases \
         (https://github.com/chdb-io/chdb/releases)",
        path.display(), cache::LIBCHDB_VAR
    )]
    NoLibrary {
        /// Where it was looked for last.
        path: PathBuf,
    },
    /// The file is there and is no libchdb for this machine, or too old a one.
    #[error("cannot load {}: set {} to another libchdb", path.display(), cache::LIBCHDB_VAR)]
    Load {
        /// The file.
        path: PathBuf,
        /// What the loader said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// This process already has an engine.
    #[error("this process already runs an embedded ClickHouse: shut that one down first")]
    AlreadyRunning,
    /// The data folder cannot be used.
    #[error("cannot use the ClickHouse data folder {}", path.display())]
    Data {
        /// The folder.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The engine did not start on a folder that seemed usable.
    #[error(
        "the engine did not start on the data folder {}: is it another process's, or written by a \
         newer version?",
        path.display()
    )]
    Engine {
        /// The folder.
        path: PathBuf,
    },
    /// The engine does not answer a simple query.
    #[error("the engine started, but fails: {message}")]
    Broken {
        /// What it said.
        message: String,
    },
    /// The address cannot be listened on.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why not.
        source: io::Error,
    },
    /// The address is reachable from other machines.
    #[error("the embedded ClickHouse listens on loopback only, not on {address}: use 127.0.0.1")]
    NotLoopback {
        /// The address.
        address: SocketAddr,
    },
}

/// ClickHouse's engine in this process, answering its HTTP interface on loopback.
///
/// For trying out and testing. What it answers as a server would: queries in the URL, the body or
/// a form; `INSERT … FORMAT …` with a body of any length, which the engine reads as it arrives;
/// `database`, `default_format`, settings and `param_…` in the URL, for that query only; errors
/// with ClickHouse's codes, statuses and texts; `/ping`.
///
/// What it lacks: sessions (`session_id` is accepted, but every request starts afresh, so `SET`
/// and temporary tables do not last), roles, external tables, `INTO OUTFILE`, and the `query_id`
/// that a client chooses in the engine's own logs.
///
/// Results in row formats without header or footer (TabSeparated, CSV, JSONEachRow, RowBinary,
/// Native and their like) are streamed, all others are made whole in memory before they are sent.
///
/// One engine lives in a process: a second start fails until the first was shut down.
#[derive(Debug)]
pub struct EmbeddedClickHouse {
    url: String,
    version: String,
    stop_accepting: watch::Sender<bool>,
    server: JoinHandle<()>,
    engine: Engine,
}

/// What has to go in this order: the last session, the folder, the claim on the process.
#[derive(Debug)]
struct Engine {
    root: Connection,
    endpoint: Arc<Endpoint>,
    _scratch: Option<TempDir>,
    _claim: Claim,
}

impl Engine {
    /// Breaks off requests, and the statements among them that wait for nobody, such as
    /// INSERT … SELECT.
    fn cut_off(&mut self) {
        self.endpoint.cut_off();
        if let Err(error) = self.root.query(KILL_OTHERS, "Null", &[]) {
            tracing::warn!(%error, "cannot stop statements of the embedded ClickHouse");
        }
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.cut_off();
    }
}

impl EmbeddedClickHouse {
    /// Loads the library, starts the engine on the data folder, and listens.
    ///
    /// # Errors
    ///
    /// See [`ClickHouseError`]; whatever was started by then is stopped again.
    pub async fn start(options: ClickHouseOptions) -> Result<Self, ClickHouseError> {
        let address = options.listen;
        if !address.ip().is_loopback() {
            return Err(ClickHouseError::NotLoopback { address });
        }
        let listen = |source| ClickHouseError::Listen { address, source };
        let listener = TcpListener::bind(address).await.map_err(listen)?;
        let address = listener.local_addr().map_err(listen)?;

        let path = find_library(options.libchdb.as_deref());
        let data = options.data;
        let credentials = Credentials { user: options.user, password: options.password };
        let started =
            tokio::task::spawn_blocking(move || start_engine(&path, data.as_deref(), credentials));
        let Started { engine, version } = match started.await {
            Ok(started) => started?,
            Err(join) => {
                return Err(ClickHouseError::Broken { message: join.to_string() });
            }
        };

        let (stop_accepting, stopped) = watch::channel(false);
        let server = tokio::spawn(http::serve(listener, Arc::clone(&engine.endpoint), stopped));
        let url = format!("http://{address}");
        tracing::debug!(%url, %version, "embedded ClickHouse is up");
        Ok(Self { url, version, stop_accepting, server, engine })
    }

    /// Where it listens: `http://127.0.0.1:PORT`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The engine's version, such as `26.7.2.1`: what `SELECT version()` answers.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Stops accepting, lets requests finish for up to 5 s, cuts off what is left, and closes the
    /// engine, which writes what it holds. A kept data folder opens again afterwards, in this
    /// process or another.
    ///
    /// Not cancel-safe: await it to its end. Dropping the handle instead closes the engine too,
    /// but blocks the thread and does not wait for the requests under way.
    pub async fn shutdown(mut self) {
        // The receiver lives in the server's task: if that is gone, so are the requests.
        let _ = self.stop_accepting.send(true);
        if time::timeout(GRACE, &mut self.server).await.is_err() {
            tracing::warn!("requests to the embedded ClickHouse did not finish: cutting them off");
        }
        self.server.abort();
        let Self { mut engine, .. } = self;
        let closed = tokio::task::spawn_blocking(move || {
            engine.cut_off();
            if Handle::current().block_on(time::timeout(GRACE, engine.endpoint.idle())).is_err() {
                tracing::warn!("a statement of the embedded ClickHouse does not end: leaving it");
            }
            // Closing writes to disk and joins threads.
            drop(engine);
        });
        if closed.await.is_err() {
            tracing::warn!("closing the embedded ClickHouse failed");
        }
    }
}

/// Where to load libchdb from.
fn find_library(option: Option<&Path>) -> PathBuf {
    option
        .map(Path::to_owned)
        .or_else(|| env::var_os(cache::LIBCHDB_VAR).filter(|path| !path.is_empty()).map(Into::into))
        .unwrap_or_else(cache::libchdb_path)
}

struct Started {
    engine: Engine,
    version: String,
}

fn start_engine(
    library: &Path,
    data: Option<&Path>,
    credentials: Credentials,
) -> Result<Started, ClickHouseError> {
    if !library.is_file() {
        return Err(ClickHouseError::NoLibrary { path: library.to_owned() });
    }
    let claim = Claim::take().ok_or(ClickHouseError::AlreadyRunning)?;
    let library = Library::get(library).map_err(|error| ClickHouseError::Load {
        path: library.to_owned(),
        source: Box::new(error),
    })?;
    let (scratch, path) = data_folder(data)?;
    // Where standard error is a terminal the engine would log to it, a complaint about its own
    // threads with every insert among it.
    let quiet = [c"--progress=off", c"--logger.console=0"];
    let mut arguments = vec![CString::from(c"clickhouse")];
    arguments.extend(quiet.map(CString::from));
    let mut path_argument = b"--path=".to_vec();
    path_argument.extend_from_slice(path.as_os_str().as_bytes());
    arguments.push(
        CString::new(path_argument)
            .map_err(|error| ClickHouseError::Data { path: path.clone(), source: error.into() })?,
    );
    let mut root = Connection::open(library, &arguments).ok_or(ClickHouseError::Engine { path })?;
    let (answer, _) = root
        .query(b"SELECT version(), timezone()", "TabSeparatedRaw", &[])
        .map_err(|exception| ClickHouseError::Broken { message: exception.message })?;
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let (version, timezone) = answer.trim_end().split_once('\t').unwrap_or((&answer, "UTC"));
    let endpoint = Arc::new(Endpoint::new(library, arguments, credentials, version, timezone));
    let engine = Engine { root, endpoint, _scratch: scratch, _claim: claim };
    Ok(Started { engine, version: version.to_owned() })
}

/// The folder to use, absolute, and the temporary one to remove later.
fn data_folder(data: Option<&Path>) -> Result<(Option<TempDir>, PathBuf), ClickHouseError> {
    let fail = |path: &Path| {
        let path = path.to_owned();
        move |source| ClickHouseError::Data { path, source }
    };
    if let Some(data) = data {
        std::fs::create_dir_all(data).map_err(fail(data))?;
        let path = data.canonicalize().map_err(fail(data))?;
        // The engine says nothing about a folder that it cannot write, and may end the process.
        tempfile::tempfile_in(&path).map_err(fail(&path))?;
        return Ok((None, path));
    }
    let parent = env::temp_dir();
    let scratch = tempfile::Builder::new().prefix("volley-clickhouse-").tempdir();
    let scratch = scratch.map_err(fail(&parent))?;
    let path = scratch.path().to_owned();
    Ok((Some(scratch), path))
}

/// The right to run this process's one engine.
#[derive(Debug)]
struct Claim;

static CLAIMED: AtomicBool = AtomicBool::new(false);

impl Claim {
    fn take() -> Option<Self> {
        (!CLAIMED.swap(true, Ordering::AcqRel)).then_some(Self)
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        CLAIMED.store(false, Ordering::Release);
    }
}
