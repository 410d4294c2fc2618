//! Removing a container for good, if that is allowed.

use super::Caller;
use crate::engine::{Container, Engine, Error};
use crate::model::labels::read::{self, UID_MARK, Users};

/// Seconds between asking a container's processes to end and killing them.
pub(super) const GRACE: u32 = 10;

/// What was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Asked<'a> {
    /// Short name (`thesis`) or full name (`thesis._.1001`).
    pub(crate) name: &'a str,
    /// `--force`: an administrator removes a protected container.
    pub(crate) force: bool,
}

/// A removal that is allowed; made only by [`decide`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Retirement {
    id: String,
    name: String,
    stop: bool,
}

impl Retirement {
    /// The container's full name.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    /// The same for one that was stopped meanwhile.
    pub(crate) fn stopped(self) -> Self {
        Self { stop: false, ..self }
    }

    /// Whether it is stopped first.
    pub(crate) fn stops(&self) -> bool {
        self.stop
    }
}

/// Why a container is left alone.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("there is no container `{name}`")]
    NotFound { name: String },
    #[error("`{name}` is the name of several containers: {}", names.join(", "))]
    Ambiguous { name: String, names: Vec<String> },
    #[error("container `{name}` was not made by ds01-build")]
    NotManaged { name: String },
    #[error("container `{name}` belongs to {}", owner.as_deref().unwrap_or("nobody known"))]
    NotYours { name: String, owner: Option<String> },
    #[error("container `{name}` is protected")]
    Protected { name: String, administrator: bool },
}

impl Refusal {
    /// What to do.
    pub(crate) fn help(&self) -> String {
        match self {
            Self::NotFound { .. } => "`ds01-build container list` shows yours, with --all everybody's".into(),
            Self::Ambiguous { .. } => "say the full name, with the uid".into(),
            Self::NotManaged { name } => {
                format!("if it is yours, remove it with the tool that made it, or `docker rm {name}`")
            }
            Self::NotYours { .. } => "ask its owner or an administrator".into(),
            Self::Protected { administrator: true, .. } => "say `--force` if it is meant".into(),
            Self::Protected { administrator: false, .. } => "ask an administrator".into(),
        }
    }
}

/// The container that a name means to this caller: one of their own by its
/// short name, else any by its full name, else, for an administrator, the one
/// with this short name.
///
/// # Errors
/// None or several are meant.
pub(crate) fn resolve<'a>(
    name: &str,
    containers: &'a [Container],
    caller: &Caller,
    users: Users<'_>,
) -> Result<&'a Container, Refusal> {
    let own_name = format!("{name}{UID_MARK}{}", caller.uid);
    let full = |wanted: &str| containers.iter().find(|c| c.name == wanted);
    let short = |c: &&Container| c.short_name() == name;
    let own = || one(name, containers.iter().filter(short).filter(|c| caller.owns(c, users)));
    let anyone = || one(name, containers.iter().filter(short).filter(|_| caller.is_administrator()));
    if let Some(container) = full(&own_name) {
        return Ok(container);
    }
    match own()? {
        Some(container) => Ok(container),
        None => match full(name) {
            Some(container) => Ok(container),
            None => anyone()?.ok_or_else(|| Refusal::NotFound { name: name.to_owned() }),
        },
    }
}

fn one<'a>(name: &str, found: impl Iterator<Item = &'a Container>) -> Result<Option<&'a Container>, Refusal> {
    match found.collect::<Vec<_>>().as_slice() {
        [] => Ok(None),
        [container] => Ok(Some(container)),
        several => {
            let names = several.iter().map(|c| c.name.clone()).collect();
            Err(Refusal::Ambiguous { name: name.to_owned(), names })
        }
    }
}

/// Whether the caller may remove what was asked for.
///
/// # Errors
/// Why not. A container that belongs to nobody known is an administrator's.
pub(crate) fn decide(
    asked: Asked<'_>,
    containers: &[Container],
    caller: &Caller,
    users: Users<'_>,
) -> Result<Retirement, Refusal> {
    let container = resolve(asked.name, containers, caller, users)?;
    let name = container.name.clone();
    let administrator = caller.is_administrator();
    if !administrator && !caller.owns(container, users) {
        let owner = read::owner(&container.labels, &name, users).map(|owner| owner.to_string());
        return Err(Refusal::NotYours { name, owner });
    }
    if !container.is_managed() {
        return Err(Refusal::NotManaged { name });
    }
    if container.is_protected() && !(administrator && asked.force) {
        return Err(Refusal::Protected { name, administrator });
    }
    let stop = container.state.is_running();
    Ok(Retirement { id: container.id.clone(), name, stop })
}

/// Stops the container, with ten seconds of grace, and removes it. By its id:
/// if another has taken the name since, that one stays.
///
/// # Errors
/// The engine's; a container that could not be stopped is still there.
pub(crate) async fn retire(engine: &dyn Engine, retirement: &Retirement) -> Result<(), Error> {
    if retirement.stop {
        engine.stop(&retirement.id, GRACE).await?;
    }
    engine.remove(&retirement.id).await
}
