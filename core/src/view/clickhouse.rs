//! What a table would be in ClickHouse.

use arrow_schema::DataType;
use serde::Serialize;

use super::View;
use crate::clickhouse::{self, Fit, TableOptions};

/// A table of the payload as one of ClickHouse.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ClickHouseTable {
    /// The statement that creates it; `None` where a column has no type there.
    pub create: Option<String>,
    /// The statement that batches are inserted by.
    pub insert: String,
    /// The columns at the top.
    pub columns: Vec<ClickHouseColumn>,
}

/// A column of the payload as one of ClickHouse.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ClickHouseColumn {
    /// Its name.
    pub name: String,
    /// Its type there; `None` where it has none.
    #[serde(rename = "type")]
    pub type_name: Option<String>,
    /// `exact`, `widening`, `unknown` or `lossy`; `none` without a type.
    pub fit: &'static str,
    /// What to know of it.
    pub note: Option<String>,
}

const NULLABLE: &str = "Nullable costs a byte a row before compression and cannot be sorted by; not \
                        null costs nothing";
const DATE64: &str = "a date outside 1970 to 2106 becomes another one; date32 does not";

impl View {
    /// Names of the columns are as they are; `name` is what the table is called. `None` where there
    /// are not so many tables.
    pub fn clickhouse(&self, table: usize, name: &str) -> Option<ClickHouseTable> {
        let schema = &self.tables.get(table)?.schema.schema;
        let name = clickhouse::quote_identifier(name);
        let columns = schema.fields().iter().map(|field| {
            let (type_name, fit, note) = match clickhouse::column_type(field) {
                Err(error) => (None, "none", Some(error.to_string())),
                Ok(type_name) => {
                    let (fit, why) = match clickhouse::fit(field.data_type(), &type_name) {
                        Fit::Exact => ("exact", None),
                        Fit::Widening => ("widening", None),
                        Fit::Unknown => ("unknown", None),
                        Fit::Lossy(loss) => ("lossy", Some(loss.to_string())),
                    };
                    let note = match field.data_type() {
                        DataType::Date64 => Some(DATE64.to_owned()),
                        _ if type_name.starts_with("Nullable") => Some(NULLABLE.to_owned()),
                        _ => None,
                    };
                    (Some(type_name), fit, why.or(note))
                }
            };
            ClickHouseColumn { name: field.name().clone(), type_name, fit, note }
        });
        Some(ClickHouseTable {
            create: clickhouse::create_table(&name, schema, &TableOptions::default()).ok(),
            insert: clickhouse::insert_into(&name, schema),
            columns: columns.collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_schema::{Field, IntervalUnit, Schema, TimeUnit};

    use super::*;
    use crate::{codec::CodecOptions, encode::Encoder};

    fn view(fields: Vec<Field>) -> View {
        let schema = Arc::new(Schema::new(fields));
        let payload = Encoder::new(schema, CodecOptions::default()).unwrap().encode(&[]).unwrap();
        View::open(payload, None).unwrap()
    }

    #[test]
    fn columns_have_their_types_and_what_to_know() {
        let micros = DataType::Timestamp(TimeUnit::Microsecond, None);
        let table = view(vec![
            Field::new("device", DataType::Utf8, false),
            Field::new("ts", micros, false),
            Field::new("cpu", DataType::Float32, true),
            Field::new("half", DataType::Float16, false),
            Field::new("day", DataType::Date64, false),
        ])
        .clickhouse(0, "metrics")
        .unwrap();
        let rows: Vec<_> = table
            .columns
            .iter()
            .map(|c| (&*c.name, c.type_name.as_deref(), c.fit, c.note.as_deref()))
            .collect();
        assert_eq!(
            rows,
            [
                ("device", Some("String"), "exact", None),
                ("ts", Some("DateTime64(6)"), "exact", None),
                ("cpu", Some("Nullable(Float32)"), "exact", Some(NULLABLE)),
                ("half", Some("Float32"), "widening", None),
                ("day", Some("DateTime64(3)"), rows[4].2, Some(DATE64)),
            ]
        );
        let create = table.create.unwrap();
        assert!(create.starts_with("CREATE TABLE IF NOT EXISTS `metrics`\n(\n    `device` String"));
        assert!(
            table.insert.starts_with("INSERT INTO `metrics` (`device`, `ts`"),
            "{}",
            table.insert
        );
    }

    #[test]
    fn what_has_no_type_there_says_so() {
        let months = DataType::Interval(IntervalUnit::YearMonth);
        let table = view(vec![Field::new("a`b", months, false)]).clickhouse(0, "x`; DROP").unwrap();
        assert_eq!((table.create, table.columns[0].fit), (None, "none"));
        assert!(table.columns[0].note.is_some());
        assert!(
            table.insert.contains(r"`x\`; DROP`") && table.insert.contains(r"`a\`b`"),
            "{}",
            table.insert
        );
        assert_eq!(view(vec![]).clickhouse(7, "t"), None);
    }
}
