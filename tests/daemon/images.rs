//! Images as people list, look at and retire them, on a real engine.

use std::collections::BTreeMap;
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::client::docker;
use crate::stack::{BASE, Person, Run, Stack, image_id};

/// A shared image, and projects of two people whose uids begin alike.
fn two_projects() -> (Stack, Person, String) {
    let stack = Stack::new();
    stack.spec("tool:\n  base: busybox");
    stack.write("images/tool/Dockerfile", "ARG BASE_IMAGE\nFROM $BASE_IMAGE\nRUN echo tool > /tool\n");
    let person = stack.project("tool", "");
    let spec = std::fs::read_to_string(stack.root().join("spec.yml")).unwrap();
    let login = format!("b.{}@example.org", stack.id);
    stack.write("spec.yml", format!("{spec}  \"{login}\": {{uid: 172283049, gid: 172283049}}\n"));
    let other = format!("ds01-172283049/{}", person.project);
    stack.write("projects/two.yml", format!("{}:\n  user: \"{login}\"\n  image: tool\n", person.project));
    stack.build(&[]).expect(0);
    (stack, person, other)
}

fn rows(stack: &Stack, args: &[&str]) -> Vec<Value> {
    let out = stack.run(&[&["image", "list", "--json"], args].concat()).expect(0).out();
    let rows: Vec<Value> = serde_json::from_str(&out).unwrap();
    // Others work on this engine too.
    rows.into_iter().filter(|row| row.to_string().contains(&stack.id)).collect()
}

fn row<'a>(rows: &'a [Value], name: &str) -> &'a Value {
    let found = rows.iter().find(|row| row["name"] == name);
    found.unwrap_or_else(|| panic!("no {name} in {rows:#?}"))
}

#[test]
fn projects_are_listed_shown_and_retired() {
    let (stack, person, other) = two_projects();
    let name = format!("{}/{}", person.account, person.project);
    let all = rows(&stack, &["--all"]);
    let mine = row(&all, &name);
    assert_eq!((&mine["state"], &mine["base"]), (&"up_to_date".into(), &"tool".into()), "{mine:#}");
    assert_eq!(mine["owner"], person.login.as_str());
    let (size, own) = (mine["size"].as_u64().unwrap(), mine["own"].as_u64().unwrap());
    assert!(own > 0 && own < 64 * 1024, "{own} of its own");
    assert_eq!(mine["shared"].as_u64().unwrap(), size - own);
    assert!(mine["age_seconds"].as_u64().unwrap() < 600 && mine["age_from"] == "record");
    assert_eq!(row(&all, "tool")["own"], 0, "two images are based on it");

    // A change in the spec, and a container.
    stack.write(
        "projects/one.yml",
        format!(
            "{}:\n  user: \"{}\"\n  image: tool\n  packages: {{apt: [git]}}\n",
            person.project, person.login
        ),
    );
    stack.run(&["deploy", &name, "--workspace", "work"]).expect(0);
    let mine = rows(&stack, &["--all"]);
    let mine = row(&mine, &name);
    assert_eq!(mine["containers"][0]["container"], person.container.as_str());
    assert_eq!(mine["containers"][0]["running"], true);
    assert_eq!(mine["state"], "outdated");
    let table = stack.run(&["image", "list", "--all"]).expect(0).out();
    assert!(table.starts_with("NAME") && table.contains(&name) && table.contains("1/1"), "{table}");
    assert!(table.contains(&format!("{name} is outdated: packages changed: apt git added")), "{table}");

    let shown = stack.run(&["image", "show", &name]).expect(0).out();
    // No label runs into its value.
    assert!(shown.lines().skip(1).all(|line| line.chars().nth(12) == Some(' ')), "{shown}");
    for part in ["projects/one.yml:1", "tool, on busybox", "1722830498:1722830498", &person.container, "r-"] {
        assert!(shown.contains(part), "no {part} in\n{shown}");
    }

    for base in [BASE, "busybox"] {
        assert!(stack.run(&["image", "show", base]).expect(0).out().contains(BASE));
        stack.run(&["image", "retire", base]).expect(2);
    }

    let refused = stack.run(&["image", "retire", &name]).expect(5).err();
    assert!(refused.contains(&format!("container retire '{}'", person.container)), "{refused}");
    stack.run(&["container", "retire", &person.container]).expect(0);
    let dry = stack.run(&["image", "retire", &name, "--dry-run"]).expect(0);
    assert!(dry.out().contains("projects/one.yml would go"), "{}", dry.out());
    assert!(image_id(&person.image).is_some());
    stack.run(&["image", "retire", &name]).expect(0);
    assert!(image_id(&person.image).is_none() && !stack.root().join("projects/one.yml").exists());
    assert!(image_id(&format!("{other}:latest")).is_some(), "another person's image of that name");
    assert!(stack.root().join("images/tool/Dockerfile").exists());
    let left = docker(&["images", "-q", &format!("ds01-1722830498/{}", person.project)]);
    assert_eq!(left, "");
}

