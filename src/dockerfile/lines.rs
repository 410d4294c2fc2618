//! A Dockerfile's text as instructions: directives, comments, continued
//! lines, flags and here-documents are dealt with here.
//!
//! Reads as BuildKit's parser does. Knows no instruction's meaning, but which
//! ones may carry here-documents.

use std::ops::Range;

use super::ESCAPE;

/// One instruction, its lines joined.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Line {
    /// Upper case: `COPY`.
    pub(crate) keyword: String,
    pub(crate) flags: Vec<Flag>,
    /// What follows the flags.
    pub(crate) args: String,
    /// Bytes of the text, without here-documents.
    pub(crate) span: Range<usize>,
    /// Where `args` stands in the text.
    origin: Origin,
}

/// A word at the head that begins with `--`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Flag {
    /// `--from=x`, quotes removed.
    pub(crate) word: String,
    /// Bytes of the text that write it, line ends within it included.
    pub(crate) span: Range<usize>,
}

impl Line {
    /// Bytes of the text that write a part of `args`.
    pub(super) fn span_of(&self, part: &str) -> Range<usize> {
        self.origin.span(part, &self.args)
    }
}

/// Where the bytes of joined lines stand in the text: from which byte on, and
/// where that one stands; one pair for each physical line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Origin(Vec<(usize, usize)>);

impl Origin {
    fn at(&self, joined: usize) -> usize {
        let (from, stands) = self.0.iter().rfind(|(from, _)| *from <= joined).copied().unwrap_or_default();
        stands + (joined - from)
    }

    /// Of a part, itself a slice of the whole that this is the origin of.
    fn span(&self, part: &str, whole: &str) -> Range<usize> {
        let start = offset(part, whole);
        // The end is that of the last byte: behind it another line may begin.
        let end = if part.is_empty() { self.at(start) } else { self.at(start + part.len() - 1) + 1 };
        self.at(start)..end
    }

    /// Of what is left when so many bytes at the head go.
    fn behind(&self, bytes: usize) -> Self {
        let later = self.0.iter().filter(|(from, _)| *from > bytes);
        let later = later.map(|(from, stands)| (from - bytes, *stands));
        Self([(0, self.at(bytes))].into_iter().chain(later).collect())
    }
}

/// Bytes before a part of a whole.
fn offset(part: &str, whole: &str) -> usize {
    part.as_ptr().addr() - whole.as_ptr().addr()
}

/// A Dockerfile cut into instructions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Lines {
    /// The value of `# syntax=`.
    pub(crate) syntax: Option<String>,
    /// `\`, or what `# escape=` says.
    pub(crate) escape: char,
    pub(crate) lines: Vec<Line>,
}

/// Why a text cannot be cut into instructions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SyntaxError {
    pub(crate) message: String,
    pub(crate) span: Range<usize>,
    pub(crate) help: String,
}

/// Cuts a whole text.
pub(super) fn read(text: &str) -> Result<Lines, SyntaxError> {
    let mut reader = Reader::new(text);
    let (syntax, escape) = reader.directives()?;
    reader.escape = escape;
    reader.own_frontend = syntax.is_none();
    let mut lines = Vec::new();
    while let Some(line) = reader.instruction()? {
        lines.push(line);
    }
    Ok(Lines { syntax, escape, lines })
}

/// Cuts one instruction out of an instruction: what follows ONBUILD.
pub(super) fn nested(line: &Line, escape: char) -> Line {
    split(&line.args, escape, &line.origin, line.span.clone())
}

struct Reader<'a> {
    text: &'a str,
    /// Byte where the next physical line begins.
    at: usize,
    escape: char,
    /// The engine's own front end reads this, which may know no here-documents.
    own_frontend: bool,
}

impl<'a> Reader<'a> {
    fn new(text: &'a str) -> Self {
        let at = if text.starts_with('\u{feff}') { '\u{feff}'.len_utf8() } else { 0 };
        Self { text, at, escape: ESCAPE, own_frontend: true }
    }

    /// The next physical line without its end, and where it begins.
    fn physical(&mut self) -> Option<(&'a str, usize)> {
        let rest = &self.text[self.at..];
        let start = self.at;
        if rest.is_empty() {
            return None;
        }
        let length = rest.find('\n').map_or(rest.len(), |i| i + 1);
        self.at += length;
        Some((rest[..length].trim_end_matches(['\r', '\n']), start))
    }

