//! The C interface of libchdb, and nothing else: every `unsafe` of the engine is in this file.
//!
//! What libchdb 26.7 promises, and what was tried:
//!
//! - A process has one engine and one data folder. The first connection starts it, the last one
//!   that closes stops it, and another folder may be opened after that.
//! - Each connection is a session of its own: its database and its settings (`SET`) are not seen
//!   by others. Opening one costs about 0.3 ms.
//! - Connections may be used concurrently, each by one thread at a time.
//! - A streamed result is not one document: each block begins anew, with header and end mark.
//! - Cancelling an insert that has already ended by itself aborts the process.
//! - A connection does one thing at a time: an open insert or result excludes other queries, which
//!   the `&mut` borrows here enforce.
#![allow(unsafe_code)]

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::path::Path;
use std::ptr::NonNull;
use std::sync::OnceLock;

use bytes::Bytes;

/// An error of the engine, in ClickHouse's terms.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{message}")]
pub(crate) struct Exception {
    /// ClickHouse's error code, 1002 (`UNKNOWN_EXCEPTION`) where the engine named none.
    pub(crate) code: i32,
    /// The whole text, `Code: N. DB::Exception: …`.
    pub(crate) message: String,
}

impl Exception {
    pub(crate) fn new(code: i32, name: &str, text: &str) -> Self {
        Self { code, message: format!("Code: {code}. DB::Exception: {text}. ({name})") }
    }

    fn from_engine(message: &[u8]) -> Self {
        let message = String::from_utf8_lossy(message).into_owned();
        let code = message
            .strip_prefix("Code: ")
            .and_then(|rest| rest.split_once('.'))
            .and_then(|(code, _)| code.parse().ok());
        match code {
            Some(code) => Self { code, message },
            None => Self::new(1002, "UNKNOWN_EXCEPTION", &message),
        }
    }
}

/// What the engine counted while it ran a statement.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Progress {
    pub(crate) read_rows: u64,
    pub(crate) read_bytes: u64,
    pub(crate) written_rows: u64,
    pub(crate) written_bytes: u64,
}

impl std::ops::AddAssign for Progress {
    fn add_assign(&mut self, more: Self) {
        self.read_rows += more.read_rows;
        self.read_bytes += more.read_bytes;
        self.written_rows += more.written_rows;
        self.written_bytes += more.written_bytes;
    }
}

/// Named values for `{name:Type}` in a query.
pub(crate) type QueryParams = [(Vec<u8>, Vec<u8>)];

/// `chdb_connection`: what the queries take.
type RawConnection = *mut c_void;
type RawResult = *mut c_void;
type RawInsert = *mut c_void;

macro_rules! functions {
    ($($name:ident: fn($($argument:ty),*) $(-> $result:ty)?;)*) => {
        /// The functions of a loaded libchdb. Loaded once and never unloaded: its threads outlive
        /// every connection.
        #[derive(Debug)]
        pub(crate) struct Library {
            $($name: unsafe extern "C" fn($($argument),*) $(-> $result)?,)*
        }

        impl Library {
            fn load(path: &Path) -> Result<Self, libloading::Error> {
                // SAFETY: the user names a libchdb; its initialisers are as trusted as the engine
                // itself. It is leaked below, so the functions stay valid for ever.
                let library = Box::leak(Box::new(unsafe { libloading::Library::new(path)? }));
                Ok(Self {
                    // SAFETY: the types are those of chdb.h, unchanged since these functions came.
                    $($name: *unsafe { library.get(stringify!($name))? },)*
                })
            }
        }
    };
}

