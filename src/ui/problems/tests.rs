use std::sync::Arc;

use super::*;
use crate::model::problem::SourceFile;

fn file(path: &str, text: &str) -> Arc<SourceFile> {
    Arc::new(SourceFile::new(path, text))
}

/// The place of the first `part`.
fn place(file: &Arc<SourceFile>, part: &str) -> Place {
    let start = file.text.find(part).unwrap();
    Place { file: Arc::clone(file), span: start..start + part.len() }
}

/// Two files with three problems, and one problem without a place; not in the
/// order of the places.
fn several() -> Vec<Problem> {
    let spec = file(
        "spec.yml",
        "version: 1\nimages:\n  vision:\n    depends: datascience\n    packages: {pip: [\"timm>\"]}\n  web:\n    base: slimm\n",
    );
    let project = file("projects/thesis.yml", "thesis:\n  # für 李雷\n  name: \"李雷\"\n  gid: 07\n");
    vec![
        Problem::new("no base is called `slimm`")
            .at(&place(&spec, "slimm"))
            .label("not found")
            .help("the bases are `pytorch` and `slim`"),
        Problem::new("unknown key `depends`")
            .at(&place(&spec, "depends"))
            .label("unknown")
            .help("write `depend_on`"),
        Problem::new("a name may hold a-z, 0-9 and `-`").at(&place(&project, "李雷\"")),
        Problem::new("no project has a user").help("add `user: LOGIN` to each project"),
    ]
}

fn plain(problems: &[Problem]) -> String {
    render(problems, &OutputStyle::default())
}

#[test]
fn problems_of_several_files_are_shown_in_the_order_of_their_places() {
    insta::assert_snapshot!(plain(&several()));
}

#[test]
fn a_terminal_gets_lines_and_colours() {
    let style = OutputStyle { colour: true, unicode: true, width: Some(80) };
    let text = render(&several(), &style);
    assert!(text.contains("\u{1b}["));
    insta::assert_snapshot!(console::strip_ansi_codes(&text));
}

#[test]
fn programs_get_the_same_problems_as_facts() {
    insta::assert_snapshot!(serde_json::to_string_pretty(&facts(&several())).unwrap());
}

#[test]
fn the_column_counts_characters() {
    let file = file("a.yml", "name: 李雷 x\n");
    let text = plain(&[Problem::new("m").at(&place(&file, "x"))]);
    assert!(text.contains("[a.yml:1:10]"), "{text}");
}

#[test]
fn text_without_a_terminal_is_ascii_without_codes() {
    let file = file("a.yml", "key: value\n");
    let text = plain(&[Problem::new("m").at(&place(&file, "value")).label("l").help("h")]);
    assert!(text.chars().all(|c| c == '\n' || (' '..='~').contains(&c)), "{text}");
    assert!(text.lines().all(|line| line.trim_end() == line));
}

#[test]
fn places_at_the_edges_of_a_text_are_drawn() {
    for (text, span) in [("", 0..0), ("a", 1..1), ("a\n", 2..2), ("a\n\nb", 2..2), ("ä", 1..1), ("a", 5..900)]
    {
        let at = Place { file: file("a.yml", text), span: span.clone() };
        let shown = plain(&[Problem::new("it is wrong").at(&at).help("do so")]);
        let (line, column) = at.line_column();
        assert!(shown.contains("it is wrong"), "{text:?} {span:?}: {shown}");
        assert!(shown.contains(&format!("a.yml:{line}:{column}")), "{text:?} {span:?}: {shown}");
        assert!(shown.contains("help: do so"), "{text:?} {span:?}: {shown}");
    }
}

#[test]
fn a_place_over_several_lines_is_drawn() {
    let file = file("a.yml", "a: 1\nb: [2,\n  3]\nc: 4\n");
    insta::assert_snapshot!(plain(&[Problem::new("m").at(&place(&file, "[2,\n  3]")).label("here")]));
}

#[test]
fn a_quoted_text_cannot_write_to_the_terminal() {
    let file = file("a\u{1b}[1m.yml", "key: \u{1b}[2J\u{202e}x\u{9b}\n");
    let problem = Problem::new("bad \u{1b}[31mred").at(&place(&file, "x")).label("\u{7}l").help("h\u{8}");
    let text = plain(&[problem]);
    assert!(!text.chars().any(|c| c != '\n' && c.is_control()), "{text:?}");
    assert!(!text.contains('\u{202e}'));
}

#[test]
fn the_last_line_counts() {
    let file = file("a.yml", "a b");
    let at = |part| Problem::new("m").at(&place(&file, part));
    assert_eq!(counted(&[Problem::new("m")]), "1 problem");
    assert_eq!(counted(&[at("a")]), "1 problem in 1 file");
    assert_eq!(counted(&several()), "4 problems in 2 files");
}

#[test]
fn of_very_many_problems_the_first_are_drawn_and_the_rest_counted() {
    let problems: Vec<_> = (0..250).map(|at| Problem::new(format!("problem {at}"))).collect();
    let text = render(&problems, &OutputStyle::default());
    assert!(text.contains("problem 49\n") && !text.contains("problem 50\n"), "{text}");
    assert!(text.ends_with("and 200 more; --json lists them all\n250 problems\n"), "{text}");
}
