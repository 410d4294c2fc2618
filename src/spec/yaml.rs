//! YAML text as a small tree of our own, every node with its place.
//!
//! Knows limits (a spec is untrusted input) and duplicate keys; knows nothing
//! of what a spec means. Scalars keep whether they were quoted, since an
//! unquoted `2026.10` is a number to every other reader of the file.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, Span, Tag};

use crate::model::problem::{Place, Problem, SourceFile};

/// Lists and mappings in one another.
const MAX_DEPTH: usize = 64;
/// Nodes of one file, what aliases repeat included.
const MAX_NODES: usize = 500_000;
/// Bytes of text that aliases of one file may repeat.
const MAX_ALIASED_BYTES: usize = 1 << 20;

/// One node. Empty values have the place of their key.
#[derive(Clone, Debug)]
pub(crate) struct YamlNode {
    /// Bytes of the file.
    pub(crate) span: Range<usize>,
    pub(crate) value: YamlValue,
}

/// What a node holds.
#[derive(Clone, Debug)]
pub(crate) enum YamlValue {
    Scalar {
        text: String,
        /// Written without quotes, so that YAML may read it as a number.
        plain: bool,
    },
    List(Vec<YamlNode>),
    /// In the order of the file, without duplicates: the first one stays.
    Map(Vec<(YamlNode, YamlNode)>),
}

/// What YAML's core schema (and older readers) make of an unquoted text.
pub(crate) fn plain_type(text: &str) -> Option<&'static str> {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Some("nothing"),
        "true" | "True" | "TRUE" | "false" | "False" | "FALSE" => return Some("a truth value"),
        _ => {}
    }
    let digits = text.trim_start_matches(['-', '+']);
    let looks = digits.starts_with(|c: char| c.is_ascii_digit() || c == '.');
    let bare = digits.replace('_', "");
    let number = looks
        && (bare.parse::<f64>().is_ok()
            || [("0x", 16), ("0o", 8), ("0b", 2)].iter().any(|(prefix, base)| {
                bare.strip_prefix(prefix).is_some_and(|n| u64::from_str_radix(n, *base).is_ok())
            })
            || matches!(bare.to_ascii_lowercase().as_str(), ".inf" | ".nan")
            || sexagesimal(&bare));
    number.then_some("a number")
}

/// YAML 1.1 reads `1:30` as 90.
fn sexagesimal(text: &str) -> bool {
    text.contains(':') && text.split(':').all(|p| !p.is_empty() && p.bytes().all(|b| b.is_ascii_digit()))
}

/// Reads one document. Duplicate keys are pushed and the later ones dropped;
/// a text that is no YAML at all, or breaks a limit, is pushed and gives `None`.
pub(crate) fn parse(file: &Arc<SourceFile>, problems: &mut Vec<Problem>) -> Option<YamlNode> {
    if let Some(at) = file.text.find(|c: char| c.is_control() && !matches!(c, '\t' | '\n' | '\r' | '\u{85}'))
    {
        let place = Place { file: file.clone(), span: at..at + 1 };
        problems.push(Problem::new("a control character cannot stand in YAML").at(&place).help("remove it"));
        return None;
    }
    let mut tree = TreeBuilder::new(file);
    let mut parser = Parser::new_from_str(&file.text);
    while let Some(event) = parser.next_event() {
        let taken = match event {
            Ok((event, span)) => tree.take(event, span),
            Err(error) => Err(tree.syntax(&error)),
        };
        if let Err(problem) = taken {
            problems.append(&mut tree.duplicates);
            problems.push(*problem);
            return None;
        }
    }
    problems.append(&mut tree.duplicates);
    if tree.done.is_none() {
        let place = Place { file: file.clone(), span: 0..0 };
        problems.push(Problem::new("the file is empty").at(&place).help("write at least one key"));
    }
    tree.done
}

/// Turns counted characters into bytes.
struct Bytes {
    /// Byte of each character; empty when all are one byte long.
    starts: Vec<usize>,
    len: usize,
}

impl Bytes {
    fn new(text: &str) -> Self {
        let starts =
            if text.is_ascii() { Vec::new() } else { text.char_indices().map(|(at, _)| at).collect() };
        Self { starts, len: text.len() }
    }

