//! The text of a new project file.

use std::fmt::Write;

use crate::spec::reader::plain_type;

/// A project that somebody asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ProjectEntry {
    pub(crate) name: String,
    /// The login.
    pub(crate) user: String,
    /// What it stands on: `vision`, `vision@py312`, or a base.
    pub(crate) image: String,
    pub(crate) use_case: Vec<String>,
    pub(crate) apt: Vec<String>,
    pub(crate) pip: Vec<String>,
    /// Relative to the folder of the spec.
    pub(crate) requirements: Option<String>,
    /// Relative to the folder of the spec.
    pub(crate) dockerfile: Option<String>,
    pub(crate) jupyter: bool,
}

/// The text of a file that has this project alone.
pub(crate) fn entry(entry: &ProjectEntry) -> String {
    let mut text =
        format!("# Change it by hand, or with `ds01-build image update`.\n{}:\n", quoted(&entry.name));
    let mut line = |key: &str, value: String| {
        let _ = writeln!(text, "  {key}: {value}");
    };
    line("user", quoted(&entry.user));
    line("image", quoted(&entry.image));
    match entry.use_case.as_slice() {
        [] => {}
        [one] => line("use_case", quoted(one)),
        several => line("use_case", list(several)),
    }
    if let Some(dockerfile) = &entry.dockerfile {
        line("dockerfile", quoted(dockerfile));
    }
    let lists = [("apt", &entry.apt), ("pip", &entry.pip)];
    let lists = lists.iter().filter(|(_, texts)| !texts.is_empty());
    let mut packages: Vec<String> = lists.map(|(key, texts)| format!("{key}: {}", list(texts))).collect();
    packages.extend(entry.requirements.iter().map(|file| format!("requirements: {}", quoted(file))));
    if !packages.is_empty() {
        line("packages", format!("{{{}}}", packages.join(", ")));
    }
    if entry.jupyter {
        line("jupyter", "true".into());
    }
    text
}

fn list(texts: &[String]) -> String {
    format!("[{}]", texts.iter().map(|text| quoted(text)).collect::<Vec<_>>().join(", "))
}

/// A text as YAML: without quotes where every reader takes it for text.
pub(crate) fn quoted(text: &str) -> String {
    let plain = text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._/@+-".contains(&b));
    if plain && !is_yaml_value(text) {
        return text.to_owned();
    }
    // A JSON string is a YAML string.
    serde_json::to_string(text).unwrap_or_default()
}

/// Whether some reader of YAML takes an unquoted text for something else:
/// besides numbers, truth and nothing, the older ones have `yes` and `off`.
pub(crate) fn is_yaml_value(text: &str) -> bool {
    let older = ["y", "n", "yes", "no", "on", "off"];
    plain_type(text).is_some() || older.contains(&text.to_ascii_lowercase().as_str())
}
