//! What a Dockerfile says, as facts: stages, arguments, the images it builds
//! on, the files and secrets its instructions can read.
//!
//! Reads text only. BuildKit builds; this module has to agree with it on what
//! a build depends on, and where it cannot know (a variable that a base image
//! may set), it takes the build to depend on everything.

mod check;
pub(crate) mod context;
mod evaluate;
mod expand;
mod form;
pub(crate) mod ignore;
mod lines;
mod steps;
mod triggers;

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use crate::model::problem::{Place, Problem, SourceFile};
use crate::model::reference::Reference;
use lines::Flag;
use steps::{Instruction, Step};

pub(crate) use check::{Expectation, ExpectedParent};
pub(crate) use evaluate::{BuildBase, Evaluated, ImageUse, Inputs};
pub(crate) use triggers::Triggers;

/// What continues a line, unless `# escape=` says another.
const ESCAPE: char = '\\';

/// A Dockerfile, read.
#[derive(Clone, Debug)]
pub(crate) struct ParsedDockerfile {
    syntax: Option<String>,
    escape: char,
    /// ARG instructions before the first FROM.
    global_args: Vec<Step>,
    stages: Vec<Stage>,
}

/// A stage: a FROM and what follows it.
#[derive(Clone, Debug)]
pub(crate) struct Stage {
    name: Option<String>,
    image: String,
    /// Where `image` is written.
    token: Token,
    place: Place,
    steps: Vec<Step>,
}

impl Stage {
    /// The name behind AS, in lower case.
    pub(crate) fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }
}

impl ParsedDockerfile {
    /// Reads a Dockerfile.
    ///
    /// # Errors
    /// Everything that is wrong with the text, each with its place.
    pub(crate) fn parse(file: &Arc<SourceFile>) -> Result<Self, Vec<Problem>> {
        let place = |span| Place { file: Arc::clone(file), span };
        let lines = lines::read(&file.text)
            .map_err(|b| vec![Problem::new(b.message).at(&place(b.span)).help(b.help)])?;
        let foreign = lines.syntax.is_some();
        let mut facts =
            Self { syntax: lines.syntax, escape: lines.escape, global_args: Vec::new(), stages: Vec::new() };
        let mut problems = Vec::new();
        for line in &lines.lines {
            if let Err(problem) = facts.add(line, foreign, &place(line.span.clone())) {
                problems.push(problem);
            }
        }
        if facts.stages.is_empty() && problems.is_empty() {
            let end = file.text.len();
            problems.push(
                Problem::new("the Dockerfile has no FROM")
                    .at(&place(end..end))
                    .help("begin with `ARG BASE_IMAGE` and `FROM ${BASE_IMAGE}`"),
            );
        }
        if problems.is_empty() { Ok(facts) } else { Err(problems) }
    }

    fn add(&mut self, line: &lines::Line, foreign: bool, place: &Place) -> Result<(), Problem> {
        if line.keyword == "FROM" {
            let (from, name) = steps::from(line, foreign, place)?;
            self.stages.push(Stage {
                name,
                image: from.name,
                token: from.token,
                place: place.clone(),
                steps: Vec::new(),
            });
            return Ok(());
        }
        let step = steps::step(line, self.escape, foreign, place)?;
        match self.stages.last_mut() {
            Some(stage) => stage.steps.push(step),
            None if matches!(step.kind, Instruction::Arg(_)) => self.global_args.push(step),
            None if step.kind == Instruction::Foreign => {}
            None => {
                return Err(Problem::new(format!("{} stands before the first FROM", line.keyword))
                    .at(place)
                    .help("only ARG may stand there; move it below FROM"));
            }
        }
        Ok(())
    }

    /// The names of all its ARG instructions, also in stages that do not count.
    pub(crate) fn args(&self) -> impl Iterator<Item = &str> {
        let steps = self.global_args.iter().chain(self.stages.iter().flat_map(|stage| &stage.steps));
        let args = steps.filter_map(|step| match &step.kind {
            Instruction::Arg(args) => Some(args),
            _ => None,
        });
        args.flatten().map(|(name, _)| name.as_str())
    }

    /// The front end that `# syntax=` asks for.
    pub(crate) fn syntax(&self) -> Option<&str> {
        self.syntax.as_deref()
    }
}

