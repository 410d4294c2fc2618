//! Reads the text of a catalogue: AIME's `ml_images.repo`, or our own form.
//!
//! AIME's is `Framework, version, [ARCH;ARCH], image` a line, without a header;
//! older files write one architecture without brackets. Ours begins with the
//! line `ds01-catalogue 1` and has four words a line, see `builtin.txt`. In
//! both, empty lines and those that begin with `#` say nothing.

use std::collections::HashMap;
use std::sync::Arc;

use super::{Catalog, CatalogRow};
use crate::model::problem::{Place, Problem, SourceFile};
use crate::model::reference::Reference;

/// The first line of our own form.
const OWN_FORM: &str = "ds01-catalogue 1";

/// Longest framework, version or architecture: they stand in labels.
const MAX_WORD: usize = 64;

/// What a file says, and all that is wrong with it.
#[derive(Debug)]
pub(crate) struct ParsedCatalog {
    /// The rows that are right.
    pub(crate) catalog: Catalog,
    /// Rows that are not, each with its line.
    pub(crate) errors: Vec<Problem>,
    /// Rows that never count, since a row above says the same.
    pub(crate) warnings: Vec<Problem>,
}

/// A part of the text, without blanks around it.
#[derive(Clone, Copy)]
struct TextPart<'t> {
    text: &'t str,
    /// Its first byte.
    at: usize,
}

impl<'t> TextPart<'t> {
    fn new(text: &'t str, at: usize) -> Self {
        let start = text.len() - text.trim_start().len();
        Self { text: text.trim(), at: at + start }
    }

    /// The parts between separators.
    fn split(self, is_separator: fn(char) -> bool) -> Vec<Self> {
        let first = self.text.as_ptr().addr();
        let part = |text: &'t str| Self::new(text, self.at + text.as_ptr().addr() - first);
        self.text.split(is_separator).map(part).collect()
    }

    fn place(self, file: &Arc<SourceFile>) -> Place {
        Place { file: file.clone(), span: self.at..self.at + self.text.len() }
    }
}

/// Reads either form.
pub(crate) fn read(file: &Arc<SourceFile>) -> ParsedCatalog {
    let mut rows = Vec::new();
    let mut errors = Vec::new();
    let mut own = false;
    for (number, line) in lines(&file.text).into_iter().enumerate() {
        if line.text == OWN_FORM && rows.is_empty() {
            own = true;
        } else if !line.text.is_empty() && !line.text.starts_with('#') {
            let row = if own { own_fields(line) } else { aime_fields(line) };
            match row.and_then(|fields| checked(&fields, number + 1)) {
                Ok(row) => rows.push((row, line)),
                Err(wrong) => errors.extend(wrong.into_iter().map(|wrong| wrong.problem(file))),
            }
        }
    }
    if rows.is_empty() && errors.is_empty() {
        let start = Place { file: file.clone(), span: 0..0 };
        let help = "write one row a line: Framework, version, [ARCH;ARCH], image";
        errors.push(Problem::new("a catalogue without rows").at(&start).help(help));
    }
    let warnings = repeated(&rows, file);
    let rows = rows.into_iter().map(|(row, _)| row).collect();
    ParsedCatalog { catalog: Catalog { rows, file: Some(file.path.clone()) }, errors, warnings }
}

fn lines(text: &str) -> Vec<TextPart<'_>> {
    // What some editors put before UTF-8.
    let body = text.strip_prefix('\u{feff}').unwrap_or(text);
    TextPart { text: body, at: text.len() - body.len() }.split(|c| c == '\n')
}

/// The four fields of a row, the architectures taken apart.
struct RowFields<'t> {
    framework: TextPart<'t>,
    version: TextPart<'t>,
    archs: Vec<TextPart<'t>>,
    image: TextPart<'t>,
}

/// Something wrong with a part of a line.
struct RowError<'t> {
    at: TextPart<'t>,
    message: String,
    help: &'static str,
}

impl RowError<'_> {
    fn problem(self, file: &Arc<SourceFile>) -> Problem {
        Problem::new(self.message).at(&self.at.place(file)).help(self.help)
    }
}

const AIME_ROW: &str = "write: Framework, version, [ARCH;ARCH], image";

