use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use arrow::datatypes::Schema;
use volley_core::{
    clickhouse::{Fit, add_columns, fit, insert_into, quote_identifier},
    fingerprint::{Fingerprint, type_name},
};

use super::{Delivery, LoadOptions, options::InsertProblem, schemas::MAX_SCHEMAS};
use crate::{
    clickhouse::{ClickHouse, ClickHouseError, Creation, Evolution, TableInfo, TableName},
    turn::Turn,
};

/// The table, and what has been found out about it.
pub(crate) struct Table {
    name: TableName,
    creation: Creation,
    evolution: Evolution,
    delivery: Delivery,
    /// One for each server; several may lead to different tables.
    seen: Vec<Seen>,
}

/// What has been found out on a server.
#[derive(Default)]
struct Seen {
    /// To look at the table there.
    turn: Turn<ClickHouseError>,
    /// The insert statement of each schema for which it has been looked at.
    statements: Mutex<HashMap<Fingerprint, Arc<str>>>,
}

impl Table {
    pub(crate) fn new(options: &LoadOptions) -> Self {
        Self {
            name: options.table.clone(),
            creation: options.creation.clone(),
            evolution: options.evolution,
            delivery: options.delivery,
            seen: options.clickhouse.urls.iter().map(|_| Seen::default()).collect(),
        }
    }

    /// The insert statement for a schema; the first time on a server, looks whether the table fits it,
    /// creates the table if it is missing, and adds the columns that are missing if it may.
    pub(crate) async fn statement(
        &self,
        (index, server): (usize, &ClickHouse),
        fingerprint: Fingerprint,
        schema: &Schema,
    ) -> Result<Arc<str>, InsertProblem> {
        let seen = self.seen.get(index).ok_or(ClickHouseError::NoAddress)?;
        if let Some(statement) = seen.statement(fingerprint) {
            return Ok(statement);
        }
        let mut turn = seen.turn.take().await?;
        if let Some(statement) = seen.statement(fingerprint) {
            return Ok(statement);
        }
        let looked = self.prepare(server, schema).await;
        if let Err(InsertProblem::ClickHouse(error)) = &looked {
            turn.failed(error);
        }
        looked?;
        let statement: Arc<str> = insert_into(&self.name.quoted(), schema).into();
        seen.keep(fingerprint, statement.clone());
        Ok(statement)
    }

    async fn prepare(&self, server: &ClickHouse, schema: &Schema) -> Result<(), InsertProblem> {
        let table = match self.fetch(server).await? {
            Some(table) => table,
            None => {
                self.create(server, schema).await?;
                self.fetch(server).await?.ok_or(InsertProblem::NoTable)?
            }
        };
        match (check_columns(&self.name, &table, schema), self.evolution) {
            (Err(InsertProblem::NoColumns { statement, .. }), Evolution::AddColumns) => {
                server.execute(&statement).await?;
                tracing::info!(table = %self.name, "added columns: {statement}");
                let table = self.fetch(server).await?.ok_or(InsertProblem::NoTable)?;
                check_columns(&self.name, &table, schema)
            }
            (checked, _) => checked,
        }
    }

    /// Looks at the table anew before the next insert of a schema.
    pub(crate) fn forget(&self, index: usize, fingerprint: Fingerprint) {
        if let Some(seen) = self.seen.get(index) {
            seen.lock().remove(&fingerprint);
        }
    }

    /// Looks at the table before anything is read, and says what it is.
    pub(crate) async fn check(&self, server: &ClickHouse) -> Result<(), InsertProblem> {
        match self.fetch(server).await? {
            Some(table) => self.describe(&table),
            None if matches!(self.creation, Creation::Refuse) => {
                return Err(InsertProblem::NoTable);
            }
            None => {}
        }
        Ok(())
    }

