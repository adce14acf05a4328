//! What was exported reads as what it was made of.

use arrow_array::{Array as _, Float64Array, Int32Array, StringArray};
use serde_json::Value;

use super::*;
use crate::{
    decode::decode_within,
    encode::encode,
    view::{options, tests::golden},
};

fn export(view: &mut View, table: usize, format: ExportFormat) -> Result<Vec<u8>, ExportError> {
    let n = view.tables[table].batches.len();
    let mut all = Vec::new();
    for part in 0..=n + 1 {
        all.extend(view.export(table, part, format)?);
    }
    Ok(all)
}

fn batch() -> RecordBatch {
    let texts =
        vec![Some("a,b"), None, Some(""), Some("say \"hi\"\n"), Some(" edge "), Some("é\u{1}")];
    let floats = vec![0.1, 1e300, f64::NAN, f64::INFINITY, -0.0, 5e-324];
    RecordBatch::try_from_iter_with_nullable([
        ("text, \"quoted\"", Arc::new(StringArray::from(texts)) as ArrayRef, true),
        ("f", Arc::new(Float64Array::from(floats)) as _, false),
        (
            "n",
            Arc::new(Int32Array::from(vec![Some(1), None, Some(-3), None, Some(5), Some(6)])) as _,
            true,
        ),
    ])
    .unwrap()
}

fn view() -> View {
    let payload = encode(&batch(), CodecOptions::default()).unwrap();
    View::open([&payload[..], &payload].concat(), None).unwrap()
}

#[test]
fn arrow_of_any_codec_reopens_as_the_source() {
    for (name, payload) in golden() {
        let mut view = View::open(payload.clone(), None).unwrap();
        for codec in ["none", "lz4", "zstd:1", "zstd:19"] {
            let format: ExportFormat = format!("arrow:{codec}").parse().unwrap();
            for table in 0..view.tables.len() {
                let exported = export(&mut view, table, format).unwrap();
                let again = decode_within(&exported, &options()).unwrap();
                let batches = view.tables[table].batches.clone();
                assert_eq!(again.len(), batches.len(), "{name} {codec}");
                for (batch, again) in batches.iter().zip(&again) {
                    assert_eq!(batch.rows, again.num_rows() as u64, "{name} {codec}");
                    for position in 0..again.num_columns() {
                        let source = view.column(table, *batch, position).unwrap();
                        assert_eq!(again.column(position), &source, "{name} {codec} {position}");
                    }
                }
                let schema = &view.tables[table].schema.schema;
                let reopened = View::open(exported, None).unwrap();
                assert_eq!(reopened.tables[0].schema.schema.fields(), schema.fields(), "{name}");
                assert!(reopened.diagnostics.is_empty(), "{name}: {:?}", reopened.diagnostics);
            }
        }
    }
}

/// Reads RFC 4180: the fields of each line, a null apart from an empty text.
fn parse_csv(text: &str) -> Vec<Vec<Option<String>>> {
    let (mut lines, mut line, mut field, mut was_quoted) = (vec![], vec![], String::new(), false);
    let mut characters = text.chars().peekable();
    let mut is_quoted = false;
    while let Some(character) = characters.next() {
        match character {
            '"' if is_quoted && characters.peek() == Some(&'"') => {
                characters.next();
                field.push('"');
            }
            '"' => {
                is_quoted = !is_quoted;
                was_quoted = true;
            }
            ',' | '\n' if !is_quoted => {
                let value = std::mem::take(&mut field);
                line.push((was_quoted || !value.is_empty()).then_some(value));
                was_quoted = false;
                if character == '\n' {
                    lines.push(std::mem::take(&mut line));
                }
            }
            other => field.push(other),
        }
    }
    assert!(!is_quoted && field.is_empty() && line.is_empty());
    lines
}

