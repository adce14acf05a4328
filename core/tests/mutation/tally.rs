//! What becomes of mutants, counted by class.

use std::collections::BTreeMap;
use std::panic::catch_unwind;
use std::path::Path;

use arrow_array::RecordBatch;
use volley_core::decode::DecodeError;
use volley_core::headers::checksum;
use volley_core::layout::{Diagnostic, Layout, Options, RegionKind, walk};
use volley_core::splice::splice;

use crate::common::decode;
use crate::place::{Class, Names, Place};

/// Counts, in the order of the table's columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Count {
    Mutants,
    /// The walk finds what it found before: values, padding, what no reader needs.
    SameWalk,
    /// The walk finds something else, and nothing wrong with it: a column of another name.
    Sound,
    /// The walk finds an error, the first of which is what `check` and `decode` return.
    Refused,
    /// Of those refused: the error names the message, and rightly.
    Message,
    /// The column too.
    Column,
    /// The buffer too.
    Buffer,
    /// The walk passes, and arrow-ipc returns an error for the values.
    ArrowError,
    /// Decodes to other rows, which only a checksum can tell.
    OtherRows,
    /// Has the checksum of the payload that it was made of.
    SameChecksum,
    /// Panics in the walk, the splice or arrow-ipc.
    Panics,
    /// The process ended by a signal.
    Aborts,
    /// No answer in ten seconds.
    Hangs,
    /// Regions that do not cover each byte once.
    NotWhole,
}

impl Count {
    const NAMES: [&'static str; 14] = [
        "mutants",
        "same walk",
        "sound",
        "refused",
        "message",
        "column",
        "buffer",
        "arrow error",
        "other rows",
        "same crc32c",
        "panics",
        "aborts",
        "hangs",
        "not whole",
    ];
}

/// The counts of one class.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts([u64; Count::NAMES.len()]);

impl Counts {
    pub fn of(&self, count: Count) -> u64 {
        self.0[count as usize]
    }

    fn add(&mut self, count: Count, n: u64) {
        self.0[count as usize] += n;
    }

    /// Those that change the walk.
    pub fn structural(&self) -> u64 {
        self.of(Count::Sound) + self.of(Count::Refused)
    }

    /// How many of the structural ones name what a fault of the class belongs to, in percent.
    pub fn named(&self, names: Names) -> f64 {
        let named = match names {
            Names::Offset => self.of(Count::Refused),
            Names::Message => self.of(Count::Message),
            Names::Column => self.of(Count::Column),
            Names::Buffer => self.of(Count::Buffer),
        };
        100.0 * named as f64 / self.structural().max(1) as f64
    }
}

/// The counts of all classes.
#[derive(Clone, Debug, Default)]
pub struct Tally(pub BTreeMap<Class, Counts>);

impl Tally {
    pub fn add(&mut self, class: Class, count: Count, n: u64) {
        self.0.entry(class).or_default().add(count, n);
    }

    pub fn merge(&mut self, other: &Self) {
        for (class, counts) in &other.0 {
            let ours = self.0.entry(*class).or_default();
            ours.0.iter_mut().zip(counts.0).for_each(|(ours, theirs)| *ours += theirs);
        }
    }

    pub fn sum(&self, classes: impl Fn(Class) -> bool) -> Counts {
        let mut sum = Counts::default();
        for (_, counts) in self.0.iter().filter(|(class, _)| classes(**class)) {
            sum.0.iter_mut().zip(counts.0).for_each(|(sum, count)| *sum += count);
        }
        sum
    }

    /// One line for each class: its number and its counts.
    pub fn to_lines(&self) -> String {
        let line = |(class, counts): (&Class, &Counts)| {
            let counts: Vec<String> = counts.0.iter().map(u64::to_string).collect();
            format!("\ntally {} {}\n", *class as usize, counts.join(" "))
        };
        self.0.iter().map(line).collect()
    }

    /// Reads what [`to_lines`](Self::to_lines) wrote, among other lines.
    pub fn from_lines(text: &str) -> Self {
        let mut tally = Self::default();
        for line in text.lines().filter_map(|line| line.strip_prefix("tally ")) {
            let numbers: Vec<u64> = line.split(' ').map(|word| word.parse().unwrap()).collect();
            let counts = Counts(numbers[1..].try_into().unwrap());
            tally.0.insert(Class::ALL[numbers[0] as usize], counts);
        }
        tally
    }

