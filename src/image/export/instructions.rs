//! What is added to an image as instructions: changes to its config, the
//! account's files, package steps. Knows how words are quoted, and no order.

use std::collections::BTreeMap;

use crate::image::solve::{ConfigChange, ExecStep};
use crate::image::user_layer::{FileKind, FileNode};
use crate::model::labels::NAMESPACE;

/// What an image without a PATH is given.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The instructions, without USER. `below`: labels of the image below.
///
/// # Errors
/// A value of several lines.
pub(super) fn config(
    change: &ConfigChange,
    below: Option<&BTreeMap<String, String>>,
    escape: char,
) -> Result<String, String> {
    let mut text = String::new();
    for (name, value) in &change.env {
        text.push_str(&format!("ENV {name}={}\n", double(value, escape)?));
    }
    if !change.path_first.is_empty() {
        let first = double(&change.path_first.join(":"), escape)?;
        let first = first.trim_end_matches('"');
        text.push_str(&format!("ENV PATH={first}:${{PATH:-{DEFAULT_PATH}}}\"\n"));
    }
    if let Some(folder) = &change.workdir {
        text.push_str(&format!("WORKDIR {}\n", double(folder, escape)?));
    }
    let left = below
        .into_iter()
        .flatten()
        .filter(|(key, _)| key.starts_with(NAMESPACE) && !change.labels.contains_key(*key));
    let emptied: Vec<(&String, &str)> = left.map(|(key, _)| (key, "")).collect();
    if !emptied.is_empty() {
        text.push_str(
            "# An instruction cannot take a label away; those without a value are of the image below.\n",
        );
    }
    let set = change.labels.iter().map(|(key, value)| (key, value.as_str()));
    let labels = set
        .chain(emptied)
        .map(|(key, value)| Ok::<_, String>(format!("{}={}", double(key, escape)?, double(value, escape)?)));
    let labels = labels.collect::<Result<Vec<_>, _>>()?;
    if !labels.is_empty() {
        text.push_str(&format!("LABEL {}\n", labels.join(&format!(" {escape}\n      "))));
    }
    Ok(text)
}

// The account's files, written by a shell with owner and mode.

/// Bytes of a file in one word; a Dockerfile's line has 64 KiB at most, and a
/// byte takes up to six characters.
const PIECE: usize = 8 * 1024;
/// Characters of one instruction, of the 2 MiB that a process's arguments have.
const MOST: usize = 256 * 1024;

/// Reads four words for each thing: what and with which mode, whose, where, and
/// for a file its bytes. A file replaces what is there, as it does in a build;
/// a link would be followed.
const SCRIPT: &str = "set -eu; while [ $# -gt 0 ]; do case $1 in \
dir:*) [ -d \"$3\" ] || mkdir \"$3\";; \
file:*) rm -f \"$3\"; printf %b \"$4\" > \"$3\";; \
more:*) printf %b \"$4\" >> \"$3\";; esac; \
chown \"$2\" \"$3\"; chmod \"${1#*:}\" \"$3\"; shift 4; done";

/// The instructions that write these, folders before what is in them.
///
/// # Errors
/// A path that is no line.
pub(super) fn account(nodes: &[FileNode], escape: char) -> Result<String, String> {
    let (mut text, mut words, mut length) = (String::new(), Vec::new(), 0);
    for node in nodes {
        for four in words_of(node)? {
            length += four.iter().map(String::len).sum::<usize>();
            words.extend(four);
            if length > MOST {
                text.push_str(&write_files(&std::mem::take(&mut words), escape));
                length = 0;
            }
        }
    }
    if !words.is_empty() {
        text.push_str(&write_files(&words, escape));
    }
    Ok(text)
}

fn write_files(words: &[String], escape: char) -> String {
    let shell = ["/bin/sh", "-c", SCRIPT, "sh"].map(str::to_owned);
    format!("RUN {}\n", vector(&[&shell, words].concat(), 4, escape))
}

fn words_of(node: &FileNode) -> Result<Vec<[String; 4]>, String> {
    if node.path.chars().any(char::is_control) {
        return Err(format!("the path {:?} is no line", node.path));
    }
    let owner = format!("{}:{}", node.uid, node.gid);
    // Five digits also take setuid and setgid bits away from a folder.
    let four = |what: &str, content: &[u8]| {
        [format!("{what}:{:05o}", node.mode), owner.clone(), node.path.clone(), printf(content)]
    };
    Ok(match &node.kind {
        FileKind::Dir => vec![four("dir", b"")],
        FileKind::File(bytes) => {
            let (first, rest) = bytes.split_at(bytes.len().min(PIECE));
            let more = rest.chunks(PIECE).map(|piece| four("more", piece));
            std::iter::once(four("file", first)).chain(more).collect()
        }
    })
}

// Package steps as RUN with the mounts that they have in a build.

