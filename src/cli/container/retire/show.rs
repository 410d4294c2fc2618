//! What `container retire` says.

use serde::Serialize;

use crate::cli::container::asked::Tell;
use crate::container::Retirement;
use crate::container::installed::{Found, Installed, Target};
use crate::container::save::{Look, Save, Saved};
use crate::model::names::ImageId;
use crate::ui::Output;

/// What was done, or would be.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    container: String,
    /// `retired`, or `would_retire`.
    outcome: &'static str,
    dry_run: bool,
    /// It ran.
    stopped: bool,
    /// `None`: nothing was asked to be saved.
    saved: Option<SavedAs>,
    /// What the image lacks; `None`: that is not known.
    installed: Option<Installed>,
    /// Adds those of them that were asked for to the image.
    command: Option<String>,
    /// Why it is not known what is installed.
    unknown: Option<String>,
    #[serde(skip)]
    notes: Vec<String>,
}

/// The image.
#[derive(Debug, Serialize)]
struct SavedAs {
    reference: String,
    /// `None`: nothing was done.
    image: Option<ImageId>,
    /// Log files that are as in the image below.
    logs: Vec<String>,
}

impl Report {
    pub(crate) fn new(retirement: &Retirement, found: &Found, target: &Target, dry_run: bool) -> Self {
        let (installed, unknown) = match found {
            Found::Known(installed) => (Some(installed.clone()), None),
            Found::Unknown(why) => (None, Some(why.clone())),
        };
        Self {
            container: retirement.name().to_owned(),
            outcome: if dry_run { "would_retire" } else { "retired" },
            dry_run,
            stopped: retirement.stops(),
            saved: None,
            command: installed.as_ref().and_then(|installed| installed.command(target)),
            installed,
            unknown,
            notes: Vec::new(),
        }
    }

    pub(crate) fn saved(&mut self, saved: &Saved) {
        let (reference, image) = (saved.reference.to_string(), Some(saved.id.clone()));
        self.saved = Some(SavedAs { reference, image, logs: saved.logs.clone() });
        self.notes.clone_from(&saved.notes);
    }

    pub(crate) fn would_save(&mut self, save: &Save, look: &Look) {
        let reference = save.target().to_string();
        self.saved = Some(SavedAs { reference, image: None, logs: look.logs.clone() });
    }

    fn sentence(&self) -> String {
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
    fn told(&self) -> Vec<String> {
        let mut notes = self.notes.iter().map(|note| format!("note: {note}")).collect::<Vec<_>>();
        let go = self.saved.is_none();
        if let Some(why) = &self.unknown {
            let lost = if go { ", and so what goes with it" } else { "" };
            notes.push(format!("what was installed in it is not known{lost}: {why}"));
        }
        let Some(installed) = self.installed.as_ref().filter(|installed| !installed.is_empty()) else {
            return notes;
        };
        let requested = installed.requested();
        let others = match installed.others() {
            0 => String::new(),
            1 => ", and 1 more that came with them".to_owned(),
            n => format!(", and {n} more that came with them"),
        };
        let lost = match (go, self.dry_run) {
            (false, _) => "",
            (true, true) => ", and would go with it",
            (true, false) => ", and went with it",
        };
        notes.push(format!(
            "{} installed in it that its image lacks{lost}: {}{others}",
            if requested.len() == 1 {
                "1 package was".to_owned()
            } else {
                format!("{} packages were", requested.len())
            },
            requested.join(", "),
        ));
        if let Some(command) = &self.command {
            notes.push(format!("to add to the image: {command}"));
        }
        let by_hand = installed.by_hand();
        if !by_hand.is_empty() {
            notes.push(format!("from no index, and so in no command: {}", by_hand.join(", ")));
        }
        notes
    }
}

impl Tell for Report {
    fn tell(&self, output: &mut Output) {
        output.line(&self.sentence());
    }

    fn notes(&self) -> Vec<String> {
        self.told()
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use proptest::prelude::*;

    use super::*;
    use crate::cli::Cli;
    use crate::container::installed::{Debian, Python};

    fn python(name: &str, requested: bool, from_index: bool) -> Python {
        Python { name: name.into(), version: "1.0".into(), requested, from_index }
    }

    fn report(installed: Option<Installed>, saved: bool, dry_run: bool) -> Report {
        let target = Target::Project("thesis".into());
        Report {
            container: "thesis._.1001".into(),
            outcome: "retired",
            dry_run,
            stopped: true,
            saved: saved.then(|| SavedAs {
                reference: "ds01-1001/thesis:v1".into(),
                image: None,
                logs: Vec::new(),
            }),
            command: installed.as_ref().and_then(|installed| installed.command(&target)),
            unknown: installed.is_none().then(|| "the engine did not say".into()),
            installed,
            notes: Vec::new(),
        }
    }

    #[test]
    fn it_says_what_goes_with_the_container_and_what_would_add_it() {
        let all = Installed {
            python: vec![python("timm", true, true), python("six", false, true), python("mine", true, false)],
            debian: vec![Debian { name: "ffmpeg".into(), requested: true }],
        };
        let one = Installed { python: vec![python("timm", true, true)], debian: vec![] };
        let cases = [
            report(Some(all), false, true),
            report(Some(one), false, false),
            report(Some(Installed::default()), false, false),
            report(None, false, false),
            report(None, true, true),
            report(Some(Installed::default()), true, false),
        ];
        let text: Vec<_> =
            cases.iter().map(|case| format!("{}\n{}", case.sentence(), case.told().join("\n"))).collect();
        insta::assert_snapshot!(text.join("\n\n"));
    }

    fn parsed(command: &str) -> Vec<String> {
        let words = command.split(' ').map(|word| word.trim_matches('\'').to_owned()).collect::<Vec<_>>();
        Cli::try_parse_from(&words).unwrap_or_else(|e| panic!("{command}: {e}"));
        words
    }

    proptest! {
        #[test]
        fn the_printed_command_is_one_of_ours(
            pip in proptest::collection::vec("[a-z][a-z0-9-]{0,8}[a-z0-9]-[0-9]{1,2}(\\.[0-9a-z+!]{1,4}){0,3}", 0..4),
            apt in proptest::collection::vec("[ -~]{1,12}", 0..4),
            image in proptest::option::of("[a-z]{1,8}"),
        ) {
            use crate::container::installed::read;
            use crate::engine::{Change, ChangeKind};
            let pip = pip.iter().map(|name| format!("/opt/lib/site-packages/{name}.dist-info"));
            let apt = apt.iter().map(|name| format!("/var/lib/dpkg/info/{name}.list"));
            let changes: Vec<_> = pip.chain(apt).map(|path| Change { path, kind: ChangeKind::Added }).collect();
            let installed = read(&changes, "");
            for target in [Target::Project("a/thesis".into()), Target::New { name: "thesis".into(), image }] {
                if let Some(command) = installed.command(&target) {
                    parsed(&command);
                }
            }
        }
    }
}
