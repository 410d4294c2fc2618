use super::*;

fn rules(text: &str) -> Ignore {
    Ignore::parse(text).unwrap()
}

#[test]
fn more_patterns_than_anybody_writes_are_refused_at_their_line() {
    assert!(Ignore::parse(&"x\n".repeat(2000)).is_ok());
    let (line, cause) = Ignore::parse(&"x\n\n".repeat(200_000)).unwrap_err();
    assert_eq!((line, cause.as_str()), (4001, "there are more than 2000 patterns"));
}

#[test]
fn one_pattern_matches_as_docker_matches_it() {
    for (pattern, path, expected) in [
        ("node_modules", "node_modules", true),
        ("node_modules", "node_modules/a/b", true),
        ("node_modules", "web/node_modules", false),
        ("**/node_modules", "web/node_modules/x", true),
        ("**/node_modules", "node_modules", true),
        ("**/node_modules", "old_node_modules", false),
        ("*.log", "a.log", true),
        ("*.log", "sub/a.log", false),
        ("*/*.log", "sub/a.log", true),
        ("*/*.log", "sub/deep/a.log", false),
        ("**/*.log", "a.log", true),
        ("**/*.log", "sub/deep/a.log", true),
        ("**.log", "sub/a.log", true),
        ("**log", "catalog", true),
        ("**/log", "catalog", false),
        ("**lo?", "catalog", false),
        ("**lo?", "x/log", true),
        ("temp?", "tempa", true),
        ("temp?", "temp", false),
        ("temp?", "temp/", false),
        ("/build", "build/x", true),
        ("build/", "build", true),
        ("./build//out/", "build/out/x", true),
        ("a/../b", "b", true),
        ("../b", "b", false),
        ("/../b", "b", true),
        (".", "a", false),
        ("/", "a", false),
        ("*", "a", true),
        ("*", "a/b", true),
        ("**", ".git/config", true),
        ("a/**", "a", false),
        ("a/**", "a/b/c", true),
        ("a**", "abc", true),
        ("a**", "ab/c", true),
        ("a/**/b", "a/b", true),
        ("a/**/b", "a/x/y/b", true),
        ("a/**/b", "ab", false),
        ("a/**/b/**", "a/x/b/c", true),
        ("**/**/foo", "foo", true),
        ("**/**", "x", true),
        ("[a-c]*.txt", "b1.txt", true),
        ("[^a-c]*.txt", "b1.txt", false),
        ("[!a].txt", "b.txt", false),
        ("\\#notes", "#notes", true),
        ("\\!keep", "!keep", true),
        (" # x", "# x", true),
        ("a.b", "axb", false),
        ("a+(b)|c$", "a+(b)|c$", true),
        ("*.md", ".md", true),
        ("  spaced name \t", "spaced name", true),
        ("Ärger/*", "Ärger/ß", true),
    ] {
        assert_eq!(rules(pattern).ignores(path), expected, "`{pattern}` on `{path}`");
    }
}

#[test]
fn the_last_match_decides() {
    for (text, path, expected) in [
        ("*.md\n!README.md", "README.md", false),
        ("*.md\n!README.md", "NEWS.md", true),
        ("*.md\n!README*.md\nREADME-secret.md", "README-secret.md", true),
        ("!README.md\n*.md", "README.md", true),
        ("*\n!src", "src/main.rs", false),
        ("*\n!src\nsrc/tests", "src/tests/a.rs", true),
        ("*\n!src/**\n", "src/a/b", false),
        ("docs\n!docs/keep", "docs/keep/x", false),
        ("docs\n!docs/keep", "docs/drop", true),
        ("**\n!**/*.py", "a/b/c.py", false),
        ("**\n!**/*.py", "a/b/c.txt", true),
        ("*\n! src", "src", false),
        ("a\n!a/b\na/b/c\n!a/b/c/d", "a/b/c/d", false),
        // A `!` that had nothing to take back at the folder is not handed down.
        ("a/b\n!a", "a/b", true),
    ] {
        assert_eq!(rules(text).ignores(path), expected, "{text:?} on `{path}`");
    }
}

#[test]
fn comments_blank_lines_and_the_byte_order_mark_are_no_patterns() {
    let ignore = rules("\u{feff}# a comment\r\n\r\n   \n/x\r\n#!y\n");
    assert_eq!(ignore.canonical(), "x\n");
}