#[test]
fn a_retired_image_may_keep_its_entry_and_one_whose_entry_is_gone_is_still_found() {
    let (stack, person, other) = two_projects();
    let name = format!("{}/{}", person.account, person.project);
    stack.run(&["image", "retire", &name, "--keep-spec"]).expect(0);
    assert!(image_id(&person.image).is_none());
    assert_eq!(row(&rows(&stack, &["--all"]), &name)["state"], "not_built");
    // The other entry goes by hand: the image has no line in the spec.
    std::fs::remove_file(stack.root().join("projects/two.yml")).unwrap();
    let all = rows(&stack, &["--all"]);
    let left = all.iter().find(|row| row["tags"].to_string().contains(&other)).unwrap();
    assert_eq!(left["state"], "not_in_spec");
    let stranger = stack.run(&["image", "show", &other]).expect(0).out();
    assert!(stranger.contains("not in spec") && stranger.contains("172283049:172283049"), "{stranger}");
    // Without any spec it is the same image.
    let bare = stack.command(&["image", "list", "--all", "--json"]).current_dir("/").output().unwrap();
    assert!(bare.status.success() && String::from_utf8_lossy(&bare.stdout).contains(&other));
    stack.run(&["image", "retire", &other]).expect(0);
    assert!(image_id(&format!("{other}:latest")).is_none());
    stack.run(&["image", "retire", &other]).expect(2);
}

#[test]
fn of_two_entries_in_one_file_the_retired_one_goes() {
    let (stack, person, _) = two_projects();
    let (kept, login) = (format!("k{}", stack.id), &person.login);
    let entry = |name: &str| format!("{name}:\n  user: \"{login}\"\n  image: tool\n");
    let both = format!("# Ours.\n{}  # mine\n\n# the other\n{}", entry(&person.project), entry(&kept));
    stack.write("projects/one.yml", both);
    stack.build(&[]).expect(0);
    let name = format!("{}/{}", person.account, person.project);
    let dry = stack.run(&["image", "retire", &name, "--dry-run"]).expect(0).out();
    assert!(dry.contains(&format!("entry `{}` of projects/one.yml would go", person.project)), "{dry}");
    let done = stack.run(&["image", "retire", &name]).expect(0).out();
    assert!(done.contains("its entry is no longer in projects/one.yml"), "{done}");
    let left = std::fs::read_to_string(stack.root().join("projects/one.yml")).unwrap();
    assert!(left.ends_with(&format!("# the other\n{}", entry(&kept))), "{left}");
    assert!(!left.contains(&format!("{}:", person.project)), "{left}");
    assert_eq!(row(&rows(&stack, &["--all"]), &format!("{}/{kept}", person.account))["state"], "up_to_date");
    assert!(image_id(&person.image).is_none());
}

/// The program, run by the stack's person.
fn as_person(stack: &Stack, args: &[&str]) -> Run {
    let root = stack.root();
    std::fs::set_permissions(root, PermissionsExt::from_mode(0o755)).unwrap();
    // It is copied to where they may read it.
    let program = root.join("program");
    if !program.exists() {
        std::fs::copy(env!("CARGO_BIN_EXE_ds01-build"), &program).unwrap();
    }
    let engine = std::fs::metadata("/var/run/docker.sock").map_or(0, |socket| socket.gid());
    let mut command = Command::new(program);
    command.args(args).current_dir(root).env("HOME", root).uid(1722830498).gid(engine);
    Run(command.output().unwrap())
}

