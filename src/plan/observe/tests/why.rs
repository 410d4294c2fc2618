//! The chain of causes, and what a container runs, in words.

use super::*;
use crate::engine::Container;
use crate::model::names::ImageId;
use crate::plan::why::{ContainerExplanation, Explainer, SpecComparison, node_of};
use crate::plan::{Action, Location, Reason};
use crate::spec::SpecEntry;

const STACK: &str = "  top: {base: slim, build_args: {COLOUR: red}}
  left: {depend_on: top}
  right: {depend_on: top}
  both: {depend_on: [left, right]}
";

fn stack() -> Stack {
    let stack = Stack::new(STACK);
    stack.image("top", &format!("{DOCKERFILE}ARG COLOUR\n"));
    stack.image("both", "ARG BASE_IMAGE\nARG BASE_IMAGE_RIGHT\nFROM ${BASE_IMAGE_RIGHT} AS right\nFROM ${BASE_IMAGE}\nCOPY data /data\nCOPY --from=right /data /right\n");
    stack.append(
        "spec.yml",
        "include: [projects/*.yml]\nusers:\n  h.baker@example.org: {uid: 1722830498, gid: 1722830498}\n",
    );
    stack.write("projects/thesis.yml", "thesis:\n  user: h.baker@example.org\n  image: both\n");
    stack
}

impl Made {
    fn known(&self) -> Explainer<'_> {
        Explainer { spec: &self.spec, graph: &self.graph, planned: &self.planned }
    }

    /// The answer, without what differs from run to run.
    fn why(&self, name: &str, all: bool) -> String {
        self.known().image(self.position(name), Some(1_760_000_000)).text(all)
    }
}

/// A container as `deploy` leaves it: the image's labels below its own.
fn container(made: &Made) -> Container {
    let planned = &made.planned.plan.images[made.position("h-baker/thesis")];
    let image =
        made.planned.snapshot.store.iter().find(|image| Some(&image.id) == planned.present.as_ref()).unwrap();
    let mut labels = image.labels.clone();
    labels.insert("ds01.image".into(), image.id.to_string());
    labels.insert("ds01.user".into(), "h.baker@example.org".into());
    Container {
        id: "0123456789abcdef".into(),
        name: "thesis._.1722830498".into(),
        image: image.id.to_string(),
        image_id: image.id.clone(),
        labels,
        state: "running".into(),
        status: "Up 3 minutes".into(),
        created: 0,
    }
}

fn standing(made: &Made, container: &Container) -> SpecComparison {
    let node = node_of(&made.spec, &made.graph, container).unwrap();
    let position = made.planned.nodes.iter().position(|n| *n == node).unwrap();
    made.known().standing(container, position)
}

#[tokio::test]
async fn causes_are_followed_down_to_the_file_and_each_image_is_told_once() {
    let stack = stack();
    stack.build().await;
    stack.write("images/top/data", "changed");
    stack.write("images/right/Dockerfile", &format!("{DOCKERFILE}RUN true\n"));
    let made = stack.make().await;
    insta::assert_snapshot!(made.why("h-baker/thesis", false));
    let mut answer = made.known().image(made.position("h-baker/thesis"), None);
    assert_eq!(answer.changed_files(5), ["images/right/Dockerfile", "images/top/data"]);
    answer.commits.insert("images/top/data".into(), "last commit 3f2a \"x\" by Ann".into());
    assert!(answer.text(false).contains("  (last commit 3f2a \"x\" by Ann)\n"));
    let json = serde_json::to_value(&answer).unwrap();
    assert_eq!(json["images"][0]["name"], "h-baker/thesis");
    assert_eq!(json["images"].as_array().unwrap().len(), 5);
}

#[tokio::test]
async fn many_details_have_a_line_each_and_the_rest_is_counted() {
    let stack = stack();
    stack.image("left", &DOCKERFILE.replace("data /data", "bin /bin"));
    for n in 0..8 {
        stack.write(&format!("images/left/bin/{n}"), "x");
    }
    stack.build().await;
    for n in 0..8 {
        stack.write(&format!("images/left/bin/{n}"), "y");
    }
    let made = stack.make().await;
    let told = made.why("left", false);
    assert!(
        told.contains("    images/left/bin/4 2d711642b726 → a1fce4363854\n    and 3 more; -v shows all\n"),
        "{told}"
    );
    assert_eq!(made.why("left", true).lines().count(), 10);
}

#[tokio::test]
async fn an_image_that_is_kept_is_told_with_all_that_it_was_made_from() {
    let stack = stack();
    stack.build().await;
    let made = stack.make().await;
    let kept = made.known().image(made.position("top"), Some(1_760_000_000));
    let id = kept.images[0].kept.as_ref().unwrap().image.as_ref().unwrap().to_string();
    insta::assert_snapshot!(made.why("top", false).replace(&id[..19], "sha256:<image>"));
    let all = made.why("top", true);
    let recipe = made.planned.plan.images[made.position("top")].recipe.digest().to_string();
    assert!(all.contains(&recipe) && all.contains("content "), "{all}");
}

