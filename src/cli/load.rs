//! Reads the spec for a command, and what can go wrong before one starts.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::exit::Exit;
use super::settings::Settings;
use crate::build::MoveError;
use crate::engine::buildkit;
use crate::engine::{self, Engine};
use crate::model::problem::Problem;
use crate::plan::observe;
use crate::registry::credentials::Credentials;
use crate::registry::{self, Registry};
use crate::spec::catalog::HostArch;
use crate::spec::files::{Disk, Files};
use crate::spec::graph::Graph;
use crate::spec::{self, BaseSource, Spec};
use crate::ui::Output;

/// Why a command ended before it did anything.
#[derive(Debug)]
pub(crate) enum CliError {
    /// The spec, a Dockerfile or a context is wrong.
    Problems(Vec<Problem>),
    /// Bases are missing, on the engine and elsewhere.
    Bases(Vec<Problem>),
    /// The engine, a registry or the network.
    Engine(engine::Error),
    /// Registries that have to answer and do not.
    Registries(Vec<registry::Error>),
    /// The engine's disk is full.
    Space(Problem),
    /// The machine's GPUs or their driver.
    Gpus(Problem),
    /// A rule says no.
    Refused(Problem),
    /// The command line, or a folder we need.
    Usage(Problem),
    /// Ours.
    Bug(Problem),
    /// Standard output cannot be written.
    Output(std::io::Error),
    /// Told to stop before it did anything.
    Interrupted,
}

impl CliError {
    /// A wrong command line or surroundings.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::Usage(Problem::new(message))
    }

    /// Something that cannot happen.
    pub(crate) fn bug(message: impl Into<String>) -> Self {
        Self::Bug(
            Problem::new(message).help("this is a bug of ds01-build; please report it with this output"),
        )
    }

    /// What is wrong, in one line.
    pub(crate) fn sentence(&self) -> String {
        match self {
            Self::Problems(problems) | Self::Bases(problems) => {
                let more = problems.len().saturating_sub(1);
                let first = problems.first().map(|problem| problem.message.clone()).unwrap_or_default();
                if more == 0 { first } else { format!("{first}, and {more} more problems") }
            }
            Self::Engine(error) => error.to_string(),
            Self::Registries(errors) => errors.first().map(ToString::to_string).unwrap_or_default(),
            Self::Space(problem)
            | Self::Gpus(problem)
            | Self::Refused(problem)
            | Self::Usage(problem)
            | Self::Bug(problem) => problem.message.clone(),
            Self::Output(error) => error.to_string(),
            Self::Interrupted => "interrupted".into(),
        }
    }

    /// The code of the shell.
    pub(crate) fn exit(&self) -> Exit {
        match self {
            Self::Problems(_) | Self::Usage(_) | Self::Output(_) => Exit::Usage,
            Self::Engine(_) | Self::Registries(_) | Self::Space(_) | Self::Gpus(_) | Self::Bases(_) => {
                Exit::Engine
            }
            Self::Refused(_) => Exit::Refused,
            Self::Bug(_) => Exit::Bug,
            Self::Interrupted => Exit::Interrupted,
        }
    }

    /// Reports it and gives the code.
    pub(crate) fn show(self, mut output: Output) -> Exit {
        let exit = self.exit();
        match self {
            Self::Problems(problems) | Self::Bases(problems) => output.problems(&problems),
            Self::Engine(error) => {
                let mut problem = Problem::new(error.to_string());
                problem.help = error.help();
                output.problems(&[problem]);
            }
            Self::Registries(errors) => {
                let problem = |error: &registry::Error| Problem {
                    help: error.help(),
                    ..Problem::new(error.to_string())
                };
                output.problems(&errors.iter().map(problem).collect::<Vec<_>>());
            }
            Self::Refused(problem)
            | Self::Usage(problem)
            | Self::Bug(problem)
            | Self::Space(problem)
            | Self::Gpus(problem) => output.problems(&[problem]),
            Self::Output(error) => {
                output.problems(&[Problem::new(format!("the output cannot be written: {error}"))]);
            }
            Self::Interrupted => {}
        }
        let _ = output.finish();
        exit
    }
}

impl From<std::io::Error> for CliError {
    fn from(error: std::io::Error) -> Self {
        Self::Output(error)
    }
}

