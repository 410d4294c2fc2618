//! What the engine's front end refuses of an instruction's form before it runs
//! anything: flags, numbers of arguments, JSON, mounts.
//!
//! Knows no variables: a word that has one is left to the build. A front end
//! that `# syntax=` names may know more, and is not judged by this.

use super::lines::{self, Flag, Line};
use super::steps::{self, flag};

/// What is wrong, and what to write instead.
type Wrong = (String, String);

/// Looks at one instruction.
pub(super) fn check(line: &Line) -> Result<(), Wrong> {
    flags(line)?;
    arguments(line)?;
    flag(line, "mount").try_for_each(|(value, _)| mount(value))
}

/// Flags of an instruction that have a value, and those that are on or off.
fn known(keyword: &str) -> (&[&str], &[&str]) {
    match keyword {
        "FROM" => (&["platform"], &[]),
        "COPY" => (&["from", "chown", "chmod", "exclude"], &["link", "parents"]),
        "ADD" => (&["chown", "chmod", "checksum", "exclude"], &["link", "keep-git-dir", "unpack"]),
        "RUN" => (&["mount", "network", "security", "device"], &[]),
        "HEALTHCHECK" => (&["interval", "timeout", "start-period", "start-interval", "retries"], &[]),
        _ => (&[], &[]),
    }
}

/// May be said more than once.
const REPEATED: [&str; 3] = ["mount", "exclude", "device"];

fn flags(line: &Line) -> Result<(), Wrong> {
    let keyword = line.keyword.as_str();
    let (valued, switches) = known(keyword);
    let mut before: Vec<&str> = Vec::new();
    for Flag { word, .. } in &line.flags {
        let text = word.strip_prefix("--").unwrap_or(word);
        let (name, value) = text.split_once('=').map_or((text, None), |(name, value)| (name, Some(value)));
        if switches.contains(&name) {
            if value.is_some_and(|value| !is_bool(value)) {
                return wrong(format!("`--{name}` of {keyword} is on or off"), "write `true` or `false`");
            }
        } else if !valued.contains(&name) {
            let known = valued.iter().chain(switches).map(|name| format!("--{name}")).collect::<Vec<_>>();
            let help = match known.as_slice() {
                [] => {
                    format!("{keyword} has no flags; put what begins with `--` in quotes or further behind")
                }
                known => format!("its flags are {}", known.join(", ")),
            };
            return wrong(format!("{keyword} has no flag `--{name}`"), help);
        } else if value.is_none() {
            return wrong(format!("`--{name}` of {keyword} has no value"), format!("write `--{name}=…`"));
        }
        if before.contains(&name) && !REPEATED.contains(&name) {
            return wrong(format!("`--{name}` stands here twice"), "keep one of them");
        }
        before.push(name);
    }
    Ok(())
}

const STRINGS: &str = "write a list of strings in double quotes: `[\"a\", \"b\"]`";

fn arguments(line: &Line) -> Result<(), Wrong> {
    let (keyword, args) = (line.keyword.as_str(), line.args.as_str());
    let one = [
        "ARG",
        "EXPOSE",
        "LABEL",
        "MAINTAINER",
        "ONBUILD",
        "SHELL",
        "STOPSIGNAL",
        "USER",
        "VOLUME",
        "WORKDIR",
    ];
    if args.is_empty() && one.contains(&keyword) {
        return wrong(format!("{keyword} needs an argument"), "write one behind it");
    }
    let (kind, command) = args.split_once(char::is_whitespace).unwrap_or((args, ""));
    let list = match keyword {
        "HEALTHCHECK" if kind.eq_ignore_ascii_case("NONE") && command.is_empty() => return Ok(()),
        "HEALTHCHECK" if kind.eq_ignore_ascii_case("CMD") && !command.is_empty() => command.trim(),
        "HEALTHCHECK" => {
            return wrong(
                "HEALTHCHECK takes `NONE`, or `CMD` and a command".into(),
                "write `HEALTHCHECK CMD …`",
            );
        }
        "ADD" | "CMD" | "COPY" | "ENTRYPOINT" | "RUN" | "SHELL" | "VOLUME" => args,
        _ => return Ok(()),
    };
    if list.starts_with('[') && serde_json::from_str::<Vec<serde_json::Value>>(list).is_ok() {
        let strings = lines::json(list).unwrap_or_default();
        let other = strings.is_empty() && !list.trim_matches(['[', ']', ' ', '\t']).is_empty();
        if other {
            return wrong(format!("not everything in the list of {keyword} is a string"), STRINGS);
        }
    }
    if keyword == "SHELL" && lines::json(list).is_none_or(|words| words.is_empty()) {
        return wrong("SHELL takes a list".into(), STRINGS);
    }
    Ok(())
}

fn mount(value: &str) -> Result<(), Wrong> {
    for (key, value) in steps::fields(value) {
        let Some(value) = value else {
            match key.as_str() {
                "readonly" | "ro" | "readwrite" | "rw" | "required" => continue,
                _ => {
                    return wrong(
                        format!("`{key}` of `--mount` has no value"),
                        "write `key=value`, with commas between",
                    );
                }
            }
        };
        if value.contains('$') {
            continue;
        }
        let among = |allowed: &[&str]| allowed.contains(&value.to_lowercase().as_str());
        let (fits, help) = match key.as_str() {
            "type" => {
                (among(&["bind", "cache", "tmpfs", "secret", "ssh"]), "bind, cache, tmpfs, secret or ssh")
            }
            "sharing" => (among(&["shared", "private", "locked"]), "shared, private or locked"),
            "mode" => (u32::from_str_radix(&value, 8).is_ok(), "an octal number like 0400"),
            "uid" | "gid" => (value.parse::<u32>().is_ok(), "a number"),
            "readonly" | "ro" | "readwrite" | "rw" | "required" => (is_bool(&value), "`true` or `false`"),
            "from" | "source" | "src" | "target" | "dst" | "destination" | "id" | "size" | "env" => continue,
            _ => {
                let help = "known are type, from, source, target, readonly, readwrite, id, sharing, mode, uid, gid, \
                            size, required and env";
                return wrong(format!("`--mount` has no key `{key}`"), help);
            }
        };
        if !fits {
            return wrong(format!("`{value}` is no {key} of a mount"), format!("it is {help}"));
        }
    }
    Ok(())
}

/// As Go reads it.
fn is_bool(text: &str) -> bool {
    ["1", "t", "T", "TRUE", "true", "True", "0", "f", "F", "FALSE", "false", "False"].contains(&text)
}

fn wrong<T>(message: String, help: impl Into<String>) -> Result<T, Wrong> {
    Err((message, help.into()))
}
