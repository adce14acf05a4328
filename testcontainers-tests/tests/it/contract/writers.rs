//! Payloads that others wrote: walked, decoded, and loaded.

use std::collections::BTreeMap;

use arrow::{
    array::{AsArray as _, UInt32Array},
    compute::take,
    datatypes::{Field, Schema, UInt32Type},
};
use volley::load::LoadError;
use volley_core::{
    clickhouse::{TableOptions, column_type, create_table},
    decode::decode,
    inspect::inspect,
    layout::Options,
};
use volley_e2e::{Scenario, difference};

use super::{
    canonical::canonical,
    columns::{Column, chained, columns},
    outcome::{Fault, Form, Outcomes},
    readers::same,
};

/// Payloads by the number of their column, and form.
pub(crate) type Payloads = BTreeMap<(usize, Form), Vec<u8>>;

/// Whether each payload is sound, what it says it is, and comes out of ClickHouse as it went in.
pub(crate) fn check_written(scenario: &Scenario<'_>, payloads: &Payloads) -> Outcomes {
    let columns = columns();
    let mut outcomes = Outcomes::new();
    let mut sound: BTreeMap<usize, Vec<Form>> = BTreeMap::new();
    for ((column, form), payload) in payloads {
        let outcome = check_payload(&columns[*column], *form, payload);
        if outcome.is_ok() {
            sound.entry(*column).or_default().push(*form);
        }
        outcomes.insert((*column, *form), outcome);
    }
    // Where ClickHouse refuses a message, the loader stops: on with the others, from the start.
    loop {
        let wrong = load(scenario, &columns, payloads, &sound);
        for (column, fault) in &wrong {
            for form in sound.remove(column).unwrap() {
                outcomes.insert((*column, form), Err(fault.clone()));
            }
        }
        if wrong.is_empty() {
            return outcomes;
        }
    }
}

fn check_payload(column: &Column, form: Form, payload: &[u8]) -> Result<(), Fault> {
    let inspection = inspect(payload, &Options::default());
    if let Some(diagnostic) = inspection.diagnostics.first() {
        return Err(Fault::Refused(format!("inspect: {}", diagnostic.message)));
    }
    let found = (&*inspection.framing, &*inspection.codec);
    if found != (form.framing(), form.codec()) {
        return Err(Fault::Changed(format!("inspect sees {found:?}")));
    }
    let batches = decode(payload).map_err(|error| Fault::Refused(format!("decode: {error}")))?;
    same(&canonical(&column.array()), &canonical(&chained(&batches, 1)))
}

/// The column of a table that its writer's values go into as they are: some write finer times than
/// they have read.
fn field(column: &Column, payload: &[u8]) -> Field {
    let ours = column.field();
    let written = decode(payload).unwrap()[0].schema().field(1).data_type().clone();
    let theirs = ours.clone().with_data_type(written);
    if column_type(&theirs).is_ok() { theirs } else { ours }
}

/// Loads sound payloads into one table, and says which columns' rows came out wrong; where one is
/// refused, just that.
fn load(
    scenario: &Scenario<'_>,
    columns: &[Column],
    payloads: &Payloads,
    sound: &BTreeMap<usize, Vec<Form>>,
) -> Vec<(usize, Fault)> {
    let scenario = Scenario::new(scenario.stack());
    scenario.create_topic(1, &[]);
    let fields = sound
        .iter()
        .map(|(column, forms)| field(&columns[*column], &payloads[&(*column, forms[0])]));
    let n = columns[0].rows().schema().field(0).clone();
    let schema = Schema::new([n].into_iter().chain(fields).collect::<Vec<_>>());
    let options = TableOptions {
        engine: "MergeTree".to_owned(),
        order_by: "n".to_owned(),
        ..TableOptions::default()
    };
    let table = scenario.table_name("rows").quoted();
    scenario.execute(&create_table(&table, &schema, &options).unwrap());
    // In order of their columns: each schema is a block or two.
    let order: Vec<_> = sound
        .iter()
        .flat_map(|(column, forms)| forms.iter().map(|form| (*column, *form)))
        .collect();
    scenario.put(order.iter().map(|key| payloads[key].clone()));
    match scenario.try_load(scenario.load_options("a")) {
        Ok(_) => {}
        Err(LoadError::Insert { first, source, .. }) => {
            return vec![(order[first as usize].0, Fault::Refused(format!("load: {source}")))];
        }
        Err(error) => panic!("{error}"),
    }
    let check = |(column, forms): (&usize, &Vec<Form>)| {
        let (name, expected) = (columns[*column].name, columns[*column].rows());
        let n_forms = forms.len();
        let n = expected.column(0).as_primitive::<UInt32Type>().values();
        let range = format!("n >= {} AND n <= {}", n[0], n[n.len() - 1]);
        let stored =
            scenario.query(&format!("SELECT n, `{name}` FROM {table} WHERE {range} ORDER BY n"));
        // Each form brought each row once.
        let n_rows = stored.num_rows();
        if n_rows != n.len() * n_forms {
            let text = format!("load: {n_rows} rows from {n_forms} payloads of {}", n.len());
            return Some((*column, Fault::Changed(text)));
        }
        if columns[*column].has_null_nested() {
            return None;
        }
        (0..n_forms).find_map(|form| {
            let rows = (0..n.len()).map(|row| (row * n_forms + form) as u32);
            let rows = UInt32Array::from_iter_values(rows);
            let found = take(stored.column(1), &rows, None).unwrap();
            difference(expected.column(1), &found)
                .map(|text| (*column, Fault::Changed(format!("load: {text}"))))
        })
    };
    sound.iter().filter_map(check).collect()
}
