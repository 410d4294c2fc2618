//! One test for each rule of a spec.

use std::fmt::Write;

use super::super::files::memory::MemoryFiles;
use super::{app, files, open, right, shown, small, wrong};

/// The one problem of a spec.
#[track_caller]
fn only(spec: &str) -> String {
    alone(&files(spec))
}

#[track_caller]
fn alone(files: &MemoryFiles) -> String {
    let text = wrong(files);
    assert_eq!(text.lines().count(), 1, "{text}");
    text.trim_end().to_owned()
}

#[test]
fn an_unquoted_prefix_that_yaml_reads_as_a_number_says_to_quote_it() {
    assert_eq!(
        only("tag: {prefix: 2026.10}\n"),
        "spec.yml:1:15 `2026.10` without quotes is a number to YAML, not text | put it in quotes: \"2026.10\""
    );
    assert_eq!(right(&files("tag: {prefix: \"2026.10\"}\n")).tag.prefix, "2026.10");
    assert_eq!(right(&files("tag: {prefix: 2026.4.1}\n")).tag.prefix, "2026.4.1");
}

#[test]
fn an_unknown_key_names_the_near_one() {
    assert_eq!(
        only(&app("depends_on: slim")),
        "spec.yml:7:5 unknown key `depends_on` | did you mean `depend_on`?"
    );
    assert!(only(&small("<<: {a: b}\n")).contains("merge keys are not read"));
}

#[test]
fn a_duplicate_image_names_both_lines() {
    let twice = small(
        "images:\n  a: {base: slim, packages: {apt: [git]}}\n  b: {base: slim, packages: {apt: [git]}}\n  a: {}\n",
    );
    assert_eq!(
        only(&twice),
        "spec.yml:7:3 the key `a` stands twice: in line 5 and line 7 | keep one of them"
    );
}

#[test]
fn an_unknown_parent_names_the_near_one() {
    let spec = small("images:\n  app: {depend_on: slmi}\n");
    assert_eq!(only(&spec), "spec.yml:5:20 no image or base `slmi` | did you mean `slim`?");
    let spec = small("images:\n  app: {base: other}\n");
    assert_eq!(only(&spec), "spec.yml:5:15 no base `other` | declare it under `bases`");
}

#[test]
fn a_parent_of_a_broken_image_is_not_unknown() {
    let spec = small("images:\n  broken: {base: slim, dockerfile: nowhere}\n  app: {depend_on: broken}\n");
    assert!(only(&spec).contains("no file `nowhere`"));
}

#[test]
fn a_base_that_is_an_image_says_to_depend_on_it() {
    let spec = small("images:\n  app: {base: slim}\n  b: {base: app, packages: {apt: [git]}}\n");
    assert_eq!(only(&spec), "spec.yml:6:13 `app` is an image, not a base | write `depend_on: app`");
}

fn packages_on(pairs: &[(&str, &str)]) -> String {
    let mut spec = small("images:\n");
    for (name, parent) in pairs {
        let _ = writeln!(spec, "  {name}: {{depend_on: {parent}, packages: {{apt: [git]}}}}");
    }
    spec
}

#[test]
fn a_cycle_names_all_members_in_order() {
    let spec = packages_on(&[("out", "c"), ("a", "b"), ("b", "c"), ("c", "a"), ("d", "slim")]);
    assert_eq!(
        only(&spec),
        "spec.yml:8:18 a cycle: a → b → c → a | remove one of these parents; an arrow means `depends on`"
    );
    assert!(only(&packages_on(&[("a", "a")])).contains("a cycle: a → a"));
}

#[test]
fn a_long_chain_that_closes_does_not_overflow() {
    let names: Vec<String> = (0..5000).map(|i| format!("i{i}")).collect();
    let pairs: Vec<(&str, &str)> =
        (0..5000).map(|i| (names[i].as_str(), names[(i + 1) % 5000].as_str())).collect();
    assert!(only(&packages_on(&pairs)).contains("a cycle: i0 → i1 → "));
}

