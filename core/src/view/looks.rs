//! What bytes that are not Arrow IPC could be.

use serde::Serialize;

/// A guess at what a payload is, from its first bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Looks {
    /// What it is, such as `JSON`; `unknown` where nothing fits.
    pub name: &'static str,
    /// Why that is thought, and what could be done with it, as a sentence.
    pub why: &'static str,
}

/// First bytes that name their format.
const MAGICS: [(&[u8], &str, &str); 12] = [
    (b"PAR1", "Parquet", "It begins with PAR1. Write it as Arrow IPC to look at it here."),
    (b"FEA1", "Feather V1", "It begins with FEA1, the format that Arrow IPC files replaced."),
    (b"Obj\x01", "Avro", "It begins as an Avro object container file."),
    (b"ORC", "ORC", "It begins with ORC."),
    (b"\x1f\x8b", "gzip", "It is compressed as a whole. Decompress it first."),
    (b"\x28\xb5\x2f\xfd", "Zstandard", "It is compressed as a whole. Decompress it first."),
    (b"\x04\x22\x4d\x18", "LZ4", "It is compressed as a whole. Decompress it first."),
    (b"PK\x03\x04", "ZIP", "It is an archive. Unpack it first."),
    (b"\x89PNG", "PNG", "It is a picture."),
    (b"%PDF", "PDF", "It is a document."),
    (b"SQLite format 3", "SQLite", "It is a database."),
    (b"\xff\x06\x00\x00sNaPpY", "Snappy", "It is compressed as a whole. Decompress it first."),
];

/// How many bytes a guess looks at.
const SAMPLE: usize = 1 << 16;

/// Guesses what bytes are that hold no message of Arrow.
pub fn looks_like(bytes: &[u8]) -> Looks {
    let looks = |name, why| Looks { name, why };
    if bytes.is_empty() {
        return looks("nothing", "It holds no bytes: in Kafka that is a tombstone.");
    }
    if let Some((_, name, why)) = MAGICS.iter().find(|(magic, ..)| bytes.starts_with(magic)) {
        return looks(name, why);
    }
    if bytes.starts_with(b"ARROW1") || bytes.starts_with(&[0xff; 4]) {
        return looks("damaged Arrow", "It begins as Arrow IPC does, and no message can be read.");
    }
    if let Some(text) = text(bytes) {
        return match text.trim_start().chars().next() {
            Some('{' | '[') => looks("JSON", "It is text that begins with a bracket."),
            Some('<') => looks("XML or HTML", "It is text that begins with a tag."),
            _ if is_table(text) => looks("CSV", "It is text with equally many separators a line."),
            _ => looks("text", "All of its bytes are readable characters."),
        };
    }
    if let [0, _, _, _, _, rest @ ..] = bytes {
        return if text(rest).is_some_and(|text| text.starts_with('{')) {
            looks("JSON with a schema id", "A zero and a 4-byte id precede it, as registries do.")
        } else {
            looks(
                "Avro or Protobuf with a schema id",
                "It begins with a zero and a 4-byte id, as messages of a schema registry do.",
            )
        };
    }
    if is_protobuf(bytes) {
        return looks("Protobuf", "All of its bytes read as fields of a Protobuf message.");
    }
    looks("unknown", "Nothing in its first bytes names a format.")
}

/// The beginning as text, if that is what it is.
fn text(bytes: &[u8]) -> Option<&str> {
    let sample = &bytes[..bytes.len().min(SAMPLE)];
    let text = match std::str::from_utf8(sample) {
        Ok(text) => text,
        // The sample may end inside a character.
        Err(error) if error.error_len().is_none() && sample.len() == SAMPLE => {
            std::str::from_utf8(&sample[..error.valid_up_to()]).ok()?
        }
        Err(_) => return None,
    };
    let is_text = |c: char| !c.is_control() || matches!(c, '\n' | '\r' | '\t');
    text.chars().all(is_text).then_some(text)
}

fn is_table(text: &str) -> bool {
    let mut lines = text.lines().take(20).filter(|line| !line.is_empty());
    let Some(first) = lines.next() else { return false };
    let mut second = lines.peekable();
    [',', ';', '\t'].into_iter().any(|separator| {
        let n = first.matches(separator).count();
        n > 0 && second.peek().is_some_and(|line| line.matches(separator).count() == n)
    })
}

/// Whether the bytes are fields one after another: a key, and a value of the key's kind.
fn is_protobuf(mut bytes: &[u8]) -> bool {
    let mut n_fields = 0;
    while !bytes.is_empty() {
        let Some((key, rest)) = varint(bytes) else { return false };
        let number = key >> 3;
        let len = match (key & 7, number) {
            (_, 0 | 0x2000_0000..) => return false,
            (0, _) => varint(rest).map(|(_, after)| rest.len() - after.len()),
            (1, _) => Some(8),
            (5, _) => Some(4),
            (2, _) => varint(rest).and_then(|(len, after)| {
                usize::try_from(len).ok()?.checked_add(rest.len() - after.len())
            }),
            _ => None,
        };
        let Some(rest) = len.and_then(|len| rest.get(len..)) else { return false };
        bytes = rest;
        n_fields += 1;
    }
    n_fields > 1
}

fn varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let len = bytes.iter().take(10).position(|byte| byte & 0x80 == 0)? + 1;
    let (own, rest) = bytes.split_at(len);
    let value = own.iter().rev().fold(0_u64, |value, byte| value << 7 | u64::from(byte & 0x7f));
    Some((value, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_told_apart() {
        let check = |bytes: &[u8], expect| assert_eq!(looks_like(bytes).name, expect, "{bytes:?}");
        check(b"", "nothing");
        check(b"{\"device\": \"a\"}\n", "JSON");
        check(b"  [1, 2]", "JSON");
        check(b"<html>", "XML or HTML");
        check(b"a,b\n1,2\n", "CSV");
        check("žluťoučký kůň".as_bytes(), "text");
        check(b"PAR1....PAR1", "Parquet");
        check(b"Obj\x01\x04", "Avro");
        check(b"\0\0\0\0\x07\x02\x08\x80", "Avro or Protobuf with a schema id");
        check(b"\0\0\0\0\x07{\"a\": 1}", "JSON with a schema id");
        check(b"\x1f\x8b\x08", "gzip");
        check(b"\x28\xb5\x2f\xfd\0", "Zstandard");
        check(b"ARROW1", "damaged Arrow");
        // name: "box", id: 150, ratio: a double
        check(b"\x0a\x03box\x10\x96\x01\x19\0\0\0\0\0\0\xf0\x3f", "Protobuf");
        check(&[0xfe, 0xff, 0x00, 0x80, 0x99], "unknown");
    }

    #[test]
    fn any_bytes_have_a_guess() {
        for byte in 0..=255_u8 {
            for len in 0..40 {
                let bytes: Vec<u8> =
                    (0..len).map(|i| byte.wrapping_mul(i).rotate_left(3)).collect();
                assert!(!looks_like(&bytes).why.is_empty());
                assert!(!looks_like(&vec![byte; usize::from(len)]).why.is_empty());
            }
        }
    }
}
