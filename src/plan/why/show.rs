//! Answers in words.

use std::fmt::Write;

use jiff::Timestamp;

use super::{
    BaseExplanation, ContainerExplanation, Explanation, ImageExplanation, IngredientSummary, Link, Paths,
    PresentImage, Provenance, SpecComparison,
};
use crate::image::recipe::{Detail, Ingredient, IngredientChange};
use crate::model::digest::short;
use crate::model::reference::Reference;
use crate::plan::Reason;

/// Details and fields that are shown unless all are wanted.
const SHOWN: usize = 5;

/// What is still to be written of a chain.
enum Piece {
    Line(usize, String),
    /// An image whose reasons follow.
    Image(usize, usize),
}

impl Explanation {
    /// For people; `all`: every detail and field.
    pub(crate) fn text(&self, all: bool) -> String {
        match self {
            Self::Image(image) => image.text(all),
            Self::Base(base) => base.text(),
            Self::Container(container) => container.text(all),
        }
    }
}

impl ImageExplanation {
    /// For people; `all`: every detail and field.
    pub(crate) fn text(&self, all: bool) -> String {
        let mut text = String::new();
        let Some(first) = self.images.first() else { return text };
        if let Some(kept) = &first.kept {
            let _ = writeln!(text, "{} is up to date  ({})", first.name, first.declared);
            text.push_str(&kept.text(first.files.as_ref(), all));
            return text;
        }
        let _ = writeln!(text, "{} will be built  ({})", first.name, first.declared);
        // Deep chains are legal, so the walk has a stack of its own.
        let (mut told, mut stack) = (vec![false; self.images.len()], vec![Piece::Image(1, 0)]);
        while let Some(piece) = stack.pop() {
            match piece {
                Piece::Line(depth, line) => {
                    let _ = writeln!(text, "{:width$}{line}", "", width = 2 * depth);
                }
                Piece::Image(_, at) if std::mem::replace(&mut told[at], true) => {}
                Piece::Image(depth, at) => stack.extend(self.pieces(depth, at, &told, all).into_iter().rev()),
            }
        }
        text
    }

    /// The reasons of one image, and behind each parent the parent's.
    fn pieces(&self, depth: usize, at: usize, told: &[bool], all: bool) -> Vec<Piece> {
        let link = &self.images[at];
        let mut pieces = Vec::new();
        for reason in &link.reasons {
            match reason {
                Reason::ParentRebuilt { parent } => {
                    let found = self.images.iter().position(|image| image.name == *parent);
                    let known = if found.is_some_and(|at| told[at]) { ", see above" } else { "" };
                    pieces.push(Piece::Line(depth, format!("because {reason}{known}")));
                    pieces.extend(found.map(|at| Piece::Image(depth + 1, at)));
                }
                Reason::Changed(changed) => {
                    let lines = self.changed(link, changed, all);
                    pieces.extend(lines.into_iter().map(|(more, line)| Piece::Line(depth + more, line)));
                }
                _ => pieces.push(Piece::Line(depth, format!("because {reason}"))),
            }
        }
        if let Some(failure) = &link.last_failure {
            pieces.push(Piece::Line(depth, format!("the last try failed: {failure}")));
        }
        pieces
    }

    /// The lines of a change, each with how far it is moved in.
    fn changed(&self, link: &Link, changed: &IngredientChange, all: bool) -> Vec<(usize, String)> {
        let head = format!("because {}", changed.head());
        match changed.details.as_slice() {
            [] => vec![(0, format!("{head} {} → {}", changed.old, changed.new))],
            [one] => vec![(0, format!("{head} {}", self.detail(link, changed, one)))],
            several => {
                let shown = if all { several.len() } else { SHOWN };
                let lines = several.iter().take(shown).map(|d| (1, self.detail(link, changed, d)));
                let more = more(several.len().saturating_sub(shown)).map(|more| (1, more));
                std::iter::once((0, head)).chain(lines).chain(more).collect()
            }
        }
    }

    fn detail(&self, link: &Link, changed: &IngredientChange, detail: &Detail) -> String {
        let Some(path) = link.path(changed.ingredient, detail) else { return changed.words(detail) };
        let what = match changed.ingredient {
            Ingredient::Context => path.clone(),
            _ => format!("{path} {}", detail.what),
        };
        let commit = self.commits.get(&path).map(|commit| format!("  ({commit})")).unwrap_or_default();
        format!("{}{commit}", Detail { what, ..detail.clone() })
    }
}

fn more(count: usize) -> Option<String> {
    (count > 0).then(|| format!("and {count} more; -v shows all"))
}

impl PresentImage {
    fn text(&self, files: Option<&Paths>, all: bool) -> String {
        let mut text = String::new();
        let since = self.since.and_then(|at| Timestamp::from_second(at).ok());
        let since = since.map(|at| format!(", built {at}")).unwrap_or_default();
        let image = match (&self.image, &self.registry_digest) {
            (Some(id), _) => short(id.as_str()).to_owned(),
            (None, Some(digest)) => format!("{}, in its registry and not on the engine", short(digest)),
            (None, None) => "not on the engine".to_owned(),
        };
        row(&mut text, "image", &format!("{image}{since}"));
        row(&mut text, "tags", &joined(&self.tags));
        text.push_str(&self.made.text(files, all));
        text
    }
}

