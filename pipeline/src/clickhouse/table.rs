use std::{fmt, str::FromStr};

use arrow::datatypes::Schema;
use volley_core::clickhouse::{TableOptions, UnsupportedType, create_table, quote_identifier};

use super::{ClickHouse, ClickHouseError};

/// A table, `database.table` or just `table` in the database `default`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableName {
    /// Its database.
    pub database: String,
    /// Its name there.
    pub table: String,
}

/// A text is not a [`TableName`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected database.table or table")]
pub struct ParseTableError;

impl FromStr for TableName {
    type Err = ParseTableError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (database, table) = text.split_once('.').unwrap_or(("default", text));
        if database.is_empty() || table.is_empty() {
            return Err(ParseTableError);
        }
        Ok(Self { database: database.to_owned(), table: table.to_owned() })
    }
}

impl fmt::Display for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.database, self.table)
    }
}

impl TableName {
    /// As SQL wants it, in backquotes.
    pub fn quoted(&self) -> String {
        format!("{}.{}", quote_identifier(&self.database), quote_identifier(&self.table))
    }
}

/// What to do where the table is missing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Creation {
    /// Make it, and its database, from the schema of the first messages.
    Create(CreateTable),
    /// Stop.
    Refuse,
}

/// What to do where a table lacks columns that messages have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Evolution {
    /// Stop, and say how to add them.
    #[default]
    Refuse,
    /// Add them. Rows that are there already have nulls or the type's default in them.
    AddColumns,
}

/// What a created table is like; the rest follows from the schema.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CreateTable {
    /// Engine with its arguments; `ReplacingMergeTree` if `None`.
    pub engine: Option<String>,
    /// Sorting key; `device, ts` if `None` and the schema has both.
    pub order_by: Option<String>,
    /// Partition key.
    pub partition_by: Option<String>,
    /// Expiry.
    pub ttl: Option<String>,
}

/// Why a schema gives no table.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CreateTableError {
    /// A column has no ClickHouse type.
    #[error(transparent)]
    Type(#[from] UnsupportedType),
    /// Nothing says what tells rows apart, and a guess could fold different rows into one.
    #[error(
        "cannot tell which columns to sort by, and ReplacingMergeTree folds rows that are equal \
         there; pass --order-by"
    )]
    NoSortingKey,
}

impl CreateTable {
    /// The statement that creates `table` for `schema`.
    ///
    /// # Errors
    ///
    /// [`CreateTableError`].
    pub fn statement(
        &self,
        table: &TableName,
        schema: &Schema,
    ) -> Result<String, CreateTableError> {
        let defaults = TableOptions::default();
        let has = |name| schema.field_with_name(name).is_ok_and(|field| !field.is_nullable());
        let order_by = match &self.order_by {
            Some(order_by) => order_by.clone(),
            None if has("device") && has("ts") => "device, ts".to_owned(),
            None => return Err(CreateTableError::NoSortingKey),
        };
        let options = TableOptions {
            engine: self.engine.clone().unwrap_or(defaults.engine),
            order_by,
            partition_by: self.partition_by.clone(),
            ttl: self.ttl.clone(),
            ..defaults
        };
        Ok(create_table(&table.quoted(), schema, &options)?)
    }
}

/// Engine of a table, and how many inserts it remembers: as the table says, or else the server.
const TABLE_SQL: &str = r"
    WITH
        engine LIKE 'Replicated%' OR engine LIKE 'Shared%' AS is_replicated,
        extract(engine_full, '\\bnon_replicated_deduplication_window = (\\d+)') AS own,
        extract(engine_full, '\\breplicated_deduplication_window = (\\d+)') AS own_replicated,
        (
            SELECT value FROM system.merge_tree_settings
            WHERE name = 'non_replicated_deduplication_window'
        ) AS default,
        (
            SELECT value FROM system.replicated_merge_tree_settings
            WHERE name = 'replicated_deduplication_window'
        ) AS default_replicated,
        if(is_replicated, own_replicated, own) AS set,
        if(set != '', set, if(is_replicated, default_replicated, default)) AS window
    SELECT engine, if(engine LIKE '%MergeTree', toUInt64OrZero(ifNull(window, '')), 0)
    FROM system.tables WHERE database = ? AND name = ?";

