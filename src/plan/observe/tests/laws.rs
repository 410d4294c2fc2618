//! What never changes a recipe, and what always changes exactly the recipes
//! of one image and of what is based on it.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::{Duration, UNIX_EPOCH};

use proptest::prelude::*;

use super::*;
use crate::plan::recipes;
use crate::spec::lock_file::Lock;

/// Two roots, a chain, an image with two parents, one of packages.
const IMAGES: [(&str, &[&str]); 6] = [
    ("top", &["base: slim", "build_args: {COLOUR: red, SIZE: small}"]),
    ("left", &["depend_on: top", "skip_plans: [py]"]),
    ("right", &["base: alt", "prune: true", "skip_plans: [py]"]),
    ("leaf", &["depend_on: left", "build_args: {COLOUR: blue}", "skip_plans: [py]"]),
    ("both", &["depend_on: [right, left]", "info_cmds: [PY]", "skip_plans: [py]"]),
    (
        "vision",
        &["depend_on: top", "packages: {apt: [ffmpeg, git], pip: [timm, \"tqdm>=4\"]}", "skip_plans: [py]"],
    ),
];
const REST: [&str; 6] = [
    "tag: {prefix: \"2026.4\"}",
    "bases:\n  slim: {image: \"debian:12\"}\n  alt: {image: \"alpine:3\"}",
    "users:\n  h.baker@x: {uid: 1001, gid: 1001, shell: /bin/bash, sudo: false}",
    "include: [projects/*.yml]",
    "plans:\n  py: {tag_prefix: \"2026.4-py\", build_args: {SIZE: large}}",
    "all_info_cmds:\n  PY: {description: Python, command: python3 --version}",
];
const PROJECT: &str = "thesis: {user: h.baker@x, image: vision, packages: {pip: [numpy]}}\n";
const WITH_DOCKERFILE: [&str; 5] = ["top", "left", "right", "leaf", "both"];
const STAGES: &str = "ARG BASE_IMAGE
FROM ${BASE_IMAGE} AS first
ARG COLOUR
ARG SIZE
RUN --mount=type=secret,id=token true
FROM first AS last
COPY data link folder /here/
";

fn dockerfile_of(image: &str) -> String {
    match image {
        "both" => format!(
            "ARG BASE_IMAGE_LEFT\n{STAGES}FROM ${{BASE_IMAGE_LEFT}} AS other\nFROM last\nCOPY --from=other /here /other\n"
        ),
        _ => STAGES.to_owned(),
    }
}

fn spec_of(sections: &[String]) -> String {
    sections.iter().map(|section| format!("{section}\n")).collect()
}

fn images_of(order: &[usize], turn: usize) -> String {
    let mut text = String::from("images:");
    for (name, keys) in order.iter().map(|at| IMAGES[*at]) {
        text += &format!("\n  {name}:");
        for at in 0..keys.len() {
            text += &format!("\n    {}", keys[(at + turn) % keys.len()]);
        }
    }
    text
}

/// The spec as it stands above.
fn plain() -> String {
    let rest = REST.iter().map(ToString::to_string);
    spec_of(&rest.chain([images_of(&[0, 1, 2, 3, 4, 5], 0)]).collect::<Vec<_>>())
}

fn stack() -> Stack {
    let stack = Stack::empty("spec.yml");
    stack.write("spec.yml", &plain());
    stack.write("projects/one.yml", PROJECT);
    for name in WITH_DOCKERFILE {
        stack.image(name, &dockerfile_of(name));
        stack.write(&format!("images/{name}/folder/inner"), "1");
        std::os::unix::fs::symlink("data", stack.path(&format!("images/{name}/link"))).unwrap();
    }
    stack
}

impl Stack {
    pub(super) fn path(&self, path: &str) -> PathBuf {
        self.dir.path().join(path)
    }

    /// Each image's recipe digest, after `world` has changed what is outside.
    fn recipes_in(&self, world: impl Fn(&mut Snapshot)) -> BTreeMap<String, String> {
        let (spec, graph) = self.read();
        let mut seen = offline(&spec, &graph, &Lock::default(), &HashCache::default())
            .unwrap_or_else(|p| panic!("{}", shown(&p)));
        world(&mut seen);
        let recipes = recipes(&spec, &graph, &seen, graph.order());
        let named = recipes.iter().map(|(node, recipe)| (graph.node(*node).name.to_string(), recipe));
        named.map(|(name, recipe)| (name, recipe.digest().to_string())).collect()
    }