    fn at(&self, character: usize) -> usize {
        if self.starts.is_empty() {
            character.min(self.len)
        } else {
            self.starts.get(character).copied().unwrap_or(self.len)
        }
    }
}

/// A list or mapping whose end was not seen yet.
struct OpenNode {
    span: Range<usize>,
    anchor: usize,
    map: bool,
    /// Of a mapping: key, value, key, value, …
    items: Vec<YamlNode>,
    /// Deepest nesting below.
    height: usize,
    /// What was counted before it began.
    before: Count,
}

/// How much a node stands for.
#[derive(Clone, Copy, Default)]
struct Count {
    nodes: usize,
    bytes: usize,
}

struct Anchored {
    node: YamlNode,
    height: usize,
    count: Count,
}

struct TreeBuilder<'a> {
    file: &'a Arc<SourceFile>,
    bytes: Bytes,
    open: Vec<OpenNode>,
    anchors: HashMap<usize, Anchored>,
    count: Count,
    aliased_bytes: usize,
    duplicates: Vec<Problem>,
    documents: usize,
    done: Option<YamlNode>,
}

type TreeResult = Result<(), Box<Problem>>;

impl<'a> TreeBuilder<'a> {
    fn new(file: &'a Arc<SourceFile>) -> Self {
        Self {
            file,
            bytes: Bytes::new(&file.text),
            open: Vec::new(),
            anchors: HashMap::new(),
            count: Count::default(),
            aliased_bytes: 0,
            duplicates: Vec::new(),
            documents: 0,
            done: None,
        }
    }

    fn take(&mut self, event: Event<'_>, span: Span) -> TreeResult {
        let span = self.bytes.at(span.start.index())..self.bytes.at(span.end.index());
        match event {
            Event::DocumentStart(_) => self.document(&span),
            Event::Scalar(text, style, anchor, tag) => {
                self.no_tag(tag.as_deref(), &span)?;
                let plain = style == ScalarStyle::Plain;
                let count = self.counted(Count { nodes: 1, bytes: text.len() }, &span)?;
                let node = YamlNode { span, value: YamlValue::Scalar { text: text.into_owned(), plain } };
                self.add(node, anchor, 0, count);
                Ok(())
            }
            Event::SequenceStart(anchor, tag) => self.begin(span, anchor, tag.as_deref(), false),
            Event::MappingStart(anchor, tag) => self.begin(span, anchor, tag.as_deref(), true),
            Event::SequenceEnd | Event::MappingEnd => {
                self.end();
                Ok(())
            }
            Event::Alias(anchor) => self.alias(anchor, &span),
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => Ok(()),
        }
    }

    fn document(&mut self, span: &Range<usize>) -> TreeResult {
        self.documents += 1;
        if self.documents > 1 {
            let problem = Problem::new("a second document in one file").help("remove `---` and what follows");
            return Err(self.at(problem, span));
        }
        Ok(())
    }

    fn begin(&mut self, span: Range<usize>, anchor: usize, tag: Option<&Tag>, map: bool) -> TreeResult {
        self.no_tag(tag, &span)?;
        self.depth(1, &span)?;
        let before = self.count;
        self.counted(Count { nodes: 1, bytes: 0 }, &span)?;
        self.open.push(OpenNode { span, anchor, map, items: Vec::new(), height: 0, before });
        Ok(())
    }

    fn end(&mut self) {
        let Some(open) = self.open.pop() else { return };
        let value = if open.map { self.pairs(open.items) } else { YamlValue::List(open.items) };
        let count = Count {
            nodes: self.count.nodes - open.before.nodes,
            bytes: self.count.bytes - open.before.bytes,
        };
        self.add(YamlNode { span: open.span, value }, open.anchor, open.height + 1, count);
    }

