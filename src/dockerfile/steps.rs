//! What an instruction means for us: arguments, variables, what it reads.
//!
//! Everything else (CMD, LABEL, WORKDIR, …) is the build's business.

use super::lines::{self, Flag, Heredoc, Line};
use super::{Token, form};
use crate::model::problem::{Place, Problem};

/// An instruction of a stage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Step {
    pub(crate) kind: Instruction,
    pub(crate) place: Place,
}

/// The parts that matter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Instruction {
    /// `ARG NAME[=default] …`.
    Arg(Vec<(String, Option<String>)>),
    /// `ENV NAME=value …`.
    Env(Vec<(String, String)>),
    /// `COPY` and `ADD`.
    Copy(Copy),
    /// `RUN`, with each `--mount`.
    Run { mounts: Vec<Mount> },
    /// Runs first in a stage that is built FROM this one.
    Onbuild(Box<Instruction>),
    /// Nothing to us.
    Other,
    /// Only a front end that `# syntax=` names may know it.
    Foreign,
}

/// A `COPY` or `ADD`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Copy {
    /// `ADD`: sources may be URLs.
    pub(crate) add: bool,
    /// `--from=`, not expanded: BuildKit does not expand it either.
    pub(crate) from: Option<FileSource>,
    /// `--parents`: `**` in a source matches any depth.
    pub(crate) parents: bool,
    /// `--exclude`: patterns of what is left out.
    pub(crate) excluded: Vec<String>,
    /// Without here-documents.
    pub(crate) sources: Vec<String>,
}

/// A stage or an image, named as where files come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FileSource {
    pub(crate) name: String,
    pub(crate) token: Token,
}

/// A `--mount` of a RUN.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mount {
    /// `key=value`, keys in lower case.
    pub(crate) fields: Vec<(String, String)>,
    /// `from=`, if it names something.
    pub(crate) from: Option<FileSource>,
}

const OTHERS: [&str; 12] = [
    "CMD",
    "ENTRYPOINT",
    "EXPOSE",
    "HEALTHCHECK",
    "LABEL",
    "MAINTAINER",
    "SHELL",
    "STOPSIGNAL",
    "USER",
    "VOLUME",
    "WORKDIR",
    "FROM",
];

/// Reads an instruction other than FROM. `foreign`: a `# syntax=` line allows
/// instructions that we do not know.
pub(super) fn step(line: &Line, escape: char, foreign: bool, place: &Place) -> Result<Step, Problem> {
    kind(line, escape, foreign, place).map(|kind| Step { kind, place: place.clone() })
}

fn kind(line: &Line, escape: char, foreign: bool, place: &Place) -> Result<Instruction, Problem> {
    let problem = |message: &str, help: &str| Problem::new(message).at(place).help(help);
    if !foreign {
        form::check(line).map_err(|(message, help)| problem(&message, &help))?;
    }
    match line.keyword.as_str() {
        "ARG" => Ok(Instruction::Arg(words(&line.args, escape).iter().map(|w| argument(w)).collect())),
        "ENV" => variables(&line.args, escape).map(Instruction::Env).ok_or_else(|| {
            problem("ENV needs names and values", "write `ENV NAME=value`, with quotes around blanks")
        }),
        "COPY" | "ADD" => copy(line).map(Instruction::Copy).ok_or_else(|| {
            let message = format!("{} needs a source and a destination", line.keyword);
            problem(&message, "write the sources first and the destination last")
        }),
        "RUN" => Ok(Instruction::Run { mounts: flag(line, "mount").map(mount).collect() }),
        "ONBUILD" => {
            let inner = lines::nested(line, escape);
            Ok(Instruction::Onbuild(Box::new(match inner.keyword.as_str() {
                "ONBUILD" | "FROM" | "MAINTAINER" => {
                    let message = format!("{} cannot stand behind ONBUILD", inner.keyword);
                    return Err(problem(&message, "write another instruction behind ONBUILD"));
                }
                _ => kind(&inner, escape, foreign, place)?,
            })))
        }
        other if OTHERS.contains(&other) => Ok(Instruction::Other),
        _ if foreign => Ok(Instruction::Foreign),
        other => {
            let message = format!("`{other}` is no Dockerfile instruction");
            Err(problem(
                &message,
                "mend the first word; a line that continues another needs a `\\` before it",
            ))
        }
    }
}

