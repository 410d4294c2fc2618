//! A live view on a terminal: what runs is drawn again and again at the bottom,
//! what ended scrolls up as a line that stays.
//!
//! [`frame()`] says what to show; indicatif draws it, as the one message of one
//! bar, so that a frame is drawn whole or not at all.

#[cfg(test)]
mod tests;

use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use console::Term;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle, TermLike};

use super::human::{bytes, clock, took};
use super::state::{Counts, ImageRun, Phase, RunState};
use super::style::OutputStyle;
use super::text::{clean, columns, shorten};
use super::{Reporter, Update, summary};
use crate::model::event::{Event, Outcome};

/// See the module.
pub(crate) struct Bars {
    /// Another handle on the terminal.
    open: Box<dyn Fn() -> Box<dyn TermLike> + Send>,
    term: Box<dyn TermLike>,
    bar: ProgressBar,
    style: OutputStyle,
    /// Columns of each line of the frame that is on the terminal, and the
    /// terminal's columns when it was drawn.
    drawn: Option<(Vec<usize>, usize)>,
}

impl Bars {
    /// On stderr, which must be a terminal.
    pub(crate) fn on_stderr(style: OutputStyle) -> Self {
        Self::new(style, || Box::new(Term::buffered_stderr()))
    }

    /// On a terminal; `open` gives handles on one and the same.
    pub(crate) fn new(style: OutputStyle, open: impl Fn() -> Box<dyn TermLike> + Send + 'static) -> Self {
        let bar = ProgressBar::with_draw_target(None, target(open()));
        // The template is fixed and right; without it, the bar would show its
        // default and the message.
        if let Ok(style) = ProgressStyle::with_template("{msg}") {
            bar.set_style(style);
        }
        Self { term: open(), open: Box::new(open), bar, style, drawn: None }
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
    fn event(&mut self, update: &Update<'_>) {
        match update.event {
            Event::ImageFinished { image, .. } => {
                if let Some(image) = update.run.image(image) {
                    self.keep(&ended(image, &self.style));
                    self.tick(update.at, update.run);
                }
            }
            Event::Warning { image, text } => {
                let head = self.style.warn("warning:");
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
        let lines = frame(run, at, size, &self.style);
        self.drawn = Some((lines.iter().map(|line| columns(line)).collect(), size.columns));
        self.bar.set_message(lines.join("\n"));
    }

    fn finish(&mut self, run: &RunState) {
        self.bar.finish_and_clear();
        if self.drawn.take().is_some() {
            self.keep("\n");
        }
        self.keep(&summary::render(run, &self.style));
    }
}

/// Columns and rows of a terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Size {
    columns: usize,
    rows: usize,
}

/// Cells of the bar in the last line.
const BAR: usize = 24;
/// A terminal narrower than this gets no bar.
const ROOM_FOR_BAR: usize = 60;

/// One line for each running image, as many as fit, and one for the run. No
/// line is wider than the terminal less one column: a full last column wraps
/// on some terminals.
fn frame(run: &RunState, at: Duration, size: Size, style: &OutputStyle) -> Vec<String> {
    let width = size.columns.saturating_sub(1).max(1);
    let mut running: Vec<_> =
        run.images().filter(|image| matches!(image.phase, Phase::Running | Phase::Waits)).collect();
    // Sorted by age, so that a line moves up only and never jumps.
    running.sort_by_key(|image| image.started);
    // The last line, and a row for the cursor of the shell.
    let room = size.rows.saturating_sub(2);
    let shown = if running.len() > room { room.saturating_sub(1) } else { running.len() };
    let name_width = running[..shown].iter().map(|image| columns(image.name.as_str())).max();
    let name_width = name_width.unwrap_or(0).min((width / 3).max(8));
    let mark = style.either("…", "~");
    let mut lines: Vec<_> = running[..shown]
        .iter()
        .map(|image| {
            let name = shorten(image.name.as_str(), name_width, mark);
            let pad = " ".repeat(name_width.saturating_sub(columns(&name)));
            let since = clock(at.saturating_sub(image.started.unwrap_or(at)));
            let head = format!("{} {}{pad} {since:>7}", spinner(at, style), style.strong(&name));
            shorten(&format!("{head}  {}", doing(image, style)), width, mark)
        })
        .collect();
    if shown < running.len() && room > 0 {
        lines.push(shorten(&format!("  {mark} and {} more", running.len() - shown), width, mark));
    }
    lines.push(shorten(&total(run.counts(), at, width, style), width, mark));
    lines
}

/// What an image is doing: its step, and how far a transfer in it is.
fn doing(image: &ImageRun, style: &OutputStyle) -> String {
    if image.phase == Phase::Waits {
        return style.weak("waits: another run builds it");
    }
    let Some(step) = image.current_step() else { return String::new() };
    let mut text = format!("#{} {}", step.number, step.name);
    match step.moved() {
        Some((current, 0)) => text += &format!("  {}", bytes(current)),
        Some((current, total)) => text += &format!("  {} of {}", bytes(current), bytes(total)),
        None => {}
    }
    text
}

fn spinner(at: Duration, style: &OutputStyle) -> &'static str {
    let turns: &[&str] = if style.unicode {
        &["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"]
    } else {
        &["|", "/", "-", "\\"]
    };
    let turn = (at.as_millis() / 100) as usize % turns.len();
    turns[turn]
}

fn total(counts: Counts, at: Duration, width: usize, style: &OutputStyle) -> String {
    let (ended, wanted) = (counts.ended(), counts.wanted());
    let mut parts = vec![format!("{ended}/{wanted} done"), clock(at)];
    let mut add = |number: usize, word: &str, paint: fn(&OutputStyle, &str) -> String| {
        if number > 0 {
            parts.push(paint(style, &format!("{number} {word}")));
        }
    };
    add(counts.failed, "failed", OutputStyle::bad);
    add(counts.blocked, "blocked", OutputStyle::warn);
    add(counts.cancelled, "cancelled", OutputStyle::warn);
    add(counts.queued, "to come", OutputStyle::weak);
    let text = parts.join(", ");
    if width < ROOM_FOR_BAR {
        return text;
    }
    let full = (BAR * ended).checked_div(wanted).unwrap_or(BAR);
    let (done, rest) = (style.either("━", "#"), style.either("─", "."));
    format!("{}{} {text}", style.good(&done.repeat(full)), style.weak(&rest.repeat(BAR - full)))
}

/// The line that stays of an image that ended, with its reasons.
fn ended(image: &ImageRun, style: &OutputStyle) -> String {
    let good = style.good(style.either("✓", "+"));
    let (mark, rest) = match &image.phase {
        Phase::Ended(Outcome::Built { .. }) => (good, image.reasons.join("; ")),
        Phase::Ended(Outcome::BuiltElsewhere { .. }) => (good, "built by another run".to_owned()),
        Phase::Ended(Outcome::Fetched { .. }) => (good, "pulled".to_owned()),
        Phase::Ended(Outcome::Pushed { .. }) => (good, "pushed".to_owned()),
        Phase::Ended(Outcome::Failed { failure, .. }) => {
            let message = failure.message.lines().next().unwrap_or_default();
            (style.bad(style.either("✗", "x")), clean(message))
        }
        Phase::Ended(Outcome::Blocked { by }) => {
            return format!("{} {}  blocked by {by}", style.warn(style.either("○", "o")), image.name);
        }
        _ => return format!("{} {}  cancelled", style.warn("-"), image.name),
    };
    let seconds = took(image.took.unwrap_or_default());
    let line = format!("{mark} {}  {}", style.strong(image.name.as_str()), style.weak(&seconds));
    if rest.is_empty() { line } else { format!("{line}  {rest}") }
}

/// A terminal as indicatif sees it: one column narrower, its lines ended.
///
/// indicatif fills every line with blanks to the edge and lets the terminal
/// wrap. To the terminal, the whole frame is then one long line, which it wraps
/// anew when the window is made wider: the frame shrinks, and clearing it by its
/// number of lines would take lines above it that were to stay. Here blanks at
/// the end of a line are not written, and the wrap becomes a line end.
#[derive(Debug)]
struct Screen {
    terminal: Box<dyn TermLike>,
    line: Mutex<Line>,
}

/// The line being written.
#[derive(Debug, Default)]
struct Line {
    /// Columns taken, blanks at the end included.
    taken: usize,
    /// Blanks at the end, not yet written.
    blanks: usize,
}

impl Screen {
    fn new(terminal: Box<dyn TermLike>) -> Self {
        Self { terminal, line: Mutex::default() }
    }

