//! The part of a Dockerfile that the fake engine acts on: stages, what they
//! are based on, and commands. Instructions that only touch the config are passed
//! over.

use std::collections::BTreeMap;

use parse_dockerfile::{Command, Dockerfile, Flag, Instruction, Span, Stage};

/// What building a stage takes.
#[derive(Debug, Default)]
pub(crate) struct Script {
    /// The image its chain of stages begins with; `None`: nothing.
    pub(crate) base: Option<String>,
    /// Other images that are copied from.
    pub(crate) reads: Vec<String>,
    /// Steps of all stages that are needed, in order.
    pub(crate) steps: Vec<Step>,
    /// Instructions that made a layer, from the base up.
    pub(crate) layers: Vec<String>,
}

/// An instruction that is carried out.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    /// The instruction in one line.
    pub(crate) text: String,
    /// What a shell would run; empty for copies.
    pub(crate) script: String,
    /// First and last line, from 1.
    pub(crate) lines: (usize, usize),
}

/// Reads what building `target` (`None`: the last stage) takes.
///
/// # Errors
/// What is wrong with the Dockerfile.
pub(crate) fn read(
    text: &str,
    target: Option<&str>,
    args: &BTreeMap<String, String>,
) -> Result<Script, String> {
    let file = parse_dockerfile::parse(text).map_err(|e| e.to_string())?;
    let reader = Reader { text, globals: globals(&file, args), stages: file.stages().collect() };
    let last = reader.stages.len().checked_sub(1).ok_or("the file has no stage")?;
    let wanted = match target {
        Some(name) => {
            reader.earlier(name, last + 1).ok_or(format!("target stage `{name}` could not be found"))?
        }
        None => last,
    };
    let mut script = Script::default();
    reader.stage(wanted, &mut Vec::new(), &mut script);
    Ok(script)
}

struct Reader<'a, 'b> {
    text: &'a str,
    globals: BTreeMap<String, String>,
    stages: Vec<Stage<'a, 'b>>,
}

impl Reader<'_, '_> {
    /// Adds what a stage needs; `done` are those already added.
    fn stage(&self, n: usize, done: &mut Vec<usize>, script: &mut Script) {
        let from = expand(&self.stages[n].from.image.value, &self.globals);
        match self.earlier(&from, n) {
            Some(below) => self.once(below, done, script),
            None => script.base = Some(from).filter(|name| name != "scratch"),
        }
        for instruction in self.stages[n].instructions {
            let (options, span) = match instruction {
                Instruction::Run(run) => {
                    let (shell, span) = match &run.arguments {
                        Command::Shell(text) => (text.value.replace("\\\n", " "), text.span.clone()),
                        Command::Exec(words) => {
                            (join(words.value.iter().map(|w| &*w.value)), words.span.clone())
                        }
                        _ => continue,
                    };
                    self.push(run.run.span.start..span.end, shell, script);
                    continue;
                }
                Instruction::Copy(copy) => (&copy.options, copy.copy.span.start..copy.dest.span.end),
                Instruction::Add(add) => (&add.options, add.add.span.start..add.dest.span.end),
                _ => continue,
            };
            if let Some(source) = options.iter().find_map(from_flag) {
                match self.earlier(&source, n) {
                    Some(stage) => self.aside(stage, done, script),
                    None => script.reads.push(expand(&source, &self.globals)),
                }
            }
            self.push(span, String::new(), script);
        }
        done.push(n);
    }

    fn once(&self, n: usize, done: &mut Vec<usize>, script: &mut Script) {
        if done.contains(&n) {
            // Its steps run once, but its layers are below this stage too.
            let mut again = Script::default();
            self.stage(n, &mut Vec::new(), &mut again);
            (script.base, script.layers) = (again.base, again.layers);
        } else {
            self.stage(n, done, script);
        }
    }

    /// A stage that is only copied from: its steps run, its layers stay out.
    fn aside(&self, n: usize, done: &mut Vec<usize>, script: &mut Script) {
        if done.contains(&n) {
            return;
        }
        let mut other = Script::default();
        self.stage(n, done, &mut other);
        script.steps.append(&mut other.steps);
        script.reads.append(&mut other.reads);
        script.reads.extend(other.base);
    }

