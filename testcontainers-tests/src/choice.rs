//! Which stacks a run uses.

use std::{env, path::PathBuf};

use volley_embedded::{ClickHouseError, cache};

use crate::{StackKind, jars};

/// What names one stack; then nothing else is used, and nothing may be skipped.
const CHOICE_VAR: &str = "VOLLEY_E2E";
/// Kafka's bootstrap addresses.
pub(crate) const BROKERS_VAR: &str = "VOLLEY_BROKERS";
/// ClickHouse's URL.
pub(crate) const CLICKHOUSE_VAR: &str = "VOLLEY_CLICKHOUSE";

/// The stacks of a run, and those it had to leave out.
#[derive(Debug, PartialEq, Eq)]
pub struct Choice {
    /// Stacks to run on.
    pub stacks: Vec<StackKind>,
    /// Stacks that are left out, and why.
    pub skipped: Vec<(StackKind, String)>,
}

impl Choice {
    /// What the environment asks for, and this machine has.
    ///
    /// # Errors
    ///
    /// A text for the user: an unknown stack, a named stack that cannot run, or under
    /// `VOLLEY_NO_SKIP=1` any that would be left out.
    pub fn from_env() -> Result<Self, String> {
        let var = |name: &str| env::var(name).ok().filter(|value| !value.is_empty());
        let choice = Self::choose(var, can_run)?;
        match choice.skipped.first() {
            Some((kind, why)) if var("VOLLEY_NO_SKIP").is_some_and(|set| set == "1") => {
                Err(format!("may not skip stack {kind}: {why}"))
            }
            _ => Ok(choice),
        }
    }

    fn choose(
        var: impl Fn(&str) -> Option<String>,
        can_run: impl Fn(StackKind) -> Result<(), String>,
    ) -> Result<Self, String> {
        let only = |kind| Ok(Self { stacks: vec![kind], skipped: Vec::new() });
        let addresses = match (var(BROKERS_VAR), var(CLICKHOUSE_VAR)) {
            (Some(_), Some(_)) => Ok(()),
            (None, None) => Err(format!("set {BROKERS_VAR} and {CLICKHOUSE_VAR}")),
            (Some(_), None) => Err(format!("{BROKERS_VAR} is set: set {CLICKHOUSE_VAR} too")),
            (None, Some(_)) => Err(format!("{CLICKHOUSE_VAR} is set: set {BROKERS_VAR} too")),
        };
        match var(CHOICE_VAR).as_deref() {
            Some("env") => addresses.and_then(|()| only(StackKind::Env)),
            Some("native") => can_run(StackKind::Native).and_then(|()| only(StackKind::Native)),
            Some("embedded") => {
                can_run(StackKind::Embedded).and_then(|()| only(StackKind::Embedded))
            }
            Some(other) => {
                Err(format!("unknown stack '{other}' in {CHOICE_VAR}; use env, native or embedded"))
            }
            None if addresses.is_ok() => only(StackKind::Env),
            None if var(BROKERS_VAR).or_else(|| var(CLICKHOUSE_VAR)).is_some() => {
                addresses.and_then(|()| only(StackKind::Env))
            }
            None => {
                let mut choice = Self { stacks: Vec::new(), skipped: Vec::new() };
                for kind in [StackKind::Embedded, StackKind::Native] {
                    match can_run(kind) {
                        Ok(()) => choice.stacks.push(kind),
                        Err(why) => choice.skipped.push((kind, why)),
                    }
                }
                Ok(choice)
            }
        }
    }
}

/// Whether this machine has what a stack of its own needs.
fn can_run(kind: StackKind) -> Result<(), String> {
    let named = env::var_os(cache::LIBCHDB_VAR).map(PathBuf::from);
    let path = named.unwrap_or_else(cache::libchdb_path);
    if !path.is_file() {
        return Err(ClickHouseError::NoLibrary { path }.to_string());
    }
    match kind {
        StackKind::Native => jars::check().map_err(|error| error.to_string()),
        StackKind::Env | StackKind::Embedded => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn choose(set: &[(&str, &str)], has: &[StackKind]) -> Result<Choice, String> {
        let var = |name: &str| {
            let found = set.iter().find(|(key, _)| *key == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        let can_run = |kind: StackKind| {
            if has.contains(&kind) { Ok(()) } else { Err(format!("no {kind}")) }
        };
        Choice::choose(var, can_run)
    }

    fn check(set: &[(&str, &str)], has: &[StackKind], expected: &[StackKind]) {
        assert_eq!(choose(set, has).unwrap().stacks, expected, "{set:?}");
    }

    #[test]
    fn environment_goes_first_then_everything_there_is() {
        use StackKind::{Embedded, Env, Native};

        let addresses = [(BROKERS_VAR, "a:1"), (CLICKHOUSE_VAR, "http://b:2")];
        check(&addresses, &[Embedded, Native], &[Env]);
        check(&[], &[Embedded, Native], &[Embedded, Native]);
        check(&[], &[Embedded], &[Embedded]);
        check(&[(CHOICE_VAR, "embedded"), addresses[0]], &[Embedded, Native], &[Embedded]);
        let skipped = choose(&[], &[Embedded]).unwrap().skipped;
        assert_eq!(skipped, [(Native, "no native".to_owned())]);
    }

    #[test]
    fn what_is_named_may_not_be_missing() {
        for set in ["native", "embedded", "env", "podman"] {
            assert!(choose(&[(CHOICE_VAR, set)], &[]).is_err(), "{set}");
        }
        assert!(choose(&[(BROKERS_VAR, "a:1")], &[StackKind::Embedded]).is_err());
    }
}
