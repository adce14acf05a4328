//! Tables that are there, are missing, or do not fit.

use crate::support::{
    Database, Finished, Topic, Volley, assert_same_rows, broker, database, random_name,
};

/// The columns of `--metrics basic`, as a user may have created them.
const COLUMNS: &str = "device LowCardinality(String), ts DateTime64(6, 'UTC'), cpu_used Float32, \
    cpu_free Float32, memory_used Float32, memory_free Float32, run_elapsed_ms Int32";

/// A topic with 500 rows, in ten messages.
fn setting() -> Option<(Topic<'static>, Database)> {
    let database = database()?;
    let topic = broker().topic(2);
    topic.fill(500);
    Some((topic, database))
}

fn load(topic: &Topic<'_>, database: &Database) -> Volley {
    topic.load(database.url(), &database.table()).args(["--until-idle", "500ms"])
}

/// With a table that remembers inserts.
fn create(database: &Database, columns: &str, engine: &str) {
    let remembering = "SETTINGS non_replicated_deduplication_window = 100";
    create_with(database, columns, &format!("{engine} ORDER BY (device, ts) {remembering}"));
}

fn create_with(database: &Database, columns: &str, engine: &str) {
    let table = database.table();
    database.query(&format!("CREATE TABLE {table} ({columns}) ENGINE = {engine}"));
}

/// Every row is there, and nothing is left to do.
#[track_caller]
fn all_loaded(topic: &Topic<'_>, database: &Database, run: &Finished) {
    assert_eq!(run.count("rows_loaded"), topic.n_rows(), "{run}");
    assert_eq!(topic.committed(), topic.ends(), "{run}");
    assert_same_rows(topic, database);
}

#[test]
fn a_missing_table_is_created_and_said() {
    let Some((topic, database)) = setting() else {
        return;
    };
    let run = load(&topic, &database).run().succeeds();
    let run = run.says(&["created table", "CREATE TABLE IF NOT EXISTS", "ReplacingMergeTree"]);
    all_loaded(&topic, &database, &run);
}

#[test]
fn its_database_is_created_too() {
    let Some((topic, database)) = setting() else {
        return;
    };
    let other = random_name("other");
    let run = topic.load(database.url(), &format!("{other}.rows")).args(["--until-idle", "500ms"]);
    run.run().succeeds();
    assert_eq!(database.query(&format!("SELECT count() FROM {other}.rows")), "500");
}

#[test]
fn a_created_table_is_as_the_flags_say() {
    let Some((topic, database)) = setting() else {
        return;
    };
    let flags = ["--order-by", "ts, device", "--partition-by", "toYYYYMM(ts)"];
    let more = ["--ttl", "toDateTime(ts) + INTERVAL 900 DAY", "--engine", "MergeTree"];
    let run = load(&topic, &database).args(flags).args(more).run().succeeds();
    all_loaded(&topic, &database, &run);
    let shown = database.query(&format!("SHOW CREATE TABLE {}", database.table()));
    for clause in [
        "ENGINE = MergeTree",
        "PARTITION BY toYYYYMM(ts)",
        "ORDER BY (ts, device)",
        "TTL toDateTime(ts)",
    ] {
        assert!(shown.contains(clause), "{clause} is not in {shown}");
    }
}

#[test]
fn a_missing_table_that_may_not_be_created() {
    let Some((topic, database)) = setting() else {
        return;
    };
    let run = load(&topic, &database).args(["--no-create"]).run().fails();
    run.says(&[&database.table(), "the table does not exist", "leave out --no-create"]);
    assert_eq!(topic.committed(), [0, 0]);
    let run = load(&topic, &database).run().succeeds();
    all_loaded(&topic, &database, &run);
}

#[test]
fn an_existing_table_is_described_and_used() {
    let Some((topic, database)) = setting() else {
        return;
    };
    let more = format!("{COLUMNS}, loaded_at DateTime DEFAULT now(), load Float32 ALIAS cpu_used");
    create(&database, &more, "ReplacingMergeTree");
    let run = load(&topic, &database).args(["--no-create"]).run().succeeds();
    let run =
        run.says(&["using the table as it is", "ReplacingMergeTree", "ts DateTime64(6, 'UTC')"]);
    assert!(!run.stderr.contains("WARN"), "{run}");
    all_loaded(&topic, &database, &run);
}

#[test]
fn a_table_that_forgets_inserts_needs_to_be_told_or_to_be_fine() {
    let Some((topic, database)) = setting() else {
        return;
    };
    create_with(&database, COLUMNS, "MergeTree ORDER BY (device, ts)");
    let run = load(&topic, &database).run().fails();
    let run = run.says(&[&database.table(), "does not remember inserts", "--delivery"]);
    let run_without = load(&topic, &database).args(["--delivery", "at-least-once"]).run();
    let run_without =
        run_without.succeeds().says(&["WARN", "not of the ReplacingMergeTree family"]);
    all_loaded(&topic, &database, &run_without);

    let statement = run.stderr.find("ALTER TABLE").map(|at| &run.stderr[at..]).unwrap();
    database.query(statement.split_once(" switches").unwrap().0);
    topic.fill(500);
    let run = load(&topic, &database).run().succeeds();
    assert_eq!(run.count("rows_loaded"), 500, "{run}");
    assert!(!run.stderr.contains("WARN"), "{run}");
}

