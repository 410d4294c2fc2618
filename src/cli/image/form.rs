//! The guided form of `image create`: asks on the terminal for what no flag
//! said, and checks each answer as it is given. The only file that prompts.

use std::fmt::Display;
use std::io;

use dialoguer::console::Term;
use dialoguer::theme::{ColorfulTheme, SimpleTheme, Theme};
use dialoguer::{Confirm, Input, Select};
use rustix::termios::{OptionalActions, tcgetattr, tcsetattr};

use crate::cli::args::CreateArgs;
use crate::cli::error::CliError;
use crate::cli::session::Session;
use crate::cli::signals::Signals;
use crate::image::packages::{Packages, parse_apt, parse_pip};
use crate::model::names::Login;
use crate::model::problem::Problem;
use crate::spec::Spec;
use crate::spec::SpecEntry;
use crate::spec::edit::{self, EditContext};
use crate::spec::graph::Graph;

/// Choices that are shown at once.
const ROWS: usize = 12;

/// The arguments with what was missing.
///
/// # Errors
/// Nobody may ask for it; the terminal is gone, or a signal came.
pub(crate) async fn fill(
    session: &Session,
    signals: &Signals,
    context: EditContext<'_>,
    args: &CreateArgs,
) -> Result<CreateArgs, CliError> {
    let login = context.owner(args.user.as_deref())?;
    let names = context.spec.projects.iter().map(|project| project.name.as_str());
    let taken = names.filter(|name| context.in_use(name, &login).is_some()).map(str::to_owned).collect();
    let described = |name: &str| (name.to_owned(), described(context.spec, context.graph, name));
    let choices = context.choices().map(described).collect();
    let form = Form { theme: theme(session), login, taken, choices };
    let args = args.clone();
    on_terminal(session, signals, move || form.fill(args)).await
}

/// Shows the file and asks whether it is meant.
///
/// # Errors
/// The terminal is gone, or a signal came.
pub(crate) async fn confirm(
    session: &Session,
    signals: &Signals,
    shown: &str,
    text: &str,
    build: bool,
) -> Result<bool, CliError> {
    let (theme, also) = (theme(session), if build { " and build the image" } else { "" });
    let question = format!("Write {shown}{also}?");
    let mut output = session.output();
    text.lines().filter(|line| !line.starts_with('#')).for_each(|line| output.note(&format!("    {line}")));
    output.finish()?;
    on_terminal(session, signals, move || {
        Confirm::with_theme(theme.as_ref()).with_prompt(question).default(true).interact()
    })
    .await
}

fn theme(session: &Session) -> Box<dyn Theme + Send + Sync> {
    let look = session.screen.stderr_style();
    if look.colour && look.unicode { Box::new(ColorfulTheme::default()) } else { Box::new(SimpleTheme) }
}

/// What a choice is, in a few words.
fn described(spec: &Spec, graph: &Graph, name: &str) -> String {
    let Ok(node) = graph.find(name) else { return String::new() };
    match SpecEntry::of(spec, graph, node) {
        SpecEntry::Base(base) => format!("base, {}", base.source.reference()),
        subject => {
            let Packages { apt, pip, .. } = subject.packages();
            let packages = [apt, pip].concat().join(", ");
            let parent = graph.parents(node).first().map(|parent| graph.node(*parent).name.as_str());
            let on = parent.map(|parent| format!("on {parent}")).unwrap_or_default();
            if packages.is_empty() { on } else { format!("{on}, with {packages}") }
        }
    }
}

struct Form {
    theme: Box<dyn Theme + Send + Sync>,
    login: Login,
    /// Names of projects that the owner has.
    taken: Vec<String>,
    /// What it can be based on, with a description.
    choices: Vec<(String, String)>,
}