#[test]
fn a_broken_pattern_is_named_by_its_line() {
    assert_eq!(Ignore::parse("ok\n\n[a").unwrap_err().0, 3);
    assert_eq!(Ignore::parse("!").unwrap_err().0, 1);
    assert_eq!(Ignore::parse("# c\n! /").unwrap_err().0, 2);
    assert_eq!(Ignore::parse("a\\").unwrap_err().0, 1);
}

#[test]
fn a_folder_is_skipped_only_if_nothing_below_comes_back() {
    for (text, folder, expected) in [
        ("a", "a", true),
        ("a\n!b", "a", true),
        ("a\n!a/b", "a", false),
        ("a\n!a/b", "a/c", true),
        ("a\n!*/b", "a", false),
        ("a\n!x*/b", "a", true),
        ("*\n!**/keep", "a/b", false),
        ("*\n!a/**", "b", true),
        ("*\n![a-c]x", "b", false),
    ] {
        assert_eq!(rules(text).may_skip(folder), expected, "{text:?} at `{folder}`");
    }
}

mod laws {
    use super::*;
    use proptest::prelude::*;

    fn pattern() -> impl Strategy<Value = String> {
        let element = prop_oneof![
            Just("a".to_owned()),
            Just("b".to_owned()),
            Just("*".to_owned()),
            Just("**".to_owned()),
            Just("?".to_owned()),
            Just("[ab]".to_owned()),
            Just("a*".to_owned()),
            Just("**a".to_owned()),
        ];
        (any::<bool>(), prop::collection::vec(element, 1..4))
            .prop_map(|(not, parts)| format!("{}{}", if not { "!" } else { "" }, parts.join("/")))
    }

    fn path() -> impl Strategy<Value = String> {
        prop::collection::vec("[ab]{1,2}", 1..5).prop_map(|p| p.join("/"))
    }

    proptest! {
        #[test]
        fn below_a_folder_that_may_be_skipped_everything_is_ignored(
            patterns in prop::collection::vec(pattern(), 1..6), folder in path(), below in path(),
        ) {
            let ignore = rules(&patterns.join("\n"));
            if ignore.ignores(&folder) && ignore.may_skip(&folder) {
                let path = format!("{folder}/{below}");
                prop_assert!(ignore.ignores(&path), "{patterns:?} {path}");
            }
        }

        #[test]
        fn a_text_never_makes_it_panic(text in "[a-c/*?!#\\[\\]\\\\^. \n-]{0,40}", path in path()) {
            if let Ok(ignore) = Ignore::parse(&text) {
                let whole = ignore.ignores(&path);
                prop_assert!(!(whole && ignore.patterns.is_empty()));
            }
        }
    }
}

#[test]
fn elements_match_as_go_matches_them() {
    for (pattern, name, expected) in [
        ("abc", "abc", true),
        ("a*", "abc", true),
        ("a*c", "ab", false),
        ("a?c", "abc", true),
        ("a?c", "ac", false),
        ("*.[ch]", "main.c", true),
        ("*.[^ch]", "main.c", false),
        ("[a-c]x", "bx", true),
        ("[!a]x", "bx", false),
        ("[!a]x", "!x", true),
        ("a\\*", "a*", true),
        ("a\\*", "ab", false),
        ("[\\]a]", "]", true),
        ("é?", "éü", true),
        ("[c-a]", "b", false),
        (".*", "xy", false),
        ("a+", "aa", false),
    ] {
        assert_eq!(Element::new(pattern).unwrap().matches(name), expected, "{pattern} on {name}");
    }
}

#[test]
fn broken_patterns_are_refused() {
    for pattern in ["[", "[a", "[]a]", "[-a]", "[a-]", "a\\", "[^]", "[a\\"] {
        assert!(Element::new(pattern).is_err(), "{pattern}");
    }
}

#[test]
fn rooted_paths_do_not_leave_the_root() {
    for (path, expected) in
        [("", "."), ("/", "."), ("./a//b/", "a/b"), ("../../x", "x"), ("a/../..", "."), ("/a/./b", "a/b")]
    {
        assert_eq!(rooted(path), expected);
    }
}

proptest::proptest! {
    #[test]
    fn an_escaped_name_matches_itself_only(name in "[a\\*\\?\\[\\]\\\\b-]{1,6}", other in "[a\\*\\?\\[\\]\\\\b-]{1,6}") {
        let element = Element::new(&escape(&name)).unwrap();
        proptest::prop_assert!(element.matches(&name));
        proptest::prop_assert_eq!(element.matches(&other), name == other);
    }
}
