//! Checks one buffer of a body, and gives the bytes of the body their meaning.

use std::ops::Range;

use super::body::{BodyReader, Stop};
use super::diagnostic::Code;
use super::regions::{BufferKind, BufferLayout, Codec, Region, RegionKind};
use super::{Cut, lz4, zstd};

/// Writers pad buffers to 64 bytes at most; a longer run of bytes between buffers is unexpected.
const MAX_PADDING: usize = 63;

/// A buffer may be twice as large as its values need, and this much on top: writers that send
/// whole allocations exist.
const SLACK: u64 = 4096;

/// How much LZ4 scratch memory decoding may touch, as a multiple of the raw bytes.
const SCRATCH_FACTOR: u64 = 64;

/// How a stored buffer unpacks.
#[derive(Default)]
struct Raw {
    size: u64,
    is_stored_raw: bool,
}

impl BodyReader<'_, '_, '_> {
    /// Reads the next buffer. Its raw size must be within `need`: the least that the reader will
    /// touch and what a full buffer takes, `u64::MAX` where only the values could tell. `width`
    /// is the size of the elements that it must hold a whole number of, 1 for any.
    pub(super) fn buffer(
        &mut self,
        column: usize,
        kind: BufferKind,
        need: Range<u64>,
        width: u64,
    ) -> Result<(), Stop> {
        if self.next_buffer >= self.buffers.len() {
            let found = format!("{} buffers", self.buffers.len());
            let expected = "more".to_owned();
            self.report(Code::BufferCount, column, Some(kind), self.at, found, expected);
            return Err(Stop);
        }
        let buffer = self.buffers.get(self.next_buffer);
        self.next_buffer += 1;
        let body_len = self.body.len();
        let bounds = match (usize::try_from(buffer.offset()), usize::try_from(buffer.length())) {
            (Ok(offset), Ok(length)) => offset.checked_add(length).map(|end| offset..end),
            _ => None,
        };
        let bounds = match bounds {
            Some(bounds) if bounds.end <= body_len => bounds,
            Some(bounds) if self.is_cut_off(&bounds) => {
                self.cut_off(column, kind, &bounds);
                return Ok(());
            }
            _ => {
                let (offset, length) = (buffer.offset(), buffer.length());
                let found = format!("{length} bytes from byte {offset} of the body");
                let expected = format!("an end within its {body_len} bytes");
                self.report(Code::BufferBounds, column, Some(kind), self.at, found, expected);
                // Its place in the order is known, and nothing else: the columns after it still
                // are.
                self.push(column, kind, self.body.start..self.body.start, &Raw::default());
                return Ok(());
            }
        };
        let offset = self.body.start + bounds.start;
        let stored = bounds.len();
        // Empty ones too: arrow-ipc panics on some of them.
        if !bounds.start.is_multiple_of(8) {
            let found = format!("byte {} of the body", bounds.start);
            let expected = "a multiple of 8".to_owned();
            self.report(Code::BufferAlignment, column, Some(kind), offset, found, expected);
        }
        let Some(raw) = self.raw(column, kind, offset..offset + stored) else {
            self.push(column, kind, offset..offset + stored, &Raw::default());
            return Ok(());
        };
        let fault = if raw.size < need.start {
            Some((Code::BufferTooSmall, format!("at least {}", need.start)))
        } else if !raw.size.is_multiple_of(width) {
            Some((Code::BufferPartial, format!("a multiple of {width}")))
        } else if raw.size > need.end.saturating_mul(2).saturating_add(SLACK) {
            Some((Code::BufferTooLarge, format!("about {}", need.end)))
        } else {
            None
        };
        if let Some((code, expected)) = fault {
            let found = format!("{} bytes", raw.size);
            self.report(code, column, Some(kind), offset, found, expected);
        }
        self.walk.charge(self.index, offset, raw.size);
        self.push(column, kind, offset..offset + stored, &raw);
        Ok(())
    }

    /// Whether a buffer lies within the whole body, of which the payload holds the beginning.
    fn is_cut_off(&self, bounds: &Range<usize>) -> bool {
        let cut = self.walk.cut.filter(|cut| cut.message == self.index);
        let declared = cut.and_then(|cut| usize::try_from(cut.declared).ok());
        declared.is_some_and(|declared| bounds.end <= declared)
    }

    /// Names the first buffer that lacks bytes because the payload ends, and maps those it has.
    fn cut_off(&mut self, column: usize, kind: BufferKind, bounds: &Range<usize>) {
        let is_first = |cut: &&mut Cut| !cut.is_reported && !bounds.is_empty();
        if let Some(cut) = self.walk.cut.as_mut().filter(is_first) {
            cut.is_reported = true;
            let found = format!("{} of {} bytes", self.body.len(), cut.declared);
            let expected = format!("bytes {} to {} of the body", bounds.start, bounds.end);
            let end = self.body.end;
            self.report(Code::BodyLength, column, Some(kind), end, found, expected);
        }
        let start = self.body.start + bounds.start.min(self.body.len());
        self.push(column, kind, start..self.body.end, &Raw::default());
    }

    fn push(&mut self, column: usize, kind: BufferKind, range: Range<usize>, raw: &Raw) {
        let position = self.walk.layout.buffers.len();
        self.walk.layout.buffers.push(BufferLayout {
            column,
            kind,
            offset: range.start,
            stored: range.len(),
            raw: raw.size,
            is_stored_raw: raw.is_stored_raw,
        });
        if range.is_empty() || !self.is_in_order {
            return;
        }
        if range.start < self.cursor {
            self.is_in_order = false;
            return;
        }
        self.gap(range.start);
        self.walk.region(range.start, range.len(), Some(self.index), RegionKind::Buffer(position));
        self.cursor = range.end;
    }

    /// The decompressed size of a stored buffer, from its prefix. `None` where that is damaged,
    /// which is reported.
    fn raw(&mut self, column: usize, kind: BufferKind, range: Range<usize>) -> Option<Raw> {
        let stored = self.walk.payload.get(range.clone()).unwrap_or_default();
        if self.codec == Codec::None || stored.is_empty() {
            return Some(Raw { size: stored.len() as u64, is_stored_raw: false });
        }
        let max = self.walk.options.max_raw_bytes;
        let fault = match stored.split_first_chunk::<8>() {
            None => {
                let found = format!("{} bytes", stored.len());
                (Code::CompressedLength, found, "8 bytes of length first".to_owned())
            }
            Some((&prefix, frame)) => match i64::from_le_bytes(prefix) {
                -1 => {
                    return Some(Raw { size: frame.len() as u64, is_stored_raw: true });
                }
                negative @ ..-1 => {
                    let found = format!("length {negative}");
                    (Code::CompressedLength, found, "0 or more, or -1".to_owned())
                }
                declared => {
                    let size = declared.unsigned_abs();
                    let frame_at = range.start + prefix.len();
                    if size > max {
                        let found = format!("{size} bytes decompressed");
                        (Code::OverCap, found, format!("at most {max}"))
                    } else if size == 0 {
                        return Some(Raw::default());
                    } else if !self.may_read(frame.len()) {
                        return None;
                    } else if let Err(found) = self.frame(frame_at, frame, size) {
                        let expected = format!("a {} frame of {size} bytes", self.codec);
                        (Code::CompressedFrame, found, expected)
                    } else {
                        return Some(Raw { size, is_stored_raw: false });
                    }
                }
            },
        };
        let (code, found, expected) = fault;
        self.report(code, column, Some(kind), range.start, found, expected);
        None
    }

    /// Keeps what is read linear in the body. Where it runs out, buffers overlap, which is reported
    /// in the end.
    fn may_read(&mut self, len: usize) -> bool {
        let left = self.unread.checked_sub(len);
        self.unread = left.unwrap_or(0);
        left.is_some()
    }

    /// Compares what a frame says of itself with the declared size.
    fn frame(&mut self, at: usize, frame: &[u8], declared: u64) -> Result<(), String> {
        let content_size = match self.codec {
            Codec::None => None,
            Codec::Zstd => zstd::content_size(frame).ok_or("another header")?,
            Codec::Lz4 => {
                let header = lz4::frame(frame).ok_or("another header, or a frame cut short")?;
                if header.at_most < declared {
                    return Err(format!("at most {} bytes", header.at_most));
                }
                self.lz4_limits(at, frame, declared, &header)?;
                header.content_size
            }
        };
        match content_size {
            Some(size) if size != declared => Err(format!("a frame of {size} bytes")),
            _ => Ok(()),
        }
    }

    /// Bounds what the LZ4 decoder allocates, which does not stop at the declared size.
    fn lz4_limits(
        &mut self,
        at: usize,
        frame: &[u8],
        declared: u64,
        header: &lz4::Frame,
    ) -> Result<(), String> {
        let max = self.walk.options.max_raw_bytes;
        let excess = header.at_most - declared;
        if self.walk.spent.lz4_excess.saturating_add(excess) <= max {
            self.walk.spent.lz4_excess += excess;
        } else if lz4::exact_size(frame) != Some(declared) {
            return Err("another size".to_owned());
        }
        let scratch_max = max.saturating_mul(SCRATCH_FACTOR);
        let was_within = self.walk.spent.lz4_scratch <= scratch_max;
        self.walk.spent.lz4_scratch = self.walk.spent.lz4_scratch.saturating_add(header.scratch);
        if was_within && self.walk.spent.lz4_scratch > scratch_max {
            let found = format!("{} bytes of lz4 blocks", self.walk.spent.lz4_scratch);
            let expected = format!("at most {scratch_max}");
            self.walk.report_in(self.index, Code::OverCap, at, found, expected);
        }
        Ok(())
    }

    /// Names the bytes from the cursor to `end`.
    fn gap(&mut self, end: usize) {
        let len = end.saturating_sub(self.cursor);
        let kind = if len <= MAX_PADDING { RegionKind::Padding } else { RegionKind::Unclaimed };
        if kind == RegionKind::Unclaimed {
            let found = format!("{len} bytes");
            let expected = format!("at most {MAX_PADDING} bytes of padding");
            self.walk.report_in(self.index, Code::UnclaimedBytes, self.cursor, found, expected);
        }
        self.walk.region(self.cursor, len, Some(self.index), kind);
        self.cursor = end;
    }

    /// Says that two buffers share bytes. Where the second begins and ends as writers align buffers
    /// before the `next` one, it is the first that is out of place or too long.
    fn overlap(&mut self, first: BufferLayout, second: BufferLayout, next: usize) {
        if self.walk.diagnostics.is_full() {
            return;
        }
        let start = self.body.start;
        let is_in_place = [8, 16, 32, 64].into_iter().any(|alignment| {
            (second.offset - start).is_multiple_of(alignment)
                && (second.end() - start).next_multiple_of(alignment) == next - start
        });
        let (wrong, other) = if is_in_place { (first, second) } else { (second, first) };
        let found = format!("bytes {} to {}", wrong.offset, wrong.end());
        let column = self.schema.path(other.column);
        let expected = format!(
            "none of bytes {} to {} of column `{column}`, {} buffer",
            other.offset,
            other.end(),
            other.kind
        );
        let kind = Some(wrong.kind);
        self.report(Code::BufferOverlap, wrong.column, kind, wrong.offset, found, expected);
    }

    /// Finishes the byte map of the body, from the buffer at `first` of the layout on.
    pub(super) fn close(&mut self, first: usize) {
        if !self.is_in_order {
            self.walk.layout.regions.truncate(self.first_region);
            self.cursor = self.body.start;
            let mut sorted: Vec<(usize, BufferLayout)> =
                self.walk.layout.buffers.iter().copied().enumerate().skip(first).collect();
            sorted.retain(|(_, buffer)| buffer.stored > 0);
            sorted.sort_by_key(|(_, buffer)| buffer.offset);
            let mut furthest: Option<BufferLayout> = None;
            for (at, &(position, buffer)) in sorted.iter().enumerate() {
                let end = buffer.end();
                if let Some(before) = furthest.filter(|before| buffer.offset < before.end()) {
                    let next = sorted.get(at + 1).map_or(self.body.end, |(_, next)| next.offset);
                    self.overlap(before, buffer, next);
                }
                if furthest.is_none_or(|before| before.end() < end) {
                    furthest = Some(buffer);
                }
                let start = buffer.offset.max(self.cursor);
                if end > start {
                    self.gap(start);
                    self.walk.layout.regions.push(Region {
                        offset: start,
                        len: end - start,
                        message: Some(self.index),
                        kind: RegionKind::Buffer(position),
                    });
                    self.cursor = end;
                }
            }
        }
        self.gap(self.body.end);
    }
}
