//! What a page calls: payloads in, JSON out. The work is done in [`volley_core`].

use volley_core::{inspect, layout::Options};
use wasm_bindgen::prelude::wasm_bindgen;

/// Summarises an Arrow IPC payload as a JSON object with the fields of [`inspect::Inspection`].
///
/// Any bytes will do: of a damaged payload it shows what it can, with diagnostics that say where
/// the damage is. Nothing is decompressed or decoded.
#[wasm_bindgen]
pub fn inspect(payload: &[u8]) -> String {
    let inspection = inspect::inspect(payload, &Options::default());
    #[expect(clippy::expect_used, reason = "strings and integers have no way to fail")]
    serde_json::to_string(&inspection).expect("plain data")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{Int32Array, RecordBatch, StringArray};
    use serde_json::{Value, json};
    use volley_core::{
        codec::{Codec, CodecOptions, Framing},
        encode::encode,
    };

    fn inspected(payload: &[u8]) -> Value {
        serde_json::from_str(&super::inspect(payload)).unwrap()
    }

    fn payload() -> Vec<u8> {
        let batch = RecordBatch::try_from_iter_with_nullable([
            ("device", Arc::new(StringArray::from(vec!["a", "bb"])) as _, false),
            ("n", Arc::new(Int32Array::from(vec![Some(7), None])) as _, true),
        ])
        .unwrap();
        encode(&batch, CodecOptions { codec: Codec::None, framing: Framing::Stream }).unwrap()
    }

    #[test]
    fn a_payload_is_summarised() {
        let payload = payload();
        let mut inspection = inspected(&payload);
        let metadata_bytes = inspection["metadata_bytes"].as_u64().unwrap() as usize;
        // The body is offsets 12 + 4, text 3 + 5, validity 1 + 7, values 8; the rest is metadata.
        assert_eq!(metadata_bytes, payload.len() - 16 - 8 - 8 - 8);
        let bytes = payload.len() as f64;
        assert_eq!(inspection["schema"].take().as_str().unwrap().len(), 16);
        let expected = json!({
            "framing": "stream",
            "codec": "none",
            "rows": 2,
            "record_batches": 1,
            "dictionaries": 0,
            "bytes": payload.len(),
            "metadata_bytes": metadata_bytes,
            "padding_bytes": 16,
            "raw_bytes": 24,
            "ratio": 24.0 / bytes,
            "bytes_per_row": bytes / 2.0,
            "metadata_share": metadata_bytes as f64 / bytes,
            "schema": null,
            "columns": [
                {
                    "path": "device", "type": "utf8",
                    "values": 2, "nulls": 0, "stored": 15, "raw": 15,
                    "ratio": 1.0, "share": 15.0 / bytes,
                },
                {
                    "path": "n", "type": "int32",
                    "values": 2, "nulls": 1, "stored": 9, "raw": 9,
                    "ratio": 1.0, "share": 9.0 / bytes,
                },
            ],
            "diagnostics": [],
        });
        // Reading a fraction rounds its last digit.
        assert_eq!(inspection, serde_json::from_str::<Value>(&expected.to_string()).unwrap());
    }

    #[test]
    fn bytes_that_are_no_payload_are_diagnosed() {
        for bytes in [&b""[..], b"{\"not\": \"arrow\"}", b"ARROW1", &[0xff; 64], &[0; 64]] {
            let inspection = inspected(bytes);
            assert_eq!(inspection["bytes"], bytes.len());
            let diagnostic = &inspection["diagnostics"][0];
            assert_eq!(diagnostic["severity"], "error", "{inspection}");
            assert!(diagnostic["message"].as_str().unwrap().contains("byte"), "{diagnostic}");
        }
    }

    /// Nothing panics, and what is missing is noticed wherever the payload is cut.
    #[test]
    fn damage_anywhere_gives_json() {
        let payload = payload();
        let whole = inspected(&payload);
        for end in 0..payload.len() {
            let cut = inspected(&payload[..end]);
            assert_ne!(cut["diagnostics"], whole["diagnostics"], "cut at {end}");
        }
        for at in 0..payload.len() {
            for mask in [0x01, 0x80, 0xff] {
                let mut damaged = payload.clone();
                damaged[at] ^= mask;
                assert_eq!(inspected(&damaged)["bytes"], payload.len());
            }
        }
    }
}
