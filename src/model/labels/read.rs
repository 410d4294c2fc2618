//! Reading labels, new keys before old ones.
//!
//! A missing key is absent: no function here makes up a value.

use super::write::Labels;
use super::{
    GROUP_ID, HAS_USER_SETUP, Key, LEGACY, Legacy, MANAGED, NAME, PROJECT, PROTECTED, USER, USER_ID,
    USERNAME, ValueType,
};
use crate::model::names::Login;

/// What separates a container's short name from its owner's uid.
pub(crate) const UID_MARK: &str = "._.";

/// What is said together of an account in an image.
const SETUP: [Key; 4] = [HAS_USER_SETUP, USER_ID, GROUP_ID, USERNAME];

/// A value, and the key it came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LabelValue<'a> {
    pub(crate) value: &'a str,
    /// The key that answered; a legacy one if it is not the one asked for.
    pub(crate) key: &'a str,
}

/// The value of a key or of the first legacy key read as it. An empty value
/// is no value.
pub(crate) fn find<'a>(labels: &'a Labels, key: &Key) -> Option<LabelValue<'a>> {
    let old = LEGACY.iter().filter(|old| old.read_as == *key).map(|old| old.name);
    std::iter::once(key.name).chain(old).find_map(|name| {
        let (key, value) = labels.get_key_value(name)?;
        (!value.is_empty()).then_some(LabelValue { value, key })
    })
}

/// The old keys that something is still understood by: those that answer for
/// a key because no newer one does.
pub(crate) fn relied_on(labels: &Labels) -> impl Iterator<Item = &'static Legacy> + '_ {
    let setup = setup_labels(labels);
    LEGACY.iter().filter(move |old| {
        let mixed = SETUP.contains(&old.read_as) && !setup.legacy;
        !mixed && find(labels, &old.read_as).is_some_and(|found| found.key == old.name)
    })
}

/// The value of a key, whatever key it came from.
pub(crate) fn text<'a>(labels: &'a Labels, key: &Key) -> Option<&'a str> {
    find(labels, key).map(|found| found.value)
}

/// The values of a key that is a list; none where it is not there.
pub(crate) fn list(labels: &Labels, key: &Key) -> Vec<String> {
    let values = text(labels, key).unwrap_or_default().split(',').map(str::trim);
    values.filter(|value| !value.is_empty()).map(str::to_owned).collect()
}

/// A boolean key: only `true` is true.
pub(crate) fn flag(labels: &Labels, key: &Key) -> bool {
    debug_assert_eq!(key.kind, ValueType::Bool);
    text(labels, key) == Some("true")
}

/// Whether it is to be kept. Whoever wrote the label meant it to do something,
/// so that only what plainly says no does not protect.
pub(crate) fn protected(labels: &Labels) -> bool {
    let says_no = |text: &str| ["false", "no", "0"].iter().any(|no| text.eq_ignore_ascii_case(no));
    text(labels, &PROTECTED).is_some_and(|text| !says_no(text.trim()))
}

/// Whether we or the system before us made it.
pub(crate) fn managed(labels: &Labels) -> bool {
    flag(labels, &MANAGED)
}

/// An account that some image has, as its labels say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct UserSetup {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    /// Account name, where it is said.
    pub(crate) username: Option<String>,
}

/// What the labels of one generation say of an account, as it stands there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct SetupLabels<'a> {
    /// They are those of the system before us.
    pub(crate) legacy: bool,
    pub(crate) has: Option<&'a str>,
    pub(crate) uid: Option<&'a str>,
    pub(crate) gid: Option<&'a str>,
    pub(crate) username: Option<&'a str>,
}

impl SetupLabels<'_> {
    /// Nothing is said.
    pub(crate) fn is_empty(&self) -> bool {
        [self.has, self.uid, self.gid, self.username].iter().all(Option::is_none)
    }

    /// The account that is baked in; `None` unless all of it is said.
    pub(crate) fn account(&self) -> Option<UserSetup> {
        (self.has == Some("true")).then_some(())?;
        Some(UserSetup {
            uid: self.uid?.parse().ok()?,
            gid: self.gid?.parse().ok()?,
            username: self.username.map(str::to_owned),
        })
    }
}

