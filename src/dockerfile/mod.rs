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
pub(crate) mod ignore;
mod lines;
mod pinned;
mod steps;
mod variables;

use std::collections::BTreeMap;
use std::sync::Arc;

pub(crate) use check::{Expectation, ExpectedParent};
pub(crate) use evaluate::{Evaluated, Foundation, ImageUse, Inputs};

use crate::model::problem::{Place, Problem, SourceFile};
use crate::model::reference::Reference;
use pinned::Token;
use steps::{Kind, Step};

/// A Dockerfile, read.
#[derive(Clone, Debug)]
pub(crate) struct EngineInfo {
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

impl EngineInfo {
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
            let (from, name) = steps::from(line, place)?;
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
            None if matches!(step.kind, Kind::Arg(_)) => self.global_args.push(step),
            None if step.kind == Kind::Foreign => {}
            None => {
                return Err(Problem::new(format!("{} stands before the first FROM", line.keyword))
                    .at(place)
                    .help("only ARG may stand there; move it below FROM"));
            }
        }
        Ok(())
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
