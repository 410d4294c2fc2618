use super::*;
use crate::image::solve::ExecStep;

fn packages(apt: &[&str], pip: &[&str]) -> Packages {
    let apt = apt.iter().map(|text| parse_apt(text).unwrap());
    let pip = pip.iter().map(|text| parse_pip(text).unwrap());
    Packages::new(apt, pip)
}

/// What a step is, line by line.
fn show(steps: &[ExecStep]) -> String {
    let mut text = String::new();
    for step in steps {
        text += &format!("step {}\n", step.title);
        text += &format!("  argv {:?}\n", step.argv);
        let pairs = [("env", &step.env), ("cache", &step.caches), ("secret", &step.secrets)];
        for (kind, map) in pairs {
            text.extend(map.iter().map(|(name, value)| format!("  {kind} {name} = {value}\n")));
        }
        text.extend(step.tmpfs.iter().map(|path| format!("  tmpfs {path}\n")));
        for (path, content) in &step.files {
            text += &format!("  file {path}\n");
            text.extend(content.lines().map(|line| format!("    | {line}\n")));
        }
    }
    text
}

#[test]
fn packages_become_two_steps() {
    let packages = packages(&["libsndfile1", "ffmpeg"], &["timm", "albumentations>=1.4"]);
    insta::assert_snapshot!(show(&steps(&packages, &StepSettings::default())));
}

#[test]
fn a_site_with_its_own_ca_index_and_mirror_changes_the_steps_surroundings_only() {
    let packages = packages(&["ffmpeg"], &["a", "b", "c", "d", "e"]);
    let settings = StepSettings { ca_bundle: true, pip_index: true, apt_mirror: true, apt_auth: true };
    let steps = steps(&packages, &settings);
    insta::assert_snapshot!(show(&steps));
}

#[test]
fn no_packages_are_no_steps() {
    assert_eq!(steps(&Packages::default(), &StepSettings::default()), []);
    assert_eq!(steps(&packages(&["git"], &[]), &StepSettings::default()).len(), 1);
    assert_eq!(steps(&packages(&[], &["six"]), &StepSettings::default()).len(), 1);
}

#[test]
fn order_and_doubles_do_not_matter() {
    let one = packages(&["git", "curl", "git"], &["Six", "attrs"]);
    let two = packages(&["curl", "git"], &["attrs", "six"]);
    assert_eq!(one, two);
    assert_eq!(one.and(&two), two);
}

#[test]
fn every_named_set_is_made_of_packages_in_normal_form() {
    for set in use_cases().map(|name| use_case(name).unwrap()).chain([jupyter_packages()]) {
        assert!(!set.is_empty());
        for requirement in &set.pip {
            assert_eq!(parse_pip(requirement).as_ref(), Ok(requirement));
        }
    }
    assert_eq!(use_case("cooking"), None);
}

#[test]
fn good_debian_packages_are_read() {
    for text in [
        "ffmpeg",
        "g++",
        "libstdc++6",
        "python3.11",
        "libc6:i386",
        "curl=7.88.1-10+deb12u5",
        "aa:amd64=1:2~rc1",
    ] {
        assert_eq!(parse_apt(text).as_deref(), Ok(text));
    }
    assert_eq!(parse_apt("  git "), Ok("git".into()));
}