    fn line(&self) -> MutexGuard<'_, Line> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl TermLike for Screen {
    fn width(&self) -> u16 {
        // Two columns are the least that a wide character needs.
        self.terminal.width().saturating_sub(1).max(2)
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
        *self.line() = Line::default();
        self.terminal.write_line(text)
    }

    fn write_str(&self, text: &str) -> io::Result<()> {
        if text.is_empty() {
            return Ok(());
        }
        let mut line = self.line();
        if line.taken >= usize::from(self.width()) {
            self.terminal.write_line("")?;
            *line = Line::default();
        }
        line.taken += columns(text);
        if text.bytes().all(|byte| byte == b' ') {
            line.blanks += text.len();
            return Ok(());
        }
        let blanks = std::mem::take(&mut line.blanks);
        // Without wrapping (DECAWM): a window may have become narrower without
        // our knowing yet. Each frame drawn meanwhile would leave rows behind.
        let blanks = " ".repeat(blanks);
        self.terminal.write_str(&format!("\u{1b}[?7l{blanks}{text}\u{1b}[?7h"))
    }

    fn clear_line(&self) -> io::Result<()> {
        *self.line() = Line::default();
        self.terminal.clear_line()
    }

    fn flush(&self) -> io::Result<()> {
        self.terminal.flush()
    }
}
