//! Rows as filtered and sorted, beside the same done plainly.

use std::sync::Arc;

use arrow_array::{
    ArrayRef, Decimal128Array, DictionaryArray, DurationSecondArray, Float64Array, Int64Array,
    RecordBatch, StringArray, TimestampMicrosecondArray, types::Int8Type,
};

use super::*;
use crate::{
    codec::{Codec, CodecOptions, Framing},
    encode::encode,
    layout::BufferKind,
    view::tests::golden,
};

/// Batches one after another as one payload.
fn view(batches: &[Vec<(&str, ArrayRef)>]) -> View {
    let mut payload = Vec::new();
    for columns in batches {
        let columns = columns.iter().map(|(name, array)| (*name, Arc::clone(array), true));
        let batch = RecordBatch::try_from_iter_with_nullable(columns).unwrap();
        payload.extend(encode(&batch, CodecOptions::default()).unwrap());
    }
    View::open(payload, None).unwrap()
}

fn of(array: impl Array + 'static) -> View {
    view(&[vec![("c", Arc::new(array) as ArrayRef)]])
}

fn selected(view: &mut View, query: Query) -> Result<Vec<u32>, SelectError> {
    view.select(query)?;
    loop {
        let told = view.select_more()?;
        if told.done == told.of {
            let rows = view.selection(0, usize::MAX).to_vec();
            assert_eq!(rows.len(), told.rows);
            return Ok(rows);
        }
    }
}

fn filtered(view: &mut View, test: &str, value: &str) -> Vec<u32> {
    let filter = Filter { position: 0, test: test.parse().unwrap(), value: value.to_owned() };
    selected(view, Query { table: 0, filter: Some(filter), sort: None }).unwrap()
}

fn sorted(view: &mut View, direction: Direction) -> Vec<u32> {
    let sort = Some(Sort { position: 0, direction });
    selected(view, Query { table: 0, filter: None, sort }).unwrap()
}

#[test]
fn numbers_are_compared_as_numbers() {
    let mut view = of(Float64Array::from(vec![
        Some(10.0),
        Some(9.0),
        None,
        Some(f64::NAN),
        Some(-0.0),
        Some(f64::INFINITY),
        Some(-1e300),
    ]));
    assert_eq!(filtered(&mut view, ">", "9"), [0, 5]);
    assert_eq!(filtered(&mut view, ">=", "9"), [0, 1, 5]);
    assert_eq!(filtered(&mut view, "<", "9.5"), [1, 4, 6]);
    assert_eq!(filtered(&mut view, "=", "0"), [4]);
    assert_eq!(filtered(&mut view, "=", "1e1"), [0]);
    assert_eq!(filtered(&mut view, "=", "NaN"), [3]);
    assert_eq!(filtered(&mut view, "!=", "9"), [0, 3, 4, 5, 6]);
    assert_eq!(filtered(&mut view, "null", ""), [2]);
    assert_eq!(filtered(&mut view, "not null", ""), [0, 1, 3, 4, 5, 6]);
    assert_eq!(sorted(&mut view, Direction::Ascending), [6, 4, 1, 0, 5, 3, 2]);
    assert_eq!(sorted(&mut view, Direction::Descending), [3, 5, 0, 1, 4, 6, 2]);
    let filter = Some(Filter { position: 0, test: Test::Less, value: "abc".to_owned() });
    let refused = view.select(Query { table: 0, filter, sort: None }).unwrap_err();
    assert_eq!(refused, SelectError::NoNumber("abc".to_owned()));
}