#[test]
fn good_requirements_are_read_and_brought_into_one_form() {
    let cases = [
        ("pandas", "pandas"),
        ("Pandas >= 1.5", "pandas>=1.5"),
        ("transformers>=4.44,<5", "transformers>=4.44,<5"),
        ("scikit_learn==1.*", "scikit-learn==1.*"),
        ("uvicorn[standard, Dev]==0.30.1", "uvicorn[dev,standard]==0.30.1"),
        ("torch==2.8.0+cu128", "torch==2.8.0+cu128"),
        ("numpy (>=1.26)", "numpy>=1.26"),
        ("tomli; python_version < '3.11'", "tomli ; python_version < \"3.11\""),
        (
            "jax~=0.4.30;(sys_platform=='linux' or os_name!='nt')and 'x86' in platform_machine",
            "jax~=0.4.30 ; (sys_platform == \"linux\" or os_name != \"nt\") and \"x86\" in platform_machine",
        ),
        ("x===1.0 ; platform_version not in \"a'b\"", "x===1.0 ; platform_version not in \"a'b\""),
        (
            "a ; os.name == 'x' and sys.platform == 'x' and platform.version == '1' and platform.machine == 'x'",
            "a ; os_name == \"x\" and sys_platform == \"x\" and platform_version == \"1\" and platform_machine == \"x\"",
        ),
        (
            "a ; python_implementation == 'x' or platform.python_implementation == 'x'",
            "a ; platform_python_implementation == \"x\" or platform_python_implementation == \"x\"",
        ),
        ("a[]", "a"),
        ("A__b--c", "a-b-c"),
        ("x!=1.0RC1, >=1!2.0.post1.dev3", "x!=1.0rc1,>=1!2.0.post1.dev3"),
    ];
    for (text, normal) in cases {
        assert_eq!(parse_pip(text).as_deref(), Ok(normal), "{text}");
        assert_eq!(parse_pip(normal).as_deref(), Ok(normal), "{text}");
    }
}

#[test]
fn bad_debian_packages_are_refused_with_a_reason() {
    let long = "a".repeat(300);
    let bad = [
        "",
        " ",
        "x",
        "-y",
        "--allow-unauthenticated",
        "git; rm -rf /",
        "git curl",
        "a\nb",
        "git\0",
        "$(x)",
        "`x`",
        "git>=2",
        "GIT",
        "vim-",
        "ffmpeg/bookworm-backports",
        "git=",
        "git=abc",
        "git=1|x",
        "git:",
        "git:AMD64",
        "gît",
        "task^",
        "lib*",
        "../x",
        &long,
    ];
    insta::assert_snapshot!(refusals(&bad, parse_apt));
}

#[test]
fn bad_requirements_are_refused_with_a_reason() {
    let long = "a".repeat(300);
    let bad = [
        "",
        " ",
        "pandas; rm -rf /",
        "--index-url http://x",
        "-r requirements.txt",
        "-e .",
        "a\nb",
        "a\rb",
        "$(x)",
        "`x`",
        "pandas && x",
        "pandas > /etc/passwd",
        "pandas=1.5",
        "pandas>=",
        "pandas>=1.5 --hash=sha256:0",
        "numpy scipy",
        "pip @ https://x.example.org/pip.whl",
        "x @ file:///etc/passwd",
        "git+https://x.example.org/a.git",
        "./local",
        "/abs",
        "pändas",
        "a[b",
        "a==1;",
        "a ; x == '1'",
        "a ; extra == 'b'",
        "a ; '1' == '1'",
        "a ; os_name == 'a",
        "a ; (os_name == 'a'",
        "a ; os_name not 'a'",
        "a ; os_name == 'a\\b'",
        "a ; os_name == 'a' b",
        "a ; os_name == 'a' and",
        "a>1.*",
        "a>1+x",
        "a~=1",
        "a[b c]",
        "a-",
        "a-\u{a980}",
        "a==1,,<2",
        "a # note",
        "${HOME}",
        &long,
    ];
    insta::assert_snapshot!(refusals(&bad, parse_pip));
}

#[test]
fn turned_signs_of_a_version_are_turned_back_in_the_hint() {
    for (text, hint) in
        [("pandas=>2", "write `>=2`"), ("a=< 1.5", "write `<=1.5`"), ("a>1,=~2.1", "write `~=2.1`")]
    {
        let error = parse_pip(text).unwrap_err();
        assert!(error.contains(hint), "{text}: {error}");
    }
}

fn refusals(texts: &[&str], parse: fn(&str) -> Result<String, String>) -> String {
    let lines = texts.iter().map(|text| match parse(text) {
        Ok(read) => panic!("{text:?} was read as {read:?}"),
        Err(reason) => reason + "\n",
    });
    lines.collect()
}

