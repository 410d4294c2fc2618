//! `deploy`: a container from a project's image, or from any image that its
//! owner's account is put onto.

mod asked;
mod devices;
mod folder;
pub(super) mod giving;
pub(super) mod making;
pub(super) mod owner;
mod source;

use std::path::Path;

use jiff::Timestamp;
use serde_json::json;

use super::agree;
use super::args::{BuildArgs, DeployArgs};
use super::build;
use super::exit::Exit;
use super::load::{self, CliError};
use super::settings::Settings;
use super::signals;
use crate::build::account_layer::{self, Decision, Layer, Stand, Why};
use crate::build::request::Surroundings;
use crate::deploy::assign::Found;
use crate::deploy::gpus::is_for_amd;
use crate::deploy::{self, Asked, Deployed, DeviceFiles, Order, Refusal};
use crate::engine::{CreateContainer, Engine, EngineInfo, ImageDetail};
use crate::gpu::nvml::NvmlProbe;
use crate::gpu::request::GpuRequest;
use crate::host::people::may_act_for;
use crate::image::user_layer;
use crate::model::account::Account;
use crate::model::problem::Problem;
use crate::spec::Spec;
use crate::spec::SpecEntry;
use crate::spec::graph::{Graph, NodeId};
use folder::Folders;
use giving::Allocator;
use making::Ended;
use owner::Owner;
use source::{Among, Source, Target};

pub(crate) async fn run(settings: &Settings, args: &DeployArgs) -> Result<Exit, CliError> {
    match deploy(settings, args).await {
        Ok(exit) | Err(Ended::Told(exit)) => Ok(exit),
        Err(Ended::CliError(trouble)) => Err(trouble),
    }
}

async fn deploy(settings: &Settings, args: &DeployArgs) -> Result<Exit, Ended> {
    name_said(args)?;
    let wanted = asked::of(args)?;
    // NVML may take its time, and nobody is to wait for it with the lock.
    let gpus = (wanted.gpus != GpuRequest::Nothing).then(|| NvmlProbe::open(settings.nvml_library.clone()));
    let signals = signals::listen().map_err(|e| CliError::bug(format!("no signal handlers: {e}")))?;
    let (spec, graph) = load::spec(settings)?;
    let asked = asked_owner(settings, args, &spec)?;
    let among = Among { settings, args, spec: &spec, graph: &graph };
    let target = among.target(asked.as_ref().map_or(settings.uid, |owner| owner.account.uid));
    // Whom it is for is known before the engine is asked for anything.
    let owner = owner(settings, &spec, target, asked)?;
    let engine = load::engine(settings).await?;
    let engine = engine.as_ref();
    let (source, owner) = find_source(among, target, owner, engine).await?;
    agree::check(settings, &spec, [&owner.account.login])?;
    let name = args.name.clone().unwrap_or_else(|| source.name.clone());
    let administrator = settings.caller(Some(&spec)).is_administrator();
    let folders = folder::find(settings, args, &name, &owner, administrator)?;
    let facts = engine.facts().await?;
    let around = match owner.account.sudo {
        true => build::surroundings(settings, &BuildArgs::default(), &spec)?,
        false => Surroundings::default(),
    };
    let setup = Setup::of(&source, &owner.account, &facts, &around, engine).await?;
    let files = devices::read(Path::new("/"));
    let (folders, facts) = (&folders, &facts);
    let want =
        Want { owner: &owner, source: &source, name: &name, folders, asked: &wanted, facts, files: &files };
    let giving =
        Allocator::new(settings, engine, facts, gpus.filter(|_| !is_for_amd(&source.image)), args.wait)?;
    // Refused before anything is made for it; under the lock it is decided anew.
    if args.dry_run || setup.is_to_make() || !folders.workspace().is_dir() {
        let request = giving.preview(&|found| want.request(setup.image(&source), found)).await?;
        if args.dry_run {
            return Ok(show_request(settings, &request, &setup, &source, &owner)?);
        }
    }
    folder::make(folders, &owner.account)?;
    let made;
    let image = match &setup {
        Setup::Make { layer, why } => {
            let why =
                format!("{} gets the account of {}, since {why}", source.reference, owner.account.login);
            made = making::lay(settings, &signals, engine, &facts.id, &source.image, layer, &why).await?;
            &made
        }
        _ => setup.image(&source),
    };
    let deployed = giving.run(&signals, &|found| want.request(image, found)).await?;
    Ok(report(settings, &deployed, &want)?)
}

/// `--name` is taken as it is, so it must be a name already.
fn name_said(args: &DeployArgs) -> Result<(), CliError> {
    let Some(said) = &args.name else { return Ok(()) };
    let name = account_layer::named(said);
    if name.as_ref() == Some(said) {
        return Ok(());
    }
    let problem = Problem::new(format!("`{}` is no container name", said.escape_debug()));
    let grammar = "use small letters, digits and single `.`, `_`, `-` between them";
    Err(CliError::Usage(problem.help(match name {
        Some(name) => format!("{grammar}: `{name}`"),
        None => grammar.to_owned(),
    })))
}

