//! What is sent, what is fetched, what a registry or an import that fails does.

use super::*;
use crate::engine::fake::FakeHub;

/// A chain in a registry: `top`, and `leaf` on it.
fn chain() -> Stack {
    let mut stack = Stack::new("top: sleep 1\nleaf < top: sleep 1");
    stack.host = Some("reg.local");
    stack.push = true;
    stack
}

/// The same stack before an engine with an empty store.
fn elsewhere(stack: &Stack) -> Stack {
    let engine = Arc::new(FakeEngine::at(stack.engine.hub().clone()));
    engine.add_image(&base(), &BTreeMap::new());
    let images = stack.images.iter().map(|i| Image {
        name: i.name.clone(),
        parents: i.parents.clone(),
        script: i.script.clone(),
    });
    let mut other = Stack::of(images.collect());
    (other.engine, other.host, other.push) = (engine, stack.host, stack.push);
    other
}

fn hub(stack: &Stack) -> &FakeHub {
    stack.engine.hub()
}

fn warnings(ran: &Ran) -> Vec<&str> {
    let text = |event: &'_ Event| matches!(event, Event::Warning { .. });
    let warnings = ran.events.iter().filter(|e| text(e)).map(|event| match event {
        Event::Warning { text, .. } => text.as_str(),
        _ => unreachable!(),
    });
    warnings.collect()
}

fn moved_there(ran: &Ran) -> usize {
    ran.events.iter().filter(|e| matches!(e, Event::RegistryTagMoved { .. })).count()
}

