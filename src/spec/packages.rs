//! `packages:` of images and projects.

use super::reader::{Fields, Item, Problems, short};
use crate::packages::{Packages, parse_apt, parse_pip};
use crate::problem::Problem;

/// `packages: {apt: [...], pip: [...]}`.
pub fn packages(item: Item, problems: &mut Problems) -> Packages {
    let fields = item.fields_and(&["apt", "pip"], &["requirements"], problems);
    if let Some(place) = fields.key("requirements") {
        problems.push(
            Problem::new("`requirements` is not read yet")
                .at(&place)
                .help("list what the file requires under `pip`, or use a Dockerfile"),
        );
    }
    Packages {
        apt: list(fields.get("apt"), parse_apt, "Debian package", problems),
        pip: list(fields.get("pip"), parse_pip, "pip requirement", problems),
    }
}

/// Refuses `use_case:`, which names a curated set of packages.
pub fn no_use_case(fields: &Fields, problems: &mut Problems) {
    if let Some(place) = fields.key("use_case") {
        problems.push(
            Problem::new("`use_case` is not read yet").at(&place).help("list the packages under `packages`"),
        );
    }
}

fn list(
    item: Option<Item>,
    parse: fn(&str) -> Result<String, String>,
    what: &str,
    problems: &mut Problems,
) -> Vec<String> {
    let mut normal = Vec::new();
    for (text, item) in item.map(|item| item.strings(problems)).unwrap_or_default() {
        match parse(text) {
            Ok(text) => normal.push(text),
            Err(why) => problems
                .push(Problem::new(format!("`{}` is no {what}", short(text))).at(&item.place()).help(why)),
        }
    }
    normal.sort();
    normal.dedup();
    normal
}
