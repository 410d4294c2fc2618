//! Numbers and bytes of limits, and what an engine takes for them.

use crate::model::problem::Problem;
use crate::spec::reader::{Item, Problems, short};

/// Below it the engine refuses to start a container.
const LEAST_MEMORY: u64 = 6 << 20;

const UNITS: [(&str, u32); 4] = [("t", 40), ("g", 30), ("m", 20), ("k", 10)];

pub(crate) fn cpus(item: Item, problems: &mut Problems) -> Option<f64> {
    let cpus = item.number(problems)?;
    // Docker takes hundredths and no less.
    if cpus >= 0.01 {
        return Some(cpus);
    }
    problems.push(
        Problem::new("no CPU at all").at(&item.place()).help("write 0.01 or more, or null for no limit"),
    );
    None
}

pub(crate) fn count(item: Item, least: u32, problems: &mut Problems) -> Option<u32> {
    let number = item.whole(problems)?;
    match u32::try_from(number) {
        Ok(count) if count >= least => Some(count),
        _ => {
            let problem = Problem::new(format!("{number} is out of range")).at(&item.place());
            problems.push(problem.help(format!("write a number from {least} on, or null for no limit")));
            None
        }
    }
}

pub(crate) fn percent(item: Item, problems: &mut Problems) -> Option<u32> {
    let number = item.whole(problems)?;
    let percent = u32::try_from(number).ok().filter(|percent| *percent <= 100);
    if percent.is_none() {
        let problem = Problem::new(format!("{number} percent is out of range")).at(&item.place());
        problems.push(problem.help("write a number from 0 to 100; with 0 nothing counts as idle"));
    }
    percent
}

pub(crate) fn memory(item: Item, problems: &mut Problems) -> Option<u64> {
    let bytes = size(item, problems)?;
    if bytes >= LEAST_MEMORY {
        return Some(bytes);
    }
    let problem = Problem::new(format!("{bytes} bytes are too few for a container")).at(&item.place());
    problems.push(problem.help("write at least 6m; units are k, m, g and t"));
    None
}

/// A size, where none is `0`.
pub(crate) fn swap(item: Item, problems: &mut Problems) -> Option<u64> {
    if item.scalar() == Some("0") { Some(0) } else { size(item, problems) }
}

/// `32g`, `512m`: units of 1024; a number alone would leave the unit open.
pub(crate) fn size(item: Item, problems: &mut Problems) -> Option<u64> {
    let written = item.string_or_whole(problems)?;
    let bytes = bytes(written);
    if bytes.is_none() {
        let problem = Problem::new(format!("`{}` is no size", short(written))).at(&item.place());
        problems.push(problem.help("write a whole number and k, m, g or t, such as 32g"));
    }
    bytes
}

/// What a size says, if it is one.
pub(crate) fn bytes(text: &str) -> Option<u64> {
    let lower = text.to_ascii_lowercase();
    let (number, shift) = UNITS.iter().find_map(|(unit, shift)| Some((lower.strip_suffix(unit)?, shift)))?;
    let digits = !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit());
    let bytes = digits.then(|| number.parse::<u64>().ok()?.checked_mul(1 << shift)).flatten();
    // Docker counts bytes in a signed number.
    bytes.filter(|bytes| *bytes > 0 && i64::try_from(*bytes).is_ok())
}

/// As one would write it.
pub(crate) fn text(bytes: u64) -> String {
    let fits = |(_, shift): &&(&str, u32)| bytes > 0 && bytes.is_multiple_of(1 << shift);
    match UNITS.iter().find(fits) {
        Some((unit, shift)) => format!("{}{unit}", bytes >> shift),
        None => bytes.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_is_shown_as_one_would_write_it() {
        for text_of in ["32g", "512m", "1536m", "2t", "5k"] {
            assert_eq!(bytes(text_of).map(text).as_deref(), Some(text_of));
        }
        assert_eq!((text(0), text(1000)), ("0".into(), "1000".into()));
        for text in ["", "g", "32", "32gb", "1.5g", "-1g", "0g", "99999999999t"] {
            assert_eq!(bytes(text), None, "{text}");
        }
    }
}
