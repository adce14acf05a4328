use std::time::Duration;

use clap::Args;

use crate::{
    human::parse_duration,
    load::{Beginning, Ending},
};

/// Where a load begins and ends.
#[derive(Debug, Args)]
#[command(next_help_heading = "Positions")]
pub(crate) struct PositionArgs {
    /// Where the group begins in partitions for which it has committed nothing: earliest, latest, a time
    /// such as 2026-01-31T12:00:00Z, or offsets such as 0:100,1:250 (other partitions from their first
    /// message). Where it has committed it goes on; take another --group to begin anew
    #[arg(long, value_name = "POSITION", default_value = "earliest")]
    pub(crate) from: Beginning,

    /// Stop at the end as it is at the start (end), or before offsets such as 0:100,1:250
    #[arg(long, value_name = "POSITION")]
    pub(crate) until: Option<Ending>,

    /// Stop when the topic has been read to its end and nothing came for so long
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    pub(crate) until_idle: Option<Duration>,
}
