//! Starting a container, and seeing whether its program runs at all.

use std::time::Duration;

use tokio::time::Instant;

use crate::engine::{Engine, Error};

/// How long a program that cannot run at all takes to show it, as a share of
/// what its start took: 14 to 36 in a hundred were measured on a busy machine.
const SHARE: f64 = 0.4;
/// Whatever the start took.
const LEAST: Duration = Duration::from_millis(60);
const MOST: Duration = Duration::from_millis(500);

/// Somebody's own words may be mistyped: nobody is to read that they run when
/// they do not.
const CLOSELY: Duration = Duration::from_secs(1);

/// What inits and shells say of a program that they cannot run.
const CANNOT_RUN: [i64; 2] = [126, 127];

/// How long a program is watched before it counts as running.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Watch {
    /// The program of an image, which ran before.
    Briefly,
    /// A program that somebody has just typed, or that may have ended before.
    Closely,
}

/// Starts it; the exit code of a program that ended at once. An engine that
/// does not answer this has started it all the same. What is held until the
/// start is done is not held while the program is watched.
///
/// # Errors
/// The engine did not start it.
pub(crate) async fn begin<T>(
    engine: &dyn Engine,
    container: &str,
    watch: Watch,
    until_started: T,
) -> Result<Option<i64>, Error> {
    let began = Instant::now();
    engine.start(container).await?;
    drop(until_started);
    let settle = match watch {
        Watch::Briefly => began.elapsed().mul_f64(SHARE).clamp(LEAST, MOST),
        Watch::Closely => began.elapsed().max(CLOSELY),
    };
    Ok(tokio::time::timeout(settle, engine.wait(container)).await.ok().and_then(Result::ok))
}

/// Whether a program that ended with this code was never run.
pub(crate) fn could_not_run(code: i64) -> bool {
    CANNOT_RUN.contains(&code)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::engine::CreateContainer;
    use crate::engine::fake::FakeEngine;
    use crate::model::reference::Reference;

    /// What is seen of a program of an image that the engine in memory has.
    async fn seen(program: &str, watch: Watch) -> Option<i64> {
        let engine = FakeEngine::new();
        let image = engine.add_image(&Reference::parse("x:1").unwrap(), &BTreeMap::new());
        let request = CreateContainer {
            name: "a".into(),
            image: image.to_string(),
            command: Some(vec![program.into()]),
            init: true,
            ..CreateContainer::default()
        };
        let id = engine.create(&request).await.unwrap();
        begin(&engine, &id, watch, ()).await.unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn a_program_that_ends_at_once_is_told_from_one_that_runs() {
        for watch in [Watch::Briefly, Watch::Closely] {
            assert_eq!(seen("/bin/false", watch).await, Some(1));
            assert_eq!(seen("/bin/sh", watch).await, None);
            let code = seen("/no/such/program", watch).await.unwrap();
            assert!(could_not_run(code), "{code}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_somebody_typed_is_watched_longer_than_what_an_image_says() {
        let mut took = Vec::new();
        for watch in [Watch::Briefly, Watch::Closely] {
            let began = Instant::now();
            seen("/bin/sh", watch).await;
            took.push(began.elapsed());
        }
        assert!(took[0] < Duration::from_millis(150) && took[1] >= CLOSELY, "{took:?}");
    }
}
