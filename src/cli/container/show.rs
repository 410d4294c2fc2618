//! `container show`.

use super::list;
use crate::cli::args::ContainerShowArgs;
use crate::cli::exit::Exit;
use crate::cli::load::{self, CliError};
use crate::cli::settings::Settings;
use crate::container::{self, Around, Refusal};
use crate::engine::Container;
use crate::model::problem::Problem;
use crate::ui::human;

pub(crate) async fn run(settings: &Settings, args: &ContainerShowArgs) -> Result<Exit, CliError> {
    let engine = load::engine(settings).await?;
    let engine = engine.as_ref();
    let (all, images) = tokio::try_join!(engine.containers(), engine.images())?;
    let caller = settings.caller(None);
    let users = |uid| settings.login(uid);
    let found = container::look_up(&args.container, &all, &caller, &users);
    let found = found.map_err(|refusal| refused(&refusal, &all))?;
    // One that somebody removes at this moment is not found either.
    let gone = || refused(&Refusal::NotFound { name: args.container.clone() }, &[]);
    let detail = engine.container(&found.id).await?.ok_or_else(gone)?;
    let seen = container::seen(found.clone(), &detail);
    let around = Around { now: list::now(), users: &users, notices: &list::notices(list::now()) };
    let mut shown = container::show(&seen, detail, &images, &around);
    list::measure(engine, std::iter::once(&mut shown.row)).await?;
    let mut output = settings.output();
    output.data(&shown, |shown, _| shown.text(&human::age));
    output.finish()?;
    Ok(Exit::Done)
}

fn refused(refusal: &Refusal, all: &[Container]) -> CliError {
    let near = refusal.near(all).map(|near| format!("did you mean `{near}`?"));
    CliError::Refused(Problem::new(refusal.to_string()).help(near.unwrap_or_else(|| refusal.help())))
}