/// Reads a FROM: the image, and the stage's name in lower case.
pub(super) fn from(
    line: &Line,
    foreign: bool,
    place: &Place,
) -> Result<(FileSource, Option<String>), Problem> {
    if !foreign {
        form::check(line).map_err(|(message, help)| Problem::new(message).at(place).help(help))?;
    }
    let words: Vec<&str> = line.args.split_whitespace().collect();
    let (image, name) = match words[..] {
        [image] => (image, None),
        [image, word, name] if word.eq_ignore_ascii_case("as") => (image, Some(name.to_lowercase())),
        _ => {
            return Err(Problem::new("FROM takes an image, or an image and a stage's name")
                .at(place)
                .help("write `FROM image` or `FROM image AS name`"));
        }
    };
    let token = Token::word(line.span_of(image));
    Ok((FileSource { name: image.to_owned(), token }, name))
}

fn argument(word: &str) -> (String, Option<String>) {
    match word.split_once('=') {
        Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
        None => (word.to_owned(), None),
    }
}

/// `NAME=value …`, or the old `NAME value with blanks`.
fn variables(args: &str, escape: char) -> Option<Vec<(String, String)>> {
    let words = words(args, escape);
    if !words.first()?.contains('=') {
        let (name, value) = args.split_once(char::is_whitespace)?;
        return Some(vec![(name.to_owned(), value.trim_start().to_owned())]);
    }
    words.iter().map(|w| w.split_once('=').map(|(n, v)| (n.to_owned(), v.to_owned()))).collect()
}

fn copy(line: &Line) -> Option<Copy> {
    let json = lines::json(&line.args);
    let plain = json.is_none();
    let mut words =
        json.unwrap_or_else(|| line.args.split_whitespace().map(str::to_owned).collect::<Vec<_>>());
    words.pop()?;
    if words.is_empty() {
        return None;
    }
    words.retain(|w| !(plain && Heredoc::parse(w).is_some()));
    Some(Copy {
        add: line.keyword == "ADD",
        from: flag(line, "from")
            .next()
            .filter(|(from, _)| !from.is_empty())
            .map(|(from, flag)| FileSource { name: from.to_owned(), token: Token::of(flag, from) }),
        parents: flag(line, "parents").next().is_some_and(|(v, _)| v.is_empty() || v == "true"),
        excluded: flag(line, "exclude").map(|(pattern, _)| pattern.to_owned()).collect(),
        sources: words,
    })
}

/// The values of a flag, in order; `--name` alone has the value "".
pub(super) fn flag<'l>(line: &'l Line, name: &'l str) -> impl Iterator<Item = (&'l str, &'l Flag)> {
    line.flags.iter().filter_map(move |flag| {
        let word = flag.word.strip_prefix("--")?;
        let (own, value) = word.split_once('=').unwrap_or((word, &word[word.len()..]));
        (own == name).then_some((value, flag))
    })
}

/// The last `from=` wins, as with every key.
fn mount((value, flag): (&str, &Flag)) -> Mount {
    let fields = fields(value).into_iter().map(|(key, value)| (key, value.unwrap_or_default()));
    let fields: Vec<(String, String)> = fields.collect();
    let from = fields.iter().rev().find(|(key, _)| key == "from").map(|(_, name)| name.clone());
    let from = from.filter(|name| !name.is_empty()).map(|name| {
        let token = Token::of(flag, &name);
        FileSource { name, token }
    });
    Mount { fields, from }
}