impl Form {
    fn fill(&self, mut args: CreateArgs) -> dialoguer::Result<CreateArgs> {
        if args.name.is_none() {
            args.name = Some(self.name()?);
        }
        if args.image.is_none() {
            args.image = Some(self.image()?);
        }
        let said = args.dockerfile.is_some() || args.requirements.is_some() || !args.use_case.is_empty();
        if !said && args.pip.is_empty() {
            args.pip =
                self.packages("Python packages, with blanks between them", "pandas>=2 timm", parse_pip)?;
        }
        if !said && args.apt.is_empty() {
            args.apt = self.packages("Debian packages", "ffmpeg git", parse_apt)?;
        }
        if args.dockerfile.is_none() && !args.jupyter {
            let ask = Confirm::with_theme(self.theme.as_ref()).with_prompt("JupyterLab?");
            args.jupyter = ask.default(false).interact()?;
        }
        Ok(args)
    }

    fn name(&self) -> dialoguer::Result<String> {
        let right = |text: &String| -> Result<(), String> {
            edit::check_name(text).map_err(|problem| sentence(&problem))?;
            match self.taken.contains(text) {
                true => Err(format!("{} has a project `{text}` already", self.login)),
                false => Ok(()),
            }
        };
        let ask = Input::<String>::with_theme(self.theme.as_ref()).with_prompt("Name of the project");
        ask.validate_with(right).interact_text()
    }

    fn image(&self) -> dialoguer::Result<String> {
        let width = self.choices.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
        let items = self.choices.iter().map(|(name, what)| format!("{name:width$}  {what}"));
        let ask = Select::with_theme(self.theme.as_ref()).with_prompt("What shall it be based on?");
        let chosen = ask.items(items).default(0).max_length(ROWS).interact()?;
        Ok(self.choices[chosen].0.clone())
    }

    fn packages(
        &self,
        what: &str,
        example: &str,
        parse: fn(&str) -> Result<String, String>,
    ) -> dialoguer::Result<Vec<String>> {
        let right = |text: &String| words(text).try_for_each(|word| parse(word).map(|_| ()));
        let ask = Input::<String>::with_theme(self.theme.as_ref());
        let ask = ask.with_prompt(format!("{what}, e.g. {example} (none: Enter)")).allow_empty(true);
        let text = ask.validate_with(right).interact_text()?;
        Ok(words(&text).map(str::to_owned).collect())
    }
}

/// People also write commas between packages.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split_whitespace().map(|word| word.trim_matches(',')).filter(|word| !word.is_empty())
}

fn sentence(problem: &Problem) -> String {
    match &problem.help {
        Some(help) => format!("{}; {help}", problem.message),
        None => problem.message.clone(),
    }
}

/// Asks in a thread that may wait. The terminal is as it was afterwards, also
/// where a signal ends the questions.
async fn on_terminal<T: Send + 'static>(
    session: &Session,
    signals: &Signals,
    ask: impl FnOnce() -> dialoguer::Result<T> + Send + 'static,
) -> Result<T, CliError> {
    let working = signals.working();
    let before = tcgetattr(io::stdin()).ok();
    let answer = tokio::select! {
        answer = tokio::task::spawn_blocking(ask) => Some(answer),
        () = working.token().cancelled() => None,
    };
    if let Some(before) = before {
        let _ = tcsetattr(io::stdin(), OptionalActions::Now, &before);
    }
    let _ = Term::stderr().show_cursor();
    // The signal also ends the read, which may be known here before the signal is.
    let is_broken = |answer: &Result<dialoguer::Result<T>, _>| match answer {
        Ok(Err(dialoguer::Error::IO(error))) => error.kind() == io::ErrorKind::Interrupted,
        _ => false,
    };
    let stopped = working.token().is_cancelled();
    let Some(answer) = answer.filter(|answer| !stopped && !is_broken(answer)) else {
        // Below the line of the question.
        session.output().note("\nnothing was written");
        return Err(CliError::interrupted());
    };
    match answer {
        Err(error) => Err(CliError::bug(format!("the form broke off: {error}"))),
        Ok(answer) => answer.map_err(|dialoguer::Error::IO(error)| gone(&error)),
    }
}

fn gone(error: &dyn Display) -> CliError {
    let problem = Problem::new(format!("nothing was answered: {error}"));
    CliError::usage(problem.help("say NAME and --image, and --pip, --apt, --jupyter as you like"))
}
