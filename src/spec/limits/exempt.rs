//! `exempt:` — what is spared the rules of how long containers may be.
//!
//! Whether a time has passed is not known here: there is no clock.

use std::collections::BTreeSet;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

use crate::model::names::Login;
use crate::model::problem::Problem;
use crate::spec::names::{self, passes};
use crate::spec::reader::{Fields, Item, Problems, short};

/// A person or a container that some rules do not touch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Exemption {
    pub(crate) whom: Whom,
    /// Never empty.
    pub(crate) from: BTreeSet<Rule>,
    /// Seconds since 1970, from which on it does not hold any more; `None`: for ever.
    pub(crate) until: Option<i64>,
    /// For people.
    pub(crate) why: Option<String>,
}

/// Who is spared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Whom {
    /// All containers of a person.
    User(Login),
    /// One container by its name, with the owner's uid or without it.
    Container(String),
}

/// A rule of how long containers may be what they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Rule {
    LongestRun,
    Idle,
    Stopped,
    NeverStarted,
}

impl Rule {
    /// Every rule.
    pub(crate) const ALL: [Self; 4] = [Self::LongestRun, Self::Idle, Self::Stopped, Self::NeverStarted];

    /// The key in the spec.
    pub(crate) fn key(self) -> &'static str {
        match self {
            Self::LongestRun => "longest_run",
            Self::Idle => "idle",
            Self::Stopped => "stopped",
            Self::NeverStarted => "never_started",
        }
    }
}

/// `exempt:`, a list of `{user | container, from, until, why}`.
pub(crate) fn read(item: Option<Item>, problems: &mut Problems) -> Vec<Exemption> {
    let items = item.map(|item| item.list(problems)).unwrap_or_default();
    items.into_iter().filter_map(|item| exemption(item, problems)).collect()
}

fn exemption(item: Item, problems: &mut Problems) -> Option<Exemption> {
    let fields = item.fields(&["user", "container", "from", "until", "why"], problems);
    let whom = whom(item, &fields, problems);
    let from = match fields.get("from").filter(|item| !item.is_null()) {
        Some(item) => rules(item, problems),
        None => Some(Rule::ALL.into()),
    };
    let until = fields.get("until").map_or(Some(None), |item| until(item, problems));
    let why = fields.get("why").filter(|item| !item.is_null());
    let why = why.and_then(|item| item.string(problems)).map(str::to_owned);
    Some(Exemption { whom: whom?, from: from?, until: until?, why })
}

fn whom(item: Item, fields: &Fields, problems: &mut Problems) -> Option<Whom> {
    match (fields.get("user"), fields.get("container")) {
        (Some(user), None) => {
            let login = user.string(problems)?;
            passes(names::login(login), &user.place(), problems).then(|| Whom::User(Login::new(login)))
        }
        (None, Some(container)) => {
            let name = container.string(problems)?;
            let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
            if !name.is_empty() && name.chars().all(legal) {
                return Some(Whom::Container(name.to_owned()));
            }
            let problem = Problem::new(format!("`{}` cannot be a container's name", short(name)));
            problems.push(
                problem.at(&container.place()).help("write it as `ds01-build container list` shows it"),
            );
            None
        }
        (both, _) => {
            let what = if both.is_some() { "both a user and a container are" } else { "nobody is" };
            let problem = Problem::new(format!("{what} exempted")).at(&item.place());
            problems.push(problem.help("write `user: LOGIN` or `container: NAME`, an entry for each"));
            None
        }
    }
}

fn rules(item: Item, problems: &mut Problems) -> Option<BTreeSet<Rule>> {
    let keys = Rule::ALL.map(Rule::key);
    let mut rules = BTreeSet::new();
    for (text, item) in item.one_or_more(problems) {
        if let Some(rule) = Rule::ALL.into_iter().find(|rule| rule.key() == text) {
            rules.insert(rule);
            continue;
        }
        let help = match problems.near(text, keys) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("there are: {}", keys.join(", ")),
        };
        problems.push(Problem::new(format!("no rule `{}`", short(text))).at(&item.place()).help(help));
    }
    if rules.is_empty() && item.quiet_list().is_some_and(|list| list.is_empty()) {
        let problem = Problem::new("exempted from nothing").at(&item.place());
        problems.push(problem.help("name rules, or leave `from` out for all of them"));
    }
    (!rules.is_empty()).then_some(rules)
}

/// A date holds to its end, in UTC.
fn until(item: Item, problems: &mut Problems) -> Option<Option<i64>> {
    let text = item.scalar().unwrap_or_default();
    if item.is_null() || text == "never" {
        return Some(None);
    }
    let date = || {
        let next = text.parse::<Date>().ok().filter(|_| text.len() == 10)?.checked_add(1.day()).ok()?;
        TimeZone::UTC.to_timestamp(next.at(0, 0, 0, 0)).ok()
    };
    let time = date().or_else(|| text.parse::<Timestamp>().ok());
    if time.is_none() {
        let problem = Problem::new(format!("`{}` is no date", short(text))).at(&item.place());
        problems.push(problem.help("write 2026-12-31, a time such as 2026-12-31T18:00:00Z, or never"));
    }
    time.map(|time| Some(time.as_second()))
}
