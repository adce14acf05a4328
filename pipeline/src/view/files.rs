use std::{
    fs::File,
    io::{self, Read as _},
    path::PathBuf,
    sync::Arc,
};

use axum::{
    body::Body,
    http::{HeaderValue, header},
    response::{IntoResponse as _, Response},
};
use bytes::Bytes;
use futures_util::stream;
use serde::Serialize;
use tokio::sync::mpsc;

use super::error::ApiError;

/// Bytes read at a time.
const CHUNK: usize = 256 << 10;
/// Chunks that wait for a slow reader.
const MAX_CHUNKS: usize = 4;

/// The files that were given on the command line. A request names one by its index: no path comes
/// from outside.
#[derive(Clone, Debug)]
pub(crate) struct Files {
    paths: Arc<[PathBuf]>,
    max_bytes: u64,
}

#[derive(Debug, Serialize)]
pub(super) struct FileName {
    name: String,
    /// `null` where it is gone.
    bytes: Option<u64>,
}

impl Files {
    /// Files of at most `max_bytes` each.
    ///
    /// # Errors
    ///
    /// Which of them is no file that can be read.
    pub(crate) fn new(paths: Vec<PathBuf>, max_bytes: u64) -> Result<Self, (PathBuf, io::Error)> {
        for path in &paths {
            let checked = File::open(path).and_then(|file| {
                let is_file = file.metadata()?.is_file();
                is_file.then_some(()).ok_or_else(|| io::Error::other("it is not a file"))
            });
            checked.map_err(|error| (path.clone(), error))?;
        }
        Ok(Self { paths: paths.into(), max_bytes })
    }

    pub(super) fn names(&self) -> Vec<FileName> {
        let name = |path: &PathBuf| FileName {
            name: path.to_string_lossy().into_owned(),
            bytes: path.metadata().ok().map(|metadata| metadata.len()),
        };
        self.paths.iter().map(name).collect()
    }

    /// The bytes of a file, as it was long when it was opened.
    pub(super) async fn answer(&self, index: usize) -> Result<Response, ApiError> {
        let no_file = || ApiError::NoFile { index, n: self.paths.len() };
        let path = self.paths.get(index).ok_or_else(no_file)?.clone();
        let name = path.to_string_lossy().into_owned();
        let failed = |source| ApiError::File { name: name.clone(), source };
        let opened = tokio::task::spawn_blocking(move || {
            let file = File::open(path)?;
            let bytes = file.metadata()?.len();
            io::Result::Ok((file, bytes))
        });
        let (file, bytes) = opened.await.map_err(|_| ApiError::Stopped)?.map_err(failed)?;
        if bytes > self.max_bytes {
            return Err(ApiError::TooLarge { name, bytes, max: self.max_bytes });
        }
        let (sender, receiver) = mpsc::channel(MAX_CHUNKS);
        tokio::task::spawn_blocking(move || send(file, bytes, &sender));
        let next =
            |mut receiver: mpsc::Receiver<_>| async { Some((receiver.recv().await?, receiver)) };
        let body = Body::from_stream(stream::unfold(receiver, next));
        let kind = HeaderValue::from_static("application/octet-stream");
        let headers = [(header::CONTENT_TYPE, kind), (header::CONTENT_LENGTH, bytes.into())];
        Ok((headers, body).into_response())
    }
}

/// Reads `bytes` of a file until nobody wants them. One that has become shorter is an error, which
/// breaks the answer off.
fn send(mut file: File, bytes: u64, sender: &mpsc::Sender<io::Result<Bytes>>) {
    let mut left = bytes;
    while left > 0 {
        let mut chunk = vec![0; CHUNK.min(usize::try_from(left).unwrap_or(CHUNK))];
        let read = file.read_exact(&mut chunk).map(|()| Bytes::from(chunk));
        let is_failed = read.is_err();
        left -= read.as_ref().map_or(0, |chunk| chunk.len() as u64);
        if sender.blocking_send(read).is_err() || is_failed {
            return;
        }
    }
}
