//! Problems of a spec or Dockerfile as people and programs read them.
//!
//! All are shown, in the order of files and places. The excerpts are drawn by
//! miette; what is quoted may be anyone's text and is made harmless first.

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use miette::{
    Diagnostic, GraphicalReportHandler, GraphicalTheme, LabeledSpan, MietteError, MietteSpanContents,
    SourceCode, SourceSpan, SpanContents, ThemeCharacters, ThemeStyles,
};
use serde::Serialize;

use super::human::count;
use super::style::OutputStyle;
use super::text::{clean, sanitize};
use crate::model::problem::{Place, Problem, SourceFile};

/// Columns where nothing says how wide the output is.
const WIDTH: usize = 100;

/// Problems drawn with their excerpts. Drawing one reads its whole file, and
/// nobody mends more than this before looking again.
const DRAWN: usize = 50;

/// The first problems, each with its excerpt; and, of several, how many there are.
pub(crate) fn render(problems: &[Problem], style: &OutputStyle) -> String {
    let characters = if style.unicode { ThemeCharacters::unicode() } else { ThemeCharacters::ascii() };
    let styles = if style.colour { ThemeStyles::ansi() } else { ThemeStyles::none() };
    let handler = GraphicalReportHandler::new_themed(GraphicalTheme { characters, styles })
        .with_links(false)
        .with_width(style.width.unwrap_or(WIDTH));
    let mut out = String::new();
    let ordered = in_order(problems);
    let mut texts = HashMap::new();
    for problem in ordered.iter().take(DRAWN) {
        let drawn = Drawn::new(problem, &mut texts);
        let mut text = String::new();
        if handler.render_report(&mut text, &drawn).is_err() {
            // A place that the library cannot draw still has its line.
            text = format!("{}\n", bare(problem));
        }
        let lines = text.trim_matches('\n').lines().map(str::trim_end);
        lines.for_each(|line| out.extend([line, "\n"]));
        out.push('\n');
    }
    if problems.len() > DRAWN {
        out.push_str(&format!("and {} more; --json lists them all\n", problems.len() - DRAWN));
    }
    if problems.len() > 1 { out + &counted(problems) + "\n" } else { out.trim_end().to_owned() + "\n" }
}

/// The line of numbers: `3 problems in 2 files`.
pub(crate) fn counted(problems: &[Problem]) -> String {
    let files = files_of(problems).len() as u64;
    let number = count(problems.len(), "problem");
    if files == 0 { number } else { format!("{number} in {}", count(files, "file")) }
}

/// A problem for programs. Line and column count from 1, the column in
/// characters; none of the three is there if the problem has no place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct ProblemFact {
    pub(crate) file: Option<String>,
    pub(crate) line: Option<usize>,
    pub(crate) column: Option<usize>,
    pub(crate) message: String,
    pub(crate) label: Option<String>,
    pub(crate) help: Option<String>,
}

/// All problems for programs, in the order in which people see them.
pub(crate) fn facts(problems: &[Problem]) -> Vec<ProblemFact> {
    let fact = |problem: &Problem| {
        let at = problem.place.as_ref().map(Place::line_column);
        ProblemFact {
            file: problem.place.as_ref().map(|place| place.file.path.display().to_string()),
            line: at.map(|(line, _)| line),
            column: at.map(|(_, column)| column),
            message: problem.message.clone(),
            label: problem.label.clone(),
            help: problem.help.clone(),
        }
    };
    in_order(problems).into_iter().map(fact).collect()
}

/// Each file, and as which it comes.
fn files_of(problems: &[Problem]) -> HashMap<&PathBuf, usize> {
    let mut files = HashMap::new();
    for place in problems.iter().filter_map(|problem| problem.place.as_ref()) {
        let next = files.len();
        files.entry(&place.file.path).or_insert(next);
    }
    files
}

/// Files as they first come, places from top to bottom; what has no place
/// first.
fn in_order(problems: &[Problem]) -> Vec<&Problem> {
    let files = files_of(problems);
    let mut sorted: Vec<_> = problems.iter().collect();
    sorted.sort_by_key(|problem| {
        problem.place.as_ref().map(|place| (files[&place.file.path], place.span.start))
    });
    sorted
}

fn bare(problem: &Problem) -> String {
    let mut text = clean(&problem.message);
    if let Some(place) = &problem.place {
        let (line, column) = place.line_column();
        text = format!("{}:{line}:{column}: {text}", place.file.path.display());
    }
    match &problem.help {
        Some(help) => format!("{text}\n  help: {}", clean(help)),
        None => text,
    }
}

/// A problem as miette wants it.
#[derive(Debug)]
struct Drawn {
    message: String,
    help: Option<String>,
    label: Option<LabeledSpan>,
    source: Option<Source>,
}

/// Texts made harmless, by their file.
type Texts = HashMap<*const SourceFile, Arc<str>>;

impl Drawn {
    fn new(problem: &Problem, texts: &mut Texts) -> Self {
        let label = problem.place.as_ref().map(|place| {
            let span = span_within(place);
            LabeledSpan::new(problem.label.as_deref().map(clean), span.start, span.len())
        });
        Self {
            message: lines(&problem.message),
            help: problem.help.as_deref().map(lines),
            label,
            source: problem.place.as_ref().map(|place| Source::new(place, texts)),
        }
    }
}

fn lines(text: &str) -> String {
    text.lines().map(clean).collect::<Vec<_>>().join("\n")
}

/// The place's bytes, kept within the text and between characters.
fn span_within(place: &Place) -> std::ops::Range<usize> {
    let text = &place.file.text;
    let start = text.floor_char_boundary(place.span.start.min(text.len()));
    let end = text.ceil_char_boundary(place.span.end.clamp(start, text.len()));
    start..end
}

impl fmt::Display for Drawn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Drawn {}

impl Diagnostic for Drawn {
    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.help.as_ref().map(|help| Box::new(help) as Box<dyn fmt::Display>)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.source.as_ref().map(|source| source as &dyn SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        self.label.clone().map(|label| Box::new(std::iter::once(label)) as Box<dyn Iterator<Item = _>>)
    }
}

/// A text with its name, and with columns counted in characters: miette counts
/// bytes.
#[derive(Debug)]
struct Source {
    name: String,
    text: Arc<str>,
    column: usize,
}

impl Source {
    fn new(place: &Place, texts: &mut Texts) -> Self {
        let text = texts.entry(Arc::as_ptr(&place.file)).or_insert_with(|| sanitize(&place.file.text).into());
        Self {
            name: clean(&place.file.path.display().to_string()),
            text: text.clone(),
            column: place.line_column().1 - 1,
        }
    }
}

impl SourceCode for Source {
    fn read_span<'a>(
        &'a self,
        span: &SourceSpan,
        before: usize,
        after: usize,
    ) -> Result<Box<dyn SpanContents<'a> + 'a>, MietteError> {
        let found = self.text.as_ref().read_span(span, before, after)?;
        // Asked without lines around it, the place itself is meant.
        let column = if before == 0 { self.column } else { found.column() };
        let (line, lines) = (found.line(), found.line_count());
        let data = self.text.as_bytes();
        let part = found.span().offset()..found.span().offset() + found.span().len();
        let contents = MietteSpanContents::new_named(
            self.name.clone(),
            data.get(part).unwrap_or_default(),
            *found.span(),
            line,
            column,
            lines,
        );
        Ok(Box::new(contents))
    }
}