functions! {
    chdb_set_signal_handlers_enabled: fn(c_int);
    chdb_connect: fn(c_int, *mut *mut c_char) -> *mut RawConnection;
    chdb_close_conn: fn(*mut RawConnection);
    chdb_query_with_params_n: fn(RawConnection, *const c_char, usize, *const c_char, usize,
        *const *const c_char, *const usize, *const *const c_char, *const usize, usize) -> RawResult;
    chdb_stream_query_with_params_n: fn(RawConnection, *const c_char, usize, *const c_char, usize,
        *const *const c_char, *const usize, *const *const c_char, *const usize, usize) -> RawResult;
    chdb_stream_fetch_result: fn(RawConnection, RawResult) -> RawResult;
    chdb_stream_cancel_query: fn(RawConnection, RawResult);
    chdb_destroy_query_result: fn(RawResult);
    chdb_result_buffer: fn(RawResult) -> *const u8;
    chdb_result_length: fn(RawResult) -> usize;
    chdb_result_error: fn(RawResult) -> *const c_char;
    chdb_result_storage_rows_read: fn(RawResult) -> u64;
    chdb_result_storage_bytes_read: fn(RawResult) -> u64;
    chdb_result_rows_written: fn(RawResult) -> u64;
    chdb_result_bytes_written: fn(RawResult) -> u64;
    chdb_stream_insert_with_params_n: fn(RawConnection, *const c_char, usize, *const c_char, usize,
        *const *const c_char, *const usize, *const *const c_char, *const usize, usize) -> RawInsert;
    chdb_stream_append: fn(RawInsert, *const c_void, usize) -> c_int;
    chdb_stream_done: fn(RawInsert) -> RawResult;
    chdb_stream_insert_error: fn(RawInsert) -> *const c_char;
    chdb_destroy_insert_stream: fn(RawInsert);
}

impl Library {
    /// Loads the library, or answers with the one this process already has: two engines cannot
    /// live in one process, so the first path wins.
    pub(crate) fn get(path: &Path) -> Result<&'static Self, libloading::Error> {
        static LIBRARY: OnceLock<Library> = OnceLock::new();
        if let Some(library) = LIBRARY.get() {
            return Ok(library);
        }
        let loaded = Self::load(path)?;
        let library = LIBRARY.get_or_init(|| loaded);
        // SAFETY: a process-wide flag without preconditions. Ctrl-C and crashes stay the host's.
        unsafe { (library.chdb_set_signal_handlers_enabled)(0) };
        Ok(library)
    }
}

/// One session of the engine. Dropping it closes it; dropping the last one stops the engine.
#[derive(Debug)]
pub(crate) struct Connection {
    library: &'static Library,
    handle: NonNull<RawConnection>,
}

// SAFETY: libchdb binds a connection to no thread; `&mut self` keeps it to one at a time.
unsafe impl Send for Connection {}
// SAFETY: nothing can be done through `&Connection`.
unsafe impl Sync for Connection {}

impl Connection {
    /// Opens a session on the data folder that `arguments` name (`--path=…`), starting the engine
    /// if this is the first one. The engine answers a failure with no reason: `None`.
    pub(crate) fn open(library: &'static Library, arguments: &[CString]) -> Option<Self> {
        let mut argv: Vec<*mut c_char> =
            arguments.iter().map(|argument| argument.as_ptr().cast_mut()).collect();
        let argc = c_int::try_from(argv.len()).ok()?;
        // SAFETY: argc strings that live through the call; libchdb copies and never writes them.
        let handle = unsafe { (library.chdb_connect)(argc, argv.as_mut_ptr()) };
        NonNull::new(handle).map(|handle| Self { library, handle })
    }

    /// Runs one statement (or, unlike ClickHouse's own interface, several) and holds the whole
    /// result in memory. `format` is used where the statement has no FORMAT of its own.
    pub(crate) fn query(
        &mut self,
        sql: &[u8],
        format: &str,
        params: &QueryParams,
    ) -> Result<(Bytes, Progress), Exception> {
        let call = self.library.chdb_query_with_params_n;
        let result = self.call(call, sql, format, params);
        ResultHandle::new(self.library, result).into_block()
    }

