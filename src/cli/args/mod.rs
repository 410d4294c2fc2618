//! The command line as it is typed. What it means is `session`' business.

mod build;
mod deploy;
mod image;
mod impact;
mod update;
mod why;

use std::path::PathBuf;

pub(crate) use build::{BuildArgs, PlanArgs, Selection};
pub(crate) use deploy::{DeployArgs, EXAMPLES as DEPLOY_EXAMPLES};
pub(crate) use image::{
    CreateArgs, ImageCommand, ImageListArgs, ImageRetireArgs, ImageUpdateArgs, ShowArgs,
    Surroundings as ImageSurroundings, typed,
};
use impact::IMPACT_EXAMPLES;
pub(crate) use impact::ImpactArgs;
use update::UPDATE_EXAMPLES;
pub(crate) use update::UpdateArgs;
use why::EXAMPLES as WHY_EXAMPLES;
pub(crate) use why::WhyArgs;

use clap::{Args, Parser, Subcommand, ValueEnum};

use super::catalog::CatalogCommand;
use super::container::ContainerCommand;
use super::doctor::DoctorArgs;
use super::labels::LabelsCommand;
use super::limits::LimitsArgs;
use super::metrics::MetricsArgs;
use super::packaging::{COMPLETIONS_EXAMPLES, CompletionsArgs, MAN_EXAMPLES, ManArgs};
use crate::ui::ProgressMode;

/// Container images for shared GPU servers.
#[derive(Debug, Parser)]
#[command(
    name = "ds01-build",
    version,
    max_term_width = 100,
    about = "Builds a graph of container images from one spec, and containers from the images.",
    after_help = "Examples:\n  ds01-build check             is the spec right?\n  ds01-build plan              what would be built, and why\n  ds01-build build             build it\n  ds01-build deploy thesis     run a project's image\n  ds01-build build --base pytorch=debian:12\n                               build without a GPU base at hand\n\nExit codes: 0 done, 1 something failed to build, 2 usage or spec, 3 engine, registry or\nnetwork, 5 refused, 70 a bug of ours, 130 interrupted."
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Flags of every command.
#[derive(Debug, Args)]
#[command(next_help_heading = "Options of every command")]
pub(crate) struct Global {
    /// The spec to read [default: DS01_SPEC, or spec.yml here or in a folder above]
    #[arg(long, short = 'f', value_name = "FILE", global = true, env = "DS01_SPEC", hide_env = true)]
    pub(crate) spec: Option<PathBuf>,
    /// The engine [default: DOCKER_HOST, the current Docker context, the local socket]
    #[arg(long, value_name = "URL", global = true)]
    pub(crate) engine: Option<String>,
    /// How progress is shown: bars, plain (lines that stay), json (one event a line on standard
    /// output), quiet (failures and the last line), or auto (bars on a terminal, else plain)
    #[arg(long, value_name = "HOW", value_enum, default_value_t, global = true)]
    #[arg(hide_possible_values = true)]
    pub(crate) progress: ProgressMode,
    /// Report data as JSON on standard output
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Stand another image in for a base; may be given several times
    #[arg(long = "base", value_name = "NAME=REF", global = true, value_parser = base_override)]
    pub(crate) bases: Vec<(String, String)>,
    /// Say more: which spec and which engine are used
    #[arg(long, short, action = clap::ArgAction::Count, global = true)]
    pub(crate) verbose: u8,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Read the spec and every file it names, and report all that is wrong
    #[command(
        after_help = "Examples:\n  ds01-build check\n  ds01-build check --json | jq '.problems[].message'\n  ds01-build check --spec images/spec.yml"
    )]
    Check,
    /// Show which image is based on which, and which are up to date
    #[command(
        after_help = "Examples:\n  ds01-build graph\n  ds01-build graph --format mermaid > graph.mmd\n  ds01-build graph --format dot | dot -Tsvg > graph.svg"
    )]
    Graph(GraphArgs),
    /// Show what would be built, and why; build nothing
    #[command(
        after_help = "Examples:\n  ds01-build plan\n  ds01-build plan vision            only vision and what it is based on\n  ds01-build plan --since HEAD~1    only what the last commit changed\n  ds01-build plan --check-bases     are bases behind their tags?\n  ds01-build plan --json | jq '.images[] | select(.action == \"build\")'"
    )]
    Plan(PlanArgs),
    /// Explain one image or container: what changed, from what to what
    #[command(after_help = WHY_EXAMPLES)]
    Why(WhyArgs),
    /// Show what would be rebuilt if an image, base, file or build arg changed
    #[command(after_help = IMPACT_EXAMPLES)]
    Impact(ImpactArgs),
    /// Build what has changed, and nothing else
    #[command(
        after_help = "Examples:\n  ds01-build build                  everything that is not up to date\n  ds01-build build thesis           one image and what it is based on\n  ds01-build build --force vision   vision and all that is based on it, again\n  ds01-build build --push           and send it to the registry that the spec names\n  ds01-build build --locked         in CI: only on pinned bases\n  ds01-build build --dry-run        the plan\n  ds01-build build --since origin/main\n                                    only what differs from that branch\n\nThe content tag r-<16 hex> is put on each image when it is done. Branch tags and `latest`\nmove only when every selected image is done. What a registry has already is neither built nor\nsent; it is pulled if something that is built is based on it."
    )]
    Build(BuildArgs),
    /// Move the pins of bases to what their tags stand for now, or ask for fresh packages
    #[command(after_help = UPDATE_EXAMPLES)]
    Update(UpdateArgs),
    /// Create, update, list, show and retire images of your own
    #[command(after_help = "Examples:\n  ds01-build image create thesis\n  ds01-build image list")]
    Image {
        #[command(subcommand)]
        command: ImageCommand,
    },
    /// Framework images by name, version and architecture
    #[command(after_help = "Examples:\n  ds01-build catalog list\n  ds01-build catalog check")]
    Catalog {
        #[command(subcommand)]
        command: CatalogCommand,
    },
    /// The machine's GPUs and who holds them
    #[command(after_help = "Examples:\n  ds01-build gpu list\n  ds01-build gpu list --watch")]
    Gpu {
        #[command(subcommand)]
        command: GpuCommand,
    },
    /// Look for what is wrong with engine, registry, GPUs, accounts or images, and say what to do
    Doctor(DoctorArgs),
    /// Create and start a container from a project image (= container deploy)
    #[command(after_help = DEPLOY_EXAMPLES)]
    Deploy(Box<DeployArgs>),
    /// Deploy, list, show, enter, stop, start and retire containers
    #[command(
        after_help = "Examples:\n  ds01-build container deploy thesis\n  ds01-build container list --all\n  ds01-build container enter thesis\n  ds01-build container retire thesis"
    )]
    Container {
        #[command(subcommand)]
        command: ContainerCommand,
    },
    /// The labels of images and containers: which there are, and what still relies on old ones
    #[command(after_help = "Examples:\n  ds01-build labels schema\n  ds01-build labels audit")]
    Labels {
        #[command(subcommand)]
        command: LabelsCommand,
    },
    /// Show what a person's containers may use, and where that is written
    Limits(LimitsArgs),
    /// Print figures about GPUs, containers and images for Prometheus
    Metrics(MetricsArgs),
    /// Print a completion script for a shell
    #[command(after_help = COMPLETIONS_EXAMPLES)]
    Completions(CompletionsArgs),
    /// Write manual pages: one for each command, one for each installed name
    #[command(hide = true, after_help = MAN_EXAMPLES)]
    Man(ManArgs),
}

