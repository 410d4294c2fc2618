//! Reads the spec for a command, and connects to engine and registries.

use std::collections::BTreeSet;
use std::sync::Arc;

pub(crate) use super::error::CliError;
use super::settings::Settings;
use crate::engine::buildkit;
use crate::engine::{self, Engine};
use crate::model::problem::Problem;
use crate::registry::credentials::Credentials;
use crate::registry::{self, Registry};
use crate::spec::catalog::HostArch;
use crate::spec::files::{Disk, Files};
use crate::spec::graph::Graph;
use crate::spec::{self, BaseSource, Spec};

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
        return Err(CliError::usage(problem));
    };
    let world = spec::SpecContext {
        people: settings.people.as_ref(),
        arch: &settings.host,
        ..spec::SpecContext::of(files)
    };
    let mut spec = spec::read(&settings.here, file, &world).map_err(CliError::problems)?;
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
    if let (true, HostArch::Known { arch, source }) = (found, &settings.host) {
        settings.remark(&format!("architecture of this machine: {arch} ({source})"));
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
            return Err(CliError::usage(problem));
        };
        base.source = BaseSource::Image(image.clone());
    }
    Ok(())
}

/// The engine.
///
/// # Errors
/// The address is none, or nobody answers there.
pub(crate) async fn engine(settings: &Settings) -> Result<Arc<dyn Engine>, engine::Error> {
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
