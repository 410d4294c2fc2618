//! What `limits` takes.

use clap::Args;

pub(crate) const EXAMPLES: &str = "Examples:\n  ds01-build limits\n  ds01-build limits h.baker@hertie-school.lan\n  ds01-build limits --json | jq -r '.limits[] | select(.from == \"own\") | .limit'\n\nBehind each limit stands where it is written: for the person alone (own), with their group, under\n`defaults`, with the default group, or nowhere (built in). How much of it is used now, `container\nlist` and `gpu list` tell.";

#[derive(Debug, Args)]
pub(crate) struct LimitsArgs {
    /// Whose limits: login or account name [default: you]
    #[arg(value_name = "LOGIN")]
    pub(crate) login: Option<String>,
}