#[test]
fn whose_entry_cannot_be_taken_out_keeps_the_image() {
    let (stack, person, _) = two_projects();
    for args in
        [&["image", "retire", &person.project][..], &["image", "retire", &person.project, "--dry-run"]]
    {
        let refused = as_person(&stack, args).expect(5).err();
        assert!(refused.contains("projects/one.yml cannot be changed: Permission denied"), "{refused}");
    }
    assert!(image_id(&person.image).is_some() && stack.root().join("projects/one.yml").exists());
    as_person(&stack, &["image", "retire", &person.project, "--keep-spec"]).expect(0);
    assert!(image_id(&person.image).is_none());
}

#[test]
fn a_listed_name_is_one_that_the_other_commands_take() {
    let stack = Stack::new();
    let tool = format!("tool-{}", stack.id);
    stack.spec(&format!("{tool}:\n  base: busybox"));
    stack.write(&format!("images/{tool}/Dockerfile"), "ARG BASE_IMAGE\nFROM $BASE_IMAGE\n");
    let person = stack.project(&tool, "");
    stack.build(&[]).expect(0);
    // A shared image with their account on it is theirs, and called like the shared one.
    stack.run(&["deploy", &tool, "--user", &person.login, "--workspace", "work"]).expect(0);
    let whole = format!("{}/{tool}", person.account);
    let list = as_person(&stack, &["image", "list"]).expect(0).out();
    let names: Vec<&str> = list.lines().filter_map(|line| line.split(' ').next()).collect();
    assert!(names.contains(&person.project.as_str()) && names.contains(&whole.as_str()), "{list}");
    let shown = as_person(&stack, &["image", "show", &whole]).expect(0).out();
    assert!(shown.contains("1722830498:1722830498"), "{shown}");
}

#[test]
fn images_of_the_systems_before_are_known_by_labels_and_names() {
    let stack = Stack::new();
    stack.spec("tool:\n  base: busybox\n  packages: {apt: [git]}");
    let make = |tag: &str, labels: &[&str]| {
        let id = docker(&["create", BASE]);
        let changes: Vec<String> = labels.iter().map(|label| format!("LABEL {label}")).collect();
        let mut args = vec!["commit"];
        changes.iter().for_each(|change| args.extend(["--change", change]));
        docker(&[&args[..], &[&id, tag]].concat());
        docker(&["rm", &id]);
    };
    let by_name = format!("old-{}/pytorch:thesis._.1001", stack.id);
    let alike = format!("old-{}/pytorch:thesis._.10012", stack.id);
    let by_label = format!("ds01-1001/w{}:latest", stack.id);
    make(&by_name, &[]);
    make(&alike, &["aime.mlc=bob"]);
    make(&by_label, &["aime.mlc.DS01_MANAGED=true", "aime.mlc.DS01_USER_ID=1001", "aime.mlc.USER=ann"]);
    let all = rows(&stack, &["--all"]);
    let old: Vec<&str> =
        all.iter().filter(|row| row["legacy"] == true).map(|row| row["name"].as_str().unwrap()).collect();
    assert_eq!(old, [&by_label[..by_label.len() - ":latest".len()], &by_name, &alike]);
    assert_eq!(row(&all, &by_name)["base"], format!("old-{}/pytorch", stack.id));
    stack.run(&["image", "retire", &by_name]).expect(0);
    assert!(image_id(&by_name).is_none() && image_id(&alike).is_some() && image_id(BASE).is_some());
    for name in [&alike, &by_label] {
        stack.run(&["image", "retire", name]).expect(0);
        assert!(image_id(name).is_none(), "{name}");
    }
}

#[test]
fn the_layers_of_an_image_are_counted_as_the_engine_counts_them() {
    let (stack, person, _) = two_projects();
    let df = docker(&["system", "df", "-v", "--format", "{{json .Images}}"]);
    let images: Vec<Value> = serde_json::from_str(&df).unwrap();
    let (repository, _) = person.image.rsplit_once(':').unwrap();
    let told = images.iter().find(|image| image["Repository"] == repository).unwrap();
    let all = rows(&stack, &["--all"]);
    let mine = row(&all, &format!("{}/{}", person.account, person.project));
    let unique = told["UniqueSize"].as_str().unwrap();
    let own = mine["own"].as_u64().unwrap() as f64;
    assert!(near(unique, own), "{unique} is not {own}");
}