#[test]
fn two_images_with_one_repository_name_both_places() {
    let spec = small(
        "images:\n  a: {base: slim, packages: {apt: [git]}}\n  b:\n    base: slim\n    packages: {apt: [git]}\n    image_name: ds01/a\n",
    );
    assert_eq!(
        only(&spec),
        "spec.yml:9:17 `a` and `b` have one repository: ds01/a | give each its own; the other stands in spec.yml:5"
    );
}

#[test]
fn hub_repositories_are_one_in_their_short_and_long_form() {
    let spec = small(
        "images:\n  a: {base: slim, packages: {apt: [git]}, image_name: docker.io/x/y}\n  b: {base: slim, packages: {apt: [git]}, image_name: x/y}\n",
    );
    assert!(only(&spec).contains("have one repository: x/y"));
}

#[test]
fn names_are_of_their_grammar() {
    for name in ["\"\"", "A", "a/b", "\"..\"", "\"../x\"", "-a-", "a b", &"a".repeat(64)] {
        let spec = small(&format!("images:\n  {name}: {{base: slim, packages: {{apt: [git]}}}}\n"));
        let text = only(&spec);
        assert!(text.starts_with("spec.yml:5:3") && text.contains("name"), "{text}");
    }
    assert!(only("tag: {prefix: a}\nbases:\n  A: {image: x}\n").contains("is no base name"));
    assert!(only(&small("plans:\n  a@b: {tag_prefix: x}\n")).contains("is no plan name"));
}

#[test]
fn a_name_that_cannot_be_a_repository_is_refused() {
    let spec = small("images:\n  a._b: {base: slim, packages: {apt: [git]}}\n");
    assert!(only(&spec).contains("`a._b` cannot be a repository"));
}

#[test]
fn build_args_are_identifiers_with_one_line_of_text() {
    assert!(only(&app("build_args: {\"A-B\": x}")).contains("`A-B` cannot be the name of a build arg"));
    assert!(only(&app("build_args: {A: \"x\\ny\"}")).contains("a build arg with a line break"));
    assert!(only(&app("build_args: {A: \"x\\0\"}")).contains("control character"));
    assert!(only(&app("build_args: {A: 3.10}")).contains("put it in quotes: \"3.10\""));
    assert!(only(&app("build_args: {A: true}")).contains("a truth value"));
    assert!(only(&app("build_args: {A: 007}")).contains("a number"));
    assert!(only(&app("build_args: {A: }")).contains("expected text, found nothing"));
    assert_eq!(right(&files(&app("build_args: {A: 4, B: \"\"}"))).images[0].build_args["A"].value, "4");
}

#[test]
fn the_parent_is_not_given_by_hand() {
    assert!(only(&app("build_args: {BASE_IMAGE: x}")).contains("`BASE_IMAGE` is set from the parent"));
    assert!(only(&app("dbuild_env: {common: {BASE_TAG: x}}")).contains("`BASE_TAG` is set from the parent"));
}

#[test]
fn tags_are_of_the_tag_grammar_with_room_for_a_branch() {
    assert!(only("tag: {prefix: \"a b\"}\n").contains("cannot be a tag"));
    assert!(only("tag: {prefix: \"\"}\n").contains("an empty tag"));
    assert!(only(&format!("tag: {{prefix: {}}}\n", "a".repeat(64))).contains("leaves no room"));
    assert!(only("tag: {prefix: a, stable: \"x:y\"}\n").contains("cannot be a tag"));
    assert!(only("tag: {prefix: a, refresh: stable}\n").contains("`stable` refreshes nothing"));
    assert_eq!(
        only("version: 1\n"),
        "spec.yml:1:1 the key `tag` is missing | write `tag: {prefix: \"2026.4\"}`"
    );
}

