//! The files of a fake image: those of its account, and none other.

use super::store::Stored;
use crate::image::user_layer::{BaseFacts, FactKind, FileFact, UserLayerInput, WORKSPACE, home_of};
use crate::model::account::Account;

/// What a real engine would read back, for accounts without sudo.
pub(crate) fn read(image: &Stored, wants: &[UserLayerInput]) -> BaseFacts {
    let mut facts = BaseFacts::default();
    for want in wants {
        let fact = image.account.as_ref().and_then(|account| of(account, want.path()));
        facts.learn(want.path(), fact.unwrap_or_else(FileFact::absent));
    }
    facts
}

fn of(account: &Account, path: &str) -> Option<FileFact> {
    let Account { name, uid, gid, shell, .. } = account;
    let home = home_of(account);
    let file = |text: String| {
        let kind = FactKind::File(Some(text.into_bytes()));
        Some(FileFact { kind, mode: 0o644, uid: 0, gid: 0 })
    };
    let own = || Some(FileFact { kind: FactKind::Dir(None), mode: 0o755, uid: *uid, gid: *gid });
    match path {
        "/etc/passwd" => file(format!("{name}:x:{uid}:{gid}::{home}:{shell}\n")),
        "/etc/group" => file(format!("{name}:x:{gid}:\n")),
        "/etc/shadow" => file(format!("{name}:*:10957::::::\n")),
        WORKSPACE => own(),
        _ if path == home || path.strip_prefix(&home) == Some("/.local/bin") => own(),
        _ => None,
    }
}
