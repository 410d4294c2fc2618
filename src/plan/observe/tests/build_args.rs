//! Build args that do nothing, and those that give a secret away.

use super::*;
use crate::plan::build_arg_warnings;

/// The warnings about these images, each with its line, as `check` has them.
fn warnings(stack: &Stack, names: &[&str]) -> String {
    let (spec, graph) = stack.read();
    let dockerfiles = files(&spec, &graph, &HashCache::default()).unwrap();
    let nodes: Vec<_> = match names {
        [] => graph.order().to_vec(),
        names => names.iter().map(|name| graph.find(name).unwrap()).collect(),
    };
    let warnings = build_arg_warnings(&spec, &graph, &dockerfiles, &nodes);
    warnings.iter().map(|warning| warning.sentence() + "\n").collect()
}

#[test]
fn an_arg_that_no_dockerfile_declares_is_told_with_the_nearest_that_one_does() {
    let stack = Stack::new(
        "  top: {base: slim, build_args: {PYTHN: '3.12', PYTHON: '3.11', HTTPS_PROXY: x, EARLY: x, LATE: x}}\n  left: {depend_on: top, build_args: {FOO: x}}\n",
    );
    stack.image("top", "ARG BASE_IMAGE\nARG EARLY\nFROM ${BASE_IMAGE} AS a\nARG LATE\nFROM a\nARG PYTHON\n");
    stack.image("left", DOCKERFILE);
    let all = warnings(&stack, &[]);
    insta::assert_snapshot!(all, @r"
    spec.yml:5: no Dockerfile that gets the build arg `PYTHN` declares it, so it has no effect; did you mean `PYTHON`?
    spec.yml:6: no Dockerfile that gets the build arg `FOO` declares it, so it has no effect; write `ARG FOO` there, or remove it here
    ");
    assert_eq!(warnings(&stack, &["top"]) + &warnings(&stack, &["left"]), all);
}

#[test]
fn an_arg_of_a_plan_is_for_whichever_of_its_images_declares_it() {
    let stack = Stack::new(
        "  top: {base: slim}\n  left: {depend_on: top, plan_args: {py: {SIZE: x, SIZ: x}}}\nplans: {py: {tag_prefix: t-py, build_args: {COLOUR: red, COLUR: red}}}\n",
    );
    stack.image("top", &format!("{DOCKERFILE}ARG COLOUR\n"));
    stack.image("left", &format!("{DOCKERFILE}ARG SIZE\n"));
    insta::assert_snapshot!(warnings(&stack, &[]), @r"
    spec.yml:6: no Dockerfile that gets the build arg `SIZ` declares it, so it has no effect; did you mean `SIZE`?
    spec.yml:7: no Dockerfile that gets the build arg `COLUR` declares it, so it has no effect; did you mean `COLOUR`?
    ");
    assert!(!warnings(&stack, &["left@py"]).contains("`COLOUR` declares"));
    assert_eq!(warnings(&stack, &["left"]), "", "who builds no variant is told nothing of its args");
}

#[tokio::test]
async fn a_credential_under_any_name_is_told_at_its_line_and_shown_nowhere() {
    let stack = Stack::new(
        "  top: {base: slim, build_args: {INDEX: 'https://ann:hunter2@host/simple', COLOUR: red}}\n",
    );
    stack.image("top", &format!("{DOCKERFILE}ARG INDEX\nARG COLOUR\n"));
    insta::assert_snapshot!(warnings(&stack, &[]), @"spec.yml:5: the value of the build arg `INDEX` is a credential, and build args stand in the history of an image for all who have it; list an id under `secrets:`, mount it in the RUN that needs it, and give its file with `--secret ID=FILE`");
    let made = stack.make().await;
    assert_eq!(made.planned.warnings.concat() + "\n", warnings(&stack, &[]));
    let args = made.args("top");
    assert!(
        args.contains(&"INDEX=https://ann:hunter2@host/simple".to_owned()),
        "the build gets it: {args:?}"
    );
    let shown = format!("{} {:?}", made.planned.plan.to_json(), made.solve("top").config);
    assert!(!shown.contains("hunter2"), "{shown}");

    stack.build().await;
    let records = std::fs::read_dir(stack.records_dir()).unwrap();
    assert!(records.count() > 0);
    let text = std::fs::read_to_string(stack.dir.path().join("spec.yml")).unwrap();
    stack.write("spec.yml", &text.replace("hunter2", "hunter3"));
    let plan = stack.make().await.planned.plan.to_json().to_string();
    assert!(plan.contains("INDEX") && plan.contains("sha256:") && !plan.contains("hunter"), "{plan}");
}
