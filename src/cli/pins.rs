//! What commands do with spec.lock: read and write it, and say what was pinned
//! and what registries say of its pins.

use serde_json::{Value, json};

use super::error::CliError;
use super::session::Session;
use crate::plan::observe::{Pinning, Snapshot};
use crate::plan::pins::{BaseCheck, NewPins, Newest, PinnedPlan};
use crate::plan::{Context, PlannedRun, Selection};
use crate::spec::lock_file::{self, Lock};
use crate::ui::{Output, human};

/// Writes the new pins of a plan into spec.lock; the plan that holds then. A
/// lock that cannot be written is said and no more.
///
/// # Errors
/// spec.lock has been broken meanwhile.
pub(crate) async fn write(
    session: &Session,
    plan: PinnedPlan,
    context: &Context<'_>,
    selection: &Selection,
) -> Result<PlannedRun, CliError> {
    let path = session.lock_file();
    let shown = session.shown(&path);
    let (planned, new) = plan.write(context, selection, &path, &shown).await?;
    let Some(NewPins { count, saved }) = new else { return Ok(planned) };
    let shown = shown.display();
    let mut output = session.output();
    match saved {
        Ok(true) => output.note(&format!("{shown}: {} pinned", human::count(count as u64, "base"))),
        Ok(false) => {}
        Err(error) => output.note(&format!(
            "warning: {shown} cannot be written, so what tags stand for is not kept: {error}"
        )),
    }
    output.finish()?;
    Ok(planned)
}

/// Says for `-v` where a pin was followed and the engine's tag was not.
pub(crate) fn remark(snapshot: &Snapshot, session: &Session) {
    for (reference, base) in snapshot.bases() {
        if let (Pinning::Pinned { tag_is: Some(is) }, Some(digest)) = (&base.pinning, &base.digest) {
            let (digest, is) = (lock_file::short(digest), lock_file::short(is));
            session.remark(&format!("{reference} is pinned to {digest}; the engine's tag is at {is}"));
        }
    }
}

/// Says how many bases a build would pin.
pub(crate) fn note_unpinned(snapshot: &Snapshot, output: &mut Output) {
    let how = "not pinned yet: `build` writes spec.lock, and so does `update`";
    match snapshot.bases.values().filter(|base| base.pinning == Pinning::NotYet).count() {
        0 => {}
        1 => output.note(&format!("1 base is {how}")),
        n => output.note(&format!("{n} bases are {how}")),
    }
}

/// Lines after the plan, and warnings.
pub(crate) fn show_checks(checks: &[BaseCheck], output: &mut Output) {
    let mut current = 0;
    for BaseCheck { image, pinned, newest, rebuilds } in checks {
        let pinned = lock_file::short(pinned);
        match newest {
            Newest::Same => current += 1,
            Newest::Pin(new) => output.line(&format!(
                "behind: {image} pinned {pinned}, the registry has {}; update would rebuild {}",
                lock_file::short(new.digest()),
                human::count(rebuilds.len() as u64, "image")
            )),
            Newest::Gone => {
                output.note(&format!(
                    "warning: {image} is gone from its registry; it stays pinned to {pinned}"
                ));
            }
            Newest::RegistryUnavailable(why) => {
                output.note(&format!("warning: {image} could not be asked for: {}", why.0));
            }
        }
    }
    match checks.len() {
        0 => output.note("no base is pinned"),
        all if all == current => output.note("every pinned base is what its tag stands for"),
        _ => {}
    }
}

/// `[{image, pinned, state, registry?, rebuilds?, cause?}]`.
pub(crate) fn checks_to_json(checks: &[BaseCheck]) -> Value {
    let one = |BaseCheck { image, pinned, newest, rebuilds }: &BaseCheck| {
        let mut value = json!({"image": image, "pinned": pinned});
        match newest {
            Newest::Same => value["state"] = json!("current"),
            Newest::Pin(new) => {
                value["state"] = json!("behind");
                value["registry"] = json!(new.digest());
                value["rebuilds"] = json!(rebuilds);
            }
            Newest::Gone => value["state"] = json!("gone"),
            Newest::RegistryUnavailable(why) => {
                value["state"] = json!("unknown");
                value["cause"] = json!(why.0);
            }
        }
        value
    };
    checks.iter().map(one).collect()
}

/// Writes the lock.
///
/// # Errors
/// The folder or the file cannot be written.
pub(crate) fn save(session: &Session, lock: &Lock) -> Result<bool, CliError> {
    let path = session.lock_file();
    lock_file::save(&path, lock).map_err(|error| {
        CliError::usage(format!("{} cannot be written: {error}", session.shown(&path).display()))
    })
}