async fn digest(stack: &Stack, name: &str, tag: &str) -> Option<String> {
    use crate::registry::Registry;
    let reference = stack.repository(name).with_tag(tag);
    hub(stack).registry.digest(&reference).await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn each_image_is_sent_as_it_is_done_and_branch_tags_move_in_the_end() {
    let stack = chain();
    let ran = stack.run().await;
    assert_eq!(ran.ends(), ["top: built", "leaf: built"]);
    let is = |event: &Event, word: &str, name: &str| match event {
        Event::Pushed { image, .. } => word == "pushed" && image.as_str() == name,
        Event::ImageStarted { image, .. } => word == "started" && image.as_str() == name,
        Event::RegistryTagMoved { image, .. } => word == "moved" && image.as_str() == name,
        _ => false,
    };
    let at = |word: &str, name: &str| ran.events.iter().position(|event| is(event, word, name)).unwrap();
    assert!(at("pushed", "top") < at("pushed", "leaf"));
    assert!(at("pushed", "leaf") < at("moved", "top").min(at("moved", "leaf")));
    for name in ["top", "leaf"] {
        let content = ran.plan.images[stack.position(name)].content.tag().unwrap().to_owned();
        assert_eq!(digest(&stack, name, "t-main").await, digest(&stack, name, &content).await);
    }
    let again = stack.run().await;
    assert!(again.plan.is_noop(), "{}", again.plan);
    assert_eq!(stack.engine.pushes().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn what_was_built_without_a_push_is_sent_later_and_not_built() {
    let mut stack = chain();
    stack.push = false;
    stack.run().await;
    assert!(stack.engine.pushes().is_empty());
    stack.push = true;
    let ran = stack.run().await;
    assert_eq!(ran.all_ends(), ["top: pushed", "leaf: pushed"]);
    assert_eq!((stack.engine.solves().len(), moved_there(&ran)), (2, 2));
    let Event::RunFinished { built: 0, kept: 2, pushed: 2, .. } = ran.outcomes.summary(&ran.plan) else {
        panic!("{:?}", ran.outcomes.summary(&ran.plan))
    };
}

#[tokio::test(start_paused = true)]
async fn an_empty_store_pulls_a_whole_recipe_only_where_a_build_stands_on_it() {
    let stack = chain();
    stack.run().await;
    let mut ci = elsewhere(&stack);
    assert!(ci.run().await.plan.is_noop());
    assert!(ci.engine.pulls().is_empty() && ci.engine.solves().is_empty());
    ci.rewrite("leaf", "sleep 2");
    let ran = ci.run().await;
    assert_eq!(ran.all_ends(), ["top: fetched", "leaf: built"]);
    assert_eq!((ci.engine.pulls().len(), ci.engine.pushes().len()), (1, 1));
    let json = ran.outcomes.to_json(&ran.plan);
    assert_eq!(
        (&json["images"][0]["outcome"], &json["images"][1]["pushed"]),
        (&"fetched".into(), &true.into())
    );
}

#[tokio::test(start_paused = true)]
async fn a_fetched_image_of_another_recipe_is_neither_used_nor_replaced() {
    let stack = chain();
    stack.run().await;
    let mut ci = elsewhere(&stack);
    ci.rewrite("leaf", "sleep 2");
    let content = ci.plan().await.images[0].content.clone();
    let strange = hub(&stack).registry.push(&content, &BTreeMap::new(), &["sha256:strange"]);
    let ran = ci.run().await;
    assert_eq!(ran.all_ends(), ["top: failed", "leaf: blocked by top"]);
    let failure = ran.failure("top");
    assert!(failure.message.contains("labels of this recipe"), "{}", failure.message);
    assert!(failure.help.as_ref().unwrap().contains("ds01-build update --packages top"));
    assert!(ran.outcomes.only_engine_failed() && ci.engine.pushes().is_empty());
    assert_eq!(digest(&stack, "top", content.tag().unwrap()).await, Some(strange));
}

#[tokio::test(start_paused = true)]
async fn of_two_builds_of_one_recipe_the_first_in_the_registry_counts() {
    let mut first = Stack::new("top: sleep 1");
    (first.host, first.push) = (Some("reg.local"), true);
    let mut second = elsewhere(&first);
    second.images = chain().images;
    // On another base, so that the two build different images.
    second.engine.add_pulled(&base(), "sha256:other");
    let late = second.prepare(second.plan().await);
    first.run().await;
    let content = late.plan.images[0].content.tag().unwrap().to_owned();
    let counts = digest(&first, "top", &content).await;
    let ran = second.carry_out(late, &CancellationToken::new()).await;
    assert_eq!(digest(&first, "top", &content).await, counts, "a content tag never changes");
    assert!(warnings(&ran).iter().any(|text| text.contains("another run sent")), "{:?}", warnings(&ran));
    let failure = ran.failure("leaf");
    assert!(failure.message.contains("based on another image of top"), "{}", failure.message);
    assert!(ran.outcomes.only_engine_failed() && second.moved().await.is_empty());
    // From then on the registry's is built on.
    let again = second.run().await;
    let expected = "leaf  it is based on another image of top than the one in the registry";
    assert!(again.plan.to_string().contains(expected), "{}", again.plan);
    assert_eq!(again.all_ends(), ["top: fetched", "leaf: built"]);
    assert_eq!(digest(&first, "top", &content).await, counts);
    assert_eq!(digest(&first, "top", "t-main").await, counts);
    assert!(second.run().await.plan.is_noop());
}

#[tokio::test(start_paused = true)]
async fn a_pull_that_fails_for_a_moment_is_tried_again_and_for_good_fails_what_is_based_on_it() {
    let stack = chain();
    stack.run().await;
    for (times, words, pulls, ends) in [
        (2, "dial tcp: connection refused", 3, ["top: fetched", "leaf: built"]),
        (3, "dial tcp: connection refused", 3, ["top: failed", "leaf: blocked by top"]),
        (1, "manifest unknown", 1, ["top: failed", "leaf: blocked by top"]),
    ] {
        let mut ci = elsewhere(&stack);
        ci.rewrite("leaf", "sleep 2");
        ci.push = false;
        ci.engine.fail_transfers(times, words);
        let ran = ci.run().await;
        assert_eq!(ran.all_ends(), ends, "{words}");
        assert_eq!(ci.engine.pulls().len(), pulls, "{words}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_failed_push_is_a_failure_that_blocks_no_build_but_pushes_and_branch_tags() {
    let stack = chain();
    stack.engine.fail_transfers(1, "denied: requested access to the resource is denied");
    let ran = stack.run().await;
    assert_eq!(ran.ends(), ["top: failed", "leaf: blocked by top"]);
    let failure = ran.failure("top");
    assert!(failure.engine && failure.help.as_ref().unwrap().contains("docker login reg.local"));
    assert!(ran.outcomes.only_engine_failed());
    let built = |at: usize| ran.outcomes.built(at).is_some();
    assert!(built(0) && built(1), "what was built is known, though its push failed");
    assert_eq!(stack.engine.pushes().len(), 1, "one that is denied is not tried again");
    assert_eq!((moved_there(&ran), stack.moved().await), (0, vec![]));
    // The next run sends what is missing, and builds nothing.
    let ran = stack.run().await;
    let pushed = ["top: pushed", "leaf: pushed"].map(str::to_owned).to_vec();
    assert_eq!((ran.all_ends(), moved_there(&ran)), (pushed, 2));
}

#[tokio::test(start_paused = true)]
async fn a_push_that_fails_for_a_moment_is_tried_again() {
    let stack = chain();
    stack.engine.fail_transfers(2, "received unexpected HTTP status: 503 Service Unavailable");
    let ran = stack.run().await;
    assert_eq!(ran.ends(), ["top: built", "leaf: built"]);
    assert_eq!((warnings(&ran).len(), stack.engine.pushes().len(), moved_there(&ran)), (2, 4, 2));
}

#[tokio::test(start_paused = true)]
async fn a_registry_that_refuses_a_branch_tag_is_told() {
    let stack = chain();
    let run = stack.prepare(stack.plan().await);
    let (plan, registry) = (run.plan.clone(), run.registry.clone());
    let (events, _received) = unbounded_channel();
    let outcomes = crate::build::run(run, &events, &CancellationToken::new()).await;
    let (complete, _) = outcomes.complete(&plan);
    hub(&stack).registry.deny("reg.local");
    let moved = move_tags(&plan, &complete, stack.engine.as_ref(), registry.as_ref(), &events).await;
    assert!(matches!(moved, Err(MoveError::Registry(_))), "{moved:?}");
}

#[tokio::test(start_paused = true)]
async fn an_image_that_lost_a_layer_in_an_import_is_built_again_without() {
    let stack = chain();
    let mut run = stack.prepare(stack.plan().await);
    run.solves[0].as_mut().unwrap().cache_from = vec![stack.repository("top").with_tag("t-torn")];
    let ran = stack.carry_out(run, &CancellationToken::new()).await;
    assert_eq!(ran.ends(), ["top: built", "leaf: built"]);
    assert_eq!(stack.engine.solves_of("top"), 2);
    assert!(warnings(&ran)[0].contains("layers were lost; built again without"), "{:?}", warnings(&ran));
    let Outcome::Built { id } = ran.of("top") else { panic!() };
    assert_eq!(stack.engine.image(id.as_str()).await.unwrap().unwrap().diff_ids.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_parent_that_vanishes_before_its_child_is_built_is_told_and_nobody_else_is_asked_for_it() {
    let mut stack = Stack::new("top\nleaf < top");
    stack.run().await;
    stack.rewrite("leaf", "sleep 1");
    let run = stack.prepare(stack.plan().await);
    let top = run.plan.images[0].content.to_string();
    stack.engine.remove_image(&top).await.unwrap();
    let ran = stack.carry_out(run, &CancellationToken::new()).await;
    let failure = ran.failure("leaf");
    assert!(failure.message.contains(&top) && failure.message.contains("gone"), "{}", failure.message);
    assert!(failure.help.as_ref().unwrap().contains("run it again") && !failure.engine);
    assert_eq!(stack.engine.solves_of("leaf"), 1, "only the first run's");
}

#[tokio::test(start_paused = true)]
async fn a_run_that_is_stopped_while_it_sends_moves_no_tag() {
    let stack = chain();
    let cancel = CancellationToken::new();
    stack.engine.fail_transfers(9, "connection refused");
    let stop = async {
        tokio::time::sleep(Duration::from_millis(2500)).await;
        cancel.cancel();
    };
    let (ran, ()) = tokio::join!(stack.run_until(&cancel), stop);
    assert_eq!(ran.ends(), ["top: cancelled", "leaf: cancelled"]);
    assert_eq!(moved_there(&ran), 0);
    let store = stack.engine.images().await.unwrap();
    let asked = content_tags(&stack.candidates(), &ImageIndex::new(&store), false);
    assert!(asked.is_empty(), "both were built, and are here");
    let built = |at: usize| ran.outcomes.built(at).is_some();
    assert!(built(0) && built(1), "and their records say so");
}