/// `Framework, version, [ARCH;ARCH], image`, or one architecture without brackets.
fn aime_fields(line: TextPart) -> Result<RowFields, Vec<RowError>> {
    let parts = line.split(|c| c == ',');
    let [framework, version, archs, image] = parts[..] else {
        let message = format!("a row has 4 fields with commas between them, this one has {}", parts.len());
        return Err(vec![RowError { at: line, message, help: AIME_ROW }]);
    };
    let inner = archs.text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let inner = match inner {
        Some(inner) => TextPart::new(inner, archs.at + 1),
        None if archs.text.contains(['[', ']']) => {
            let message = format!("the brackets of `{}` do not match", shown(archs.text));
            return Err(vec![RowError { at: archs, message, help: "write [ARCH;ARCH]" }]);
        }
        None => archs,
    };
    Ok(RowFields { framework, version, archs: inner.split(|c| c == ';'), image })
}

/// Four words; the architectures are joined by commas.
fn own_fields(line: TextPart) -> Result<RowFields, Vec<RowError>> {
    let words = line.split(char::is_whitespace);
    let words: Vec<_> = words.into_iter().filter(|word| !word.text.is_empty()).collect();
    let [framework, version, archs, image] = words[..] else {
        let message = format!("a row has 4 words, this one has {}", words.len());
        return Err(vec![RowError { at: line, message, help: "write: Framework version ARCH,ARCH image" }]);
    };
    Ok(RowFields { framework, version, archs: archs.split(|c| c == ','), image })
}

fn checked<'t>(fields: &RowFields<'t>, line: usize) -> Result<CatalogRow, Vec<RowError<'t>>> {
    let mut wrong = Vec::new();
    let mut word = |what: &str, part: TextPart<'t>| {
        wrong.extend(not_a_word(what, part));
        part.text.to_owned()
    };
    let framework = word("a framework", fields.framework);
    let version = word("a version", fields.version);
    let archs = fields.archs.iter().map(|part| word("an architecture", *part)).collect();
    let image = Reference::parse(fields.image.text).map_err(|why| {
        let message = format!("`{}` is no image reference: {why}", shown(fields.image.text));
        wrong.push(RowError { at: fields.image, message, help: "write host:port/name:tag" });
    });
    match image {
        Ok(image) if wrong.is_empty() => Ok(CatalogRow { framework, version, archs, image, line }),
        _ => Err(wrong),
    }
}

/// What stands in labels and on command lines is a word.
fn not_a_word<'t>(what: &str, part: TextPart<'t>) -> Option<RowError<'t>> {
    let text = part.text;
    let inner = text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._+-".contains(&b));
    if inner && text.len() <= MAX_WORD && text.starts_with(|c: char| c.is_ascii_alphanumeric()) {
        return None;
    }
    let message = match text {
        "" => format!("{what} is missing"),
        _ => format!("`{}` cannot be {what}", shown(text)),
    };
    Some(RowError { at: part, message, help: "use letters, digits, `.`, `_`, `+` and `-`, at most 64" })
}

/// Text for messages: long ones are cut.
fn shown(text: &str) -> String {
    let cut: String = text.chars().take(60).collect();
    format!("{}{}", cut.escape_debug(), if cut.len() < text.len() { "…" } else { "" })
}

/// Keys that were there before, in a row above or in the same row.
fn repeated(rows: &[(CatalogRow, TextPart)], file: &Arc<SourceFile>) -> Vec<Problem> {
    let mut first = HashMap::new();
    let mut warnings = Vec::new();
    for (row, part) in rows {
        for arch in &row.archs {
            let key = [&row.framework, &row.version, arch].map(|text| text.to_ascii_lowercase());
            let Some(line) = first.get(&key) else {
                first.insert(key, row.line);
                continue;
            };
            let named = format!("{} {} for {arch}", row.framework, row.version);
            let problem = if *line == row.line {
                Problem::new(format!("{named} stands twice in this row")).help("write it once")
            } else {
                Problem::new(format!("{named} stands in line {line} already"))
                    .help(format!("line {line} is the one that counts; remove the other"))
            };
            warnings.push(problem.at(&part.place(file)));
        }
    }
    warnings
}
