//! Edits by table, and laws over random files.

use proptest::prelude::*;

use super::*;

const PIP: KeyPath = &["packages", "pip"];
const APT: KeyPath = &["packages", "apt"];

const FLOW: &str = "# One file for each project.\nthesis:\n  user: h.baker@hertie-school.lan # me\n  image: vision\n  packages: {pip: [\"tqdm>=4.66,<5\"]} # the bar\n  # the end\n";

const BLOCK: &str = "# mine\nthesis:\n  user: ann\n  image: vision # why\n  packages:\n    pip:\n      # first\n      - tqdm # bar\n      # second\n      - \"six>=1,<2\"\n    # below\n    apt: [file, git]\n\n# another\nother:\n  user: bob\n  image: vision\n";

fn push(path: KeyPath, text: &str) -> EntryChange {
    EntryChange::Push(path, text.into())
}

/// Lines that a change took away and put, in order.
fn diff(old: &str, new: &str) -> String {
    similar::TextDiff::from_lines(old, new)
        .iter_all_changes()
        .filter(|change| change.tag() != similar::ChangeTag::Equal)
        .map(|change| format!("{}{}", change.tag(), change.value()))
        .collect()
}

fn changed(text: &str, steps: &[EntryChange]) -> String {
    diff(text, &apply(text, "thesis", steps).unwrap())
}

#[test]
fn packages_are_added_where_the_others_stand() {
    insta::assert_snapshot!(
        [
            changed(FLOW, &[push(PIP, "pandas>=2,<3"), push(APT, "git")]),
            changed(BLOCK, &[push(PIP, "pandas>=2,<3"), push(APT, "curl")]),
            changed("thesis:\n  image: a\n", &[push(PIP, "a; python_version < '3.9'")]),
            changed("thesis: {image: a} # x", &[push(PIP, "1.5")]),
            changed("thesis:\n  packages:\n  image: a\n", &[push(PIP, "a")]),
        ]
        .join("--\n")
    );
}

#[test]
fn packages_are_replaced_and_taken_away_with_what_stands_behind_them() {
    insta::assert_snapshot!(
        [
            changed(FLOW, &[EntryChange::Replace(PIP, 0, "tqdm>=5".into())]),
            changed(BLOCK, &[EntryChange::Replace(PIP, 0, "tqdm>=5".into())]),
            changed(FLOW, &[EntryChange::Drop(PIP, 0)]),
            changed(BLOCK, &[EntryChange::Drop(PIP, 0), EntryChange::Drop(APT, 1)]),
            changed(BLOCK, &[EntryChange::Drop(PIP, 0), EntryChange::Drop(PIP, 0)]),
        ]
        .join("--\n")
    );
}

#[test]
fn keys_are_set_and_taken_away() {
    let set = |path, text: &str| EntryChange::Set(path, NewValue::Text(text.into()));
    insta::assert_snapshot!(
        [
            changed(
                BLOCK,
                &[set(&["image"], "vision@py312"), EntryChange::Set(&["jupyter"], NewValue::True)]
            ),
            changed(
                FLOW,
                &[EntryChange::Set(&["use_case"], NewValue::Texts(vec!["nlp".into(), "cv".into()]))]
            ),
            changed(BLOCK, &[EntryChange::Unset(&["packages", "apt"]), EntryChange::Unset(&["jupyter"])]),
        ]
        .join("--\n")
    );
}

#[test]
fn line_ends_a_byte_order_mark_and_a_missing_last_line_end_stay() {
    let dos = FLOW.replace('\n', "\r\n");
    let steps = [push(PIP, "six"), EntryChange::Set(&["jupyter"], NewValue::True)];
    let new = apply(&dos, "thesis", &steps).unwrap();
    assert_eq!(new, apply(FLOW, "thesis", &steps).unwrap().replace('\n', "\r\n"));
    let marked = format!("\u{feff}{FLOW}");
    assert_eq!(
        apply(&marked, "thesis", &steps).unwrap(),
        format!("\u{feff}{}", apply(FLOW, "thesis", &steps).unwrap())
    );
    let bare = "thesis:\n  image: a";
    assert_eq!(
        apply(bare, "thesis", &[EntryChange::Set(&["jupyter"], NewValue::True)]).unwrap(),
        "thesis:\n  image: a\n  jupyter: true"
    );
}

#[test]
fn what_cannot_be_changed_as_asked_is_refused() {
    let shared = "other: {packages: {pip: &all [a]}}\nthesis: {packages: {pip: *all}}\n";
    assert!(apply(shared, "thesis", &[push(PIP, "b")]).unwrap_err().contains("by hand"));
    assert!(apply(FLOW, "nobody", &[]).unwrap_err().contains("no project `nobody`"));
    assert!(apply("thesis: [", "thesis", &[]).unwrap_err().starts_with("line "));
    assert!(
        apply("thesis: {packages: {pip: a}}\n", "thesis", &[push(PIP, "b")]).unwrap_err().contains("no list")
    );
}

#[test]
fn an_entry_is_removed_and_the_others_stay_as_they_are() {
    let rest = remove(BLOCK, "thesis").unwrap().unwrap();
    assert_eq!(rest, "# mine\n\n# another\nother:\n  user: bob\n  image: vision\n");
    assert!(remove(BLOCK, "other").unwrap().unwrap().contains("      # second\n"));
    assert_eq!(remove(FLOW, "thesis"), Ok(None));
    assert!(remove(FLOW, "other").is_err());
    assert_eq!(remove("a: {user: x}\n\"b\": {user: y}\n", "b").unwrap().unwrap(), "a: {user: x}\n");
}

