//! A live view on a terminal: what runs is drawn again and again at the bottom,
//! what ended scrolls up as a line that stays.
//!
//! [`frame()`] says what to show; indicatif draws it, as the one message of one
//! bar, so that a frame is drawn whole or not at all.

mod frame;
mod screen;
#[cfg(test)]
mod tests;

use std::time::Duration;

use console::Term;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle, TermLike};

pub(crate) use frame::{Size, frame};
use screen::Screen;

use super::look::Look;
use super::state::RunState;
use super::text::{clean, columns};
use super::{News, Reporter, summary};
use crate::model::event::Event;

/// See the module.
pub(crate) struct Bars {
    /// Another handle on the terminal.
    open: Box<dyn Fn() -> Box<dyn TermLike> + Send>,
    term: Box<dyn TermLike>,
    bar: ProgressBar,
    look: Look,
    /// Columns of each line of the frame that stands on the terminal, and the
    /// terminal's columns when it was drawn.
    drawn: Option<(Vec<usize>, usize)>,
}

impl Bars {
    /// On stderr, which must be a terminal.
    pub(crate) fn on_stderr(look: Look) -> Self {
        Self::new(look, || Box::new(Term::buffered_stderr()))
    }

    /// On a terminal; `open` gives handles on one and the same.
    pub(crate) fn new(look: Look, open: impl Fn() -> Box<dyn TermLike> + Send + 'static) -> Self {
        let bar = ProgressBar::with_draw_target(None, target(open()));
        // The template is fixed and right; without it, the bar would show its
        // default and the message.
        if let Ok(style) = ProgressStyle::with_template("{msg}") {
            bar.set_style(style);
        }
        Self { term: open(), open: Box::new(open), bar, look, drawn: None }
    }

    /// Lines that stay.
    fn keep(&self, text: &str) {
        let write = || {
            for line in text.lines() {
                let _ = self.term.write_line(line);
            }
            let _ = self.term.flush();
        };
        // Not by the bar's own `println`: it counts on lines that are wrapped
        // where the bar's are.
        if self.drawn.is_some() { self.bar.suspend(write) } else { write() }
    }

    /// The terminal was made wider or narrower. When it becomes narrower, most
    /// terminals wrap what does not fit, so that the frame takes more rows than
    /// the bar believes.
    fn wipe(&mut self, lines: &[usize], columns: usize) {
        let rows: usize = lines.iter().map(|line| line.div_ceil(columns.max(1)).max(1)).sum();
        let _ = self.term.move_cursor_up(rows.saturating_sub(1));
        // Line by line: tmux keeps what is cleared by "to the end of the
        // screen" if that is the whole screen.
        for row in 1..=rows {
            let _ = self.term.clear_line();
            let _ = self.term.move_cursor_down(usize::from(row < rows));
        }
        let _ = self.term.move_cursor_up(rows.saturating_sub(1));
        let _ = self.term.flush();
        self.bar.set_draw_target(target((self.open)()));
    }
}

fn target(terminal: Box<dyn TermLike>) -> ProgressDrawTarget {
    ProgressDrawTarget::term_like(Box::new(Screen::new(terminal)))
}

impl Reporter for Bars {
    fn event(&mut self, news: &News<'_>) {
        match news.event {
            Event::ImageFinished { image, .. } => {
                if let Some(image) = news.run.image(image) {
                    self.keep(&frame::ended(image, &self.look));
                    self.tick(news.at, news.run);
                }
            }
            Event::Warning { image, text } => {
                let head = self.look.warn("warning:");
                let image = image.as_ref().map(|image| format!(" [{image}]")).unwrap_or_default();
                self.keep(&format!("{head}{image} {}", clean(text)));
            }
            _ => {}
        }
    }

    fn tick(&mut self, at: Duration, run: &RunState) {
        if run.counts().wanted() == 0 {
            return;
        }
        let size = Size { columns: self.term.width().into(), rows: self.term.height().into() };
        if let Some((lines, before)) = self.drawn.take()
            && before != size.columns
        {
            self.wipe(&lines, size.columns);
        }
        let lines = frame(run, at, size, &self.look);
        self.drawn = Some((lines.iter().map(|line| columns(line)).collect(), size.columns));
        self.bar.set_message(lines.join("\n"));
    }

    fn finish(&mut self, run: &RunState) {
        self.bar.finish_and_clear();
        if self.drawn.take().is_some() {
            self.keep("\n");
        }
        self.keep(&summary::render(run, &self.look));
    }
}
