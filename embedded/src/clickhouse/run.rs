//! Runs one request on the engine. Everything here blocks, and runs on blocking threads only.

use std::io::{self, Read};
use std::mem;

use bytes::{Bytes, BytesMut};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot, watch};

use crate::chdb::{self, Connection, Exception, Progress};
use crate::clickhouse::body::{self, BodyReader};
use crate::clickhouse::form::{self, FormError};
use crate::clickhouse::request::{Request, unsupported};
use crate::clickhouse::statement::{self, Statement};

/// The longest statement taken, data of an INSERT not counted.
pub(crate) const MAX_STATEMENT_BYTES: usize = 1024 * 1024;

/// A result up to this size is answered whole: with its length, its full summary, and with an HTTP
/// status if it fails midway. A longer one is streamed from here on.
const WHOLE_RESULT_BYTES: usize = 1024 * 1024;

/// How many bytes of an INSERT go to the engine at once. It queues 16 such chunks.
const INSERT_CHUNK_BYTES: usize = 256 * 1024;

/// Formats whose results are streamed: those without a header, a footer, or an end mark. The engine
/// writes each block that it streams as a document of its own, so all others are made whole, in
/// memory.
const STREAMABLE: [&str; 12] = [
    "CSV",
    "JSONCompactEachRow",
    "JSONEachRow",
    "JSONLines",
    "JSONStringsEachRow",
    "NDJSON",
    "Native",
    "RowBinary",
    "TSV",
    "TSVRaw",
    "TabSeparated",
    "TabSeparatedRaw",
];

/// The answer to a request.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) format: String,
    pub(crate) progress: Progress,
    pub(crate) body: ReplyBody,
}

#[derive(Debug)]
pub(crate) enum ReplyBody {
    Whole(Bytes),
    /// Begins with these bytes; the rest follows, or fails.
    Stream(Bytes, mpsc::Receiver<Result<Bytes, Exception>>),
}

pub(crate) type ReplySender = oneshot::Sender<Result<Reply, Exception>>;

/// Runs the request and answers it. A receiver that is gone ends a result early.
pub(crate) fn run(
    connection: Option<Connection>,
    request: Request,
    body: BodyReader,
    reply: ReplySender,
    cut_off: watch::Receiver<bool>,
) {
    let Some(mut connection) = connection else {
        let _ = reply.send(Err(Exception::new(
            210,
            "NETWORK_ERROR",
            "the engine opened no session: it is shutting down, or out of resources",
        )));
        return;
    };
    // A client that is gone is told nothing: the error below then has no receiver.
    match prepare(&mut connection, request, body) {
        Ok(Prepared::Done(done)) => {
            let _ = reply.send(Ok(done));
        }
        Ok(Prepared::Query { sql, format, params }) => {
            answer_query(&mut connection, &sql, &format, &params, reply, cut_off);
        }
        Err(exception) => {
            let _ = reply.send(Err(exception));
        }
    }
}

enum Prepared {
    Done(Reply),
    Query { sql: Vec<u8>, format: String, params: Vec<(Vec<u8>, Vec<u8>)> },
}

fn prepare(
    connection: &mut Connection,
    mut request: Request,
    body: BodyReader,
) -> Result<Prepared, Exception> {
    if request.compress || request.decompress {
        return Err(unsupported("compress=1 and decompress=1: use Content-Encoding"));
    }
    let encoding = request.content_encoding.as_deref();
    let mut body = body::decode(body, encoding).map_err(|error| match error.kind() {
        io::ErrorKind::Unsupported => unsupported("such Content-Encoding: send lz4, zstd or none"),
        _ => unreadable(&error),
    })?;
    if let Some(boundary) = request.content_type.as_deref().and_then(form::boundary) {
        let boundary = boundary.to_owned();
        form::read(&mut body, &boundary, MAX_STATEMENT_BYTES, &mut request).map_err(|error| {
            match error {
                FormError::Read(error) => unreadable(&error),
                FormError::Refused(exception) => exception,
            }
        })?;
    }
    set_up(connection, &request)?;
    let mut head = request.query;
    if !head.is_empty() {
        // ClickHouse puts a line end between a query's parts in the URL and in the body.
        head.push(b'\n');
    }
    let mut text = Vec::new();
    let mut source = io::Cursor::new(head).chain(body);
    match read_statement(&mut source, &mut text)? {
        Statement::Insert { sql_len, format, data_at } => {
            let data = io::Cursor::new(&text[data_at..]).chain(source);
            insert(connection, &text[..sql_len], format, &request.params, data).map(Prepared::Done)
        }
        Statement::Other | Statement::Incomplete => {
            if statement::writes_outfile(&text) {
                return Err(unsupported("INTO OUTFILE"));
            }
            if statement::is_several(&text) {
                let text = "Syntax error (Multi-statements are not allowed)";
                return Err(Exception::new(62, "SYNTAX_ERROR", text));
            }
            let format = request.format.unwrap_or_else(|| "TabSeparated".into());
            Ok(Prepared::Query { sql: text, format, params: request.params })
        }
    }
}

