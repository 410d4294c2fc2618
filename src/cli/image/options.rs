//! What flags and form ask for, checked word by word: each mistake names its
//! flag and the rule. All of them at once; what only the whole spec can tell
//! is found when it is read with the new file.

use std::path::Path;

use crate::cli::args::CreateArgs;
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::session::Session;
use crate::image::packages::{parse_apt, parse_pip_from};
use crate::model::account::account_name;
use crate::model::names::Login;
use crate::model::problem::Problem;
use crate::spec::edit::{self, ProjectEntry};
use crate::spec::graph::{Graph, NodeKind};
use crate::spec::{Spec, nearest};

/// Flags by the key of the project file that they write.
const FLAGS: [(&str, &str); 8] = [
    ("user", "--user"),
    ("image", "--image"),
    ("use_case", "--use-case"),
    ("dockerfile", "--dockerfile"),
    ("apt", "--apt"),
    ("pip", "--pip"),
    ("requirements", "--requirements"),
    ("jupyter", "--jupyter"),
];

/// The project that is asked for.
///
/// # Errors
/// All that is wrong with the flags; or the caller may not ask for it.
pub(super) fn entry(
    session: &Session,
    spec: &Spec,
    graph: &Graph,
    args: &CreateArgs,
) -> Result<ProjectEntry, CliError> {
    let (Some(name), Some(image)) = (&args.name, &args.image) else {
        return Err(CliError::problems(missing(graph, args)));
    };
    let mut problems = Vec::new();
    problems.extend(edit::check_name(name).err().map(|problem| flagged("NAME", problem)));
    problems.extend(check_base(graph, image).err());
    let parse_pip = |text: &str| parse_pip_from(text, &spec.build.allow_urls);
    let wrong = |flag, text: &str, parse: Parse| parse(text).err().map(|why| problem(flag, text, &why));
    problems.extend(args.apt.iter().filter_map(|text| wrong("--apt", text, &parse_apt)));
    problems.extend(args.pip.iter().filter_map(|text| wrong("--pip", text, &parse_pip)));
    let mut file = |flag, file: Option<&Path>| below_root(session, spec, flag, file, &mut problems);
    let requirements = file("--requirements", args.requirements.as_deref());
    let dockerfile = file("--dockerfile", args.dockerfile.as_deref());
    let user = owner(session, spec, args.user.as_deref());
    if let Err(error) = &user
        && error.exit == Exit::Usage
    {
        problems.extend(error.problems.iter().cloned());
    }
    if !problems.is_empty() {
        return Err(CliError::problems(problems));
    }
    let trimmed = |texts: &[String]| texts.iter().map(|text| text.trim().to_owned()).collect();
    Ok(ProjectEntry {
        name: name.clone(),
        user: user?.to_string(),
        image: image.clone(),
        use_case: args.use_case.clone(),
        apt: trimmed(&args.apt),
        pip: trimmed(&args.pip),
        requirements,
        dockerfile,
        jupyter: args.jupyter,
    })
}

type Parse<'a> = &'a dyn Fn(&str) -> Result<String, String>;

fn problem(flag: &str, text: &str, why: &str) -> Problem {
    let shown: String = text.chars().take(60).collect();
    Problem::new(format!("{flag}: `{}` cannot be installed", shown.escape_debug())).help(why)
}

fn flagged(flag: &str, mut problem: Problem) -> Problem {
    problem.message = format!("{flag}: {}", problem.message);
    problem
}

/// What has to be said where nobody can be asked.
fn missing(graph: &Graph, args: &CreateArgs) -> Vec<Problem> {
    let name = args.name.is_none().then(|| {
        Problem::new("the project needs a name").help("say it: ds01-build image create NAME --image IMAGE")
    });
    let image = args.image.is_none().then(|| {
        let all: Vec<_> = choices(graph).collect();
        Problem::new("what it shall be based on is not said")
            .help(format!("say --image NAME; there are: {}", all.join(", ")))
    });
    name.into_iter().chain(image).collect()
}

/// What a project can be based on: images, then bases, as the spec has them.
pub(super) fn choices(graph: &Graph) -> impl Iterator<Item = &str> {
    let of = |wanted: fn(&NodeKind) -> bool| {
        graph.nodes().filter(move |node| wanted(&node.kind)).map(|node| node.name.as_str())
    };
    of(|kind| matches!(kind, NodeKind::Image(_))).chain(of(|kind| matches!(kind, NodeKind::Base(_))))
}

