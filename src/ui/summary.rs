//! What a person needs to know when a run is over: every failure with all that
//! helps to mend it, what it held up, and one line of numbers.

use std::fmt::Write;

use super::human;
use super::state::{ImageRun, Phase, RunState};
use super::style::OutputStyle;
use super::text::clean;
use crate::model::event::{Excerpt, Failure, Outcome};

/// Lines shown before and after the failing ones.
const AROUND: usize = 2;
/// Of longer instructions the middle is left out.
const LONGEST: usize = 12;

/// The whole summary, the line of numbers last.
pub(crate) fn render(run: &RunState, style: &OutputStyle) -> String {
    let mut out = String::new();
    for image in run.images() {
        if let Phase::Ended(Outcome::Failed { failure, .. }) = &image.phase {
            out.push_str(&of_failure(image, failure, style));
            out.push('\n');
        }
    }
    let blocked = run.blocked();
    for (by, images) in &blocked {
        let names: Vec<_> = images.iter().map(|name| name.as_str()).collect();
        out.push_str(&format!("{} {}\n", style.warn(&format!("blocked by {by}:")), names.join(", ")));
    }
    if !blocked.is_empty() {
        out.push('\n');
    }
    let counts = run.counts();
    if counts.wanted() == 0 && counts.kept > 0 {
        out.push_str(&format!("nothing to build: {}\n", human::up_to_date(counts.kept)));
    }
    out.push_str(&line(run, style));
    out.push('\n');
    out
}

/// The line of numbers: `built 2, kept 1, failed 1, blocked 0 in 12.3s`.
/// These four are always there, so that scripts may look for them; what else
/// happened follows.
pub(crate) fn line(run: &RunState, style: &OutputStyle) -> String {
    let counts = run.counts();
    let part = |word: &str, count: usize, paint: fn(&OutputStyle, &str) -> String| {
        let text = format!("{word} {count}");
        if count > 0 { paint(style, &text) } else { text }
    };
    let mut parts = vec![
        part("built", counts.built, OutputStyle::good),
        part("kept", counts.kept, OutputStyle::strong),
        part("failed", counts.failed, OutputStyle::bad),
        part("blocked", counts.blocked, OutputStyle::warn),
    ];
    if counts.cancelled > 0 {
        parts.push(part("cancelled", counts.cancelled, OutputStyle::warn));
    }
    let transfers = [("pulled", counts.fetched), ("pushed", counts.pushed)];
    let some = transfers.into_iter().filter(|(_, count)| *count > 0);
    parts.extend(some.map(|(word, count)| part(word, count, OutputStyle::good)));
    format!("{} in {}", parts.join(", "), human::took(run.took()))
}

/// One image's failure as a block of lines: what failed, where it is in the
/// Dockerfile, what it wrote last, what to do.
fn of_failure(image: &ImageRun, failure: &Failure, style: &OutputStyle) -> String {
    let mut out = String::new();
    let mut message = failure.message.lines().map(clean);
    let title = format!("{}: {}", image.name, message.next().unwrap_or_default());
    put(&mut out, &format!("{} {}", style.bad("error:"), style.strong(&title)));
    for line in message {
        put(&mut out, &format!("  {line}"));
    }
    if failure.engine {
        put(&mut out, "  the engine, network or registry failed, not the image");
    }
    if let Some(step) = &failure.step {
        put(&mut out, &format!("  {} {}", style.weak("step:"), clean(step)));
    }
    if let Some(code) = failure.exit_code {
        put(&mut out, &format!("  {} {code}", style.weak("exit code:")));
    }
    if let Some(excerpt) = &failure.excerpt {
        out.push_str(&lines_of_file(excerpt, style));
    }
    out.push_str(&last_output(image, failure, style));
    if let Some(help) = &failure.help {
        let mut lines = help.lines().map(clean);
        put(&mut out, &format!("  {} {}", style.good("help:"), lines.next().unwrap_or_default()));
        lines.for_each(|line| put(&mut out, &format!("        {line}")));
    }
    if let Some(log) = &image.log {
        put(&mut out, &format!("  {} {}", style.weak("log:"), clean(&log.display().to_string())));
    }
    out
}