    /// Keys and values in turn, as pairs; the later of two equal keys goes.
    fn pairs(&mut self, items: Vec<YamlNode>) -> YamlValue {
        let mut pairs: Vec<(YamlNode, YamlNode)> = Vec::with_capacity(items.len() / 2);
        let mut seen: HashMap<String, Range<usize>> = HashMap::new();
        let mut items = items.into_iter();
        while let (Some(key), Some(mut value)) = (items.next(), items.next()) {
            if let YamlValue::Scalar { text, .. } = &key.value {
                if let Some(first) = seen.get(text) {
                    let problem = self.duplicate(text, first, &key.span);
                    self.duplicates.push(problem);
                    continue;
                }
                seen.insert(text.clone(), key.span.clone());
            }
            if matches!(&value.value, YamlValue::Scalar { text, plain: true } if text.is_empty()) {
                value.span = key.span.clone();
            }
            pairs.push((key, value));
        }
        YamlValue::Map(pairs)
    }

    fn duplicate(&self, key: &str, first: &Range<usize>, second: &Range<usize>) -> Problem {
        let line = |span: &Range<usize>| self.place(span).line_column().0;
        Problem::new(format!(
            "the key `{key}` stands twice: in line {} and line {}",
            line(first),
            line(second)
        ))
        .at(&self.place(second))
        .label("the second one")
        .help("keep one of them")
    }

    fn alias(&mut self, anchor: usize, span: &Range<usize>) -> TreeResult {
        let Some(found) = self.anchors.get(&anchor) else {
            return Err(self.at(Problem::new("an alias within the value that it stands for"), span));
        };
        let (node, height, count) = (found.node.clone(), found.height, found.count);
        self.aliased_bytes = self.aliased_bytes.saturating_add(count.bytes);
        if self.aliased_bytes > MAX_ALIASED_BYTES {
            let problem = Problem::new(format!("aliases repeat more than {MAX_ALIASED_BYTES} bytes of text"))
                .help("write the values out, or split them");
            return Err(self.at(problem, span));
        }
        self.depth(height, span)?;
        let count = self.counted(count, span)?;
        self.add(node, 0, height, count);
        Ok(())
    }

    /// Puts a finished node where it belongs.
    fn add(&mut self, node: YamlNode, anchor: usize, height: usize, count: Count) {
        if anchor > 0 {
            self.anchors.insert(anchor, Anchored { node: node.clone(), height, count });
        }
        match self.open.last_mut() {
            Some(open) => {
                open.height = open.height.max(height);
                open.items.push(node);
            }
            None => self.done = Some(node),
        }
    }

    fn depth(&self, more: usize, span: &Range<usize>) -> TreeResult {
        if self.open.len() + more <= MAX_DEPTH {
            return Ok(());
        }
        let problem = Problem::new(format!("lists and mappings are nested more than {MAX_DEPTH} deep"));
        Err(self.at(problem.help("no part of a spec is that deep"), span))
    }

    fn counted(&mut self, count: Count, span: &Range<usize>) -> Result<Count, Box<Problem>> {
        self.count.nodes = self.count.nodes.saturating_add(count.nodes);
        self.count.bytes = self.count.bytes.saturating_add(count.bytes);
        if self.count.nodes > MAX_NODES {
            let problem = Problem::new(format!("the file stands for more than {MAX_NODES} values"))
                .help("aliases count as what they repeat; write fewer, or split the file");
            return Err(self.at(problem, span));
        }
        Ok(count)
    }

    fn no_tag(&self, tag: Option<&Tag>, span: &Range<usize>) -> TreeResult {
        let Some(tag) = tag else { return Ok(()) };
        let problem = Problem::new(format!("the type tag `{tag}` is not read"))
            .help("remove the tag; put text that looks like a number in quotes");
        Err(self.at(problem, span))
    }

    fn syntax(&self, error: &ScanError) -> Box<Problem> {
        let at = self.bytes.at(error.marker().index());
        let mut problem = Problem::new(format!("not valid YAML: {}", error.info()));
        if error.info().contains("tab") {
            problem = problem.help("indent with spaces");
        }
        self.at(problem, &(at..at))
    }

    fn at(&self, problem: Problem, span: &Range<usize>) -> Box<Problem> {
        Box::new(problem.at(&self.place(span)))
    }

