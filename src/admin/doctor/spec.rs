//! Findings about the spec, and about who its users are.

use super::Finding;
use super::Severity::{Error, Note, Ok, Warning};
use crate::model::problem::Problem;
use crate::spec::Spec;

/// There is one, and it is right.
pub(crate) fn right(file: &str, spec: &Spec) -> Finding {
    let counted = |number: usize, noun| super::count(number, noun);
    let message = format!(
        "{}, {}, {}",
        counted(spec.images.len(), "image"),
        counted(spec.projects.len(), "project"),
        counted(spec.users.len(), "user")
    );
    Finding::new("spec", Ok, file, message)
}

/// There is none in sight.
pub(crate) fn none() -> Finding {
    Finding::new("spec", Note, "spec.yml", "there is none here or in a folder above").help(
        "what it would say of registries and users is not looked at; go to its folder, or say --spec FILE",
    )
}

/// What is wrong with it.
pub(crate) fn wrong<'a>(file: &str, problems: impl IntoIterator<Item = &'a Problem>) -> Vec<Finding> {
    problems.into_iter().map(|problem| of_problem(file, problem, Error)).collect()
}

/// Whether `users:` and the user database say the same.
pub(crate) fn agreement(
    file: &str,
    spec: &Spec,
    disagreements: &Result<Vec<Problem>, String>,
) -> Vec<Finding> {
    match disagreements {
        Result::Ok(problems) if problems.is_empty() && spec.users.is_empty() => Vec::new(),
        Result::Ok(problems) if problems.is_empty() => {
            vec![Finding::new(
                "users",
                Ok,
                file,
                "`users` and the user database agree where both know somebody",
            )]
        }
        Result::Ok(problems) => problems
            .iter()
            .map(|problem| Finding { check: "users", ..of_problem(file, problem, Error) })
            .collect(),
        Err(why) => vec![
            Finding::new("users", Warning, "user database", why.clone())
                .help("people are known by `users` alone: see whether `getent passwd LOGIN` answers"),
        ],
    }
}

fn of_problem(file: &str, problem: &Problem, severity: super::Severity) -> Finding {
    let subject = problem.place.as_ref().map_or_else(
        || file.to_owned(),
        |place| {
            let (line, column) = place.line_column();
            format!("{}:{line}:{column}", place.file.path.display())
        },
    );
    let finding = Finding::new("spec", severity, subject, problem.message.clone());
    match &problem.help {
        Some(help) => finding.help(help.clone()),
        None => finding,
    }
}