#[test]
fn csv_reads_back_as_the_cells() {
    let text = String::from_utf8(export(&mut view(), 0, ExportFormat::Csv).unwrap()).unwrap();
    let lines = parse_csv(&text);
    assert_eq!(lines.len(), 13);
    let some = |text: &str| Some(text.to_owned());
    assert_eq!(lines[0], [some("text, \"quoted\""), some("f"), some("n")]);
    assert_eq!(lines[1], [some("a,b"), some("0.1"), some("1")]);
    assert_eq!(lines[2], [None, some("1e300"), None]);
    assert_eq!(lines[3], [some(""), some("NaN"), some("-3")]);
    assert_eq!(lines[4], [some("say \"hi\"\n"), some("inf"), None]);
    assert_eq!(lines[12], [some("é\u{1}"), some("5e-324"), some("6")]);
    for (name, payload) in golden() {
        let mut view = View::open(payload, None).unwrap();
        for table in 0..view.tables.len() {
            let text = export(&mut view, table, ExportFormat::Csv).unwrap();
            let lines = parse_csv(&String::from_utf8(text).unwrap());
            assert_eq!(lines.len() as u64, view.tables[table].rows + 1, "{name}");
            let width = view.tables[table].tops.len().max(1);
            assert!(lines.iter().all(|line| line.len() == width), "{name}");
        }
    }
}

#[test]
fn lines_of_json_read_back_as_the_values() {
    let text = String::from_utf8(export(&mut view(), 0, ExportFormat::Ndjson).unwrap()).unwrap();
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let batch = batch();
    let (texts, numbers) = (batch.column(0).as_any(), batch.column(2).as_any());
    let texts: &StringArray = texts.downcast_ref().unwrap();
    let numbers: &Int32Array = numbers.downcast_ref().unwrap();
    let floats: &Float64Array = batch.column(1).as_any().downcast_ref().unwrap();
    assert_eq!(lines.len(), 12);
    for (at, line) in lines.iter().enumerate() {
        let row = at % 6;
        assert_eq!(
            line["text, \"quoted\""].as_str(),
            texts.is_valid(row).then(|| texts.value(row))
        );
        let finite = Some(floats.value(row)).filter(|value| value.is_finite());
        assert_eq!(line["f"].as_f64().map(f64::to_bits), finite.map(f64::to_bits));
        assert_eq!(line["n"].as_i64(), numbers.is_valid(row).then(|| numbers.value(row).into()));
    }
    for (name, payload) in golden() {
        let mut view = View::open(payload, None).unwrap();
        for table in 0..view.tables.len() {
            let text = export(&mut view, table, ExportFormat::Ndjson).unwrap();
            let text = String::from_utf8(text).unwrap();
            assert_eq!(text.lines().count() as u64, view.tables[table].rows, "{name}");
            for line in text.lines() {
                let row: Value =
                    serde_json::from_str(line).unwrap_or_else(|e| panic!("{name}: {e}: {line}"));
                assert!(row.is_object(), "{name}");
            }
        }
    }
}

#[test]
fn a_table_without_batches_is_whole_too() {
    let empty =
        Encoder::new(batch().schema(), CodecOptions::default()).unwrap().encode(&[]).unwrap();
    let mut view = View::open(empty, None).unwrap();
    let arrow = export(&mut view, 0, ExportFormat::Arrow(Codec::None)).unwrap();
    assert_eq!(decode_within(&arrow, &options()).unwrap().len(), 0);
    assert_eq!(
        parse_csv(&String::from_utf8(export(&mut view, 0, ExportFormat::Csv).unwrap()).unwrap())
            .len(),
        1
    );
    assert!(matches!(view.export(1, 0, ExportFormat::Csv), Err(ExportError::NoTable)));
}

#[test]
fn damage_is_named_and_nothing_is_left_out() {
    let options = CodecOptions { codec: Codec::None, framing: Framing::Stream };
    let mut payload = encode(&batch(), options).unwrap();
    let view = View::open(payload.clone(), None).unwrap();
    let offsets =
        view.layout.buffers.iter().find(|b| b.kind == layout::BufferKind::Offsets).unwrap().offset;
    payload[offsets + 8..offsets + 12].copy_from_slice(&(-5_i32).to_le_bytes());
    let mut view = View::open(payload, None).unwrap();
    for format in ["csv", "ndjson", "arrow:lz4"] {
        let error = export(&mut view, 0, format.parse().unwrap()).unwrap_err().to_string();
        assert!(error.starts_with("column 'text, \"quoted\"' cannot be read at byte"), "{error}");
    }
    assert!("arrow:zip".parse::<ExportFormat>().is_err() && "xml".parse::<ExportFormat>().is_err());
}