#[derive(Debug, Args)]
pub(crate) struct GraphArgs {
    /// What is printed: a tree for people, dot (Graphviz), mermaid (for Markdown pages) or json
    /// (nodes and edges)
    #[arg(long, value_enum, default_value_t, hide_possible_values = true)]
    pub(crate) format: GraphFormat,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum GraphFormat {
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

#[derive(Debug, Subcommand)]
pub(crate) enum GpuCommand {
    /// List GPUs and MIG instances: what they are, who holds them, which are free
    #[command(
        after_help = "Examples:\n  ds01-build gpu list\n  ds01-build gpu list --watch      every 2 seconds, until Ctrl-C\n  ds01-build gpu list --json | jq -r '.gpus[] | select(.usage.standing == \"free\").uuid'\n  ds01-build gpu list --json | jq -r '.gpus[].instances[] | select(.usage.standing == \"free\").slot'\n\nHolders are containers: by their labels, by what they were created with, or by a process of\ntheirs on the GPU. A GPU on which another process computes is busy. What cannot be read is shown\nas such and is never free. A narrow terminal shows no UUIDs; --json has them, and\nwhich GPUs reach each other by NVLink (`links`). Where there is no NVIDIA driver, the exit code\nis 3."
    )]
    List(GpuListArgs),
}

#[derive(Debug, Args)]
pub(crate) struct GpuListArgs {
    /// Look again every 2 seconds; on a terminal in place, elsewhere one list after the other
    #[arg(long, short)]
    pub(crate) watch: bool,
}

fn key_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() && !value.is_empty() => Ok((key.into(), value.into())),
        _ => Err("write NAME=VALUE".into()),
    }
}

fn base_override(text: &str) -> Result<(String, String), String> {
    let (name, image) = key_value(text).map_err(|_| "write NAME=REF, e.g. pytorch=debian:12")?;
    crate::model::reference::Reference::parse(&image).map_err(|why| format!("`{image}`: {why}"))?;
    Ok((name, image))
}
