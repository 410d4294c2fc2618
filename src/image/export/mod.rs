//! The Dockerfile that makes the same image with `docker build` alone, so that
//! nobody is locked in.
//!
//! Pure: made from the very request that a build sends, and from the files of
//! the account's layer. One Dockerfile for one image: what it is based on is
//! named by its tag, since a shared image has a Dockerfile of its own. Packages
//! are installed as here, with mounts that only BuildKit knows; an account is
//! plain files, which the classic builder can write, too. Knows no engine.

mod instructions;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use crate::image::recipe::is_secret;
use crate::image::solve::{DockerfileBuild, Solve, Start};
use crate::image::user_layer::LayerFiles;
use crate::model::names::NodeName;
use crate::model::reference::Reference;

/// Everything that a Dockerfile is written from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DockerfileExport<'a> {
    pub(crate) solve: &'a Solve,
    /// The account's files; empty without an account.
    pub(crate) layer: &'a LayerFiles,
    /// The tag to build it under.
    pub(crate) tag: &'a Reference,
    /// Images built here that it is made from, and their tags.
    pub(crate) parents: &'a [(NodeName, Reference)],
    /// What is known of the image that it is built on; `None`: it has a
    /// Dockerfile, or nobody knows.
    pub(crate) below: Option<BaseConfig<'a>>,
}

/// Of the config of the image below.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BaseConfig<'a> {
    pub(crate) user: &'a str,
    pub(crate) labels: &'a BTreeMap<String, String>,
}

impl DockerfileExport<'_> {
    /// The text.
    ///
    /// # Errors
    /// Something of it cannot be written in a Dockerfile; a sentence.
    pub(crate) fn text(&self) -> Result<String, String> {
        let mut text = match &self.solve.start {
            Start::Image(base) => format!("{}FROM {base}\n", self.head()),
            Start::Dockerfile(build) => self.own_dockerfile(build)?,
        };
        let escape = match &self.solve.start {
            Start::Image(_) => '\\',
            Start::Dockerfile(build) => directives(&build.dockerfile).1,
        };
        let runs = !self.solve.steps.is_empty() || !self.layer.nodes.is_empty();
        if runs {
            // By number: a base may lack the name.
            text.push_str("USER 0:0\n");
        }
        for step in &self.solve.steps {
            text.push_str(&instructions::step(step, escape)?);
        }
        text.push_str(&instructions::account(&self.layer.nodes, escape)?);
        let inherited = self.below.map(|below| below.labels);
        text.push_str(&instructions::config(&self.solve.config, inherited, escape)?);
        let user = self.solve.config.user.as_deref().or_else(|| {
            let before = self.below.map(|below| below.user).filter(|_| runs);
            before.filter(|user| !user.is_empty())
        });
        if let Some(user) = user {
            text.push_str(&format!("USER {}\n", instructions::double(user, escape)?));
        }
        Ok(text)
    }

    /// What to type, and what has to be there first.
    fn head(&self) -> String {
        let mut head =
            format!("# The image `{}` for docker build:\n#   {}\n", self.solve.node, self.command());
        for (name, tag) in self.parents {
            head.push_str(&format!(
                "# {tag} has to be there; `ds01-build build {name}` makes it, and so does what\n#   `ds01-build image show {name} --dockerfile` prints.\n"
            ));
        }
        head
    }

    fn command(&self) -> String {
        let (buildkit, file, context, args) = match &self.solve.start {
            Start::Image(_) => (!self.solve.steps.is_empty(), "", "-", Vec::new()),
            Start::Dockerfile(build) => (
                true,
                " -f -",
                build.context.root.to_str().filter(|root| is_line(root)).unwrap_or("CONTEXT"),
                arguments(build),
            ),
        };
        let ids: std::collections::BTreeSet<&String> = self
            .solve
            .steps
            .iter()
            .flat_map(|step| step.secrets.values())
            .chain(self.solve.secrets.keys())
            .collect();
        let secrets = ids.iter().map(|id| format!(" --secret id={id},src=FILE"));
        format!(
            "{}docker build -t {}{}{}{file} {} < THIS-FILE",
            if buildkit { "DOCKER_BUILDKIT=1 " } else { "" },
            self.tag,
            args.concat(),
            secrets.collect::<String>(),
            instructions::shell(context)
        )
    }

    /// A person's own Dockerfile, and a stage behind it for what is added.
    fn own_dockerfile(&self, build: &DockerfileBuild) -> Result<String, String> {
        let (head, _) = directives(&build.dockerfile);
        let (head, rest) = build.dockerfile.split_at(head);
        let mut text = format!("{head}{}{rest}", self.head());
        if !text.ends_with('\n') {
            text.push('\n');
        }
        if let Some(target) = &build.target {
            if target.bytes().all(|b| b.is_ascii_digit()) {
                return Err(format!("stage {target} has no name to go on from; name it with AS"));
            }
            text.push_str(&format!("\nFROM {target}\n"));
        } else {
            text.push_str("\n# What ds01-build adds:\n");
        }
        Ok(text)
    }
}

/// Build args as they are typed; by the variable that holds it, a secret one,
/// and one of several lines, since the comment that it stands in ends with a line.
fn arguments(build: &DockerfileBuild) -> Vec<String> {
    let argument = |(name, value): (&String, &String)| {
        if is_secret(name, value) || !is_line(value) {
            format!(" --build-arg {name}")
        } else {
            format!(" --build-arg {}", instructions::shell(&format!("{name}={value}")))
        }
    };
    build.args.iter().map(argument).collect()
}

fn is_line(text: &str) -> bool {
    !text.contains(['\n', '\r'])
}

/// How many bytes of a Dockerfile are parser directives, which must stay
/// first; and its escape character.
fn directives(text: &str) -> (usize, char) {
    let (mut length, mut escape) = (0, '\\');
    for line in text.split_inclusive('\n') {
        let Some((name, value)) = line.trim().strip_prefix('#').and_then(|rest| rest.split_once('=')) else {
            break;
        };
        let name = name.trim().to_ascii_lowercase();
        if !["syntax", "escape", "check"].contains(&name.as_str()) {
            break;
        }
        if name == "escape" {
            escape = value.trim().chars().next().unwrap_or('\\');
        }
        length += line.len();
    }
    (length, escape)
}
