use std::{fmt, future::Future, pin::pin, time::Duration};

use bytes::{Bytes, BytesMut};
use clickhouse::{
    Client, Compression, Row, RowOwned, RowRead, error::Error as LibError,
    insert_formatted::InsertFormatted,
};
use futures_util::{Stream, StreamExt as _};

use super::{ClickHouseError, TlsOptions, tls};

/// The first version whose Arrow reader takes compressed buffers.
pub const MIN_VERSION: (u32, u32) = (23, 11);

/// Pieces of a body smaller than this are copied and sent together. Copying larger ones would cost
/// more than sending them does.
const SMALL_BYTES: usize = 32 * 1024;

/// Most bytes of pieces that are sent together.
const GATHER_BYTES: usize = 256 * 1024;

/// Longest wait for the server to take a piece of an insert's body.
const SEND_TIMEOUT: Duration = Duration::from_secs(60);

/// How to reach a server, or one of several.
#[derive(Clone)]
pub struct ClickHouseOptions {
    /// HTTP or HTTPS addresses, such as `http://127.0.0.1:8123`; what one of them stores, all must
    /// have: replicas of one table.
    pub urls: Vec<String>,
    /// User; the server's default if `None`.
    pub user: Option<String>,
    /// Password; never shown.
    pub password: Option<String>,
    /// How long an answer to a query may take.
    pub timeout: Duration,
    /// Whom to trust at an HTTPS address.
    pub tls: TlsOptions,
}

impl fmt::Debug for ClickHouseOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClickHouseOptions")
            .field("urls", &self.urls)
            .field("user", &self.user)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

/// A server that has answered.
#[derive(Clone)]
pub struct ClickHouse {
    client: Client,
    url: String,
    timeout: Duration,
    version: String,
}

impl fmt::Debug for ClickHouse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClickHouse")
            .field("url", &self.url)
            .field("version", &self.version)
            .finish_non_exhaustive()
    }
}

impl ClickHouse {
    /// Asks the server at an address for its version, which must be [`MIN_VERSION`] or later.
    ///
    /// # Errors
    ///
    /// [`ClickHouseError`], within the options' timeout.
    pub async fn connect(url: &str, options: &ClickHouseOptions) -> Result<Self, ClickHouseError> {
        let mut client = tls::client(&options.tls)?
            .with_url(url)
            .with_compression(Compression::None)
            .with_product_info("volley", env!("CARGO_PKG_VERSION"));
        for (flag, text) in [("--user", &options.user), ("--password", &options.password)] {
            if text.iter().flat_map(|text| text.bytes()).any(|byte| !(b' '..=b'~').contains(&byte))
            {
                return Err(ClickHouseError::Credential { flag });
            }
        }
        if let Some(user) = &options.user {
            client = client.with_user(user);
        }
        if let Some(password) = &options.password {
            client = client.with_password(password);
        }
        let mut server =
            Self { client, url: url.to_owned(), timeout: options.timeout, version: String::new() };
        server.version = server.fetch_one("SELECT version()", &[]).await?;
        if parse_version(&server.version).is_none_or(|version| version < MIN_VERSION) {
            return Err(ClickHouseError::TooOld { url: server.url, found: server.version });
        }
        tracing::info!(url = server.url, version = server.version, "connected to clickhouse");
        Ok(server)
    }

    /// One that was never asked.
    #[cfg(test)]
    pub(crate) fn unasked(url: &str, timeout: Duration) -> Self {
        let client = Client::default().with_url(url).with_compression(Compression::None);
        Self { client, url: url.to_owned(), timeout, version: String::new() }
    }

    /// The server's address.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The server's version.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Runs a statement without a result.
    ///
    /// # Errors
    ///
    /// [`ClickHouseError`].
    pub async fn execute(&self, sql: &str) -> Result<(), ClickHouseError> {
        self.in_time(self.client.query_raw(sql).execute()).await
    }

    /// The one row of a query; each `?` takes a text of `arguments`.
    ///
    /// # Errors
    ///
    /// [`ClickHouseError`].
    pub async fn fetch_one<T>(&self, sql: &str, arguments: &[&str]) -> Result<T, ClickHouseError>
    where
        T: RowOwned + RowRead,
    {
        let query = arguments.iter().fold(self.client.query(sql), |query, text| query.bind(text));
        self.in_time(query.fetch_one()).await
    }

