//! Which line of the spec, or of a requirements file, a failed install comes
//! from. Decides nothing: it only says more of a failure.

use crate::image::packages;
use crate::image::solve::{ExecStep, Solve};
use crate::model::event::{Excerpt, Failure};
use crate::model::problem::Place;

/// Lines that are named at most.
const MOST: usize = 5;

/// The failure with the lines that asked for what could not be installed.
pub(super) fn traced(mut failure: Failure, solve: &Solve) -> Failure {
    let step = failure.step.as_ref().and_then(|name| solve.steps.iter().find(|step| step.title == *name));
    let Some(step) = step else { return failure };
    let found = lines(&failure, step);
    let Some((_, first)) = found.first() else { return failure };
    let (line, _) = first.line_column();
    let last = line + first.file.text[first.span.clone()].trim_end().matches('\n').count();
    let (path, text) = (first.file.path.clone(), first.file.text.clone());
    failure.excerpt.get_or_insert(Excerpt { path, lines: (line, last), text });
    let told = found.iter().take(MOST).map(|(text, place)| {
        let text = text.split(" --hash=").next().unwrap_or_default();
        format!("`{text}` is asked for in {}:{}", place.file.path.display(), place.line_column().0)
    });
    let told = told.chain(failure.help.take()).collect::<Vec<_>>();
    failure.help = Some(told.join("\n"));
    failure
}

/// What the output names, with each place where it was asked for.
fn lines<'a>(failure: &Failure, step: &'a ExecStep) -> Vec<&'a (String, Place)> {
    let declared: Vec<&str> = step.origins.iter().map(|(text, _)| text.as_str()).collect();
    let names = packages::blamed_packages(&failure.output, &declared);
    names.into_iter().flat_map(|name| step.origins.iter().filter(move |(text, _)| text == name)).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::image::solve::{ConfigChange, Start};
    use crate::model::names::NodeName;
    use crate::model::problem::SourceFile;
    use crate::model::reference::Reference;

    fn solve(text: &str, origins: &[&str]) -> Solve {
        let file = Arc::new(SourceFile::new("reqs.txt", text));
        let place = |wanted: &str| {
            let start = text.find(wanted).unwrap();
            Place { file: file.clone(), span: start..start + wanted.len() }
        };
        let origins = origins.iter().map(|wanted| ((*wanted).to_owned(), place(wanted))).collect();
        Solve {
            node: NodeName::new("a"),
            start: Start::Image(Reference::parse("busybox:1").unwrap()),
            steps: vec![ExecStep { title: "pip install".into(), origins, ..ExecStep::default() }],
            user: None,
            sudo: None,
            config: ConfigChange::default(),
            secrets: Default::default(),
            proxy: Default::default(),
            no_cache: false,
            cache_from: Vec::new(),
            inline_cache: false,
        }
    }

    fn failure(step: &str, output: &str) -> Failure {
        let output = output.lines().map(str::to_owned).collect();
        Failure { step: Some(step.into()), output, help: Some("try again".into()), ..Failure::default() }
    }

    #[test]
    fn a_failed_install_names_the_lines_that_asked_for_it() {
        let solve = solve("attrs\n# why\nsix==0\n", &["attrs", "six==0"]);
        let said = "ERROR: No matching distribution found for six==0";
        let traced = traced(failure("pip install", said), &solve);
        assert_eq!(traced.help.as_deref(), Some("`six==0` is asked for in reqs.txt:3\ntry again"));
        let excerpt = traced.excerpt.unwrap();
        assert_eq!((excerpt.path.to_str(), excerpt.lines), (Some("reqs.txt"), (3, 3)));
    }

    #[test]
    fn another_steps_failure_and_one_without_names_stay_as_they_are() {
        let solve = solve("six==0\n", &["six==0"]);
        for (step, said) in
            [("RUN make", "No matching distribution found for six==0"), ("pip install", "no network")]
        {
            assert_eq!(traced(failure(step, said), &solve), failure(step, said));
        }
    }
}