/// The failure's own output; of a failure that has none, the image's last.
fn last_output(image: &ImageRun, failure: &Failure, style: &OutputStyle) -> String {
    let lines: Vec<_> = match &failure.output[..] {
        [] => image.tail.iter().cloned().collect(),
        output => output.iter().map(|line| clean(line)).collect(),
    };
    let mut out = String::new();
    if !lines.is_empty() {
        put(&mut out, &format!("  {}", style.weak("last output:")));
    }
    for line in lines {
        put(&mut out, &format!("    {} {line}", style.weak(style.either("│", "|"))));
    }
    out
}

fn lines_of_file(excerpt: &Excerpt, style: &OutputStyle) -> String {
    let (first, last) = excerpt.lines;
    let from = first.saturating_sub(AROUND).max(1);
    let lines: Vec<_> = excerpt.text.lines().enumerate().map(|(at, line)| (at + 1, line)).collect();
    let to = (last + AROUND).min(lines.len());
    let width = to.to_string().len();
    let path = excerpt.path.display().to_string();
    let mut out = String::new();
    put(&mut out, &format!("  {} {}:{first}", style.weak("at:"), clean(&path)));
    let wall = style.weak(style.either("│", "|"));
    for (number, line) in lines.into_iter().filter(|(number, _)| (from..=to).contains(number)) {
        let failing = (first..=last).contains(&number);
        if failing && last - first >= LONGEST {
            let inner = number - first;
            let left_out = last - first + 1 - (LONGEST - 1);
            if inner == LONGEST / 2 {
                put(&mut out, &format!("    {:width$} {wall} ({left_out} lines left out)", ""));
            }
            if (LONGEST / 2..LONGEST / 2 + left_out).contains(&inner) {
                continue;
            }
        }
        let mark = if failing { style.bad(">") } else { " ".to_owned() };
        put(&mut out, &format!("  {mark} {number:width$} {wall} {}", clean(line)));
    }
    out
}

fn put(out: &mut String, line: &str) {
    // Writing to a String cannot fail.
    let _ = writeln!(out, "{}", line.trim_end());
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn excerpt(lines: (usize, usize), count: usize) -> String {
        let text = (1..=count).map(|n| format!("line {n}\n")).collect();
        lines_of_file(&Excerpt { path: PathBuf::from("Dockerfile"), lines, text }, &OutputStyle::default())
    }

    #[test]
    fn an_excerpt_keeps_within_its_file() {
        assert_eq!(excerpt((1, 1), 2), "  at: Dockerfile:1\n  > 1 | line 1\n    2 | line 2\n");
        assert_eq!(excerpt((2, 2), 2), "  at: Dockerfile:2\n    1 | line 1\n  > 2 | line 2\n");
        assert_eq!(excerpt((7, 9), 2), "  at: Dockerfile:7\n");
    }

    #[test]
    fn the_middle_of_a_long_instruction_is_left_out() {
        let shown = excerpt((5, 44), 50);
        let expected = "  at: Dockerfile:5
     3 | line 3
     4 | line 4
  >  5 | line 5
  >  6 | line 6
  >  7 | line 7
  >  8 | line 8
  >  9 | line 9
  > 10 | line 10
       | (29 lines left out)
  > 40 | line 40
  > 41 | line 41
  > 42 | line 42
  > 43 | line 43
  > 44 | line 44
    45 | line 45
    46 | line 46
";
        assert_eq!(shown, expected);
    }

    #[test]
    fn an_instruction_of_the_greatest_length_is_shown_whole() {
        assert!(!excerpt((1, LONGEST), 20).contains("left out"));
        assert!(excerpt((1, LONGEST + 1), 20).contains("(2 lines left out)"));
    }
}
