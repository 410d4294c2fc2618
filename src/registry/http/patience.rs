//! How long registries are waited for, and how often they are asked again.

use std::time::Duration;

use jiff::fmt::rfc2822;

/// Limits of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Patience {
    /// For a connection.
    pub(crate) connect: Duration,
    /// For a whole answer.
    pub(crate) answer: Duration,
    /// Asked at most this often.
    pub(crate) tries: u32,
    /// Before the second try; twice as long before each further one.
    pub(crate) pause: Duration,
    /// The longest pause that a registry may ask for.
    pub(crate) longest: Duration,
    /// A host that did not answer is not asked again for so long.
    pub(crate) lost: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            answer: Duration::from_secs(10),
            tries: 3,
            pause: Duration::from_millis(200),
            longest: Duration::from_secs(10),
            // A plan does not wait for each of its images; a push at the end
            // of a long build tries again.
            lost: Duration::from_secs(60),
        }
    }
}

impl Patience {
    /// What to wait after the nth try.
    pub(crate) fn after(&self, tried: u32) -> Duration {
        self.pause * 2u32.saturating_pow(tried.saturating_sub(1))
    }
}

/// `Retry-After` is in seconds or a date. A date counts from the answer's own
/// `Date`: the clocks of two machines differ.
pub(crate) fn retry_after(value: &str, date: Option<&str>) -> Option<Duration> {
    if let Ok(seconds) = value.trim().parse() {
        return Some(Duration::from_secs(seconds));
    }
    let time = |text: &str| rfc2822::DateTimeParser::new().parse_timestamp(text.trim()).ok();
    let (then, now) = (time(value)?, time(date?)?);
    Some(Duration::from_secs(u64::try_from(then.as_second() - now.as_second()).unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_in_seconds_or_a_date() {
        let date = Some("Wed, 21 Oct 2026 07:28:00 GMT");
        assert_eq!(retry_after("7", date), Some(Duration::from_secs(7)));
        assert_eq!(retry_after("Wed, 21 Oct 2026 07:28:05 GMT", date), Some(Duration::from_secs(5)));
        assert_eq!(retry_after("Wed, 21 Oct 2026 07:27:05 GMT", date), Some(Duration::ZERO));
        assert_eq!(retry_after("Wed, 21 Oct 2026 07:28:05 GMT", None), None);
        assert_eq!(retry_after("soon", date), None);
        assert_eq!(retry_after("-1", date), None);
    }

    #[test]
    fn pauses_double() {
        let patience = Patience::default();
        assert_eq!([1, 2, 3].map(|n| patience.after(n).as_millis()), [200, 400, 800]);
    }
}
