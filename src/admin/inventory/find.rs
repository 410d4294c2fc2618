//! From what people type to a name's images.

use super::{Group, Key, Known, Refusal, rows};
use crate::engine::Image;
use crate::model::labels::read;
use crate::model::reference::Reference;
use crate::spec::nearest;

/// Digits of an id that are enough to mean it.
const FEWEST: usize = 6;

/// The images that a name means: a node of the spec (of several people's
/// projects the caller's own), a name of the list, a project or an old image
/// of the caller's own, a reference, or an id. Several are never guessed among.
///
/// # Errors
/// None or several are meant.
pub(crate) fn find<'g, 'a>(
    name: &str,
    groups: &'g [Group<'a>],
    known: &Known<'_>,
) -> Result<&'g Group<'a>, Refusal> {
    let own = |group: &&Group<'_>| group.uid == Some(known.caller.uid);
    let in_spec = |group: &&Group<'_>| matches!(group.key, Key::Node(_));
    let full = |group: &&Group<'_>| group.name == name;
    let short = |group: &&Group<'_>| group.project == name;
    let whole = Reference::parse(name).ok().map(|reference| reference.canonical());
    let tagged = |group: &&Group<'_>| {
        let mut names = group.tags.iter();
        // Saved containers lie beside their project's images.
        let of_all = !matches!(group.key, Key::Saved(..));
        names.any(|tag| Some(tag.canonical()) == whole || of_all && tag.repository().as_str() == name)
    };
    let old = |group: &&Group<'_>| {
        group.tags.iter().any(|tag| tag.tag() == Some(name) && read::split_name(name).is_some())
    };
    let is_id = name.len() >= FEWEST && hex(name).bytes().all(|b| b.is_ascii_hexdigit());
    let by_id = |group: &&Group<'_>| is_id && group.images.iter().any(|image| is(image, name));
    let rules: [&dyn Fn(&&Group<'a>) -> bool; 8] = [
        &|g| own(g) && in_spec(g) && short(g),
        &full,
        &|g| own(g) && short(g),
        &|g| in_spec(g) && short(g),
        &tagged,
        &old,
        &short,
        &by_id,
    ];
    for rule in rules {
        match groups.iter().filter(rule).collect::<Vec<_>>().as_slice() {
            [] => {}
            [group] => return Ok(group),
            several => {
                let names = several.iter().map(|group| group.name.clone()).collect();
                return Err(Refusal::Ambiguous { name: name.to_owned(), names });
            }
        }
    }
    let names = groups.iter().flat_map(|group| [group.name.as_str(), group.project.as_str()]);
    let near = nearest(name, names).map(str::to_owned);
    Err(Refusal::NotFound { name: name.to_owned(), near })
}

fn hex(name: &str) -> &str {
    name.strip_prefix("sha256:").unwrap_or(name)
}

fn is(image: &Image, name: &str) -> bool {
    image
        .id
        .as_str()
        .strip_prefix("sha256:")
        .is_some_and(|id| id.starts_with(&hex(name).to_ascii_lowercase()))
}

impl Group<'_> {
    /// How messages call it.
    pub(super) fn shown(&self) -> String {
        match &self.key {
            Key::Untagged(id) => rows::short(id).to_owned(),
            _ => self.name.clone(),
        }
    }
}