/// The build args that tell a Dockerfile its parents: `BASE_IMAGE`, the whole
/// reference of the first; `BASE_TAG`, what stands behind its `:` (with the
/// digest of a pinned one, so that `FROM x:${BASE_TAG}` is as pinned); and
/// for each further one [`parent_arg`].
pub(crate) fn base_args(
    first: Option<&Reference>,
    further: &[(String, Reference)],
) -> BTreeMap<String, String> {
    let mut args = BTreeMap::new();
    if let Some(first) = first {
        args.insert("BASE_IMAGE".to_owned(), first.to_string());
        if let Some(tag) = first.tag() {
            let pin = first.digest().map(|digest| format!("@{digest}")).unwrap_or_default();
            args.insert("BASE_TAG".to_owned(), format!("{tag}{pin}"));
        }
    }
    args.extend(further.iter().map(|(name, reference)| (parent_arg(name), reference.to_string())));
    args
}

/// The arg that carries a further parent: `BASE_IMAGE_MY_TOOLS` for `my-tools`.
pub(crate) fn parent_arg(name: &str) -> String {
    let letter = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' };
    format!("BASE_IMAGE_{}", name.chars().map(letter).collect::<String>())
}

#[cfg(test)]
mod tests;

// The text that is sent to the front end: as it is on disk, with the digest
// behind each image that has one.
// Line numbers stay as they are, so that what the front end says of a line is
// true of the file.

/// Where an instruction names an image, and what else stands in that word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Token {
    /// Bytes of the text that write the word, line ends within it included.
    span: Range<usize>,
    /// `--from=`, or what a `--mount` says before the name.
    before: String,
    after: String,
}

impl Token {
    /// A word of its own.
    fn word(span: Range<usize>) -> Self {
        Self { span, before: String::new(), after: String::new() }
    }

    /// The last `from=name` of a flag.
    fn of(flag: &Flag, name: &str) -> Self {
        let Flag { word, span } = flag;
        let key = "from=";
        let at = |i: &usize| {
            let ends = |c: char| matches!(c, ',' | '"');
            let begins = word[..*i].ends_with(['-', ',', '=', '"']);
            begins
                && word[i + key.len()..]
                    .strip_prefix(name)
                    .is_some_and(|r| r.is_empty() || r.starts_with(ends))
        };
        let places = word.to_ascii_lowercase();
        let found = places.match_indices(key).map(|(i, _)| i).filter(at).last();
        // A name broken up by quotes: the rest of the flag is said anew.
        let start = found.map_or(word.len(), |i| i + key.len());
        let end = found.map_or(word.len(), |_| start + name.len());
        let comma = if found.is_some() { "" } else { ",from=" };
        Self {
            span: span.clone(),
            before: format!("{}{comma}", &word[..start]),
            after: word[end..].to_owned(),
        }
    }

    /// The word with another image in it. Lines stay: what the word is
    /// written on is continued before it.
    fn write(&self, image: &Reference, text: &str, escape: char) -> String {
        let lines = text[self.span.clone()].matches('\n').count();
        let continued = format!("{escape}\n").repeat(lines);
        format!("{continued}{}{image}{}", quoted(&self.before, escape), quoted(&self.after, escape))
    }
}

/// What the reader of flags takes for this very text.
fn quoted(text: &str, escape: char) -> String {
    let mut quoted = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_whitespace() || matches!(c, '"' | '\'') || c == escape {
            quoted.push(escape);
        }
        quoted.push(c);
    }
    quoted
}

impl ParsedDockerfile {
    /// The text with `pin(image)` in place of every image that counts and has
    /// a pin, whether it is written out or put together of variables.
    ///
    /// # Errors
    /// As [`ParsedDockerfile::evaluate`].
    pub(crate) fn pinned(
        &self,
        inputs: &Inputs<'_>,
        pin: &dyn Fn(&Reference) -> Option<Reference>,
    ) -> Result<String, Vec<Problem>> {
        let file = &self.stages[0].place.file;
        let text = file.text.as_str();
        let images = self.evaluate(inputs)?.images;
        // What a base names in its ONBUILD stands elsewhere.
        let own = images.iter().filter(|image| Arc::ptr_eq(&image.place.file, file));
        let pinned = own.filter_map(|image| Some((&image.token, pin(&image.reference)?)));
        let mut pinned: Vec<_> = pinned.collect();
        // From the end, so that places before it stay true. What a base leaves
        // for several stages (ONBUILD) is written once.
        pinned.sort_by_key(|(token, _)| std::cmp::Reverse(token.span.start));
        pinned.dedup_by_key(|(token, _)| token.span.start);
        let mut new = text.to_owned();
        for (token, image) in pinned {
            new.replace_range(token.span.clone(), &token.write(&image, text, self.escape));
        }
        Ok(new)
    }
}
