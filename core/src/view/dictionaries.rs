//! The dictionaries that a column of a batch needs, as they are at that batch.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::{ArrayRef, new_empty_array};

use super::{Fault, View, cache::Dictionaries, column};
use crate::{
    concat::concat,
    layout::{MessageKind, SchemaLayout},
};

/// Most bytes that the dictionaries of a column may unpack to.
const MAX_RAW: u64 = 1 << 29;

impl View {
    /// The dictionaries of the column at `top` in a record batch: those before it in its stream,
    /// the last of each id with its deltas.
    pub(super) fn dictionaries(
        &mut self,
        schema: &SchemaLayout,
        batch: usize,
        top: usize,
    ) -> Result<Dictionaries, Fault> {
        let needed = schema.dictionaries_below(top);
        if needed.is_empty() {
            return Ok(Arc::default());
        }
        let messages = self.messages_of(&needed, batch);
        if let Some(set) = self.cache.dictionaries(&messages) {
            return Ok(set);
        }
        let set = Arc::new(self.read_dictionaries(schema, &needed, &messages)?);
        self.cache.keep_dictionaries(messages, Arc::clone(&set));
        Ok(set)
    }

    /// The messages that define the dictionaries, in the order in which they are read.
    fn messages_of(&self, needed: &[(i64, usize)], batch: usize) -> Vec<usize> {
        let Some(stream) = self.layout.messages.get(batch).map(|message| message.stream) else {
            return Vec::new();
        };
        let before = self.layout.reading_order().take_while(|(index, _)| *index != batch);
        let mut messages: Vec<(usize, i64, bool)> = Vec::new();
        for (index, message) in before.filter(|(_, message)| message.stream == stream) {
            let MessageKind::Dictionary { id, is_delta } = message.kind else { continue };
            if !needed.iter().any(|(other, _)| *other == id) {
                continue;
            }
            // One that others nest in is read with them as they were: nothing of it can be skipped.
            if !is_delta && needed.len() == 1 {
                messages.clear();
            }
            messages.push((index, id, is_delta));
        }
        messages.into_iter().map(|(index, ..)| index).collect()
    }

    fn read_dictionaries(
        &self,
        schema: &SchemaLayout,
        needed: &[(i64, usize)],
        messages: &[usize],
    ) -> Result<HashMap<i64, ArrayRef>, Fault> {
        let mut set = HashMap::new();
        let mut raw = 0;
        for &index in messages {
            let Some(message) = self.layout.messages.get(index) else { continue };
            if let Some(fault) = self.fault(index, None) {
                return Err(fault);
            }
            let MessageKind::Dictionary { id, is_delta } = message.kind else { continue };
            let Some((_, values)) = needed.iter().find(|(other, _)| *other == id) else { continue };
            let Some(field) = schema.dictionary_field(id) else { continue };
            raw += self.layout.buffers_of(message).iter().map(|buffer| buffer.raw).sum::<u64>();
            if raw > MAX_RAW {
                let what = format!("the dictionaries unpack to more than {MAX_RAW} bytes");
                return Err(Fault::new(message.offset, what));
            }
            let columns = schema.subtree(*values);
            if !column::is_whole(&self.layout, message, schema, &columns) {
                return Err(Fault::new(message.offset, "the dictionary ends before its values do"));
            }
            let read = column::read(&self.payload, &self.layout, message, columns, &field, &set)?;
            let whole = match set.get(&id).filter(|_| is_delta) {
                None => read,
                Some(before) => concat(&[before, &read])
                    .map_err(|error| Fault::new(message.offset, error.to_string()))?
                    .unwrap_or(read),
            };
            set.insert(id, whole);
        }
        // A dictionary may be left out where every key is null.
        for (id, _) in needed {
            if let Some(field) = schema.dictionary_field(*id) {
                set.entry(*id).or_insert_with(|| new_empty_array(field.data_type()));
            }
        }
        Ok(set)
    }
}
