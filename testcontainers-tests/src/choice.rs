//! Which stacks a run uses.

use std::{env, fmt, path::PathBuf};

use volley_embedded::{ClickHouseError, cache};

use crate::{Images, StackKind, docker, jars};

/// What names one stack; then nothing else is used, and nothing may be skipped.
const CHOICE_VAR: &str = "VOLLEY_E2E";
/// Kafka's bootstrap addresses.
pub(crate) const BROKERS_VAR: &str = "VOLLEY_BROKERS";
/// ClickHouse's URL.
pub(crate) const CLICKHOUSE_VAR: &str = "VOLLEY_CLICKHOUSE";

/// The stacks of a run, and those it goes without. Written as a run reports them.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Choice {
    /// Stacks to run on.
    pub stacks: Vec<StackKind>,
    /// Stacks that every machine could have and this one lacks something for, and why: skipped,
    /// which `VOLLEY_NO_SKIP=1` forbids.
    pub skipped: Vec<(StackKind, String)>,
    /// Stacks that only some machines are made for, and why not this one: an engine that nobody
    /// runs, images of a gigabyte that nobody asked to pull.
    pub left_out: Vec<(StackKind, String)>,
}

/// How a stack came into question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked {
    /// By name: what it needs may be fetched.
    ByName,
    /// By nobody.
    Not,
}

impl Choice {
    /// What the environment asks for, and this machine has.
    ///
    /// # Errors
    ///
    /// A text for the user: an unknown stack, a named stack that cannot run, or under
    /// `VOLLEY_NO_SKIP=1` any that would be skipped.
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
        can_run: impl Fn(StackKind, Asked) -> Result<(), String>,
    ) -> Result<Self, String> {
        let only = |kind| Self { stacks: vec![kind], ..Self::default() };
        let named = |kind| can_run(kind, Asked::ByName).map(|()| only(kind));
        let addresses = match (var(BROKERS_VAR), var(CLICKHOUSE_VAR)) {
            (Some(_), Some(_)) => Ok(()),
            (None, None) => Err(format!("set {BROKERS_VAR} and {CLICKHOUSE_VAR}")),
            (Some(_), None) => Err(format!("{BROKERS_VAR} is set: set {CLICKHOUSE_VAR} too")),
            (None, Some(_)) => Err(format!("{CLICKHOUSE_VAR} is set: set {BROKERS_VAR} too")),
        };
        match var(CHOICE_VAR).as_deref() {
            Some("env") => addresses.map(|()| only(StackKind::Env)),
            Some("docker") => named(StackKind::Docker),
            Some("native") => named(StackKind::Native),
            Some("embedded") => named(StackKind::Embedded),
            Some(other) => Err(format!(
                "unknown stack '{other}' in {CHOICE_VAR}; use env, docker, native or embedded"
            )),
            None if var(BROKERS_VAR).or_else(|| var(CLICKHOUSE_VAR)).is_some() => {
                addresses.map(|()| only(StackKind::Env))
            }
            None => {
                let mut choice = Self::default();
                for kind in [StackKind::Embedded, StackKind::Native, StackKind::Docker] {
                    match can_run(kind, Asked::Not) {
                        Ok(()) => choice.stacks.push(kind),
                        Err(why) if kind == StackKind::Docker => choice.left_out.push((kind, why)),
                        Err(why) => choice.skipped.push((kind, why)),
                    }
                }
                Ok(choice)
            }
        }
    }
}

impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kinds: Vec<_> = self.stacks.iter().map(ToString::to_string).collect();
        let kinds = if kinds.is_empty() { "none".to_owned() } else { kinds.join(", ") };
        write!(f, "stacks: {kinds}")?;
        if self.stacks.contains(&StackKind::Docker) {
            write!(f, "\nstack docker: {}", Images::from_env())?;
        }
        for (kind, why) in &self.skipped {
            write!(f, "\nSKIPPED: stack {kind}: {why}")?;
        }
        for (kind, why) in &self.left_out {
            write!(f, "\nleft out: stack {kind}: {why}")?;
        }
        Ok(())
    }
}

/// Whether this machine has what a stack of its own needs.
fn can_run(kind: StackKind, asked: Asked) -> Result<(), String> {
    if kind == StackKind::Docker {
        let checked = match asked {
            Asked::ByName => docker::check_engine(),
            Asked::Not => docker::check_images(),
        };
        return checked.map_err(|error| error.to_string());
    }
    let named = env::var_os(cache::LIBCHDB_VAR).map(PathBuf::from);
    let path = named.unwrap_or_else(cache::libchdb_path);
    if !path.is_file() {
        return Err(ClickHouseError::NoLibrary { path }.to_string());
    }
    if kind == StackKind::Native {
        return jars::check().map_err(|error| error.to_string());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn choose(set: &[(&str, &str)], has: &[StackKind]) -> Result<Choice, String> {
        let var = |name: &str| {
            let found = set.iter().find(|(key, _)| *key == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        let can_run = |kind: StackKind, _| {
            if has.contains(&kind) { Ok(()) } else { Err(format!("no {kind}")) }
        };
        Choice::choose(var, can_run)
    }

    fn check(set: &[(&str, &str)], has: &[StackKind], expected: &[StackKind]) {
        assert_eq!(choose(set, has).unwrap().stacks, expected, "{set:?}");
    }

    #[test]
    fn environment_goes_first_then_everything_there_is() {
        use StackKind::{Docker, Embedded, Env, Native};

        let addresses = [(BROKERS_VAR, "a:1"), (CLICKHOUSE_VAR, "http://b:2")];
        check(&addresses, &[Embedded, Native, Docker], &[Env]);
        check(&[], &[Embedded, Native, Docker], &[Embedded, Native, Docker]);
        check(&[], &[Embedded, Native], &[Embedded, Native]);
        check(&[], &[Docker], &[Docker]);
        check(&[(CHOICE_VAR, "embedded"), addresses[0]], &[Embedded, Native], &[Embedded]);
        check(&[(CHOICE_VAR, "docker"), addresses[0]], &[Embedded, Docker], &[Docker]);
    }

    #[test]
    fn stacks_that_do_not_run_are_named_with_the_reason() {
        use StackKind::{Docker, Embedded, Native};

        let choice = choose(&[], &[Embedded]).unwrap();
        assert_eq!(choice.skipped, [(Native, "no native".to_owned())]);
        assert_eq!(choice.left_out, [(Docker, "no docker".to_owned())]);
        let report = "stacks: embedded\n\
            SKIPPED: stack native: no native\n\
            left out: stack docker: no docker";
        assert_eq!(choice.to_string(), report);
    }

    #[test]
    fn only_what_is_named_may_be_fetched() {
        let check = |set: &[(&str, &str)], expected| {
            let can_run = |kind, asked| {
                assert!(kind != StackKind::Docker || asked == expected, "{set:?}");
                Ok(())
            };
            let var = |name: &str| set.first().filter(|(key, _)| *key == name);
            Choice::choose(|name| var(name).map(|(_, value)| (*value).to_owned()), can_run)
                .unwrap();
        };
        check(&[(CHOICE_VAR, "docker")], Asked::ByName);
        check(&[], Asked::Not);
    }

    #[test]
    fn what_is_named_may_not_be_missing() {
        for set in ["docker", "native", "embedded", "env", "podman"] {
            assert!(choose(&[(CHOICE_VAR, set)], &[]).is_err(), "{set}");
        }
        assert!(choose(&[(BROKERS_VAR, "a:1")], &[StackKind::Embedded]).is_err());
    }
}
