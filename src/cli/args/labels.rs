//! What `labels` takes.

use clap::{Args, Subcommand};

pub(crate) const EXAMPLES: &str = "Examples:\n  ds01-build labels schema\n  ds01-build labels audit";

#[derive(Debug, Subcommand)]
pub(crate) enum LabelsCommand {
    /// Print every label: its type, what carries it, when, and what it means
    #[command(
        after_help = "Examples:\n  ds01-build labels schema\n  ds01-build labels schema --json | jq -r '.keys[].key'\n  ds01-build labels schema --markdown > docs/LABEL_SCHEMA.md\n\nBelow them stand the keys of older systems that are read and never written. No engine and no\nspec is asked."
    )]
    Schema(SchemaArgs),
    /// List what still relies on labels of older systems, and labels of ours that are wrong
    #[command(
        after_help = "Examples:\n  ds01-build labels audit\n  ds01-build labels audit --json | jq -r '.keys[] | select(.removable).key'\n\nTold are containers and images with the old keys that nothing newer answers for, and each old\nkey that nothing relies on any more. Nothing is changed, no spec is needed, and whatever is\nfound, the exit code is 0."
    )]
    Audit,
}

#[derive(Debug, Args)]
pub(crate) struct SchemaArgs {
    /// Print a page in Markdown
    #[arg(long, conflicts_with = "json")]
    pub(crate) markdown: bool,
}
