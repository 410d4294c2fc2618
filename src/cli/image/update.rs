//! `image update`: a changed project file, checked with the whole spec before
//! it replaces the old one, and the image.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use similar::{ChangeTag, TextDiff};

use super::draft::{self, Checked, Draft};
use super::{options, outdated};
use crate::cli::args::ImageUpdateArgs;
use crate::cli::exit::Exit;
use crate::cli::load::{self, CliError};
use crate::cli::settings::Settings;
use crate::cli::signals::{self, Signals};
use crate::cli::{build, check, deploy, plan};
use crate::container::may_act_for;
use crate::host::files;
use crate::model::problem::Problem;
use crate::plan::PlannedRun;
use crate::spec::SpecEntry;
use crate::spec::edit::{self, EntryEdit, ProjectChanges};
use crate::spec::graph::Graph;
use crate::spec::{Project, Spec};

pub(crate) async fn run(settings: &Settings, args: &ImageUpdateArgs) -> Result<Exit, CliError> {
    let signals = signals::listen()?;
    let (spec, graph) = load::spec(settings)?;
    let node = deploy::find(&spec, &graph, &args.name, settings.uid)?;
    let SpecEntry::Project(project) = SpecEntry::of(&spec, &graph, node) else {
        let problem = Problem::new(format!("`{}` is no project's image", args.name));
        return Err(CliError::usage(problem.help("shared images are changed in the spec itself")));
    };
    allowed(settings, &spec, project)?;
    let old = Old::read(settings, project)?;
    let change = changes(settings, args, &spec, &graph, project, &old)?;
    let text = edit::apply(&old.text, project.name.as_str(), &change.changes)
        .map_err(|why| old.stuck(settings, &why))?;
    let draft = Draft { path: old.real.clone(), text };
    let checked = draft.check(settings, &project.name)?;
    check::uids(settings, &checked.spec, [&project.account.login])?;
    let work = Work { settings, signals: &signals, args, change: &change, old: &old, draft: &draft };
    if args.dry_run {
        return work.dry_run(&checked.plan(settings, &args.around).await?);
    }
    if !args.no_build {
        checked.plan(settings, &args.around).await?;
    }
    work.show()?;
    if work.changes_text() {
        files::replace(&old.path, &old.text, &draft.text)
            .map_err(|error| draft::unwritten(settings, &old.path, &error))?;
    }
    work.build(&checked).await
}

/// Only its owner, or an administrator, changes a project.
fn allowed(settings: &Settings, spec: &Spec, project: &Project) -> Result<(), CliError> {
    let account = &project.account;
    if may_act_for(&settings.caller(Some(spec)), account.uid) {
        return Ok(());
    }
    let problem = Problem::new(format!("the project belongs to {} (uid {})", account.login, account.uid));
    Err(CliError::refused(problem.help("only its owner or an administrator can change it")))
}

/// The project file as it is.
struct Old {
    path: PathBuf,
    /// Without links: the spec may be read with another text there.
    real: PathBuf,
    text: String,
}

impl Old {
    fn read(settings: &Settings, project: &Project) -> Result<Self, CliError> {
        let path = settings.here.join(&project.place.file.path);
        let read = || Ok((std::fs::canonicalize(&path)?, std::fs::read_to_string(&path)?));
        let (real, text) = read().map_err(|error: std::io::Error| {
            CliError::usage(format!("{} cannot be read: {error}", settings.shown(&path).display()))
        })?;
        Ok(Self { path, real, text })
    }

    fn stuck(&self, settings: &Settings, why: &str) -> CliError {
        let shown = settings.shown(&self.path);
        let problem = Problem::new(format!("{} was not changed: {why}", shown.display()));
        CliError::usage(problem.help("edit it, and then run `ds01-build image update` without flags"))
    }
}