/// A float cannot tell these from their neighbours.
#[test]
fn integers_and_decimals_are_exact() {
    let exact = 1_700_000_000_123_456_789;
    let values = vec![exact, exact + 1, exact - 1, -exact, -exact - 1, 9, i64::MAX, i64::MIN];
    let mut view = of(Int64Array::from(values.clone()));
    let mut expect: Vec<u32> = (0..values.len() as u32).collect();
    expect.sort_by_key(|&row| values[row as usize]);
    assert_eq!(sorted(&mut view, Direction::Ascending), expect);
    assert_eq!(filtered(&mut view, "=", &exact.to_string()), [0]);
    assert_eq!(filtered(&mut view, ">", &exact.to_string()), [1, 6]);
    assert_eq!(filtered(&mut view, "<", &(-exact).to_string()), [4, 7]);

    let cents = vec![900_719_925_474_099_325, 900_719_925_474_099_300, 150];
    let cents = Decimal128Array::from(cents).with_precision_and_scale(38, 2).unwrap();
    let mut view = of(cents);
    assert_eq!(sorted(&mut view, Direction::Ascending), [2, 1, 0]);
    assert_eq!(filtered(&mut view, "=", "9007199254740993"), [1]);
    assert_eq!(filtered(&mut view, "=", "1.5"), [2]);
}

#[test]
fn times_are_in_order_and_begin_with_their_day() {
    let us = vec![1_700_000_000_000_000, 1_600_000_000_000_000, 1_700_000_000_000_001];
    let mut view = of(TimestampMicrosecondArray::from(us));
    assert_eq!(sorted(&mut view, Direction::Ascending), [1, 0, 2]);
    assert_eq!(filtered(&mut view, ">", "2023-11-14 22:13:20.000000"), [2]);
    assert_eq!(filtered(&mut view, ">=", "2023"), [0, 2]);
    assert_eq!(filtered(&mut view, "contains", "22:13"), [0, 2]);
    let mut view = of(DurationSecondArray::from(vec![10, 9, 100]));
    assert_eq!(sorted(&mut view, Direction::Ascending), [1, 0, 2]);
    assert_eq!(filtered(&mut view, ">", "9 s"), [0, 2]);
}

#[test]
fn texts_are_searched_out_of_dictionaries_too() {
    let texts = [Some("edge-7"), None, Some(""), Some("Edge-10"), Some("lab")];
    let dictionary: DictionaryArray<Int8Type> = texts.into_iter().collect();
    for mut view in [of(StringArray::from(texts.to_vec())), of(dictionary)] {
        assert_eq!(filtered(&mut view, "contains", "EDGE"), [0, 3]);
        assert_eq!(filtered(&mut view, "contains", ""), [0, 2, 3, 4]);
        assert_eq!(filtered(&mut view, "=", ""), [2]);
        assert_eq!(filtered(&mut view, "=", "lab"), [4]);
        assert_eq!(filtered(&mut view, ">", "edge"), [0, 4]);
        assert_eq!(sorted(&mut view, Direction::Ascending), [2, 3, 0, 4, 1]);
    }
    assert!("like".parse::<Test>().is_err());
}

/// Filter and sort together, over batches, and the window shows those rows.
#[test]
fn selections_go_over_batches_and_keep_the_order_of_equals() {
    let batch = |numbers: Vec<i64>, texts: Vec<&str>| -> Vec<(&str, ArrayRef)> {
        vec![
            ("n", Arc::new(Int64Array::from(numbers))),
            ("text", Arc::new(StringArray::from(texts))),
        ]
    };
    let mut view = view(&[
        batch(vec![3, 1, 2], vec!["c", "a", "b"]),
        batch(vec![], vec![]),
        batch(vec![2, 5, 1], vec!["b2", "e", "a2"]),
    ]);
    let query = |direction| Query {
        table: 0,
        filter: Some(Filter { position: 0, test: Test::Less, value: "4".to_owned() }),
        sort: Some(Sort { position: 0, direction }),
    };
    assert_eq!(selected(&mut view, query(Direction::Descending)).unwrap(), [0, 2, 3, 1, 5]);
    assert_eq!(selected(&mut view, query(Direction::Ascending)).unwrap(), [1, 5, 2, 3, 0]);
    let window = view.rows(0, 1, 3, &[1, 0]);
    assert_eq!((window.first, window.count), (1, 3));
    assert_eq!(window.columns[0].texts, ["a2", "b", "b2"]);
    assert_eq!(window.columns[1].texts, ["1", "2", "2"]);
    assert_eq!(view.selection(1, 3), [5, 2, 3]);
    assert_eq!(view.rows(0, 5, 9, &[0]).count, 0);
    // Once more changes nothing.
    assert_eq!(view.select_more().unwrap().rows, 5);
    assert_eq!(view.selection(0, 9), [1, 5, 2, 3, 0]);

    view.select(Query { table: 0, filter: None, sort: None }).unwrap();
    assert_eq!(view.rows(0, 0, 9, &[0]).count, 6);
    assert_eq!(view.selection(0, 9), [0; 0]);
    for (table, position) in [(1, 0), (0, 2)] {
        let sort = Some(Sort { position, direction: Direction::Ascending });
        let query = Query { table, filter: None, sort };
        assert_eq!(view.select(query), Err(SelectError::NoColumn));
    }
}

