//! A terminal as indicatif sees it: one column narrower, its lines ended.
//!
//! indicatif fills every line with blanks to the edge and lets the terminal
//! wrap. To the terminal, the whole frame is then one long line, which it wraps
//! anew when the window is made wider: the frame shrinks, and clearing it by its
//! number of lines would take lines above it that were to stay. Here blanks at
//! the end of a line are not written, and the wrap becomes a line end.

use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};

use indicatif::TermLike;

use crate::ui::text::columns;

/// See the module.
#[derive(Debug)]
pub(crate) struct Screen {
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
    pub(crate) fn new(terminal: Box<dyn TermLike>) -> Self {
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