impl Provenance {
    fn text(&self, files: Option<&Paths>, all: bool) -> String {
        let mut text = String::new();
        let cut = |digest| if all { digest } else { short(digest) };
        row(&mut text, "recipe", cut(&self.recipe));
        if let Some(base) = &self.base {
            let digest = self.base_digest.as_deref().map_or("a digest that is not known", cut);
            row(&mut text, "built on", &format!("{base}, {digest}"));
        }
        for told in &self.ingredients {
            row(&mut text, told.ingredient.name(), &told.text(files, all));
        }
        text
    }
}

impl IngredientSummary {
    fn text(&self, files: Option<&Paths>, all: bool) -> String {
        let covers = match (self.ingredient, files) {
            (Ingredient::Dockerfile, Some(files)) => vec![files.dockerfile.clone()],
            (Ingredient::Context, Some(files)) => vec![format!("what it reads of {}", files.context)],
            _ => Vec::new(),
        };
        let field = |(key, value): (&String, &String)| match value.as_str() {
            "" => key.clone(),
            value if key == self.ingredient.name() => value.to_owned(),
            value => format!("{key} {value}"),
        };
        let fields: Vec<String> = self.fields.iter().flatten().map(field).collect();
        let shown = if all { fields.len() } else { SHOWN };
        let rest = more(fields.len().saturating_sub(shown));
        // A digest of ours beside a digest of ours tells nothing more.
        let fields = fields.into_iter().filter(|_| covers.is_empty() || all).take(shown);
        let parts: Vec<String> = covers.iter().cloned().chain(fields).chain(rest).collect();
        match (parts.is_empty(), &self.fields) {
            (true, None) => format!("{}  not recorded", self.digest),
            _ => format!("{}  {}", self.digest, parts.join(", ")),
        }
    }
}

impl BaseExplanation {
    /// For people.
    pub(crate) fn text(&self) -> String {
        let mut text = format!("{} is not built here  ({})\n", self.name, self.declared);
        row(&mut text, "image", &self.image.to_string());
        let place = if self.on_engine { "on the engine" } else { "to be pulled" };
        match &self.digest {
            Some(digest) => row(&mut text, "digest", &format!("{digest}, {place}")),
            None => row(&mut text, "digest", "not looked for, since nothing is based on it"),
        }
        text
    }
}

impl ContainerExplanation {
    /// For people; `all`: every detail and field.
    pub(crate) fn text(&self, all: bool) -> String {
        let runs = self.node.as_ref().map(|node| format!(" runs {node}")).unwrap_or_default();
        let place = self.declared.as_ref().map(|declared| format!("  ({declared})")).unwrap_or_default();
        let mut text = format!("{}{runs}{place}\n", self.container);
        row(&mut text, "container", &format!("{}, {}", short(&self.id), self.state));
        let gone = if self.image_there { "" } else { ", no longer on the engine" };
        row(&mut text, "image", &format!("{}{gone}", short(self.image.as_str())));
        if !self.tags.is_empty() {
            row(&mut text, "tags", &joined(&self.tags));
        }
        match &self.made {
            Some(made) => text.push_str(&made.text(None, all)),
            None => row(&mut text, "recipe", "none: it was not made from an image of ds01-build"),
        }
        text.push_str(&self.standing.text(all));
        text
    }
}

impl SpecComparison {
    fn text(&self, all: bool) -> String {
        let line = match self {
            Self::Current => "it is what the spec says".to_owned(),
            Self::Newer { image, .. } => format!("a newer image is there: {}", short(image)),
            Self::Outdated { .. } => "its image would be built again".to_owned(),
            Self::NotInSpec => "the spec has no image that it was made from".to_owned(),
            Self::Unknown { cause } => format!("how it stands to the spec is not known: {cause}"),
        };
        let (reasons, changed) = match self {
            Self::Outdated { reasons, changed } => (reasons.as_slice(), changed.as_slice()),
            Self::Newer { changed, .. } => (&[][..], changed.as_slice()),
            _ => (&[][..], &[][..]),
        };
        let mut text = format!("  {line}\n");
        // What changed since this container's image tells more than what
        // changed since the last one.
        let reasons = reasons.iter().filter(|r| changed.is_empty() || !matches!(r, Reason::Changed(_)));
        for reason in reasons {
            let _ = writeln!(text, "    because {reason}");
        }
        for change in changed {
            let shown = if all { change.details.len() } else { SHOWN };
            let lines: Vec<_> =
                change.details.iter().take(shown).map(|detail| change.words(detail)).collect();
            let rest = more(change.details.len().saturating_sub(shown)).map(|m| format!(" {m}"));
            let _ = match lines.is_empty() {
                true => writeln!(text, "    {change}"),
                false => {
                    let (lines, rest) = (lines.join(", "), rest.unwrap_or_default());
                    writeln!(text, "    {} {lines}{rest}", change.head())
                }
            };
        }
        text
    }
}

fn joined(tags: &[Reference]) -> String {
    tags.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

fn row(text: &mut String, name: &str, value: &str) {
    let _ = writeln!(text, "  {name:10}  {value}");
}