#[test]
fn too_much_is_refused_and_nothing_is_selected() {
    let payload = nulls(3_000_000);
    let mut view = View::open(payload.repeat(4), None).unwrap();
    let sort = Some(Sort { position: 0, direction: Direction::Ascending });
    let query = Query { table: 0, filter: None, sort };
    assert_eq!(view.select(query), Err(SelectError::TooManyToSort));
    let mut view = View::open(payload.repeat(6), None).unwrap();
    let filter = Some(Filter { position: 0, test: Test::Null, value: String::new() });
    let refused = selected(&mut view, Query { table: 0, filter, sort: None });
    assert_eq!(refused, Err(SelectError::TooMany));
    assert_eq!(view.rows(0, 0, 1, &[0]).count, 1);
    assert_eq!(view.select_more(), Ok(Selected::default()));
}

/// A batch of so many rows in a few bytes.
fn nulls(n_rows: usize) -> Vec<u8> {
    let batch = RecordBatch::try_from_iter_with_nullable([(
        "nothing",
        Arc::new(arrow_array::NullArray::new(n_rows)) as ArrayRef,
        true,
    )]);
    encode(&batch.unwrap(), CodecOptions::default()).unwrap()
}

#[test]
fn damaged_batches_are_left_out() {
    let options = CodecOptions { codec: Codec::None, framing: Framing::Stream };
    let texts = Arc::new(StringArray::from(vec!["a", "b", "c"])) as ArrayRef;
    let batch = RecordBatch::try_from_iter([("text", texts)]).unwrap();
    let sound = encode(&batch, options).unwrap();
    let mut damaged = sound.clone();
    let layout = View::open(sound.clone(), None).unwrap().layout;
    let offsets = layout.buffers.iter().find(|b| b.kind == BufferKind::Offsets).unwrap().offset;
    damaged[offsets + 8..offsets + 12].copy_from_slice(&(-5_i32).to_le_bytes());
    let mut view = View::open([&sound[..], &damaged, &sound].concat(), None).unwrap();
    assert_eq!(filtered(&mut view, "=", "b"), [1, 7]);
    assert_eq!(sorted(&mut view, Direction::Descending), [2, 8, 1, 7, 0, 6]);
    let told = view.select_more().unwrap();
    assert_eq!((told.rows, told.left_out, told.done), (6, 3, 9));
    assert!(told.fault.unwrap().offset >= sound.len());
}

/// Of payloads by other writers: every row once, in an order that the cells agree with.
#[test]
fn every_column_of_any_type_sorts() {
    for (name, payload) in golden() {
        let mut view = View::open(payload, None).unwrap();
        for table in 0..view.tables.len() {
            let n_rows = view.tables[table].rows as u32;
            for position in 0..view.tables[table].tops.len() {
                let mut orders = [Direction::Ascending, Direction::Descending].map(|direction| {
                    let sort = Some(Sort { position, direction });
                    let rows = selected(&mut view, Query { table, filter: None, sort }).unwrap();
                    let kinds = view.rows(table, 0, 1000, &[position]).columns[0].kinds.clone();
                    assert!(kinds.trim_end_matches('n').chars().all(|kind| kind != 'n'));
                    rows
                });
                for rows in &mut orders {
                    rows.sort_unstable();
                    assert_eq!(*rows, (0..n_rows).collect::<Vec<_>>(), "{name} {position}");
                }
            }
        }
    }
}
