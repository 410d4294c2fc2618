//! What Ctrl-C does to a run.

use super::*;

/// Runs, and cancels after so many seconds.
async fn stopped_after(stack: &Stack, seconds: u64) -> Ran {
    let cancel = CancellationToken::new();
    let stop = async {
        tokio::time::sleep(Duration::from_secs(seconds)).await;
        cancel.cancel();
    };
    tokio::join!(stack.run_until(&cancel), stop).0
}

#[tokio::test(start_paused = true)]
async fn what_runs_is_stopped_and_what_had_finished_keeps_its_content_tag() {
    let stack = Stack::new("base: sleep 1\nslow < base: sleep 3600\nchild < slow");
    let ran = stopped_after(&stack, 2).await;
    assert_eq!(ran.ends(), ["base: built", "slow: cancelled", "child: cancelled"]);
    assert_eq!(ran.outcomes.took, Duration::from_secs(2));
    assert!(ran.outcomes.interrupted && !ran.outcomes.any_failed());
    assert!(stack.is_tagged(&ran.plan, "base").await);
    assert!(!stack.is_tagged(&ran.plan, "slow").await);
    assert_eq!(ran.started(), ["base", "slow"]);
}

#[tokio::test(start_paused = true)]
async fn a_stopped_run_is_not_complete_and_no_moving_tag_is_put() {
    let stack = Stack::new("base\nslow < base: sleep 3600");
    let ran = stopped_after(&stack, 1).await;
    assert_eq!(ran.unmoved(), ["the branch tags did not move, since slow is not done"]);
    assert!(stack.moved().await.is_empty());
    assert!(!ran.events.iter().any(|e| matches!(e, Event::TagMoved { .. })));
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_does_not_stop_is_abandoned_after_the_grace() {
    let stack = Stack::new("deaf: trap '' TERM; sleep 3600\nhears: sleep 3600\nchild < deaf");
    let ran = stopped_after(&stack, 1).await;
    assert_eq!(ran.ends(), ["deaf: cancelled", "hears: cancelled", "child: cancelled"]);
    assert_eq!(ran.outcomes.took, Duration::from_secs(1) + STOP_GRACE);
    let mut finished = ran.finished();
    finished.sort_unstable();
    assert_eq!(finished, ["child", "deaf", "hears"], "each ends once");
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_ends_within_the_grace_is_waited_for() {
    let stack = Stack::new("slow: trap '' TERM; sleep 2");
    let ran = stopped_after(&stack, 1).await;
    assert_eq!(ran.ends(), ["slow: cancelled"]);
    assert_eq!(ran.outcomes.took, Duration::from_secs(2));
    assert!(!stack.is_tagged(&ran.plan, "slow").await);
}

#[tokio::test(start_paused = true)]
async fn a_run_that_was_stopped_before_it_began_starts_nothing() {
    let stack = Stack::new("a\nb < a");
    let cancel = CancellationToken::new();
    cancel.cancel();
    let ran = stack.run_until(&cancel).await;
    assert_eq!(ran.ends(), ["a: cancelled", "b: cancelled"]);
    assert!(ran.started().is_empty() && stack.engine.solves().is_empty());
}

#[tokio::test(start_paused = true)]
async fn the_next_run_builds_what_was_stopped_and_nothing_else() {
    let mut stack = Stack::new("base\nslow < base: sleep 3600\nchild < slow");
    stopped_after(&stack, 1).await;
    stack.rewrite("slow", "sleep 1");
    assert_eq!(stack.run().await.ends(), ["slow: built", "child: built"]);
    assert_eq!(stack.moved().await, ["base", "slow", "child"]);
}

#[tokio::test(start_paused = true)]
async fn waiting_for_the_network_ends_when_the_run_is_stopped() {
    let stack = Stack::new("flaky: fail-resolving 9");
    // The first try fails at once, the second after a second, the third after five.
    let ran = stopped_after(&stack, 3).await;
    assert_eq!(ran.ends(), ["flaky: cancelled"]);
    assert_eq!((stack.engine.solves_of("flaky"), ran.outcomes.took.as_secs()), (2, 3));
}