proptest::proptest! {
    #[test]
    fn what_is_read_is_one_argument_that_is_no_option(text in "\\PC{0,40}|[a-z0-9+.:=<>~!,;\\[\\] -]{1,20}") {
        for read in [parse_apt(&text), parse_pip(&text)].into_iter().flatten() {
            proptest::prop_assert!(read.starts_with(|c: char| c.is_ascii_alphanumeric()));
            proptest::prop_assert!(!read.contains(char::is_control));
        }
    }

    #[test]
    fn the_normal_form_stays_as_it_is(text in "[A-Za-z][A-Za-z0-9._-]{0,8}(\\[[a-z]{1,3}\\])? ?((==|>=|<|~=) ?[0-9]\\.[0-9]{1,2})?") {
        if let Ok(normal) = parse_pip(&text) {
            proptest::prop_assert_eq!(parse_pip(&normal), Ok(normal.clone()));
        }
    }
}

/// What a requirements file says, line by line, as `at | what`.
fn read(text: &str, allowed: &AllowedAddresses) -> String {
    let show = |line: RequirementLine| {
        let what = match line.content {
            Ok(content) => format!("{content:?}"),
            Err(refused) => format!("refused: {} | {}", refused.message, refused.help),
        };
        format!("{:?}\n    {what}\n", &text[line.span])
    };
    lines(text, false, allowed).into_iter().map(show).collect()
}

#[test]
fn a_requirements_file_is_read_by_pips_rules() {
    let hash = "a1".repeat(32);
    let text = format!(
        "# a comment\n\n  Pandas >= 2 # why\r\n\
         six==1.16.0 \\\n    --hash=sha256:{hash} \\\n    --hash sha256:{other}\n\
         uvicorn[standard] ; python_version < '3.12'\n\
         -r more.txt\n-rmore.txt\n--requirement=\"more.txt\"\n-c bounds.txt # not more\n--constraint bounds.txt\n\
         --require-hashes\n\
         attrs \\\n# ends what went on\nyarl \\",
        other = "b2".repeat(32),
    );
    insta::assert_snapshot!(
        read(&text, &AllowedAddresses::default()).replace(&hash, "<a>").replace(&"b2".repeat(32), "<b>")
    );
}

#[test]
fn a_file_is_text_by_its_byte_order_mark() {
    let text = "six==1 # größer 𝄞\r\n";
    let utf16 = |unit: fn(u16) -> [u8; 2]| {
        let units = format!("\u{feff}{text}").encode_utf16().flat_map(unit).collect::<Vec<u8>>();
        decode(&units)
    };
    assert_eq!(utf16(u16::to_le_bytes).as_deref(), Some(text));
    assert_eq!(utf16(u16::to_be_bytes).as_deref(), Some(text));
    assert_eq!(decode(format!("\u{feff}{text}").as_bytes()).as_deref(), Some(text));
    assert_eq!(decode(text.as_bytes()).as_deref(), Some(text));
    assert_eq!(decode(b""), Some(String::new()));
    for broken in [&b"\xff\xfea"[..], b"\xff\xfe\x00\xd8", b"gr\xf6\xdfer"] {
        assert_eq!(decode(broken), None);
    }
}

#[test]
fn a_hash_in_capitals_is_the_same_hash() {
    let line = |hash: &str| read(&format!("six==1 --hash=sha256:{hash}"), &AllowedAddresses::default());
    let small = "0a".repeat(32);
    assert!(line(&small.to_uppercase()).contains(&format!("Requirement(\"six==1 --hash=sha256:{small}\")")));
}

#[test]
fn what_a_requirements_file_may_not_say_is_refused_with_what_to_do_instead() {
    let text = "--index-url https://x/simple\n-i https://x\n--extra-index-url https://x\n-f ./wheels\n\
                --trusted-host x\n-e .\n--editable=git+https://x/y\n--pre\n--no-binary :all:\n--foo\n\
                https://x/y.whl\n./local\ngit+https://x/y.git\nx @ https://x.example.org/a/x.whl\n\
                -r https://x/r.txt\n-r\n-r a.txt -r b.txt\nsix -r a.txt\n--hash=sha256:00\n\
                six==1 --hash=md5:00\nsix==1 --hash=sha256:zz\n${INDEX}six\nsix; rm -rf /\n\u{1b}[31m\n";
    insta::assert_snapshot!(read(text, &AllowedAddresses::default()));
    let bound = lines("six[a]<2", true, &AllowedAddresses::default());
    assert!(bound[0].content.as_ref().unwrap_err().message.contains("has extras"));
}

