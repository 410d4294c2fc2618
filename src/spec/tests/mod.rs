//! Whole specs, read from memory.

mod broken;
mod catalogue;
mod datahub;
mod people;
mod requirements;
mod rules;
mod sound;

use std::path::Path;

use super::files::memory::MemoryFiles;
use super::{Spec, read};
use crate::model::problem::Problem;

/// A small spec that is right; `more` is put behind it.
pub(crate) fn small(more: &str) -> String {
    format!("tag: {{prefix: \"2026.4\"}}\nbases:\n  slim: {{image: \"debian:12\"}}\n{more}")
}

/// A spec with one image `app` on `slim`, with more lines for it.
pub(crate) fn app(lines: &str) -> String {
    small(&format!("images:\n  app:\n    base: slim\n    {}\n", lines.replace('\n', "\n    ")))
}

/// The spec in `/r`, with a Dockerfile for `app`.
pub(crate) fn files(spec: &str) -> MemoryFiles {
    MemoryFiles::default()
        .file("/r/spec.yml", spec)
        .file("/r/images/app/Dockerfile", "ARG BASE_IMAGE\nFROM $BASE_IMAGE\n")
}

pub(crate) fn open(files: &MemoryFiles) -> Result<Spec, Vec<Problem>> {
    read(Path::new("/r"), Path::new("spec.yml"), &crate::spec::SpecContext::of(files))
}

/// `file:line:column message | help`, a line for each problem.
pub(crate) fn shown(problems: &[Problem]) -> String {
    let line = |problem: &Problem| {
        let place = problem.place.as_ref().map_or("-".into(), |place| {
            let (line, column) = place.line_column();
            format!("{}:{line}:{column}", place.file.path.display())
        });
        let help = problem.help.as_deref().map_or(String::new(), |help| format!(" | {help}"));
        format!("{place} {}{help}\n", problem.message)
    };
    problems.iter().map(line).collect()
}

/// All that is wrong with a spec.
pub(crate) fn wrong(files: &MemoryFiles) -> String {
    shown(&open(files).expect_err("this spec is wrong"))
}

pub(crate) fn right(files: &MemoryFiles) -> Spec {
    open(files).unwrap_or_else(|problems| panic!("{}", shown(&problems)))
}
