//! Configuration files: TOML with a table for each command, whose keys are the command's flags.
//!
//! ```toml
//! [produce]
//! rows-per-batch = 8000
//! codec = "zstd:3"
//! kafka = ["linger.ms=5"]
//! ```
//!
//! What a file says are defaults: an environment variable goes before it, and a flag before both.

use std::{
    ffi::OsString,
    fs, io,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, anyhow, bail};
use clap::{Arg, Args, Command};
use toml_edit::{DocumentMut, Item, Table, Value};
use volley_core::tune::Setting;

/// The flag that names a file.
#[derive(Debug, Args)]
pub(crate) struct ConfigArgs {
    /// Take defaults from a TOML file, which has a table for each command whose keys are its flags;
    /// flags and environment variables go before it
    #[arg(long, value_name = "FILE", help_heading = "Configuration")]
    config: Option<PathBuf>,
}

const FLAG: &str = "config";

/// The command line with what the file of `--config` says as its defaults, if there is one among
/// `arguments`.
pub(super) fn apply(command: Command, arguments: &[OsString]) -> anyhow::Result<Command> {
    let Some((name, path)) = asked_for(&command, arguments) else {
        return Ok(command);
    };
    let shown = path.display();
    let text =
        fs::read_to_string(&path).with_context(|| format!("cannot read --{FLAG} {shown}"))?;
    let document: DocumentMut =
        text.parse().with_context(|| format!("--{FLAG} {shown} is no toml"))?;
    with_defaults(command, &name, &document).with_context(|| format!("in --{FLAG} {shown}"))
}

/// The command in `arguments` and its file. Whatever else is wrong with them is told later.
fn asked_for(command: &Command, arguments: &[OsString]) -> Option<(String, PathBuf)> {
    let matches = command.clone().ignore_errors(true).try_get_matches_from(arguments).ok()?;
    let (name, matches) = matches.subcommand()?;
    let path = matches.try_get_one::<PathBuf>(FLAG).ok()??;
    Some((name.to_owned(), path.clone()))
}

/// Looks at the tables of all commands, and takes that of `name`.
fn with_defaults(
    mut command: Command,
    name: &str,
    document: &DocumentMut,
) -> anyhow::Result<Command> {
    for (table, item) in document.iter() {
        let Some(subcommand) = command.find_subcommand(table) else {
            bail!(
                "'{table}' is no command of volley; a table is called as a command is, such as [{name}]"
            );
        };
        let Some(keys) = item.as_table_like() else {
            bail!("'{table}' is a command and has to be a table, [{table}]");
        };
        let mut defaults = Vec::new();
        for (key, item) in keys.iter() {
            let arg = subcommand.get_arguments().find(|arg| arg.get_long() == Some(key));
            let Some(arg) = arg.filter(|arg| arg.get_id() != FLAG) else {
                bail!(
                    "unknown key '{key}' in [{table}]; keys are the long flags of volley {table}"
                );
            };
            let values = values(arg, item).with_context(|| format!("key '{key}' in [{table}]"))?;
            defaults.push((arg.get_id().clone(), values));
        }
        if table == name {
            command = command.mut_subcommand(table, |subcommand| {
                defaults.into_iter().filter(|(_, values)| !values.is_empty()).fold(
                    subcommand,
                    |subcommand, (id, values)| {
                        subcommand.mut_arg(id, |arg| arg.required(false).default_values(values))
                    },
                )
            });
        }
    }
    Ok(command)
}

/// The texts of a key, checked as the flag's own would be; none for a switch that is off.
fn values(arg: &Arg, item: &Item) -> anyhow::Result<Vec<String>> {
    let value = item.as_value().ok_or_else(|| anyhow!("expected a text or a number"))?;
    let is_switch = !arg.get_action().takes_values();
    match value {
        Value::Boolean(on) if is_switch => {
            return Ok(on.value().then(|| "true".to_owned()).into_iter().collect());
        }
        _ if is_switch => bail!("expected true or false"),
        _ => {}
    }
    let values = match value {
        Value::Array(array) => array.iter().map(text).collect::<anyhow::Result<Vec<_>>>()?,
        value => vec![text(value)?],
    };
    for value in &values {
        check(arg, value)?;
    }
    Ok(values)
}

fn text(value: &Value) -> anyhow::Result<String> {
    Ok(match value {
        Value::String(text) => text.value().clone(),
        Value::Integer(number) => number.value().to_string(),
        Value::Float(number) => number.value().to_string(),
        _ => bail!("expected a text or a number"),
    })
}

/// A wrong default would be reported as if it stood on the command line.
fn check(arg: &Arg, value: &str) -> anyhow::Result<()> {
    let alone = arg.clone().required(false).global(false);
    // Not beside what it needs or excludes there: that is for the whole command line.
    let id = alone.get_id().clone();
    let alone = Arg::new(id)
        .long("value")
        .action(clap::ArgAction::Set)
        .value_parser(alone.get_value_parser().clone());
    let line = ["volley".to_owned(), format!("--value={value}")];
    match Command::new("volley").arg(alone).try_get_matches_from(line) {
        Ok(_) => Ok(()),
        Err(error) => {
            let text = error.to_string();
            let reason = text.lines().next().unwrap_or_default();
            let reason = reason.split_once("': ").map_or("it is not taken", |(_, reason)| reason);
            bail!("invalid value '{value}': {reason}")
        }
    }
}

/// Writes settings into the table of a command; what else is in the file stays as it is. Makes the
/// file if it is not there.
pub(super) fn write(
    path: &Path,
    command: &str,
    settings: &[(&str, Setting)],
) -> anyhow::Result<()> {
    let shown = path.display();
    let text = match fs::read_to_string(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        text => text.with_context(|| format!("cannot read --write {shown}"))?,
    };
    let mut document: DocumentMut =
        text.parse().with_context(|| format!("--write {shown} is there and is no toml"))?;
    let item = document.entry(command).or_insert_with(|| Item::Table(Table::new()));
    let Some(table) = item.as_table_like_mut() else {
        bail!("cannot write to --write {shown}: its '{command}' is no table");
    };
    for (key, setting) in settings {
        let value = match setting {
            Setting::Number(number) => i64::try_from(*number).unwrap_or(i64::MAX).into(),
            Setting::Text(text) => Value::from(text.as_str()),
        };
        match table.get_mut(key).and_then(Item::as_value_mut) {
            // With the comment behind it.
            Some(old) => {
                let decor = old.decor().clone();
                *old = value;
                *old.decor_mut() = decor;
            }
            None => drop(table.insert(key, Item::Value(value))),
        }
    }
    fs::write(path, document.to_string()).with_context(|| format!("cannot write --write {shown}"))
}