#[test]
fn a_new_file_is_short_and_says_what_was_asked() {
    let all = ProjectEntry {
        name: "thesis".into(),
        user: "h.baker@hertie-school.lan".into(),
        image: "vision@py312".into(),
        use_case: vec!["nlp".into()],
        apt: vec!["ffmpeg".into()],
        pip: vec!["pandas>=2,<3".into(), "a[b]; python_version < \"3.9\"".into()],
        requirements: Some("projects/thesis.txt".into()),
        dockerfile: None,
        jupyter: true,
    };
    let least = ProjectEntry {
        name: "a".into(),
        user: "204214".into(),
        image: "yes".into(),
        ..ProjectEntry::default()
    };
    insta::assert_snapshot!([entry(&all), entry(&least)].join("--\n"));
}

/// A project file in some style, with comments, and how many packages its
/// `pip` list has.
fn file() -> impl Strategy<Value = (String, usize)> {
    let package = prop_oneof!["[a-z]{1,6}", "[a-z]{1,4}>=[0-9],<[0-9]", "[a-z]{1,3}\\[[a-z]{1,3}\\]==1"];
    let comment = prop_oneof![Just(String::new()), "# [a-z:,{}\\[\\]\"' -]{0,12}x"];
    let list = (prop::collection::vec((package, comment.clone(), comment.clone()), 0..4), 0usize..4);
    (list, comment.clone(), comment, any::<bool>(), any::<bool>()).prop_map(
        |((items, style), first, inner, other, dos)| {
            let mut text = String::new();
            let mut line = |indent: usize, what: &str| {
                if !what.trim().is_empty() {
                    text += &format!("{}{}\n", " ".repeat(indent), what.trim_end());
                }
            };
            let texts: Vec<String> = items.iter().map(|(text, ..)| quoted(text)).collect();
            line(0, &first);
            line(0, "thesis:");
            line(2, &format!("user: ann {inner}"));
            line(2, &inner);
            match style {
                0 => line(2, &format!("packages: {{pip: [{}]}} {inner}", texts.join(", "))),
                1 => {
                    line(2, &format!("packages: {inner}"));
                    line(4, &format!("pip: [{}] {first}", texts.join(", ")));
                }
                _ if texts.is_empty() => {}
                _ => {
                    line(2, "packages:");
                    line(4, &format!("pip: {first}"));
                    for (text, (_, above, behind)) in texts.iter().zip(&items) {
                        line(4 + (style - 2) * 2, above);
                        line(4 + (style - 2) * 2, &format!("- {text} {behind}"));
                    }
                }
            }
            line(2, &first);
            line(2, "image: vision");
            if other {
                line(0, &inner);
                line(0, "other: {user: bob, image: vision}");
            }
            if dos {
                text = text.replace('\n', "\r\n");
            }
            (text, items.len())
        },
    )
}

/// Lines that are nothing but a comment.
fn comments(text: &str) -> Vec<&str> {
    text.lines().map(str::trim).filter(|line| line.starts_with('#')).collect()
}

fn step(kind: usize, at: usize, count: usize) -> EntryChange {
    match kind {
        0 => push(PIP, "new>=1,<2"),
        1 => push(APT, "git"),
        2 => EntryChange::Set(&["jupyter"], NewValue::True),
        3 => EntryChange::Set(&["image"], NewValue::Text("other@py312".into())),
        4 if count > 0 => EntryChange::Replace(PIP, at % count, "newer>=2 ; python_version < '3'".into()),
        5 if count > 0 => EntryChange::Drop(PIP, at % count),
        _ => EntryChange::Set(&["use_case"], NewValue::Text("nlp".into())),
    }
}

proptest! {
    #[test]
    fn an_edit_keeps_every_comment_line_and_touches_few_lines((text, count) in file(), kind in 0usize..7, at: usize) {
        let step = step(kind, at, count);
        let new = apply(&text, "thesis", std::slice::from_ref(&step));
        let new = new.map_err(|why| TestCaseError::fail(format!("{why}: {step:?} of\n{text}")))?;
        prop_assert_eq!(comments(&text), comments(&new), "{:?} of\n{}gave\n{}", step, text, new);
        let touched = diff(&text, &new).lines().count();
        prop_assert!(touched <= 3, "{:?} of\n{}gave\n{}", step, text, new);
    }

    #[test]
    fn entries_are_removed_with_nothing_else((text, _) in file()) {
        match remove(&text, "thesis") {
            Ok(Some(rest)) => prop_assert!(rest.contains("other: {user: bob, image: vision}"), "{}", rest),
            Ok(None) => prop_assert!(!text.contains("other:")),
            Err(why) => prop_assert!(false, "{why}\n{text}"),
        }
    }

    #[test]
    fn no_text_makes_an_edit_panic(text in "(thesis: |packages:|pip:|[-?:,\\[\\]{}&*!|>'\"#%@`a \n\r\t]|ä){0,40}", kind in 0usize..7, at in 0usize..3) {
        let text = format!("thesis: {text}");
        let _ = apply(&text, "thesis", &[step(kind, at, 3)]);
        let _ = remove(&text, "thesis");
    }

    #[test]
    fn any_text_is_read_back_from_quotes(text in "\\PC*") {
        let line = format!("a: [{}]\n", quoted(&text));
        let read = tree::read(&line).unwrap();
        prop_assert_eq!(read.get(&["a"]).unwrap().texts(), [text.as_str()]);
    }
}