fn changes(
    settings: &Settings,
    args: &ImageUpdateArgs,
    spec: &Spec,
    graph: &Graph,
    project: &Project,
    old: &Old,
) -> Result<EntryEdit, CliError> {
    let mut problems: Vec<Problem> = Vec::new();
    problems.extend(args.image.as_deref().and_then(|image| options::stands_on(graph, image).err()));
    let mut path = |flag, file: Option<&Path>| {
        let found = file.map(|file| options::below_root(settings, spec, flag, file)).transpose();
        found.map_err(|problem| problems.push(problem)).ok().flatten()
    };
    let changes = ProjectChanges {
        requirements: path("--requirements", args.requirements.as_deref()),
        dockerfile: path("--dockerfile", args.dockerfile.as_deref()),
        ..args.changes()
    };
    let entry = edit::read(&old.text, project.name.as_str()).map_err(|why| old.stuck(settings, &why))?;
    match edit::change(&entry, &changes, &spec.build.allow_urls) {
        Ok(change) if problems.is_empty() => Ok(change),
        Ok(_) => Err(CliError::problems(problems)),
        Err(more) => {
            problems.extend(more);
            Err(CliError::problems(problems))
        }
    }
}

/// A change that was checked.
struct Work<'a> {
    settings: &'a Settings,
    signals: &'a Signals,
    args: &'a ImageUpdateArgs,
    change: &'a EntryEdit,
    old: &'a Old,
    draft: &'a Draft,
}

impl Work<'_> {
    fn changes_text(&self) -> bool {
        self.old.text != self.draft.text
    }

    fn shown(&self) -> String {
        self.settings.shown(&self.old.path).display().to_string()
    }

    /// Lines that go and come, with `-` and `+`.
    fn diff(&self) -> String {
        let diff = TextDiff::from_lines(&self.old.text, &self.draft.text);
        let changes = diff.iter_all_changes().filter(|change| change.tag() != ChangeTag::Equal);
        changes.map(|change| format!("{} {}\n", change.tag(), change.value().trim_end())).collect()
    }

    fn facts(&self, written: bool) -> Value {
        json!({
            "name": self.args.name,
            "file": self.shown(),
            "diff": self.diff(),
            "changes": self.change.messages,
            "written": written && self.changes_text(),
        })
    }

    /// For people: the change.
    fn show(&self) -> Result<(), CliError> {
        let mut output = self.settings.output();
        self.change.messages.iter().for_each(|said| output.note(said));
        if self.changes_text() {
            output.note(&format!("{}:", self.shown()));
            self.diff().lines().for_each(|line| output.note(&format!("  {line}")));
        }
        Ok(output.finish()?)
    }

    fn dry_run(&self, made: &PlannedRun) -> Result<Exit, CliError> {
        self.show()?;
        let mut output = self.settings.output();
        if output.json {
            let mut data = made.plan.to_json();
            data["project"] = self.facts(false);
            output.value(&data);
        } else {
            plan::show(made, None, None, &mut output);
        }
        output.note("nothing was written");
        output.finish()?;
        Ok(Exit::Done)
    }

    async fn build(&self, checked: &Checked) -> Result<Exit, CliError> {
        let Self { settings, args, .. } = *self;
        let name = checked.build_name();
        let mut output = settings.output();
        if args.no_build {
            if output.json {
                output.value(&json!({ "project": self.facts(true) }));
            }
            output.note(&format!("to build it: ds01-build build {name}"));
            output.finish()?;
            return Ok(Exit::Done);
        }
        let build = draft::build_args(checked.name(), &args.around);
        let ended = build::run_for(settings, self.signals, &build, Some(("project", self.facts(true)))).await;
        match &ended {
            Ok(Exit::Done) => outdated::say(settings, &checked.spec, checked.project()).await?,
            _ if self.changes_text() => output.note(&format!(
                "{} stays as it is now; mend it with another `ds01-build image update`, or try again: ds01-build build {name}",
                self.shown()
            )),
            _ => {}
        }
        ended
    }
}