#[tokio::test]
async fn an_image_that_only_its_registry_has_is_up_to_date_too() {
    let stack = stack();
    stack.build().await;
    let mut made = stack.make().await;
    let position = made.position("top");
    let top = &mut made.planned.plan.images[position];
    top.action = Action::Keep(Location::Registry(digest("a")));
    (top.present, top.remote) = (None, Some(digest("a")));
    let told = made.why("top", false);
    assert!(told.starts_with("top is up to date  (spec.yml:5)\n"), "{told}");
    assert!(told.contains("sha256:aaaaaaaaaaaa, in its registry and not on the engine"), "{told}");
    assert!(told.contains("COLOUR red"), "{told}");
    let json = serde_json::to_value(made.known().image(position, None)).unwrap();
    assert_eq!(json["images"][0]["kept"]["registry_digest"], digest("a"));
    assert_eq!(json["images"][0]["kept"]["image"], serde_json::Value::Null);
}

#[tokio::test]
async fn a_base_is_told_to_be_none_of_ours() {
    let stack = stack();
    let made = stack.make().await;
    let node = made.graph.find("slim").unwrap();
    let external = SpecEntry::of(&made.spec, &made.graph, node).external().unwrap();
    let told = made.known().base(node, external).text();
    assert!(told.starts_with("slim is not built here  (spec.yml:3)\n"), "{told}");
    assert!(told.contains("debian:12") && told.contains("on the engine"), "{told}");
}

#[tokio::test]
async fn a_container_is_current_until_the_spec_moves_on() {
    let stack = stack();
    stack.build().await;
    let made = stack.make().await;
    let running = container(&made);
    assert_eq!(standing(&made, &running), SpecComparison::Current);

    stack.write(
        "projects/thesis.yml",
        "thesis:\n  user: h.baker@example.org\n  image: both\n  packages: {pip: [timm]}\n",
    );
    let made = stack.make().await;
    let SpecComparison::Outdated { reasons, changed } = standing(&made, &running) else { panic!() };
    assert!(matches!(reasons.as_slice(), [Reason::Changed(_)]), "{reasons:?}");
    assert_eq!(changed[0].to_string(), "packages changed: pip timm added");

    stack.build().await;
    let made = stack.make().await;
    let SpecComparison::Newer { image, changed } = standing(&made, &running) else { panic!() };
    assert_ne!(image, running.image_id.to_string());
    assert_eq!(changed.len(), 1);
}

#[tokio::test]
async fn a_container_tells_its_origin_without_its_image_and_without_the_spec() {
    let stack = stack();
    stack.build().await;
    let made = stack.make().await;
    let running = container(&made);
    let mut answer = ContainerExplanation::new(&running, &[]);
    assert!(!answer.image_there && answer.standing == SpecComparison::NotInSpec);
    let made_from = answer.made.as_ref().unwrap();
    assert!(made_from.base.as_deref().unwrap().starts_with("ds01/both:r-"), "{made_from:?}");
    let told = answer.text(false);
    assert!(told.contains("no longer on the engine") && told.contains("login h.baker@example.org"), "{told}");
    answer.declared_by(&made.spec, &made.graph, node_of(&made.spec, &made.graph, &running).unwrap());
    assert_eq!(answer.declared.as_deref(), Some("projects/thesis.yml:1"));
    // The engine in memory makes its IDs from paths too, which differ.
    let base = answer.made.as_ref().and_then(|made| made.base_digest.clone()).unwrap();
    let told = answer.text(false).replace(&running.image_id.as_str()[..19], "sha256:<image>");
    insta::assert_snapshot!(told.replace(&base[..19], "sha256:<base>"));
}

#[tokio::test]
async fn a_container_of_another_image_or_person_is_not_taken_for_one_of_the_spec() {
    let stack = stack();
    stack.build().await;
    let made = stack.make().await;
    let mut other = container(&made);
    other.labels.insert("ds01.user_id".into(), "7".into());
    assert_eq!(node_of(&made.spec, &made.graph, &other), None);
    other.labels = BTreeMap::new();
    other.image_id = ImageId::new("sha256:1");
    assert_eq!(node_of(&made.spec, &made.graph, &other), None);
    assert!(
        ContainerExplanation::new(&other, &made.planned.snapshot.store)
            .text(false)
            .contains("not made from an image of ds01-build")
    );
    other.labels.insert("ds01.image".into(), "left".into());
    let node = node_of(&made.spec, &made.graph, &other).unwrap();
    assert_eq!(made.graph.node(node).name.as_str(), "left");
}
