//! `volley dlq` on dead letters that a loader has written.

use serde_json::Value;
use volley_e2e::{Case, Scenario, eventually};

use crate::{
    columns,
    volley::{JSON, Volley, volley},
};

pub(crate) const CASES: &[Case] = &[
    Case::on_real_broker("letters::killed_it_sends_each_once", killed_it_sends_each_once),
    Case::on_real_broker("letters::two_at_once_send_each_once", two_at_once_send_each_once),
];

/// `volley dlq COMMAND` for the scenario's topic.
pub(crate) fn dlq(scenario: &Scenario<'_>, command: &str) -> Volley {
    let brokers = &scenario.stack().brokers;
    volley(["dlq", command, "--brokers", brokers, "--topic", scenario.topic()]).args(JSON)
}

/// `volley dlq replay` with further arguments.
pub(crate) fn replay(scenario: &Scenario<'_>, arguments: &[&str]) -> Volley {
    dlq(scenario, "replay").args(arguments)
}

/// What waits to be replayed.
pub(crate) fn list(scenario: &Scenario<'_>) -> Vec<Value> {
    let run = dlq(scenario, "list").run().succeeds();
    run.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Messages that go to the dead letters. More than a replay sends in one transaction.
const N_LETTERS: usize = 1_200;

/// Whoever reads committed messages only sees each letter once, however often the replay is killed.
fn killed_it_sends_each_once(scenario: &Scenario<'_>) {
    put_letters(scenario);
    replay(scenario, &["--to", "no-such-topic"]).run().fails().says(&["does not exist", "--to"]);
    let mut n_killed = 0;
    for _ in 0..3 {
        let before = written(scenario);
        let run = replay(scenario, &[]).start();
        eventually("something that is sent", || (written(scenario) > before + 20).then_some(()));
        run.signal("KILL");
        let run = run.wait();
        if run.code.is_some() {
            // What the killed ones had left was little: it was over before the signal came.
            assert_eq!(run.code, Some(0), "{run}");
            break;
        }
        n_killed += 1;
    }
    assert!(n_killed > 0, "the first was over before it was killed");
    replay(scenario, &[]).run().succeeds();
    check_replayed(scenario);
}

/// One of them takes over from the other, or comes when that is done.
fn two_at_once_send_each_once(scenario: &Scenario<'_>) {
    put_letters(scenario);
    let runs = [replay(scenario, &[]).start(), replay(scenario, &[]).start()];
    let runs = runs.map(|run| run.wait());
    let ended = |code| runs.iter().filter(|run| run.code == Some(code)).count();
    assert_eq!(ended(0) + ended(2), 2, "{} {}", runs[0], runs[1]);
    for run in runs.iter().filter(|run| run.code == Some(2)) {
        assert!(run.stderr.contains("another replay of topic"), "{run}");
    }
    replay(scenario, &[]).run().succeeds();
    check_replayed(scenario);
}

fn put_letters(scenario: &Scenario<'_>) {
    scenario.create_topic(2, &[]);
    scenario.put((0..N_LETTERS).map(|n| format!("not arrow {n}").into_bytes()));
    let mut options = columns::options(scenario);
    options.dead_letters = Some(scenario.dead_letter_topic());
    assert_eq!(scenario.load(options).dead_letters, N_LETTERS as u64);
    assert_eq!(list(scenario).len(), N_LETTERS);
}

/// Every message is there twice: as it was sent in the beginning, and as it was replayed.
fn check_replayed(scenario: &Scenario<'_>) {
    assert_eq!(list(scenario).len(), 0);
    let (mut first, mut replayed) = (Vec::new(), Vec::new());
    for message in scenario.messages() {
        let is_first = message.headers.is_empty();
        if is_first { &mut first } else { &mut replayed }.push(message.payload);
    }
    assert_eq!((first.len(), replayed.len()), (N_LETTERS, N_LETTERS));
    assert_eq!(first, replayed, "in order too");
}

/// Offsets that are taken, whether what lies there is committed or not.
fn written(scenario: &Scenario<'_>) -> i64 {
    use rdkafka::consumer::{BaseConsumer, Consumer as _};

    let mut config = scenario.stack().client_config();
    let consumer: BaseConsumer =
        config.set("isolation.level", "read_uncommitted").create().unwrap();
    consumer.fetch_watermarks(scenario.topic(), 0, volley_e2e::PATIENCE).unwrap().1
}
