//! ONBUILD instructions that an image left for whatever is built FROM it.
//!
//! They run first in such a stage, so what they read of the context counts
//! there. Knows nothing of where an image says them.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::evaluate::Evaluated;
use super::steps::{self, Step};
use super::{ESCAPE, lines};
use crate::model::problem::{Place, Problem, SourceFile};
use crate::model::reference::Reference;

/// Those of images, by an image's long reference.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Triggers(BTreeMap<String, Vec<Step>>);

impl Triggers {
    /// Those that an image which is built here leaves.
    pub(crate) fn add_built(&mut self, image: &Reference, evaluated: &Evaluated) {
        if !evaluated.onbuild.is_empty() {
            self.0.insert(image.canonical(), evaluated.onbuild.clone());
        }
    }

    /// Those that the config of an image says.
    ///
    /// # Errors
    /// One of them is no instruction.
    pub(crate) fn add(&mut self, image: &Reference, texts: &[String]) -> Result<(), Problem> {
        let steps: Result<Vec<Step>, Problem> = texts.iter().map(|text| step(image, text)).collect();
        let steps =
            steps.map_err(|problem| problem.help("it is an ONBUILD of this base; build on another"))?;
        if !steps.is_empty() {
            self.0.insert(image.canonical(), steps);
        }
        Ok(())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn of(&self, image: &Reference) -> &[Step] {
        self.0.get(&image.canonical()).map_or(&[], Vec::as_slice)
    }
}

fn step(image: &Reference, text: &str) -> Result<Step, Problem> {
    let file = Arc::new(SourceFile::new(format!("ONBUILD of {image}"), text));
    let place = Place { file, span: 0..text.len() };
    let read = lines::read(text).map_err(|b| Problem::new(b.message).at(&place))?;
    let [line] = read.lines.as_slice() else {
        return Err(Problem::new("an ONBUILD is not one instruction").at(&place));
    };
    steps::step(line, ESCAPE, true, &place)
}
