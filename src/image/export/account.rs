//! The account's files, written by a shell with owner and mode.

use super::quote;
use crate::image::user_layer::{FileKind, FileNode};

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
pub(crate) fn runs(nodes: &[FileNode], escape: char) -> Result<String, String> {
    let (mut text, mut words, mut length) = (String::new(), Vec::new(), 0);
    for node in nodes {
        for four in words_of(node)? {
            length += four.iter().map(String::len).sum::<usize>();
            words.extend(four);
            if length > MOST {
                text.push_str(&run(&std::mem::take(&mut words), escape));
                length = 0;
            }
        }
    }
    if !words.is_empty() {
        text.push_str(&run(&words, escape));
    }
    Ok(text)
}

fn run(words: &[String], escape: char) -> String {
    let shell = ["/bin/sh", "-c", SCRIPT, "sh"].map(str::to_owned);
    format!("RUN {}\n", quote::vector(&[&shell, words].concat(), 4, escape))
}

fn words_of(node: &FileNode) -> Result<Vec<[String; 4]>, String> {
    if node.path.chars().any(char::is_control) {
        return Err(format!("the path {:?} is no line", node.path));
    }
    let owner = format!("{}:{}", node.uid, node.gid);
    // Five digits also take setuid and setgid bits away from a folder.
    let four = |what: &str, content: &[u8]| {
        [format!("{what}:{:05o}", node.mode), owner.clone(), node.path.clone(), quote::printf(content)]
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
