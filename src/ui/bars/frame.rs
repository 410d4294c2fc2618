//! What the bars show at one moment, as lines. Pure: the terminal's size is
//! given, nothing is drawn.

use std::time::Duration;

use crate::ui::human::{bytes, clock, took};
use crate::ui::look::Look;
use crate::ui::state::{Counts, ImageRun, Phase, RunState};
use crate::ui::text::{clean, columns, shorten};

/// Columns and rows of a terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Size {
    pub(crate) columns: usize,
    pub(crate) rows: usize,
}

/// Cells of the bar in the last line.
const BAR: usize = 24;
/// A terminal narrower than this gets no bar.
const ROOM_FOR_BAR: usize = 60;

/// One line for each running image, as many as fit, and one for the run. No
/// line is wider than the terminal less one column: a full last column wraps
/// on some terminals.
pub(crate) fn frame(run: &RunState, at: Duration, size: Size, look: &Look) -> Vec<String> {
    let width = size.columns.saturating_sub(1).max(1);
    let mut running: Vec<_> =
        run.images().filter(|image| matches!(image.phase, Phase::Running | Phase::Waits)).collect();
    // Sorted by age, so that a line moves up only and never jumps.
    running.sort_by_key(|image| image.started);
    // The last line, and a row for the cursor of the shell.
    let room = size.rows.saturating_sub(2);
    let shown = if running.len() > room { room.saturating_sub(1) } else { running.len() };
    let name_width = running[..shown].iter().map(|image| columns(image.name.as_str())).max();
    let name_width = name_width.unwrap_or(0).min((width / 3).max(8));
    let mark = look.either("…", "~");
    let mut lines: Vec<_> = running[..shown]
        .iter()
        .map(|image| {
            let name = shorten(image.name.as_str(), name_width, mark);
            let pad = " ".repeat(name_width.saturating_sub(columns(&name)));
            let since = clock(at.saturating_sub(image.started.unwrap_or(at)));
            let head = format!("{} {}{pad} {since:>7}", spinner(at, look), look.strong(&name));
            shorten(&format!("{head}  {}", doing(image, look)), width, mark)
        })
        .collect();
    if shown < running.len() && room > 0 {
        lines.push(shorten(&format!("  {mark} and {} more", running.len() - shown), width, mark));
    }
    lines.push(shorten(&total(run.counts(), at, width, look), width, mark));
    lines
}

/// What an image is doing: its step, and how far a transfer in it is.
fn doing(image: &ImageRun, look: &Look) -> String {
    if image.phase == Phase::Waits {
        return look.weak("waits: another run builds it");
    }
    let Some(step) = image.current_step() else { return String::new() };
    let mut text = format!("#{} {}", step.number, step.name);
    match step.moved() {
        Some((current, 0)) => text += &format!("  {}", bytes(current)),
        Some((current, total)) => text += &format!("  {} of {}", bytes(current), bytes(total)),
        None => {}
    }
    text
}

fn spinner(at: Duration, look: &Look) -> &'static str {
    let turns: &[&str] = match look.unicode {
        true => &["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"],
        false => &["|", "/", "-", "\\"],
    };
    let turn = (at.as_millis() / 100) as usize % turns.len();
    turns[turn]
}

fn total(counts: Counts, at: Duration, width: usize, look: &Look) -> String {
    let (ended, wanted) = (counts.ended(), counts.wanted());
    let mut parts = vec![format!("{ended}/{wanted} done"), clock(at)];
    let mut tell = |number: usize, word: &str, paint: fn(&Look, &str) -> String| {
        if number > 0 {
            parts.push(paint(look, &format!("{number} {word}")));
        }
    };
    tell(counts.failed, "failed", Look::bad);
    tell(counts.blocked, "blocked", Look::warn);
    tell(counts.cancelled, "cancelled", Look::warn);
    tell(counts.queued, "to come", Look::weak);
    let text = parts.join(", ");
    if width < ROOM_FOR_BAR {
        return text;
    }
    let full = (BAR * ended).checked_div(wanted).unwrap_or(BAR);
    let (done, rest) = (look.either("━", "#"), look.either("─", "."));
    format!("{}{} {text}", look.good(&done.repeat(full)), look.weak(&rest.repeat(BAR - full)))
}