    /// The table, which keeps the promised delivery.
    async fn fetch(&self, server: &ClickHouse) -> Result<Option<TableInfo>, InsertProblem> {
        let table = TableInfo::fetch(server, &self.name).await?;
        if self.delivery == Delivery::EffectivelyOnce
            && let Some(why) = table.as_ref().and_then(|table| table.forgets_inserts(&self.name))
        {
            return Err(why.into());
        }
        Ok(table)
    }

    fn describe(&self, table: &TableInfo) {
        let columns: Vec<_> = table
            .columns
            .iter()
            .map(|column| format!("{} {}", column.name, column.type_name))
            .collect();
        let (name, engine) = (&self.name, &table.engine);
        tracing::info!(table = %name, engine, columns = columns.join(", "), "using the table as it is");
        if self.seen.len() > 1 && !table.is_shared() {
            tracing::warn!(
                table = %name,
                engine,
                "several addresses are given, and the table is not replicated: an insert that is sent \
                 again elsewhere may be stored twice, unless they lead to the same server"
            );
        }
        if !table.is_replacing() && self.delivery == Delivery::AtLeastOnce {
            tracing::warn!(
                table = %name,
                engine,
                "table is not of the ReplacingMergeTree family: rows that are loaded twice after a \
                 crash stay twice"
            );
        }
    }

    async fn create(&self, server: &ClickHouse, schema: &Schema) -> Result<(), InsertProblem> {
        let Creation::Create(create) = &self.creation else {
            return Err(InsertProblem::NoTable);
        };
        let statement = create.statement(&self.name, schema).map_err(InsertProblem::Create)?;
        let database = quote_identifier(&self.name.database);
        server.execute(&format!("CREATE DATABASE IF NOT EXISTS {database}")).await?;
        server.execute(&statement).await?;
        tracing::info!(table = %self.name, "created table: {}", statement.replace('\n', " "));
        Ok(())
    }
}

impl Seen {
    fn lock(&self) -> MutexGuard<'_, HashMap<Fingerprint, Arc<str>>> {
        self.statements.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn statement(&self, fingerprint: Fingerprint) -> Option<Arc<str>> {
        self.lock().get(&fingerprint).cloned()
    }

    fn keep(&self, fingerprint: Fingerprint, statement: Arc<str>) {
        let mut statements = self.lock();
        if statements.len() >= MAX_SCHEMAS {
            statements.clear();
        }
        statements.insert(fingerprint, statement);
    }
}

