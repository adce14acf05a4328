//! What the binary says of itself.

use crate::support::{assert_snapshot, volley};

fn check(name: &str, arguments: &[&str]) {
    let run = volley(arguments).run().succeeds();
    assert_eq!(run.stderr, "");
    assert_snapshot(name, &run.stdout);
}

#[test]
fn help_is_as_committed() {
    check("help", &["--help"]);
    check("help-short", &["-h"]);
    for command in ["produce", "load", "tune", "inspect", "diff", "view", "demo", "dev"] {
        check(&format!("help-{command}"), &[command, "--help"]);
    }
    check("help-dlq", &["dlq", "--help"]);
    for command in ["list", "show", "export", "replay"] {
        check(&format!("help-dlq-{command}"), &["dlq", command, "--help"]);
    }
}

#[test]
fn version_is_the_crates() {
    let run = volley(["--version"]).run().succeeds();
    assert_eq!(run.stdout, format!("volley {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn without_arguments_help_is_an_error() {
    let run = volley::<&str>([]).run().fails();
    assert_eq!(run.stderr, volley(["-h"]).run().stdout);
}

#[test]
fn secrets_in_the_environment_are_not_in_the_help() {
    let run = volley(["load", "--help"]).env("VOLLEY_CLICKHOUSE_PASSWORD", "hunter2").run();
    assert!(!run.stdout.contains("hunter2"), "{run}");
}
