//! What the header of a Zstandard frame says. The decoder itself writes no more than the declared
//! size, so the header serves only to find damage where it can be named.
//!
//! ```text
//! magic (u32) · descriptor · [window] · [dictionary id (1, 2 or 4 bytes)] · [content size] · …
//! ```

const MAGIC: &[u8] = &0xFD2F_B528_u32.to_le_bytes();

/// The decompressed size where the frame states it. `None` where the header is damaged.
pub(super) fn content_size(bytes: &[u8]) -> Option<Option<u64>> {
    let (&descriptor, rest) = bytes.strip_prefix(MAGIC)?.split_first()?;
    let is_single_segment = descriptor & 0x20 != 0;
    let window_len = usize::from(!is_single_segment);
    let dictionary_len = [0, 1, 2, 4][usize::from(descriptor & 3)];
    let rest = rest.get(window_len + dictionary_len..)?;
    Some(match descriptor >> 6 {
        0 if is_single_segment => Some(u64::from(*rest.first()?)),
        0 => None,
        1 => Some(u64::from(u16::from_le_bytes(*rest.first_chunk()?)) + 256),
        2 => Some(u64::from(u32::from_le_bytes(*rest.first_chunk()?))),
        _ => Some(u64::from_le_bytes(*rest.first_chunk()?)),
    })
}
