//! `image create` and `image update` as people use them: files, images, what
//! is said; at a terminal and without one.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;

use serde_json::Value;

use crate::base::image_id;
use crate::client::docker;
use crate::stack::{BASE, Run, Stack};
use crate::terminal::Terminal;

const UID: u32 = 1722830498;
const TOOL: &str = "ARG BASE_IMAGE\nFROM $BASE_IMAGE\nRUN echo tool > /tool\n";

struct Place {
    stack: Stack,
    login: String,
    project: String,
}

/// A stack with an image `tool`, two people and no project yet.
fn place() -> Place {
    let stack = Stack::new();
    let (login, project) = (format!("a.{}@example.org", stack.id), format!("p{}", stack.id));
    let other = format!("b.{}@example.org", stack.id);
    let rest = format!(
        "plans: {{py312: {{tag_prefix: t-py312}}}}\ninclude: [projects/*.yml]\nusers:\n  \"{login}\": {{uid: {UID}}}\n  \"{other}\": {{uid: 1722830499}}\n"
    );
    stack.spec_with("tool:\n  base: busybox", &rest).write("images/tool/Dockerfile", TOOL);
    Place { stack, login, project }
}

impl Place {
    /// `image create` for the first person.
    fn create(&self, args: &[&str]) -> Run {
        let all = [&["image", "create", "--user", &self.login], args].concat();
        self.stack.run(&all)
    }

    fn update(&self, args: &[&str]) -> Run {
        self.stack.run(&[&["image", "update", &self.project], args].concat())
    }

