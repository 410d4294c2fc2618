//! What a failure does to the image itself, to those on it and to the others.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_failing_image_blocks_what_stands_on_it_and_the_others_are_built() {
    let stack = Stack::new(
        "base
        a < base: sleep 5
        b < base: echo about to fail && exit 3
        a1 < a
        b1 < b
        b2 < b1",
    );
    let ran = stack.run().await;
    let ends = ["base: built", "a: built", "b: failed", "a1: built", "b1: blocked by b", "b2: blocked by b"];
    assert_eq!(ran.ends(), ends);
    let failure = ran.failure("b");
    assert_eq!((failure.exit_code, failure.output.as_slice()), (Some(3), &["about to fail".to_owned()][..]));
    assert!(!failure.engine && !ran.outcomes.only_engine_failed() && ran.outcomes.any_failed());
    assert_eq!(stack.engine.solves_of("b1"), 0);
    assert_eq!(ran.unmoved(), ["the branch tags did not move, since b is not done"]);
    assert!(stack.moved().await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn one_person_s_failure_holds_back_nobody_else() {
    let stack = Stack::new("base\nbad < base: exit 1\nann/a < base: exit 1\nbob/b < base\nbob/c < bad");
    let ran = stack.run().await;
    assert_eq!(stack.moved().await, ["bob/b"]);
    let expected = [
        "the branch tags did not move, since bad is not done",
        "`latest` of ann/a did not move, since ann/a is not done",
        "`latest` of bob/c did not move, since bad is not done",
    ];
    assert_eq!(ran.unmoved(), expected);
    let stack = Stack::new("base\nann/a < base: exit 1\nbob/b < base");
    stack.run().await;
    assert_eq!(stack.moved().await, ["base", "bob/b"], "shared images wait for no project");
}

#[tokio::test(start_paused = true)]
async fn a_failure_is_told_before_what_it_blocks() {
    let ran = Stack::new("bad: exit 1\nchild < bad\ngrandchild < child").run().await;
    assert_eq!(ran.finished(), ["bad", "child", "grandchild"]);
}

#[tokio::test(start_paused = true)]
async fn an_image_that_copies_from_a_failed_one_is_blocked() {
    let ran = Stack::new("good\nbad: exit 1\njoin < good bad").run().await;
    assert_eq!(ran.ends(), ["good: built", "bad: failed", "join: blocked by bad"]);
}

#[tokio::test(start_paused = true)]
async fn what_failed_is_tried_again_and_what_was_built_is_kept() {
    let mut stack = Stack::new("base\nbad < base: exit 1\nchild < bad");
    stack.run().await;
    assert_eq!(stack.run().await.ends(), ["bad: failed", "child: blocked by bad"]);
    stack.rewrite("bad", "true");
    assert_eq!(stack.run().await.ends(), ["bad: built", "child: built"]);
    assert_eq!(stack.engine.solves_of("base"), 1);
    assert_eq!(stack.moved().await, ["base", "bad", "child"]);
}

#[tokio::test(start_paused = true)]
async fn with_fail_fast_the_first_failure_stops_the_rest() {
    let mut stack = Stack::new("bad: sleep 1; exit 1\nchild < bad\nslow: sleep 60\nwaiting\nlast").jobs(2);
    stack.options.fail_fast = true;
    let ran = stack.run().await;
    // `bad` and then `slow` are taken up first: one has a child, one comes first.
    let ends =
        ["bad: failed", "child: blocked by bad", "slow: cancelled", "waiting: cancelled", "last: cancelled"];
    assert_eq!(ran.ends(), ends);
    assert_eq!(ran.started(), ["bad", "slow"], "after the failure nothing is taken up");
    assert_eq!(ran.outcomes.took, Duration::from_secs(1));
    assert!(ran.outcomes.any_failed() && !ran.outcomes.interrupted);
}

#[tokio::test(start_paused = true)]
async fn a_network_that_fails_for_a_moment_is_tried_again() {
    let stack = Stack::new("flaky: fail-resolving 2\nchild < flaky");
    let ran = stack.run().await;
    assert_eq!(ran.ends(), ["flaky: built", "child: built"]);
    assert_eq!(stack.engine.solves_of("flaky"), 3);
    let warning =
        |e: &&Event| matches!(e, Event::Warning { image: Some(image), .. } if image.as_str() == "flaky");
    assert_eq!(ran.events.iter().filter(warning).count(), 2);
}

#[tokio::test(start_paused = true)]
async fn after_three_tries_a_network_failure_is_a_failure() {
    let stack = Stack::new("flaky: fail-resolving 3");
    let ran = stack.run().await;
    assert_eq!(stack.engine.solves_of("flaky"), 3);
    assert_eq!(ran.failure("flaky").output, ["Temporary failure in name resolution"]);
    assert_eq!(ran.finished(), ["flaky"]);
}

#[tokio::test(start_paused = true)]
async fn a_failing_command_is_not_tried_again() {
    let stack = Stack::new("bad: echo no matching distribution && exit 1");
    stack.run().await;
    assert_eq!(stack.engine.solves_of("bad"), 1);
}

#[tokio::test(start_paused = true)]
async fn an_engine_that_goes_away_is_told_as_the_engines_failure() {
    let stack = Stack::new("base\na < base: sleep 10\nb < base: sleep 20\na1 < a");
    let leave = async {
        tokio::time::sleep(Duration::from_secs(5)).await;
        stack.engine.go_away();
    };
    let (ran, ()) = tokio::join!(stack.run(), leave);
    assert_eq!(ran.ends(), ["base: built", "a: failed", "b: failed", "a1: blocked by a"]);
    assert!(ran.failure("a").engine && ran.failure("b").help.is_some());
    assert!(ran.outcomes.only_engine_failed());
}

#[tokio::test(start_paused = true)]
async fn a_failed_command_beside_a_lost_engine_is_the_images_failure() {
    let stack = Stack::new("bad: exit 1\nlost: sleep 10");
    let leave = async {
        tokio::time::sleep(Duration::from_secs(5)).await;
        stack.engine.go_away();
    };
    let (ran, ()) = tokio::join!(stack.run(), leave);
    assert!(ran.failure("lost").engine);
    assert!(ran.outcomes.any_failed() && !ran.outcomes.only_engine_failed());
}

#[tokio::test(start_paused = true)]
async fn an_image_whose_labels_were_lost_gets_no_tag() {
    let stack = Stack::new("a\nchild < a");
    let mut run = stack.prepare(stack.plan().await);
    run.solves[0].as_mut().unwrap().config.labels.clear();
    let ran = stack.carry_out(run, &CancellationToken::new()).await;
    assert_eq!(ran.ends(), ["a: failed", "child: blocked by a"]);
    assert!(ran.failure("a").message.contains("labels") && ran.failure("a").check);
    assert!(!stack.is_tagged(&ran.plan, "a").await);
}

#[tokio::test(start_paused = true)]
async fn an_image_without_the_layers_of_its_base_gets_no_tag() {
    let stack = Stack::new("a");
    let other = Reference::parse("other:1").unwrap();
    stack.engine.add_image(&other, &BTreeMap::new());
    let mut run = stack.prepare(stack.plan().await);
    let written = &mut run.solves[0].as_mut().unwrap().config.labels;
    written.insert(labels::BASE_NAME.name.to_owned(), other.to_string());
    let ran = stack.carry_out(run, &CancellationToken::new()).await;
    assert!(ran.failure("a").message.contains("layers were lost") && ran.failure("a").check);
    assert!(!stack.is_tagged(&ran.plan, "a").await);
}
