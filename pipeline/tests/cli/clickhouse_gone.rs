//! ClickHouse that goes away midway, for good or for a while.

use crate::support::{
    Database, Finished, Proxy, Running, Topic, assert_same_rows, broker, database, eventually,
};

/// A topic, and a way to the database that can be cut.
struct Setting {
    topic: Topic<'static>,
    database: Database,
    proxy: Proxy,
}

fn setting() -> Option<Setting> {
    let database = database()?;
    let proxy = Proxy::to(database.url());
    let topic = broker().topic(2);
    Some(Setting { topic, database, proxy })
}

impl Setting {
    fn load(&self, arguments: &[&str]) -> Running {
        self.topic.load(&self.proxy.url(), &self.database.table()).args(arguments).start()
    }

    fn wait_for_rows(&self, n_rows: u64) {
        let what = format!("{n_rows} rows");
        eventually(&what, || (self.database.count() == n_rows).then_some(()));
    }

    /// Ends a run that would go on, and checks that nothing is missing.
    fn finish(&self, run: Running) -> Finished {
        run.signal("INT");
        let run = run.wait().succeeds();
        assert_eq!(self.topic.committed(), self.topic.ends(), "{run}");
        assert_same_rows(&self.topic, &self.database);
        run
    }
}

#[test]
fn load_waits_until_it_is_back() {
    let Some(mut setting) = setting() else {
        return;
    };
    setting.topic.fill(1000);
    let mut run = setting.load(&[]);
    setting.wait_for_rows(1000);
    let before = eventually("the commits", || {
        let committed = setting.topic.committed();
        (committed == setting.topic.ends()).then_some(committed)
    });
    setting.proxy.cut();
    setting.topic.fill(700);
    run.wait_for_stderr(&format!("cannot reach clickhouse at {}", setting.proxy.url()));
    run.wait_for_stderr("rows wait, next try in");
    assert_eq!(setting.topic.committed(), before, "nothing is committed that is not stored");
    setting.proxy.restore();
    setting.wait_for_rows(1700);
    let run = setting.finish(run);
    assert!(run.count("retries") > 0, "{run}");
    assert_eq!(run.count("rows_loaded"), 1700, "{run}");
}

#[test]
fn load_waits_with_a_table_that_it_has_not_seen_yet() {
    let Some(mut setting) = setting() else {
        return;
    };
    let mut run = setting.load(&[]);
    run.wait_for_stderr("partitions assigned");
    setting.proxy.cut();
    setting.topic.fill(500);
    run.wait_for_stderr("rows wait, next try in");
    setting.proxy.restore();
    setting.wait_for_rows(500);
    setting.finish(run);
}

#[test]
fn load_gives_up_when_told_to_and_the_next_run_loads_the_rest() {
    let Some(mut setting) = setting() else {
        return;
    };
    setting.topic.fill(1000);
    let run = setting.load(&["--retry-for", "2s"]);
    setting.wait_for_rows(1000);
    let before = eventually("the commits", || {
        let committed = setting.topic.committed();
        (committed == setting.topic.ends()).then_some(committed)
    });
    setting.proxy.cut();
    setting.topic.fill(700);
    let (url, table) = (setting.proxy.url(), setting.database.table());
    let run = run.wait().fails();
    let run = run.says(&[&setting.topic.name, "were not inserted into", &table, &url]);
    assert_eq!(setting.topic.committed(), before, "{run}");
    assert_eq!(setting.database.count(), 1000, "{run}");

    setting.proxy.restore();
    let run = setting.load(&["--until-idle", "500ms"]).wait().succeeds();
    assert_eq!(run.count("rows_loaded"), 700, "{run}");
    assert_eq!(setting.topic.committed(), setting.topic.ends(), "{run}");
    assert_same_rows(&setting.topic, &setting.database);
}

/// A partition that is not read for now stays so in the client while it is another member's.
#[test]
fn partitions_that_come_back_are_read_again() {
    let Some(mut setting) = setting() else {
        return;
    };
    let mut run = setting.load(&[]);
    run.wait_for_stderr("partitions assigned");
    setting.proxy.cut();
    setting.topic.fill(500);
    run.wait_for_stderr("rows wait, next try in");
    let other = setting.topic.load(setting.database.url(), &setting.database.table());
    let mut other = other.start();
    other.wait_for_stderr("partitions assigned");
    eventually("rows of the other member", || (setting.database.count() > 0).then_some(()));
    other.signal("INT");
    other.wait().succeeds();
    setting.topic.fill(500);
    setting.proxy.restore();
    setting.wait_for_rows(1000);
    setting.finish(run);
}

#[test]
fn load_until_an_end_waits_too() {
    let Some(mut setting) = setting() else {
        return;
    };
    setting.topic.fill(500);
    setting.proxy.refuse("insert_deduplication_token");
    let mut run = setting.load(&["--until", "end"]);
    run.wait_for_stderr("rows wait, next try in");
    setting.proxy.restore();
    let run = run.wait().succeeds();
    assert_eq!(run.count("rows_loaded"), 500, "{run}");
    assert_eq!(setting.topic.committed(), setting.topic.ends(), "{run}");
    assert_same_rows(&setting.topic, &setting.database);
}
