//! Durations as people write them: `30m`, `1.5h`, `2d`, `1w`, `never`.

use std::time::Duration;

use crate::model::problem::Problem;
use crate::spec::reader::{Item, Problems, short};

/// Seconds.
const UNITS: [(&str, u64); 5] = [("w", 604_800), ("d", 86_400), ("h", 3600), ("m", 60), ("s", 1)];

/// A hundred years: more is a slip of the pen.
const LONGEST: Duration = Duration::from_secs(100 * 365 * 86_400);

/// A duration of a second at least; `None` is `never`, and nothing at all.
pub(crate) fn or_never(item: Item, problems: &mut Problems) -> Option<Option<Duration>> {
    if is_never(item) {
        return Some(None);
    }
    let found = item.scalar().and_then(parse);
    if let Some(duration) = found.filter(|duration| !duration.is_zero()) {
        return Some(Some(duration));
    }
    problems.push(broken(item, found));
    None
}

/// A duration, where none at all is zero.
pub(crate) fn or_none(item: Item, problems: &mut Problems) -> Option<Duration> {
    let found = if is_never(item) { Some(Duration::ZERO) } else { item.scalar().and_then(parse) };
    if found.is_none() {
        problems.push(broken(item, None));
    }
    found
}

fn is_never(item: Item) -> bool {
    item.is_null() || item.scalar() == Some("never")
}

fn broken(item: Item, found: Option<Duration>) -> Problem {
    let written = item.scalar().map_or_else(|| "this".into(), |text| format!("`{}`", short(text)));
    let what = if found.is_some() { "no time at all" } else { "no duration" };
    Problem::new(format!("{written} is {what}"))
        .at(&item.place())
        .help("write a number and s, m, h, d or w, such as 30m, 1.5h or 2d, or never")
}

/// `0.25h` is 900 s. Parts of a second are cut.
fn parse(text: &str) -> Option<Duration> {
    let (number, unit) =
        UNITS.iter().find_map(|(unit, seconds)| Some((text.strip_suffix(unit)?, seconds)))?;
    let plain = number.starts_with(|c: char| c.is_ascii_digit())
        && number.ends_with(|c: char| c.is_ascii_digit())
        && number.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    let number: f64 = plain.then(|| number.parse().ok()).flatten()?;
    let duration = Duration::try_from_secs_f64((number * *unit as f64).round()).ok()?;
    (duration <= LONGEST).then_some(duration)
}

/// As one would write it.
pub(crate) fn text(duration: Duration) -> String {
    let seconds = duration.as_secs();
    // A day is `24h` to people who wait for its end; two are `2d`.
    let fits =
        |(_, unit): &&(&str, u64)| seconds.is_multiple_of(*unit) && (*unit <= 3600 || seconds >= 2 * 86_400);
    match UNITS.iter().find(fits) {
        Some((unit, length)) if seconds > 0 => format!("{}{unit}", seconds / length),
        _ => "0s".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_people_write_them() {
        for (text, seconds) in [
            ("0.25h", 900),
            ("30m", 1800),
            ("1.5h", 5400),
            ("2d", 172_800),
            ("1w", 604_800),
            ("90s", 90),
            ("0h", 0),
        ] {
            assert_eq!(parse(text), Some(Duration::from_secs(seconds)), "{text}");
        }
        for text in ["", "h", "30", "-1h", "1.h", ".5h", "1e3h", "1h30m", "1 h", "1H", "1.2.3h", "9999999w"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn what_is_shown_can_be_written(seconds in 0u64..1_000_000_000) {
            let duration = Duration::from_secs(seconds);
            proptest::prop_assert_eq!(parse(&text(duration)), Some(duration));
        }
    }
}