/// Whether `7.01kB` is so many bytes, as far as it says.
fn near(text: &str, bytes: f64) -> bool {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let factor = match &text[digits.len()..] {
        "B" => 1.0,
        "kB" => 1e3,
        "MB" => 1e6,
        unit => panic!("{unit}"),
    };
    let said: f64 = digits.parse().unwrap();
    (said * factor - bytes).abs() <= said * factor * 0.01
}

/// Everything in an image by path: type, mode, owner, link, and a digest of
/// its content. Times are left out.
fn files(image: &str) -> BTreeMap<String, String> {
    let id = docker(&["create", image]);
    let script = format!(
        "docker export {id} > $D/x.tar; docker rm {id} > /dev/null; \
         tar --numeric-owner -tvf $D/x.tar | sed -E 's/ +/ /g' | cut -d' ' -f1-3,6-; \
         tar -xf $D/x.tar --to-command='echo \"content /$TAR_FILENAME $(sha256sum)\"'"
    );
    let dir = tempfile::tempdir().unwrap();
    let output = Command::new("bash").args(["-euc", &script]).env("D", dir.path()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines()
        .map(|line| match line.strip_prefix("content ") {
            Some(line) => (format!("content of {}", line.split(' ').next().unwrap()), line.to_owned()),
            None => (line.split(' ').nth(3).unwrap().to_owned(), line.to_owned()),
        })
        .collect()
}

fn config(image: &str) -> Value {
    let config = docker(&["image", "inspect", "-f", "{{json .Config}}", image]);
    let config: Value = serde_json::from_str(&config).unwrap();
    let kept = ["Env", "User", "WorkingDir", "Labels", "Cmd", "Entrypoint"].map(|key| config[key].clone());
    kept.to_vec().into()
}

/// The classic builder, which every engine of the time has.
fn docker_build(text: &str, tag: &str) {
    let mut build = Command::new("docker")
        .args(["build", "-t", tag, "-"])
        .env("DOCKER_BUILDKIT", "0")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    build.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = build.wait_with_output().unwrap();
    assert!(output.status.success(), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn a_dockerfile_of_a_persons_image_makes_the_same_with_either_builder() {
    let (stack, person, _) = two_projects();
    let name = format!("{}/{}", person.account, person.project);
    let text = stack.run(&["image", "show", &name, "--dockerfile"]).expect(0).out();
    let again = stack.repository("again:1");
    docker_build(&text, &again);
    assert_eq!(files(&again), files(&person.image));
    assert_eq!(config(&again), config(&person.image));

    // BuildKit's Dockerfile front end, as the program drives it.
    let second = Stack::new();
    second.spec("again:\n  context: images/again");
    second.write("images/again/Dockerfile", &text);
    second.build(&[]).expect(0);
    assert_eq!(files(&format!("{}:t-main", second.repository("again"))), files(&person.image));
}

#[test]
fn a_dockerfile_of_declared_packages_installs_them_in_the_same_way() {
    let stack = Stack::new();
    stack.spec("tool:\n  base: debian\n  packages: {apt: [file], pip: [\"six>=1.16,<2\"]}");
    let at_home = |stack: &Stack| {
        let spec = std::fs::read_to_string(stack.root().join("spec.yml")).unwrap();
        let debian = "\n  debian: {image: \"ds01-quickstart/debian:bookworm\"}\nimages:";
        let ca = "build: {ca_bundle: /etc/ssl/certs/ca-certificates.crt}\n";
        stack.write("spec.yml", spec.replace("\nimages:", debian) + ca);
    };
    at_home(&stack);
    stack.build(&[]).expect(0);
    let text = stack.run(&["image", "show", "tool", "--dockerfile"]).expect(0).out();
    let second = Stack::new();
    second.spec("again:\n  context: images/again");
    at_home(&second);
    second.write("images/again/Dockerfile", &text);
    second.build(&[]).expect(0);
    let image = |stack: &Stack, name: &str| format!("{}:t-main", stack.repository(name));
    let (ours, theirs) = (files(&image(&stack, "tool")), files(&image(&second, "again")));
    // Logs and byte code hold times.
    let timeless = |files: &BTreeMap<String, String>| -> Vec<String> {
        let dated = |path: &str| {
            path.contains("/var/log/") || path.contains("__pycache__") || path.contains("var/cache/ldconfig")
        };
        files.iter().filter(|(path, _)| !dated(path)).map(|(_, line)| line.clone()).collect()
    };
    assert_eq!(timeless(&theirs), timeless(&ours));
}
