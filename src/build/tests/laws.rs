//! What holds for every graph and every set of failures.

use proptest::prelude::*;

use super::*;

/// An image's parents and what it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Works,
    Fails,
    /// Was built by an earlier run, if its parents were.
    Stands,
}

fn fate() -> impl Strategy<Value = Fate> {
    prop_oneof![3 => Just(Fate::Works), 1 => Just(Fate::Fails), 2 => Just(Fate::Stands)]
}

prop_compose! {
    fn any_images()(size in 1usize..16)(
        images in proptest::collection::vec(
            (proptest::collection::vec(any::<prop::sample::Index>(), 0..3), fate(), 0u8..3), size)
    ) -> Vec<(Vec<usize>, Fate, u8)> {
        let parents = |at: usize, picks: &[prop::sample::Index]| -> BTreeSet<usize> {
            if at == 0 { BTreeSet::new() } else { picks.iter().map(|pick| pick.index(at)).collect() }
        };
        images.iter().enumerate()
            .map(|(at, (picks, fate, seconds))| (parents(at, picks).into_iter().collect(), *fate, *seconds))
            .collect()
    }
}

/// The stack after a first run that built all that `Stands`, and then
/// changes to what does not.
async fn prepared(images: &[(Vec<usize>, Fate, u8)], jobs: usize) -> Stack {
    let image = |(at, (parents, _, seconds)): (usize, &(Vec<usize>, Fate, u8))| Image {
        name: format!("i{at}"),
        parents: parents.clone(),
        script: format!("sleep {seconds}"),
    };
    let mut stack = Stack::of(images.iter().enumerate().map(image).collect()).jobs(jobs);
    stack.run().await;
    for (at, (_, fate, seconds)) in images.iter().enumerate() {
        match fate {
            Fate::Stands => {}
            Fate::Works => stack.rewrite(&format!("i{at}"), &format!("sleep {seconds} && true")),
            Fate::Fails => stack.rewrite(&format!("i{at}"), &format!("sleep {seconds} && exit 1")),
        }
    }
    stack
}

fn paused() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn an_image_is_blocked_if_and_only_if_one_above_it_failed(images in any_images(), jobs in 1usize..4) {
        paused().block_on(async {
            let stack = prepared(&images, jobs).await;
            let before = stack.moved_ids().await;
            let ran = stack.run().await;
            let (mut lost, mut dirty) = (vec![false; images.len()], vec![false; images.len()]);
            for (at, (parents, fate, _)) in images.iter().enumerate() {
                let blocked = parents.iter().any(|&p| lost[p]);
                dirty[at] = *fate != Fate::Stands || parents.iter().any(|&p| dirty[p]);
                lost[at] = blocked || *fate == Fate::Fails;
                match ran.outcomes.of(at) {
                    None => prop_assert!(!dirty[at], "i{} is kept", at),
                    Some(Outcome::Blocked { by }) => {
                        prop_assert!(blocked, "i{at} is blocked");
                        let by = stack.position(by.as_str());
                        let failed = matches!(ran.outcomes.of(by), Some(Outcome::Failed { .. }));
                        prop_assert!(failed, "i{at} is blocked by i{by}, which did not fail");
                    }
                    Some(Outcome::Failed { .. }) => prop_assert!(!blocked && *fate == Fate::Fails),
                    Some(Outcome::Built { .. }) => prop_assert!(!lost[at] && dirty[at]),
                    Some(other) => prop_assert!(false, "i{at} is {other:?}"),
                }
            }
            let failed = lost.contains(&true);
            prop_assert_eq!(!ran.unmoved().is_empty(), failed);
            if failed {
                prop_assert_eq!(stack.moved_ids().await, before, "a tag moved though not all is done");
            } else {
                prop_assert!(stack.plan().await.is_noop(), "a second run would do something");
            }
            Ok(())
        })?;
    }

    #[test]
    fn each_image_ends_once_and_the_numbers_add_up(
        images in any_images(), jobs in 1usize..4, fail_fast: bool, stop in 0u64..8,
    ) {
        paused().block_on(async {
            let mut stack = prepared(&images, jobs).await;
            stack.options.fail_fast = fail_fast;
            let cancel = CancellationToken::new();
            let stopping = async {
                tokio::time::sleep(Duration::from_millis(500 + 1000 * stop)).await;
                cancel.cancel();
            };
            let (ran, ()) = tokio::join!(stack.run_until(&cancel), stopping);
            let mut finished = ran.finished();
            finished.sort_unstable();
            let mut wanted: Vec<_> = ran.plan.builds().map(|at| ran.plan.images[at].name.as_str()).collect();
            wanted.sort_unstable();
            prop_assert_eq!(finished, wanted);
            let Event::RunFinished { built, fetched, kept, failed, blocked, cancelled, .. } =
                ran.outcomes.summary(&ran.plan) else { unreachable!() };
            prop_assert_eq!(built + fetched + kept + failed + blocked + cancelled, images.len());
            prop_assert!(!fail_fast || failed <= jobs);
            Ok(())
        })?;
    }
}
