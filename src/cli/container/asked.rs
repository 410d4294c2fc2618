//! The containers that commands name: found, allowed, and one after the other.

use std::sync::Arc;

use serde::Serialize;

use crate::cli::exit::Exit;
use crate::cli::load::{self, CliError};
use crate::cli::settings::Settings;
use crate::container::{Action, Asked, Caller, may};
use crate::engine::{Container, Engine};
use crate::model::problem::Problem;
use crate::ui::Output;

/// An engine's containers, and who asks for them.
pub(crate) struct Here {
    pub(crate) engine: Arc<dyn Engine>,
    pub(crate) caller: Caller,
    pub(crate) found: Vec<Container>,
}

impl Here {
    /// Looks.
    ///
    /// # Errors
    /// The engine does not answer.
    pub(crate) async fn look(settings: &Settings) -> Result<Self, CliError> {
        let engine = load::engine(settings).await?;
        let found = engine.containers().await?;
        // Only a spec that can be read names administrators.
        let spec = load::spec(settings).ok().map(|(spec, _)| spec);
        Ok(Self { engine, caller: settings.caller(spec.as_ref()), found })
    }

    /// The container that is meant, if the caller may do this with it.
    ///
    /// # Errors
    /// Why not.
    pub(crate) fn may(
        &self,
        settings: &Settings,
        action: Action,
        asked: Asked<'_>,
    ) -> Result<&Container, CliError> {
        let users = |uid| settings.login(uid);
        may(action, asked, &self.found, &self.caller, &users).map_err(|refusal| {
            let near = refusal.near(&self.found).map(|near| format!("did you mean `{near}`? "));
            let help = near.unwrap_or_default() + &action.help(&refusal);
            CliError::Refused(Problem::new(refusal.to_string()).help(help))
        })
    }
}

/// What was done with one container.
#[derive(Debug, Serialize)]
pub(crate) struct Done {
    /// As it was asked for, else as it is.
    pub(crate) container: String,
    /// `stopped`, `started`, …; `failed`.
    pub(crate) outcome: &'static str,
    /// For people.
    pub(crate) message: String,
}

impl Tell for Done {
    fn tell(&self, output: &mut Output) {
        output.line(&self.message);
    }
}

/// What was done with one container, as a command tells it.
pub(crate) trait Tell: Serialize {
    /// In words; not asked for where a program reads.
    fn tell(&self, output: &mut Output);

    /// What is told beside, whoever reads.
    fn notes(&self) -> Vec<String> {
        Vec::new()
    }
}

/// One of a list that programs read.
#[derive(Serialize)]
#[serde(untagged)]
enum Entry<T> {
    Done(T),
    Failed(Done),
}

/// One container after the other: one that fails keeps no other from its turn.
/// The exit code is the highest.
///
/// # Errors
/// Of the only one that was asked for; else standard output cannot be written.
pub(crate) async fn each<T: Tell>(
    settings: &Settings,
    names: &[String],
    act: impl AsyncFn(&str) -> Result<T, CliError>,
) -> Result<Exit, CliError> {
    let (mut exit, mut all) = (Exit::Done, Vec::new());
    for name in names {
        match act(name).await {
            Ok(done) => {
                let mut output = settings.output();
                if !settings.json {
                    done.tell(&mut output);
                }
                done.notes().iter().for_each(|note| output.note(note));
                output.finish()?;
                all.push(Entry::Done(done));
            }
            Err(trouble) if names.len() == 1 || matches!(trouble, CliError::Interrupted) => {
                return Err(trouble);
            }
            Err(trouble) => {
                exit = if trouble.exit().code() > exit.code() { trouble.exit() } else { exit };
                let message = trouble.sentence();
                all.push(Entry::Failed(Done { container: name.clone(), outcome: "failed", message }));
                if !settings.json {
                    trouble.show(settings.output());
                }
            }
        }
    }
    if settings.json {
        let mut output = settings.output();
        output.value(&all);
        output.finish()?;
    }
    Ok(exit)
}
