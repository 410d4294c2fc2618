//! Events for programs: one JSON object a line, as they come.
//!
//! Every line has `at` (seconds since the start) and `event` (which kind); the
//! other fields are those of [`Event`].

use std::io::Write;
use std::time::Duration;

use serde::ser::{Error, SerializeMap};
use serde::{Serialize, Serializer};
use serde_json::Value;

use super::state::RunState;
use super::{News, Reporter};
use crate::model::event::Event;

/// See the module.
#[derive(Debug)]
pub(crate) struct Json<W> {
    out: W,
}

impl<W: Write> Json<W> {
    pub(crate) fn new(out: W) -> Self {
        Self { out }
    }
}

impl<W: Write + Send> Reporter for Json<W> {
    fn event(&mut self, news: &News<'_>) {
        let line = Line { at: news.at, event: news.event };
        if let Ok(mut text) = serde_json::to_string(&line) {
            text.push('\n');
            // One write, so that lines of several writers do not mix.
            let _ = self.out.write_all(text.as_bytes());
            let _ = self.out.flush();
        }
    }

    fn finish(&mut self, _: &RunState) {}
}

struct Line<'a> {
    at: Duration,
    event: &'a Event,
}

impl Serialize for Line<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Value::Object(mut fields) = serde_json::to_value(self.event).map_err(S::Error::custom)? else {
            return Err(S::Error::custom("an event is not an object"));
        };
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("at", &(self.at.as_micros() as f64 / 1e6))?;
        map.serialize_entry("event", &fields.remove("event"))?;
        for (key, value) in &fields {
            map.serialize_entry(key, value)?;
        }
        map.end()
    }
}
