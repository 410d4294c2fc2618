//! `labels schema`.

use super::args::{LabelsCommand, SchemaArgs};
use super::exit::Exit;
use super::load::Trouble;
use super::settings::Settings;
use crate::labels::show::{OWNER, Schema};
use crate::report::Look;
use crate::report::table::{Column, Table};

pub fn run(settings: &Settings, command: &LabelsCommand) -> Result<Exit, Trouble> {
    match command {
        LabelsCommand::Schema(args) => schema(settings, args),
    }
}

fn schema(settings: &Settings, args: &SchemaArgs) -> Result<Exit, Trouble> {
    let schema = Schema::declared();
    let mut output = settings.output();
    if args.markdown {
        output.text(&schema.markdown());
    } else {
        output.data(&schema, declared);
    }
    output.finish()?;
    Ok(Exit::Done)
}

/// A block for each key, since no terminal is as wide as a table of them; then
/// the old keys.
fn declared(schema: &Schema, look: &Look) -> String {
    let mut text = String::new();
    for row in &schema.keys {
        let required = match row.required {
            "yes" => "required".to_owned(),
            "no" => "optional".to_owned(),
            case => format!("required: {case}"),
        };
        text += &format!("{}  {}; {}; {required}\n", look.strong(row.key), row.type_words(), row.carriers());
        text += &format!("    {}\n", row.meaning);
    }
    let mut old = Table::new(["READ, NEVER WRITTEN", "READ AS"].map(|header| Column::left(header).whole()));
    for row in &schema.legacy {
        old.row([row.key, row.read_as]);
    }
    text + "\n" + &old.render(look.width, look.either("…", "~")) + "\n" + OWNER + "\n"
}
