//! Fresh packages that were asked for: what counts, what is told of it, and
//! what is solved without cache.

use super::*;
use crate::model::names::NodeName;
use crate::plan::why::Explainer;
use crate::spec::lock_file::Stamp;

/// top → app → h-baker/thesis, and an image beside them; in a registry, so that
/// steps could be imported.
fn stack() -> Stack {
    let stack = Stack::new("  top: {base: slim}\n  app: {depend_on: top}\n  side: {base: slim}\n");
    stack.append(
        "spec.yml",
        "registry: reg.local:5000/x\ninclude: [projects/*.yml]\nusers: {h.baker@x: {uid: 1001, gid: 1001}}\n",
    );
    stack.write("projects/thesis.yml", "thesis:\n  user: h.baker@x\n  image: app\n");
    stack
}

fn stamp(stack: &mut Stack, name: &str, stamp: &str) {
    stack.pins.lock.refreshed.insert(NodeName::new(name), Stamp::parse(stamp).unwrap());
}

/// What the plan says of each image that is built.
fn told(made: &Made) -> Vec<String> {
    let lines = made.planned.plan.to_string();
    let lines = lines.lines().filter_map(|line| line.strip_prefix("build  "));
    lines.map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
}

#[tokio::test]
async fn a_stamp_rebuilds_its_image_and_what_is_based_on_it_and_nothing_else() {
    let mut stack = stack();
    stack.build().await;
    let before = stack.make().await;
    assert!(before.planned.plan.is_noop());
    stamp(&mut stack, "app", "2026-11-30");
    let made = stack.make().await;
    assert_eq!(told(&made), ["app refreshed 2026-11-30", "h-baker/thesis app is rebuilt"]);
    for kept in ["top", "side"] {
        assert_eq!(made.content(kept), before.content(kept));
    }
    stack.build().await;
    assert!(stack.make().await.planned.plan.is_noop(), "the same stamp asks for nothing more");
    stamp(&mut stack, "app", "2026-11-30.2");
    let made = stack.make().await;
    assert_eq!(told(&made)[0], "app refreshed 2026-11-30 → 2026-11-30.2");
    let explainer = Explainer { spec: &made.spec, graph: &made.graph, planned: &made.planned };
    let why = explainer.image(made.position("h-baker/thesis"), None).text(false);
    assert!(why.contains("because refreshed 2026-11-30 → 2026-11-30.2\n"), "{why}");
    stack.build().await;
    stack.pins.lock.refreshed.clear();
    let made = stack.make().await;
    assert_eq!(made.content("app"), before.content("app"), "the recipe that it had before");
    assert!(told(&made).is_empty(), "and that image is still there");
}

#[tokio::test]
async fn a_projects_stamp_is_in_its_own_file() {
    let stack = stack();
    stack.build().await;
    stack.append("projects/thesis.yml", "  refreshed: 2026-11-30\n");
    let made = stack.make().await;
    assert_eq!(told(&made), ["h-baker/thesis refreshed 2026-11-30"]);
    assert!(made.solve("h-baker/thesis").no_cache);
    stack.write("projects/thesis.yml", "thesis:\n  user: h.baker@x\n  image: app\n  refreshed: yesterday\n");
    let context = crate::spec::SpecContext::of(&Disk);
    let problems = crate::spec::read(stack.dir.path(), Path::new("spec.yml"), &context).unwrap_err();
    assert_eq!(shown(&problems), "projects/thesis.yml:4 `yesterday` does not say when it was refreshed\n");
}

#[tokio::test]
async fn only_the_image_with_the_stamp_is_solved_without_cache() {
    let mut stack = stack();
    let solve = |made: &Made, name: &str| {
        let solve = made.solve(name);
        (solve.no_cache, solve.cache_from.len())
    };
    for image in ["top", "app"] {
        let stable = reference(&format!("reg.local:5000/x/{image}:stable"));
        stack.registry.push(&stable, &BTreeMap::new(), &["sha256:1"]);
    }
    let made = stack.make().await;
    assert_eq!(solve(&made, "app"), (false, 1), "the stable image's steps");
    stamp(&mut stack, "app", "2026-11-30");
    let made = stack.make().await;
    assert_eq!(solve(&made, "app"), (true, 0));
    assert_eq!(solve(&made, "top"), (false, 1));
    assert_eq!(solve(&made, "h-baker/thesis"), (false, 0), "in no registry");
    let app = &made.planned.plan.images[made.position("app")];
    assert_eq!(app.cache_from, [], "what the plan shows is what is done");
}

#[tokio::test]
async fn a_new_prefix_refreshes_every_shared_image_where_the_spec_says_so() {
    let stack = stack();
    let prefix = |tag: &str| {
        let text = std::fs::read_to_string(stack.dir.path().join("spec.yml")).unwrap();
        let (_, rest) = text.split_once('\n').unwrap();
        stack.write("spec.yml", &format!("tag: {{{tag}}}\n{rest}"));
    };
    let plain = stack.make().await.content("top");
    prefix("prefix: \"2027.1\"");
    assert_eq!(stack.make().await.content("top"), plain, "else a prefix is no ingredient");
    prefix("prefix: \"2026.4\", refresh: prefix");
    stack.build().await;
    prefix("prefix: \"2027.1\", refresh: prefix");
    let made = stack.make().await;
    let by = "refreshed by tag.prefix 2026.4 → 2027.1";
    // A parent that is rebuilt is a reason of its own.
    let told = told(&made);
    assert_eq!(
        told,
        [&format!("top {by}"), &format!("app {by}"), &format!("side {by}"), "h-baker/thesis app is rebuilt"]
    );
    assert!(made.solve("app").no_cache && !made.solve("h-baker/thesis").no_cache);
}
