use std::time::{Duration, Instant};

use bytes::Bytes;
use volley_core::{
    clickhouse::{TableOptions, create_table, insert_into},
    layout::Options,
    splice::Splicer,
    tune::{Point, Sample},
};

use super::{TuneError, clock::MachineClock, payloads};
use crate::{
    clickhouse::{ClickHouse, ClickHouseError, ClickHouseOptions, TableName},
    shutdown::Shutdown,
};

/// Rows of an insert, for every point: what an insert costs by itself has to count the same.
const INSERT_ROWS: usize = 50_000;

/// Inserts of a point, at most.
const MAX_INSERTS: usize = 25;

/// What an insert has beyond the deadline, which ends it first.
const GRACE: Duration = Duration::from_secs(1);

/// Inserts into a table that is there while they are measured.
#[derive(Debug)]
pub(super) struct Inserts {
    server: ClickHouse,
    table: TableName,
}

impl Inserts {
    /// Asks whether the server is there.
    pub(super) async fn connect(options: &ClickHouseOptions) -> Result<Self, TuneError> {
        // One is enough to measure.
        let url = options.urls.first().map_or("", String::as_str);
        let server = ClickHouse::connect(url, options).await?;
        let name = format!("volley_tune_{:016x}", rand::random::<u64>());
        let table = TableName { database: "default".to_owned(), table: name };
        Ok(Self { server, table })
    }

    /// Inserts payloads of each point in turn, spliced as the loader does, until the deadline, which
    /// ends an insert under way too: ns a row. The first insert of each point is a warm-up. The table is
    /// gone at the end, however that comes.
    pub(super) async fn measure(
        &self,
        sample: &Sample,
        points: &[Point],
        clock: &MachineClock,
        deadline: Duration,
        shutdown: &Shutdown,
    ) -> Result<Vec<(Point, f64)>, TuneError> {
        let mut measured = Vec::new();
        let has_time = !clock.left(deadline).is_zero();
        let Some(first) = points.first().filter(|_| has_time) else { return Ok(measured) };
        let options = TableOptions { deduplication_window: 0, ..TableOptions::default() };
        let table = self.table.quoted();
        // Dictionaries are another type of column: a table of the plain columns takes both.
        let plain = sample.schema(&Point { dictionary: false, ..*first });
        let create = create_table(&table, &plain, &options)?;
        tracing::info!(table = %self.table, "measuring inserts into a temporary table");
        // Not cut off: a table that is made after it was dropped would stay.
        self.server.execute(&create).await?;
        let left = clock.left(deadline);
        let result = tokio::select! {
            result = self.insert(sample, points, (clock, deadline), &mut measured) => result,
            () = shutdown.requested() => Ok(()),
            () = tokio::time::sleep(left) => Ok(()),
        };
        let dropped = self.server.execute(&format!("DROP TABLE IF EXISTS {table} SYNC")).await;
        result?;
        dropped.inspect_err(|_| {
            tracing::error!(table = %self.table, "the temporary table could not be dropped");
        })?;
        Ok(measured)
    }

    async fn insert(
        &self,
        sample: &Sample,
        points: &[Point],
        (clock, deadline): (&MachineClock, Duration),
        measured: &mut Vec<(Point, f64)>,
    ) -> Result<(), TuneError> {
        let statement = insert_into(&self.table.quoted(), sample.rows().schema_ref());
        let mut bodies = Vec::with_capacity(points.len());
        for point in points {
            let encoded = payloads(sample, point, INSERT_ROWS, (clock, deadline))?;
            let Some((payloads, n_rows)) = encoded else { return Ok(()) };
            if let Some(body) = spliced(&payloads) {
                bodies.push((*point, body, n_rows));
            }
        }
        for turn in 0..=MAX_INSERTS {
            for (point, body, n_rows) in &bodies {
                let began = Instant::now();
                self.insert_one(&statement, body.clone(), clock.left(deadline)).await?;
                if turn > 0 {
                    measured.push((*point, began.elapsed().as_nanos() as f64 / *n_rows as f64));
                }
            }
        }
        Ok(())
    }

    /// An insert that is not done by then is cut off before it times out.
    async fn insert_one(
        &self,
        statement: &str,
        body: Bytes,
        left: Duration,
    ) -> Result<(), ClickHouseError> {
        let settings = [("async_insert", "0"), ("insert_deduplicate", "0")];
        let body = futures_util::stream::iter([Ok::<_, ClickHouseError>(body)]);
        self.server.insert(statement, &settings, body, left + GRACE).await
    }
}

/// One stream of all payloads; `None` of what does not splice, which the loader would decode.
fn spliced(payloads: &[Bytes]) -> Option<Bytes> {
    let mut splicer = Splicer::new(&Options::default());
    for payload in payloads {
        splicer.push(payload).ok()?;
    }
    Some(splicer.finish().ok()?.to_vec().into())
}