    /// All rows of a query, which should be few; each `?` takes a text of `arguments`.
    ///
    /// # Errors
    ///
    /// [`ClickHouseError`].
    pub async fn fetch_all<T>(
        &self,
        sql: &str,
        arguments: &[&str],
    ) -> Result<Vec<T>, ClickHouseError>
    where
        T: Row + RowOwned + RowRead,
    {
        let query = arguments.iter().fold(self.client.query(sql), |query, text| query.bind(text));
        self.in_time(query.fetch_all()).await
    }

    /// Streams `body` to an `INSERT … FORMAT …` statement, with settings for this one insert.
    ///
    /// Ends when the server has stored it all, or after `timeout`. Dropping the future aborts the
    /// insert, and so does an error of the body: either everything or nothing is stored then.
    ///
    /// # Errors
    ///
    /// That of the body, or [`ClickHouseError`]; after a time-out or a lost connection it is unknown
    /// whether the rows were stored, and a repeated insert needs the same deduplication token.
    pub async fn insert<E: From<ClickHouseError>>(
        &self,
        sql: &str,
        settings: &[(&str, &str)],
        body: impl Stream<Item = Result<Bytes, impl Into<E>>>,
        timeout: Duration,
    ) -> Result<(), E> {
        let insert = self.client.insert_formatted_with(sql);
        let insert = insert.with_timeouts(Some(SEND_TIMEOUT), None);
        let mut insert = settings
            .iter()
            .fold(insert, |insert, (name, value)| insert.with_setting(*name, *value));
        let sending = async {
            let done = match send_all(&mut insert, body).await? {
                Ok(()) => insert.end().await,
                // No more is taken: the server may have answered to what it has.
                Err(error @ LibError::Network(_)) => Err(insert.end().await.err().unwrap_or(error)),
                Err(error) => Err(error),
            };
            done.map_err(|error| ClickHouseError::new(&self.url, SEND_TIMEOUT, error).into())
        };
        match tokio::time::timeout(timeout, sending).await {
            Ok(sent) => sent,
            Err(_) => Err(ClickHouseError::TimedOut { url: self.url.clone(), timeout }.into()),
        }
    }

    async fn in_time<T>(
        &self,
        answer: impl Future<Output = Result<T, clickhouse::error::Error>>,
    ) -> Result<T, ClickHouseError> {
        match tokio::time::timeout(self.timeout, answer).await {
            Ok(answer) => {
                answer.map_err(|error| ClickHouseError::new(&self.url, self.timeout, error))
            }
            Err(_) => {
                Err(ClickHouseError::TimedOut { url: self.url.clone(), timeout: self.timeout })
            }
        }
    }
}

/// Sends a body as far as it is taken. An error of its own is the outer one.
async fn send_all<E>(
    insert: &mut InsertFormatted,
    body: impl Stream<Item = Result<Bytes, impl Into<E>>>,
) -> Result<Result<(), LibError>, E> {
    let mut body = pin!(body);
    // Small pieces in small packets would each wait for the other side's delayed answer.
    let mut gathered = BytesMut::new();
    loop {
        let chunk = body.next().await.transpose().map_err(Into::into)?;
        let small = chunk.as_ref().filter(|chunk| chunk.len() < SMALL_BYTES);
        let fits = |small: &Bytes| gathered.len() + small.len() <= GATHER_BYTES;
        if !small.is_some_and(fits)
            && !gathered.is_empty()
            && let Err(error) = insert.send(gathered.split().freeze()).await
        {
            return Ok(Err(error));
        }
        match (small, &chunk) {
            (Some(small), _) => gathered.extend_from_slice(small),
            (None, Some(large)) => {
                if let Err(error) = insert.send(large.clone()).await {
                    return Ok(Err(error));
                }
            }
            (None, None) => return Ok(Ok(())),
        }
    }
}

fn parse_version(text: &str) -> Option<(u32, u32)> {
    let mut parts = text.split('.').map(str::parse);
    Some((parts.next()?.ok()?, parts.next()?.ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_compare_by_number() {
        assert_eq!(parse_version("23.11.1.2711"), Some((23, 11)));
        assert_eq!(parse_version("26.7-lts"), None);
        assert!(parse_version("23.8.16.40") < Some(MIN_VERSION));
        assert!(parse_version("24.3") > Some(MIN_VERSION));
        assert_eq!(parse_version("?"), None);
    }
}
