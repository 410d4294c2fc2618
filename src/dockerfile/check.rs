//! Whether a Dockerfile builds on what the spec says it builds on.
//!
//! The graph is made from the spec, the image from the Dockerfile: where they
//! differ, a change of a parent would go unnoticed or a child be built first.

use std::collections::BTreeMap;

use super::parent_arg;
use super::{BuildBase, Evaluated, ImageUse};
use crate::model::problem::{Place, Problem};
use crate::model::reference::{Reference, Repository};

/// A parent as the spec names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ExpectedParent {
    /// Its name in the spec.
    pub(crate) name: String,
    /// What its build arg holds.
    pub(crate) given: Reference,
    /// Another reference of the very same image: the plain tag of an external
    /// base that is given by digest.
    pub(crate) alias: Option<Reference>,
}

/// What the spec says of an image's parents.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Expectation {
    /// The one it is built from; `None`: the spec names none, any external
    /// image will do.
    pub(crate) base: Option<ExpectedParent>,
    /// Those it copies from.
    pub(crate) further: Vec<ExpectedParent>,
    /// The repositories of the spec's other images, with the image's name.
    pub(crate) built: BTreeMap<Repository, String>,
}

impl ExpectedParent {
    fn is(&self, reference: &Reference) -> bool {
        let same = |own: &Reference| own.canonical() == reference.canonical();
        same(&self.given) || self.alias.as_ref().is_some_and(same)
    }

    fn shares_repository(&self, reference: &Reference) -> bool {
        self.given.repository() == reference.repository()
    }
}

impl Expectation {
    fn parents(&self) -> impl Iterator<Item = &ExpectedParent> {
        self.base.iter().chain(&self.further)
    }

    fn declared(&self, reference: &Reference) -> bool {
        self.parents().any(|p| p.is(reference))
    }
}

impl Evaluated {
    /// Compares FROM and COPY --from with the spec; empty: they agree.
    pub(crate) fn check_from(&self, expected: &Expectation) -> Vec<Problem> {
        let mut problems: Vec<Problem> = Vec::new();
        problems.extend(expected.base.as_ref().and_then(|base| self.check_base(base)));
        problems.extend(expected.further.iter().filter_map(|parent| self.check_further(parent)));
        for image in &self.images {
            // The foundation was already spoken of, if it is wrong.
            let spoken = problems.iter().any(|p| p.place.as_ref() == Some(&image.place));
            if !spoken {
                problems.extend(check_undeclared(image, expected));
            }
        }
        problems
    }

    /// Images that count and are not parents: what the lock file has to pin.
    /// Each reference once, in the order of the Dockerfile.
    pub(crate) fn external_images(&self, expected: &Expectation) -> Vec<&ImageUse> {
        let mut found: Vec<&ImageUse> = Vec::new();
        for image in self.images.iter().filter(|i| !expected.declared(&i.reference)) {
            if found.iter().all(|f| f.reference.canonical() != image.reference.canonical()) {
                found.push(image);
            }
        }
        found
    }

    fn base_place(&self) -> &Place {
        match &self.base {
            BuildBase::Image(image) => &image.place,
            BuildBase::Scratch(place) => place,
        }
    }

    fn check_base(&self, base: &ExpectedParent) -> Option<Problem> {
        let found = match &self.base {
            BuildBase::Image(image) if base.is(&image.reference) => return None,
            BuildBase::Image(image) if base.shares_repository(&image.reference) => {
                return Some(wrong_tag(image, base, "BASE_IMAGE"));
            }
            BuildBase::Image(image) => image.reference.to_string(),
            BuildBase::Scratch(_) => "scratch".into(),
        };
        let name = &base.name;
        Some(
            Problem::new(format!(
                "the Dockerfile builds on `{found}`, but the spec says it builds on `{name}`"
            ))
            .at(self.base_place())
            .label(format!("not `{name}`"))
            .help(
                "write `ARG BASE_IMAGE` before the first FROM and `FROM ${BASE_IMAGE}` here, \
                     or name another parent in the spec",
            ),
        )
    }

    fn check_further(&self, parent: &ExpectedParent) -> Option<Problem> {
        if self.images.iter().any(|i| parent.is(&i.reference)) {
            return None;
        }
        let (name, arg) = (&parent.name, parent_arg(&parent.name));
        if let Some(image) = self.images.iter().find(|i| parent.shares_repository(&i.reference)) {
            return Some(wrong_tag(image, parent, &arg));
        }
        Some(
            Problem::new(format!("the Dockerfile never uses `{name}`, which the spec names as a parent"))
                .at(self.base_place())
                .help(format!(
                    "write `ARG {arg}` before the first FROM, `FROM ${{{arg}}} AS parent` and \
                     `COPY --from=parent …`, or take `{name}` out of `depend_on`"
                )),
        )
    }
}

fn wrong_tag(image: &ImageUse, parent: &ExpectedParent, arg: &str) -> Problem {
    let name = &parent.name;
    let tag = if arg == "BASE_IMAGE" { ", or let the tag be `${BASE_TAG}`" } else { "" };
    Problem::new(format!("`{}` is another build of `{name}` than the one in the spec", image.reference))
        .at(&image.place)
        .label(format!("should be what `{arg}` gives"))
        .help(format!("write `ARG {arg}` before the first FROM and `FROM ${{{arg}}}`{tag}"))
}

/// An image of this spec that is used without being named as a parent.
fn check_undeclared(image: &ImageUse, expected: &Expectation) -> Option<Problem> {
    if expected.declared(&image.reference) {
        return None;
    }
    let repository = image.reference.repository();
    let name = expected.built.get(&repository)?;
    if let Some(parent) = expected.parents().find(|p| p.shares_repository(&image.reference)) {
        let first = expected.base.as_ref() == Some(parent);
        let arg = if first { "BASE_IMAGE".to_owned() } else { parent_arg(&parent.name) };
        return Some(wrong_tag(image, parent, &arg));
    }
    Some(
        Problem::new(format!(
            "the Dockerfile uses `{repository}`, which this spec builds as `{name}`, \
             but `{name}` is no parent of this image"
        ))
        .at(&image.place)
        .label(format!("is `{name}`"))
        .help(format!("add `{name}` to this image's `depend_on`")),
    )
}
