//! The command line: arguments to options, results to text or JSON.

mod args;
mod clickhouse_tls;
mod config;
mod demo;
mod dev;
mod dlq;
mod env_vars;
mod inspect;
mod kafka_properties;
mod load;
mod observe;
mod output;
mod positions;
mod produce;
mod status;
mod tune;
mod view;

use std::{ffi::OsString, process::ExitCode};

use clap::{CommandFactory as _, FromArgMatches as _, Parser, parser::ValueSource};

use crate::exit::ExitStatus;
use args::LogArgs;

/// Move rows as Arrow micro-batches: sample, pack into record batches, write each as compressed
/// Arrow IPC into Kafka, load them into ClickHouse.
///
/// New here? `volley demo` shows all of it in a few seconds, without anything to set up.
#[derive(Debug, Parser)]
#[command(
    name = "volley",
    version,
    about,
    long_about,
    max_term_width = 100,
    help_expected = true,
    subcommand_required = true,
    arg_required_else_help = true,
    disable_help_subcommand = true,
    after_help = "Exit codes: 0 done, 1 the answer is no, 2 something failed."
)]
struct Cli {
    #[command(subcommand)]
    command: Command,

    #[command(flatten)]
    log: LogArgs,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Produce(Box<produce::ProduceArgs>),
    Load(Box<load::LoadArgs>),
    Tune(Box<tune::TuneArgs>),
    Inspect(inspect::InspectArgs),
    Diff(inspect::diff::DiffArgs),
    Dlq(dlq::DlqArgs),
    View(view::ViewArgs),
    Demo(demo::DemoArgs),
    Dev(dev::DevArgs),
}

/// Runs the command line `arguments` (the program's name first) to its end.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments: Vec<_> = arguments.into_iter().collect();
    let command = match config::apply(Cli::command(), &arguments) {
        Ok(command) => command,
        Err(error) => {
            output::print_error(&error);
            return ExitStatus::Error.into();
        }
    };
    let cli = match parse(command, arguments) {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are answers, anything else is a mistake of the caller's. Where the
            // reader of either is gone there is nobody to tell.
            let _ = error.print();
            return if error.use_stderr() { ExitStatus::Error } else { ExitStatus::Success }.into();
        }
    };
    // A demo has a report to show, and says only what goes wrong; the others say what they do.
    let is_demo = matches!(cli.command, Command::Demo(_));
    cli.log.init(if is_demo { "warn" } else { "warn,volley=info" });
    match run(cli.command) {
        Ok(status) => status.into(),
        Err(error) if output::is_broken_pipe(&error) => ExitStatus::Success.into(),
        Err(error) => {
            output::print_error(&error);
            ExitStatus::Error.into()
        }
    }
}

fn parse(mut command: clap::Command, arguments: Vec<OsString>) -> Result<Cli, clap::Error> {
    let mut matches = command.try_get_matches_from_mut(arguments)?;
    let tune = matches.subcommand_matches("tune");
    let source = tune.and_then(|tune| tune.value_source("urls"));
    let cli = Cli::from_arg_matches_mut(&mut matches);
    let mut cli = cli.map_err(|error| error.format(&mut command))?;
    if let Command::Tune(args) = &mut cli.command {
        args.is_clickhouse_given = source == Some(ValueSource::CommandLine);
    }
    Ok(cli)
}

fn run(command: Command) -> anyhow::Result<ExitStatus> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        match command {
            Command::Produce(args) => produce::run(*args).await,
            Command::Load(args) => load::run(*args).await,
            Command::Demo(args) => demo::run(args).await,
            Command::Dev(args) => dev::run(args).await,
            Command::View(args) => view::run(args).await,
            Command::Tune(args) => return tune::run(*args).await,
            Command::Inspect(args) => return inspect::run(&args),
            Command::Diff(args) => return inspect::diff::run(&args),
            Command::Dlq(args) => return dlq::run(args),
        }?;
        Ok(ExitStatus::Success)
    })
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    /// Among other things: every flag has help.
    #[test]
    fn arguments_are_consistent() {
        super::Cli::command().debug_assert();
    }
}