/// Every column of the messages must be in the table and hold their values as they are: ClickHouse
/// drops what it does not find and casts what it can.
fn check_columns(
    name: &TableName,
    table: &TableInfo,
    schema: &Schema,
) -> Result<(), InsertProblem> {
    let mut missing = Vec::new();
    for field in schema.fields() {
        let Some(found) = table.columns.iter().find(|found| found.name == *field.name()) else {
            missing.push(field.as_ref());
            continue;
        };
        if let Fit::Lossy(loss) = fit(field.data_type(), &found.type_name) {
            return Err(InsertProblem::ColumnType {
                column: field.name().clone(),
                table_type: found.type_name.clone(),
                arrow_type: type_name(field.data_type()),
                loss,
            });
        }
    }
    if missing.is_empty() {
        return Ok(());
    }
    Err(InsertProblem::NoColumns {
        columns: missing.iter().map(|field| field.name().clone()).collect(),
        statement: add_columns(&name.quoted(), &missing).map_err(InsertProblem::NoColumnType)?,
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use arrow::datatypes::{DataType, Field};
    use futures_util::future::join_all;

    use super::*;
    use crate::clickhouse::{Column, SilentServer};

    /// What is said of messages with these columns and a table with those.
    fn check(columns: &[(&str, DataType)], table: &[(&str, &str)]) -> String {
        let fields = columns
            .iter()
            .map(|(name, data_type)| Field::new(*name, data_type.clone(), *name == "nullable"));
        let columns = table.iter().map(|(name, type_name)| Column {
            name: (*name).to_owned(),
            type_name: (*type_name).to_owned(),
        });
        let table = TableInfo {
            engine: "MergeTree".to_owned(),
            columns: columns.collect(),
            deduplication_window: 1,
        };
        let schema = Schema::new(fields.collect::<Vec<_>>());
        let checked = check_columns(&"d.t".parse().unwrap(), &table, &schema);
        checked
            .map_or_else(|problem| crate::human::Causes(&problem).to_string(), |()| String::new())
    }

    #[test]
    fn columns_that_fit_pass_and_others_of_the_table_do_not_matter() {
        let columns = [("n", DataType::Int32), ("text", DataType::Utf8)];
        let table = [("n", "Int64"), ("text", "LowCardinality(String)"), ("more", "Int8")];
        assert_eq!(check(&columns, &table), "");
    }

    #[test]
    fn a_lossy_column_is_named_with_both_types_and_the_loss() {
        assert_eq!(
            check(&[("n", DataType::Int64)], &[("n", "Nullable(Int32)")]),
            "column 'n' is Nullable(Int32) in the table and int64 in the messages: values out of its \
             range would become others; change one of them"
        );
    }

    #[test]
    fn missing_columns_come_with_one_statement_for_all() {
        let columns = [("n", DataType::Int64), ("nullable", DataType::Utf8), ("a", DataType::Int8)];
        assert_eq!(
            check(&columns, &[("a", "Int8")]),
            "the table has no columns 'n', 'nullable' that the messages have; --evolve adds them, or: \
             ALTER TABLE `d`.`t` ADD COLUMN IF NOT EXISTS `n` Int64, ADD COLUMN IF NOT EXISTS \
             `nullable` Nullable(String)"
        );
    }

    fn schema(i: usize) -> (Fingerprint, Schema) {
        let schema = Schema::new(vec![Field::new(format!("c{i}"), DataType::Int8, false)]);
        (Fingerprint::of(&schema), schema)
    }

    #[tokio::test]
    async fn a_server_that_hangs_is_waited_for_once_however_many_partitions_there_are() {
        let silent = SilentServer::start().await;
        let server = ClickHouse::unasked(&silent.url, Duration::from_millis(300));
        let table = Table {
            name: "d.t".parse().unwrap(),
            creation: Creation::Refuse,
            evolution: Evolution::Refuse,
            delivery: Delivery::EffectivelyOnce,
            seen: vec![Seen::default()],
        };
        let (known, unknown) = (schema(0), schema(1));
        table.seen[0].keep(known.0, "INSERT".into());
        let asking = (0..20).map(|_| table.statement((0, &server), unknown.0, &unknown.1));
        let asking = join_all(asking);
        // What is known waits for nobody.
        let asked = async {
            tokio::task::yield_now().await;
            let of_known = table.statement((0, &server), known.0, &known.1).await;
            (of_known.is_ok(), std::time::Instant::now())
        };
        let (answers, (is_known, known_at)) = futures_util::future::join(asking, asked).await;
        assert!(is_known && known_at.elapsed() >= Duration::from_millis(100));
        assert!(answers.iter().all(|answer| {
            matches!(answer, Err(InsertProblem::ClickHouse(ClickHouseError::TimedOut { .. })))
        }));
        assert_eq!(silent.n_connections(), 1);
    }

    #[test]
    fn statements_do_not_become_as_many_as_there_are_schemas() {
        let seen = Seen::default();
        for i in 0..=MAX_SCHEMAS {
            seen.keep(schema(i).0, "INSERT".into());
        }
        assert!(seen.lock().len() <= MAX_SCHEMAS);
        assert!(seen.statement(schema(MAX_SCHEMAS).0).is_some());
    }

    #[test]
    fn a_missing_column_that_no_type_takes_is_named() {
        assert_eq!(
            check(&[("n", DataType::Null)], &[]),
            "the table lacks a column that the messages have, and it cannot be added: column n: no \
             clickhouse type takes arrow type null"
        );
    }
}