    fn push(&self, span: Span, shell: String, script: &mut Script) {
        let written = self.text.get(span.clone()).unwrap_or_default();
        let text = join(written.split_whitespace().filter(|word| *word != "\\"));
        let line = |at: usize| self.text.get(..at).unwrap_or_default().matches('\n').count() + 1;
        script.layers.push(text.clone());
        script.steps.push(Step { text, script: shell, lines: (line(span.start), line(span.end)) });
    }

    /// The stage before `n` of this name or number.
    fn earlier(&self, name: &str, n: usize) -> Option<usize> {
        let named = |stage: &Stage<'_, '_>| {
            stage.from.as_.as_ref().is_some_and(|(_, as_)| as_.value.eq_ignore_ascii_case(name))
        };
        let by_name = self.stages.iter().take(n).rposition(named);
        by_name.or_else(|| name.parse().ok().filter(|number| *number < n))
    }
}

fn from_flag(flag: &Flag<'_>) -> Option<String> {
    (flag.name.value == "from").then(|| flag.value.as_ref().map(|value| value.value.to_string()))?
}

/// `ARG`s before the first stage: their defaults, unless sent.
fn globals(file: &Dockerfile<'_>, sent: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let mut known = BTreeMap::new();
    for arg in file.global_args() {
        for word in arg.arguments.value.split_whitespace() {
            let (name, default) = word.split_once('=').unwrap_or((word, ""));
            let default = expand(default.trim_matches('"'), &known);
            known.insert(name.to_owned(), sent.get(name).cloned().unwrap_or(default));
        }
    }
    known
}

/// `$X`, `${X}` and `${X:-default}`; an unknown one is empty.
fn expand(text: &str, known: &BTreeMap<String, String>) -> String {
    let Some((before, rest)) = text.split_once('$') else { return text.to_owned() };
    let (name, default, rest) = match rest.strip_prefix('{').and_then(|inner| inner.split_once('}')) {
        Some((inner, rest)) => {
            let (name, default) = inner.split_once(":-").unwrap_or((inner, ""));
            (name, default, rest)
        }
        None => {
            let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
            (&rest[..end], "", &rest[end..])
        }
    };
    let value = known.get(name).filter(|value| !value.is_empty()).map_or(default, String::as_str);
    format!("{before}{value}{}", expand(rest, known))
}

fn join<'a>(words: impl Iterator<Item = &'a str>) -> String {
    words.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn the_base_is_what_the_args_say() {
        let text = "ARG BASE_TAG=latest\nFROM reg:5000/x:${BASE_TAG}\n";
        assert_eq!(read(text, None, &args(&[])).unwrap().base.as_deref(), Some("reg:5000/x:latest"));
        let sent = args(&[("BASE_TAG", "1")]);
        assert_eq!(read(text, None, &sent).unwrap().base.as_deref(), Some("reg:5000/x:1"));
    }

    #[test]
    fn only_the_stages_that_are_needed_are_built() {
        let text = "FROM a AS one\nRUN exit 1\nFROM b AS two\nRUN echo 2\nFROM c\nCOPY --from=two /x /x\n";
        let script = read(text, None, &args(&[])).unwrap();
        let steps: Vec<_> = script.steps.iter().map(|step| step.text.as_str()).collect();
        assert_eq!(steps, ["RUN echo 2", "COPY --from=two /x /x"]);
        assert_eq!((script.base.as_deref(), script.reads), (Some("c"), vec!["b".to_owned()]));
        assert_eq!(script.layers, ["COPY --from=two /x /x"]);
        assert_eq!(read(text, Some("one"), &args(&[])).unwrap().steps[0].lines, (2, 2));
        assert!(read(text, Some("three"), &args(&[])).is_err());
    }

    #[test]
    fn a_continued_command_is_one_step() {
        let script = read("FROM scratch\nRUN true && \\\n    exit 3\n", None, &args(&[])).unwrap();
        assert_eq!(script.base, None);
        assert_eq!(script.steps[0].text, "RUN true && exit 3");
        assert_eq!(script.steps[0].lines, (2, 3));
    }
}
