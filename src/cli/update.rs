//! `update`: moves the pins of spec.lock, and says what that would rebuild.

use serde_json::{Value, json};

use super::args::UpdateArgs;
use super::error::CliError;
use super::exit::Exit;
use super::pins;
use super::plan;
use super::session::Session;
use crate::engine::ImageIndex;
use crate::model::names::NodeName;
use crate::model::problem::Problem;
use crate::plan::observe;
use crate::plan::update::{self, ChangeKind, EngineView, PinChange, PinUpdate, Rebuild};
use crate::spec::lock_file::{Pin, short};
use crate::ui::{Output, human};

/// More names than this are counted only.
const MOST_NAMES: usize = 10;

pub(crate) async fn run(session: &Session, args: &UpdateArgs) -> Result<Exit, CliError> {
    if let Some(name) = session.bases.keys().next() {
        let problem = Problem::new(format!(
            "--base {name}=… stands an image in for one run, and spec.lock outlasts it"
        ));
        return Err(CliError::usage(
            problem.help("leave --base away; `update` moves the pins of what the spec names"),
        ));
    }
    let (spec, graph) = session.spec()?;
    let stack = (&spec, &graph);
    let mut pins = session.pins()?;
    let engine = session.engine().await.ok();
    if engine.is_none() {
        session.remark("no engine answers; the graph alone says what would be rebuilt");
    }
    // What it has, where all of it is told.
    let listed = match &engine {
        Some(engine) => {
            let (facts, store) = tokio::join!(engine.info(), engine.images());
            facts.ok().zip(store.ok())
        }
        None => None,
    };
    let images = ImageIndex::new(listed.as_ref().map_or(&[], |(_, store)| store.as_slice()));
    let view = engine.as_ref().zip(listed.as_ref()).map(|(engine, (facts, _))| EngineView {
        engine: engine.as_ref(),
        platform: &facts.platform,
        images: &images,
    });
    let external = observe::external(&spec, &graph, view.map(|view| view.platform), session.hashes());
    let external = external.map_err(CliError::problems)?;
    let registry = session.registry(&spec);
    let update = update::update(stack, &external, &args.images, &mut pins.lock, registry.as_ref(), view);
    let update = update.await.map_err(CliError::problems)?;
    let written = !args.dry_run && pins::save(session, &pins.lock)?;
    let context = view.map(|view| plan::context(session, stack, view.engine, registry.as_ref(), &pins));
    let rebuild = Rebuild::of(stack, &update.affected, context.as_ref()).await;
    let report = Report { update, written, rebuild };
    let mut output = session.output();
    report.show(args.dry_run, &mut output);
    output.finish()?;
    Ok(if report.nobody_answered() { Exit::Engine } else { Exit::Done })
}

/// All of an update.
struct Report {
    update: PinUpdate,
    written: bool,
    rebuild: Rebuild,
}

impl Report {
    /// Whether there was somebody to ask, and none of them answered.
    fn nobody_answered(&self) -> bool {
        let mut asked =
            self.update.changes.iter().filter(|change| change.kind != ChangeKind::LocalOnly).peekable();
        asked.peek().is_some()
            && asked.all(|change| matches!(change.kind, ChangeKind::RegistryUnavailable(_)))
    }

    fn show(&self, dry_run: bool, output: &mut Output) {
        if output.json {
            return output.value(&self.to_json());
        }
        let moved = || self.update.changes.iter().filter(|change| change.kind == ChangeKind::Moved);
        let width = moved().map(|change| change.reference.to_string().len()).max().unwrap_or(0);
        for change in moved() {
            let old = change.old.as_ref().map_or("not pinned", |pin| short(pin.digest()));
            let new = change.new.as_ref().map_or("", |pin| short(pin.digest()));
            output.line(&format!("{:width$}  {old} → {new}", change.reference.to_string()));
        }
        for name in &self.update.dropped {
            output.line(&format!("dropped {name}: the spec does not use it any more"));
        }
        if !self.rebuild.images.is_empty() {
            output.line(&rebuild_text(&self.rebuild));
        }
        self.update.changes.iter().filter_map(remark).for_each(|remark| output.note(&remark));
        match self.update.changes.iter().filter(|change| change.kind == ChangeKind::Unchanged).count() {
            0 if self.update.changes.is_empty() => {
                output.note("nothing to pin: no image is based on one from elsewhere")
            }
            0 => {}
            n => output.note(&format!("{} unchanged", human::count(n as u64, "base"))),
        }
        if dry_run {
            output.note("nothing was written");
        }
    }

    fn to_json(&self) -> Value {
        json!({
            "bases": self.update.changes.iter().map(change_json).collect::<Vec<_>>(),
            "dropped": self.update.dropped,
            "written": self.written,
            "rebuild": {
                "images": self.rebuild.images,
                "projects": self.rebuild.projects,
                "users": self.rebuild.users,
                "planned": self.rebuild.planned,
            },
        })
    }
}

/// For people, of a change that is no move.
fn remark(change: &PinChange) -> Option<String> {
    let (name, pin) = (&change.reference, change.old.as_ref().map(|pin| short(pin.digest())));
    Some(match (&change.kind, pin) {
        (ChangeKind::Moved | ChangeKind::Unchanged, _) => return None,
        (ChangeKind::LocalOnly, _) => {
            format!("{name} is in this engine only: it has no pin, its image ID counts")
        }
        (ChangeKind::Gone, Some(pin)) => {
            format!("warning: {name} is gone from its registry; it stays pinned to {pin}")
        }
        (ChangeKind::Gone, None) => {
            format!("warning: {name} is not pinned: its registry has no such image")
        }
        (ChangeKind::RegistryUnavailable(why), Some(pin)) => {
            format!("warning: {name} stays pinned to {pin}: {why}")
        }
        (ChangeKind::RegistryUnavailable(why), None) => format!("warning: {name} is not pinned: {why}"),
    })
}

fn change_json(change: &PinChange) -> Value {
    let digest = |pin: &Option<Pin>| pin.as_ref().map(|pin| pin.digest().to_owned());
    let (state, cause) = match &change.kind {
        ChangeKind::Moved if change.old.is_none() => ("pinned", None),
        ChangeKind::Moved => ("moved", None),
        ChangeKind::Unchanged => ("unchanged", None),
        ChangeKind::LocalOnly => ("local", None),
        ChangeKind::Gone => ("gone", None),
        ChangeKind::RegistryUnavailable(why) => ("unknown", Some(why)),
    };
    let new = digest(&change.new).or_else(|| digest(&change.old));
    json!({"image": change.reference, "state": state, "old": digest(&change.old), "new": new, "cause": cause})
}

fn rebuild_text(rebuild: &Rebuild) -> String {
    let count = |number: usize, noun| human::count(number as u64, noun);
    let shown: Vec<_> = rebuild.images.iter().take(MOST_NAMES).map(NodeName::as_str).collect();
    let more = rebuild.images.len() - shown.len();
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    let own = match rebuild.projects {
        0 => String::new(),
        n => format!("; {} of {}", count(n, "project"), count(rebuild.users.len(), "user")),
    };
    let verb = if rebuild.planned { "to rebuild" } else { "are based on them" };
    format!("{verb}: {} ({}{more}){own}", count(rebuild.images.len(), "image"), shown.join(", "))
}