    /// Starts one SELECT whose result arrives in blocks. Refuses, before it runs anything, several
    /// statements (code 62) and every other kind (see [`is_not_streamable`]).
    pub(crate) fn stream(
        &mut self,
        sql: &[u8],
        format: &str,
        params: &QueryParams,
    ) -> Result<ResultStream<'_>, Exception> {
        let call = self.library.chdb_stream_query_with_params_n;
        let result = ResultHandle::new(self.library, self.call(call, sql, format, params));
        result.error()?;
        Ok(ResultStream { connection: self, result, ended: false })
    }

    /// Starts an INSERT. `sql` ends before its FORMAT, which `format` names.
    pub(crate) fn insert(
        &mut self,
        sql: &[u8],
        format: &str,
        params: &QueryParams,
    ) -> Result<InsertStream<'_>, Exception> {
        let call = self.library.chdb_stream_insert_with_params_n;
        let handle = self.call(call, sql, format, params);
        let stream = InsertStream { connection: self, handle, finished: false };
        match stream.error() {
            None => Ok(stream),
            Some(exception) => Err(exception),
        }
    }

    fn raw(&self) -> RawConnection {
        // SAFETY: the handle points to the connection until `chdb_close_conn`.
        unsafe { *self.handle.as_ptr() }
    }

    #[allow(clippy::type_complexity)] // the C type, written once
    fn call(
        &mut self,
        function: unsafe extern "C" fn(
            RawConnection,
            *const c_char,
            usize,
            *const c_char,
            usize,
            *const *const c_char,
            *const usize,
            *const *const c_char,
            *const usize,
            usize,
        ) -> *mut c_void,
        sql: &[u8],
        format: &str,
        params: &QueryParams,
    ) -> *mut c_void {
        let pointers =
            |pick: fn(&(Vec<u8>, Vec<u8>)) -> &Vec<u8>| -> (Vec<*const c_char>, Vec<usize>) {
                params.iter().map(|param| (pick(param).as_ptr().cast(), pick(param).len())).unzip()
            };
        let (names, name_lengths) = pointers(|param| &param.0);
        let (values, value_lengths) = pointers(|param| &param.1);
        // SAFETY: every pointer comes with its length and lives through the call; libchdb copies
        // the texts, and takes any bytes (zeros and broken UTF-8 were tried).
        unsafe {
            function(
                self.raw(),
                sql.as_ptr().cast(),
                sql.len(),
                format.as_ptr().cast(),
                format.len(),
                names.as_ptr(),
                name_lengths.as_ptr(),
                values.as_ptr(),
                value_lengths.as_ptr(),
                params.len(),
            )
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        // SAFETY: the one close of an open connection; streams borrow it, so none is left.
        unsafe { (self.library.chdb_close_conn)(self.handle.as_ptr()) }
    }
}

/// Whether the engine refused to stream a statement that [`Connection::query`] may run.
pub(crate) fn is_not_streamable(exception: &Exception) -> bool {
    exception.code == 36 && exception.message.contains("Streaming query is not supported")
}

/// A SELECT under way. Dropping it cancels what is left.
#[derive(Debug)]
pub(crate) struct ResultStream<'c> {
    connection: &'c mut Connection,
    result: ResultHandle,
    ended: bool,
}

impl ResultStream<'_> {
    /// The next block of the formatted result, or `None` at its end.
    pub(crate) fn next_block(&mut self) -> Result<Option<(Bytes, Progress)>, Exception> {
        if self.ended {
            return Ok(None);
        }
        let library = self.connection.library;
        // SAFETY: both handles are alive: one is owned, the other borrowed.
        let block = unsafe {
            (library.chdb_stream_fetch_result)(self.connection.raw(), self.result.handle)
        };
        let block = ResultHandle::new(library, block).into_block();
        self.ended = !matches!(&block, Ok((bytes, _)) if !bytes.is_empty());
        block.map(|(bytes, progress)| (!bytes.is_empty()).then_some((bytes, progress)))
    }
}

impl Drop for ResultStream<'_> {
    fn drop(&mut self) {
        if !self.ended {
            let library = self.connection.library;
            // SAFETY: both handles are alive; cancelling frees neither.
            unsafe { (library.chdb_stream_cancel_query)(self.connection.raw(), self.result.handle) }
        }
    }
}

