//! `scripts/install`, into a folder of the test: with the program that is
//! tested, so that nothing is compiled.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use ds01_build::installed_names;

fn install(args: &[&str]) -> Output {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/install");
    let mut command = Command::new(script);
    command.args(["--binary", env!("CARGO_BIN_EXE_ds01-build")]).args(args);
    command.env_remove("CARGO_TARGET_DIR").current_dir(std::env::temp_dir()).output().unwrap()
}

fn done(args: &[&str]) -> String {
    let output = install(args);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn run(program: &Path, args: &[&str]) -> Output {
    Command::new(program).args(args).env_clear().env("COLUMNS", "100").output().unwrap()
}

/// Files and links below a folder, relative to it.
fn files(folder: &Path) -> Vec<PathBuf> {
    fn walk(root: &Path, folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            match entry.file_type().unwrap().is_dir() {
                true => walk(root, &entry.path(), found),
                false => found.push(entry.path().strip_prefix(root).unwrap().to_owned()),
            }
        }
    }
    let mut found = Vec::new();
    walk(folder, folder, &mut found);
    found.sort();
    found
}

#[test]
fn the_program_its_names_completions_and_pages_are_installed() {
    let folder = tempfile::tempdir().unwrap();
    let prefix = folder.path().join("with blanks");
    let said = done(&["--prefix", prefix.to_str().unwrap()]);
    for Installed { name, page } in expected() {
        let program = prefix.join("bin").join(name);
        assert!(said.contains(&format!("{}\n", program.display())), "{said}");
        let help = String::from_utf8(run(&program, &["--help"]).stdout).unwrap();
        assert!(help.contains(&format!("\nUsage: {name} ")), "{help}");
        for completion in [
            format!("share/bash-completion/completions/{name}"),
            format!("share/zsh/site-functions/_{name}"),
            format!("share/fish/vendor_completions.d/{name}.fish"),
        ] {
            let script = fs::read_to_string(prefix.join(&completion)).unwrap();
            assert!(script.contains(name) && script.contains("engine"), "{completion}");
        }
        let bash = prefix.join("share/bash-completion/completions").join(name);
        assert!(Command::new("bash").arg("-n").arg(bash).status().unwrap().success());
        manual_can_be_read(&prefix.join(page));
    }
    assert!(prefix.join("share/man/man1/ds01-build-catalog-list.1").is_file());
}

struct Installed {
    name: &'static str,
    page: String,
}

fn expected() -> Vec<Installed> {
    let names = installed_names().chain(["ds01-build"]);
    names.map(|name| Installed { name, page: format!("share/man/man1/{name}.1") }).collect()
}

/// With `man` where it is installed; the page itself is looked at in any case.
fn manual_can_be_read(page: &Path) {
    let text = fs::read_to_string(page).unwrap();
    assert!(text.starts_with(".TH ") && text.contains(".SH EXAMPLES"), "{text}");
    let mut man = Command::new("man");
    man.args(["--warnings", "-l"]).arg(page).env("MANPAGER", "cat").env("LC_ALL", "C.UTF-8");
    let Ok(shown) = man.output() else { return };
    let (shown, said) = (String::from_utf8_lossy(&shown.stdout), String::from_utf8_lossy(&shown.stderr));
    // A minimized system has a `man` that only says that there are no pages.
    if !shown.contains("minimized") {
        assert!(shown.contains("SYNOPSIS") && shown.contains("EXAMPLES"), "{}: {shown}", page.display());
        assert_eq!(said, "", "{}", page.display());
    }
}

const UNITS: [&str; 4] = [
    "ds01-build-metrics.service",
    "ds01-build-metrics.timer",
    "ds01-build-sweep.service",
    "ds01-build-sweep.timer",
];

/// The units of a prefix.
fn units(prefix: &Path) -> Vec<PathBuf> {
    match prefix.join("lib").is_dir() {
        true => files(&prefix.join("lib/systemd/system")),
        false => Vec::new(),
    }
}

#[test]
fn services_run_the_installed_program_and_come_with_their_timers() {
    let folder = tempfile::tempdir().unwrap();
    // Everything that means something to systemd, or to sed.
    let prefix = folder.path().join("100% of a & b|c $d");
    let said = done(&["--prefix", prefix.to_str().unwrap()]);
    assert_eq!(units(&prefix), UNITS.map(PathBuf::from));
    assert!(said.contains("systemctl enable --now ds01-build-sweep.timer"), "{said}");
    assert!(said.contains("systemctl link "), "systemd does not look there by itself: {said}");
    for (name, command) in
        [("sweep", "container sweep $DS01_SWEEP"), ("metrics", "metrics --output ${DS01_METRICS}")]
    {
        let unit = prefix.join(format!("lib/systemd/system/ds01-build-{name}.service"));
        let text = fs::read_to_string(unit).unwrap();
        let program = prefix.join("bin/ds01-build").display().to_string().replace('%', "%%");
        assert!(text.contains(&format!("ExecStart=\"{program}\" {command}\n")), "{text}");
        assert!(!text.contains('@'), "{text}");
        let words: Vec<_> = command.split(' ').take_while(|word| !word.contains(['$', '-'])).collect();
        let program = prefix.join("bin/ds01-build");
        let help = run(&program, &[&words.clone()[..], &["--help"]].concat());
        let help = String::from_utf8(help.stdout).unwrap();
        let mut flags = command.split(' ').filter(|word| word.starts_with("--"));
        assert!(
            help.contains("Usage: ") && flags.all(|flag| help.contains(flag)),
            "no such command: {command}"
        );
        let man = text.lines().find_map(|line| line.strip_prefix("Documentation=man:")).unwrap();
        assert!(prefix.join("share/man/man1").join(man.replace("(1)", ".1")).is_file(), "{man}");
    }
    done(&["--prefix", prefix.to_str().unwrap(), "--uninstall"]);
    assert_eq!(files(folder.path()), [""; 0].map(PathBuf::from));
}