#[test]
fn two_plans_with_one_prefix_would_overwrite_each_other() {
    let spec = small("plans:\n  a: {tag_prefix: x}\n  b: {tag_prefix: x}\n");
    assert!(only(&spec).contains("the plan `b` has the tag prefix of the plan `a`"));
    let spec = small("plans:\n  a: {tag_prefix: \"2026.4\"}\n");
    assert!(only(&spec).contains("the plan `a` has the tag prefix of `tag.prefix`"));
}

#[test]
fn references_are_of_the_distribution_grammar() {
    assert!(only("tag: {prefix: a}\nbases:\n  b: {image: \"x:y:z\"}\n").contains("is no image reference"));
    assert!(only("tag: {prefix: a}\nregistry: https://x/y\n").contains("without https://"));
    assert!(only(&app("image_name: \"reg:5000/x:tag\"")).contains("cannot be a repository"));
    assert!(only(&app("image_name: \"\"")).contains("cannot be a repository"));
    assert!(only(&app("image_name:")).contains("expected text, found nothing"));
}

#[test]
fn a_name_is_not_used_for_a_base_and_an_image() {
    let spec = small("images:\n  slim: {depend_on: app, packages: {apt: [git]}}\n  app: {base: slim}\n");
    let text = wrong(&files(&spec));
    assert!(text.contains("spec.yml:5:3 `slim` is both an image and a base | rename one of them; the base stands in spec.yml:3"), "{text}");
}

#[test]
fn a_base_has_one_source() {
    assert!(only("tag: {prefix: a}\nbases:\n  b: {}\n").contains("needs one source"));
    let both = "tag: {prefix: a}\nbases:\n  b: {image: x, catalog: {}}\n";
    assert!(only(both).contains("needs one source"));
}

fn users(entries: &str) -> String {
    format!("tag: {{prefix: a}}\nusers:\n{entries}")
}

#[test]
fn uids_of_root_the_system_and_nobody_are_refused() {
    for (uid, why) in [
        ("0", "is root's"),
        ("999", "belongs to the system"),
        ("65534", "is nobody's"),
        ("4294967295", "is above 4294967294"),
        ("99999999999999999999", "expected a whole number"),
        ("-1", "expected a whole number"),
        ("01001", "expected a whole number"),
        ("\"1001\"", "expected a whole number"),
    ] {
        assert!(only(&users(&format!("  a: {{uid: {uid}, gid: 1000}}\n"))).contains(why), "{uid}");
    }
    assert!(only(&users("  a: {uid: 1000, gid: 0}\n")).contains("the gid 0 is root's"));
    assert!(only(&users("  a: {}\n")).contains("the key `uid` is missing"));
    let spec = right(&files(&users("  a: {uid: 4294967294, gid: 100}\n  b: {uid: 1000}\n")));
    let ids: Vec<(u32, u32)> = spec.users.values().map(|user| (user.account.uid, user.account.gid)).collect();
    assert_eq!(ids, [(4294967294, 100), (1000, 1000)]);
}

#[test]
fn ids_that_no_person_has_are_shown_at_their_line_with_what_to_write() {
    assert_eq!(
        only(&users("  a: {uid: 1001}\n  b: {uid: 999}\n")),
        "spec.yml:4:12 the uid 999 belongs to the system | write the person's own uid, from 1000 on: `id LOGIN` shows it"
    );
    assert!(only(&users("  a: {uid: 1001, gid: 99}\n")).contains("3:23 the gid 99 belongs to the system"));
    assert!(only(&users("  a: {uid: 1001, gid: 65534}\n")).contains("3:23 the gid 65534 is nobody's"));
    assert!(only(&users("  a: {uid: 5000000000}\n")).contains("3:12 the uid 5000000000 is above 4294967294"));
}

#[test]
fn root_is_nobodys_login() {
    for login in ["root", "root@example.org", ".root"] {
        assert_eq!(
            only(&users(&format!("  {login}: {{uid: 1001}}\n"))),
            format!(
                "spec.yml:3:3 the login `{login}` gives the account `root`, whose uid is 0 | write a person's own login, or leave the entry out"
            )
        );
    }
    right(&files(&users("  rooty: {uid: 1001}\n")));
}

