//! Which edits of which files build what.

use super::*;

/// top → {left → leaf, right}.
const TREE: &str = "  top: {base: slim}
  left: {depend_on: top}
  right: {depend_on: top}
  leaf: {depend_on: left}
";

#[tokio::test]
async fn what_was_built_is_up_to_date() {
    let stack = Stack::new(TREE);
    assert_eq!(stack.to_build().await, ["top", "left", "right", "leaf"]);
    stack.build().await;
    assert!(stack.make().await.planned.plan.is_noop());
}

#[tokio::test]
async fn a_file_that_no_instruction_reads_builds_nothing() {
    let stack = Stack::new(TREE);
    stack.build().await;
    stack.write("images/top/README.md", "# new");
    stack.write("images/top/test/test_it.py", "assert True");
    stack.write("images/notes.txt", "beside the images");
    stack.append("spec.yml", "# a comment\n");
    assert!(stack.to_build().await.is_empty());
}

#[tokio::test]
async fn a_changed_file_builds_its_image_and_what_stands_on_it() {
    let stack = Stack::new(TREE);
    stack.build().await;
    for (name, built) in [
        ("leaf", &["leaf"][..]),
        ("right", &["right"]),
        ("left", &["left", "leaf"]),
        ("top", &["top", "left", "right", "leaf"]),
    ] {
        let path = format!("images/{name}/data");
        let old = std::fs::read_to_string(stack.dir.path().join(&path)).unwrap();
        stack.write(&path, "changed");
        assert_eq!(stack.to_build().await, built, "{name}");
        stack.write(&path, &old);
        assert!(stack.to_build().await.is_empty(), "{name} is as before, whatever its time says");
    }
}

#[tokio::test]
async fn the_reason_names_the_ingredient_that_changed() {
    let stack = Stack::new(TREE);
    stack.build().await;
    stack.write("images/left/data", "changed");
    let plan = stack.make().await.planned.plan.to_string();
    assert!(plan.lines().nth(1).unwrap().starts_with("build  left   context changed: "), "{plan}");
    assert!(plan.contains("build  leaf   left is rebuilt"), "{plan}");
}

#[tokio::test]
async fn an_arg_counts_only_where_a_dockerfile_declares_it() {
    let stack = Stack::new(TREE);
    stack.image("left", &format!("{DOCKERFILE}ARG COLOUR\n"));
    stack.build().await;
    let spec = std::fs::read_to_string(stack.dir.path().join("spec.yml")).unwrap();
    let with = |name: &str| {
        spec.replace(&format!("{name}: {{"), &format!("{name}: {{build_args: {{COLOUR: red}}, "))
    };
    stack.write("spec.yml", &with("right"));
    assert!(stack.to_build().await.is_empty());
    stack.write("spec.yml", &with("left"));
    assert_eq!(stack.to_build().await, ["left", "leaf"]);
}

#[tokio::test]
async fn images_with_one_context_share_it() {
    let stack = Stack::new("");
    stack.write("images/one.Dockerfile", "ARG BASE_IMAGE\nFROM ${BASE_IMAGE}\nCOPY shared/a /a\n");
    stack.write("images/two.Dockerfile", "ARG BASE_IMAGE\nFROM ${BASE_IMAGE}\nCOPY shared/b /b\n");
    stack.write("images/shared/a", "a");
    stack.write("images/shared/b", "b");
    stack.append(
        "spec.yml",
        "  one: {base: slim, dockerfile: images/one.Dockerfile, context: images}
  two: {base: slim, dockerfile: images/two.Dockerfile, context: images}
",
    );
    stack.build().await;
    let made = stack.make().await;
    let contexts: Vec<_> = made.planned.snapshot.dockerfiles.values().map(|seen| &seen.context).collect();
    assert!(Arc::ptr_eq(contexts[0], contexts[1]), "it is read and sent once");
    stack.write("images/shared/b", "changed");
    assert_eq!(stack.to_build().await, ["two"], "but each counts what it can read");
}

#[tokio::test]
async fn what_is_wrong_in_one_images_folder_is_told_only_where_it_is_needed() {
    let stack = Stack::new("  top: {base: slim}\n  leaf: {depend_on: top}\n  other: {base: slim}\n");
    let pipe = stack.dir.path().join("images/top/data");
    std::fs::remove_file(&pipe).unwrap();
    let fifo = rustix::fs::FileType::Fifo;
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, fifo, rustix::fs::Mode::RUSR, 0).unwrap();
    let (spec, graph) = stack.read();
    for (name, sound) in [("other", true), ("top", false), ("leaf", false)] {
        let node = graph.order().iter().find(|node| graph.node(**node).name.as_str() == name).unwrap();
        let (selection, hashes) = (Selection::with_bases(&graph, &[*node]), HashCache::default());
        let planned = plan::plan(&stack.context(&spec, &graph, &hashes), &selection).await;
        assert_eq!(planned.is_ok(), sound, "{name}");
    }
    assert!(stack.problems().await.contains("in the context images/top: `data` is a named pipe"));
}

