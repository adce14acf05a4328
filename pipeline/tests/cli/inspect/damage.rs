use std::fs;

use super::{folder_with, golden, inspect, payload, prints};

/// Two batches, the second with a buffer of 40 numbers that says to have three.
fn damaged() -> Vec<u8> {
    let mut payload = fs::read(golden("scalars-lz4.arrows")).unwrap();
    let map = inspect(&["--map", "--format", "json", &golden("scalars-lz4.arrows")]).run().json();
    let is_it = |region: &&serde_json::Value| {
        region["message"] == 2 && region["column"] == "i32" && region["buffer"] == "values"
    };
    let buffer = map["regions"].as_array().unwrap().iter().find(is_it).unwrap();
    let buffer = buffer["offset"].as_u64().unwrap() as usize;
    payload[buffer..buffer + 8].copy_from_slice(&12_u64.to_le_bytes());
    payload
}

#[test]
fn the_byte_is_shown_and_the_rows_before_it() {
    let (_folder, path) = folder_with("damaged.arrows", &damaged());
    let run = inspect(&["--head", "2", &path]).run().exits_with(1);
    prints("inspect-damaged", &run, &path);

    let found = inspect(&["--head", "99", "--format", "json", &path]).run().exits_with(1).json();
    assert_eq!(found["head"].as_array().unwrap().len(), 40, "the first batch");
    assert!(found["head_error"].as_str().unwrap().contains("buffer-too-small"), "{found}");
    let diagnostic = &found["diagnostics"][0];
    assert_eq!(diagnostic["severity"], "error");
    assert_eq!(
        (&diagnostic["column"], diagnostic["message_index"].as_u64()),
        (&"i32".into(), Some(2))
    );
    let excerpt = &diagnostic["excerpt"];
    let (at, offset) = (diagnostic["offset"].as_u64(), excerpt["offset"].as_u64());
    let behind = (at.unwrap() - offset.unwrap()) as usize * 2;
    assert_eq!(&excerpt["bytes"].as_str().unwrap()[behind..behind + 16], "0c00000000000000");
}

#[test]
fn a_file_that_was_cut_shows_what_is_there() {
    let payload = payload();
    let (_folder, path) = folder_with("cut.arrow", &payload[..payload.len() / 2]);
    let run = inspect(&["--map", "--head", "5", &path]).run().exits_with(1);
    prints("inspect-cut", &run, &path);
}

#[test]
fn anything_that_is_not_arrow_is_a_no() {
    for bytes in [&b""[..], b"{\"device\": \"host-1\"}\n", b"ARROW1", &[0xff; 64]] {
        let (_folder, path) = folder_with("text.txt", bytes);
        let run = inspect(&["--map", "--head", "1", "--deep", &path]).run().exits_with(1);
        assert!(run.stdout.contains("✗ damaged"), "{run}");
        let run = inspect(&["--map", "--head", "1", "--format", "json", &path]).run().exits_with(1);
        assert_eq!(run.count("bytes"), bytes.len() as u64);
    }
}

/// A changed byte inside of a value: the structure is sound, and only decoding finds it.
#[test]
fn values_are_checked_when_asked() {
    let mut bytes = fs::read(golden("scalars-none.arrows")).unwrap();
    let text = "zwölf".as_bytes();
    let at = bytes.windows(text.len()).position(|window| window == text).unwrap();
    bytes[at + 2] = 0xff;
    let (_folder, path) = folder_with("values.arrows", &bytes);
    inspect(&[&path]).run().succeeds();
    let run = inspect(&["--deep", &path]).run().exits_with(1);
    assert!(run.stdout.contains("error[invalid-values]"), "{run}");
    // Decoding finds it too.
    let run = inspect(&["--head", "1", &path]).run().succeeds();
    assert!(run.stdout.contains("no more rows: "), "{run}");
}

#[test]
fn a_limit_that_is_too_low_is_named() {
    let path = golden("scalars-zstd.arrow");
    let run = inspect(&["--max-batch-bytes", "1kB", &path]).run().exits_with(1);
    assert!(run.stdout.contains("error[over-cap]"), "{run}");
    assert_eq!(run.stdout.matches("--max-batch-bytes is 1,000; raise it").count(), 1, "{run}");
    inspect(&["--max-batch-bytes", "1MB", &path]).run().succeeds();
}

/// What can be read is shown, what cannot is named, and that decides the exit code.
#[test]
fn files_that_cannot_be_read_do_not_hide_the_others() {
    let good = golden("v4.arrows");
    inspect(&["no/such/file"]).run().fails().says(&["cannot read no/such/file", "No such file"]);
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().to_str().unwrap();
    let run = inspect(&[folder, &good, "no/such/file"]).run().exits_with(2);
    let run = run.says(&[&format!("cannot read {folder}"), "cannot read no/such/file"]);
    assert!(run.stdout.contains("v4.arrows") && run.stdout.ends_with("✓ sound\n"), "{run}");
    let (_folder, bad) = folder_with("text.txt", b"no arrow");
    inspect(&[&good, &bad]).run().exits_with(1);
    inspect(&[&good, "no/such/file", &bad]).run().exits_with(2);
}