#[test]
fn a_login_of_300_characters_is_refused() {
    let said = only(&users(&format!("  {}: {{uid: 1001}}\n", "a".repeat(300))));
    assert!(said.starts_with("spec.yml:3:3 `aaa") && said.contains("cannot be a login"), "{said}");
    assert!(
        said.ends_with("one line of at most 256 bytes without blanks around") && said.len() < 300,
        "{said}"
    );
    right(&files(&users(&format!("  {}: {{uid: 1001}}\n", "a".repeat(256)))));
}

#[test]
fn two_users_with_one_uid_are_refused() {
    assert_eq!(
        only(&users("  a: {uid: 1001}\n  b: {uid: 1001}\n")),
        "spec.yml:4:3 `b` and `a` have one uid: 1001 | give each their own; the other stands in spec.yml:3"
    );
}

#[test]
fn two_logins_that_give_one_account_name_are_refused() {
    assert_eq!(
        only(&users("  j.doe@x: {uid: 1001}\n  j-doe@y: {uid: 1002}\n")),
        "spec.yml:4:3 `j-doe@y` and `j.doe@x` give one account name: `j-doe` | only one of them can be here; the other stands in spec.yml:3"
    );
    assert!(only(&users("  李雷@x: {uid: 1001}\n")).contains("the login `李雷@x` has no letter"));
}

#[test]
fn users_have_a_known_group_and_a_shell_with_a_path() {
    assert!(only(&users("  a: {uid: 1001, group: studnet}\n")).contains("did you mean `student`?"));
    assert!(only(&users("  a: {uid: 1001, shell: zsh}\n")).contains("`zsh` cannot be a shell"));
    assert!(
        only(&users("  a: {uid: 1001, sudo: yes}\n")).contains("expected true or false, found text: `yes`")
    );
}

/// A spec with the user `a` and the files of two projects.
fn projects(first: &str, second: &str) -> MemoryFiles {
    let spec = app("image_name: ds01/app").replace("tag:", "include: [projects/*.yml]\nusers: {a@x: {uid: 1001}, b: {uid: 1002}}\nplans: {p: {tag_prefix: p}}\ntag:");
    files(&spec).file("/r/projects/1.yml", first).file("/r/projects/2.yml", second)
}

#[test]
fn two_projects_with_one_repository_name_both_places() {
    let one = "thesis: {user: a@x, image: app}\n";
    assert_eq!(
        alone(&projects(one, one)),
        "projects/2.yml:1:1 `thesis` and `thesis` have one repository: ds01-1001/thesis | give each its own; the other stands in projects/1.yml:1"
    );
    right(&projects(one, "thesis: {user: b, image: app}\n"));
}

#[test]
fn a_project_names_a_known_user_image_and_plan() {
    let good = "other: {user: b, image: app@p}\n";
    right(&projects("t: {user: a@x, image: slim}\n", good));
    for (project, message) in [
        (
            "t: {user: a@y, image: app}",
            "no user `a@y`: neither `users` nor the user database of this machine has the login | did you mean `a@x`?",
        ),
        ("t: {image: app}", "the key `user` is missing"),
        ("t: {user: b}", "the key `image` is missing"),
        ("t: {user: b, image: ap}", "no image or base `ap` | did you mean `app`?"),
        ("t: {user: b, image: app@q}", "no plan `q` | did you mean `p`?"),
        ("t: {user: b, image: slim@p}", "the base `slim` has no plans"),
        ("T: {user: b, image: app}", "`T` is no project name"),
        (
            "t: {user: b, image: app, use_case: npl}",
            "no use case `npl` | did you mean `nlp`? there are audio",
        ),
        ("t: {user: b, image: app, dockerfile: nowhere}", "there is no file `nowhere`"),
        ("t: {user: b, image: app, context: images}", "`context` is for a Dockerfile, and `t` has none"),
        ("t: {user: b, image: app, build_args: {A: b}}", "`build_args` is for a Dockerfile"),
        (
            "t: {user: b, image: app, dockerfile: images/app/Dockerfile, packages: {apt: [git]}}",
            "both a Dockerfile and `packages`",
        ),
        (
            "t: {user: b, image: app, dockerfile: images/app/Dockerfile, jupyter: true}",
            "both a Dockerfile and `jupyter`",
        ),
        ("[t]", "expected a mapping, found a list"),
    ] {
        let text = alone(&projects(project, good));
        assert!(text.starts_with("projects/1.yml:1:") && text.contains(message), "{text}");
    }
}

