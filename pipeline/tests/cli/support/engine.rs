use std::{
    env,
    path::PathBuf,
    sync::{Arc, Mutex, Weak},
};

use clickhouse::{Client, Compression};
use volley_embedded::{ClickHouseError, ClickHouseOptions, EmbeddedClickHouse, cache};

use super::{RUNTIME, random_name, skip};

/// A database of one test's own in an engine that the tests of this process share.
pub(crate) struct Database {
    engine: Arc<Engine>,
    pub(crate) name: String,
}

/// Who the engine lets in.
pub(crate) const USER: &str = "loader";
pub(crate) const PASSWORD: &str = "two words & 100 %";

/// A process has one engine. It closes with the last test that uses it, because a process that ends
/// with an open one may crash.
struct Engine {
    clickhouse: Option<EmbeddedClickHouse>,
    url: String,
}

impl Drop for Engine {
    fn drop(&mut self) {
        if let Some(clickhouse) = self.clickhouse.take() {
            RUNTIME.block_on(clickhouse.shutdown());
        }
    }
}

/// A new database, or `None` where there is no engine to be had, after saying so.
pub(crate) fn database() -> Option<Database> {
    static ENGINE: Mutex<Weak<Engine>> = Mutex::new(Weak::new());
    if !has_engine() {
        return None;
    }
    let mut shared = ENGINE.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    let engine = shared.upgrade().unwrap_or_else(|| {
        let engine = Arc::new(Engine::start());
        *shared = Arc::downgrade(&engine);
        engine
    });
    drop(shared);
    let database = Database { engine, name: random_name("db") };
    database.query(&format!("CREATE DATABASE {}", database.name));
    Some(database)
}

/// Whether there is an engine to be had; says so if not.
pub(crate) fn has_engine() -> bool {
    let named = env::var_os(cache::LIBCHDB_VAR).map(PathBuf::from);
    let path = named.unwrap_or_else(cache::libchdb_path);
    if path.is_file() {
        return true;
    }
    skip(&ClickHouseError::NoLibrary { path }.to_string());
    false
}

impl Engine {
    fn start() -> Self {
        let start = || {
            RUNTIME.block_on(EmbeddedClickHouse::start(ClickHouseOptions {
                user: USER.to_owned(),
                password: PASSWORD.to_owned(),
                ..ClickHouseOptions::default()
            }))
        };
        // The one before may still be closing.
        let clickhouse = super::eventually("the engine's turn", || match start() {
            Err(ClickHouseError::AlreadyRunning) => None,
            started => Some(started.unwrap()),
        });
        Self { url: clickhouse.url().to_owned(), clickhouse: Some(clickhouse) }
    }
}

impl Database {
    pub(crate) fn url(&self) -> &str {
        &self.engine.url
    }

    /// The table that tests load into.
    pub(crate) fn table(&self) -> String {
        format!("{}.rows", self.name)
    }

    /// The answer to a query, tab separated and not escaped, without the last line end.
    #[track_caller]
    pub(crate) fn query(&self, sql: &str) -> String {
        ask(&client(self.url()).with_user(USER).with_password(PASSWORD), sql)
    }

    /// Rows in the table, once any that came twice are one; 0 without a table.
    #[track_caller]
    pub(crate) fn count(&self) -> u64 {
        if self.query(&format!("EXISTS {}", self.table())) == "0" {
            return 0;
        }
        self.query(&format!("SELECT uniqExact(device, ts) FROM {}", self.table())).parse().unwrap()
    }
}

/// Asks a server that lets everybody in.
#[track_caller]
pub(crate) fn query(url: &str, sql: &str) -> String {
    ask(&client(url), sql)
}

fn client(url: &str) -> Client {
    Client::default().with_url(url).with_compression(Compression::None)
}

#[track_caller]
fn ask(client: &Client, sql: &str) -> String {
    let answer = RUNTIME
        .block_on(async { client.query_raw(sql).fetch_bytes("TabSeparatedRaw")?.collect().await });
    let answer = answer.unwrap_or_else(|error| panic!("{error}: {sql}"));
    String::from_utf8(answer.to_vec()).unwrap().trim_end_matches('\n').to_owned()
}