#[test]
fn an_address_is_read_only_below_what_is_allowed() {
    let mut allowed = AllowedAddresses::default();
    allowed.add("https://wheels.example.org/ours/").unwrap();
    let read = |text: &str| parse_pip_from(text, &allowed);
    let good = "x[a] @ https://wheels.example.org/ours/x-1.whl#sha256=00";
    assert_eq!(read(&format!("X[a]@ {}", &good[7..])).as_deref(), Ok(good));
    assert_eq!(
        read(&format!("{good} ; os_name=='a'")).as_deref(),
        Ok(format!("{good} ; os_name == \"a\"").as_str())
    );
    for (bad, why) in [
        ("x @ https://wheels.example.org/other/x.whl", "add `https://wheels.example.org/other/` there"),
        ("x @ https://wheels.example.org/ours/../other/x.whl", "goes up"),
        ("x @ https://wheels.example.org/ours/%2e%2E/other/x.whl", "goes up"),
        ("x @ https://wheels.example.org.evil/ours/x.whl", "does not name"),
        ("x @ https://me@wheels.example.org/ours/x.whl", "password"),
        ("x @ http://wheels.example.org/ours/x.whl", "names a file or an address"),
        ("x @ git+https://wheels.example.org/ours/x", "whole commit"),
        ("x @ git+http://wheels.example.org/ours/x", "names a file or an address"),
        ("x>1 @ https://wheels.example.org/ours/x.whl", "no name"),
        ("x @ https://wheels.example.org/ours/x.whl --hash", "cannot follow an address"),
        ("x @ https://wheels.example.org/ours/", "does not name"),
        ("--x @ https://wheels.example.org/ours/x", "an option"),
    ] {
        let told = read(bad).expect_err(bad);
        assert!(told.contains(why), "{bad}: {told}");
    }
    for bad in
        ["https://x", "http://x/", "https://x/a", "https://a:b@x/", "https://x/?a=/", "https:///", "x/"]
    {
        assert!(AllowedAddresses::default().add(bad).is_err(), "{bad}");
    }
}

#[test]
fn a_commit_of_git_is_read_below_what_is_allowed() {
    let mut allowed = AllowedAddresses::default();
    allowed.add("https://git.example.org/ours/").unwrap();
    let read = |text: &str| parse_pip_from(text, &allowed);
    let commit = "0a".repeat(20);
    let good = format!("x[a] @ git+https://git.example.org/ours/x.git@{commit}");
    for text in [
        good.clone(),
        good.to_uppercase()
            .replace("GIT+HTTPS://GIT.EXAMPLE.ORG/OURS/X.GIT", "git+https://git.example.org/ours/x.git"),
    ] {
        assert_eq!(read(&text).as_ref(), Ok(&good), "{text}");
    }
    let folder = format!("{good}#subdirectory=py ; os_name == \"a\"");
    assert_eq!(read(&folder).as_ref(), Ok(&folder));
    let egg = format!("{}#egg=X[a]&subdirectory=py", &good[7..]);
    assert_eq!(read(&egg), Ok(format!("{good}#subdirectory=py")));
    assert!(is_pinned(&good) && is_from_git(&good) && !is_hashed(&good));
    for (bad, why) in [
        (
            "x @ git+https://git.example.org/ours/x.git@main".to_owned(),
            "git ls-remote https://git.example.org/ours/x.git",
        ),
        (format!("x @ git+https://git.example.org/ours/x@{}", &commit[..39]), "whole commit"),
        (format!("git+https://git.example.org/ours/x@{commit}"), "write `NAME @ git+https"),
        (
            format!("x @ git+https://git.example.org/other/x@{commit}"),
            "add `https://git.example.org/other/` there",
        ),
        (format!("x @ git+https://me:pw@git.example.org/ours/x@{commit}"), "password"),
        (
            format!("x @ git+https://git.example.org/ours/x@{commit}#subdirectory=../y"),
            "cannot follow a commit",
        ),
        (format!("x @ git+ssh://git.example.org/ours/x@{commit}"), "names a file or an address"),
    ] {
        let told = read(&bad).expect_err(&bad);
        assert!(told.contains(why), "{bad}: {told}");
    }
    let hashed = format!("x @ git+https://git.example.org/ours/x@{commit} --hash=sha256:{}", "0".repeat(64));
    let refused = lines(&hashed, false, &allowed).remove(0).content.unwrap_err();
    assert!(refused.message.contains("which git fetches"), "{refused:?}");
}

