//! Test bodies, and the tests that they become.

use std::{
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    sync::Arc,
};

use libtest_mimic::Trial;

use crate::{Scenario, StackKind, Stacks};

/// A test body with its name.
#[derive(Clone, Copy, Debug)]
pub struct Case {
    name: &'static str,
    needs: Needs,
    body: fn(&Scenario<'_>),
}

/// What a case stands on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Needs {
    Anything,
    RealBroker,
    NativeKafka,
    Cluster,
}

impl Case {
    /// A case for every stack. `name` is a path such as `groups::fan_out`; `body` panics if
    /// anything is wrong.
    pub const fn new(name: &'static str, body: fn(&Scenario<'_>)) -> Self {
        Self { name, needs: Needs::Anything, body }
    }

    /// A case that the embedded broker has no part in: topics with settings, limits that hold,
    /// partitions that are added.
    pub const fn on_real_broker(name: &'static str, body: fn(&Scenario<'_>)) -> Self {
        Self { name, needs: Needs::RealBroker, body }
    }

    /// A case about what the suite sets up itself, as only the native stack's Kafka is: users,
    /// certificates.
    pub const fn on_native_kafka(name: &'static str, body: fn(&Scenario<'_>)) -> Self {
        Self { name, needs: Needs::NativeKafka, body }
    }

    /// A case on the native stack with three brokers, of which one may be away.
    pub const fn on_cluster(name: &'static str, body: fn(&Scenario<'_>)) -> Self {
        Self { name, needs: Needs::Cluster, body }
    }

    /// Why it cannot run on a stack; `None` where it can.
    fn obstacle(&self, kind: StackKind) -> Option<&'static str> {
        match (self.needs, kind) {
            (Needs::Anything, _) | (_, StackKind::Native) => None,
            (Needs::RealBroker, StackKind::Embedded) => {
                Some("its broker answers no admin requests and keeps no limits")
            }
            (Needs::RealBroker, _) => None,
            (Needs::NativeKafka, _) => Some("the users and certificates are not the suite's own"),
            (Needs::Cluster, _) => Some("its brokers cannot be stopped one by one"),
        }
    }
}

/// One test for each case and each stack that the case can run on, named `stack::case`.
pub fn trials(stacks: &Arc<Stacks>, kinds: &[StackKind], cases: &[Case]) -> Vec<Trial> {
    let pairs = kinds.iter().flat_map(|kind| cases.iter().map(move |case| (*kind, *case)));
    pairs
        .filter(|(kind, case)| case.obstacle(*kind).is_none())
        .map(|(kind, case)| {
            let stacks = stacks.clone();
            Trial::test(format!("{kind}::{}", case.name), move || {
                run(&stacks, kind, case);
                Ok(())
            })
        })
        .collect()
}

/// A line for each case that cannot run on a stack, with the reason.
pub fn left_out(kinds: &[StackKind], cases: &[Case]) -> Vec<String> {
    let of_kind = |kind: &StackKind| {
        let kind = *kind;
        let obstacle = move |case: &Case| {
            case.obstacle(kind).map(|why| format!("not on {kind}: {}: {why}", case.name))
        };
        cases.iter().filter_map(obstacle)
    };
    kinds.iter().flat_map(of_kind).collect()
}

/// Cleans up and shows what is known of the stack also when the body panics.
fn run(stacks: &Stacks, kind: StackKind, case: Case) {
    let stack = match case.needs {
        Needs::Cluster => stacks.cluster(),
        _ => stacks.get(kind),
    };
    let scenario = Scenario::new(&stack);
    let ran = catch_unwind(AssertUnwindSafe(|| (case.body)(&scenario)));
    drop(scenario);
    if let Err(panic) = ran {
        eprintln!("{}: {}", case.name, stack.diagnostics());
        resume_unwind(panic);
    }
}
