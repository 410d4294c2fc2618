//! What is told of an edit: from labels, from records, and from neither.

use super::*;
use crate::image::recipe::{Detail, Ingredient};
use crate::plan::Reason;

/// top → leaf, and a project-less image of packages.
const STACK: &str = "  top: {base: slim, build_args: {COLOUR: red, API_TOKEN: hunter2}}
  leaf: {depend_on: top}
  tools: {depend_on: top, packages: {pip: [timm>=1]}}
";

const TOP: &str =
    "ARG BASE_IMAGE\nFROM ${BASE_IMAGE}\nARG COLOUR\nARG API_TOKEN\nCOPY data /data\nCOPY bin /bin\n";

fn stack() -> Stack {
    let stack = Stack::new(STACK);
    stack.image("top", TOP);
    stack.write("images/top/bin/run", "one");
    stack
}

impl Stack {
    fn edit(&self, path: &str, old: &str, new: &str) {
        let text = std::fs::read_to_string(self.dir.path().join(path)).unwrap();
        assert!(text.contains(old), "{text}");
        self.write(path, &text.replace(old, new));
    }

    /// The lines of the plan about one image.
    async fn told(&self, image: &str) -> String {
        let plan = self.make().await.planned.plan;
        let image = plan.images.iter().find(|i| i.name.as_str() == image).unwrap();
        let reasons: Vec<_> = image.reasons().unwrap_or_default().iter().map(Reason::to_string).collect();
        reasons.join("; ")
    }

    fn forget(&self) {
        std::fs::remove_dir_all(self.dir.path().join(".records")).unwrap();
    }
}

fn short(text: &str) -> String {
    Digest::of(text.as_bytes()).first(12).to_owned()
}

#[tokio::test]
async fn an_edited_file_is_told_by_path_with_or_without_records() {
    let stack = stack();
    stack.build().await;
    stack.write("images/top/bin/run", "two");
    let told = format!("context changed: bin/run {} → {}", short("one"), short("two"));
    assert_eq!(stack.told("top").await, told);
    assert_eq!(stack.told("leaf").await, "top is rebuilt");
    stack.forget();
    assert_eq!(stack.told("top").await, told);
}

#[tokio::test]
async fn a_renamed_file_shows_both_its_names() {
    let stack = stack();
    stack.build().await;
    std::fs::rename(stack.dir.path().join("images/top/bin/run"), stack.dir.path().join("images/top/bin/go"))
        .unwrap();
    let (go, run) = ("bin/go", "bin/run");
    let digest = short("one");
    assert_eq!(
        stack.told("top").await,
        format!("context changed: {go} {digest} added, {run} {digest} removed")
    );
}

#[tokio::test]
async fn args_and_packages_are_told_by_name_and_secrets_never() {
    let stack = stack();
    stack.build().await;
    stack.edit("spec.yml", "red", "blue");
    stack.edit("spec.yml", "hunter2", "hunter3");
    stack.edit("spec.yml", "timm>=1", "timm>=1.2");
    let args = stack.told("top").await;
    assert!(
        args.starts_with("args changed: API_TOKEN sha256:") && args.ends_with("COLOUR red → blue"),
        "{args}"
    );
    assert_eq!(stack.told("tools").await, "packages changed: pip timm>=1 → timm>=1.2; top is rebuilt");
    let made = stack.make().await;
    let labels: String =
        made.solves().into_iter().flatten().map(|s| format!("{:?}", s.config.labels)).collect();
    stack.build().await;
    let kept = kept(stack.dir.path().join(".records").as_path());
    for text in [args, made.planned.plan.to_json().to_string(), labels, kept] {
        assert!(!text.contains("hunter"), "{text}");
    }
}

/// All that lies in a folder.
fn kept(folder: &Path) -> String {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let text = |path: std::path::PathBuf| match path.is_dir() {
        true => kept(&path),
        false => std::fs::read_to_string(path).unwrap(),
    };
    entries.map(text).collect()
}

#[tokio::test]
async fn a_changed_line_is_told_by_its_text_and_without_records_by_digests() {
    let stack = stack();
    stack.build().await;
    stack.edit("images/top/Dockerfile", "COPY data /data", "COPY data /other");
    assert_eq!(stack.told("top").await, "dockerfile changed: line 5: COPY data /data → COPY data /other");
    stack.forget();
    let told = stack.told("top").await;
    assert!(told.starts_with("dockerfile changed: content "), "{told}");
}

#[tokio::test]
async fn many_files_are_counted_and_all_of_them_are_data() {
    let stack = stack();
    for n in 0..9 {
        stack.write(&format!("images/top/bin/{n}"), "x");
    }
    stack.build().await;
    for n in 0..7 {
        stack.write(&format!("images/top/bin/{n}"), "y");
    }
    let told = stack.told("top").await;
    assert!(told.ends_with(" and 5 more") && told.contains("bin/0 ") && told.contains(", bin/1 "), "{told}");
    let json = stack.make().await.planned.plan.to_json();
    assert_eq!(json["images"][0]["reasons"][0]["details"].as_array().unwrap().len(), 7);
}

