//! Whose own an image is.

use crate::model::labels::read::{self, split_name};
use crate::model::labels::write::Labels;
use crate::model::reference::Reference;

/// Before the uid in the repository of a person's images.
const PERSONAL: &str = "ds01-";

/// The uid of the person whose own image this is. `None`: it is shared.
///
/// Labels go before names: what we built for a person says so, and so do
/// project images of the system before us. An account alone does not make an
/// old image personal, since that system left one person's account in images
/// that all share. `names`: those that it was asked by, or all it has if it
/// was asked by id; it is personal if each of them is.
pub(crate) fn personal(labels: &Labels, names: &[Reference]) -> Option<u32> {
    let said = read::setup_labels(labels);
    let project = read::text(labels, &crate::model::labels::PROJECT).is_some();
    if let Some(setup) = said.account().filter(|_| !said.legacy || project) {
        return Some(setup.uid);
    }
    let mut owners = names.iter().map(owner);
    let first = owners.next()??;
    owners.all(|owner| owner.is_some()).then_some(first)
}

/// `ds01-1001/thesis:latest`, or `pytorch:thesis._.1001` as containers were
/// saved before.
fn owner(name: &Reference) -> Option<u32> {
    let repository = name.repository();
    let person = repository.as_str().strip_prefix(PERSONAL).and_then(|rest| rest.split_once('/'));
    let uid = person.and_then(|(uid, _)| uid.parse().ok());
    uid.or_else(|| Some(split_name(name.tag()?)?.1))
}
