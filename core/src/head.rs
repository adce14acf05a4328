//! The first rows of a payload, sound or not.

use std::ops::Range;

use arrow_array::RecordBatch;

use crate::{
    decode::{DecodeError, Decoder},
    layout::{self, Code, Diagnostic, Layout, Options},
};

/// The first rows of a payload, as far as they can be read; see [`head`].
#[derive(Debug, Default)]
pub struct Head {
    /// Batches of together at most the rows that were asked for.
    pub batches: Vec<RecordBatch>,
    /// Why there are no more, where the payload ends too early.
    pub stopped: Option<DecodeError>,
}

/// The first `n_rows` rows of a payload; of a damaged one, rows of the batches before the damage. No
/// batch behind them is decoded.
///
/// What precedes the damage is checked by itself, as a stream without an end, before it is decoded.
pub fn head(payload: &[u8], options: &Options, n_rows: usize) -> Head {
    let (layout, diagnostics) = layout::walk(payload, options);
    let mut decoder = Decoder::new(options.clone());
    let mut head = Head::default();
    let errors = diagnostics.iter().filter(|diagnostic| diagnostic.is_error());
    let Some(first) = errors.min_by_key(|error| error.offset) else {
        head.take(&mut decoder, payload, n_rows);
        return head;
    };
    let end = sound_end(&layout, &diagnostics);
    for range in sound_streams(&layout, end) {
        let stream = payload.get(range).unwrap_or_default();
        if head.stopped.is_none() && !head.take(&mut decoder, stream, n_rows) {
            break;
        }
    }
    if head.stopped.is_none() && head.n_rows() < n_rows {
        head.stopped = Some(DecodeError::Damaged(Box::new(first.clone())));
    }
    head
}

impl Head {
    /// Rows of all batches.
    pub fn n_rows(&self) -> usize {
        self.batches.iter().map(RecordBatch::num_rows).sum()
    }

    /// Reads on in a payload. `false` where that is damaged.
    fn take(&mut self, decoder: &mut Decoder, payload: &[u8], n_rows: usize) -> bool {
        let Ok(mut batches) = decoder.batches(payload) else {
            return false;
        };
        let mut left = n_rows.saturating_sub(self.n_rows());
        while left > 0 {
            match batches.next() {
                None => break,
                Some(Err(error)) => {
                    self.stopped = Some(error.into());
                    break;
                }
                Some(Ok(batch)) => {
                    let batch = batch.slice(0, batch.num_rows().min(left));
                    left -= batch.num_rows();
                    self.batches.push(batch);
                }
            }
        }
        true
    }
}

/// Where the first message begins that an error is about; the payload's end where all are whole.
fn sound_end(layout: &Layout, diagnostics: &[Diagnostic]) -> usize {
    let start = |diagnostic: &Diagnostic| {
        // A footer that lists other messages says nothing against those that are there.
        let message = diagnostic.message.filter(|_| diagnostic.code != Code::FooterBlock);
        let message = message.and_then(|message| layout.messages.get(message));
        message.map_or(diagnostic.offset, |message| message.offset.min(diagnostic.offset))
    };
    diagnostics.iter().filter(|d| d.is_error()).map(start).min().unwrap_or(layout.bytes)
}

/// The bytes of each stream up to the last of its messages that ends before `end`.
fn sound_streams(layout: &Layout, end: usize) -> Vec<Range<usize>> {
    let starts = layout.streams.iter().map(|stream| stream.range.start);
    let mut ranges: Vec<_> = starts.map(|start| start..start).collect();
    for message in layout.messages.iter().filter(|message| message.range().end <= end) {
        if let Some(range) = ranges.get_mut(message.stream) {
            range.end = message.range().end;
        }
    }
    ranges.retain(|range| !range.is_empty());
    ranges
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{Int32Array, cast::AsArray as _, types::Int32Type};

    use super::*;
    use crate::{
        codec::{self, CodecOptions},
        encode::Encoder,
    };

    fn numbers(values: Vec<i32>) -> RecordBatch {
        let column = Arc::new(Int32Array::from(values)) as _;
        RecordBatch::try_from_iter([("n", column)]).unwrap()
    }

    /// Two batches: 1 and 2, then 3.
    fn two_batches(framing: codec::Framing) -> Vec<u8> {
        let batches = [numbers(vec![1, 2]), numbers(vec![3])];
        let options = CodecOptions { framing, ..CodecOptions::default() };
        Encoder::new(batches[0].schema(), options).unwrap().encode(&batches).unwrap().to_vec()
    }

    fn values(head: &Head) -> Vec<i32> {
        let column =
            |batch: &RecordBatch| batch.column(0).as_primitive::<Int32Type>().values().to_vec();
        head.batches.iter().flat_map(column).collect()
    }

    #[test]
    fn a_head_has_so_many_rows() {
        for framing in [codec::Framing::Stream, codec::Framing::File] {
            let payload = two_batches(framing);
            for (n_rows, expected) in [(0, 0), (1, 1), (2, 2), (3, 3), (usize::MAX, 3)] {
                let head = head(&payload, &Options::default(), n_rows);
                assert_eq!(values(&head), [1, 2, 3][..expected]);
                assert!(head.stopped.is_none());
            }
        }
    }

    /// Wherever a payload is cut or damaged, the rows that come are the right ones, and where one
    /// is missing there is a reason.
    #[test]
    fn a_head_of_a_damaged_payload_ends_before_the_damage() {
        for framing in [codec::Framing::Stream, codec::Framing::File] {
            let payload = two_batches(framing);
            let mut n_seen = [0; 4];
            for end in 0..payload.len() {
                let head = head(&payload[..end], &Options::default(), 9);
                let found = values(&head);
                assert_eq!(found, [1, 2, 3][..found.len()]);
                let is_damaged = layout::check(&payload[..end], &Options::default()).is_err();
                assert_eq!(head.stopped.is_some(), is_damaged, "cut at {end}");
                n_seen[found.len()] += 1;
            }
            assert!(n_seen[0] > 0 && n_seen[2] > 0 && n_seen[3] > 0, "{n_seen:?}");
        }
    }

    #[test]
    fn rows_before_a_limit_are_read() {
        let payload = two_batches(codec::Framing::Stream);
        let head = head(&payload, &Options { max_rows: 2, ..Options::default() }, 9);
        assert_eq!(values(&head), [1, 2]);
        let stopped = head.stopped.unwrap().to_string();
        assert!(stopped.contains("over-cap"), "{stopped}");
    }
}
