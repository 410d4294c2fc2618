//! What bases leave for those that are built FROM them.

use super::*;
use crate::registry::RemoteImage;

impl Made {
    fn recipe(&self, name: &str) -> String {
        self.planned.plan.images[self.position(name)].recipe.digest().to_string()
    }

    /// Paths of what is sent for an image.
    fn sent(&self, name: &str) -> Vec<String> {
        let Start::Dockerfile(build) = self.solve(name).start else { panic!("{name} has no Dockerfile") };
        build.files.entries().iter().map(|entry| entry.path.clone()).collect()
    }
}

fn on_conda() -> Stack {
    let stack = Stack::empty("spec.yml");
    stack.write("spec.yml", "tag: {prefix: \"1\"}\nimages:\n  top: {}\n  other: {}\n");
    stack.image("top", "FROM conda:1\nENV X=1\n");
    stack.image("other", "FROM debian:12\n");
    stack
}

fn remote(onbuild: &[&str]) -> RemoteImage {
    RemoteImage {
        digest: digest("c"),
        manifest: digest("c"),
        labels: BTreeMap::new(),
        onbuild: onbuild.iter().map(|text| (*text).to_owned()).collect(),
        diff_ids: Vec::new(),
        size: 0,
    }
}

#[tokio::test]
async fn what_an_external_base_reads_by_onbuild_is_sent_and_an_edit_of_it_rebuilds() {
    let stack = on_conda();
    stack.engine.add_with_onbuild(
        &reference("conda:1"),
        &["ARG F=data", "COPY $F /srv/", "COPY --from=debian:12 /x /x"],
    );
    stack.build().await;
    let made = stack.make().await;
    assert!(made.planned.plan.is_noop());
    assert!(made.planned.snapshot.bases.contains_key(&reference("debian:12").canonical()));
    stack.write("images/top/README.md", "nobody reads it");
    assert_eq!(stack.to_build().await, [""; 0]);
    stack.write("images/top/data", "edited");
    assert_eq!(stack.to_build().await, ["top"]);
    assert_eq!(stack.make().await.sent("top"), ["data"]);
}

#[tokio::test]
async fn what_is_not_on_the_engine_is_asked_from_its_registry_once() {
    let mut stack = on_conda();
    stack.pins.lock.set(&reference("conda:1"), crate::spec::lock_file::Pin::new(&digest("c")).unwrap());
    stack.registry.put(&reference("conda:1"), remote(&["COPY . /srv/"]));
    let made = stack.make().await;
    assert_eq!(made.sent("top"), ["Dockerfile", "data"]);
    // Its pin names it for good: nobody is asked again.
    stack.registry.lose("docker.io");
    let again = stack.make().await;
    assert_eq!(again.recipe("top"), made.recipe("top"));
    assert_eq!(again.planned.warnings, [""; 0]);
}

#[tokio::test]
async fn a_base_that_cannot_be_asked_is_named_where_something_is_built() {
    let mut stack = on_conda();
    stack.pins.lock.set(&reference("conda:1"), crate::spec::lock_file::Pin::new(&digest("c")).unwrap());
    stack.registry.lose("docker.io");
    let warnings = stack.make().await.planned.warnings;
    assert_eq!(
        warnings,
        ["whether conda:1 has ONBUILD instructions could not be asked, and it is taken to have none: \
             the registry docker.io does not answer: connection refused"]
    );
}

#[tokio::test]
async fn what_an_image_of_the_spec_leaves_counts_in_its_children_and_not_below() {
    let stack = Stack::new("  top: {base: slim}\n  mid: {depend_on: top}\n  leaf: {depend_on: mid}\n");
    stack.image("top", "ARG BASE_IMAGE\nFROM ${BASE_IMAGE}\nONBUILD COPY data /srv/\n");
    stack.image("mid", "ARG BASE_IMAGE\nFROM ${BASE_IMAGE}\n");
    stack.image("leaf", "ARG BASE_IMAGE\nFROM ${BASE_IMAGE}\n");
    stack.build().await;
    stack.write("images/top/data", "edited");
    stack.write("images/leaf/data", "edited");
    assert_eq!(stack.to_build().await, [""; 0]);
    stack.write("images/mid/data", "edited");
    assert_eq!(stack.to_build().await, ["mid", "leaf"]);
}

#[tokio::test]
async fn an_onbuild_that_is_no_instruction_is_told_with_its_base() {
    let stack = on_conda();
    stack.engine.add_with_onbuild(&reference("conda:1"), &["COPY x"]);
    assert_eq!(stack.problems().await, "ONBUILD of conda:1:1 COPY needs a source and a destination\n");
}