#[tokio::test]
async fn a_context_too_large_for_the_label_is_told_from_records_else_by_digest() {
    let stack = stack();
    for n in 0..300 {
        stack.write(&format!("images/top/bin/file-{n}"), "x");
    }
    stack.build().await;
    stack.write("images/top/bin/file-7", "y");
    assert!(stack.told("top").await.starts_with("context changed: bin/file-7 "));
    stack.forget();
    assert!(stack.told("top").await.starts_with("context changed: tree "));
    assert_eq!(stack.to_build().await, ["top", "leaf", "tools"], "what is built is the same");
}

#[tokio::test]
async fn what_is_built_is_the_same_without_records() {
    let stack = stack();
    stack.build().await;
    let before = stack.make().await.planned.plan;
    stack.forget();
    assert!(before.is_noop() && stack.make().await.planned.plan.is_noop());
}

#[tokio::test]
async fn an_image_that_is_gone_was_built_by_evidence_of_the_records() {
    let stack = stack();
    stack.build().await;
    for image in stack.engine.images().await.unwrap() {
        for tag in image.tags.iter().filter(|tag| tag.to_string().starts_with("ds01/leaf")) {
            stack.engine.remove_image(&tag.to_string()).await.unwrap();
        }
    }
    assert_eq!(stack.told("leaf").await, "was built, and is gone from the engine");
    stack.forget();
    assert_eq!(stack.told("leaf").await, "never built");
}

#[tokio::test]
async fn a_step_that_failed_is_remembered_and_is_no_cause() {
    let stack = stack();
    stack.image("leaf", "ARG BASE_IMAGE\nFROM ${BASE_IMAGE}\nRUN exit 3\n");
    stack.try_build().await;
    let made = stack.make().await;
    let leaf = &made.planned.plan.images[made.position("leaf")];
    assert_eq!(leaf.reasons(), Some(&[Reason::NeverBuilt][..]));
    let failure = leaf.last_failure.clone().unwrap();
    assert!(failure.contains("exit 3"), "{failure}");
    assert!(made.planned.plan.to_string().contains(&format!("the last try failed: {failure}")));
    stack.image("leaf", "ARG BASE_IMAGE\nFROM ${BASE_IMAGE}\nRUN exit 4\n");
    let made = stack.make().await;
    assert_eq!(
        made.planned.plan.images[made.position("leaf")].last_failure,
        None,
        "another recipe has not failed"
    );
}

#[tokio::test]
async fn a_failed_check_is_a_cause_until_the_image_passes() {
    let stack = stack();
    stack.build().await;
    stack.write("images/leaf/data", "two");
    // An engine that drops labels: what it built must not be taken.
    let tamper = |name: &str, solve: &mut Solve| {
        if name == "leaf" {
            solve.config.labels.clear();
        }
    };
    stack.try_build_with(tamper).await;
    let told = stack.told("leaf").await;
    let failed = "the last build did not pass: the image does not have the labels of this recipe; context changed: data ";
    assert!(told.starts_with(failed), "{told}");
    stack.build().await;
    assert!(stack.make().await.planned.plan.is_noop());
}

#[tokio::test]
async fn an_image_of_other_rules_is_not_compared() {
    let stack = stack();
    stack.build().await;
    let made = stack.make().await;
    let mut candidates = Vec::new();
    let mut store = made.planned.snapshot.store.clone();
    for image in &mut store {
        if let Some(recipe) = image.labels.get_mut("ds01.build.recipe") {
            *recipe = "f".repeat(64);
            image.labels.insert("ds01.build.scheme".into(), "0".into());
        }
    }
    let selection =
        Selection { nodes: made.planned.nodes.clone(), branch: Some("main".into()), ..Selection::default() };
    for (_, candidate) in
        plan::candidate::candidates(&made.spec, &made.graph, &made.planned.snapshot, &selection).unwrap()
    {
        candidates.push(candidate);
    }
    let plan =
        plan::decide::decide(candidates, &ImageIndex::new(&store), &Default::default(), &Default::default());
    let rules = Reason::RulesChanged { old: 0, new: 1 };
    assert_eq!(plan.images[0].reasons(), Some(&[rules][..]));
}

#[tokio::test]
async fn a_child_keeps_its_own_causes_beside_its_parents() {
    let stack = stack();
    stack.build().await;
    stack.write("images/top/data", "two");
    stack.write("images/leaf/data", "two");
    let made = stack.make().await;
    let reasons = made.planned.plan.images[made.position("leaf")].reasons().unwrap();
    let [Reason::Changed(changed), Reason::ParentRebuilt { parent }] = reasons else { panic!("{reasons:?}") };
    assert_eq!((changed.ingredient, parent.as_str()), (Ingredient::Context, "top"));
    let [Detail { what, old: Some(_), new: Some(_) }] = changed.details.as_slice() else {
        panic!("{changed}")
    };
    assert_eq!(what, "data");
}