    /// `# syntax=`, `# escape=` and `# check=` stand before everything else.
    fn directives(&mut self) -> Result<(Option<String>, char), SyntaxError> {
        let (mut syntax, mut escape, mut seen) = (None, ESCAPE, Vec::new());
        loop {
            let before = self.at;
            let Some((line, start)) = self.physical() else { break };
            let Some((key, value)) = directive(line) else {
                self.at = before;
                break;
            };
            let syntax_error = |message: String, help: &str| SyntaxError {
                message,
                span: start..start + line.len(),
                help: help.into(),
            };
            if seen.contains(&key) {
                return Err(syntax_error(
                    format!("the directive `{key}` stands here twice"),
                    "keep one of them",
                ));
            }
            match key.as_str() {
                "syntax" => syntax = Some(value.to_owned()),
                "escape" => {
                    escape = match value {
                        "\\" => '\\',
                        "`" => '`',
                        _ => {
                            return Err(syntax_error(
                                format!("`{value}` cannot be the escape character"),
                                "write `\\` or a backtick",
                            ));
                        }
                    }
                }
                _ => {}
            }
            seen.push(key);
        }
        Ok((syntax, escape))
    }

    fn instruction(&mut self) -> Result<Option<Line>, SyntaxError> {
        while let Some((raw, start)) = self.physical() {
            let first = raw.trim_start();
            if first.is_empty() || first.starts_with('#') {
                continue;
            }
            let begin = start + (raw.len() - first.len());
            let (joined, origin, end) = self.joined(first, begin);
            if joined.trim().is_empty() {
                continue;
            }
            let line = split(&joined, self.escape, &origin, begin..end);
            self.heredocs(&line, &joined)?;
            return Ok(Some(line));
        }
        Ok(None)
    }

    /// The line with those that continue it, where they stand, and the byte
    /// where it ends.
    fn joined(&mut self, first: &str, begin: usize) -> (String, Origin, usize) {
        let (text, mut more) = self.continued(first);
        let mut joined = text.to_owned();
        let mut origin = Origin(vec![(0, begin)]);
        let mut end = begin + first.trim_end().len();
        while more {
            let Some((raw, start)) = self.physical() else { break };
            let trimmed = raw.trim_start();
            // Comments and empty lines within an instruction are left out.
            if trimmed.is_empty() || trimmed.starts_with('#') {
                continue;
            }
            let (text, again) = self.continued(raw);
            origin.0.push((joined.len(), start));
            joined.push_str(text);
            more = again;
            end = start + raw.trim_end().len();
        }
        (joined, origin, end)
    }

    /// A single escape character at the end continues the line; two do not.
    fn continued<'l>(&self, line: &'l str) -> (&'l str, bool) {
        match line.trim_end_matches([' ', '\t']).strip_suffix(self.escape) {
            Some(rest) if !rest.ends_with(self.escape) => (rest, true),
            _ => (line, false),
        }
    }

    /// Skips the here-documents an instruction announces.
    fn heredocs(&mut self, line: &Line, joined: &str) -> Result<(), SyntaxError> {
        let inner = (line.keyword == "ONBUILD").then(|| nested(line, self.escape));
        let line = inner.as_ref().unwrap_or(line);
        if !matches!(line.keyword.as_str(), "RUN" | "COPY" | "ADD") || json(&line.args).is_some() {
            return Ok(());
        }
        let behind = self.at;
        for doc in words(joined).iter().filter_map(|w| Heredoc::parse(w)) {
            loop {
                let Some((text, _)) = self.physical() else {
                    // Written for the shell, over continued lines: engines of the
                    // 20.10 age leave it to the shell, others refuse it themselves.
                    if self.own_frontend && self.text[line.span.clone()].contains('\n') {
                        self.at = behind;
                        return Ok(());
                    }
                    return Err(SyntaxError {
                        message: format!("the here-document `{}` has no end", doc.name),
                        span: line.span.clone(),
                        help: format!("write a line that holds only `{}` after it", doc.name),
                    });
                };
                let text = if doc.tabs { text.trim_start_matches('\t') } else { text };
                if text == doc.name {
                    break;
                }
            }
        }
        Ok(())
    }
}

