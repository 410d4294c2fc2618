//! Specs that are right, and what they mean.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::super::files::Disk;
use super::super::{Content, Parent, read};
use super::{app, files, open, right, small};
use crate::model::names::{BaseName, ImageName, Login};
use crate::spec::graph::Graph;

const DESIGN: &str = r#"
version: 1
registry: registry.example.org:5000/ds01
insecure_registries: ["gpu1:5000", registry.example.org]
tag: {prefix: "2026.4", stable: stable}
include: [projects/*.yml]
bases:
  pytorch: {catalog: {framework: Pytorch, version: 2.8.0-aime, arch: CUDA_ADA}}
  slim:    {image: debian:bookworm-slim}
images:
  datascience:
    base: pytorch
    build_args: {JUPYTERLAB_VERSION: "4.4.2"}
    info_cmds: [PY_VER, PIP_LIST]
  vision:
    depend_on: datascience
    packages: {apt: [ffmpeg], pip: ["timm", "albumentations>=1.4"]}
  rstudio:
    depend_on: datascience
    integration_tests: true
plans:
  py312: {tag_prefix: "2026.4-py312", build_args: {PYTHON_VERSION: "3.12"}}
all_info_cmds:
  PY_VER:   {description: Python version, command: python3 --version}
  PIP_LIST: {description: pip packages,   command: python3 -m pip list}
users:
  h.baker@hertie-school.lan: {uid: 1722830498, gid: 1722830498, group: student}
"#;
const THESIS: &str = r#"
thesis:
  user: h.baker@hertie-school.lan
  image: vision@py312
  packages: {pip: ["transformers>=4.44,<5"]}
  jupyter: true
"#;

#[test]
fn the_spec_of_the_design_is_read() {
    let spec = right(
        &files(DESIGN)
            .file("/r/images/datascience/Dockerfile", "")
            .file("/r/images/rstudio/Dockerfile", "")
            .file("/r/projects/thesis.yml", THESIS),
    );
    assert!(spec.insecure_registries.iter().eq(["gpu1:5000", "registry.example.org"]));
    let vision = &spec.images[1];
    assert_eq!(vision.repository.as_str(), "registry.example.org:5000/ds01/vision");
    assert_eq!(vision.parents[0].0, Parent::Image(ImageName::new("datascience")));
    let Content::Packages(packages) = &vision.content else { panic!("packages") };
    assert_eq!(packages.pip, ["albumentations>=1.4", "timm"]);
    assert!(spec.images[2].integration_tests && spec.images[2].prepull && !spec.images[2].prune);
    let Content::Dockerfile(dockerfile) = &spec.images[0].content else { panic!("a Dockerfile") };
    assert_eq!(dockerfile.file, PathBuf::from("/r/images/datascience/Dockerfile"));
    assert_eq!(dockerfile.context, PathBuf::from("/r/images/datascience"));

    let thesis = &spec.projects[0];
    assert_eq!(thesis.repository.as_str(), "ds01-1722830498/thesis");
    assert_eq!((thesis.account.name.as_str(), thesis.account.shell.as_str()), ("h-baker", "/bin/bash"));
    assert_eq!((thesis.group.as_deref(), thesis.jupyter), (Some("student"), true));
    assert_eq!(thesis.parent_plan.as_ref().map(|p| p.as_str()), Some("py312"));
    assert_eq!(spec.users[&Login::new("h.baker@hertie-school.lan")].account.uid, 1722830498);
}

#[test]
fn repositories_are_local_without_a_registry_and_a_port_is_enough_for_one() {
    assert_eq!(right(&files(&app("prune: true"))).images[0].repository.as_str(), "ds01/app");
    let spec = app("prune: true").replace("tag:", "registry: localhost:5000\ntag:");
    assert_eq!(right(&files(&spec)).images[0].repository.as_str(), "localhost:5000/app");
}

#[test]
fn further_parents_come_behind_the_base() {
    let spec = small(
        "images:\n  app: {depend_on: [slim]}\n  b: {base: slim, depend_on: app, dockerfile: images/app/Dockerfile}\n",
    );
    let spec = right(&files(&spec));
    let parents: Vec<&Parent> = spec.images[1].parents.iter().map(|(parent, _)| parent).collect();
    assert_eq!(parents, [&Parent::Base(BaseName::new("slim")), &Parent::Image(ImageName::new("app"))]);
}

#[test]
fn a_context_is_the_folder_of_the_dockerfile_unless_said() {
    let context = |lines: &str| {
        let files = files(&app(lines)).file("/r/docker/gpu.Dockerfile", "").file("/r/src/a", "");
        let spec = right(&files);
        let Content::Dockerfile(dockerfile) = &spec.images[0].content else { panic!("a Dockerfile") };
        (dockerfile.file.display().to_string(), dockerfile.context.display().to_string())
    };
    let pair = |file: &str, context: &str| (file.to_owned(), context.to_owned());
    assert_eq!(context("dockerfile: docker/gpu.Dockerfile"), pair("/r/docker/gpu.Dockerfile", "/r/docker"));
    assert_eq!(context("context: ."), pair("/r/images/app/Dockerfile", "/r"));
    assert_eq!(context("context: images/../src"), pair("/r/images/app/Dockerfile", "/r/src"));
}

#[test]
fn limits_are_the_defaults_with_what_is_said_over_them() {
    let limits = "limits:\n  default_group: guest\n  groups:\n    own: {cpus: 0.5}\n    guest: {memory: 8g, containers: null}\n    student: {pids: null}\n";
    let limits = right(&files(&small(limits))).limits;
    insta::assert_debug_snapshot!(limits);
}

#[test]
fn sections_that_are_empty_count_as_absent() {
    let spec = right(&files("tag: {prefix: a}\nimages:\nusers:\ninclude:\nlimits:\nbuild:\n"));
    assert!(spec.images.is_empty() && spec.users.is_empty());
    assert_eq!(spec.limits.default_group, "student");
}

#[test]
fn a_byte_order_mark_and_windows_line_ends_do_no_harm() {
    let text = format!("\u{feff}{}", app("prune: true").replace('\n', "\r\n"));
    assert!(right(&files(&text)).images[0].prune);
}

#[test]
fn a_spec_is_read_from_disk_relative_to_where_one_stands() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("repo");
    std::fs::create_dir_all(root.join("images/app")).unwrap();
    std::fs::write(root.join("images/app/Dockerfile"), "FROM scratch\n").unwrap();
    std::fs::write(root.join("spec.yml"), app("prune: true")).unwrap();
    let spec = read(folder.path(), Path::new("repo/spec.yml"), &crate::spec::SpecContext::of(&Disk)).unwrap();
    assert_eq!(spec.root, root.canonicalize().unwrap());
    assert_eq!(spec.images[0].place.file.path, Path::new("repo/spec.yml"));

    std::os::unix::fs::symlink("/etc", root.join("images/etc")).unwrap();
    std::fs::write(root.join("spec.yml"), app("context: images/etc")).unwrap();
    let problems = read(&root, Path::new("spec.yml"), &crate::spec::SpecContext::of(&Disk)).unwrap_err();
    assert!(problems[0].message.contains("leads out of"), "{problems:?}");
}

/// A spec of ten thousand images, each on one before it.
fn huge() -> String {
    let mut spec = small("images:\n  app: {base: slim}\n");
    for i in 0..9_999 {
        let parent = if i == 0 { "app".into() } else { format!("image-{}", i / 3) };
        let _ = write!(
            spec,
            "  image-{i}:\n    depend_on: {parent}\n    packages: {{apt: [git, curl], pip: [\"timm>={i}\"]}}\n    integration_tests: true\n"
        );
    }
    // `image-0` is based on itself by the rule above.
    spec.replace("image-1:\n    depend_on: image-0", "image-1:\n    depend_on: app")
}

#[test]
fn ten_thousand_images_are_read_and_sorted_in_no_time() {
    let files = files(&huge());
    let start = Instant::now();
    let spec = open(&files).unwrap();
    let graph = Graph::build(&spec);
    assert_eq!(graph.order().len(), 10_001);
    assert_eq!(graph.descendants(&[graph.find("app").unwrap()]).len(), 9_999);
    // Far above what a debug build takes, so that a busy machine does no harm.
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
}

#[test]
fn ten_thousand_unknown_parents_are_told_in_no_time() {
    let files = files(&huge().replace("depend_on: image-", "depend_on: imaeg-"));
    let start = Instant::now();
    assert!(open(&files).unwrap_err().len() > 9_000);
    assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
}

proptest! {
    #[test]
    fn no_text_makes_the_reader_panic(
        cut in any::<prop::sample::Index>(),
        length in 0usize..40,
        put in prop_oneof!["[-:\\[\\]{}&*!|>'\"%@`#,?\\n\\t ]{0,12}", any::<String>()],
    ) {
        let whole: Vec<char> = format!("{DESIGN}{}", super::broken::SPEC).chars().collect();
        let at = cut.index(whole.len());
        let behind = whole.len().min(at + length);
        let text: String = whole[..at].iter().copied().chain(put.chars()).chain(whole[behind..].iter().copied()).collect();
        if let Err(problems) = open(&files(&text).file("/r/projects/thesis.yml", THESIS)) {
            for problem in &problems {
                prop_assert!(!problem.message.is_empty());
                if let Some(place) = &problem.place {
                    prop_assert!(place.file.text.get(place.span.clone()).is_some(), "{place:?}");
                }
            }
        }
    }
}
