//! How output may look: which kind of progress, colours, characters, width.
//!
//! Knows no terminal and no environment: `cli` reads the facts once, and all
//! is decided from them.

use clap::ValueEnum;
use console::Style;

/// `--progress` as a person types it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum ProgressMode {
    /// Bars on a terminal, plain lines elsewhere.
    #[default]
    Auto,
    /// One line for each running image, drawn again and again.
    Bars,
    /// Lines that stay, for logs.
    Plain,
    /// One event a line on stdout, as JSON.
    Json,
    /// Failures and the final line.
    Quiet,
}

/// What a [`ProgressMode`] comes to on this terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    Bars,
    Plain,
    Json,
    Quiet,
}

/// What is known of where output goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Terminals {
    pub(crate) stdout_terminal: bool,
    pub(crate) stderr_terminal: bool,
    /// `CI` is set and not empty.
    pub(crate) ci: bool,
    /// `TERM` is `dumb`.
    pub(crate) dumb: bool,
    /// `NO_COLOR` is set and not empty (<https://no-color.org>).
    pub(crate) no_color: bool,
    /// The locale's character set is UTF-8.
    pub(crate) utf8: bool,
    /// Columns of the terminal; none if there is no terminal.
    pub(crate) columns: Option<usize>,
}

impl ProgressMode {
    /// What is shown. Bars that were asked for where no cursor can be moved
    /// become plain lines: drawn, they would be nothing or rubbish.
    pub(crate) fn resolve(self, terminals: &Terminals) -> Progress {
        let can_draw = terminals.stderr_terminal && !terminals.dumb;
        match self {
            Self::Json => Progress::Json,
            Self::Quiet => Progress::Quiet,
            Self::Bars if can_draw => Progress::Bars,
            Self::Auto if can_draw && !terminals.ci => Progress::Bars,
            Self::Auto | Self::Bars | Self::Plain => Progress::Plain,
        }
    }
}

impl Terminals {
    /// How stdout may look.
    pub(crate) fn stdout_style(&self) -> OutputStyle {
        self.style(self.stdout_terminal)
    }

    /// How stderr may look.
    pub(crate) fn stderr_style(&self) -> OutputStyle {
        self.style(self.stderr_terminal)
    }

    fn style(&self, terminal: bool) -> OutputStyle {
        if !terminal {
            return OutputStyle::default();
        }
        OutputStyle { colour: !self.no_color && !self.dumb, unicode: self.utf8, width: self.columns }
    }
}

/// How one output may look. The default is for files and pipes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct OutputStyle {
    /// Colours may be used.
    pub(crate) colour: bool,
    /// Characters beyond ASCII may be used for ornament.
    pub(crate) unicode: bool,
    /// Columns to keep to; none: lines may be of any length.
    pub(crate) width: Option<usize>,
}

impl OutputStyle {
    /// What went well.
    pub(crate) fn good(&self, text: &str) -> String {
        self.paint(Style::new().green(), text)
    }

    /// What went wrong.
    pub(crate) fn bad(&self, text: &str) -> String {
        self.paint(Style::new().red().bold(), text)
    }

    /// What deserves a glance.
    pub(crate) fn warn(&self, text: &str) -> String {
        self.paint(Style::new().yellow(), text)
    }

    /// What may be skipped.
    pub(crate) fn weak(&self, text: &str) -> String {
        self.paint(Style::new().dim(), text)
    }

    /// What is looked for.
    pub(crate) fn strong(&self, text: &str) -> String {
        self.paint(Style::new().bold(), text)
    }

    /// One of two spellings: with ornament, or in ASCII.
    pub(crate) fn either(&self, unicode: &'static str, ascii: &'static str) -> &'static str {
        if self.unicode { unicode } else { ascii }
    }

    fn paint(&self, style: Style, text: &str) -> String {
        // Forced both ways: the library would otherwise ask the environment.
        style.force_styling(self.colour).apply_to(text).to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TERMINAL: Terminals = Terminals {
        stdout_terminal: true,
        stderr_terminal: true,
        ci: false,
        dumb: false,
        no_color: false,
        utf8: true,
        columns: Some(80),
    };

    #[test]
    fn bars_are_drawn_on_a_terminal_only() {
        let cases = [
            (ProgressMode::Auto, TERMINAL, Progress::Bars),
            (ProgressMode::Auto, Terminals { ci: true, ..TERMINAL }, Progress::Plain),
            (ProgressMode::Auto, Terminals { dumb: true, ..TERMINAL }, Progress::Plain),
            (ProgressMode::Auto, Terminals { stderr_terminal: false, ..TERMINAL }, Progress::Plain),
            (ProgressMode::Auto, Terminals { stdout_terminal: false, ..TERMINAL }, Progress::Bars),
            (ProgressMode::Bars, Terminals { ci: true, ..TERMINAL }, Progress::Bars),
            (ProgressMode::Bars, Terminals { dumb: true, ..TERMINAL }, Progress::Plain),
            (ProgressMode::Bars, Terminals { stderr_terminal: false, ..TERMINAL }, Progress::Plain),
            (ProgressMode::Plain, TERMINAL, Progress::Plain),
            (ProgressMode::Json, TERMINAL, Progress::Json),
            (ProgressMode::Quiet, TERMINAL, Progress::Quiet),
        ];
        for (mode, terminals, progress) in cases {
            assert_eq!(mode.resolve(&terminals), progress, "{mode:?} with {terminals:?}");
        }
    }

    #[test]
    fn colours_need_a_terminal_that_may_have_them() {
        assert!(TERMINAL.stdout_style().colour);
        assert!(!Terminals { no_color: true, ..TERMINAL }.stdout_style().colour);
        assert!(!Terminals { dumb: true, ..TERMINAL }.stdout_style().colour);
        let piped = Terminals { stdout_terminal: false, ..TERMINAL };
        assert_eq!(piped.stdout_style(), OutputStyle::default());
        assert!(piped.stderr_style().colour);
    }

    #[test]
    fn text_without_colour_is_the_text() {
        assert_eq!(OutputStyle::default().bad("x"), "x");
        assert_eq!(OutputStyle { colour: true, ..OutputStyle::default() }.good("x"), "\u{1b}[32mx\u{1b}[0m");
    }
}
