//! Bodies that are passed on as they come.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use hyper::body::{Body, Frame};
use tokio::sync::mpsc;

use super::Cut;

enum Piece {
    Data(Bytes),
    End,
}

/// Sends a body; one that ends without [`Pump::end`] was cut off.
pub(super) struct Pump(mpsc::Sender<Piece>);

/// What a [`Pump`] sends. An error in place of the end where that was cut off, so that nobody takes
/// half of a body for a whole one.
pub(super) struct Piped(mpsc::Receiver<Piece>);

pub(super) fn channel() -> (Pump, Piped) {
    let (sender, receiver) = mpsc::channel(1);
    (Pump(sender), Piped(receiver))
}

impl Pump {
    /// Nobody reads on where the answer has come already.
    pub(super) async fn send(&self, data: Bytes) {
        let _ = self.0.send(Piece::Data(data)).await;
    }

    /// Waits until what was sent is on its way.
    pub(super) async fn taken(&self) {
        let _ = self.0.reserve().await;
    }

    pub(super) async fn end(self) {
        let _ = self.0.send(Piece::End).await;
    }
}

impl Body for Piped {
    type Data = Bytes;
    type Error = Cut;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        Poll::Ready(match ready!(self.0.poll_recv(context)) {
            Some(Piece::Data(data)) => Some(Ok(Frame::data(data))),
            Some(Piece::End) => None,
            None => Some(Err(Cut)),
        })
    }
}
