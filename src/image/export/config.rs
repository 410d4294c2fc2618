//! Changes to the image's config as instructions.

use std::collections::BTreeMap;

use super::quote;
use crate::image::solve::ConfigChange;
use crate::model::labels::NAMESPACE;

/// What an image without a PATH is given.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The instructions, without USER. `below`: labels of the image below.
///
/// # Errors
/// A value of several lines.
pub(crate) fn lines(
    change: &ConfigChange,
    below: Option<&BTreeMap<String, String>>,
    escape: char,
) -> Result<String, String> {
    let mut text = String::new();
    for (name, value) in &change.env {
        text.push_str(&format!("ENV {name}={}\n", quote::double(value, escape)?));
    }
    if !change.path_first.is_empty() {
        let first = quote::double(&change.path_first.join(":"), escape)?;
        let first = first.trim_end_matches('"');
        text.push_str(&format!("ENV PATH={first}:${{PATH:-{DEFAULT_PATH}}}\"\n"));
    }
    if let Some(folder) = &change.workdir {
        text.push_str(&format!("WORKDIR {}\n", quote::double(folder, escape)?));
    }
    let left = below
        .into_iter()
        .flatten()
        .filter(|(key, _)| key.starts_with(NAMESPACE) && !change.labels.contains_key(*key));
    let emptied: Vec<(&String, &str)> = left.map(|(key, _)| (key, "")).collect();
    if !emptied.is_empty() {
        text.push_str(
            "# An instruction cannot take a label away; those without a value are of the image below.\n",
        );
    }
    let set = change.labels.iter().map(|(key, value)| (key, value.as_str()));
    let labels = set.chain(emptied).map(|(key, value)| {
        Ok::<_, String>(format!("{}={}", quote::double(key, escape)?, quote::double(value, escape)?))
    });
    let labels = labels.collect::<Result<Vec<_>, _>>()?;
    if !labels.is_empty() {
        text.push_str(&format!("LABEL {}\n", labels.join(&format!(" {escape}\n      "))));
    }
    Ok(text)
}
