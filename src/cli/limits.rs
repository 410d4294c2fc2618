//! `limits`: what holds for a person, and where each limit is written.

use clap::Args;
use serde_json::json;

use super::error::CliError;
use super::exit::Exit;
use super::session::Session;
use crate::deploy::owner;
use crate::ui::table::{Column, Table};

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  ds01-build limits\n  ds01-build limits h.baker@hertie-school.lan\n  ds01-build limits --json | jq -r '.limits[] | select(.from == \"own\") | .limit'\n\nBehind each limit stands where it is written: for the person alone (own), with their group, under\n`defaults`, with the default group, or nowhere (built in). How much of it is used now, `container\nlist` and `gpu list` tell."
)]
pub(crate) struct LimitsArgs {
    /// Whose limits: login or account name [default: you]
    #[arg(value_name = "LOGIN")]
    pub(crate) login: Option<String>,
}

pub(crate) fn run(session: &Session, args: &LimitsArgs) -> Result<Exit, CliError> {
    let (spec, _) = session.spec()?;
    let people = session.people.as_ref();
    let owner = match &args.login {
        Some(login) => owner::by_login(&spec, people, login),
        None => owner::by_uid(&spec, people, session.uid),
    };
    let owner = owner.map_err(CliError::usage)?;
    let (login, group) = (&owner.account.login, &owner.limits.group);
    let told = spec.limits.effective(&owner.limits);
    let mut output = session.output();
    if output.json {
        let by_default = owner.limits.by_default;
        output.value(&json!({ "login": login, "group": group, "by_default": by_default, "limits": told }));
    } else {
        let by_default = if owner.limits.by_default { ", the default group" } else { "" };
        output.line(&format!("{login}: {group}{by_default}"));
        let columns = [Column::left("LIMIT").whole(), Column::left("VALUE"), Column::left("FROM").whole()];
        let mut table = Table::new(columns);
        for limit in &told {
            table.row([limit.limit, &limit.text, &limit.from.to_string()]);
        }
        output.table(&table);
    }
    owner.note.iter().for_each(|note| output.note(&format!("warning: {note}")));
    output.finish()?;
    Ok(Exit::Done)
}
