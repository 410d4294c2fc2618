//! What a step prints goes to terminals and logs, and pip and apt print where
//! they fetch from. Credentials that a build was given are taken out of it
//! here, before anybody sees it. Knows texts only, not what they are for.

use std::borrow::Cow;

use crate::image::solve::{Secret, Solve};
use crate::model::event::Failure;

/// What stands in the place of a hidden text.
const INSTEAD: &str = "****";

/// Shorter parts of a proxy's login are left: they would blot out words.
const SHORTEST: usize = 4;

/// Texts that are never shown.
#[derive(Debug, Default)]
pub(super) struct Hidden(Vec<String>);

impl Hidden {
    /// Those of a solve: of its secrets, and of its proxies' addresses.
    pub(super) fn of(solve: &Solve) -> Self {
        let secrets = solve.secrets.values().flat_map(|secret| match secret {
            Secret::Text { hidden, .. } => hidden.clone(),
            Secret::File(_) => Vec::new(),
        });
        let proxies = solve.proxy.values().flat_map(|address| login(address));
        let mut texts: Vec<String> = secrets.chain(proxies).filter(|text| !text.is_empty()).collect();
        // One may be a part of another.
        texts.sort_by_key(|text| std::cmp::Reverse(text.len()));
        texts.dedup();
        Self(texts)
    }

    pub(super) fn text(&self, text: String) -> String {
        let found = self.0.iter().filter(|hidden| text.contains(hidden.as_str()));
        found
            .fold(Cow::Borrowed(text.as_str()), |text, hidden| text.replace(hidden, INSTEAD).into())
            .into_owned()
    }

    /// What may be shown of a text that goes on, and its end that may be the
    /// beginning of something hidden.
    pub(super) fn begun(&self, text: String) -> (String, String) {
        let mut text = self.text(text);
        let open = |hidden: &String| (1..hidden.len()).rev().find(|&n| is_end(&text, hidden, n));
        let held = self.0.iter().filter_map(open).max().unwrap_or(0);
        let end = text.split_off(text.len() - held);
        (text, end)
    }

    pub(super) fn failure(&self, failure: Failure) -> Failure {
        let hide = |text: Option<String>| text.map(|text| self.text(text));
        Failure {
            message: self.text(failure.message),
            step: hide(failure.step),
            help: hide(failure.help),
            output: failure.output.into_iter().map(|line| self.text(line)).collect(),
            ..failure
        }
    }
}

/// Whether a text ends in the first `n` bytes of another.
fn is_end(text: &str, hidden: &str, n: usize) -> bool {
    hidden.get(..n).is_some_and(|start| text.ends_with(start))
}

/// User and password of an address, together and alone.
fn login(address: &str) -> Vec<String> {
    let host = address.split_once("://").map_or(address, |(_, rest)| rest);
    let host = host.split('/').next().unwrap_or_default();
    let Some((login, _)) = host.rsplit_once('@') else { return Vec::new() };
    let parts = login.splitn(2, ':').filter(|part| part.len() >= SHORTEST);
    parts.chain([login]).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hidden(texts: &[&str]) -> Hidden {
        Hidden(texts.iter().map(|&text| text.to_owned()).collect())
    }

    #[test]
    fn a_proxys_login_is_hidden_whole_and_in_parts() {
        assert_eq!(login("http://jane:secret@proxy:3128/"), ["jane", "secret", "jane:secret"]);
        assert_eq!(login("jo:p@proxy:3128"), ["jo:p"]);
        assert!(login("http://proxy:3128/a@b").is_empty());
    }

    #[test]
    fn a_hidden_text_is_found_also_where_it_comes_in_pieces() {
        let hidden = hidden(&["jane:secret", "secret"]);
        let (mut shown, mut held) = (String::new(), String::new());
        for piece in ["from jane:", "sec", "ret@host, janet\n", "secre", "cy jane"] {
            let (text, end) = hidden.begun(held + piece);
            shown += &text;
            held = end;
        }
        assert_eq!(shown + &hidden.text(held), "from ****@host, janet\nsecrecy jane");
    }

    proptest::proptest! {
        #[test]
        fn no_cut_of_a_text_shows_what_is_hidden(before in "[a-e]{0,6}", after in "[a-e ]{0,6}", cuts in proptest::collection::vec(0..20_usize, 0..4)) {
            let hidden = hidden(&["abcabd"]);
            let whole = format!("{before}abcabd{after}");
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(whole.len())).chain([0, whole.len()]).collect();
            cuts.sort_unstable();
            let (mut shown, mut held) = (String::new(), String::new());
            for pair in cuts.windows(2) {
                let (text, end) = hidden.begun(held + &whole[pair[0]..pair[1]]);
                shown += &text;
                held = end;
            }
            shown += &hidden.text(held);
            proptest::prop_assert_eq!(shown, whole.replace("abcabd", "****"));
        }
    }
}