    pub(super) fn recipes(&self) -> BTreeMap<String, String> {
        self.recipes_in(|_| ())
    }

    /// An image and what is based on it, plan variants included, by name.
    fn with_descendants(&self, name: &str) -> Vec<String> {
        let (_, graph) = self.read();
        let variants = [name.to_owned(), format!("{name}@py")];
        let own: Vec<_> = variants.iter().filter_map(|name| graph.find(name).ok()).collect();
        let all = own.iter().copied().chain(graph.descendants(&own));
        let mut names: Vec<_> = all.map(|node| graph.node(node).name.to_string()).collect();
        names.sort();
        names.dedup();
        names
    }
}

pub(super) fn changed(old: &BTreeMap<String, String>, new: &BTreeMap<String, String>) -> Vec<String> {
    assert!(old.keys().eq(new.keys()));
    old.iter().filter(|(name, digest)| new[*name] != **digest).map(|(name, _)| name.clone()).collect()
}

/// Changes one thing of an image's files.
type Edit = fn(&Stack, &str);

const EDITS: [(&str, Edit); 11] = [
    ("a byte of the Dockerfile", |s, i| s.append(&format!("images/{i}/Dockerfile"), "#")),
    ("the secret it mounts", |s, i| {
        s.write(&format!("images/{i}/Dockerfile"), &dockerfile_of(i).replace("id=token", "id=other"));
    }),
    ("a file's content", |s, i| s.write(&format!("images/{i}/data"), "changed")),
    ("a file in a folder", |s, i| s.write(&format!("images/{i}/folder/inner"), "2")),
    ("a file's name", |s, i| {
        std::fs::rename(s.path(&format!("images/{i}/folder/inner")), s.path(&format!("images/{i}/folder/x")))
            .unwrap();
    }),
    ("one file more", |s, i| s.write(&format!("images/{i}/folder/more"), "")),
    ("the executable bit", |s, i| {
        let mode = std::fs::Permissions::from_mode(0o744);
        std::fs::set_permissions(s.path(&format!("images/{i}/data")), mode).unwrap();
    }),
    ("a folder for a file", |s, i| {
        std::fs::remove_file(s.path(&format!("images/{i}/folder/inner"))).unwrap();
        std::fs::create_dir(s.path(&format!("images/{i}/folder/inner"))).unwrap();
    }),
    ("a link's target", |s, i| {
        std::fs::remove_file(s.path(&format!("images/{i}/link"))).unwrap();
        std::os::unix::fs::symlink("folder", s.path(&format!("images/{i}/link"))).unwrap();
    }),
    ("a file of a link's content", |s, i| {
        std::fs::remove_file(s.path(&format!("images/{i}/link"))).unwrap();
        s.write(&format!("images/{i}/link"), i);
    }),
    ("the ignore rules", |s, i| s.write(&format!("images/{i}/.dockerignore"), "folder/inner\n")),
];

#[test]
fn a_change_of_one_images_files_changes_it_and_what_stands_on_it_and_nothing_else() {
    let old = stack().recipes();
    for image in WITH_DOCKERFILE {
        for (what, edit) in EDITS {
            let stack = stack();
            edit(&stack, image);
            assert_eq!(changed(&old, &stack.recipes()), stack.with_descendants(image), "{what} of {image}");
        }
    }
}

