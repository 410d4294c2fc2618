//! The scripted run in every form in which it is shown.

use std::io::{self, Write};

use super::json::Json;
use super::look::Look;
use super::plain::Plain;
use super::quiet::Quiet;
use super::script::{events, play};
use super::state::RunState;
use super::{Reporter, summary};
use crate::model::event::Event;
use crate::model::names::NodeName;

const SHINY: Look = Look { colour: true, unicode: true, width: Some(80) };

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
    let text = shown(false, |out| Plain::new(out, Look::default()));
    assert!(!text.contains(['\u{1b}', '\r']));
    insta::assert_snapshot!(text);
}

#[test]
fn a_step_that_takes_long_is_named_before_it_ends() {
    let text = shown(true, |out| Plain::new(out, Look::default()));
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
    insta::assert_snapshot!(shown(true, |out| Quiet::new(out, Look::default())));
}

#[test]
fn a_summary_in_colour_says_the_same_as_one_without() {
    let run = play(&events(), false, &mut Quiet::new(io::sink(), Look::default()));
    let text = summary::render(&run, &SHINY);
    assert!(text.contains("\u{1b}[31m"));
    let bare = console::strip_ansi_codes(&text).replace('│', "|");
    assert_eq!(bare, summary::render(&run, &Look::default()));
}

#[test]
fn a_run_of_nothing_has_a_summary() {
    let text = summary::render(&RunState::default(), &Look::default());
    assert_eq!(text, "built 0, kept 0, failed 0, blocked 0 in 0ms\n");
}

#[test]
fn a_reader_that_goes_away_does_not_stop_the_run() {
    let run = play(&events(), true, &mut Plain::new(Closed, Look::default()));
    assert_eq!(play(&events(), true, &mut Json::new(Closed)), run);
    assert_eq!(run.counts().built, 1);
}
