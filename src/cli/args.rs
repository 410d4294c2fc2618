//! The command line as it is typed. What it means is `settings`' business.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::report::Mode;

/// Container images for shared GPU servers.
#[derive(Debug, Parser)]
#[command(
    name = "ds01-build",
    version,
    max_term_width = 100,
    about = "Builds a graph of container images from one spec, and containers from the images.",
    after_help = "Examples:\n  ds01-build check             is the spec right?\n  ds01-build plan              what would be built, and why\n  ds01-build build             build it\n  ds01-build deploy thesis     run a project's image\n  ds01-build build --base pytorch=debian:12\n                               build without a GPU base at hand\n\nExit codes: 0 done, 1 something failed to build, 2 usage or spec, 3 engine, registry or\nnetwork, 5 refused, 70 a bug of ours, 130 interrupted."
)]
pub struct Cli {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub command: Command,
}

/// Flags of every command.
#[derive(Debug, Args)]
#[command(next_help_heading = "Options of every command")]
pub struct Global {
    /// The spec to read [default: DS01_SPEC, or spec.yml here or in a folder above]
    #[arg(long, short = 'f', value_name = "FILE", global = true, env = "DS01_SPEC", hide_env = true)]
    pub spec: Option<PathBuf>,
    /// The engine [default: DOCKER_HOST, the current Docker context, the local socket]
    #[arg(long, value_name = "URL", global = true)]
    pub engine: Option<String>,
    /// How progress is shown: bars, plain (lines that stay), json (one event a line on standard
    /// output), quiet (failures and the last line), or auto (bars on a terminal, else plain)
    #[arg(long, value_name = "HOW", value_enum, default_value_t, global = true)]
    #[arg(hide_possible_values = true)]
    pub progress: Mode,
    /// Report data as JSON on standard output
    #[arg(long, global = true)]
    pub json: bool,
    /// Stand another image in for a base; may be given several times
    #[arg(long = "base", value_name = "NAME=REF", global = true, value_parser = base_override)]
    pub bases: Vec<(String, String)>,
    /// Say more: which spec and which engine are used
    #[arg(long, short, action = clap::ArgAction::Count, global = true)]
    pub verbose: u8,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Read the spec and every file it names, and report all that is wrong
    #[command(
        after_help = "Examples:\n  ds01-build check\n  ds01-build check --json | jq '.problems[].message'\n  ds01-build check --spec images/spec.yml"
    )]
    Check,
    /// Show which image stands on which, and which are up to date
    #[command(
        after_help = "Examples:\n  ds01-build graph\n  ds01-build graph --format mermaid > graph.mmd\n  ds01-build graph --format dot | dot -Tsvg > graph.svg"
    )]
    Graph(GraphArgs),
    /// Show what would be built, and why; build nothing
    #[command(
        after_help = "Examples:\n  ds01-build plan\n  ds01-build plan vision            only vision and what it stands on\n  ds01-build plan --json | jq '.images[] | select(.action == \"build\")'"
    )]
    Plan(PlanArgs),
    /// Build what has changed, and nothing else
    #[command(
        after_help = "Examples:\n  ds01-build build                  everything that is not up to date\n  ds01-build build thesis           one image and what it stands on\n  ds01-build build --force vision   vision and all that stands on it, again\n  ds01-build build --dry-run        the plan\n\nThe content tag r-<16 hex> is put on each image when it is done. Branch tags and `latest`\nmove only when every selected image is done."
    )]
    Build(BuildArgs),
    /// Create and start a container from a project image (= container deploy)
    #[command(after_help = DEPLOY_EXAMPLES)]
    Deploy(DeployArgs),
    /// Deploy, list and retire containers
    #[command(
        after_help = "Examples:\n  ds01-build container deploy thesis\n  ds01-build container list --all\n  ds01-build container retire thesis"
    )]
    Container {
        #[command(subcommand)]
        command: ContainerCommand,
    },
    /// Print a completion script for a shell
    #[command(
        after_help = "Examples:\n  ds01-build completions bash > /etc/bash_completion.d/ds01-build\n  ds01-build completions zsh > /usr/local/share/zsh/site-functions/_ds01-build\n  ds01-build completions fish > ~/.config/fish/completions/ds01-build.fish"
    )]
    Completions {
        /// The shell that will read it
        shell: clap_complete::Shell,
    },
}

