//! Sizes and times as people read them. Pure: knows no clock and no locale.

use std::fmt::Display;
use std::time::Duration;

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;
const WEEK: u64 = 7 * DAY;
const MONTH: u64 = 30 * DAY;
const YEAR: u64 = 365 * DAY;

/// A number of bytes in powers of ten, as Docker prints sizes: `512 B`,
/// `1.2 GB`.
pub(crate) fn bytes(count: u64) -> String {
    if count < 1000 {
        return format!("{count} B");
    }
    let units = ["kB", "MB", "GB", "TB", "PB", "EB"];
    let mut value = count as f64 / 1000.0;
    let mut unit = 0;
    // 999.95 kB would be printed as `1000.0 kB`: it belongs to the next unit.
    while value >= 999.95 && unit + 1 < units.len() {
        value /= 1000.0;
        unit += 1;
    }
    format!("{value:.1} {}", units[unit])
}

/// A number of bytes as memory and disks are asked for: `39.5 GiB`.
pub(crate) fn gib(count: u64) -> String {
    format!("{:.1} GiB", count as f64 / f64::from(1 << 30))
}

/// How long something took: `28ms`, `3.4s`, `2m 05s`, `1h 02m`.
pub(crate) fn took(span: Duration) -> String {
    let millis = (span.as_micros() + 500) / 1000;
    if millis < 1000 { format!("{millis}ms") } else { clock(span) }
}

/// Like [`took`] but in tenths of a second below a minute, so that a running
/// counter keeps its shape: `0.3s`, `3.4s`, `2m 05s`, `1h 02m`.
pub(crate) fn clock(span: Duration) -> String {
    let tenths = (span.as_millis() + 50) / 100;
    if tenths < 600 {
        return format!("{}.{}s", tenths / 10, tenths % 10);
    }
    let seconds = span.as_secs() + u64::from(span.subsec_millis() >= 500);
    if seconds < HOUR {
        format!("{}m {:02}s", seconds / MINUTE, seconds % MINUTE)
    } else {
        format!("{}h {:02}m", seconds / HOUR, seconds % HOUR / MINUTE)
    }
}

/// How long ago something was: `just now`, `1 minute ago`, `3 hours ago`. The
/// number is rounded down.
pub(crate) fn age(span: Duration) -> String {
    let seconds = span.as_secs();
    let (size, word) = match seconds {
        0..MINUTE => return "just now".to_owned(),
        MINUTE..HOUR => (MINUTE, "minute"),
        HOUR..DAY => (HOUR, "hour"),
        DAY..WEEK => (DAY, "day"),
        WEEK..MONTH => (WEEK, "week"),
        MONTH..YEAR => (MONTH, "month"),
        YEAR.. => (YEAR, "year"),
    };
    format!("{} ago", count(seconds / size, word))
}

/// The same without `ago`, for which a narrow table has no room.
pub(crate) fn short_age(span: Duration) -> String {
    let age = age(span);
    age.strip_suffix(" ago").unwrap_or(&age).to_owned()
}

/// A number with its noun: `1 file`, `3 files`.
pub(crate) fn count<N: Display + From<u8> + PartialEq>(number: N, noun: &str) -> String {
    format!("{number} {noun}{}", if number == N::from(1) { "" } else { "s" })
}

/// At most so many names, and how many more there are.
pub(crate) fn listed<T: AsRef<str>>(names: &[T], most: usize) -> String {
    let shown: Vec<&str> = names.iter().take(most).map(AsRef::as_ref).collect();
    match names.len() - shown.len() {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

/// That so many images need nothing.
pub(crate) fn up_to_date(images: usize) -> String {
    match images {
        1 => "the image is up to date".into(),
        _ => format!("all {images} images are up to date"),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn one_image_is_not_all_of_them() {
        assert_eq!(up_to_date(1), "the image is up to date");
        assert_eq!(up_to_date(6), "all 6 images are up to date");
    }

    #[test]
    fn a_list_says_how_much_it_leaves_out() {
        assert_eq!(listed(&["a", "b"], 2), "a, b");
        assert_eq!(listed(&["a", "b", "c"], 2), "a, b and 1 more");
    }

    #[test]
    fn bytes_are_in_powers_of_ten() {
        let cases = [
            (0, "0 B"),
            (999, "999 B"),
            (1000, "1.0 kB"),
            (999_949, "999.9 kB"),
            (999_950, "1.0 MB"),
            (1_234_567_890, "1.2 GB"),
            (u64::MAX, "18.4 EB"),
        ];
        for (count, text) in cases {
            assert_eq!(bytes(count), text);
        }
        assert_eq!(gib((39 << 30) + (1 << 29)), "39.5 GiB");
    }

    #[test]
    fn durations_change_their_unit_where_rounding_does() {
        let cases = [
            (0, "0ms", "0.0s"),
            (28_000, "28ms", "0.0s"),
            (999_499, "999ms", "1.0s"),
            (999_500, "1.0s", "1.0s"),
            (3_440_000, "3.4s", "3.4s"),
            (59_949_000, "59.9s", "59.9s"),
            (59_950_000, "1m 00s", "1m 00s"),
            (125_000_000, "2m 05s", "2m 05s"),
            (3_599_600_000, "1h 00m", "1h 00m"),
            (3_725_000_000, "1h 02m", "1h 02m"),
        ];
        for (micros, short, running) in cases {
            assert_eq!(took(Duration::from_micros(micros)), short);
            assert_eq!(clock(Duration::from_micros(micros)), running);
        }
    }

    #[test]
    fn ages_are_rounded_down_to_one_unit() {
        let cases = [
            (59, "just now"),
            (60, "1 minute ago"),
            (3 * HOUR + 59 * MINUTE, "3 hours ago"),
            (DAY, "1 day ago"),
            (8 * DAY, "1 week ago"),
            (45 * DAY, "1 month ago"),
            (800 * DAY, "2 years ago"),
        ];
        for (seconds, text) in cases {
            assert_eq!(age(Duration::from_secs(seconds)), text);
        }
    }

    proptest! {
        #[test]
        fn sizes_and_times_fit_a_column(n: u64) {
            prop_assert!(bytes(n).len() <= 8, "{}", bytes(n));
            let span = Duration::from_millis(n % (99 * 3_600_000));
            prop_assert!(took(span).len() <= 7, "{}", took(span));
            prop_assert!(!took(span).contains("60s") && !took(span).contains("60m"));
        }
    }
}