#[test]
fn a_missing_dockerfile_says_what_to_do() {
    let spec = small("images:\n  other: {base: slim}\n");
    assert_eq!(
        only(&spec),
        "spec.yml:5:3 there is no file `images/other/Dockerfile` | write it, name another with `dockerfile`, or declare `packages`"
    );
}

#[test]
fn paths_stay_in_the_root_also_through_links() {
    assert!(only(&app("context: ../x")).contains("leaves the folder of the spec"));
    assert!(only(&app("context: /etc")).contains("is absolute"));
    assert!(only(&app("context: images/app/Dockerfile")).contains("is not a folder"));
    assert!(only(&app("dockerfile: images/app")).contains("is not a file"));
    let linked = |spec: &str| {
        files(spec)
            .file("/etc/passwd", "")
            .link("/r/out", "/etc")
            .link("/r/in", "images/app")
            .link("/r/images/app/D", "../../../etc/passwd")
    };
    assert!(alone(&linked(&app("context: out"))).contains("`out` leads out of the folder of the spec"));
    assert!(alone(&linked(&app("dockerfile: images/app/D"))).contains("leads out of"));
    let spec = right(&linked(&app("context: in")));
    let super::super::Content::Dockerfile(dockerfile) = &spec.images[0].content else {
        panic!("a Dockerfile")
    };
    assert_eq!(dockerfile.context.to_str(), Some("/r/images/app"));
}

#[test]
fn packages_and_a_dockerfile_exclude_each_other() {
    assert!(only(&app("packages: {apt: [git]}")).contains("`app` has both a Dockerfile and `packages`"));
    let bare = |entry: &str| only(&small(&format!("images:\n  x: {{{entry}}}\n")));
    assert!(bare("packages: {apt: [git]}").contains("declares packages, but not on what"));
    assert!(bare("base: slim, packages: {}").contains("declares no packages"));
    assert!(bare("base: slim, packages: {apt: [git]}, target: x").contains("`target` is for a Dockerfile"));
    assert!(bare("base: slim, packages: {requirements: r.txt}").contains("there is no file `r.txt`"));
    assert!(bare("base: slim, packages: {apt: [\"git;rm\"]}").contains("is no Debian package"));
    assert!(bare("base: slim, packages: {pip: [\"-r x\"]}").contains("is no pip requirement"));
    let two = small("images:\n  app: {base: slim}\n  x: {depend_on: [app, slim], packages: {apt: [git]}}\n");
    assert!(only(&two).contains("declares packages, and has several parents"));
}

#[test]
fn a_parent_is_named_once() {
    assert!(only(&app("depend_on: [slim]")).contains("the parent `slim` is named twice"));
}

#[test]
fn a_child_of_a_plan_needs_its_parent_in_it() {
    let spec = small(
        "plans: {p: {tag_prefix: p}}\nimages:\n  app: {base: slim, skip_plans: [p]}\n  b: {depend_on: app, packages: {apt: [git]}}\n",
    );
    assert_eq!(
        only(&spec),
        "spec.yml:7:18 `app` is left out of the plan `p`, but its child is not | add `p` to `skip_plans` of `b`"
    );
}