#[test]
fn git_asks_nobody_and_trusts_the_site() {
    let commit = format!("x @ git+https://git.example.org/x@{}", "0a".repeat(20));
    let packages = Packages::new([], [commit.clone()]);
    let step = &steps(&packages, &StepSettings { ca_bundle: true, ..StepSettings::default() })[0];
    assert_eq!(step.env["GIT_SSL_CAINFO"], step.env["PIP_CERT"]);
    assert_eq!(step.env["GIT_TERMINAL_PROMPT"], "0");
    assert_eq!(step.argv.last(), Some(&commit));
    let output = [
        "  × git clone --filter=blob:none --quiet https://git.example.org/x /tmp/y did not run successfully."
            .to_owned(),
    ];
    assert_eq!(blamed_packages(&output, &[&commit, "six"]), [&commit]);
}

#[test]
fn hashes_and_constraints_become_files_of_the_step() {
    let mut allowed = AllowedAddresses::default();
    allowed.add("https://w.example.org/a/").unwrap();
    let hashed = format!("six==1.16.0 --hash=sha256:{}", "0".repeat(64));
    let address = "x @ https://w.example.org/a/x.whl#sha256=1".to_owned();
    let packages = Packages::new([], [hashed, address]).constrained(["numpy<2".to_owned()]);
    insta::assert_snapshot!(show(&steps(&packages, &StepSettings::default())));
    let bounded = Packages::new([], ["six".to_owned()]).constrained(["numpy<2".to_owned()]);
    let argv = &steps(&bounded, &StepSettings::default())[0].argv;
    assert_eq!(argv[4..], ["--constraint", "/run/ds01/constraints.txt", "--", "six"]);
}

#[test]
fn a_requirement_of_ones_own_stands_for_that_of_a_set() {
    let own = packages(&[], &["JupyterLab==4.4.2", "notebook ; os_name == 'nt'"]);
    let whole = own.with_set(&jupyter_packages());
    assert_eq!(
        whole.pip,
        ["ipykernel", "ipywidgets", "jupyterlab==4.4.2", "notebook", "notebook ; os_name == \"nt\""]
    );
}

#[test]
fn pip_demands_exact_versions_beside_hashes() {
    for (line, pinned) in [("a==1", true), ("a===1 ; os_name == \"x\"", true), ("a @ https://x/y", true)] {
        assert_eq!(is_pinned(line), pinned, "{line}");
    }
    for line in ["a", "a>=1", "a==1.*", "a==1,<2", "a ; python_version == \"3.11\""] {
        assert!(!is_pinned(line), "{line}");
    }
}

proptest::proptest! {
    #[test]
    fn no_requirements_file_breaks_the_reader(text in "([-a-z0-9 =<>@:/#;,.$\\\\{}\\[\\]\"'\n\r\t]|\\PC|--hash=|-r |https://){0,60}") {
        let mut end = 0;
        for line in lines(&text, false, &AllowedAddresses::default()) {
            proptest::prop_assert!(line.span.start >= end && line.span.end <= text.len());
            proptest::prop_assert!(text.get(line.span.clone()).is_some());
            end = line.span.end;
            if let Ok(LineContent::Requirement(read)) = line.content {
                proptest::prop_assert!(read.starts_with(|c: char| c.is_ascii_alphanumeric()));
                proptest::prop_assert!(!read.contains(char::is_control));
                proptest::prop_assert!(!read.contains(" -") || read.contains(" --hash="));
            }
        }
    }
}
