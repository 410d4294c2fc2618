//! `labels schema` and `labels audit`.

use clap::{Args, Subcommand};
use std::time::Duration;

use super::environment::now;
use super::error::CliError;
use super::exit::Exit;
use super::session::Session;
use crate::admin::audit::{self, Audit, InvalidLabel, LegacyKeyUse, LegacyObject, ObjectKind};
use crate::model::labels::schema_page::{OWNER, Schema};
use crate::ui::table::{Column, Table};
use crate::ui::text::clean;
use crate::ui::{OutputStyle, human};

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

pub(crate) async fn run(session: &Session, command: &LabelsCommand) -> Result<Exit, CliError> {
    match command {
        LabelsCommand::Schema(args) => schema(session, args),
        LabelsCommand::Audit => audit(session).await,
    }
}

fn schema(session: &Session, args: &SchemaArgs) -> Result<Exit, CliError> {
    let schema = Schema::declared();
    let mut output = session.output();
    if args.markdown {
        output.text(&schema.markdown());
    } else {
        output.data(&schema, declared);
    }
    output.finish()?;
    Ok(Exit::Done)
}

async fn audit(session: &Session) -> Result<Exit, CliError> {
    let engine = session.engine().await?;
    let (images, containers) = tokio::try_join!(engine.images(), engine.containers())?;
    let now = now().as_second();
    let audit = audit::audit(&images, &containers, now, &|uid| session.login(uid));
    let mut output = session.output();
    output.data(&audit, found);
    output.finish()?;
    Ok(Exit::Done)
}

/// A block for each key, since no terminal is as wide as a table of them; then
/// the old keys.
fn declared(schema: &Schema, style: &OutputStyle) -> String {
    let mut text = String::new();
    for row in &schema.keys {
        let required = match row.required {
            "yes" => "required".to_owned(),
            "no" => "optional".to_owned(),
            case => format!("required: {case}"),
        };
        text += &format!("{}  {}; {}; {required}\n", style.strong(row.key), row.type_words(), row.carriers());
        text += &format!("    {}\n", row.meaning);
    }
    let mut old = Table::new(["READ, NEVER WRITTEN", "READ AS"].map(|header| Column::left(header).whole()));
    for row in &schema.legacy {
        old.row([row.key, row.read_as]);
    }
    text + "\n" + &old.render(style.width, style.either("…", "~")) + "\n" + OWNER + "\n"
}

/// What is wrong, what relies on old keys, then each old key.
fn found(audit: &Audit, style: &OutputStyle) -> String {
    let mut text = String::new();
    for wrong in &audit.wrong {
        text += &format!("{}  {}\n", style.warn("wrong"), fault(wrong));
    }
    for one in &audit.relying {
        text += &format!("{}    {}\n", style.strong("old"), reliance(one));
    }
    if !text.is_empty() {
        text.push('\n');
    }
    let (unused, used): (Vec<_>, Vec<_>) = audit.keys.iter().partition(|key| key.removable);
    text += &used_keys(&used, style);
    if !unused.is_empty() {
        text += "no longer used by anything: its fallback can be removed\n";
        for key in &unused {
            text += &format!("  {} (read as {})\n", key.key, key.read_as);
        }
        text.push('\n');
    }
    text + &sum(audit) + "\n"
}

fn fault(wrong: &InvalidLabel) -> String {
    let InvalidLabel { kind, name, key, value, fault } = wrong;
    let value = value.as_ref().map(|value| format!("={value}")).unwrap_or_default();
    clean(&format!("{} {name}: `{key}{value}` {fault}", kind.noun()))
}

fn reliance(one: &LegacyObject) -> String {
    let age = one.age_seconds.map_or("of unknown age".into(), |age| human::age(Duration::from_secs(age)));
    let owner = one.owner.as_deref().unwrap_or("nobody's");
    clean(&format!("{} {} ({owner}, {age}): {}", one.kind.noun(), one.name, one.keys.join(", ")))
}

fn used_keys(used: &[&LegacyKeyUse], style: &OutputStyle) -> String {
    if used.is_empty() {
        return String::new();
    }
    let columns = ["OLD KEY", "READ AS"].map(Column::left).into_iter();
    let mut table = Table::new(columns.chain(["CONTAINERS", "IMAGES"].map(Column::right)));
    for key in used {
        table.row([key.key, key.read_as, &key.containers.to_string(), &key.images.to_string()]);
    }
    table.render(style.width, style.either("…", "~")) + "\n"
}

fn sum(audit: &Audit) -> String {
    let count = |kind| audit.relying.iter().filter(|one| one.kind == kind).count();
    let (containers, images) = (count(ObjectKind::Container), count(ObjectKind::Image));
    let verb = if containers + images == 1 { "relies" } else { "rely" };
    let who = match (containers, images) {
        (0, 0) => "nothing relies".to_owned(),
        (containers, 0) => format!("{} {verb}", human::count(containers, "container")),
        (0, images) => format!("{} {verb}", human::count(images, "image")),
        (containers, images) => {
            format!("{} and {} {verb}", human::count(containers, "container"), human::count(images, "image"))
        }
    };
    let unused = audit.keys.iter().filter(|key| key.removable).count();
    let (keys, wrong) = (audit.keys.len(), audit.wrong.len());
    format!(
        "{who} on labels of older systems; old keys without use: {unused} of {keys}; wrong labels of ours: {wrong}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(key: &'static str, containers: usize, images: usize) -> LegacyKeyUse {
        LegacyKeyUse { key, read_as: "ds01.user", containers, images, removable: containers + images == 0 }
    }

    #[test]
    fn people_see_what_is_wrong_then_what_is_old_then_each_old_key() {
        let one = |kind, name: &str, owner: Option<&str>, age| LegacyObject {
            kind,
            name: name.into(),
            keys: vec!["aime.mlc.NAME", "aime.mlc.USER"],
            age_seconds: age,
            owner: owner.map(str::to_owned),
        };
        let mut audit = Audit {
            relying: vec![
                one(ObjectKind::Container, "thesis._.1001", Some("ann"), Some(70_000_000)),
                one(ObjectKind::Image, "x:\u{1b}[31m1", None, None),
            ],
            keys: vec![key("aime.mlc.USER", 1, 1), key("aime.mlc", 0, 0)],
            wrong: vec![InvalidLabel {
                kind: ObjectKind::Container,
                name: "c".into(),
                key: "ds01.protected".into(),
                value: Some("yes".into()),
                fault: "is not `true`".into(),
            }],
        };
        let style = OutputStyle::default();
        let some = found(&audit, &style);
        (audit.relying, audit.wrong) = (Vec::new(), Vec::new());
        audit.keys = vec![key("aime.mlc.USER", 0, 0)];
        insta::assert_snapshot!(format!("{some}-----\n{}", found(&audit, &style)));
    }
}