/// The instruction of one step.
///
/// # Errors
/// It has a file outside the folders that vanish with it.
pub(super) fn step(step: &ExecStep, escape: char) -> Result<String, String> {
    let tmpfs = step.tmpfs.iter().map(|target| format!("--mount=type=tmpfs,target={target}"));
    // Locked also where sharing would do: slower at most.
    let cache = |(target, id): (&String, &String)| {
        format!("--mount=type=cache,id={id},target={target},sharing=locked")
    };
    let secret = |(target, id): (&String, &String)| {
        format!("--mount=type=secret,id={id},target={target},mode=0400,required=true")
    };
    let caches = step.caches.iter().map(cache);
    let mounts = tmpfs.chain(caches).chain(step.secrets.iter().map(secret));
    let mounts: String = mounts.map(|mount| format!("{mount} {escape}\n    ")).collect();
    let mut script = String::from("set -eu; cd /");
    for path in step.files.keys() {
        if !step.tmpfs.iter().any(|folder| path.starts_with(&format!("{folder}/"))) {
            return Err(format!("`{path}`, which a step reads, would stay in the image"));
        }
        let folder = path.rsplit_once('/').map_or("/", |(folder, _)| folder);
        script.push_str(&format!("; mkdir -p {}; printf %s \"$1\" > {}; shift", shell(folder), shell(path)));
    }
    script.push_str("; exec \"$@\"");
    let set = step.env.iter().map(|(name, value)| format!("{name}={value}"));
    let env = (!step.env.is_empty()).then(|| "env".to_owned()).into_iter().chain(set);
    let shell = ["/bin/sh".to_owned(), "-c".to_owned(), script, "sh".to_owned()].into_iter();
    let words: Vec<String> =
        shell.chain(step.files.values().cloned()).chain(env).chain(step.argv.iter().cloned()).collect();
    Ok(format!("# {}\nRUN {mounts}{}\n", step.title.replace(['\n', '\r'], " "), vector(&words, 1, escape)))
}

// Words as Dockerfiles, JSON arrays and shells read them back.

/// A value of ENV, LABEL or USER in double quotes: nothing in it is expanded.
///
/// # Errors
/// It has more than one line.
pub(super) fn double(value: &str, escape: char) -> Result<String, String> {
    if value.contains(['\n', '\r']) {
        return Err(format!("{value:?} has several lines, which a Dockerfile cannot say"));
    }
    let mut quoted = String::from("\"");
    for c in value.chars() {
        if matches!(c, '"' | '$') || c == escape {
            quoted.push(escape);
        }
        quoted.push(c);
    }
    Ok(quoted + "\"")
}

/// An argument vector as RUN takes it without a shell, so many words a line.
fn vector(words: &[String], in_a_line: usize, escape: char) -> String {
    let json = |word: &String| serde_json::Value::String(word.clone()).to_string();
    let line = |words: &[String]| words.iter().map(json).collect::<Vec<_>>().join(", ");
    let lines: Vec<String> = words.chunks(in_a_line.max(1)).map(line).collect();
    format!("[ {escape}\n  {} ]", lines.join(&format!(", {escape}\n  ")))
}

/// Bytes as `printf %b` reads them.
fn printf(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for &byte in bytes {
        match byte {
            b'\n' => text.push_str("\\n"),
            b'\t' => text.push_str("\\t"),
            b'\\' => text.push_str("\\\\"),
            b' '..=b'~' => text.push(byte.into()),
            _ => text.push_str(&format!("\\0{byte:03o}")),
        }
    }
    text
}

/// A word for a POSIX shell.
pub(super) fn shell(word: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_./:=@,+".contains(&b);
    if !word.is_empty() && word.bytes().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_value_is_not_expanded_and_has_one_line() {
        assert_eq!(double(r#"{"a":"$x \ `"}"#, '\\').unwrap(), r#""{\"a\":\"\$x \\ `\"}""#);
        assert_eq!(double(r"a\b`", '`').unwrap(), r#""a\b``""#);
        assert!(double("a\nb", '\\').unwrap_err().contains("several lines"));
    }

    #[test]
    fn bytes_that_are_no_text_are_octal() {
        assert_eq!(printf(b"a\\b\n\t\xc3\x001"), "a\\\\b\\n\\t\\0303\\00001");
    }

    #[test]
    fn words_of_a_shell_are_quoted_where_they_must_be() {
        assert_eq!(shell("A=b/c"), "A=b/c");
        assert_eq!(shell("it's $x"), r"'it'\''s $x'");
        assert_eq!(shell(""), "''");
    }

    proptest! {
        #[test]
        fn a_vector_is_json_once_its_lines_are_joined(words in prop::collection::vec(any::<String>(), 1..5), n in 0usize..3) {
            let text = vector(&words, n, '\\').replace("\\\n", "");
            let read: Vec<String> = serde_json::from_str(&text).unwrap();
            prop_assert_eq!(read, words);
        }

        #[test]
        fn a_shell_prints_the_bytes_back(bytes in prop::collection::vec(1u8.., 0..40)) {
            let output = std::process::Command::new("sh")
                .args(["-c", "printf %b \"$1\"", "sh", &printf(&bytes)])
                .output()
                .unwrap();
            prop_assert_eq!(output.stdout, bytes);
        }
    }
}
