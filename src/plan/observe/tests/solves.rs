//! What is asked of the engine for each image.

use super::*;

const USERS: &str = "include: [projects/*.yml]
users:
  h.baker@x: {uid: 1722830498, gid: 1722830498, group: student}
  a.other@x: {uid: 1722830499, gid: 1722830499, group: student}
limits: {groups: {student: {cpus: 1, memory: 1g, shm_size: 1g, pids: 100, containers: 1, gpu_equivalents: 1}}}
";

fn with_users(images: &str) -> Stack {
    let stack = Stack::new(images);
    stack.append("spec.yml", USERS);
    stack
}

#[tokio::test]
async fn a_child_gets_its_parents_content_tag_whole_and_in_parts() {
    let stack = Stack::new("  top: {base: slim}\n  child: {depend_on: top}\n");
    let repository = "ds01/top";
    stack.image(
        "child",
        &format!("ARG BASE_IMAGE\nARG BASE_TAG\nFROM {repository}:${{BASE_TAG}}\nCOPY data /\n"),
    );
    let made = stack.make().await;
    let content = made.content("top");
    let (name, tag) = content.split_once(':').unwrap();
    assert_eq!(name, repository);
    assert_eq!(made.args("child"), [format!("BASE_IMAGE={content}"), format!("BASE_TAG={tag}")]);
    stack.build().await;
}

#[tokio::test]
async fn a_further_parent_comes_under_its_name() {
    let stack =
        Stack::new("  my-tools: {base: slim}\n  top: {base: slim}\n  join: {depend_on: [top, my-tools]}\n");
    stack.image(
        "join",
        "ARG BASE_IMAGE\nARG BASE_IMAGE_MY_TOOLS\nFROM ${BASE_IMAGE_MY_TOOLS} AS tools\nFROM ${BASE_IMAGE}\n\
         COPY --from=tools /data /tools\nCOPY data /\n",
    );
    let made = stack.make().await;
    let (base, tools) = (made.content("top"), made.content("my-tools"));
    assert_eq!(made.args("join"), [format!("BASE_IMAGE={base}"), format!("BASE_IMAGE_MY_TOOLS={tools}")]);
    stack.build().await;
    stack.write("images/my-tools/data", "changed");
    assert_eq!(stack.to_build().await, ["my-tools", "join"]);
}