/// Who `--user` says.
fn asked_owner(settings: &Settings, args: &DeployArgs, spec: &Spec) -> Result<Option<Owner>, CliError> {
    let Some(login) = &args.user else { return Ok(None) };
    let owner = owner::by_login(spec, settings.people.as_ref(), login).map_err(CliError::Refused)?;
    if !may_act_for(&settings.caller(Some(spec)), owner.account.uid) {
        let problem = Problem::new(format!("you may not make containers for {}", owner.account.login));
        return Err(CliError::Refused(problem.help("only an administrator makes containers for others")));
    }
    Ok(Some(owner))
}

/// For whom it is; `None` while the word may still be another's project.
fn owner(
    settings: &Settings,
    spec: &Spec,
    target: Target<'_>,
    asked: Option<Owner>,
) -> Result<Option<Owner>, CliError> {
    let owner = match (target, asked) {
        (Target::Project(_, project), asked) => {
            if let Some(asked) = asked.filter(|asked| asked.account.uid != project.account.uid) {
                let (theirs, login) = (&project.account.login, &asked.account.login);
                let problem = Problem::new(format!("the project belongs to {theirs}, not to {login}"));
                return Err(CliError::Refused(problem.help("leave --user out")));
            }
            let owner = Owner::of_project(spec, project).map_err(CliError::Refused)?;
            allowed(settings, spec, &owner.account)?;
            owner
        }
        (_, Some(asked)) => asked,
        (Target::Shared(_), None) => caller(settings, spec)?,
        (Target::Unknown, None) => return Ok(None),
    };
    Ok(Some(owner))
}

fn caller(settings: &Settings, spec: &Spec) -> Result<Owner, CliError> {
    let owner = owner::by_uid(spec, settings.people.as_ref(), settings.uid).map_err(CliError::Refused)?;
    if settings.uid == 0 {
        let problem = Problem::new("root has no containers of its own");
        return Err(CliError::Refused(problem.help("say for whom it is with --user LOGIN")));
    }
    Ok(owner)
}

/// A project is deployed by its owner or an administrator.
fn allowed(settings: &Settings, spec: &Spec, account: &Account) -> Result<(), CliError> {
    if may_act_for(&settings.caller(Some(spec)), account.uid) {
        return Ok(());
    }
    let problem = Problem::new(format!("the project belongs to {} (uid {})", account.login, account.uid));
    Err(CliError::Refused(problem.help("only its owner or an administrator can deploy it")))
}

/// The image behind the word, and for whom the container is.
async fn find_source(
    among: Among<'_>,
    target: Target<'_>,
    owner: Option<Owner>,
    engine: &dyn Engine,
) -> Result<(Source, Owner), Ended> {
    let settings = among.settings;
    let or_caller = |owner: Option<Owner>| owner.map_or_else(|| caller(settings, among.spec), Ok);
    let source = match target {
        Target::Project(node, project) => among.project(engine, node, project).await?,
        Target::Shared(node) => among.shared(engine, node).await?,
        Target::Unknown => match among.image(engine).await? {
            Some(source) => source,
            None => match among.others() {
                Ok(Target::Project(node, project)) => {
                    let owner = self::owner(settings, among.spec, Target::Project(node, project), owner)?;
                    return Ok((among.project(engine, node, project).await?, or_caller(owner)?));
                }
                Ok(_) => unreachable!("names of the spec were looked for first"),
                Err(problem) => return Err(among.unknown(problem).into()),
            },
        },
    };
    let owner = or_caller(owner)?;
    user_layer::check_account(&owner.account)
        .map_err(|refusal| CliError::Refused(Problem::new(refusal.to_string()).help(refusal.help)))?;
    Ok((source, owner))
}

/// What an image needs before its owner can run in it.
enum Setup {
    /// It has the account.
    Has,
    /// An image with the account was made from it before.
    Made {
        image: ImageDetail,
        why: Why,
    },
    Make {
        layer: Box<Layer>,
        why: Why,
    },
}

impl Setup {
    async fn of(
        source: &Source,
        account: &Account,
        facts: &EngineInfo,
        around: &Surroundings,
        engine: &dyn Engine,
    ) -> Result<Self, CliError> {
        let why = match account_layer::decide(&source.image.labels, account) {
            Decision::Skip => return Ok(Self::Has),
            Decision::Lay(why) => why,
        };
        let derived = account_layer::derived(&source.name);
        let layer = account_layer::layer(&Stand {
            image: &source.image,
            reference: &source.reference,
            name: &derived,
            account,
            project: source.project.as_ref(),
            catalogue: source.catalogue.clone(),
            platform: &facts.platform,
            around,
        });
        Ok(match account_layer::found(engine, &layer).await? {
            Some(image) => Self::Made { image, why },
            None => Self::Make { layer: Box::new(layer), why },
        })
    }

