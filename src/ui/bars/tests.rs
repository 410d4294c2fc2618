use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

use indicatif::InMemoryTerm;

use super::*;
use crate::model::event::StepState;
use crate::model::names::NodeName;
use crate::ui::test_events::{events, play};

const ASCII: OutputStyle = OutputStyle { colour: false, unicode: false, width: None };

/// What is on a terminal of this size after the events up to a moment.
fn screen(rows: u16, columns: u16, until: u64, finish: bool) -> String {
    let term = InMemoryTerm::new(rows, columns);
    let handle = term.clone();
    let mut watcher = Watcher { bars: Bars::new(ASCII, move || Box::new(handle.clone())), finish };
    let mut events = events();
    events.retain(|(at, _)| *at <= until);
    play(&events, true, &mut watcher);
    let text = term.contents();
    // Bars that are dropped clear themselves.
    drop(watcher);
    text
}

/// Bars whose end may be held back, to see what stands there before it.
struct Watcher {
    bars: Bars,
    finish: bool,
}

impl Reporter for Watcher {
    fn event(&mut self, update: &Update<'_>) {
        self.bars.event(update);
        if !self.finish {
            self.bars.tick(update.at, update.run);
        }
    }

    fn tick(&mut self, at: Duration, run: &RunState) {
        self.bars.tick(at, run);
    }

    fn finish(&mut self, run: &RunState) {
        if self.finish {
            self.bars.finish(run);
        }
    }
}

#[test]
fn each_running_image_has_a_line() {
    insta::assert_snapshot!(screen(24, 80, 140, false));
}

#[test]
fn an_image_that_ended_stays_above_what_runs() {
    insta::assert_snapshot!(screen(24, 80, 3300, false));
}

#[test]
fn a_narrow_terminal_shows_the_beginning_of_each_line() {
    insta::assert_snapshot!(screen(24, 30, 140, false));
}

#[test]
fn a_terminal_without_rows_shows_the_numbers() {
    let text = screen(2, 80, 9, false);
    assert_eq!(text, "........................ 0/6 done, 0.0s, 4 to come");
}

#[test]
fn nothing_but_what_stays_is_left_in_the_end() {
    insta::assert_snapshot!(screen(40, 80, u64::MAX, true));
}

/// A terminal whose window is made narrower or wider while it is in use.
#[derive(Debug, Clone)]
struct Resized {
    terminal: InMemoryTerm,
    columns: Arc<AtomicU16>,
}

impl TermLike for Resized {
    fn width(&self) -> u16 {
        self.columns.load(Ordering::Relaxed)
    }

    fn height(&self) -> u16 {
        self.terminal.height()
    }

    fn move_cursor_up(&self, n: usize) -> io::Result<()> {
        self.terminal.move_cursor_up(n)
    }

    fn move_cursor_down(&self, n: usize) -> io::Result<()> {
        self.terminal.move_cursor_down(n)
    }

    fn move_cursor_right(&self, n: usize) -> io::Result<()> {
        self.terminal.move_cursor_right(n)
    }

    fn move_cursor_left(&self, n: usize) -> io::Result<()> {
        self.terminal.move_cursor_left(n)
    }

    fn write_line(&self, text: &str) -> io::Result<()> {
        self.terminal.write_line(text)
    }

    fn write_str(&self, text: &str) -> io::Result<()> {
        self.terminal.write_str(text)
    }

    fn clear_line(&self) -> io::Result<()> {
        self.terminal.clear_line()
    }

    fn flush(&self) -> io::Result<()> {
        self.terminal.flush()
    }
}

#[test]
fn a_wider_window_loses_no_line_that_stays() {
    let columns = Arc::new(AtomicU16::new(40));
    let terminal = InMemoryTerm::new(24, 80);
    let handle = Resized { terminal: terminal.clone(), columns: columns.clone() };
    let mut bars = Bars::new(ASCII, move || Box::new(handle.clone()));
    let mut run = RunState::default();
    for (at, event) in events().into_iter().filter(|(at, _)| *at <= 1700) {
        let at = Duration::from_millis(at);
        let change = run.fold(at, &event);
        let update = Update { at, event: &event, lines: &change.lines, repeated: change.repeated, run: &run };
        bars.event(&update);
        bars.tick(at, &run);
    }
    columns.store(80, Ordering::Relaxed);
    bars.tick(Duration::from_secs(2), &run);
    bars.tick(Duration::from_secs(3), &run);
    insta::assert_snapshot!(terminal.contents());
}

fn running(images: usize) -> RunState {
    let name = |n: usize| NodeName::new(format!("h-baker/project-{n}"));
    let mut run = RunState::default();
    let build = (0..images + 2).map(name).collect();
    run.fold(
        Duration::ZERO,
        &Event::RunStarted { build, fetch: vec![], push: vec![], keep: vec![], jobs: images },
    );
    for n in 0..images {
        let started = Event::ImageStarted { image: name(n), reasons: vec![], log: None };
        run.fold(Duration::from_secs(n as u64), &started);
        let step = Event::Step {
            image: name(n),
            id: "a".to_owned(),
            name: "RUN python3 -m pip install 'transformers>=4.44,<5' accelerate".to_owned(),
            state: StepState::Started,
        };
        run.fold(Duration::from_secs(n as u64), &step);
    }
    run
}

#[test]
fn no_line_is_wider_and_no_frame_higher_than_the_terminal() {
    let style = OutputStyle { colour: true, unicode: true, width: None };
    for columns_ in [1, 2, 5, 10, 20, 40, 59, 60, 80, 200] {
        for rows in [1, 2, 3, 4, 10, 24] {
            for images in [0, 1, 3, 8, 40] {
                let size = Size { columns: columns_, rows };
                let lines = frame(&running(images), Duration::from_secs(100), size, &style);
                assert!(lines.len() < rows.max(2), "{} lines in {size:?}", lines.len());
                for line in lines {
                    assert!(columns(&line) < columns_.max(2), "{line:?} in {size:?}");
                }
            }
        }
    }
}

#[test]
fn images_without_a_row_are_counted() {
    let size = Size { columns: 60, rows: 6 };
    let lines = frame(&running(9), Duration::from_millis(62_340), size, &OutputStyle::default());
    assert_eq!(
        lines,
        [
            "\\ h-baker/project-0  1m 02s  #1 RUN python3 -m pip install~",
            "\\ h-baker/project-1  1m 01s  #1 RUN python3 -m pip install~",
            "\\ h-baker/project-2  1m 00s  #1 RUN python3 -m pip install~",
            "  ~ and 6 more",
            "0/11 done, 1m 02s, 2 to come",
        ]
    );
}

#[test]
fn a_transfer_is_shown_in_bytes() {
    let mut run = running(1);
    let image = NodeName::new("h-baker/project-0");
    for (what, current) in [("layer a", 2_000_000), ("layer b", 500_000)] {
        let (what, step) = (what.to_owned(), "a".to_owned());
        let transfer = Event::Transfer { image: image.clone(), step, what, current, total: 5_000_000 };
        run.fold(Duration::from_secs(1), &transfer);
    }
    let size = Size { columns: 120, rows: 24 };
    let lines = frame(&run, Duration::from_secs(2), size, &OutputStyle::default());
    assert!(lines[0].ends_with("accelerate  2.5 MB of 10.0 MB"), "{lines:?}");
}
