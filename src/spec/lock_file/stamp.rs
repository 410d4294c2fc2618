//! When fresh packages were last asked for, as it is written down: a date, and
//! a number from the second time of that day on. Knows no clock.

use std::fmt;

use jiff::civil::Date;

use crate::spec::reader::{Item, short};

/// `2026-11-30`, then `2026-11-30.2`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    date: Date,
    /// How many times that day; never 0.
    count: u32,
}

impl Stamp {
    /// Parses what its `Display` writes, and nothing else.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (date, count) = text.split_once('.').map_or((text, "1"), |(date, count)| (date, count));
        let stamp = Self { date: date.parse().ok()?, count: count.parse().ok()? };
        (stamp.count > 0 && stamp.to_string() == text).then_some(stamp)
    }

    /// The stamp of a day that follows another one: never the same, and none
    /// that was there before it, also where a clock went back.
    pub(crate) fn following(old: Option<Self>, today: Date) -> Self {
        match old {
            Some(old) if old.date >= today => Self { count: old.count.saturating_add(1), ..old },
            _ => Self { date: today, count: 1 },
        }
    }

    /// The stamp of an entry; what is none is reported.
    pub(in crate::spec) fn read(item: Item) -> Option<Self> {
        let text = item.string()?;
        let stamp = Self::parse(text);
        if stamp.is_none() {
            let help = "write a date like `2026-11-30`, and `2026-11-30.2` the second time that day";
            item.report(format!("`{}` does not say when it was refreshed", short(text)), help);
        }
        stamp
    }
}

impl fmt::Display for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.count {
            1 => self.date.fmt(f),
            count => write!(f, "{}.{count}", self.date),
        }
    }
}