#[test]
fn a_table_that_cannot_remember_inserts_says_so() {
    let Some((topic, database)) = setting() else {
        return;
    };
    create_with(&database, COLUMNS, "Memory");
    load(&topic, &database).run().fails().says(&["engine Memory", "--delivery at-least-once"]);
    let run = load(&topic, &database).args(["--delivery", "at-least-once"]).run().succeeds();
    all_loaded(&topic, &database, &run);
}

#[test]
fn missing_columns_are_named_with_the_statement_that_adds_them() {
    let Some((topic, database)) = setting() else {
        return;
    };
    let fewer = COLUMNS.replace("cpu_free Float32, ", "").replace(", run_elapsed_ms Int32", "");
    create(&database, &fewer, "ReplacingMergeTree");
    let failed = load(&topic, &database).run().fails();
    let failed =
        failed.says(&[&database.table(), "has no columns 'cpu_free', 'run_elapsed_ms' that"]);
    assert_eq!(topic.committed(), [0, 0], "{failed}");
    let statement = failed.stderr.find("ALTER TABLE").map(|at| &failed.stderr[at..]);
    database.query(statement.unwrap().lines().next().unwrap());
    all_loaded(&topic, &database, &load(&topic, &database).run().succeeds());
    let types = format!(
        "SELECT groupArray(type) FROM system.columns WHERE database = '{}' \
         AND name IN ('cpu_free', 'run_elapsed_ms')",
        database.name
    );
    assert_eq!(database.query(&types), "['Float32','Int32']");
}

#[test]
fn a_column_of_another_type_is_named_with_both_types() {
    let Some((topic, database)) = setting() else {
        return;
    };
    let wrong = COLUMNS.replace("cpu_used Float32", "cpu_used Array(String)");
    create(&database, &wrong, "ReplacingMergeTree");
    let run = load(&topic, &database).run().fails();
    run.says(&[
        &database.table(),
        "'cpu_used' is Array(String) in the table",
        "float32",
        "in the messages",
    ]);
    assert_eq!((topic.committed(), database.count()), (vec![0, 0], 0));

    let alter = format!("ALTER TABLE {}", database.table());
    database.query(&format!("{alter} DROP COLUMN cpu_used, ADD COLUMN cpu_used Float32"));
    let run = load(&topic, &database).run().succeeds();
    all_loaded(&topic, &database, &run);
}

#[test]
fn a_wrong_password_or_user_is_refused() {
    let Some((topic, database)) = setting() else {
        return;
    };
    for wrong in [["--user", "nobody"], ["--password", "hunter2"]] {
        let run = load(&topic, &database).args(wrong).run().fails();
        let run = run.says(&["clickhouse at", database.url(), "--user"]);
        assert!(!run.stderr.contains("hunter2"), "{run}");
    }
    assert_eq!(topic.committed(), [0, 0]);
}

#[test]
fn a_password_comes_from_a_file_too() {
    let Some((topic, database)) = setting() else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("secret");
    std::fs::write(&path, format!("{}\r\n", crate::support::PASSWORD)).unwrap();
    let run = topic
        .load_as_nobody(database.url(), &database.table())
        .args(["--user", crate::support::USER, "--until-idle", "500ms", "--password-file"])
        .args([&path]);
    all_loaded(&topic, &database, &run.run().succeeds());
}

/// ClickHouse says of it what it says of a table that is gone.
#[test]
fn a_view_whose_own_table_is_gone_stops_the_run() {
    let Some((topic, database)) = setting() else {
        return;
    };
    create(&database, COLUMNS, "MergeTree");
    let table = database.table();
    let target = format!("{table}_target");
    database.query(&format!("CREATE TABLE {target} (ts DateTime64(6, 'UTC')) ENGINE = Memory"));
    let select = format!("SELECT ts FROM {table}");
    database.query(&format!("CREATE MATERIALIZED VIEW {table}_view TO {target} AS {select}"));
    database.query(&format!("DROP TABLE {target} SYNC"));
    let run = load(&topic, &database).run().fails();
    run.says(&["were not inserted into", "UNKNOWN_TABLE"]);
    assert_eq!(topic.committed(), [0, 0]);
}

/// It would be refused for ever, by a number that otherwise asks for patience.
#[test]
fn a_block_of_too_many_partitions_stops_the_run() {
    let Some((topic, database)) = setting() else {
        return;
    };
    let run = load(&topic, &database).args(["--partition-by", "(device, ts)"]).run().fails();
    run.says(&["were not inserted into", "max_partitions_per_insert_block"]);
    assert_eq!(topic.committed(), [0, 0]);
}
