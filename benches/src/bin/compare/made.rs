//! The rows of a run: those of `volley produce --source synthetic`, made once more.

use std::{fs::File, num::NonZeroUsize, path::Path, time::Duration};

use anyhow::Result;
use arrow_array::RecordBatch;
use arrow_ipc::writer::StreamWriter;
use clickhouse::Client;
use volley::{
    shutdown::Shutdown,
    source::{Pulled, Source as _, SyntheticOptions, SyntheticSource},
};
use volley_core::{
    batcher::{BatchLimits, MicroBatcher},
    clickhouse::insert_into,
    host::{HostBuilder, MetricSet},
};

use crate::{
    Compare,
    party::{MESSAGE_ROWS, Party},
    stack::{Contents, Engine},
};

/// `n_rows` of ten machines, in batches of a message.
pub(crate) fn rows(n_rows: u64) -> Vec<RecordBatch> {
    let options = SyntheticOptions {
        seed: 1,
        n_devices: 10,
        n_rows: Some(n_rows),
        rate: None,
        start_us: 1_700_000_000_000_000,
    };
    let mut source = SyntheticSource::new(options, Shutdown::never());
    let limits = BatchLimits {
        n_rows: NonZeroUsize::new(MESSAGE_ROWS as usize).unwrap_or(NonZeroUsize::MIN),
        n_bytes: NonZeroUsize::MAX,
        age: Duration::MAX,
    };
    let builder = HostBuilder::new(MetricSet::Basic, MESSAGE_ROWS as usize);
    let mut batcher = MicroBatcher::new(builder, limits);
    let (mut rows, mut batches) = (Vec::new(), Vec::new());
    while source.pull(&mut rows, None) != Pulled::End {
        batches.extend(rows.drain(..).filter_map(|row| batcher.push(&row, Duration::ZERO)));
    }
    batches.extend(batcher.finish());
    batches
}

/// As an Arrow stream without compression.
pub(crate) fn write(path: &Path, batches: &[RecordBatch]) -> Result<()> {
    let file = File::create(path)?;
    let mut writer = StreamWriter::try_new_buffered(file, &MetricSet::Basic.schema())?;
    batches.iter().try_for_each(|batch| writer.write(batch))?;
    writer.finish()?;
    Ok(())
}

impl Compare {
    /// What a table of these rows holds, by an insert that has nothing to do with any party.
    pub(crate) fn expected(&self, engine: &Engine, batches: &[RecordBatch]) -> Result<Contents> {
        engine.execute(&self.runtime, &Party::Rows.table()?)?;
        let client = Client::default()
            .with_url(engine.url())
            .with_compression(clickhouse::Compression::None)
            .with_setting("async_insert", "0");
        let sql = insert_into("rows", &MetricSet::Basic.schema());
        self.runtime.block_on(async {
            for batches in batches.chunks(1000) {
                let mut body = StreamWriter::try_new(Vec::new(), &MetricSet::Basic.schema())?;
                batches.iter().try_for_each(|batch| body.write(batch))?;
                let mut insert = client.insert_formatted_with(&sql);
                insert.send(body.into_inner()?.into()).await?;
                insert.end().await?;
            }
            anyhow::Ok(())
        })?;
        engine.contents(&self.runtime)
    }
}
