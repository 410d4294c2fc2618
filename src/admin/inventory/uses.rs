//! What would break if an image were gone.

use serde::Serialize;

use super::{Group, Key, Known};
use crate::engine::Container;
use crate::model::names::ImageId;

/// A container on one of a name's images.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct User {
    pub(crate) container: String,
    pub(crate) running: bool,
    /// For people: `Up 3 minutes`.
    pub(crate) status: String,
}

/// Containers on these images, running or not; of a person's project also
/// those on an image whose tags have moved away.
pub(crate) fn users_of(known: &Known<'_>, group: &Group<'_>) -> Vec<User> {
    let personal = matches!(group.key, Key::Node(_) | Key::Personal(..));
    let of_project = |container: &Container| {
        personal
            && group.uid.is_some()
            && container.is_managed()
            && container.uid() == group.uid
            && container.project() == group.project
    };
    let on = known.containers.iter().filter(|c| group.has(&c.image_id) || of_project(c));
    let mut users: Vec<User> = on.map(user).collect();
    users.sort_by(|a, b| a.container.cmp(&b.container));
    users
}

fn user(container: &Container) -> User {
    User {
        container: container.name.clone(),
        running: container.state.is_running(),
        status: container.status.clone(),
    }
}

/// Images whose layers begin with all layers of one of `ids`, unless another
/// image that stays has just those layers. `layers`: of all images of the
/// engine, bottom first.
pub(crate) fn stand_on<'a>(ids: &[&ImageId], layers: &'a [(ImageId, Vec<String>)]) -> Vec<&'a ImageId> {
    let (going, staying): (Vec<_>, Vec<_>) = layers.iter().partition(|(id, _)| ids.contains(&id));
    let kept = |own: &[String]| staying.iter().any(|(_, layers)| layers == own);
    let below: Vec<&[String]> =
        going.iter().map(|(_, own)| own.as_slice()).filter(|own| !own.is_empty() && !kept(own)).collect();
    let stands = |layers: &[String]| below.iter().any(|own| layers.starts_with(own));
    staying.into_iter().filter(|(_, layers)| stands(layers)).map(|(id, _)| id).collect()
}
