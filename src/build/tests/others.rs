//! Two runs of the program on one engine.

use super::*;

fn waits(ran: &Ran) -> Vec<&str> {
    let waits = ran.events.iter().filter_map(|event| match event {
        Event::ImageWaits { image } => Some(image.as_str()),
        _ => None,
    });
    waits.collect()
}

#[tokio::test(start_paused = true)]
async fn two_runs_at_once_solve_each_image_once() {
    let stack = Stack::new("base: sleep 5\na < base: sleep 5\nb < base: sleep 5");
    let (one, other) = tokio::join!(stack.run(), stack.run());
    for image in ["base", "a", "b"] {
        assert_eq!(stack.engine.solves_of(image), 1, "{image}");
    }
    for (image, end) in one.ends().iter().zip(other.ends()) {
        let mut ends = [image.split_once(": ").unwrap().1, end.split_once(": ").unwrap().1];
        ends.sort_unstable();
        assert_eq!(ends, ["built", "built elsewhere"], "{image}, {end}");
    }
    assert_eq!(waits(&one).len() + waits(&other).len(), 3);
    assert_eq!(stack.moved().await, ["base", "a", "b"]);
}

#[tokio::test(start_paused = true)]
async fn an_image_that_another_run_failed_to_build_is_tried_by_the_one_that_waited() {
    let stack = Stack::new("bad: sleep 5; exit 1");
    let (one, other) = tokio::join!(stack.run(), stack.run());
    assert_eq!((one.ends(), other.ends()), (vec!["bad: failed".into()], vec!["bad: failed".into()]));
    assert_eq!(stack.engine.solves_of("bad"), 2);
}

#[tokio::test(start_paused = true)]
async fn an_image_built_since_the_plan_was_made_is_not_solved() {
    let stack = Stack::new("base\nchild < base");
    let old = stack.prepare(stack.plan().await);
    stack.run().await;
    let ran = stack.carry_out(old, &CancellationToken::new()).await;
    assert_eq!(ran.ends(), ["base: built elsewhere", "child: built elsewhere"]);
    assert_eq!(stack.engine.solves().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_content_tag_that_stands_on_another_image_is_not_taken_for_the_built_one() {
    let stack = Stack::new("a");
    let run = stack.prepare(stack.plan().await);
    let stranger = stack.engine.add_image(&run.plan.images[0].content, &BTreeMap::new());
    let ran = stack.carry_out(run, &CancellationToken::new()).await;
    assert!(matches!(ran.of("a"), Outcome::Built { id } if *id != stranger));
}

#[tokio::test(start_paused = true)]
async fn waiting_for_another_run_ends_when_ours_is_stopped() {
    let stack = Stack::new("a");
    let run = stack.prepare(stack.plan().await);
    let recipe = run.plan.images[0].recipe.digest().to_string();
    let cancel = CancellationToken::new();
    let _held = stack.locks().lock_image(&recipe, &cancel, || {}).await.unwrap().unwrap();
    let stop = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        cancel.cancel();
    };
    let (ran, ()) = tokio::join!(stack.carry_out(run, &cancel), stop);
    assert_eq!(ran.ends(), ["a: cancelled"]);
    assert_eq!(waits(&ran), ["a"], "told once");
    assert!(stack.engine.solves().is_empty());
}
