//! Damages each case in a process of its own, so that an abort or a hang is counted and not the end.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use volley_core::layout::Framing;

use crate::corpus::{Case, cases};
use crate::place::{Class, Place, Places};
use crate::tally::{Count, Original, Tally};

/// The case that this process is to damage, its number.
const CASE: &str = "VOLLEY_MUTATE_CASE";

/// Numbers of mutants that killed an earlier process.
const SKIP: &str = "VOLLEY_MUTATE_SKIP";

/// How long a mutant may take.
const LIMIT: Duration = Duration::from_secs(10);

/// The exit code of a process that found a mutant to take longer.
const HUNG: i32 = 86;

const MASKS: [u8; 3] = [0x01, 0x80, 0xff];

/// How far apart damaged bytes and lengths lie.
pub fn step() -> usize {
    let is_all = std::env::var("VOLLEY_MUTATE").is_ok_and(|value| value == "all");
    if is_all { 1 } else { 7 }
}

/// Damages the case that the environment names, if it names one, and prints the counts.
pub fn work() -> bool {
    let Ok(number) = std::env::var(CASE) else {
        return false;
    };
    let number: usize = number.parse().unwrap();
    let skip = std::env::var(SKIP).unwrap_or_default();
    let skip = skip.split_whitespace().map(|number| number.parse().unwrap()).collect();
    let progress = File::create(progress_path(number)).unwrap();
    let now = AtomicU64::new(0);
    let (done, is_done) = channel::<()>();
    thread::scope(|scope| {
        scope.spawn(|| watch(&now, is_done));
        let mut mutants = Mutants { now: &now, progress, skip, tally: Tally::default() };
        mutants.of(&cases()[number]);
        print!("{}", mutants.tally.to_lines());
        drop(done);
    });
    true
}

/// Ends the process when one mutant takes too long.
#[allow(clippy::exit, reason = "the other thread will not end")]
#[allow(clippy::needless_pass_by_value, reason = "a receiver belongs to one thread")]
fn watch(now: &AtomicU64, is_done: Receiver<()>) {
    let mut before = u64::MAX;
    while is_done.recv_timeout(LIMIT) == Err(RecvTimeoutError::Timeout) {
        let number = now.load(Ordering::Relaxed);
        if number == before {
            std::process::exit(HUNG);
        }
        before = number;
    }
}

fn progress_path(number: usize) -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("mutation-{number}.progress"))
}

/// Makes and judges the mutants of a case, in the same order each time.
struct Mutants<'a> {
    /// The number of the mutant at hand; for whoever asks after the end, in the file too.
    now: &'a AtomicU64,
    progress: File,
    skip: Vec<u64>,
    tally: Tally,
}

impl Mutants<'_> {
    fn of(&mut self, case: &Case) {
        let payload = case.payload();
        self.damage(&payload);
        self.cut(&payload);
        self.reorder(&case.payload_of_two());
    }

    fn judge(&mut self, original: &Original<'_>, mutant: &[u8], place: &Place) {
        let number = self.now.fetch_add(1, Ordering::Relaxed);
        let class = place.class as u64;
        let bytes = [number.to_le_bytes(), class.to_le_bytes()].concat();
        self.progress.write_all_at(&bytes, 0).unwrap();
        if !self.skip.contains(&number) {
            original.judge(mutant, place, &mut self.tally);
        }
    }

    fn damage(&mut self, payload: &[u8]) {
        let original = Original::new(payload);
        let places = Places::new(payload, original.layout());
        for at in (0..payload.len()).step_by(step()) {
            for mask in MASKS {
                let mut mutant = payload.to_vec();
                mutant[at] ^= mask;
                self.judge(&original, &mutant, places.of_byte(at));
            }
        }
    }

    fn cut(&mut self, payload: &[u8]) {
        let original = Original::new(payload);
        let places = Places::new(payload, original.layout());
        for len in (0..payload.len()).step_by(step()) {
            self.judge(&original, &payload[..len], &places.of_cut(len));
        }
    }

    /// Swaps every two messages, and repeats each after each.
    fn reorder(&mut self, payload: &[u8]) {
        let original = Original::new(payload);
        let place = Place::new(Class::Moved, None);
        let ranges: Vec<_> = original.layout().messages.iter().map(|m| m.range()).collect();
        let (Some(first), Some(last)) = (ranges.first(), ranges.last()) else {
            return;
        };
        for one in 0..ranges.len() {
            for other in 0..ranges.len() {
                let mut swapped: Vec<usize> = (0..ranges.len()).collect();
                let mut repeated = swapped.clone();
                swapped.swap(one, other);
                repeated.insert(other, one);
                let orders = if one < other { vec![swapped, repeated] } else { vec![repeated] };
                for order in orders {
                    let messages = order.iter().flat_map(|&at| &payload[ranges[at].clone()]);
                    let mut mutant = payload[..first.start].to_vec();
                    mutant.extend(messages);
                    mutant.extend(&payload[last.end..]);
                    self.judge(&original, &mutant, &place);
                }
            }
        }
    }
}

/// Has every case damaged, in as many processes at a time as there are processors. `test` is the
/// name of the test that calls [`work`].
pub fn damage_all(test: &str) -> Tally {
    let cases = cases();
    let next = Mutex::new(0..cases.len());
    let total = Mutex::new(Tally::default());
    let n_workers = thread::available_parallelism().map_or(1, |n| n.get());
    thread::scope(|scope| {
        for _ in 0..n_workers {
            scope.spawn(|| {
                loop {
                    let Some(number) = next.lock().unwrap().next() else { break };
                    let tally = damage(test, number, &cases[number]);
                    total.lock().unwrap().merge(&tally);
                }
            });
        }
    });
    total.into_inner().unwrap()
}

/// Has one case damaged; where a mutant kills the process, again without it.
fn damage(test: &str, number: usize, case: &Case) -> Tally {
    let mut killed = Tally::default();
    let mut skip = String::new();
    loop {
        let Output { status, stdout, .. } = Command::new(std::env::current_exe().unwrap())
            .args([test, "--exact", "--nocapture"])
            .env(CASE, number.to_string())
            .env(SKIP, &skip)
            .stderr(Stdio::inherit())
            .output()
            .unwrap();
        let path = progress_path(number);
        let progress = std::fs::read(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        let name = || {
            let framing = if case.framing() == Framing::File { "file" } else { "stream" };
            format!("{} {} {framing}", case.name, case.codec())
        };
        let count = match status.code() {
            Some(0) => {
                killed.merge(&Tally::from_lines(&String::from_utf8_lossy(&stdout)));
                return killed;
            }
            Some(HUNG) => Count::Hangs,
            Some(code) => panic!("the process for `{}` failed with {code}", name()),
            None => Count::Aborts,
        };
        let word = |at: usize| u64::from_le_bytes(*progress[at..].first_chunk().unwrap());
        let (mutant, class) = (word(0), Class::ALL[word(8) as usize]);
        eprintln!("mutant {mutant} of `{}`, {class}: {status}", name());
        killed.add(class, Count::Mutants, 1);
        killed.add(class, count, 1);
        skip.push_str(&format!(" {mutant}"));
    }
}