    fn place(&self, span: &Range<usize>) -> Place {
        Place { file: self.file.clone(), span: span.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (Option<YamlNode>, Vec<String>) {
        let file = Arc::new(SourceFile::new("spec.yml", text));
        let mut problems = Vec::new();
        let node = parse(&file, &mut problems);
        let shown = problems.iter().map(|p| {
            let (line, column) = p.place.as_ref().unwrap().line_column();
            format!("{line}:{column} {}", p.message)
        });
        (node, shown.collect())
    }

    fn refused(text: &str) -> String {
        let (node, problems) = read(text);
        assert!(node.is_none(), "{problems:?}");
        problems.join("\n")
    }

    #[test]
    fn places_are_bytes_also_behind_other_alphabets_and_crlf() {
        let text = "# Größe 李雷\r\nä: [ü, \"é\"] # ß\r\nlast: 'x'\r\n";
        let (node, problems) = read(text);
        assert!(problems.is_empty(), "{problems:?}");
        let YamlValue::Map(pairs) = node.unwrap().value else { panic!("a mapping") };
        let slice = |node: &YamlNode| &text[node.span.clone()];
        assert_eq!(slice(&pairs[0].0), "ä");
        let YamlValue::List(items) = &pairs[0].1.value else { panic!("a list") };
        assert_eq!(items.iter().map(slice).collect::<Vec<_>>(), ["ü", "\"é\""]);
        assert_eq!((slice(&pairs[1].0), slice(&pairs[1].1)), ("last", "'x'"));
    }

    #[test]
    fn a_duplicate_key_names_both_lines() {
        let (node, problems) = read("a: 1\nb: 2\na: 3\n");
        assert_eq!(problems, ["3:1 the key `a` stands twice: in line 1 and line 3"]);
        let Some(YamlNode { value: YamlValue::Map(pairs), .. }) = node else { panic!("a mapping") };
        assert_eq!(pairs.len(), 2);
    }

    #[test]
    fn a_syntax_error_has_line_and_column() {
        assert!(refused("a: [1, 2\nb: 3\n").starts_with("2:"), "{}", refused("a: [1, 2\nb: 3\n"));
        assert!(refused("a: b: c\n").contains("not valid YAML"));
    }

    #[test]
    fn exploding_aliases_are_refused() {
        let mut nodes = String::from("l0: &l0 [x, x, x, x, x, x, x, x, x, x]\n");
        for level in 1..12 {
            let last = vec![format!("*l{}", level - 1); 10].join(", ");
            nodes += &format!("l{level}: &l{level} [{last}]\n");
        }
        assert!(refused(&nodes).contains("more than 500000 values"));

        let bytes = format!("a: &a {}\nb: [{}]\n", "x".repeat(100_000), vec!["*a"; 50].join(", "));
        assert!(refused(&bytes).contains("aliases repeat more than"));
    }

    #[test]
    fn an_alias_within_its_own_anchor_is_refused() {
        assert!(refused("a: &a [*a]\n").contains("alias within"));
    }

    #[test]
    fn depth_is_limited_also_through_aliases() {
        let nested = |n: usize| format!("{}{}", "[".repeat(n), "]".repeat(n));
        assert!(read(&format!("a: {}\n", nested(63))).0.is_some());
        assert!(refused(&format!("a: {}\n", nested(64))).contains("64 deep"));
        assert!(
            refused(&format!("a: &a {}\nb: [{}*a{}]\n", nested(40), "[".repeat(30), "]".repeat(30)))
                .contains("64 deep")
        );
    }

    #[test]
    fn type_tags_second_documents_and_control_characters_are_refused() {
        assert!(refused("a: !!python/object x\n").contains("type tag"));
        assert!(refused("a: 1\n---\nb: 2\n").starts_with("2:1 a second document"));
        assert!(refused("a: 1\0\nb: 2\n").contains("control character"));
        assert!(refused("# nothing\n").contains("empty"));
    }

    #[test]
    fn hostile_text_is_refused_in_no_time() {
        for text in ["[", "- ", "? ", "a: ", "{a: ", "&a ", "!x ", "* ", "\"", "%A\n", "[a,"] {
            let (_, problems) = read(&text.repeat(50_000));
            assert!(!problems.is_empty(), "{text}");
        }
    }
}
