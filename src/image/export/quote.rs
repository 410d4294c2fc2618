//! Words as Dockerfiles, JSON arrays and shells read them back.

/// A value of ENV, LABEL or USER in double quotes: nothing in it is expanded.
///
/// # Errors
/// It has more than one line.
pub(crate) fn double(value: &str, escape: char) -> Result<String, String> {
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
pub(crate) fn vector(words: &[String], in_a_line: usize, escape: char) -> String {
    let json = |word: &String| serde_json::Value::String(word.clone()).to_string();
    let line = |words: &[String]| words.iter().map(json).collect::<Vec<_>>().join(", ");
    let lines: Vec<String> = words.chunks(in_a_line.max(1)).map(line).collect();
    format!("[ {escape}\n  {} ]", lines.join(&format!(", {escape}\n  ")))
}

/// Bytes as `printf %b` reads them.
pub(crate) fn printf(bytes: &[u8]) -> String {
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
pub(crate) fn shell(word: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_./:=@,+".contains(&b);
    if !word.is_empty() && word.bytes().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

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
