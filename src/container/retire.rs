//! Removing a container for good, if that is allowed, and the report of it.

use super::installed_packages::{self, InstalledPackages, PackageTarget};
use super::permission::{AccessError, Action, may};
use super::save::SavedImage;
use crate::engine::{Container, Engine, Error};
use crate::host::people::Caller;
use crate::model::labels::read::LoginOfUid;
use serde::Serialize;

/// Seconds between asking a container's processes to end and killing them.
pub(super) const GRACE: u32 = 10;

/// A removal that is allowed; made only by [`decide`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ContainerRemoval {
    container: Container,
    stops: bool,
}

impl ContainerRemoval {
    pub(crate) fn container(&self) -> &Container {
        &self.container
    }

    /// The container's full name.
    pub(crate) fn name(&self) -> &str {
        &self.container.name
    }

    pub(crate) fn id(&self) -> &str {
        &self.container.id
    }

    /// The same for one that was stopped meanwhile.
    pub(crate) fn stopped(self) -> Self {
        Self { stops: false, ..self }
    }

    /// Whether it is stopped first.
    pub(crate) fn stops(&self) -> bool {
        self.stops
    }
}

/// Whether the caller may remove what this name means; `force` removes a
/// protected container.
///
/// # Errors
/// As [`may`] has it.
pub(crate) fn decide(
    name: &str,
    force: bool,
    containers: &[Container],
    caller: &Caller,
    users: LoginOfUid<'_>,
) -> Result<ContainerRemoval, AccessError> {
    let container = may(Action::Retire, name, force, containers, caller, users)?.clone();
    Ok(ContainerRemoval { stops: container.state.is_running(), container })
}

/// Stops the container, with ten seconds of grace, and removes it. By its id:
/// if another has taken the name since, that one stays.
///
/// # Errors
/// The engine's; a container that could not be stopped is still there.
pub(crate) async fn retire(engine: &dyn Engine, retirement: &ContainerRemoval) -> Result<(), Error> {
    if retirement.stops {
        engine.stop(retirement.id(), GRACE).await?;
    }
    engine.remove(retirement.id()).await
}

/// Removes it and says what was installed in it; with `dry_run` says it alone.
///
/// # Errors
/// As [`retire`].
pub(crate) async fn report(
    engine: &dyn Engine,
    retirement: &ContainerRemoval,
    target: &PackageTarget,
    dry_run: bool,
) -> Result<RetireReport, Error> {
    if dry_run {
        let installed = installed_packages::inspect(engine, retirement.id()).await;
        return Ok(RetireReport::new(retirement, installed, target, true));
    }
    let installed = installed_packages::inspect_briefly(engine, retirement.id()).await;
    retire(engine, retirement).await?;
    Ok(RetireReport::new(retirement, installed, target, false))
}

/// What was done, or would be.
#[derive(Debug, Serialize)]
pub(crate) struct RetireReport {
    container: String,
    /// `retired`, or `would_retire`.
    outcome: &'static str,
    dry_run: bool,
    /// It ran.
    stopped: bool,
    /// `None`: nothing was asked to be saved.
    pub(crate) saved: Option<SavedImage>,
    /// What the image lacks; `None`: that is not known.
    installed: Option<InstalledPackages>,
    /// Adds those of them that were asked for to the image.
    command: Option<String>,
    /// Why it is not known what is installed.
    unknown: Option<String>,
}

impl RetireReport {
    pub(crate) fn new(
        retirement: &ContainerRemoval,
        installed: Result<InstalledPackages, String>,
        target: &PackageTarget,
        dry_run: bool,
    ) -> Self {
        Self {
            container: retirement.name().to_owned(),
            outcome: if dry_run { "would_retire" } else { "retired" },
            dry_run,
            stopped: retirement.stops(),
            saved: None,
            command: installed.as_ref().ok().and_then(|installed| installed.command(target)),
            unknown: installed.as_ref().err().cloned(),
            installed: installed.ok(),
        }
    }