/// One column of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Its type, as ClickHouse writes it.
    pub type_name: String,
}

/// Why a table stores an insert that comes again once more.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ForgetfulTable {
    /// It could remember inserts, and is not told to.
    #[error(
        "the table does not remember inserts, so one that is repeated after a crash is stored twice; \
         ALTER TABLE {table} MODIFY SETTING {setting} = {window} switches it on, --delivery \
         at-least-once does without"
    )]
    Setting {
        /// The table, quoted.
        table: String,
        /// What switches it on.
        setting: &'static str,
        /// A sensible value.
        window: u32,
    },
    /// Its engine cannot.
    #[error(
        "a table of engine {engine} cannot tell an insert that is repeated after a crash; use one of \
         the MergeTree family, or --delivery at-least-once"
    )]
    Engine {
        /// The engine.
        engine: String,
    },
}

/// What a table is like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableInfo {
    /// Engine without arguments.
    pub engine: String,
    /// Columns that an insert can name, in order.
    pub columns: Vec<Column>,
    /// Inserts that the table remembers, so that it drops one that comes again; 0 if none.
    pub deduplication_window: u64,
}

impl TableInfo {
    /// The table, or `None` if there is none.
    ///
    /// # Errors
    ///
    /// [`ClickHouseError`].
    pub async fn fetch(
        server: &ClickHouse,
        table: &TableName,
    ) -> Result<Option<Self>, ClickHouseError> {
        let name = [table.database.as_str(), table.table.as_str()];
        let tables: Vec<(String, u64)> = server.fetch_all(TABLE_SQL, &name).await?;
        let Some((engine, deduplication_window)) = tables.into_iter().next() else {
            return Ok(None);
        };
        let sql = "SELECT name, type FROM system.columns WHERE database = ? AND table = ? \
                   AND default_kind NOT IN ('MATERIALIZED', 'ALIAS') ORDER BY position";
        let columns: Vec<(String, String)> = server.fetch_all(sql, &name).await?;
        let columns =
            columns.into_iter().map(|(name, type_name)| Column { name, type_name }).collect();
        Ok(Some(Self { engine, columns, deduplication_window }))
    }

    /// Why an insert that comes again would be stored again, if it would.
    pub fn forgets_inserts(&self, table: &TableName) -> Option<ForgetfulTable> {
        if self.deduplication_window > 0 {
            return None;
        }
        let engine = self.engine.clone();
        if !engine.ends_with("MergeTree") {
            return Some(ForgetfulTable::Engine { engine });
        }
        let setting = if self.is_shared() {
            "replicated_deduplication_window"
        } else {
            "non_replicated_deduplication_window"
        };
        let window = TableOptions::default().deduplication_window;
        Some(ForgetfulTable::Setting { table: table.quoted(), setting, window })
    }

    /// Whether other servers have it too, and know of each other's inserts.
    pub fn is_shared(&self) -> bool {
        self.engine.starts_with("Replicated") || self.engine.starts_with("Shared")
    }

    /// Whether repeated rows are folded into one when parts merge.
    pub fn is_replacing(&self) -> bool {
        self.engine.contains("ReplacingMergeTree")
    }
}

#[cfg(test)]
mod tests {
    use arrow::datatypes::{DataType, Field};
    use volley_core::host::MetricSet;

    use super::*;

    #[test]
    fn tables_are_named_with_or_without_a_database() {
        let table: TableName = "metrics.host`s".parse().unwrap();
        assert_eq!(table.quoted(), "`metrics`.`host\\`s`");
        assert_eq!("host".parse::<TableName>().unwrap().to_string(), "default.host");
        for wrong in ["", ".", "a.", ".a"] {
            assert_eq!(wrong.parse::<TableName>(), Err(ParseTableError), "{wrong}");
        }
    }

    #[test]
    fn sorting_key_is_guessed_only_where_it_is_known() {
        let table: TableName = "t".parse().unwrap();
        let statement = |schema: &Schema| CreateTable::default().statement(&table, schema);
        assert!(statement(&MetricSet::Full.schema()).unwrap().contains("ORDER BY (device, ts)"));
        let other = Schema::new(vec![Field::new("n", DataType::Int32, false)]);
        assert_eq!(statement(&other), Err(CreateTableError::NoSortingKey));
    }
}