/// What is said of an account: by our keys if any of them is there, else by
/// old ones. The two are never mixed: half a new group and half an old one
/// describe no image that was ever made.
pub(crate) fn setup_labels(labels: &Labels) -> SetupLabels<'_> {
    let new = SETUP.map(|key| key.name);
    let old = SETUP.map(|key| LEGACY.iter().find(|old| old.read_as == key).map_or("", |old| old.name));
    let legacy = !new.iter().any(|name| labels.contains_key(*name));
    let names = if legacy { old } else { new };
    let [has, uid, gid, username] = names.map(|name| labels.get(name).map(String::as_str));
    SetupLabels { legacy, has, uid, gid, username }
}

/// The account that is baked in; `None` unless all of it is said.
pub(crate) fn user_setup(labels: &Labels) -> Option<UserSetup> {
    setup_labels(labels).account()
}

/// Whether an image already has this account.
pub(crate) fn has_setup_for(labels: &Labels, uid: u32, gid: u32) -> bool {
    user_setup(labels).is_some_and(|setup| setup.uid == uid && setup.gid == gid)
}

/// Whose a container is, by what it says of that: a login, or a uid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum OwnerName {
    Login(Login),
    /// A uid from the container's name, that the user database does not know.
    Uid(u32),
}

impl OwnerName {
    /// By the user database.
    pub(crate) fn of_uid(uid: u32, users: LoginOfUid<'_>) -> Self {
        users(uid).map_or(Self::Uid(uid), Self::Login)
    }
}

impl std::fmt::Display for OwnerName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Login(login) => login.fmt(f),
            Self::Uid(uid) => f.pad(&format!("uid {uid}")),
        }
    }
}

/// The user database, asked for one uid.
pub(crate) type LoginOfUid<'a> = &'a dyn Fn(u32) -> Option<Login>;

/// The owner of a container, by the first that answers: the label and its
/// legacy forms, the uid in the name, the home that an editor opened.
pub(crate) fn owner(labels: &Labels, container: &str, users: LoginOfUid<'_>) -> Option<OwnerName> {
    if let Some(login) = text(labels, &USER) {
        return Some(OwnerName::Login(Login::new(login)));
    }
    if let Some((_, uid)) = split_name(container) {
        return Some(OwnerName::of_uid(uid, users));
    }
    let folder = labels.get("devcontainer.local_folder")?;
    let (login, _) = folder.strip_prefix("/home/")?.split_once('/')?;
    (!login.is_empty()).then(|| OwnerName::Login(Login::new(login)))
}

/// A container's name without the owner's uid: the label, else the name.
pub(crate) fn short_name<'a>(labels: &'a Labels, container: &'a str) -> &'a str {
    text(labels, &NAME).unwrap_or_else(|| split_name(container).map_or(container, |(short, _)| short))
}

/// The project a container is of, for people.
pub(crate) fn project<'a>(labels: &'a Labels, container: &'a str) -> &'a str {
    text(labels, &PROJECT).unwrap_or_else(|| short_name(labels, container))
}