    /// What was done, for people.
    pub(crate) fn sentence(&self) -> String {
        let name = &self.container;
        let saved = self.saved.as_ref().map(|saved| &saved.reference);
        if !self.dry_run {
            return match saved {
                Some(saved) => format!(
                    "{name} is saved as {saved} and removed; `ds01-build deploy {saved}` makes another"
                ),
                None => format!("{name} is removed; its image and workspace are kept"),
            };
        }
        let stopped = self.stopped.then(|| "stopped".to_owned());
        let steps = stopped.into_iter().chain(saved.map(|saved| format!("saved as {saved}")));
        let steps: Vec<_> = steps.chain(["removed".to_owned()]).collect();
        format!("{name} would be {}; nothing was done", steps.join(", then "))
    }

    /// What is lost, and how it comes into the image.
    pub(crate) fn notes(&self) -> Vec<String> {
        let saved = self.saved.iter().flat_map(|saved| &saved.notes);
        let mut notes: Vec<_> = saved.map(|note| format!("note: {note}")).collect();
        let is_lost = self.saved.is_none();
        if let Some(why) = &self.unknown {
            let lost = if is_lost { ", and so what goes with it" } else { "" };
            notes.push(format!("what was installed in it is not known{lost}: {why}"));
        }
        let Some(installed) = self.installed.as_ref().filter(|installed| !installed.is_empty()) else {
            return notes;
        };
        let requested = installed.requested();
        let count = match requested.len() {
            1 => "1 package was".to_owned(),
            n => format!("{n} packages were"),
        };
        let others = match installed.others() {
            0 => String::new(),
            1 => ", and 1 more that came with them".to_owned(),
            n => format!(", and {n} more that came with them"),
        };
        let lost = match (is_lost, self.dry_run) {
            (false, _) => "",
            (true, true) => ", and would go with it",
            (true, false) => ", and went with it",
        };
        let requested = requested.join(", ");
        notes.push(format!("{count} installed in it that its image lacks{lost}: {requested}{others}"));
        notes.extend(self.command.iter().map(|command| format!("to add to the image: {command}")));
        let by_hand = installed.by_hand();
        if !by_hand.is_empty() {
            notes.push(format!("from no index, and so in no command: {}", by_hand.join(", ")));
        }
        notes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::container::installed_packages::{DebianPackage, PythonPackage};
    use crate::model::reference::Reference;

    fn python(name: &str, requested: bool, from_index: bool) -> PythonPackage {
        PythonPackage { name: name.into(), version: "1.0".into(), requested, from_index }
    }

    fn report(installed: Option<InstalledPackages>, saved: bool, dry_run: bool) -> RetireReport {
        let target = PackageTarget::Project("thesis".into());
        RetireReport {
            container: "thesis._.1001".into(),
            outcome: "retired",
            dry_run,
            stopped: true,
            saved: saved.then(|| SavedImage {
                reference: Reference::parse("ds01-1001/thesis:v1").unwrap(),
                image: None,
                logs: Vec::new(),
                notes: Vec::new(),
            }),
            command: installed.as_ref().and_then(|installed| installed.command(&target)),
            unknown: installed.is_none().then(|| "the engine did not say".into()),
            installed,
        }
    }

    #[test]
    fn it_says_what_goes_with_the_container_and_what_would_add_it() {
        let all = InstalledPackages {
            python: vec![python("timm", true, true), python("six", false, true), python("mine", true, false)],
            debian: vec![DebianPackage { name: "ffmpeg".into(), requested: true }],
        };
        let one = InstalledPackages { python: vec![python("timm", true, true)], debian: vec![] };
        let cases = [
            report(Some(all), false, true),
            report(Some(one), false, false),
            report(Some(InstalledPackages::default()), false, false),
            report(None, false, false),
            report(None, true, true),
            report(Some(InstalledPackages::default()), true, false),
        ];
        let text: Vec<_> =
            cases.iter().map(|case| format!("{}\n{}", case.sentence(), case.notes().join("\n"))).collect();
        insta::assert_snapshot!(text.join("\n\n"));
    }
}