/// An INSERT under way. Dropping it unfinished cancels it: blocks that the engine has not yet
/// written as parts are gone, as with a ClickHouse server.
#[derive(Debug)]
pub(crate) struct InsertStream<'c> {
    connection: &'c mut Connection,
    handle: RawInsert,
    finished: bool,
}

impl InsertStream<'_> {
    /// Hands over bytes of the data. Blocks while 16 earlier chunks wait for the engine's reader.
    /// Answers false when the engine wants no more: it failed, or the format has an end mark and
    /// was at it. [`finish`](Self::finish) says which.
    pub(crate) fn append(&mut self, data: &[u8]) -> bool {
        let append = self.connection.library.chdb_stream_append;
        // SAFETY: the handle is alive and the engine copies `data`.
        unsafe { append(self.handle, data.as_ptr().cast(), data.len()) == 0 }
    }

    /// Ends the data and waits until the engine has stored it.
    pub(crate) fn finish(mut self) -> Result<Progress, Exception> {
        self.end().into_block().map(|(_, progress)| progress)
    }

    fn end(&mut self) -> ResultHandle {
        self.finished = true;
        let library = self.connection.library;
        // SAFETY: the handle is alive; this ends the stream and dropping `self` frees it.
        ResultHandle::new(library, unsafe { (library.chdb_stream_done)(self.handle) })
    }

    fn error(&self) -> Option<Exception> {
        let error = self.connection.library.chdb_stream_insert_error;
        // SAFETY: the handle is alive, and the text is copied before anything else touches it.
        unsafe { c_text(error(self.handle)) }.map(Exception::from_engine)
    }
}

impl Drop for InsertStream<'_> {
    fn drop(&mut self) {
        // The engine aborts the process when an insert that has ended by itself is cancelled.
        // Appending nothing asks whether it has.
        if !self.finished && !self.append(&[]) {
            drop(self.end());
        }
        // SAFETY: the one release of this handle; it cancels what was not finished.
        unsafe { (self.connection.library.chdb_destroy_insert_stream)(self.handle) }
    }
}

/// Owns a `chdb_result`.
#[derive(Debug)]
struct ResultHandle {
    library: &'static Library,
    handle: RawResult,
}

impl ResultHandle {
    fn new(library: &'static Library, handle: RawResult) -> Self {
        Self { library, handle }
    }

    fn error(&self) -> Result<(), Exception> {
        // SAFETY: the handle is alive (null is answered with null), the text is copied at once.
        let message = unsafe { c_text((self.library.chdb_result_error)(self.handle)) };
        message.map_or(Ok(()), |message| Err(Exception::from_engine(message)))
    }

    fn into_block(self) -> Result<(Bytes, Progress), Exception> {
        self.error()?;
        // SAFETY: the handle is alive. The buffer holds `length` bytes until it is destroyed, and
        // is copied before that, because the engine's allocator has to free it.
        unsafe {
            let buffer = (self.library.chdb_result_buffer)(self.handle);
            let length = (self.library.chdb_result_length)(self.handle);
            let bytes = if buffer.is_null() || length == 0 {
                Bytes::new()
            } else {
                Bytes::copy_from_slice(std::slice::from_raw_parts(buffer, length))
            };
            let progress = Progress {
                read_rows: (self.library.chdb_result_storage_rows_read)(self.handle),
                read_bytes: (self.library.chdb_result_storage_bytes_read)(self.handle),
                written_rows: (self.library.chdb_result_rows_written)(self.handle),
                written_bytes: (self.library.chdb_result_bytes_written)(self.handle),
            };
            Ok((bytes, progress))
        }
    }
}

impl Drop for ResultHandle {
    fn drop(&mut self) {
        // SAFETY: the one release of this handle; null is allowed.
        unsafe { (self.library.chdb_destroy_query_result)(self.handle) }
    }
}

/// The bytes of a C string, if there is one.
///
/// # Safety
///
/// `text` is null, or zero-terminated and alive for as long as the result is used.
unsafe fn c_text<'a>(text: *const c_char) -> Option<&'a [u8]> {
    // SAFETY: promised by the caller.
    (!text.is_null()).then(|| unsafe { CStr::from_ptr(text) }.to_bytes())
}