/// Gives the fresh session the request's database and settings. It is closed after the request,
/// so nothing has to be undone.
fn set_up(connection: &mut Connection, request: &Request) -> Result<(), Exception> {
    if let Some(database) = request.database.as_ref().filter(|database| !database.is_empty()) {
        let mut sql = b"USE ".to_vec();
        quote(&mut sql, database, b'`');
        connection.query(&sql, "Null", &[])?;
    }
    let mut sql = b"SET ".to_vec();
    for (index, (name, value)) in request.settings.iter().enumerate() {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_.".contains(&byte);
        if name.is_empty() || !name.bytes().all(plain) {
            let text = format!("Unknown setting '{}'", name.escape_default());
            return Err(Exception::new(115, "UNKNOWN_SETTING", &text));
        }
        if index > 0 {
            sql.extend_from_slice(b", ");
        }
        sql.extend_from_slice(name.as_bytes());
        sql.extend_from_slice(b" = ");
        quote(&mut sql, value, b'\'');
    }
    if !request.settings.is_empty() {
        connection.query(&sql, "Null", &[])?;
    }
    if request.read_only {
        // 2: settings may still be changed, as for a server's GET.
        connection.query(b"SET readonly = 2", "Null", &[])?;
    }
    Ok(())
}

fn quote(sql: &mut Vec<u8>, text: &[u8], quote: u8) {
    sql.push(quote);
    for byte in text {
        if *byte == quote || *byte == b'\\' {
            sql.push(b'\\');
        }
        sql.push(*byte);
    }
    sql.push(quote);
}

/// Reads as much of the text as it takes to know the statement: all of it, except for the data of
/// an INSERT.
fn read_statement(source: &mut impl Read, text: &mut Vec<u8>) -> Result<Statement, Exception> {
    let mut classified = Statement::Incomplete;
    let mut step = vec![0; 16 * 1024];
    loop {
        let read = source.read(&mut step).map_err(|error| unreadable(&error))?;
        text.extend_from_slice(&step[..read]);
        if read == 0 {
            return Ok(statement::classify(text, false));
        }
        if classified == Statement::Incomplete {
            classified = statement::classify(text, true);
        }
        if matches!(classified, Statement::Insert { .. }) {
            return Ok(classified);
        }
        if text.len() > MAX_STATEMENT_BYTES {
            let text = format!("Max query size exceeded: {MAX_STATEMENT_BYTES} bytes");
            return Err(Exception::new(62, "SYNTAX_ERROR", &text));
        }
    }
}

fn insert(
    connection: &mut Connection,
    sql: &[u8],
    format: String,
    params: &[(Vec<u8>, Vec<u8>)],
    mut data: impl Read,
) -> Result<Reply, Exception> {
    let mut insert = connection.insert(sql, &format, params)?;
    // The last bytes are held back until the client has sent all of its body: the engine must not
    // see the end of a body that is then cut off.
    let mut chunk = vec![0; INSERT_CHUNK_BYTES];
    let mut held = vec![0; INSERT_CHUNK_BYTES];
    let mut held_len = 0;
    loop {
        // An error leaves the insert unfinished, and dropping it then cancels it.
        let read = data.read(&mut chunk).map_err(|error| unreadable(&error))?;
        let wants_more = insert.append(&held[..held_len]);
        if read == 0 || !wants_more {
            break;
        }
        mem::swap(&mut chunk, &mut held);
        held_len = read;
    }
    let progress = insert.finish()?;
    Ok(Reply { format, progress, body: ReplyBody::Whole(Bytes::new()) })
}

fn unreadable(error: &io::Error) -> Exception {
    match error.kind() {
        io::ErrorKind::InvalidData => Exception::new(271, "CANNOT_DECOMPRESS", &error.to_string()),
        _ => Exception::new(210, "NETWORK_ERROR", &error.to_string()),
    }
}

fn answer_query(
    connection: &mut Connection,
    sql: &[u8],
    format: &str,
    params: &[(Vec<u8>, Vec<u8>)],
    reply: ReplySender,
    cut_off: watch::Receiver<bool>,
) {
    let named = statement::output_format(sql).unwrap_or_else(|| format.to_owned());
    if STREAMABLE.contains(&named.as_str()) {
        // The engine streams only SELECTs, and runs nothing of what it refuses to stream.
        match connection.stream(sql, format, params) {
            Ok(stream) => return answer_stream(stream, named, reply, cut_off),
            Err(exception) if chdb::is_not_streamable(&exception) => {}
            Err(exception) => {
                let _ = reply.send(Err(exception));
                return;
            }
        }
    }
    let answer = connection.query(sql, format, params);
    let _ = reply.send(answer.map(|(body, progress)| {
        let body = ReplyBody::Whole(body);
        Reply { format: named, progress, body }
    }));
}

fn answer_stream(
    mut stream: chdb::ResultStream<'_>,
    format: String,
    reply: ReplySender,
    mut cut_off: watch::Receiver<bool>,
) {
    let mut progress = Progress::default();
    let mut begin = BytesMut::new();
    while begin.len() < WHOLE_RESULT_BYTES {
        match stream.next_block() {
            Ok(Some((block, more))) => {
                begin.extend_from_slice(&block);
                progress += more;
            }
            Ok(None) => {
                let body = ReplyBody::Whole(begin.freeze());
                let _ = reply.send(Ok(Reply { format, progress, body }));
                return;
            }
            Err(exception) => {
                let _ = reply.send(Err(exception));
                return;
            }
        }
    }
    let (sender, receiver) = mpsc::channel(1);
    let body = ReplyBody::Stream(begin.freeze(), receiver);
    if reply.send(Ok(Reply { format, progress, body })).is_err() {
        return;
    }
    loop {
        let block = match stream.next_block() {
            Ok(Some((block, _))) => Ok(block),
            Ok(None) => return,
            Err(exception) => Err(exception),
        };
        let failed = block.is_err();
        // A client may read slowly, or not at all while the endpoint shuts down.
        let sent = Handle::current().block_on(async {
            tokio::select! {
                sent = sender.send(block) => sent.is_ok(),
                _ = cut_off.wait_for(|cut_off| *cut_off) => false,
            }
        });
        if !sent || failed {
            return;
        }
    }
}