fn directive(line: &str) -> Option<(String, &str)> {
    let (key, value) = line.trim_start().strip_prefix('#')?.split_once('=')?;
    let (key, value) = (key.trim().to_ascii_lowercase(), value.trim());
    (matches!(key.as_str(), "syntax" | "escape" | "check") && !value.is_empty()).then_some((key, value))
}

fn split(joined: &str, escape: char, origin: &Origin, span: Range<usize>) -> Line {
    let text = joined.trim();
    let (keyword, rest) = text.split_once(char::is_whitespace).unwrap_or((text, &text[text.len()..]));
    let (flags, args) = flags(rest, escape);
    let flags = flags.into_iter().map(|(word, raw)| Flag { word, span: origin.span(raw, joined) }).collect();
    let args = args.trim();
    let origin = origin.behind(offset(args, joined));
    Line { keyword: keyword.to_uppercase(), flags, args: args.to_owned(), span, origin }
}

/// The words at the head that begin with `--`, each without its quotes and
/// escapes and as it is written.
fn flags(text: &str, escape: char) -> (Vec<(String, &str)>, &str) {
    let mut flags = Vec::new();
    let mut rest = text.trim_start();
    while rest.starts_with("--") {
        let mut word = String::new();
        let mut quote = None;
        let mut chars = rest.char_indices();
        let mut end = rest.len();
        while let Some((i, c)) = chars.next() {
            match quote {
                None if c.is_whitespace() => {
                    end = i;
                    break;
                }
                None if c == '"' || c == '\'' => quote = Some(c),
                Some(q) if c == q => quote = None,
                _ if c == escape => word.extend(chars.next().map(|(_, c)| c)),
                _ => word.push(c),
            }
        }
        let (raw, behind) = rest.split_at(end);
        rest = behind;
        if word == "--" {
            break;
        }
        flags.push((word, raw));
        rest = rest.trim_start();
    }
    (flags, rest)
}

/// The strings of a JSON array; `None`: the text is not one. An array of
/// other things gives an empty list, which no instruction accepts.
pub(super) fn json(args: &str) -> Option<Vec<String>> {
    if !args.starts_with('[') {
        return None;
    }
    let values: Vec<serde_json::Value> = serde_json::from_str(args).ok()?;
    let strings: Option<Vec<String>> = values.iter().map(|v| v.as_str().map(str::to_owned)).collect();
    Some(strings.unwrap_or_default())
}

/// A word that announces a here-document: `<<EOF`, `3<<-'EOF'`.
pub(super) struct Heredoc {
    name: String,
    /// `<<-`: tabs before the end mark do not count.
    tabs: bool,
}

impl Heredoc {
    /// Reads a word; `None`: it is another word.
    pub(super) fn parse(word: &str) -> Option<Self> {
        let rest = word.trim_start_matches(|c: char| c.is_ascii_digit()).strip_prefix("<<")?;
        let (tabs, rest) = rest.strip_prefix('-').map_or((false, rest), |r| (true, r));
        let rest = rest.trim_start();
        if rest.contains('<') {
            return None;
        }
        let name: String = rest.chars().filter(|c| !matches!(c, '"' | '\'' | '\\')).collect();
        (!name.is_empty()).then_some(Self { name, tabs })
    }
}