    /// The table of results.
    pub fn print(&self) {
        let head: Vec<String> = Count::NAMES.iter().map(|name| format!("{name:>13}")).collect();
        println!("{:18}{}  of the structural ones", "", head.join(""));
        let row = |name: &str, counts: &Counts, names: Names| {
            let cells: Vec<String> = counts.0.iter().map(|count| format!("{count:>13}")).collect();
            let named = match (counts.structural(), names) {
                (0, _) => "none".to_owned(),
                (_, Names::Offset) => format!("{:.1} % are refused", counts.named(names)),
                _ => format!("{:.1} % name the {names}", counts.named(names)),
            };
            println!("{name:18}{}  {named}", cells.join(""));
        };
        for (class, counts) in &self.0 {
            row(&class.to_string(), counts, class.names());
        }
        row("all of a buffer", &self.sum(|class| class.names() == Names::Buffer), Names::Buffer);
        row("all", &self.sum(|_| true), Names::Buffer);
        let all = self.sum(|_| true);
        let n_seen = all.of(Count::Mutants) - all.of(Count::SameChecksum);
        println!("volley-crc32c tells {n_seen} of {} mutants", all.of(Count::Mutants));
    }
}

/// A payload that mutants are made of.
#[derive(Debug)]
pub struct Original<'a> {
    payload: &'a [u8],
    walk: (Layout, Vec<Diagnostic>),
    batches: Vec<RecordBatch>,
    checksum: u32,
}

impl<'a> Original<'a> {
    pub fn new(payload: &'a [u8]) -> Self {
        Self {
            payload,
            walk: walk(payload, &Options::default()),
            batches: decode(payload, &Options::default()).unwrap(),
            checksum: checksum(payload),
        }
    }

    pub fn layout(&self) -> &Layout {
        &self.walk.0
    }

    /// Walks, decodes and splices a mutant.
    pub fn judge(&self, mutant: &[u8], place: &Place, tally: &mut Tally) {
        if mutant == self.payload {
            return;
        }
        let counts = tally.0.entry(place.class).or_default();
        counts.add(Count::Mutants, 1);
        counts.add(Count::SameChecksum, u64::from(checksum(mutant) == self.checksum));
        let result = catch_unwind(|| {
            let walk = walk(mutant, &Options::default());
            let decoded = decode(mutant, &Options::default());
            // What passes must splice too, or say why not.
            let _: Result<Vec<u8>, _> = splice(&[mutant], &Options::default()).map(|s| s.to_vec());
            (walk, decoded)
        });
        let Ok((walk, decoded)) = result else {
            counts.add(Count::Panics, 1);
            let path = Path::new(env!("CARGO_TARGET_TMPDIR"))
                .join(format!("panic-{:08x}", checksum(mutant)));
            std::fs::write(&path, mutant).unwrap();
            eprintln!("the payload that panicked: {}", path.display());
            return;
        };
        counts.add(Count::NotWhole, u64::from(!is_whole(mutant, &walk.0)));
        if walk == self.walk {
            counts.add(Count::SameWalk, 1);
        } else if let Some(error) = walk.1.iter().find(|diagnostic| diagnostic.is_error()) {
            counts.add(Count::Refused, 1);
            let names = place.named_by(error);
            counts.add(Count::Message, u64::from(names >= Names::Message));
            counts.add(Count::Column, u64::from(names >= Names::Column));
            counts.add(Count::Buffer, u64::from(names >= Names::Buffer));
            if names < place.class.names() && std::env::var_os("VOLLEY_MUTATE_SHOW").is_some() {
                eprintln!("{place:?}: {error}");
            }
        } else {
            counts.add(Count::Sound, 1);
        }
        match decoded {
            Err(DecodeError::Damaged(_)) => {}
            Err(_) => counts.add(Count::ArrowError, 1),
            Ok(batches) if batches == self.batches => {}
            Ok(_) => counts.add(Count::OtherRows, 1),
        }
    }
}

fn is_whole(payload: &[u8], layout: &Layout) -> bool {
    let mut at = 0;
    let follow = layout.regions.iter().all(|region| {
        let follows = region.offset == at && region.len > 0;
        at = region.end();
        let is_known = match region.kind {
            RegionKind::Buffer(buffer) => buffer < layout.buffers.len(),
            _ => true,
        };
        follows && is_known
    });
    follow && at == payload.len()
}
