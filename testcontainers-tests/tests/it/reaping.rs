//! No container is left behind, however the process that started it ends.

use std::{
    env,
    process::{Child, Command, ExitStatus, Stdio},
};

use libtest_mimic::Trial;
use volley_e2e::{StackKind, containers_of, eventually};

/// Tests of the Docker stack itself, where it is among `kinds`.
pub(crate) fn trials(kinds: &[StackKind]) -> Vec<Trial> {
    if !kinds.contains(&StackKind::Docker) {
        return Vec::new();
    }
    let trial = |name: &str, end: fn(Child) -> ExitStatus| {
        Trial::test(format!("docker::reaping::{name}_run_leaves_no_container"), move || {
            leaves_no_container(end);
            Ok(())
        })
    };
    vec![trial("finished", finish), trial("interrupted", interrupt), trial("killed", kill)]
}

/// Runs one case in a process of its own, and ends that as soon as it has a container.
fn leaves_no_container(end: fn(Child) -> ExitStatus) {
    let run = Command::new(env::current_exe().unwrap())
        .arg("docker::partitions::topic_is_created_as_asked")
        .env("VOLLEY_E2E", "docker")
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let pid = run.id();
    let containers = || containers_of(pid).unwrap();
    eventually("a container", || (!containers().is_empty()).then_some(()));
    let status = end(run);
    if status.success() {
        assert_eq!(containers(), [""; 0], "at the end of an orderly run");
    }
    eventually("the end of its containers", || containers().is_empty().then_some(()));
}

fn finish(mut run: Child) -> ExitStatus {
    let status = run.wait().unwrap();
    assert!(status.success());
    status
}

fn interrupt(mut run: Child) -> ExitStatus {
    let sent = Command::new("kill").args(["-s", "INT", &run.id().to_string()]).status().unwrap();
    assert!(sent.success());
    run.wait().unwrap()
}

fn kill(mut run: Child) -> ExitStatus {
    run.kill().unwrap();
    run.wait().unwrap()
}
