//! What is built, in which order, and how many at once.

use super::*;

const TREE: &str = "base
    a < base: sleep 1
    b < base: sleep 2
    a1 < a
    b1 < b
    join < a1 b1";

#[tokio::test(start_paused = true)]
async fn everything_is_built_and_parents_end_before_their_children_start() {
    let stack = Stack::new(TREE);
    let ran = stack.run().await;
    assert_eq!(stack.engine.solves().len(), 6);
    for image in &ran.plan.images {
        let started = |e: &Event| matches!(e, Event::ImageStarted { image: i, .. } if *i == image.name);
        let start = ran.events.iter().position(started).unwrap();
        for &parent in &image.parents {
            let parent = &ran.plan.images[parent].name;
            let ended = |e: &Event| matches!(e, Event::ImageFinished { image: i, .. } if i == parent);
            let end = ran.events.iter().position(ended).unwrap();
            assert!(end < start, "{} starts before {parent} is done", image.name);
        }
    }
    assert_eq!(stack.moved().await, ["base", "a", "b", "a1", "b1", "join"]);
}

#[tokio::test(start_paused = true)]
async fn with_nothing_to_do_nothing_is_solved_and_nothing_moves() {
    let stack = Stack::new(TREE);
    stack.run().await;
    let again = stack.run().await;
    assert_eq!(stack.engine.solves().len(), 6, "all from the first run");
    assert!(matches!(&again.events[..], [Event::RunStarted { build, keep, .. }]
        if build.is_empty() && keep.len() == 6));
}

#[tokio::test(start_paused = true)]
async fn only_a_changed_image_and_what_stands_on_it_are_solved_again() {
    let mut stack = Stack::new(TREE);
    stack.run().await;
    stack.rewrite("a", "sleep 3");
    let ran = stack.run().await;
    assert_eq!(ran.ends(), ["a: built", "a1: built", "join: built"]);
    assert_eq!(stack.engine.solves_of("b1"), 1);
}

#[tokio::test(start_paused = true)]
async fn no_more_than_jobs_images_are_built_at_once() {
    let wide = "a: sleep 1\nb: sleep 1\nc: sleep 1\nd: sleep 1\ne: sleep 1";
    for (jobs, seconds) in [(1, 5), (2, 3), (8, 1)] {
        let stack = Stack::new(wide).jobs(jobs);
        let ran = stack.run().await;
        assert_eq!(stack.engine.most_at_once(), jobs.min(5));
        assert_eq!(ran.outcomes.took.as_secs(), seconds, "{jobs} at once");
    }
}

#[tokio::test(start_paused = true)]
async fn the_image_with_the_longest_path_below_it_goes_first() {
    let stack = Stack::new("short\nlong\nmiddle < long\nleaf < middle").jobs(1);
    assert_eq!(stack.run().await.started(), ["long", "middle", "short", "leaf"]);
}

#[tokio::test(start_paused = true)]
async fn every_image_ends_once_and_the_summary_adds_up() {
    let mut stack = Stack::new("kept\nbad: exit 1\nchild < bad\ngrandchild < child\ngood < kept: sleep 1");
    stack.run().await;
    stack.rewrite("good", "sleep 2");
    let ran = stack.run().await;
    let mut finished = ran.finished();
    finished.sort_unstable();
    assert_eq!(finished, ["bad", "child", "good", "grandchild"]);
    assert_eq!(
        ran.outcomes.summary(&ran.plan),
        Event::RunFinished {
            built: 1,
            fetched: 0,
            kept: 1,
            failed: 1,
            blocked: 2,
            cancelled: 0,
            pushed: 0,
            took: Duration::from_secs(2)
        }
    );
}

#[tokio::test(start_paused = true)]
async fn a_forced_image_is_solved_though_its_content_tag_stands() {
    let mut stack = Stack::new("base\nchild < base\nside");
    stack.run().await;
    stack.forced.insert(0);
    let ran = stack.run().await;
    assert_eq!(ran.ends(), ["base: built", "child: built"]);
    assert_eq!((stack.engine.solves_of("base"), stack.engine.solves_of("side")), (2, 1));
}