/// Whether the spec has it.
///
/// # Errors
/// Names the flag, and what was perhaps meant.
pub(super) fn check_base(graph: &Graph, image: &str) -> Result<(), Problem> {
    if choices(graph).any(|known| known == image) {
        return Ok(());
    }
    let problem = Problem::new(format!("--image: there is no image or base `{}`", image.escape_debug()));
    Err(match nearest(image, choices(graph)) {
        Some(near) => problem.help(format!("did you mean `{near}`?")),
        None => problem.help(format!("there are: {}", choices(graph).collect::<Vec<_>>().join(", "))),
    })
}

/// Whose project it will be: the caller's, as the spec calls them, or for an
/// administrator anybody's.
///
/// # Errors
/// No login, or not the caller's own.
pub(super) fn owner(session: &Session, spec: &Spec, asked: Option<&str>) -> Result<Login, CliError> {
    let caller = session.caller(Some(spec));
    let own = spec.users.values().find(|user| user.uid == caller.uid).map(|user| &user.login);
    let own = own.unwrap_or(&caller.login).clone();
    let wrong = |problem| CliError::problems(vec![flagged("--user", problem)]);
    let login = asked.map_or_else(|| own.clone(), Login::new);
    edit::check_login(login.as_str()).map_err(wrong)?;
    account_name(&login).map_err(|why| wrong(Problem::new(why)))?;
    if login.as_str() == "root" || (asked.is_none() && caller.uid == 0) {
        let problem = Problem::new("root has no projects").help("say for whom it is: --user LOGIN");
        return Err(wrong(problem));
    }
    let same = login == own || login == caller.login;
    if same || spec.users.get(&login).is_some_and(|user| user.uid == caller.uid) || caller.is_administrator()
    {
        return Ok(login);
    }
    let problem = Problem::new(format!("--user: you are {own}, not {login}"));
    Err(CliError::refused(problem.help("only an administrator asks for an image for somebody else")))
}

/// A file as the spec names it: relative to its folder. One that is not there
/// or lies elsewhere is a problem, which names the flag.
pub(super) fn below_root(
    session: &Session,
    spec: &Spec,
    flag: &str,
    file: Option<&Path>,
    problems: &mut Vec<Problem>,
) -> Option<String> {
    let file = file?;
    let shown = file.display();
    let below = || {
        let real = std::fs::canonicalize(session.here.join(file))
            .map_err(|error| Problem::new(format!("{flag}: `{shown}` cannot be read: {error}")))?;
        let below = real.strip_prefix(&spec.root).map_err(|_| {
            let folder = spec.root.display();
            Problem::new(format!("{flag}: `{shown}` lies outside of the folder of the spec, {folder}"))
                .help("copy it there, beside the project files for example")
        })?;
        if !real.is_file() {
            return Err(Problem::new(format!("{flag}: `{shown}` is not a file")));
        }
        let text = below.to_str().map(str::to_owned);
        text.ok_or_else(|| Problem::new(format!("{flag}: the name of `{shown}` is no UTF-8")))
    };
    below().map_err(|problem| problems.push(problem)).ok()
}

/// A problem in a text that nobody wrote by hand, told of the flag that put it
/// there. One in another text stays as it is.
pub(super) fn of_flag(problem: Problem, text: &str) -> Problem {
    let Some(place) = problem.place.as_ref().filter(|place| place.file.text == text) else { return problem };
    let start = text[..place.span.start].rfind('\n').map_or(0, |at| at + 1);
    let end = text[place.span.end..].find('\n').map_or(text.len(), |at| place.span.end + at);
    let line = &text[start..end];
    let column = place.span.start - start;
    let before = FLAGS.iter().filter_map(|(key, flag)| {
        let at =
            line.match_indices(&format!("{key}:")).map(|(at, _)| at).filter(|at| *at <= column).last()?;
        Some((at, *flag))
    });
    let flag = before.max().map_or("NAME", |(_, flag)| flag);
    Problem { place: None, label: None, ..flagged(flag, problem) }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::model::problem::{Place, SourceFile};

    #[test]
    fn a_problem_in_the_new_file_names_the_flag_that_wrote_it() {
        let text =
            "thesis:\n  user: ann\n  image: vision\n  packages: {apt: [a], pip: [b], requirements: r.txt}\n";
        let file = Arc::new(SourceFile { path: "p.yml".into(), text: text.into() });
        for (part, flag) in [
            ("thesis", "NAME"),
            ("ann", "--user"),
            ("image", "--image"),
            ("[a]", "--apt"),
            ("b]", "--pip"),
            ("r.txt", "--requirements"),
        ] {
            let at = text.find(part).unwrap();
            let place = Place { file: file.clone(), span: at..at + part.len() };
            let flagged = of_flag(Problem::new("wrong").at(&place), text);
            assert_eq!((flagged.message, flagged.place), (format!("{flag}: wrong"), None));
            let elsewhere = Problem::new("wrong").at(&place);
            assert_eq!(of_flag(elsewhere.clone(), "another"), elsewhere);
        }
    }
}
