//! Text from outside made fit to be shown: whole lines, without control codes.
//!
//! Build output and files of other people may hold anything, also codes that
//! move the cursor or turn the writing direction. Nothing here knows of images.

use console::strip_ansi_codes;

/// A line that never ends is cut into pieces of about this many bytes.
const LONGEST: usize = 16 * 1024;

/// Joins pieces of output into lines as a terminal would show them: what
/// follows a lone carriage return replaces what stood there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Lines {
    rest: String,
}

impl Lines {
    /// Takes a piece of output; gives the lines that it completes, cleaned.
    pub(crate) fn push(&mut self, text: &str) -> Vec<String> {
        let mut lines = Vec::new();
        let mut pieces = text.split('\n');
        self.rest.push_str(pieces.next().unwrap_or_default());
        for piece in pieces {
            lines.push(self.end());
            self.rest.push_str(piece);
        }
        // A progress bar redrawn a thousand times need not be kept.
        if let Some(at) = self.rest.rfind('\r').filter(|at| at + 1 < self.rest.len()) {
            self.rest.drain(..=at);
        }
        if self.rest.len() > LONGEST {
            lines.push(self.end());
        }
        lines
    }

    /// The end of the output: its last line, if that had no end.
    pub(crate) fn finish(&mut self) -> Option<String> {
        if self.rest.is_empty() { None } else { Some(self.end()) }
    }

    fn end(&mut self) -> String {
        let line = std::mem::take(&mut self.rest);
        clean(line.rsplit('\r').find(|part| !part.is_empty()).unwrap_or_default())
    }
}

/// One line fit to be shown: no escape sequences, no control characters, no
/// blanks at the end; tabs and line ends are blanks.
pub(crate) fn clean(line: &str) -> String {
    let plain = strip_ansi_codes(line);
    let mut out = String::with_capacity(plain.len());
    for c in plain.chars() {
        match c {
            '\t' => out.push_str("    "),
            '\n' => out.push(' '),
            c if c.is_control() => {}
            c if turns_direction(c) => out.push(char::REPLACEMENT_CHARACTER),
            c => out.push(c),
        }
    }
    out.truncate(out.trim_end().len());
    out
}

/// A text fit to be shown with every byte where it was: what may not be shown
/// is replaced by something as long.
pub(crate) fn sanitize(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        let line_end = c == '\n' || (c == '\r' && rest.peek() == Some(&'\n'));
        if line_end || c == '\t' || !(c.is_control() || turns_direction(c)) {
            out.push(c);
        } else {
            out.push_str(["?", "\u{bf}", "\u{fffd}"][c.len_utf8() - 1]);
        }
    }
    out
}

/// The first `width` columns of a text, with a mark where it was cut.
pub(crate) fn shorten(text: &str, width: usize, mark: &str) -> String {
    console::truncate_str(text, width, if width > 3 { mark } else { "" }).into_owned()
}

/// Columns that a text takes.
pub(crate) fn columns(text: &str) -> usize {
    console::measure_text_width(text)
}

/// Characters that make a text read otherwise than it is (UAX #9 embeddings,
/// overrides and isolates). All take three bytes.
fn turns_direction(c: char) -> bool {
    matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn lines(pieces: &[&str]) -> Vec<String> {
        let mut all = Lines::default();
        let mut out: Vec<String> = pieces.iter().flat_map(|piece| all.push(piece)).collect();
        out.extend(all.finish());
        out
    }

    #[test]
    fn lines_are_joined_over_pieces() {
        assert_eq!(
            lines(&["Collec", "ting timm\nDown", "loading", "\n\nend"]),
            ["Collecting timm", "Downloading", "", "end"]
        );
        assert_eq!(lines(&["a\n"]), ["a"]);
    }

    #[test]
    fn what_follows_a_carriage_return_replaces_the_line() {
        assert_eq!(lines(&["10%\r", "50%\r100%", "\n", "dos\r", "\nlast\r"]), ["100%", "dos", "last"]);
    }

    #[test]
    fn a_line_without_end_is_cut() {
        let long = lines(&["x".repeat(LONGEST).as_str(), "y", "z"]);
        assert_eq!(long.iter().map(String::len).collect::<Vec<_>>(), [LONGEST + 1, 1]);
    }

    #[test]
    fn a_redrawn_line_does_not_grow() {
        let mut all = Lines::default();
        for _ in 0..10_000 {
            assert_eq!(all.push("\r[=====>    ] 50%"), Vec::<String>::new());
        }
        assert!(all.rest.len() < 100);
    }

    #[test]
    fn escape_sequences_are_taken_out() {
        assert_eq!(clean("\u{1b}[31merror\u{1b}[0m:\tno\u{7} \u{1b}]0;title\u{7}"), "error:    no");
        assert_eq!(clean("a\u{202e}b"), "a\u{fffd}b");
    }

    #[test]
    fn lines_stay_whole_in_a_harmless_text() {
        assert_eq!(sanitize("a:\t1\r\nb\u{1b}[2J\r\u{9b}"), "a:\t1\r\nb?[2J?\u{bf}");
    }

    proptest! {
        #[test]
        fn cleaning_leaves_no_control_character(text: String) {
            prop_assert!(!clean(&text).chars().any(|c| c.is_control() || turns_direction(c)));
        }

        #[test]
        fn every_byte_of_a_harmless_text_stays_in_its_place(text: String) {
            let shown = sanitize(&text);
            prop_assert_eq!(shown.len(), text.len());
            prop_assert_eq!(shown.matches('\n').count(), text.matches('\n').count());
            let starts = |t: &str| t.char_indices().map(|(at, _)| at).collect::<Vec<_>>();
            prop_assert_eq!(starts(&shown), starts(&text));
        }

        #[test]
        fn lines_do_not_depend_on_how_they_were_cut(text in "[a-c\n]{0,40}", cut in 0usize..40) {
            let cut = cut.min(text.len());
            prop_assert_eq!(lines(&[&text]), lines(&[&text[..cut], &text[cut..]]));
        }
    }
}
