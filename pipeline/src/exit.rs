//! What the process answers to its caller.

/// Exit codes of every command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum ExitStatus {
    /// Everything asked for was done. A reader that closes our output early is no error either.
    Success = 0,
    /// The answer is no: something was looked for and found wrong.
    Negative = 1,
    /// Something failed, wrong arguments among it; standard error says what.
    Error = 2,
}

impl From<ExitStatus> for std::process::ExitCode {
    fn from(status: ExitStatus) -> Self {
        Self::from(status as u8)
    }
}
