use std::{fmt, sync::mpsc};

use tokio::sync::oneshot;

/// Where in an insert something happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Moment {
    /// It was announced, and nothing of it is at ClickHouse.
    Begun,
    /// Half of its first piece is at ClickHouse.
    MidBody,
    /// All of it was sent, and nothing of it is at ClickHouse: it comes whenever it is let go, also
    /// where nobody waits for it any more.
    Late,
    /// It is stored, and nobody was told.
    Stored,
    /// The answer is on its way. This cannot be held, it is only told.
    Answered,
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Begun => "before an insert",
            Self::MidBody => "mid-body",
            Self::Late => "sent, not arrived",
            Self::Stored => "before the answer",
            Self::Answered => "before the commit",
        })
    }
}

/// Holds an insert that has got to its moment, for as long as it lives.
#[derive(Debug)]
pub struct Trap {
    reached: mpsc::Receiver<()>,
    release: oneshot::Sender<Release>,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Release {
    LetGo,
    Cut,
}

/// The proxy's end of a [`Trap`].
#[derive(Debug)]
pub(super) struct Armed {
    moment: Moment,
    reached: mpsc::Sender<()>,
    release: oneshot::Receiver<Release>,
}

pub(super) fn trap(moment: Moment) -> (Armed, Trap) {
    let (tell, reached) = mpsc::channel();
    let (release, released) = oneshot::channel();
    (Armed { moment, reached: tell, release: released }, Trap { reached, release })
}

impl Trap {
    /// Whether an insert has got there since this was asked last.
    pub fn is_sprung(&self) -> bool {
        self.reached.try_recv().is_ok()
    }

    /// Lets the insert go on.
    pub fn let_go(self) {
        // Nobody hears it where the insert has ended with its sender.
        let _ = self.release.send(Release::LetGo);
    }

    /// Breaks the connections of the insert, on both sides.
    pub fn cut(self) {
        let _ = self.release.send(Release::Cut);
    }
}

impl Armed {
    pub(super) fn moment(&self) -> Moment {
        self.moment
    }

    pub(super) fn tell(&self) {
        let _ = self.reached.send(());
    }

    pub(super) async fn hold(self) -> Release {
        self.tell();
        self.release.await.unwrap_or(Release::LetGo)
    }
}
