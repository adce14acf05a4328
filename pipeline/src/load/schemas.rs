use std::{collections::HashMap, sync::Arc};

use arrow::datatypes::{Schema, SchemaRef};
use volley_core::{
    fingerprint::Fingerprint,
    layout::{Layout, Options, SchemaLayout, Walker},
};

use super::options::MessageProblem;

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

    /// A schema that [`Self::read`] has returned; without columns for `None`.
    pub(crate) fn get(&self, fingerprint: Option<Fingerprint>) -> SchemaRef {
        fingerprint
            .and_then(|fingerprint| self.known.get(&fingerprint))
            .cloned()
            .unwrap_or_else(|| Arc::new(Schema::empty()))
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
                self.known.entry(fingerprint).or_insert_with(|| schema.schema.clone());
                self.last = Some((schema.clone(), fingerprint));
                fingerprint
            }
        }
    }
}