/// `thesis._.1001` → `thesis` and 1001. The uid is compared as a number, so
/// that 1001 is not found in 10012.
pub(crate) fn split_name(container: &str) -> Option<(&str, u32)> {
    let (short, uid) = container.rsplit_once(UID_MARK)?;
    let digits = !uid.is_empty() && uid.bytes().all(|b| b.is_ascii_digit());
    (digits && !short.is_empty()).then(|| uid.parse().ok().map(|uid| (short, uid)))?
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::labels::{GPU_UUIDS, IMAGE};

    fn labels(pairs: &[(&str, &str)]) -> Labels {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    fn login(text: &str) -> Option<OwnerName> {
        Some(OwnerName::Login(Login::new(text)))
    }

    #[test]
    fn a_new_key_wins_over_an_old_one() {
        let both = labels(&[("ds01.user", "new"), ("aime.mlc.USER", "old"), ("aime.mlc", "older")]);
        assert_eq!(find(&both, &USER), Some(LabelValue { value: "new", key: "ds01.user" }));
        let old = labels(&[("aime.mlc", "older"), ("aime.mlc.USER", "old")]);
        assert_eq!(find(&old, &USER), Some(LabelValue { value: "old", key: "aime.mlc.USER" }));
    }

    #[test]
    fn keys_are_case_sensitive_and_a_missing_one_is_absent() {
        let wrong = labels(&[("aime.mlc.user", "x"), ("DS01.user", "x"), ("ds01.image", "")]);
        assert_eq!(find(&wrong, &USER), None);
        assert_eq!(find(&wrong, &IMAGE), None);
    }

    #[test]
    fn a_slot_key_that_holds_uuids_is_read_as_uuids() {
        let old = labels(&[("ds01.gpu_slot", "GPU-1"), ("ds01.gpu.allocated", "0")]);
        assert_eq!(text(&old, &GPU_UUIDS), Some("GPU-1"));
    }

    #[test]
    fn only_the_word_true_is_true() {
        for (value, is) in [("true", true), ("True", false), ("1", false), ("false", false), ("", false)] {
            assert_eq!(managed(&labels(&[("ds01.managed", value)])), is, "{value:?}");
        }
        assert!(managed(&labels(&[("aime.mlc.DS01_MANAGED", "true")])));
        assert!(!managed(&labels(&[("ds01.managed", "false"), ("aime.mlc.DS01_MANAGED", "true")])));
    }

    #[test]
    fn whatever_does_not_say_no_protects() {
        for (value, is) in
            [("true", true), ("TRUE", true), ("1", true), ("ann asked for it", true), ("False", false)]
        {
            assert_eq!(protected(&labels(&[("ds01.protected", value)])), is, "{value:?}");
        }
        assert!(!protected(&labels(&[])) && !protected(&labels(&[("ds01.protected", "")])));
    }

    #[test]
    fn setup_is_skipped_only_where_all_of_it_matches() {
        let new = |has: &str, uid: &str, gid: &str| {
            labels(&[("ds01.has_user_setup", has), ("ds01.user_id", uid), ("ds01.group_id", gid)])
        };
        let old = |has: &str, uid: &str, gid: &str| {
            labels(&[
                ("aime.mlc.DS01_HAS_USER_SETUP", has),
                ("aime.mlc.DS01_USER_ID", uid),
                ("aime.mlc.DS01_GROUP_ID", gid),
            ])
        };
        let mut mixed = old("true", "7", "8");
        mixed.insert("ds01.user_id".into(), "7".into());
        let cases = [
            ("new labels match", new("true", "7", "8"), true),
            ("legacy labels match", old("true", "7", "8"), true),
            ("uid differs", new("true", "9", "8"), false),
            ("gid differs", new("true", "7", "9"), false),
            ("label false", new("false", "7", "8"), false),
            ("label missing", labels(&[]), false),
            ("only uid present", labels(&[("ds01.user_id", "7")]), false),
            ("two generations mixed", mixed, false),
        ];
        for (case, labels, expected) in cases {
            assert_eq!(has_setup_for(&labels, 7, 8), expected, "{case}");
        }
    }

    #[test]
    fn the_owner_is_the_first_that_answers() {
        let known = |uid| (uid == 1001).then(|| Login::new("ann"));
        let none = labels(&[]);
        let editor = labels(&[("devcontainer.local_folder", "/home/eve/work/x")]);
        let label = labels(&[("aime.mlc.USER", "bob"), ("devcontainer.local_folder", "/home/eve/x")]);
        assert_eq!(owner(&label, "x._.1001", &known), login("bob"));
        assert_eq!(owner(&editor, "x._.1001", &known), login("ann"));
        assert_eq!(owner(&editor, "x._.10012", &known), Some(OwnerName::Uid(10012)));
        assert_eq!(owner(&editor, "x", &known), login("eve"));
        assert_eq!(owner(&labels(&[("devcontainer.local_folder", "/srv/x")]), "x", &known), None);
        assert_eq!(owner(&none, "x", &known), None);
    }

    #[test]
    fn a_name_is_split_at_its_last_mark() {
        assert_eq!(split_name("a._.b._.1001"), Some(("a._.b", 1001)));
        assert_eq!(split_name("thesis._.4294967294"), Some(("thesis", 4_294_967_294)));
        for name in ["thesis", "thesis._.", "._.1001", "thesis._.10x", "thesis._.+5", "thesis._.99999999999"]
        {
            assert_eq!(split_name(name), None, "{name}");
        }
    }
}
