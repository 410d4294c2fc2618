//! What a person needs to know when a run is over: every failure with all that
//! helps to mend it, what it held up, and one line of numbers.

use super::failure;
use super::human;
use super::look::Look;
use super::state::{Phase, RunState};

/// The whole summary, the line of numbers last.
pub(crate) fn render(run: &RunState, look: &Look) -> String {
    let mut out = String::new();
    for image in run.images() {
        if let Phase::Failed { failure, .. } = &image.phase {
            out.push_str(&failure::render(image, failure, look));
            out.push('\n');
        }
    }
    let blocked = run.blocked();
    for (by, images) in &blocked {
        let names: Vec<_> = images.iter().map(|name| name.as_str()).collect();
        out.push_str(&format!("{} {}\n", look.warn(&format!("blocked by {by}:")), names.join(", ")));
    }
    if !blocked.is_empty() {
        out.push('\n');
    }
    let counts = run.counts();
    if counts.wanted() == 0 && counts.kept > 0 {
        out.push_str(&format!("nothing to build: {}\n", human::up_to_date(counts.kept)));
    }
    out.push_str(&line(run, look));
    out.push('\n');
    out
}

/// The line of numbers: `built 2, kept 1, failed 1, blocked 0 in 12.3s`.
/// These four are always there, so that scripts may look for them; what else
/// happened follows.
pub(crate) fn line(run: &RunState, look: &Look) -> String {
    let counts = run.counts();
    let part = |word: &str, count: usize, paint: fn(&Look, &str) -> String| {
        let text = format!("{word} {count}");
        if count > 0 { paint(look, &text) } else { text }
    };
    let mut parts = vec![
        part("built", counts.built, Look::good),
        part("kept", counts.kept, Look::strong),
        part("failed", counts.failed, Look::bad),
        part("blocked", counts.blocked, Look::warn),
    ];
    if counts.cancelled > 0 {
        parts.push(part("cancelled", counts.cancelled, Look::warn));
    }
    let transfers = [("pulled", counts.fetched), ("pushed", counts.pushed)];
    let some = transfers.into_iter().filter(|(_, count)| *count > 0);
    parts.extend(some.map(|(word, count)| part(word, count, Look::good)));
    format!("{} in {}", parts.join(", "), human::took(run.took()))
}