/// The fields of a `--mount`: comma-separated, in quotes where one holds a
/// comma; keys in lower case.
pub(super) fn fields(value: &str) -> Vec<(String, Option<String>)> {
    let mut fields = vec![String::new()];
    let mut quoted = false;
    for c in value.chars() {
        match c {
            '"' => quoted = !quoted,
            ',' if !quoted => fields.push(String::new()),
            c => fields.last_mut().expect("one at least").push(c),
        }
    }
    let pair = |f: &String| {
        f.split_once('=').map_or((f.to_lowercase(), None), |(k, v)| (k.to_lowercase(), Some(v.to_owned())))
    };
    fields.iter().map(pair).collect()
}

/// Words at blanks, with quotes and escapes kept for the expansion.
fn words(args: &str, escape: char) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut quote = None;
    let mut chars = args.chars();
    while let Some(c) = chars.next() {
        match quote {
            None if c.is_whitespace() => {
                if !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
                continue;
            }
            None if c == '"' || c == '\'' => quote = Some(c),
            Some(q) if c == q => quote = None,
            _ => {}
        }
        word.push(c);
        if c == escape && quote != Some('\'') {
            word.extend(chars.next());
        }
    }
    words.extend((!word.is_empty()).then_some(word));
    words
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::problem::SourceFile;
    use std::sync::Arc;

    fn kind_of(text: &str) -> Result<Instruction, Problem> {
        let file = Arc::new(SourceFile::new("Dockerfile", text));
        let place = Place { file, span: 0..text.len() };
        kind(&lines::read(text).unwrap().lines[0], '\\', false, &place)
    }

    fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect()
    }

    #[test]
    fn env_and_arg_take_several_values() {
        assert_eq!(
            kind_of("ENV A=1 B=\"x y\" C=a\\ b").unwrap(),
            Instruction::Env(pairs(&[("A", "1"), ("B", "\"x y\""), ("C", "a\\ b")]))
        );
        assert_eq!(kind_of("ENV A b  c").unwrap(), Instruction::Env(pairs(&[("A", "b  c")])));
        assert_eq!(
            kind_of("arg A B= C='x y'").unwrap(),
            Instruction::Arg(vec![
                ("A".into(), None),
                ("B".into(), Some(String::new())),
                ("C".into(), Some("'x y'".into()))
            ])
        );
    }

    #[test]
    fn a_copy_gives_its_sources_without_here_documents() {
        let copy = |text: &str| match kind_of(text).unwrap() {
            Instruction::Copy(copy) => copy,
            other => panic!("{other:?}"),
        };
        assert_eq!(copy("COPY --from=b --chown=1:1 x y /z").from.unwrap().name, "b");
        assert_eq!(copy("COPY [\"a b\", \"c\", \"/z\"]").sources, ["a b", "c"]);
        assert_eq!(copy("COPY [a b] /z").sources, ["[a", "b]"]);
        assert_eq!(copy("COPY a <<EOF /z\nEOF").sources, ["a"]);
        assert!(copy("COPY --parents a /z").parents);
        assert!(copy("ADD a /z").add);
    }

    #[test]
    fn mounts_are_read_field_by_field() {
        let text = "RUN --mount=type=secret,id=a --mount=source=x,\\\"target=/a,b\\\",ro true";
        let Instruction::Run { mounts } = kind_of(text).unwrap() else { panic!("a RUN") };
        assert_eq!(
            mounts.into_iter().map(|mount| mount.fields).collect::<Vec<_>>(),
            [
                pairs(&[("type", "secret"), ("id", "a")]),
                pairs(&[("source", "x"), ("target", "/a,b"), ("ro", "")])
            ]
        );
    }

    #[test]
    fn what_is_no_instruction_is_refused_with_its_word() {
        assert_eq!(kind_of("COPPY a b").unwrap_err().message, "`COPPY` is no Dockerfile instruction");
        for text in ["COPY a", "COPY []", "ENV A", "ENV A=1 B", "ONBUILD FROM x", "ONBUILD ONBUILD RUN x"] {
            assert!(kind_of(text).is_err(), "{text}");
        }
    }
}
