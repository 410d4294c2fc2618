//! What an image starts from: another image, or a Dockerfile's result.

use std::collections::HashMap;

use super::{Draft, Make, Stop};
use crate::engine::buildkit::config::ImageConfig;
use crate::engine::llb::{Change, Local, State, Step};
use crate::image::solve::DockerfileBuild;
use crate::model::reference::Reference;

impl Make<'_> {
    pub(super) async fn start_image(&self, reference: &Reference) -> Result<Draft, Stop> {
        let resolved = self.job.resolve(&reference.canonical(), "default").await?;
        Ok(Draft {
            state: State::image(reference),
            known: None,
            config: parse(&resolved.config)?,
            layers: Vec::new(),
            origin: Some(crate::engine::llb::digest(&resolved.config)),
        })
    }

    pub(super) async fn start_dockerfile(&self, build: &DockerfileBuild) -> Result<Draft, Stop> {
        self.offer.add_context(&build.context);
        let context = State::local(&Local {
            name: build.context.id.clone(),
            session: self.session.to_owned(),
            title: format!("load context {}", build.context.root.display()),
        });
        let file = Change::File {
            path: "/Dockerfile".into(),
            content: build.dockerfile.as_bytes().to_vec(),
            mode: 0o644,
            owner: (0, 0),
        };
        let dockerfile =
            State::scratch().files(&[file], &Step::new(format!("load {}", build.path.display())));
        let inputs = [("context", context), ("dockerfile", dockerfile)];
        let inputs = inputs.into_iter().filter_map(|(name, state)| Some((name, state.definition()?)));
        let produced = self.job.dockerfile(self.options(build), inputs).await?;
        let state = match produced.result.definition.clone().filter(|d| !d.def.is_empty()) {
            Some(definition) => {
                self.watch.seen().source.clone_from(&definition.source);
                State::from_pb(definition)
                    .map_err(|e| Stop::refused(format!("the engine answered {e}"), None))?
            }
            None => State::scratch(),
        };
        let (known, config) = (Some(produced.result), parse(&produced.config)?);
        Ok(Draft { state, known, config, layers: Vec::new(), origin: None })
    }

    fn options(&self, build: &DockerfileBuild) -> HashMap<String, String> {
        let args = self.solve.proxy.iter().chain(&build.args);
        let mut options: HashMap<String, String> =
            args.map(|(name, value)| (format!("build-arg:{name}"), value.clone())).collect();
        if let Some(target) = &build.target {
            options.insert("target".into(), target.clone());
        }
        if self.solve.no_cache {
            options.insert("no-cache".into(), String::new());
        }
        options
    }
}

fn parse(config: &[u8]) -> Result<ImageConfig, Stop> {
    ImageConfig::parse(config).map_err(|e| Stop::refused(e, None))
}