/// Words of a line with quotes and escapes left in; an unbalanced quote makes
/// it a line without words, as BuildKit has it. `<< EOF` is one word.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut chars = line.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            c if c.is_whitespace() => {
                if !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
            }
            '\\' => word.extend([Some(c), chars.next()].into_iter().flatten()),
            '<' if chars.peek() == Some(&'<') => {
                word.push_str("<<");
                chars.next();
                while chars.next_if(|c| matches!(c, ' ' | '\t' | '\r')).is_some() {}
            }
            '"' | '\'' => {
                word.push(c);
                loop {
                    let Some(inner) = chars.next() else { return Vec::new() };
                    word.push(inner);
                    if inner == c {
                        break;
                    }
                    if inner == '\\' && c == '"' {
                        word.extend(chars.next());
                    }
                }
            }
            c => word.push(c),
        }
    }
    words.extend((!word.is_empty()).then_some(word));
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keywords(text: &str) -> Vec<String> {
        read(text).unwrap().lines.into_iter().map(|l| format!("{} {}", l.keyword, l.args)).collect()
    }

    #[test]
    fn continued_lines_are_joined_without_comments_and_empty_lines() {
        let text = "FROM a\nRUN one \\\n  # comment\n\n  && two \\  \n  && three\nRUN x \\\\\nRUN y";
        assert_eq!(keywords(text), ["FROM a", "RUN one   && two   && three", "RUN x \\\\", "RUN y"]);
    }

    #[test]
    fn a_here_document_is_not_read_as_instructions_wherever_it_is_announced() {
        for text in [
            "FROM a\nRUN cat <<EOF > /x\nFROM bad\nnonsense\nEOF\nRUN ls",
            "FROM a\nRUN <<EOF\nCOPY . .\nEOF\nRUN ls",
            "FROM a\nRUN cat <<A <<'B'\nx\nA\nCOPY . .\nB\nRUN ls",
            "FROM a\nRUN python3 <<-\"END\"\n\tCOPY\n\tEND\nRUN ls",
            "FROM a\nCOPY <<EOF /x\n$a\nEOF\nRUN ls",
            "FROM a\nONBUILD RUN cat << EOF\nCOPY . .\nEOF\nRUN ls",
            "FROM a\r\nRUN cat <<EOF\r\nx\r\nEOF\r\nRUN ls\r\n",
        ] {
            let lines = keywords(text);
            assert_eq!((lines.len(), lines[2].as_str()), (3, "RUN ls"), "{text}");
        }
    }

    #[test]
    fn what_only_looks_like_a_here_document_is_none() {
        for text in [
            "FROM a\nRUN echo '<<EOF'\nRUN ls",
            "FROM a\nRUN [\"cat\", \"<<EOF\"]\nRUN ls",
            "FROM a\nRUN cat <<<EOF\nRUN ls",
            "FROM a\nENV X=<<EOF\nRUN ls",
            "FROM a\nRUN echo $((1<<2<<3))\nRUN ls",
        ] {
            assert_eq!(keywords(text).len(), 3, "{text}");
        }
    }

    #[test]
    fn a_here_document_without_end_is_an_error_at_its_instruction() {
        let text = "FROM a\nRUN cat <<EOF\nx\n";
        let syntax_error = read(text).unwrap_err();
        assert_eq!(&text[syntax_error.span], "RUN cat <<EOF");
    }

    #[test]
    fn a_here_document_within_continued_lines_is_the_shells() {
        let text = "FROM a\nRUN echo <<EOF \\\n  hi \\\n  EOF > /o && \\\n  true\nRUN ls";
        assert_eq!(keywords(text)[2], "RUN ls");
        assert!(read(&format!("# syntax=docker/dockerfile:1\n{text}")).is_err());
        let ended = "FROM a\nRUN cat <<EOF \\\n  > /o\nhi\nEOF\nRUN ls";
        assert_eq!(keywords(ended)[2], "RUN ls");
    }

    #[test]
    fn directives_stand_first_and_once() {
        let lines = read("\u{feff}#syntax = docker/dockerfile:1\n# escape=`\nFROM a\nRUN x `\n y").unwrap();
        assert_eq!((lines.syntax.as_deref(), lines.escape), (Some("docker/dockerfile:1"), '`'));
        assert_eq!(lines.lines.len(), 2);
        assert_eq!(read("# hello\n# escape=`\nFROM a").unwrap().escape, '\\');
        assert!(read("# escape=x\nFROM a").is_err());
        assert!(read("# syntax=a\n# syntax=b\nFROM a").is_err());
    }

    #[test]
    fn flags_are_split_off_with_their_quotes_removed() {
        let lines = read("FROM a\nRUN --mount=type=bind,\"source=a b\" --network=none echo --x").unwrap();
        let flags: Vec<_> = lines.lines[1].flags.iter().map(|flag| flag.word.as_str()).collect();
        assert_eq!(flags, ["--mount=type=bind,source=a b", "--network=none"]);
        assert_eq!(lines.lines[1].args, "echo --x");
    }

    #[test]
    fn a_span_covers_the_instruction_also_behind_a_byte_order_mark() {
        let text = "\u{feff}\n  FROM a\nRUN x \\\n  y  \n";
        let spans: Vec<&str> = read(text).unwrap().lines.iter().map(|l| &text[l.span.clone()]).collect();
        assert_eq!(spans, ["FROM a", "RUN x \\\n  y"]);
    }
}
