//! Reads what an answer is made from: who reads a file, what an engine has,
//! what earlier runs wrote down. An edge, and the only one of `impact`.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::causes::declared;
use super::{Affected, EngineLists, FileReaders, SpecFiles, Target};
use crate::engine::{self, Engine};
use crate::plan::history::{Record, Records};
use crate::plan::observe;
use crate::spec::graph::{Graph, NodeId};

impl FileReaders {
    /// Of the file that is asked about; nothing where it is another question.
    /// `here`: the folder that the spec's paths are shown from.
    pub(crate) fn of(stack: &SpecFiles<'_>, asked: &Target, here: &Path, spec_file: &Path) -> Self {
        let Target::File { path } = asked else { return Self::default() };
        let readers = observe::readers(stack.spec, stack.graph, stack.dockerfiles, path);
        let place = real(path);
        let is_in = |file: &Path| real(&here.join(file)).starts_with(&place);
        let declares = declared(stack.spec, stack.graph, &is_in);
        let of_spec = !declares.is_empty() || is_in(spec_file);
        Self { readers, declares: of_spec.then_some(declares) }
    }
}

fn real(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_owned())
}

impl EngineLists {
    /// Both lists, asked at once.
    ///
    /// # Errors
    /// The engine does not answer.
    pub(crate) async fn of(engine: &dyn Engine) -> Result<Self, engine::Error> {
        let (facts, images, containers) = tokio::join!(engine.info(), engine.images(), engine.containers());
        Ok(Self { id: facts?.id, images: images?, containers: containers? })
    }
}

impl Affected {
    /// The tries of each of these images.
    pub(crate) fn records(&self, graph: &Graph, records: &Records) -> HashMap<NodeId, Vec<Record>> {
        self.images.iter().map(|image| (image.node, records.of_node(graph, image.node))).collect()
    }
}