/// The line that stays of an image that ended, with its reasons.
pub(crate) fn ended(image: &ImageRun, look: &Look) -> String {
    let seconds = took(image.took.unwrap_or_default());
    let (mark, rest) = match &image.phase {
        Phase::Built { .. } => (look.good(look.either("✓", "+")), image.reasons.join("; ")),
        Phase::BuiltElsewhere { .. } => (look.good(look.either("✓", "+")), "built by another run".to_owned()),
        Phase::Fetched { .. } => (look.good(look.either("✓", "+")), "pulled".to_owned()),
        Phase::Pushed { .. } => (look.good(look.either("✓", "+")), "pushed".to_owned()),
        Phase::Failed { failure, .. } => {
            let message = failure.message.lines().next().unwrap_or_default();
            (look.bad(look.either("✗", "x")), clean(message))
        }
        Phase::Blocked { by } => {
            return format!("{} {}  blocked by {by}", look.warn(look.either("○", "o")), image.name);
        }
        _ => return format!("{} {}  cancelled", look.warn("-"), image.name),
    };
    let line = format!("{mark} {}  {}", look.strong(image.name.as_str()), look.weak(&seconds));
    if rest.is_empty() { line } else { format!("{line}  {rest}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::event::{Event, StepState};
    use crate::model::names::NodeName;

    fn run(images: usize) -> RunState {
        let name = |n: usize| NodeName::new(format!("h-baker/project-{n}"));
        let mut run = RunState::default();
        let build = (0..images + 2).map(name).collect();
        run.fold(
            Duration::ZERO,
            &Event::RunStarted { build, fetch: vec![], push: vec![], keep: vec![], jobs: images },
        );
        for n in 0..images {
            let started = Event::ImageStarted { image: name(n), reasons: vec![], log: None };
            run.fold(Duration::from_secs(n as u64), &started);
            let step = Event::Step {
                image: name(n),
                id: "a".to_owned(),
                name: "RUN python3 -m pip install 'transformers>=4.44,<5' accelerate".to_owned(),
                state: StepState::Started,
            };
            run.fold(Duration::from_secs(n as u64), &step);
        }
        run
    }

    #[test]
    fn no_line_is_wider_and_no_frame_higher_than_the_terminal() {
        let look = Look { colour: true, unicode: true, width: None };
        for columns_ in [1, 2, 5, 10, 20, 40, 59, 60, 80, 200] {
            for rows in [1, 2, 3, 4, 10, 24] {
                for images in [0, 1, 3, 8, 40] {
                    let size = Size { columns: columns_, rows };
                    let lines = frame(&run(images), Duration::from_secs(100), size, &look);
                    assert!(lines.len() < rows.max(2), "{} lines in {size:?}", lines.len());
                    for line in lines {
                        assert!(columns(&line) < columns_.max(2), "{line:?} in {size:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn images_without_a_row_are_counted() {
        let size = Size { columns: 60, rows: 6 };
        let lines = frame(&run(9), Duration::from_millis(62_340), size, &Look::default());
        assert_eq!(
            lines,
            [
                "\\ h-baker/project-0  1m 02s  #1 RUN python3 -m pip install~",
                "\\ h-baker/project-1  1m 01s  #1 RUN python3 -m pip install~",
                "\\ h-baker/project-2  1m 00s  #1 RUN python3 -m pip install~",
                "  ~ and 6 more",
                "0/11 done, 1m 02s, 2 to come",
            ]
        );
    }

    #[test]
    fn a_transfer_is_shown_in_bytes() {
        let mut run = run(1);
        let image = NodeName::new("h-baker/project-0");
        for (what, current) in [("layer a", 2_000_000), ("layer b", 500_000)] {
            let (what, step) = (what.to_owned(), "a".to_owned());
            let transfer = Event::Transfer { image: image.clone(), step, what, current, total: 5_000_000 };
            run.fold(Duration::from_secs(1), &transfer);
        }
        let size = Size { columns: 120, rows: 24 };
        let lines = frame(&run, Duration::from_secs(2), size, &Look::default());
        assert!(lines[0].ends_with("accelerate  2.5 MB of 10.0 MB"), "{lines:?}");
    }
}
