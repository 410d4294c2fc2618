//! A real engine of the race's own, which grants GPUs and attaches none.

use serde_json::Value;

use super::engine::Seen;
use super::{BASE, image, labels};
use crate::second_engine::{Gpus, SecondEngine};

/// With the project's image, made from this one of the first engine.
pub fn engine(driver: &str, gpus: Gpus, from: &str) -> SecondEngine {
    let engine = SecondEngine::with(driver, gpus).unwrap_or_else(|log| panic!("no second engine:\n{log}"));
    engine.copy(from);
    engine.docker(&["tag", from, BASE]);
    engine.docker(&["create", "--name", "template", BASE, "sh"]);
    let changes: Vec<_> = labels()
        .into_iter()
        .flat_map(|(key, value)| ["--change".to_owned(), format!("LABEL {key}={value}")])
        .collect();
    let changes: Vec<_> = changes.iter().map(String::as_str).collect();
    let image = image();
    engine.docker(
        &[&["commit", "--change", "CMD [\"sleep\", \"600\"]"], &*changes, &["template", &image]].concat(),
    );
    engine.docker(&["rm", "template"]);
    engine
}

/// All containers, whoever made them.
pub fn containers(engine: &SecondEngine) -> Vec<Seen> {
    let ids = engine.docker(&["ps", "-aq", "--no-trunc"]);
    let ids: Vec<_> = ids.lines().collect();
    if ids.is_empty() {
        return Vec::new();
    }
    let all: Value = serde_json::from_str(&engine.docker(&[&["inspect"], &*ids].concat())).unwrap();
    let seen = |one: &Value| {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let units = text(&one["Config"]["Labels"]["ds01.gpu.uuids"]);
        Seen {
            name: text(&one["Name"]).trim_start_matches('/').to_owned(),
            running: one["State"]["Running"] == true,
            units: units.split(',').filter(|word| !word.is_empty()).map(str::to_owned).collect(),
        }
    };
    all.as_array().unwrap().iter().map(seen).collect()
}

/// Away with all of them.
pub fn clear(engine: &SecondEngine) {
    let ids = engine.docker(&["ps", "-aq"]);
    let ids: Vec<_> = ids.lines().collect();
    if !ids.is_empty() {
        engine.docker(&[&["rm", "-f"], &*ids].concat());
    }
}
