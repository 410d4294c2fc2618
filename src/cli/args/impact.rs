//! What `impact` takes.

use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};

use crate::plan::impact::TargetKind;

pub(crate) const IMPACT_EXAMPLES: &str = "Examples:\n  ds01-build impact vision                        an image changes\n  ds01-build impact debian:12                     a base moves\n  ds01-build impact images/vision/Dockerfile      a file is edited\n  ds01-build impact PANDAS_VERSION=2.4            a build arg gets this value\n  ds01-build impact data --as file                the folder, not an image of that name\n  ds01-build impact pytorch --json | jq '.users[].login'\n\nA name that could be several things is taken as an image first, then as a base, a file, a build\narg. Times are those of the last builds on this machine. No registry is asked.";

#[derive(Debug, Args)]
pub(crate) struct ImpactArgs {
    /// An image or project, a base or an image that a Dockerfile names, a file or folder, or a build
    /// arg with or without a new value
    #[arg(value_name = "NAME")]
    pub(crate) name: String,
    /// What NAME is, where it could be several things
    #[arg(long = "as", value_name = "KIND", value_parser = kinds())]
    pub(crate) kind: Option<TargetKind>,
}

fn kinds() -> impl TypedValueParser<Value = TargetKind> {
    let words = PossibleValuesParser::new(TargetKind::ALL.map(TargetKind::word));
    words.try_map(|word| TargetKind::ALL.into_iter().find(|kind| kind.word() == word).ok_or("no kind"))
}
