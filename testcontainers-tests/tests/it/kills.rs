//! Loaders that are killed with SIGKILL, the binary as it is shipped: `cargo xtask kill-test` does the
//! same more often.

use volley_e2e::{Case, KillOptions, KillReport, Scenario, kill_test};

pub(crate) const CASES: &[Case] = &[
    Case::on_real_broker("kills::twenty_lose_and_double_nothing", twenty_lose_and_double_nothing),
    Case::on_real_broker("kills::doubled_rows_are_found", doubled_rows_are_found),
];

fn twenty_lose_and_double_nothing(scenario: &Scenario<'_>) {
    let report = kill(scenario, 20, "effectively-once");
    assert_eq!(report.verdict(), (0, 0), "{report}");
}

/// A test of the test: without the promise, an insert that was stored and not answered comes again.
fn doubled_rows_are_found(scenario: &Scenario<'_>) {
    let report = kill(scenario, 8, "at-least-once");
    let (n_lost, n_duplicate) = report.verdict();
    assert!(n_lost == 0 && n_duplicate > 0, "{report}");
}

fn kill(scenario: &Scenario<'_>, n_kills: u32, delivery: &'static str) -> KillReport {
    let options = KillOptions { n_kills, seed: 7, delivery };
    let report = kill_test(scenario, &options, |_, _| {});
    assert_eq!(report.n_kills(), n_kills, "{report}");
    report
}
