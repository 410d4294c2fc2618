//! `container show`.

use clap::Args;

use super::{list, not_found, now};
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::session::Session;
use crate::container::list::{ViewContext, measure};
use crate::container::permission::{AccessError, look_up};
use crate::container::show::show;
use crate::gpu::claims::GpuClaim;
use crate::ui::human;

pub(super) const EXAMPLES: &str = "Examples:
  ds01-build container show thesis
  ds01-build container show 'thesis._.1722830498'
  ds01-build container show 6d7d889783c3                 by 6 digits of its id or more
  ds01-build container show thesis --json | jq .gpus_held.uuids

Any container can be shown that `container list --all` lists. `ds01-build why NAME --container` says whether its image is what the spec says now, and why not.";

#[derive(Debug, Args)]
pub(crate) struct ShowArgs {
    /// A container: `thesis`, its whole name `thesis._.1722830498`, or at
    /// least 6 digits of its id
    container: String,
}

pub(crate) async fn run(session: &Session, args: &ShowArgs) -> Result<Exit, CliError> {
    let engine = session.engine().await?;
    let engine = engine.as_ref();
    let (all, images) = tokio::try_join!(engine.containers(), engine.images())?;
    let caller = session.caller(None);
    let users = |uid| session.login(uid);
    let container =
        look_up(&args.container, &all, &caller, &users).map_err(|error| not_found(&error, &all))?;
    // One that somebody removes at this moment is not found either.
    let gone = || not_found(&AccessError::NotFound { name: args.container.clone() }, &[]);
    let detail = engine.container(&container.id).await?.ok_or_else(gone)?;
    let claim = GpuClaim::from_devices(container.clone(), &detail.devices);
    let now = now();
    let context = ViewContext { now, users: &users, notices: &list::notices(now) };
    let mut full = show(&claim, detail, &images, &context);
    measure(engine, [&mut full.view]).await?;
    let mut output = session.output();
    output.data(&full, |full, _| full.text(&human::age));
    output.finish()?;
    Ok(Exit::Done)
}