#[test]
fn info_commands_secrets_and_plans_are_known_words() {
    let with = |lines: &str| {
        only(&app(lines).replace("tag:", "all_info_cmds: {PY_VER: {description: d, command: c}}\ntag:"))
    };
    assert!(with("info_cmds: [PYVER]").contains("no info command `PYVER` | did you mean `PY_VER`?"));
    assert!(with("secrets: [a/b]").contains("`a/b` cannot be the id of a secret"));
    assert!(with("skip_plans: [x]").contains("no plan `x`"));
    assert!(with("plan_args: {x: {A: b}}").contains("no plan `x`"));
    assert!(with("info_cmds: PY_VER").contains("expected a list, found text: `PY_VER`"));
    assert!(with("target: a b").contains("cannot be a stage"));
    let empty = small("all_info_cmds: {A: {description: d, command: \"\"}}\n");
    assert!(only(&empty).contains("the command is empty"));
}

#[test]
fn limits_have_units_and_ranges() {
    let student = |limits: &str| only(&small(&format!("limits: {{groups: {{student: {{{limits}}}}}}}\n")));
    assert!(student("memory: 32").contains("`32` is no size"));
    assert!(student("memory: 32gb").contains("is no size"));
    assert!(student("memory: 99999999999t").contains("is no size"));
    assert!(student("memory: 1k").contains("too few for a container"));
    assert!(student("cpus: 0").contains("no CPU at all"));
    assert!(student("cpus: \"4\"").contains("expected a number"));
    assert!(student("pids: 0").contains("0 is out of range"));
    assert!(student("gpus: 1").contains("unknown key `gpus`"));
    assert!(only(&small("limits: {default_group: x}\n")).contains("no group `x`"));
}

#[test]
fn settings_of_the_build_hold_no_secret() {
    let build = |entry: &str| only(&small(&format!("build: {{{entry}}}\n")));
    let told = build("pip_index: \"https://me:pw@x/simple\"");
    assert!(told.contains("a web address with a password") && told.contains("{file: PATH}"), "{told}");
    assert!(!build("pip_index: \"htps://me:hush@x/simple\"").contains("hush"));
    assert!(build("pip_index: {file: \"\"}").contains("the path `` is none"));
    assert!(build("pip_index: {}").contains("the key `file` is missing"));
    assert!(build("apt_mirror: x").contains("`x` is not a web address"));
    assert!(build("ca_bundle: \"\"").contains("the path `` is none"));
}

#[test]
fn another_version_is_refused() {
    assert!(only(&small("version: 2\n")).contains("a spec of version 2 | this program reads version 1"));
}

#[test]
fn a_file_that_is_no_text_or_too_large_is_refused() {
    let bad = MemoryFiles::default().file("/r/spec.yml", b"tag: {prefix: a}\n# \xff\n");
    assert_eq!(alone(&bad), "spec.yml:2:3 not UTF-8 text | save the file as UTF-8");
    let large = MemoryFiles::default().file("/r/spec.yml", vec![b'#'; 50_000_000]);
    assert_eq!(
        alone(&large),
        "- `spec.yml` has 47 MiB | a file of a spec has at most 4 MiB; is this one a spec?"
    );
    let problems = open(&MemoryFiles::default().file("/r/other", "")).unwrap_err();
    assert!(shown(&problems).contains("there is no spec `spec.yml`"));
}

#[test]
fn a_file_that_cannot_be_included_is_named_where_it_is_included() {
    let spec = "tag: {prefix: a}\ninclude: [projects/x.yml, p/*.yml]\n";
    let files = files(spec).file("/r/p/a.yml", b"\xff").file("/r/p/b.yml", vec![b'#'; 6_000_000]);
    assert_eq!(
        wrong(&files),
        "spec.yml:2:11 there is no file `projects/x.yml` | write the file, or remove the entry\n\
         spec.yml:2:27 `p/b.yml` has 5 MiB | a file of a spec has at most 4 MiB; is this one a spec?\n\
         p/a.yml:1:1 not UTF-8 text | save the file as UTF-8\n"
    );
}
