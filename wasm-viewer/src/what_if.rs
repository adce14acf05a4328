//! What a table would take if it were written otherwise, measured while the page waits.

use std::time::Duration;

use volley_core::{
    tune::{Clock, Objective, ParseObjectiveError},
    view::WhatIf,
};
use wasm_bindgen::prelude::{JsError, wasm_bindgen};

use crate::{Payload, json};

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_namespace = performance)]
    fn now() -> f64;
}

/// The browser's clock: a thread's own time is not told.
struct BrowserClock;

impl Clock for BrowserClock {
    fn wall(&mut self) -> Duration {
        millis(now())
    }
}

fn millis(ms: f64) -> Duration {
    Duration::try_from_secs_f64(ms / 1e3).unwrap_or_default()
}

#[wasm_bindgen]
impl Payload {
    /// Gets ready to measure a table for so long; what was measured before is gone.
    pub fn what_if_start(&mut self, table: u32, budget_ms: f64) {
        self.what_if = Some(WhatIf::new(table as usize, millis(budget_ms)));
    }

    /// Goes on for so long, or a trial longer.
    ///
    /// # Errors
    /// Why the table cannot be measured.
    pub fn what_if_step(&mut self, slice_ms: f64) -> Result<(), JsError> {
        let Some(what_if) = &mut self.what_if else { return Ok(()) };
        let slice = millis(slice_ms);
        what_if.step(&mut self.view, &mut BrowserClock, slice).map_err(JsError::from)
    }

    /// What is known by now. The choice is by `objective`: `balanced`, `bytes` or `cpu`.
    ///
    /// # Errors
    /// Where `objective` is none.
    #[wasm_bindgen(unchecked_return_type = "Json<WhatIf | null>")]
    pub fn what_if_report(&self, objective: &str) -> Result<String, JsError> {
        let objective: Objective =
            objective.parse().map_err(|error: ParseObjectiveError| JsError::from(error))?;
        Ok(json(&self.what_if.as_ref().map(|what_if| what_if.report(objective))))
    }

    /// The first message of a point, by its place in `WhatIf.points`; nothing of none.
    ///
    /// # Errors
    /// Where it cannot be encoded.
    pub fn what_if_message(&self, index: u32) -> Result<Vec<u8>, JsError> {
        let Some(what_if) = &self.what_if else { return Ok(Vec::new()) };
        let message = what_if.message(index as usize).map_err(JsError::from)?;
        Ok(message.unwrap_or_default())
    }
}
