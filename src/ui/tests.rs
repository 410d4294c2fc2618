//! The scripted run in every form in which it is shown.

use std::io::{self, Write};

use super::lines::{Json, Plain, Quiet};
use super::state::RunState;
use super::style::OutputStyle;
use super::test_events::{events, play};
use super::{Reporter, summary};
use crate::model::event::Event;
use crate::model::names::NodeName;

const SHINY: OutputStyle = OutputStyle { colour: true, unicode: true, width: Some(80) };

/// Shows the scripted run and gives what was written.
fn shown<R: Reporter>(tick: bool, make: impl FnOnce(Shared) -> R) -> String {
    let out = Shared::default();
    let mut reporter = make(out.clone());
    play(&events(), tick, &mut reporter);
    out.text()
}

/// A writer that can be read.
#[derive(Clone, Default)]
struct Shared(std::sync::Arc<std::sync::Mutex<Vec<u8>>>);

impl Shared {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Takes nothing.
struct Closed;

impl Write for Closed {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(io::ErrorKind::BrokenPipe.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Err(io::ErrorKind::BrokenPipe.into())
    }
}

#[test]
fn plain_is_one_whole_line_for_each_thing_that_happens() {
    let text = shown(false, |out| Plain::new(out, OutputStyle::default()));
    assert!(!text.contains(['\u{1b}', '\r']));
    insta::assert_snapshot!(text);
}

#[test]
fn a_step_that_takes_long_is_named_before_it_ends() {
    let text = shown(true, |out| Plain::new(out, OutputStyle::default()));
    let line = |start: &str| text.lines().position(|line| line.starts_with(start)).unwrap();
    assert!(line("[vision] #2 [2/2] RUN pip") < line("[web] #3 done in"));
    assert_eq!(text.matches("#2 [2/2] RUN pip install").count(), 1);
}

#[test]
fn json_is_one_event_a_line() {
    let text = shown(false, Json::new);
    for line in text.lines() {
        let value: serde_json::Value = serde_json::from_str(line).unwrap();
        assert!(value["at"].is_number() && value["event"].is_string(), "{line}");
    }
    insta::assert_snapshot!(text);
}

#[test]
fn a_path_that_is_not_utf8_does_not_cost_the_event() {
    use std::os::unix::ffi::OsStringExt;
    let log = Some(std::ffi::OsString::from_vec(b"logs/\xff.log".to_vec()).into());
    let event = Event::ImageStarted { image: NodeName::new("web"), reasons: vec![], log };
    let out = Shared::default();
    play(&[(0, event)], false, &mut Json::new(out.clone()));
    assert!(out.text().contains("\"log\":\"logs/\u{fffd}.log\""), "{}", out.text());
}

#[test]
fn quiet_is_failures_and_the_numbers() {
    insta::assert_snapshot!(shown(true, |out| Quiet::new(out, OutputStyle::default())));
}

#[test]
fn a_summary_in_colour_says_the_same_as_one_without() {
    let run = play(&events(), false, &mut Quiet::new(io::sink(), OutputStyle::default()));
    let text = summary::render(&run, &SHINY);
    assert!(text.contains("\u{1b}[31m"));
    let bare = console::strip_ansi_codes(&text).replace('│', "|");
    assert_eq!(bare, summary::render(&run, &OutputStyle::default()));
}

#[test]
fn a_run_of_nothing_has_a_summary() {
    let text = summary::render(&RunState::default(), &OutputStyle::default());
    assert_eq!(text, "built 0, kept 0, failed 0, blocked 0 in 0ms\n");
}

#[test]
fn a_reader_that_goes_away_does_not_stop_the_run() {
    let run = play(&events(), true, &mut Plain::new(Closed, OutputStyle::default()));
    assert_eq!(play(&events(), true, &mut Json::new(Closed)), run);
    assert_eq!(run.counts().built, 1);
}

/// The one task that owns a run's state.
mod driving {
    use std::sync::{Arc, Mutex};

    use tokio::sync::mpsc;

    use super::*;
    use crate::ui::log::LogWriter;
    use crate::ui::{Update, drive};
    use std::time::Duration;

    /// Says what it is told.
    #[derive(Clone, Default)]
    struct Witness(Arc<Mutex<Vec<String>>>);

    impl Witness {
        fn say(&self, text: String) {
            self.0.lock().unwrap().push(text);
        }
    }

    impl Reporter for Witness {
        fn event(&mut self, update: &Update<'_>) {
            if let Event::Warning { text, .. } = update.event {
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
        send.send(Event::Warning { image: None, text: "first".into() }).unwrap();
        while witness.0.lock().unwrap().len() < 3 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        drop(send);
        driven.await.unwrap();
        let said = witness.0.lock().unwrap();
        assert!(said[1..said.len() - 1].iter().all(|text| text == "tick"), "{said:?}");
    }

    #[tokio::test]
    async fn of_a_run_that_never_begins_nothing_is_shown() {
        let (send, receive) = mpsc::unbounded_channel();
        let witness = Witness::default();
        drop(send);
        drive(receive, vec![Box::new(witness.clone())], None).await;
        assert!(witness.0.lock().unwrap().is_empty());
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