const DEPLOY_EXAMPLES: &str = "Examples:\n  ds01-build deploy thesis\n  ds01-build deploy thesis --workspace /data/thesis\n  ds01-build deploy h-baker/thesis           where two users have a `thesis`\n  ds01-build deploy thesis --dry-run --json  the exact request\n\nThe container has no GPU. Its limits are those of the owner's group (`limits:` in the spec).";

#[derive(Debug, Subcommand)]
pub enum ContainerCommand {
    /// Create and start a container from a project image
    #[command(after_help = DEPLOY_EXAMPLES)]
    Deploy(DeployArgs),
    /// List your containers
    #[command(
        after_help = "Examples:\n  ds01-build container list\n  ds01-build container list --all\n  ds01-build container list --json | jq -r '.[].name'"
    )]
    List(ListArgs),
    /// Stop and remove a container; its image and workspace stay
    #[command(
        after_help = "Examples:\n  ds01-build container retire thesis\n  ds01-build container retire 'thesis._.1722830498'"
    )]
    Retire(RetireArgs),
}

#[derive(Debug, Args)]
pub struct GraphArgs {
    /// What is printed: a tree for people, dot (Graphviz), mermaid (for Markdown pages) or json
    /// (nodes and edges)
    #[arg(long, value_enum, default_value_t, hide_possible_values = true)]
    pub format: GraphFormat,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum GraphFormat {
    /// A tree for people
    #[default]
    Tree,
    /// Graphviz
    Dot,
    /// Mermaid, for Markdown pages
    Mermaid,
    /// Nodes and edges
    Json,
}

/// What is selected, shared by `plan` and `build`.
#[derive(Debug, Args)]
pub struct Selection {
    /// Images, with what they stand on [default: all]
    #[arg(value_name = "IMAGE")]
    pub images: Vec<String>,
    /// Build this image and what stands on it again, from the engine's cache where it can; may be given several times
    #[arg(long, value_name = "IMAGE")]
    pub force: Vec<String>,
    /// Build everything that is selected again
    #[arg(long)]
    pub force_all: bool,
    /// Name branch tags after this branch [default: DS01_BRANCH, or the branch git is on]
    #[arg(long, value_name = "NAME", env = "DS01_BRANCH", hide_env = true)]
    pub branch: Option<String>,
}

#[derive(Debug, Args)]
pub struct PlanArgs {
    #[command(flatten)]
    pub selection: Selection,
}

#[derive(Debug, Args)]
pub struct BuildArgs {
    #[command(flatten)]
    pub selection: Selection,
    /// Build at most this many images at once [default: as many as there are cores]
    #[arg(long, short, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=512))]
    pub jobs: Option<u16>,
    /// Stop everything at the first failure
    #[arg(long)]
    pub fail_fast: bool,
    /// Show the plan and build nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Run every step of what is built anew, whatever the engine has cached
    #[arg(long)]
    pub no_cache: bool,
    /// CA certificates for package steps, and secret `ca` of Dockerfiles; never in a layer
    #[arg(long, value_name = "FILE")]
    pub ca_bundle: Option<PathBuf>,
    /// A secret that RUN steps may mount; may be given several times
    #[arg(long = "secret", value_name = "ID=FILE", value_parser = key_value)]
    pub secrets: Vec<(String, String)>,
}

#[derive(Debug, Args)]
pub struct DeployArgs {
    /// A project: `thesis`, or `h-baker/thesis` where two users have one
    pub project: String,
    /// Folder to mount at /workspace [default: workspace/PROJECT in the owner's home]
    #[arg(long, value_name = "DIR")]
    pub workspace: Option<PathBuf>,
    /// Show the request and create nothing
    #[arg(long)]
    pub dry_run: bool,
}

#[derive(Debug, Args)]
pub struct ListArgs {
    /// List everybody's containers
    #[arg(long, short)]
    pub all: bool,
}

#[derive(Debug, Args)]
pub struct RetireArgs {
    /// A container: `thesis`, or its whole name `thesis._.1722830498`
    pub container: String,
    /// Remove it though it is protected (administrators)
    #[arg(long)]
    pub force: bool,
    /// Show what would be removed and remove nothing
    #[arg(long)]
    pub dry_run: bool,
}

fn key_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() && !value.is_empty() => Ok((key.into(), value.into())),
        _ => Err("write NAME=VALUE".into()),
    }
}

fn base_override(text: &str) -> Result<(String, String), String> {
    let (name, image) = key_value(text).map_err(|_| "write NAME=REF, e.g. pytorch=debian:12")?;
    crate::reference::Reference::parse(&image).map_err(|why| format!("`{image}`: {why}"))?;
    Ok((name, image))
}
