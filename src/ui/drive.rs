//! The one task that owns a run's state: takes events in, hands them to all
//! who show or write them, and keeps time for them.

use std::time::Duration;

use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::log::LogWriter;
use super::{News, Reporter, RunState};
use crate::model::event::Event;

/// How often reporters are told that time passes.
const TICK: Duration = Duration::from_millis(100);

/// Folds events until the run is over or every sender is gone; then lets the reporters finish and
/// gives the state that the run came to. Times count from the call.
pub(crate) async fn drive(
    mut events: UnboundedReceiver<Event>,
    reporters: Vec<Box<dyn Reporter>>,
    log: Option<LogWriter>,
) -> RunState {
    let start = Instant::now();
    let mut desk = Desk { run: RunState::default(), reporters, log, told: false };
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        tokio::select! {
            event = events.recv() => match event {
                Some(event) => {
                    desk.event(start.elapsed(), &event);
                    // Workers that were given up may still send; nobody asks.
                    if matches!(event, Event::RunFinished { .. }) {
                        break;
                    }
                }
                None => break,
            },
            _ = ticks.tick() => desk.tick(start.elapsed()),
        }
    }
    desk.finish()
}

struct Desk {
    run: RunState,
    reporters: Vec<Box<dyn Reporter>>,
    log: Option<LogWriter>,
    /// That logs cannot be written.
    told: bool,
}

impl Desk {
    fn event(&mut self, at: Duration, event: &Event) {
        let change = self.run.fold(at, event);
        let news = News { at, event, lines: &change.lines, repeated: change.repeated, run: &self.run };
        let written = self.log.as_mut().map_or(Ok(()), |log| log.event(&news));
        for reporter in &mut self.reporters {
            reporter.event(&news);
        }
        if let (Err(error), Some(log), false) = (written, &self.log, self.told) {
            // The build goes on without its logs, and says so once.
            self.told = true;
            let text = format!("logs cannot be written below {}: {error}", log.directory().display());
            self.event(at, &Event::Warning { image: None, text });
        }
    }

    fn tick(&mut self, at: Duration) {
        for reporter in &mut self.reporters {
            reporter.tick(at, &self.run);
        }
    }

    fn finish(mut self) -> RunState {
        for reporter in &mut self.reporters {
            reporter.finish(&self.run);
        }
        self.run
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use tokio::sync::mpsc;

    use super::*;
    use crate::ui::script::events;

    /// Says what it is told.
    #[derive(Clone, Default)]
    struct Witness(Arc<Mutex<Vec<String>>>);

    impl Witness {
        fn say(&self, text: String) {
            self.0.lock().unwrap().push(text);
        }
    }

    impl Reporter for Witness {
        fn event(&mut self, news: &News<'_>) {
            if let Event::Warning { text, .. } = news.event {
                self.say(text.clone());
            }
        }

        fn tick(&mut self, _: Duration, _: &RunState) {
            self.say("tick".to_owned());
        }

        fn finish(&mut self, run: &RunState) {
            self.say(format!("failed {}", run.counts().failed));
        }
    }

    #[tokio::test]
    async fn it_ends_when_nobody_can_send_any_more() {
        let (send, receive) = mpsc::unbounded_channel();
        let witness = Witness::default();
        let driven = tokio::spawn(drive(receive, vec![Box::new(witness.clone())], None));
        for (_, event) in events() {
            send.send(event).unwrap();
        }
        drop(send);
        let run = driven.await.unwrap();
        assert_eq!((run.counts().built, run.counts().blocked), (1, 2));
        assert_eq!(run.took(), Duration::from_millis(3410));
        assert_eq!(witness.0.lock().unwrap().last().unwrap(), "failed 1");
    }

    #[tokio::test]
    async fn time_passes_where_nothing_happens() {
        let (send, receive) = mpsc::unbounded_channel();
        let witness = Witness::default();
        let driven = tokio::spawn(drive(receive, vec![Box::new(witness.clone())], None));
        while witness.0.lock().unwrap().len() < 2 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        drop(send);
        driven.await.unwrap();
        let said = witness.0.lock().unwrap();
        assert!(said[..said.len() - 1].iter().all(|text| text == "tick"), "{said:?}");
    }

    #[tokio::test]
    async fn logs_that_cannot_be_written_are_one_warning_for_all_images() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("a file");
        std::fs::write(&file, "").unwrap();
        let (send, receive) = mpsc::unbounded_channel();
        for (_, event) in events() {
            send.send(event).unwrap();
        }
        drop(send);
        let witness = Witness::default();
        let log = LogWriter::new(&file);
        drive(receive, vec![Box::new(witness.clone())], Some(log)).await;
        let said = witness.0.lock().unwrap();
        let warnings = said.iter().filter(|text| text.starts_with("logs cannot be written below "));
        assert_eq!(warnings.count(), 1);
    }
}
