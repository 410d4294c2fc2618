use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

use indicatif::InMemoryTerm;

use super::*;
use crate::ui::script::{events, play};

const ASCII: Look = Look { colour: false, unicode: false, width: None };

/// What stands on a terminal of this size after the events up to a moment.
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
    fn event(&mut self, news: &News<'_>) {
        self.bars.event(news);
        if !self.finish {
            self.bars.tick(news.at, news.run);
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
        let news = News { at, event: &event, lines: &change.lines, repeated: change.repeated, run: &run };
        bars.event(&news);
        bars.tick(at, &run);
    }
    columns.store(80, Ordering::Relaxed);
    bars.tick(Duration::from_secs(2), &run);
    bars.tick(Duration::from_secs(3), &run);
    insta::assert_snapshot!(terminal.contents());
}
