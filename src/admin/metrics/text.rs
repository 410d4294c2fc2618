//! Families of figures and Prometheus' text format, version 0.0.4.
//! Knows nothing of what they are about.

use std::fmt::Write;

use serde::{Serialize, Serializer};
use serde_json::{Map, Number, Value};

/// Figures of one name, all of them gauges.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Family {
    pub(crate) name: &'static str,
    pub(crate) help: &'static str,
    #[serde(rename = "type")]
    kind: &'static str,
    pub(crate) samples: Vec<Sample>,
}

/// One figure.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Sample {
    /// In the order in which they are written.
    #[serde(serialize_with = "labels")]
    pub(crate) labels: Vec<(&'static str, String)>,
    pub(crate) value: Number,
}

impl Family {
    pub(crate) fn new(name: &'static str, help: &'static str) -> Self {
        Self { name, help, kind: "gauge", samples: Vec::new() }
    }

    /// Adds a figure. Labels without a value are left out, which is the same
    /// to Prometheus.
    pub(crate) fn add<'v>(&mut self, labels: impl IntoIterator<Item = (&'static str, &'v str)>, value: u64) {
        self.push(labels, value.into());
    }

    /// The same for one that is no whole number; what is no number at all is
    /// left out.
    pub(crate) fn add_ratio<'v>(
        &mut self,
        labels: impl IntoIterator<Item = (&'static str, &'v str)>,
        value: f64,
    ) {
        if let Some(value) = Number::from_f64(value) {
            self.push(labels, value);
        }
    }

    fn push<'v>(&mut self, labels: impl IntoIterator<Item = (&'static str, &'v str)>, value: Number) {
        let labels = labels.into_iter().filter(|(_, value)| !value.is_empty());
        let labels: Vec<_> = labels.map(|(name, value)| (name, value.to_owned())).collect();
        // One figure that stands twice makes a collector refuse all of them.
        if !self.samples.iter().any(|sample| sample.labels == labels) {
            self.samples.push(Sample { labels, value });
        }
    }
}

fn labels<S: Serializer>(labels: &[(&'static str, String)], to: S) -> Result<S::Ok, S::Error> {
    let pairs = labels.iter().map(|(name, value)| ((*name).to_owned(), Value::from(value.as_str())));
    pairs.collect::<Map<_, _>>().serialize(to)
}

/// As node_exporter's textfile collector and Prometheus read it. Families
/// without a figure are left out.
pub(crate) fn text(families: &[Family]) -> String {
    let mut text = String::new();
    for family in families.iter().filter(|family| !family.samples.is_empty()) {
        let Family { name, help, kind, samples } = family;
        // Writing to a string does not fail.
        let _ = writeln!(text, "# HELP {name} {}\n# TYPE {name} {kind}", escaped(help, false));
        for Sample { labels, value } in samples {
            let pairs: Vec<_> =
                labels.iter().map(|(label, value)| format!("{label}=\"{}\"", escaped(value, true))).collect();
            let braced = if pairs.is_empty() { String::new() } else { format!("{{{}}}", pairs.join(",")) };
            let _ = writeln!(text, "{name}{braced} {value}");
        }
    }
    text
}

fn escaped(text: &str, quoted: bool) -> String {
    let text = text.replace('\\', r"\\").replace('\n', r"\n");
    if quoted { text.replace('"', "\\\"") } else { text }
}