impl From<observe::Error> for CliError {
    fn from(error: observe::Error) -> Self {
        match error {
            observe::Error::Problems(problems) => Self::Problems(problems),
            observe::Error::Bases(problems) => Self::Bases(problems),
            observe::Error::Engine(error) => Self::Engine(error),
        }
    }
}

impl From<MoveError> for CliError {
    fn from(error: MoveError) -> Self {
        match error {
            MoveError::Engine(error) => Self::Engine(error),
            MoveError::Registry(error) => Self::Registries(vec![error]),
        }
    }
}

impl From<engine::Error> for CliError {
    fn from(error: engine::Error) -> Self {
        Self::Engine(error)
    }
}

/// The spec and its graph, `--base` applied.
///
/// # Errors
/// There is no spec, or it has problems.
pub(crate) fn spec(settings: &Settings) -> Result<(Spec, Graph), CliError> {
    spec_in(settings, &Disk)
}

/// The same as it would be with other files.
///
/// # Errors
/// There is no spec, or it has problems.
pub(crate) fn spec_in(settings: &Settings, files: &dyn Files) -> Result<(Spec, Graph), CliError> {
    let Some(file) = &settings.spec_file else {
        let problem = Problem::new("there is no spec.yml here or in a folder above")
            .help("go to the folder of the stack, or say --spec FILE");
        return Err(CliError::Usage(problem));
    };
    let world = spec::SpecContext {
        people: settings.people.as_ref(),
        arch: &settings.host,
        ..spec::SpecContext::of(files)
    };
    let mut spec = spec::read(&settings.here, file, &world).map_err(CliError::Problems)?;
    stand_in(&mut spec, settings)?;
    settings.remark(&format!("spec: {}", settings.shown(file).display()));
    remark_catalogue(&spec, settings);
    let rules = spec.images_dir.join("change_ignore.json");
    if rules.is_file() {
        let rules = settings.shown(&rules).display().to_string();
        settings.remark(&format!(
            "{rules} has no effect any more: an image is rebuilt when what its Dockerfile can read changes"
        ));
    }
    let graph = Graph::build(&spec);
    Ok((spec, graph))
}

/// Which rows of the catalogue are used: `latest` and a missing `arch` leave it open.
fn remark_catalogue(spec: &Spec, settings: &Settings) {
    let mut found = false;
    for base in &spec.bases {
        if let BaseSource::Catalog { framework, version, arch, image } = &base.source {
            found = true;
            settings.remark(&format!("base {}: {framework} {version} for {arch}, {image}", base.name));
        }
    }
    if let (true, HostArch::Known { arch, told_by }) = (found, &settings.host) {
        settings.remark(&format!("architecture of this machine: {arch} ({told_by})"));
    }
}

/// Replaces bases by the images that `--base` names.
fn stand_in(spec: &mut Spec, settings: &Settings) -> Result<(), CliError> {
    let known: BTreeSet<_> = spec.bases.iter().map(|base| base.name.to_string()).collect();
    for (name, image) in &settings.bases {
        let Some(base) = spec.bases.iter_mut().find(|base| base.name.as_str() == name) else {
            let known: Vec<_> = known.iter().map(String::as_str).collect();
            let problem = Problem::new(format!("--base {name}=…: the spec has no base `{name}`"))
                .help(format!("it has {}", known.join(", ")));
            return Err(CliError::Usage(problem));
        };
        base.source = BaseSource::Image(image.clone());
    }
    Ok(())
}

/// The engine.
///
/// # Errors
/// The address is none, or nobody answers there.
pub(crate) async fn engine(settings: &Settings) -> Result<Arc<dyn Engine>, CliError> {
    let address = settings.address()?;
    settings.remark(&format!("engine: {address}"));
    let credentials = Credentials::new(Some(settings.docker_config.clone()));
    let builder = buildkit::Builder::new(&address, credentials);
    Ok(Arc::new(engine::docker::Docker::connect(builder).await?))
}

/// The registries that references name; none is asked yet.
pub(crate) fn registry(settings: &Settings, spec: &Spec) -> Arc<dyn Registry> {
    Arc::new(registry::http::Registries::new(registry::http::Options {
        docker_config: Some(settings.docker_config.clone()),
        insecure: spec.insecure_registries.clone(),
        ..Default::default()
    }))
}
