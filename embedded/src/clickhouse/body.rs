//! A request's body as a blocking reader for the engine's threads.

use std::io::{self, Read};

use axum::body::Body;
use bytes::{Buf, Bytes};
use futures_util::StreamExt;
use lz4_flex::frame::FrameDecoder;
use tokio::sync::mpsc;

/// How many chunks may wait between the socket and the engine. With hyper's chunks of up to some
/// hundred kilobytes this bounds what one insert holds in memory outside the engine.
const CHUNKS_IN_FLIGHT: usize = 4;

enum Piece {
    Data(Bytes),
    /// The client has sent all of it. A channel that closes without this was cut off.
    End,
}

/// Moves a body from the runtime to a blocking reader.
pub(crate) struct BodyPump {
    sender: mpsc::Sender<Piece>,
}

/// Reads a body on a blocking thread. A client that goes away before the end of its body is an
/// error here, never an end.
pub(crate) struct BodyReader {
    receiver: mpsc::Receiver<Piece>,
    current: Bytes,
    ended: bool,
}

pub(crate) fn channel() -> (BodyPump, BodyReader) {
    let (sender, receiver) = mpsc::channel(CHUNKS_IN_FLIGHT);
    (BodyPump { sender }, BodyReader { receiver, current: Bytes::new(), ended: false })
}

impl BodyPump {
    /// Forwards the body until its end or its failure. Once the reader is gone, the rest is read and
    /// dropped: a client that is still sending reads no answer. Dropping the future cuts the body
    /// off, which the reader sees.
    pub(crate) async fn run(self, body: Body) {
        let mut chunks = body.into_data_stream();
        let mut wanted = true;
        while let Some(chunk) = chunks.next().await {
            let Ok(chunk) = chunk else { return };
            wanted = wanted && self.sender.send(Piece::Data(chunk)).await.is_ok();
        }
        // A reader that is gone needs no end.
        let _ = self.sender.send(Piece::End).await;
    }
}

/// Decodes what the header `Content-Encoding` names, as it is read. Bytes that are no such encoding
/// are an error of the kind [`io::ErrorKind::InvalidData`].
///
/// # Errors
///
/// [`io::ErrorKind::Unsupported`] for another encoding than lz4 and zstd frames.
pub(crate) fn decode(body: BodyReader, encoding: Option<&str>) -> io::Result<Box<dyn Read>> {
    match encoding.unwrap_or("identity") {
        "identity" => Ok(Box::new(body)),
        "lz4" => Ok(Box::new(Decoded(FrameDecoder::new(body)))),
        "zstd" => Ok(Box::new(Decoded(zstd::stream::read::Decoder::new(body)?))),
        _ => Err(io::ErrorKind::Unsupported.into()),
    }
}

struct Decoded<R>(R);

impl<R: Read> Read for Decoded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer).map_err(|error| match error.kind() {
            io::ErrorKind::ConnectionAborted => error,
            _ => io::Error::new(io::ErrorKind::InvalidData, error),
        })
    }
}

impl Read for BodyReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.current.is_empty() && !self.ended {
            match self.receiver.blocking_recv() {
                Some(Piece::Data(chunk)) => self.current = chunk,
                Some(Piece::End) => self.ended = true,
                None => {
                    return Err(io::Error::new(
                        io::ErrorKind::ConnectionAborted,
                        "the client went away before the end of its request",
                    ));
                }
            }
        }
        let len = self.current.len().min(buffer.len());
        self.current.copy_to_slice(&mut buffer[..len]);
        Ok(len)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    /// Decodes a body that arrives in small pieces, whole or cut off.
    fn decoded(encoding: &str, sent: &[u8], cut_off: bool) -> io::Result<Vec<u8>> {
        let (pump, reader) = channel();
        let pieces: Vec<Bytes> = sent.chunks(7).map(Bytes::copy_from_slice).collect();
        let sending = std::thread::spawn(move || {
            for piece in pieces {
                if pump.sender.blocking_send(Piece::Data(piece)).is_err() {
                    return;
                }
            }
            if !cut_off {
                let _ = pump.sender.blocking_send(Piece::End);
            }
        });
        let mut data = Vec::new();
        let read = decode(reader, Some(encoding)).and_then(|mut body| body.read_to_end(&mut data));
        sending.join().unwrap();
        read.map(|_| data)
    }

    #[test]
    fn bodies_decode_whole_or_fail() {
        let data: Vec<u8> = (0..10_000_u32).flat_map(u32::to_le_bytes).collect();
        let mut lz4 = lz4_flex::frame::FrameEncoder::new(Vec::new());
        lz4.write_all(&data).unwrap();
        let lz4 = lz4.finish().unwrap();
        let zstd = zstd::encode_all(&data[..], 1).unwrap();
        for (encoding, sent) in [("identity", &data), ("lz4", &lz4), ("zstd", &zstd)] {
            assert!(decoded(encoding, sent, false).unwrap() == data, "{encoding}");
            let half = &sent[..sent.len() / 2];
            let error = decoded(encoding, half, true).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::ConnectionAborted, "{encoding}: {error}");
            if encoding != "identity" {
                let error = decoded(encoding, half, false).unwrap_err();
                assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{encoding}: {error}");
                let error = decoded(encoding, &data, false).unwrap_err();
                assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{encoding}: {error}");
            }
        }
        let error = decoded("br", b"", false).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::Unsupported);
    }
}
