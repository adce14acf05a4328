//! How the command-line tools of this crate end.

use std::process::ExitCode;

use anyhow::Result;

/// The exit code of a run; 2 where it failed, with the error on standard error.
#[expect(clippy::print_stderr, reason = "for whoever runs the tool")]
pub fn code(result: Result<ExitCode>) -> ExitCode {
    result.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::from(2)
    })
}
