//! `container list` and `container retire`.

use jiff::Timestamp;

use super::args::{ListArgs, RetireArgs};
use super::exit::Exit;
use super::load::{self, Trouble};
use super::settings::Settings;
use crate::containers::{self, Asked, Row};
use crate::problem::Problem;
use crate::report::table::{Column, Table};
use crate::report::{Look, human};

pub async fn list(settings: &Settings, args: &ListArgs) -> Result<Exit, Trouble> {
    let engine = load::engine(settings).await?;
    let found = engine.containers().await?;
    #[expect(clippy::disallowed_methods, reason = "ages are counted from now; the core is given the time")]
    let now = Timestamp::now().as_second();
    let rows = containers::rows(&found, &settings.caller(None), args.all, now, &|uid| settings.login(uid));
    let mut output = settings.output();
    output.data(&rows, |rows, look| table(rows, look));
    if rows.is_empty() && !settings.json {
        output.note(if args.all {
            "there are no containers; `ds01-build deploy PROJECT` makes one"
        } else {
            "you have no containers; `--all` shows everybody's, `ds01-build deploy PROJECT` makes one"
        });
    }
    output.finish()?;
    Ok(Exit::Done)
}

fn table(rows: &[Row], look: &Look) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let columns = ["NAME", "PROJECT", "STATUS", "GPUS", "OWNER", "IMAGE"].map(Column::left);
    let mut table = Table::new(columns.into_iter().chain([Column::right("AGE")]));
    for row in rows {
        let mut status = row.status.clone();
        if row.protected {
            status += ", protected";
        }
        let gpus = match row.gpus.as_deref() {
            Some("0") => "none",
            Some(gpus) => gpus,
            None => "?",
        };
        let owner = row.owner.as_deref().unwrap_or("?");
        table.row([&row.name, &row.project, &status, gpus, owner, &row.image, &human::age(row.age)]);
    }
    table.render(look.width, look.either("…", "~"))
}

pub async fn retire(settings: &Settings, args: &RetireArgs) -> Result<Exit, Trouble> {
    let engine = load::engine(settings).await?;
    let found = engine.containers().await?;
    // Only a spec that can be read names administrators.
    let spec = load::spec(settings).ok().map(|(spec, _)| spec);
    let caller = settings.caller(spec.as_ref());
    let asked = Asked { name: &args.container, force: args.force };
    let retirement = containers::decide(asked, &found, &caller, &|uid| settings.login(uid))
        .map_err(|refusal| Trouble::Refused(Problem::new(refusal.to_string()).help(refusal.help())))?;
    let mut output = settings.output();
    if args.dry_run {
        let how = if retirement.stops() { "stopped and removed" } else { "removed" };
        output.line(&format!("{} would be {how}; nothing was done", retirement.name()));
    } else {
        containers::retire(engine.as_ref(), &retirement).await?;
        output.line(&format!("{} is removed; its image and workspace are kept", retirement.name()));
    }
    output.finish()?;
    Ok(Exit::Done)
}