#[test]
fn an_edit_of_the_spec_changes_the_image_it_is_about_and_what_stands_on_it() {
    let old = stack().recipes();
    for (image, from, to) in [
        ("top", "COLOUR: red", "COLOUR: green"),
        ("leaf", "COLOUR: blue", "COLOUR: blue, SIZE: small"),
        ("top@py", "SIZE: large", "SIZE: huge"),
        ("right", "prune: true", "target: first"),
        ("vision", "ffmpeg", "ffmpeg, curl"),
        ("vision", "timm", "\"timm>1\""),
        ("vision", "pip: [timm", "pip: [attrs, timm"),
        ("h-baker/thesis", "uid: 1001", "uid: 1002"),
        ("h-baker/thesis", "gid: 1001", "gid: 1002"),
        ("h-baker/thesis", "sudo: false", "sudo: true"),
        ("h-baker/thesis", "/bin/bash", "/bin/sh"),
        ("h-baker/thesis", "users:\n  h.baker@x", "users:\n  h.baker@y"),
    ] {
        let stack = stack();
        let edited = plain().replace(from, to);
        assert_ne!(edited, plain(), "{from}");
        stack.write("spec.yml", &edited);
        stack.write(
            "projects/one.yml",
            &if to.contains("@y") { PROJECT.replace("@x", "@y") } else { PROJECT.into() },
        );
        assert_eq!(changed(&old, &stack.recipes()), stack.with_descendants(image), "{from} → {to}");
    }
}

#[test]
fn another_base_changes_what_stands_on_it_and_another_platform_everything() {
    let stack = stack();
    let old = stack.recipes();
    for (base, on_it) in [("debian:12", "top"), ("alpine:3", "right")] {
        let moved = |seen: &mut Snapshot| {
            seen.bases.get_mut(&reference(base).canonical()).unwrap().digest = Some(digest("a"));
        };
        assert_eq!(changed(&old, &stack.recipes_in(moved)), stack.with_descendants(on_it), "{base}");
    }
    let elsewhere = stack.recipes_in(|seen| seen.engine.platform = "linux/arm64".into());
    assert_eq!(changed(&old, &elsewhere).len(), old.len());
}

/// One spec, written differently.
#[derive(Clone, Debug)]
struct Writing {
    sections: Vec<usize>,
    images: Vec<usize>,
    turn: usize,
    /// Lines before which a comment or an empty line stands.
    remarks: Vec<(usize, bool)>,
}

fn writing() -> impl Strategy<Value = Writing> {
    let order = |length: usize| Just((0..length).collect::<Vec<_>>()).prop_shuffle();
    let remarks = prop::collection::vec((0usize..60, any::<bool>()), 0..12);
    (order(REST.len() + 1), order(IMAGES.len()), 0usize..3, remarks)
        .prop_map(|(sections, images, turn, remarks)| Writing { sections, images, turn, remarks })
}

impl Writing {
    fn spec(&self) -> String {
        let section = |at: &usize| match REST.get(*at) {
            Some(section) => (*section).to_owned(),
            None => images_of(&self.images, self.turn),
        };
        let text = spec_of(&self.sections.iter().map(section).collect::<Vec<_>>());
        // What is a set has no order, wherever it stands.
        let text = match self.turn {
            0 => text,
            _ => text
                .replace("COLOUR: red, SIZE: small", "SIZE: small, COLOUR: red")
                .replace("ffmpeg, git", "git, ffmpeg")
                .replace("timm, \"tqdm>=4\"", "\"tqdm >= 4\", timm"),
        };
        let mut lines: Vec<&str> = text.lines().collect();
        for (at, comment) in &self.remarks {
            let remark = if *comment { "      # a remark: {of: no, meaning}" } else { "" };
            lines.insert(at % lines.len(), remark);
        }
        lines.join("\n") + "\n"
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(24) })]

    #[test]
    fn order_remarks_times_modes_and_files_that_nothing_reads_change_no_recipe(
        writing in writing(),
        seconds in 0u64..4_000_000_000,
        image in 0..WITH_DOCKERFILE.len(),
        private in any::<bool>(),
    ) {
        let old = stack().recipes();
        let stack = stack();
        stack.write("spec.yml", &writing.spec());
        let image = WITH_DOCKERFILE[image];
        stack.write(&format!("images/{image}/README.md"), "# nothing reads this");
        stack.write("elsewhere/file", "outside of every context");
        let data = stack.path(&format!("images/{image}/data"));
        let file = std::fs::File::options().write(true).open(&data).unwrap();
        file.set_modified(UNIX_EPOCH + Duration::from_secs(seconds)).unwrap();
        let mode = if private { 0o600 } else { 0o666 };
        std::fs::set_permissions(&data, std::fs::Permissions::from_mode(mode)).unwrap();
        prop_assert_eq!(stack.recipes(), old, "{}", writing.spec());
    }
}
