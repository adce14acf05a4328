//! How much an LZ4 frame can decompress to, without decompressing it.
//!
//! The decoder behind arrow-ipc writes whatever the frame holds and compares with the declared
//! size only afterwards, so the declared size alone bounds nothing.
//!
//! ```text
//! frame  magic (u32) · flags · block size · [content size (u64)] · checksum (u8) · block* · end
//! block  size (u32, top bit: stored) · bytes · [checksum (u32)]
//! end    0 (u32) · [content checksum (u32)]
//! bytes  (token · literal length · literals · match offset (u16) · match length)*
//! ```

const MAGIC: &[u8] = &0x184D_2204_u32.to_le_bytes();
const STORED: u32 = 1 << 31;

/// What the headers of a frame say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Frame {
    /// The decompressed size where the frame states it.
    pub(super) content_size: Option<u64>,
    /// No less than the decompressed size.
    pub(super) at_most: u64,
    /// Bytes that a decoder sets up for the frame.
    pub(super) scratch: u64,
}

/// Goes over the block headers of a frame. `None` where they are damaged or the frame is cut off.
pub(super) fn frame(bytes: &[u8]) -> Option<Frame> {
    let mut blocks = Blocks::new(bytes)?;
    let mut at_most = 0_u64;
    let block_max = blocks.block_max;
    for block in &mut blocks {
        at_most += match block {
            Block::Stored(bytes) => bytes.len() as u64,
            // No byte of a block stands for more than 255 bytes of output.
            Block::Compressed(bytes) => (bytes.len() as u64).saturating_mul(255).min(block_max),
        };
    }
    let content_size = blocks.content_size;
    blocks.is_complete.then_some(Frame { content_size, at_most, scratch: block_max * 2 })
}

/// Adds up the sequences of every block: the decompressed size. `None` as for [`frame`].
pub(crate) fn exact_size(bytes: &[u8]) -> Option<u64> {
    let mut blocks = Blocks::new(bytes)?;
    let mut size = 0_u64;
    for block in &mut blocks {
        size = size.checked_add(match block {
            Block::Stored(bytes) => bytes.len() as u64,
            Block::Compressed(bytes) => block_size(bytes)?,
        })?;
    }
    blocks.is_complete.then_some(size)
}

/// The decompressed size of one compressed block.
fn block_size(mut bytes: &[u8]) -> Option<u64> {
    let mut size = 0_u64;
    while let Some((&token, rest)) = bytes.split_first() {
        bytes = rest;
        let literals = length(u64::from(token >> 4), &mut bytes)?;
        size = size.checked_add(literals)?;
        bytes = bytes.get(usize::try_from(literals).ok()?..)?;
        if bytes.is_empty() {
            break; // The last sequence has no match.
        }
        bytes = bytes.get(2..)?;
        size = size.checked_add(length(u64::from(token & 15), &mut bytes)? + 4)?;
    }
    Some(size)
}

/// A length of 15 goes on in the bytes that follow, until one is not 255.
fn length(start: u64, bytes: &mut &[u8]) -> Option<u64> {
    let mut length = start;
    if start < 15 {
        return Some(length);
    }
    loop {
        let (&more, rest) = bytes.split_first()?;
        *bytes = rest;
        length += u64::from(more);
        if more < 255 {
            return Some(length);
        }
    }
}

enum Block<'a> {
    Stored(&'a [u8]),
    Compressed(&'a [u8]),
}

struct Blocks<'a> {
    bytes: &'a [u8],
    block_max: u64,
    content_size: Option<u64>,
    checksum_len: usize,
    /// Set when the end mark was reached.
    is_complete: bool,
}

impl<'a> Blocks<'a> {
    fn new(bytes: &'a [u8]) -> Option<Self> {
        let rest = bytes.strip_prefix(MAGIC)?;
        let (&[flags, descriptor], mut rest) = rest.split_first_chunk::<2>()?;
        // Version 1, and no dictionary: nobody could know which.
        if flags >> 6 != 1 || flags & 1 != 0 {
            return None;
        }
        let block_max = match (descriptor >> 4) & 7 {
            4 => 1 << 16,
            5 => 1 << 18,
            6 => 1 << 20,
            7 => 1 << 22,
            _ => return None,
        };
        let mut content_size = None;
        if flags & 8 != 0 {
            let (size, after) = rest.split_first_chunk::<8>()?;
            content_size = Some(u64::from_le_bytes(*size));
            rest = after;
        }
        let checksum_len = if flags & 16 != 0 { 4 } else { 0 };
        let bytes = rest.get(1..)?;
        Some(Self { bytes, block_max, content_size, checksum_len, is_complete: false })
    }
}

impl<'a> Iterator for Blocks<'a> {
    type Item = Block<'a>;

    fn next(&mut self) -> Option<Block<'a>> {
        if self.is_complete {
            return None;
        }
        let (size, rest) = self.bytes.split_first_chunk::<4>()?;
        let size = u32::from_le_bytes(*size);
        if size == 0 {
            self.is_complete = true;
            return None;
        }
        let len = (size & !STORED) as usize;
        if len as u64 > self.block_max {
            return None;
        }
        let bytes = rest.get(..len)?;
        self.bytes = rest.get(len + self.checksum_len..)?;
        Some(if size & STORED == 0 { Block::Compressed(bytes) } else { Block::Stored(bytes) })
    }
}