    fn is_to_make(&self) -> bool {
        matches!(self, Self::Make { .. })
    }

    /// The image to run, as far as it is known.
    fn image<'a>(&'a self, source: &'a Source) -> &'a ImageDetail {
        match self {
            Self::Has => &source.image,
            Self::Made { image, .. } => image,
            Self::Make { layer, .. } => &layer.expected,
        }
    }

    fn why(&self) -> Option<&Why> {
        match self {
            Self::Has => None,
            Self::Made { why, .. } | Self::Make { why, .. } => Some(why),
        }
    }
}

/// All that a request is made of but the image and what is free.
struct Want<'a> {
    owner: &'a Owner,
    source: &'a Source,
    name: &'a str,
    folders: &'a Folders,
    asked: &'a Asked,
    facts: &'a EngineInfo,
    files: &'a DeviceFiles,
}

impl Want<'_> {
    fn request(&self, image: &ImageDetail, found: Found<'_>) -> Result<CreateContainer, Refusal> {
        let order = Order {
            name: self.name,
            project: self.source.project.as_ref(),
            account: &self.owner.account,
            limits: &self.owner.limits,
            image,
            workspace: self.folders.workspace(),
            mounts: &self.folders.mounts,
            asked: self.asked,
            way: found.way,
        };
        #[expect(clippy::disallowed_methods, reason = "the label ds01.created_at is the time of this call")]
        let now = Timestamp::now();
        let Found { containers, gpus, .. } = found;
        let seen = deploy::Seen { engine: self.facts, containers, gpus, files: self.files, now };
        deploy::request(&order, &seen)
    }
}

/// The project of that name; of several people's, the caller's own.
pub(super) fn find(spec: &Spec, graph: &Graph, name: &str, uid: u32) -> Result<NodeId, CliError> {
    let own = |node: &&crate::spec::graph::Node| match SpecEntry::of(spec, graph, node.id) {
        SpecEntry::Project(project) => project.name.as_str() == name && project.account.uid == uid,
        _ => false,
    };
    match graph.nodes().find(own) {
        Some(node) => Ok(node.id),
        None => graph.find(name).map_err(CliError::Usage),
    }
}

/// The request, and what would be done to the image before.
fn show_request(
    settings: &Settings,
    request: &CreateContainer,
    setup: &Setup,
    source: &Source,
    owner: &Owner,
) -> Result<Exit, CliError> {
    let mut output = settings.output();
    let mut value = json!(request);
    value["setup"] = json!({
        "needed": setup.why().is_some(),
        "why": setup.why().map(ToString::to_string),
        "on": source.reference,
        "made": !matches!(setup, Setup::Make { .. }),
    });
    output.value(&value);
    if let Some(why) = setup.why() {
        let layer = match setup {
            Setup::Make { .. } => "would be put on it",
            _ => "was put on it before",
        };
        output.note(&format!("{}: {why}; the user layer {layer}", source.reference));
    }
    notes(source, owner).iter().for_each(|note| output.note(note));
    output.note("nothing was created");
    output.finish()?;
    Ok(Exit::Done)
}

fn notes(source: &Source, owner: &Owner) -> Vec<String> {
    let behind = source.behind.as_ref().map(|image| {
        format!("its image is not up to date with the spec; ds01-build build {image} makes a new one")
    });
    let notes = [source.note.clone(), owner.note.clone(), behind];
    notes.into_iter().flatten().map(|note| format!("note: {note}")).collect()
}

fn report(settings: &Settings, deployed: &Deployed, want: &Want<'_>) -> Result<Exit, CliError> {
    let mut output = settings.output();
    output.data(deployed, |deployed, _| {
        let with = giving::with_words(&deployed.gpus);
        let workspace = want.folders.workspace().display();
        // Others' containers have their whole name only.
        let own = want.owner.account.uid == settings.uid;
        let name = if own { want.name } else { deployed.name.as_str() };
        let full = &deployed.name;
        match deployed.ended {
            None => format!(
                "{full} is running{with}; {workspace} is its /workspace\n\
                 enter it: ds01-build container enter {name}\n"
            ),
            Some(code) => format!(
                "{full} was started{with}, and its program has ended already with code {code}\n\
                 what it wrote: ds01-build container logs {name}\n\
                 when it is no longer needed: ds01-build container retire {name}\n"
            ),
        }
    });
    for note in &deployed.notes {
        output.note(&format!("note: {note}"));
    }
    notes(want.source, want.owner).iter().for_each(|note| output.note(note));
    output.finish()?;
    Ok(Exit::Done)
}
