use std::{collections::HashMap, sync::Arc};

use arrow::datatypes::{Schema, SchemaRef};
use volley_core::{
    fingerprint::Fingerprint,
    layout::{Layout, Options, SchemaLayout, Walker},
};

use super::{Block, options::MessageProblem};

/// Most schemas that are remembered: a writer may make as many as it makes messages. Where there come
/// to be more, all are forgotten, and found out again where they are needed.
pub(super) const MAX_SCHEMAS: usize = 1_000;

/// Looks into payloads without decoding them, and remembers the schemas it has seen.
#[derive(Debug)]
pub(crate) struct Schemas {
    walker: Walker,
    /// The walker hands out one schema for as long as it does not change.
    last: Option<(Arc<SchemaLayout>, Fingerprint)>,
    known: HashMap<Fingerprint, SchemaRef>,
}

impl Schemas {
    /// Refuses payloads that claim more than `limits`.
    pub(crate) fn new(limits: &Options) -> Self {
        Self { walker: Walker::new(limits.clone()), last: None, known: HashMap::new() }
    }

    /// Schema and number of rows of a payload, which is sound if there is no error.
    pub(crate) fn read(&mut self, payload: &[u8]) -> Result<(Fingerprint, usize), MessageProblem> {
        let layout = self.walker.check(payload).map_err(MessageProblem::Damaged)?;
        // Bounded by the walker's limits, so it fits.
        let n_rows = usize::try_from(layout.rows()).unwrap_or(usize::MAX);
        Ok((self.schema(&layout)?, n_rows))
    }

    /// Schema of a block whose messages [`Self::read`] has seen; without columns where all were put
    /// aside.
    pub(crate) fn of(&mut self, block: &Block) -> SchemaRef {
        let is_forgotten = block.schema.is_some_and(|schema| !self.known.contains_key(&schema));
        if is_forgotten && let Some(payload) = block.payloads().first() {
            // It was sound before.
            let _ = self.read(payload);
        }
        let known = block.schema.and_then(|schema| self.known.get(&schema)).cloned();
        known.unwrap_or_else(|| Arc::new(Schema::empty()))
    }

    fn schema(&mut self, layout: &Layout) -> Result<Fingerprint, MessageProblem> {
        let mut found = None;
        for stream in &layout.streams {
            let schema = stream.schema.as_ref().ok_or(MessageProblem::NoSchema)?;
            let fingerprint = self.fingerprint(schema);
            if *found.get_or_insert(fingerprint) != fingerprint {
                return Err(MessageProblem::SeveralSchemas);
            }
        }
        found.ok_or(MessageProblem::NoSchema)
    }

    fn fingerprint(&mut self, schema: &Arc<SchemaLayout>) -> Fingerprint {
        match &self.last {
            Some((last, fingerprint)) if Arc::ptr_eq(last, schema) => *fingerprint,
            _ => {
                let fingerprint = Fingerprint::of(&schema.schema);
                if self.known.len() >= MAX_SCHEMAS {
                    self.known.clear();
                }
                self.known.entry(fingerprint).or_insert_with(|| schema.schema.clone());
                self.last = Some((schema.clone(), fingerprint));
                fingerprint
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{num::NonZeroUsize, time::Duration};

    use arrow::{
        array::RecordBatch,
        datatypes::{DataType, Field},
    };
    use volley_core::codec::{Codec, CodecOptions, Framing};

    use super::{
        super::{BlockLimits, BlockPlanner, Message},
        *,
    };

    fn payload(i: usize) -> Vec<u8> {
        let schema = Schema::new(vec![Field::new(format!("c{i}"), DataType::Int8, false)]);
        let batch = RecordBatch::new_empty(Arc::new(schema));
        let options = CodecOptions { codec: Codec::None, framing: Framing::Stream };
        volley_core::encode::encode(&batch, options).unwrap()
    }

    /// One that holds a single message.
    fn block(payload: Vec<u8>, schema: Fingerprint) -> Block {
        let n = NonZeroUsize::MAX;
        let limits = BlockLimits { n_rows: n, n_bytes: n, age: Duration::ZERO };
        let mut planner = BlockPlanner::new(limits);
        let payload = payload.into();
        let (schema, checksum) = (Some(schema), 0);
        let message = Message { partition: 0, offset: 0, schema, n_rows: 0, checksum, payload };
        planner.push(message, Duration::ZERO, &mut Vec::new());
        planner.finish().remove(0)
    }

    #[test]
    fn as_many_schemas_as_messages_are_not_all_remembered_and_none_is_lost() {
        let mut schemas = Schemas::new(&Options::default());
        let (first, _) = schemas.read(&payload(0)).unwrap();
        for i in 1..=MAX_SCHEMAS {
            schemas.read(&payload(i)).unwrap();
        }
        assert!(schemas.known.len() <= MAX_SCHEMAS);
        assert_eq!(schemas.of(&block(payload(0), first)).field(0).name(), "c0");
        let (last, _) = schemas.read(&payload(MAX_SCHEMAS)).unwrap();
        assert_eq!(schemas.of(&block(payload(MAX_SCHEMAS), last)).fields().len(), 1);
    }
}