    /// Names in `projects/`, what has a dot in front included.
    fn files(&self) -> Vec<String> {
        let Ok(entries) = std::fs::read_dir(self.stack.root().join("projects")) else { return Vec::new() };
        let mut names: Vec<_> = entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    fn text(&self) -> String {
        let path = self.stack.root().join(format!("projects/{}.yml", self.project));
        std::fs::read_to_string(path).unwrap()
    }

    fn image(&self) -> String {
        format!("ds01-{UID}/{}:latest", self.project)
    }
}

#[track_caller]
fn says(run: &Run, parts: &[&str]) {
    let said = run.err();
    for part in parts {
        assert!(said.contains(part), "`{part}` is missing in:\n{said}");
    }
}

#[test]
fn a_project_is_written_built_and_its_next_command_told() {
    let place = place();
    let file = format!("projects/{}.yml", place.project);
    let run = place.create(&[&place.project, "--image", "tool"]).expect(0);
    says(&run, &[&format!("{file} is written"), &format!("ds01-build deploy {}", place.project)]);
    let lines = ["user: ", "image: tool\n"];
    assert!(lines.iter().all(|line| place.text().contains(line)), "{}", place.text());
    assert!(image_id(&place.image()).is_some());
    assert_eq!(docker(&["run", "--rm", &place.image(), "whoami"]).trim(), format!("a-{}", place.stack.id));
    assert_eq!(place.files(), [format!("{}.yml", place.project)]);
    let mode = std::fs::metadata(place.stack.root().join(&file)).unwrap().permissions().mode();
    assert_eq!(mode & 0o600, 0o600);
    place.stack.run(&["plan"]).expect(0);
}

#[test]
fn who_builds_an_image_of_their_own_reads_nothing_of_branches() {
    let place = place();
    let run = |args: &[&str]| {
        let mut command = place.stack.command(args);
        Run(command.env_remove("DS01_BRANCH").output().unwrap()).expect(0).err()
    };
    let own = run(&["image", "create", &place.project, "--image", "tool", "--user", &place.login]);
    assert!(own.contains("started") && !own.contains("branch"), "{own}");
    let all = run(&["build"]);
    assert!(all.contains("no branch tags are put"), "{all}");
}

#[test]
fn a_dry_run_shows_file_and_plan_and_writes_nothing() {
    let place = place();
    let args = [place.project.as_str(), "--image", "tool@py312", "--dry-run"];
    let run = place.create(&args).expect(0);
    assert!(
        run.out().contains("  image: tool@py312\n") && run.out().contains("never built"),
        "{}",
        run.out()
    );
    let data: Value =
        serde_json::from_str(&place.create(&[&args[..], &["--json"]].concat()).expect(0).out()).unwrap();
    assert_eq!(data["project"]["written"], false);
    assert_eq!(data["images"].as_array().unwrap().len(), 2);
    assert_eq!(place.files(), [""; 0]);
    assert!(image_id(&place.image()).is_none());
}

#[test]
fn what_was_created_is_told_as_one_document() {
    let place = place();
    let run = place.create(&[&place.project, "--image", "tool", "--json"]).expect(0);
    let data: Value = serde_json::from_str(&run.out()).unwrap();
    assert_eq!(data["project"]["file"], format!("projects/{}.yml", place.project));
    assert_eq!(data["summary"]["built"], 2);
    let run = place.update(&["--no-build", "--add-pip", "six", "--json"]).expect(0);
    let data: Value = serde_json::from_str(&run.out()).unwrap();
    assert_eq!(data["project"]["diff"], "+   packages: {pip: [six]}\n");
}

#[test]
fn all_that_is_wrong_with_flags_is_told_with_flag_and_rule_and_nothing_is_written() {
    let place = place();
    std::fs::write(place.stack.root().join("out.txt"), "-r ../../secret.txt\n").unwrap();
    let (ok, long) = (place.project.as_str(), "l".repeat(300));
    let cases: &[(&[&str], &[&str])] = &[
        (&[ok], &["say --image NAME; there are: tool, tool@py312, busybox"]),
        (&["--image", "tool"], &["needs a name"]),
        (&[ok, "--image", "tol"], &["--image: there is no image or base `tol`", "did you mean `tool`?"]),
        (&[ok, "--image", "busybox@py312"], &["--image"]),
        (&[ok, "--image", "tool", "--pip", "six; rm -rf /"], &["--pip: `six; rm -rf /`", "marker"]),
        (&[ok, "--image", "tool", "--pip", "$(reboot)"], &["--pip: `$(reboot)`", "a name begins with"]),
        (&[ok, "--image", "tool", "--pip=--index-url=http://x"], &["--pip: `--index-url", "is an option"]),
        (
            &[ok, "--image", "tool", "--apt", "git&&true", "--pip", "a|b"],
            &["--apt: `git&&true`", "--pip: `a|b`"],
        ),
        (&[ok, "--image", "tool", "--apt=-oDebug=1"], &["--apt: `-oDebug=1`", "is an option"]),
        (
            &[ok, "--image", "tool", "--requirements", "/etc/hostname"],
            &["--requirements", "outside of the folder of the spec, /"],
        ),
        (&[ok, "--image", "tool", "--requirements", "none.txt"], &["--requirements", "cannot be read"]),
        // The file that leaves the repository is named, or the key that names it.
        (&[ok, "--image", "tool", "--requirements", "out.txt"], &[]),
        (&[ok, "--image", "tool", "--dockerfile", "/etc/passwd"], &["--dockerfile", "lies outside"]),
        (
            &[ok, "--image", "tool", "--dockerfile", "d", "--pip", "six"],
            &["--dockerfile", "cannot be used with"],
        ),
        (&["../evil", "--image", "tool"], &["NAME: `../evil` is no project name", "small letters"]),
        (&["Thesis", "--image", "tool"], &["NAME: `Thesis`"]),
        (&["true", "--image", "tool"], &["NAME: `true`", "YAML reads it"]),
        (&["1.5", "--image", "tool"], &["NAME: `1.5`", "YAML reads it"]),
        (&["null", "--image", "tool"], &["NAME: `null`", "YAML reads it"]),
        (&["yes", "--image", "tool"], &["NAME: `yes`", "YAML reads it"]),
        (&["a\nb: c", "--image", "tool"], &["NAME: `a\\nb: c`"]),
    ];
    for (args, parts) in cases {
        says(&place.create(args).expect(2), parts);
        assert_eq!(place.files(), [""; 0], "{args:?}");
    }
    for (login, parts) in [
        (long.as_str(), ["--user: `llll", "at most 256"]),
        ("root", ["--user: root has no projects", "--user LOGIN"]),
        ("nobody.known", ["--user: no user `nobody.known`", ""]),
        ("李雷", ["--user", "李雷"]),
    ] {
        says(
            &place.stack.run(&["image", "create", ok, "--image", "tool", "--user", login]).expect(2),
            &parts,
        );
        assert_eq!(place.files(), [""; 0], "{login}");
    }
    assert!(image_id(&place.image()).is_none());
}

#[test]
fn one_name_is_for_two_people_but_not_twice_for_one() {
    let place = place();
    let name = place.project.as_str();
    place.create(&[name, "--image", "busybox", "--no-build"]).expect(0);
    let again = place.create(&[name, "--image", "tool"]).expect(2);
    says(&again, &["already", &format!("projects/{name}.yml"), "image update"]);
    let other = format!("b.{}@example.org", place.stack.id);
    place
        .stack
        .run(&["image", "create", name, "--image", "busybox", "--no-build", "--user", &other])
        .expect(0);
    assert_eq!(place.files(), [format!("b-{}-{name}.yml", place.stack.id), format!("{name}.yml")]);
    place.stack.run(&["check"]).expect(0);
}

#[test]
fn a_repository_that_something_else_has_is_refused() {
    let place = place();
    let spec = std::fs::read_to_string(place.stack.root().join("spec.yml")).unwrap();
    let repository = format!("ds01-{UID}/{}", place.project);
    place.stack.write("spec.yml", spec.replace(&place.stack.repository("tool"), &repository));
    let run = place.create(&[&place.project, "--image", "busybox"]).expect(2);
    says(&run, &["NAME: ", "have one repository", &repository]);
    assert_eq!(place.files(), [""; 0]);
}

#[test]
fn a_spec_that_takes_in_no_files_says_what_to_add() {
    let place = place();
    let spec = std::fs::read_to_string(place.stack.root().join("spec.yml")).unwrap();
    place.stack.write("spec.yml", spec.replace("include: [projects/*.yml]\n", ""));
    let run = place.create(&[&place.project, "--image", "tool"]).expect(2);
    says(&run, &["add `include: [projects/*.yml]`"]);
    assert_eq!(place.files(), [""; 0]);
}

#[test]
fn a_build_that_fails_leaves_the_file_and_update_mends_it() {
    let place = place();
    place.stack.write("own/Dockerfile", "ARG BASE_IMAGE\nFROM $BASE_IMAGE\nRUN false\n");
    let run = place.create(&[&place.project, "--image", "tool", "--dockerfile", "own/Dockerfile"]).expect(1);
    says(&run, &["RUN false", "stays", "image update"]);
    assert!(place.text().contains("  dockerfile: own/Dockerfile\n"));
    says(&place.update(&["--add-pip", "six"]).expect(2), &["has a Dockerfile", "edit own/Dockerfile"]);
    place.stack.write("own/Dockerfile", "ARG BASE_IMAGE\nFROM $BASE_IMAGE\nRUN true\n");
    says(&place.update(&[]).expect(0), &["to run it: ds01-build deploy"]);
    assert!(image_id(&place.image()).is_some());
}

#[test]
fn a_dockerfile_that_is_none_is_found_before_anything_is_written() {
    let place = place();
    place.stack.write("own/Dockerfile", "NONSENSE\n");
    let run = place.create(&[&place.project, "--image", "tool", "--dockerfile", "own/Dockerfile"]).expect(2);
    says(&run, &["own/Dockerfile"]);
    assert_eq!(place.files(), [""; 0]);
}

#[test]
fn a_build_that_is_stopped_leaves_the_file_and_says_how_to_go_on() {
    let place = place();
    place
        .stack
        .write("own/Dockerfile", "ARG BASE_IMAGE\nFROM $BASE_IMAGE\nRUN echo sleeping; exec sleep 300\n");
    let user = place.login.as_str();
    let args = [
        "image",
        "create",
        &place.project,
        "--image",
        "tool",
        "--user",
        user,
        "--dockerfile",
        "own/Dockerfile",
    ];
    let mut terminal = Terminal::start(place.stack.command(&[&args[..], &["--progress", "plain"]].concat()));
    terminal.reads("echo sleeping").reads("sleeping\r\n");
    terminal.interrupts();
    assert_eq!(terminal.reads("stays; to go on: ds01-build build").ends(), 130);
    assert_eq!(place.files().len(), 1);
}

#[test]
fn packages_are_changed_in_the_file_and_its_comments_stay() {
    let place = place();
    place
        .create(&[&place.project, "--image", "tool", "--pip", "pandas>=1,<2", "six", "--no-build"])
        .expect(0);
    let file = format!("projects/{}.yml", place.project);
    place.stack.write(&file, place.text().replace("  packages:", "  # mine\n  packages:"));
    let run = place
        .update(&["--no-build", "--add-pip", "pandas>=2", "--remove", "six", "--add-apt", "git"])
        .expect(0);
    says(
        &run,
        &["pandas>=1,<2 → pandas>=2", "-   packages:", "+   packages: {pip: [\"pandas>=2\"], apt: [git]}"],
    );
    assert!(
        place.text().contains("  # mine\n  packages: {pip: [\"pandas>=2\"], apt: [git]}\n"),
        "{}",
        place.text()
    );
    let before = place.text();
    says(
        &place.update(&["--remove", "numpy"]).expect(2),
        &["--remove: ", "`numpy`", "it declares: pandas>=2, git"],
    );
    says(&place.update(&["--image", "nothing"]).expect(2), &["--image: there is no image or base"]);
    place.update(&["--image", "busybox", "--dry-run"]).expect(0);
    assert_eq!(place.text(), before);
    assert_eq!(place.files().len(), 1);
}

#[test]
fn containers_on_the_old_image_are_told_after_an_update() {
    let place = place();
    place.create(&[&place.project, "--image", "busybox"]).expect(0);
    place.stack.run(&["deploy", &place.project, "--workspace", "work"]).expect(0);
    let container = format!("{}._.{UID}", place.project);
    let same = place.update(&[]).expect(0).err();
    assert!(!same.contains("old image") && !same.contains("to run it"), "{same}");
    let run = place.update(&["--image", "tool"]).expect(0);
    says(
        &run,
        &["image: busybox → tool", &format!("{container} still runs the old image"), "container retire"],
    );
}

#[test]
fn nobody_creates_or_changes_somebody_elses_project() {
    let place = place();
    place.create(&[&place.project, "--image", "busybox", "--no-build"]).expect(0);
    let before = place.text();
    std::fs::set_permissions(place.stack.root(), PermissionsExt::from_mode(0o755)).unwrap();
    // The program is copied to where that uid may read it.
    let program = place.stack.root().join("program");
    std::fs::copy(env!("CARGO_BIN_EXE_ds01-build"), &program).unwrap();
    let run = |args: &[&str]| {
        let mut command = std::process::Command::new(&program);
        let folder = place.stack.root();
        command.args(args).current_dir(folder).env("HOME", folder).uid(1722830499).gid(1722830499);
        Run(command.output().unwrap())
    };
    let refused = run(&["image", "update", &place.project, "--add-pip", "six"]).expect(5);
    says(&refused, &["belongs to", &place.login, "administrator"]);
    let refused = run(&["image", "create", "mine", "--image", "tool", "--user", &place.login]).expect(5);
    says(&refused, &["--user: you are b.", "administrator"]);
    // Their own they may ask for; that the folder is not theirs to write is told.
    let refused = run(&["image", "create", "mine", "--image", "tool", "--no-build"]).expect(2);
    says(&refused, &["projects/mine.yml cannot be written: permission denied"]);
    assert!(!refused.err().contains(".part"), "{}", refused.err());
    assert_eq!((place.files().len(), place.text()), (1, before));
}

/// The form, until it asks whether to write.
fn form(place: &Place) -> Terminal {
    let mut terminal = Terminal::start(place.stack.command(&["image", "create", "--user", &place.login]));
    terminal.reads("Name of the project").types("true\r").reads("YAML reads it");
    terminal
        .types(&format!("\u{15}{}\r", "\u{8}".repeat(4) + &place.project))
        .reads("What shall it be based on?");
    terminal.reads("tool").reads("on busybox").reads("base, ").types("\u{1b}[B\u{1b}[B\r");
    terminal.reads("Python packages").types("six;rm\r").reads("marker").types(&("\u{8}".repeat(6) + "\r"));
    terminal.reads("Debian packages").types("\r").reads("JupyterLab?").types("n");
    terminal.reads("image: busybox").reads("and build the image?");
    terminal
}

#[test]
fn the_form_asks_for_what_is_missing_and_checks_it_at_once() {
    let place = place();
    let mut terminal = form(&place);
    assert_eq!(place.files(), [""; 0]);
    assert_eq!(terminal.types("y").reads("to run it: ds01-build deploy").ends(), 0, "{}", terminal.text());
    assert!(place.text().ends_with("  image: busybox\n"), "{}", place.text());
    assert!(image_id(&place.image()).is_some());
}

#[test]
fn a_form_that_is_left_writes_nothing() {
    let place = place();
    assert_eq!(form(&place).types("n").reads("nothing was written").ends(), 0);
    let mut terminal = Terminal::start(place.stack.command(&["image", "create", "--user", &place.login]));
    terminal.reads("Name of the project").types("\u{3}").reads("nothing was written");
    assert_eq!(terminal.ends(), 130, "{}", terminal.text());
    assert_eq!(place.files(), [""; 0]);
    let args = ["image", "create", "--yes", "--user", &place.login];
    assert_eq!(Terminal::start(place.stack.command(&args)).reads("say --image NAME").ends(), 2);
    assert_eq!(image_id(BASE).map(|_| ()), Some(()));
}