/// With systemd's own eyes, where it is installed.
#[test]
fn systemd_understands_the_units() {
    let folder = tempfile::tempdir().unwrap();
    let prefix = folder.path().join("100% of a & b $d");
    done(&["--prefix", prefix.to_str().unwrap()]);
    let paths = UNITS.map(|unit| prefix.join("lib/systemd/system").join(unit));
    let mut analyze = Command::new("systemd-analyze");
    // Pages of a prefix of the test are not where `man` looks.
    let Ok(output) = analyze.args(["verify", "--man=no"]).args(&paths).output() else { return };
    let said = String::from_utf8_lossy(&output.stderr);
    let about_ours: Vec<_> = said.lines().filter(|line| line.contains("ds01-build")).collect();
    assert!(output.status.success() && about_ours.is_empty(), "{said}");
}

#[test]
fn a_prefix_in_somebodys_home_gets_no_units() {
    let folder = tempfile::tempdir().unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/install");
    let mut command = Command::new(script);
    command
        .args(["--binary", env!("CARGO_BIN_EXE_ds01-build"), "--prefix"])
        .arg(folder.path().join(".local"));
    let output = command.env("HOME", folder.path()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(folder.path().join(".local/bin/ds01-build").is_file());
    assert!(units(&folder.path().join(".local")).is_empty());
    assert!(!String::from_utf8_lossy(&output.stdout).contains("systemctl"));
}

#[test]
fn a_second_run_changes_nothing_and_one_after_a_change_mends_it() {
    let folder = tempfile::tempdir().unwrap();
    let prefix = folder.path().to_str().unwrap();
    done(&["--prefix", prefix]);
    let before = files(folder.path());
    assert!(done(&["--prefix", prefix]).contains("    0 of "));
    fs::remove_file(folder.path().join("bin/image-list")).unwrap();
    fs::write(folder.path().join("share/man/man1/image-list.1"), "old").unwrap();
    // As an older version would have left it.
    let manifest = folder.path().join("share/ds01-build/installed");
    fs::write(folder.path().join("bin/image-old"), "").unwrap();
    fs::write(&manifest, fs::read_to_string(&manifest).unwrap() + "file bin/image-old\n").unwrap();
    let said = done(&["--prefix", prefix]);
    assert!(said.contains("    2 of ") && said.contains("removed "), "{said}");
    assert_eq!(files(folder.path()), before);
}

#[test]
fn what_others_put_there_is_neither_overwritten_nor_removed() {
    let folder = tempfile::tempdir().unwrap();
    let prefix = folder.path().to_str().unwrap();
    let (theirs, also) = (folder.path().join("bin/image-list"), folder.path().join("share/man/man1/mine.1"));
    fs::create_dir_all(theirs.parent().unwrap()).unwrap();
    fs::write(&theirs, "a script of before").unwrap();
    let refused = install(&["--prefix", prefix]);
    assert_eq!(refused.status.code(), Some(5));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("bin/image-list\n"));
    assert_eq!(files(folder.path()), [Path::new("bin/image-list")]);

    fs::remove_file(&theirs).unwrap();
    done(&["--prefix", prefix]);
    fs::write(&also, "a page of theirs").unwrap();
    // A manifest that leads out of the prefix is not followed.
    let outside = tempfile::NamedTempFile::new().unwrap();
    let manifest = folder.path().join("share/ds01-build/installed");
    let more = format!("file {}\nfile ../../../../../../{0}\n", outside.path().display());
    fs::write(&manifest, fs::read_to_string(&manifest).unwrap() + &more).unwrap();
    done(&["--prefix", prefix, "--uninstall"]);
    assert_eq!(files(folder.path()), [Path::new("share/man/man1/mine.1")]);
    assert!(outside.path().exists());
    // It was there before.
    assert!(folder.path().join("bin").is_dir() && !folder.path().join("share/zsh").exists());
    assert!(done(&["--prefix", prefix, "--uninstall"]).contains("nothing is installed"));
}

#[test]
fn a_package_is_made_below_another_folder() {
    let folder = tempfile::tempdir().unwrap();
    done(&["--destdir", folder.path().to_str().unwrap(), "--prefix", "/opt/ds01"]);
    let program = folder.path().join("opt/ds01/bin/container-list");
    assert_eq!(fs::read_link(&program).unwrap(), Path::new("ds01-build"));
    assert!(run(&program, &["--version"]).stdout.starts_with(b"container-list "));
}

#[test]
fn a_wrong_argument_installs_nothing() {
    for args in
        [&["--nonsense"][..], &["--prefix"], &["--binary", "/nowhere/ds01-build", "--prefix", "/nowhere"]]
    {
        let output = install(args);
        assert_eq!(output.status.code(), Some(2), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
}
