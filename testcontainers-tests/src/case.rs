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
    needs_real_broker: bool,
    body: fn(&Scenario<'_>),
}

impl Case {
    /// A case for every stack. `name` is a path such as `groups::fan_out`; `body` panics if
    /// anything is wrong.
    pub const fn new(name: &'static str, body: fn(&Scenario<'_>)) -> Self {
        Self { name, needs_real_broker: false, body }
    }

    /// A case that the embedded broker has no part in: topics with settings, limits that hold.
    pub const fn on_real_broker(name: &'static str, body: fn(&Scenario<'_>)) -> Self {
        Self { name, needs_real_broker: true, body }
    }
}

/// One test for each case and each stack that the case can run on, named `stack::case`.
pub fn trials(stacks: &Arc<Stacks>, kinds: &[StackKind], cases: &[Case]) -> Vec<Trial> {
    let pairs = kinds.iter().flat_map(|kind| cases.iter().map(move |case| (*kind, *case)));
    let fits =
        |(kind, case): &(StackKind, Case)| !case.needs_real_broker || *kind != StackKind::Embedded;
    pairs
        .filter(fits)
        .map(|(kind, case)| {
            let stacks = stacks.clone();
            Trial::test(format!("{kind}::{}", case.name), move || {
                run(&stacks, kind, case);
                Ok(())
            })
        })
        .collect()
}

/// Cleans up and shows what is known of the stack also when the body panics.
fn run(stacks: &Stacks, kind: StackKind, case: Case) {
    let stack = stacks.get(kind);
    let scenario = Scenario::new(&stack);
    let ran = catch_unwind(AssertUnwindSafe(|| (case.body)(&scenario)));
    drop(scenario);
    if let Err(panic) = ran {
        eprintln!("{}: {}", case.name, stack.diagnostics());
        resume_unwind(panic);
    }
}