#[tokio::test]
async fn what_one_image_cannot_read_in_a_shared_context_is_no_others() {
    let stack = Stack::new("");
    let dockerfile = |path: &str| format!("ARG BASE_IMAGE\nFROM ${{BASE_IMAGE}}\nCOPY {path} /x\n");
    stack.write("images/one.Dockerfile", &dockerfile("good"));
    stack.write("images/two.Dockerfile", &dockerfile("bad*"));
    stack.write("images/good", "1");
    stack.append(
        "spec.yml",
        "  one: {base: slim, dockerfile: images/one.Dockerfile, context: images}
  two: {base: slim, dockerfile: images/two.Dockerfile, context: images}
",
    );
    let bad = std::os::unix::ffi::OsStrExt::from_bytes(b"bad\xff".as_slice());
    std::fs::write(stack.dir.path().join("images").join::<&std::ffi::OsStr>(bad), "").unwrap();
    let (spec, graph) = stack.read();
    let read =
        super::super::files::read(&spec, &graph, ANY_PLATFORM, &HashCache::default(), &Triggers::default());
    let one = graph.order().iter().copied().find(|node| graph.node(*node).name.as_str() == "one").unwrap();
    assert_eq!(read.of(&[one]).unwrap().len(), 1);
    assert_eq!(shown(&files(&spec, &graph, &HashCache::default()).unwrap_err()).lines().count(), 1);
}

#[tokio::test]
async fn what_is_copied_and_not_there_is_told_at_its_line() {
    let stack = Stack::new("  top: {base: slim}\n");
    stack.write("images/top/.dockerignore", "out\n");
    stack.write("images/top/out", "");
    stack.write("images/top/sub/f", "");
    std::os::unix::fs::symlink("sub", stack.dir.path().join("images/top/link")).unwrap();
    stack.image(
        "top",
        "ARG BASE_IMAGE\nFROM ${BASE_IMAGE}\nCOPY data sub link/f link gone* $UNKNOWN . /x/\n\
         COPY gone /x\nADD https://x/y out /x/\nCOPY --from=debian:12 /gone /x\nCOPY <<EOF data/x /x/\nEOF\n",
    );
    assert_eq!(
        stack.problems().await,
        "images/top/Dockerfile:4 there is no `gone` in the context images/top\n\
         images/top/Dockerfile:5 there is no `out` in the context images/top\n\
         images/top/Dockerfile:7 there is no `data/x` in the context images/top\n"
    );
}

#[tokio::test]
async fn a_step_that_reads_a_wildcard_behind_a_link_is_solved_without_cache() {
    let stack = Stack::new("  top: {base: slim}\n");
    stack.write("images/top/real/f", "one");
    std::os::unix::fs::symlink("real", stack.dir.path().join("images/top/link")).unwrap();
    for (source, anew) in [("link/*", true), ("link/f", false), ("real/*", false)] {
        let dockerfile = format!("ARG BASE_IMAGE\nFROM ${{BASE_IMAGE}}\nCOPY {source} /l/\n");
        stack.write("images/top/Dockerfile", &dockerfile);
        assert_eq!(stack.make().await.solve("top").no_cache, anew, "{source}");
    }
}

#[tokio::test]
async fn all_mistakes_of_all_files_are_told_at_once_and_each_once() {
    let stack = Stack::new(
        "  child: {depend_on: top}
  top: {base: slim}
plans:
  py312: {tag_prefix: \"2026.4-py312\"}
",
    );
    stack.image("top", "ARG BASE_IMAGE\nFROM busybox\n");
    stack.image("child", "FROM alpine\n");
    let problems = stack.problems().await;
    assert_eq!(problems.lines().count(), 2, "{problems}");
    assert!(problems.contains("images/child/Dockerfile:1 the Dockerfile builds on `alpine:latest`"));
    assert!(problems.contains("images/top/Dockerfile:2 the Dockerfile builds on `busybox:latest`"));
}

#[tokio::test]
async fn a_from_that_differs_from_the_spec_is_told_at_its_line() {
    let stack = Stack::new(TREE);
    stack.image("left", "# left\nFROM debian:12\nCOPY data /\n");
    let problems = stack.problems().await;
    assert!(
        problems.starts_with("images/left/Dockerfile:2 the Dockerfile builds on `debian:12`"),
        "{problems}"
    );
    assert!(problems.contains("`top`"));
}
