use std::time::Duration;

use arrow_schema::ArrowError;

use super::{Point, Sample, Size};
use crate::{
    decode::{DecodeError, Decoder},
    encode::{EncodeError, Encoder},
    layout,
};

/// Work before any is timed: the encoder's buffers and the allocator's pages are there after a few
/// payloads, as in a producer that runs, and not after one.
const WARM_UP: Duration = Duration::from_millis(3);

/// Shorter passes are repeated until they take so long together, because clocks are coarse.
const MIN_TRIAL: Duration = Duration::from_millis(5);

/// What a trial takes at least, with room for one more pass.
pub(super) const LEAST_TRIAL: Duration = Duration::from_millis(12);

/// Most passes of a trial, also where the clock stands still.
const MAX_PASSES: u32 = 64;

/// Time, which core does not have of its own. Neither runs backwards.
pub trait Clock {
    /// Time since any fixed moment: what a budget is spent in.
    fn wall(&mut self) -> Duration;

    /// Time that this thread has been busy: what work costs. Without a way to know, the wall's.
    fn busy(&mut self) -> Duration {
        self.wall()
    }
}

/// What to measure, and until when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Task {
    /// The point.
    pub point: Point,
    /// When to stop, on the clock's wall.
    pub deadline: Duration,
}

/// One measurement of a point.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Trial {
    /// The same in every trial.
    pub size: Size,
    /// Encoding, ns a row.
    pub encode_ns: f64,
    /// Checking and decoding, ns a row.
    pub decode_ns: f64,
    /// Time on the wall for a row of the trial, warm-up included.
    pub wall_ns: f64,
}

/// Why a point could not be measured.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MeasureError {
    /// Its windows cannot be made.
    #[error("cannot cut the rows into batches")]
    Window(#[from] ArrowError),
    /// A window cannot be written.
    #[error("cannot encode the rows")]
    Encode(#[from] EncodeError),
    /// What was written cannot be read.
    #[error("cannot decode what was encoded")]
    Decode(#[from] DecodeError),
}

/// Encodes and decodes the windows of a point, after a warm-up: so many of them as take 3 ms, or each
/// once.
///
/// Looks at the clock between payloads: past the deadline it gives up and returns `None`, late by
/// one payload at most.
///
/// # Errors
///
/// [`MeasureError`] for rows that IPC cannot carry.
pub fn measure(
    sample: &Sample,
    task: Task,
    clock: &mut dyn Clock,
) -> Result<Option<Trial>, MeasureError> {
    let started = clock.wall();
    let windows = sample.windows(&task.point)?;
    let mut encoder = Encoder::new(sample.schema(&task.point), task.point.options())?;
    // The bytes were made here: limits are for those of others.
    let limits = layout::Options { max_raw_bytes: u64::MAX, ..layout::Options::default() };
    let mut decoder = Decoder::new(limits);

    // In turns, also from the warm-up on: none is encoded twice in a row, which an encoder would
    // remember.
    let mut turns = windows.iter().cycle();
    let mut n_rows = 0;
    let mut warm = Duration::ZERO;
    for window in turns.by_ref().take(windows.len()) {
        if clock.wall() > task.deadline {
            return Ok(None);
        }
        let began = clock.busy();
        let payload = encoder.encode(std::slice::from_ref(window))?;
        decoder.decode(&payload)?;
        n_rows += window.num_rows();
        warm += clock.busy().saturating_sub(began);
        if warm >= WARM_UP {
            break;
        }
    }
    let mut size = Size::default();
    let (mut encoding, mut decoding) = (Duration::ZERO, Duration::ZERO);
    let mut rows_timed = 0;
    for pass in 0..MAX_PASSES {
        for window in turns.by_ref().take(windows.len()) {
            if clock.wall() > task.deadline {
                return Ok(None);
            }
            let began = clock.busy();
            let payload = encoder.encode(std::slice::from_ref(window))?;
            let encoded = clock.busy();
            let batches = decoder.decode(&payload)?;
            decoding += clock.busy().saturating_sub(encoded);
            encoding += encoded.saturating_sub(began);
            drop(batches);
            rows_timed += window.num_rows();
            if pass == 0 {
                size.add(window.num_rows(), payload.len());
            }
        }
        if encoding + decoding >= MIN_TRIAL {
            break;
        }
    }
    n_rows += rows_timed;
    let wall = clock.wall().saturating_sub(started);
    let per_row = |time: Duration, n_rows: usize| time.as_nanos() as f64 / n_rows.max(1) as f64;
    Ok(Some(Trial {
        size,
        encode_ns: per_row(encoding, rows_timed),
        decode_ns: per_row(decoding, rows_timed),
        wall_ns: per_row(wall, n_rows),
    }))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{Int64Array, RecordBatch};

    use super::*;
    use crate::codec::{Codec, Framing};

    /// Each look takes a µs.
    struct Ticking(u64);

    impl Clock for Ticking {
        fn wall(&mut self) -> Duration {
            self.0 += 1;
            Duration::from_micros(self.0)
        }
    }

    fn sample() -> Sample {
        let column = Arc::new(Int64Array::from_iter_values((0..10_000).map(|i| i * i % 101))) as _;
        Sample::new(&[RecordBatch::try_from_iter([("n", column)]).unwrap()]).unwrap()
    }

    fn task(rows: usize, deadline: Duration) -> Task {
        let point =
            Point { rows, codec: Codec::default(), framing: Framing::Stream, dictionary: false };
        Task { point, deadline }
    }

    #[test]
    fn sizes_do_not_depend_on_the_clock() {
        let sample = sample();
        for rows in [1, 10, 500, 5000] {
            let task = task(rows, Duration::MAX);
            let trial = measure(&sample, task, &mut Ticking(0)).unwrap().unwrap();
            assert_eq!(trial.size, sample.size(&task.point).unwrap());
            let again = measure(&sample, task, &mut Ticking(1 << 40)).unwrap().unwrap();
            assert_eq!(again.size, trial.size);
            // One tick a payload, each of `rows` rows.
            let tick = 1000.0 / rows as f64;
            assert_eq!((trial.encode_ns, trial.decode_ns), (tick, tick));
        }
    }

    #[test]
    fn it_stops_at_the_deadline() {
        let mut clock = Ticking(0);
        assert_eq!(
            measure(&sample(), task(500, Duration::from_micros(9)), &mut clock).unwrap(),
            None
        );
        assert!(clock.0 < 20, "looked {} times", clock.0);
    }
}