#[tokio::test]
async fn plan_variants_get_their_own_args_and_parents() {
    let stack = Stack::new(
        "  top: {base: slim, build_args: {PYTHON: \"3.11\", COLOUR: red}}
  child: {depend_on: top}
plans:
  py312: {tag_prefix: \"2026.4-py312\", build_args: {PYTHON: \"3.12\"}}
",
    );
    stack.image("top", "ARG BASE_IMAGE\nFROM ${BASE_IMAGE}\nARG PYTHON\nARG COLOUR\nCOPY data /\n");
    let made = stack.make().await;
    assert_eq!(made.args("top"), ["BASE_IMAGE=debian:12", "COLOUR=red", "PYTHON=3.11"]);
    // The image's own args come first, the plan's win.
    assert_eq!(made.args("top@py312"), ["BASE_IMAGE=debian:12", "COLOUR=red", "PYTHON=3.12"]);
    assert_ne!(made.content("top"), made.content("top@py312"));
    assert_eq!(made.args("child@py312"), [format!("BASE_IMAGE={}", made.content("top@py312"))]);
}

#[tokio::test]
async fn two_users_with_equal_packages_share_every_step_and_differ_in_the_account() {
    let stack = with_users("  top: {base: slim}\n");
    let project = |user: &str| {
        format!(
            "thesis:\n  user: {user}\n  image: top\n  packages: {{apt: [ffmpeg], pip: [\"tqdm>=4\", numpy]}}\n"
        )
    };
    stack.write("projects/one.yml", &project("h.baker@x"));
    stack.write(
        "projects/two.yml",
        &project("a.other@x").replace("\"tqdm>=4\", numpy", "numpy, \"tqdm >= 4\""),
    );
    let made = stack.make().await;
    let (mut one, mut two) = (made.solve("h-baker/thesis"), made.solve("a-other/thesis"));
    assert!(!one.steps.is_empty());
    // Where a package was written is for messages only.
    for step in one.steps.iter_mut().chain(&mut two.steps) {
        assert!(!std::mem::take(&mut step.origins).is_empty());
    }
    assert_eq!(one.steps, two.steps);
    assert!(matches!((&one.start, &two.start), (Start::Image(a), Start::Image(b)) if a == b));
    assert_ne!(one.user, two.user);
    assert_eq!(one.user.unwrap().uid, 1722830498);
    assert_eq!(one.config.labels["ds01.project"], "thesis");
}

#[tokio::test]
async fn only_an_account_that_wants_sudo_may_bring_it_and_all_by_one_step() {
    let users = USERS.replace("group: student}\nlimits", "group: student}\n  z@x: {uid: 1003, group: student, sudo: true}\n  y@x: {uid: 1004, group: student, sudo: true}\nlimits");
    let stack = Stack::new("  top: {base: slim}\n");
    stack.append("spec.yml", &users);
    for (at, login) in ["h.baker@x", "z@x", "y@x"].into_iter().enumerate() {
        stack.write(&format!("projects/{at}.yml"), &format!("p{at}: {{user: {login}, image: top}}\n"));
    }
    let made = stack.make().await;
    assert_eq!(made.solve("h-baker/p0").sudo, None);
    let step = made.solve("z/p1").sudo.expect("a step");
    assert_eq!(step.argv.last().map(String::as_str), Some("sudo"));
    assert_eq!(made.solve("y/p2").sudo, Some(step));
    assert_eq!(made.solve("z/p1").steps, [], "only where the base has none");
}

#[tokio::test]
async fn a_projects_image_stands_on_its_parents_content_tag() {
    let stack = with_users("  top: {base: slim}\n");
    stack.write("projects/thesis.yml", "thesis: {user: h.baker@x, image: top}\n");
    let made = stack.make().await;
    let Start::Image(start) = made.solve("h-baker/thesis").start else { panic!("a Dockerfile from nowhere") };
    assert_eq!(start.to_string(), made.content("top"));
    stack.build().await;
    let account = stack.engine.account_of("ds01-1722830498/thesis:latest").expect("`latest` was put");
    assert_eq!(account.name, "h-baker");
}

#[tokio::test]
async fn a_new_project_builds_that_project_and_nothing_else() {
    let stack = with_users("  top: {base: slim}\n");
    stack.write("projects/one.yml", "one: {user: h.baker@x, image: top}\n");
    stack.build().await;
    stack.write("projects/two.yml", "two: {user: a.other@x, image: top}\n");
    assert_eq!(stack.to_build().await, ["a-other/two"]);
}

#[tokio::test]
async fn an_image_of_packages_has_steps_and_its_parents_start() {
    let stack = Stack::new("  top: {base: slim}\n  vision: {depend_on: top, packages: {pip: [timm]}}\n");
    let made = stack.make().await;
    let solve = made.solve("vision");
    assert!(matches!(&solve.start, Start::Image(start) if start.to_string() == made.content("top")));
    assert!(solve.steps.iter().any(|step| step.argv.iter().any(|word| word == "timm")));
    assert_eq!(solve.user, None);
    assert_eq!(made.solve("top").steps, []);
}

#[tokio::test]
async fn what_is_kept_is_not_solved() {
    let stack = Stack::new("  top: {base: slim}\n  child: {depend_on: top}\n");
    stack.build().await;
    stack.write("images/child/data", "changed");
    let solves = stack.make().await.solves();
    assert!(matches!(&solves[..], [None, Some(child)] if child.node.as_str() == "child"));
}
