//! Images that no project describes, deployed by the real program: the account
//! is put onto them once, and only where it is not in already.

use std::process::{Command, Stdio};

use serde_json::Value;

use crate::base::{BASE, image_id};
use crate::client::{docker, inspect};
use crate::registries::Registry;
use crate::stack::{Run, Stack};

/// A small Debian that `scripts/test` makes; it has no labels.
const DEBIAN: &str = "ds01-quickstart/debian:bookworm";

/// A stack with a user, and images of its own whose names end in its id, so
/// that they go with it.
struct Case {
    stack: Stack,
    login: String,
    account: String,
}

impl Case {
    fn new() -> Self {
        let stack = Stack::new();
        let login = format!("a.{}@example.org", stack.id);
        stack.spec_with(
            "tool:\n  base: busybox",
            &format!("users:\n  \"{login}\": {{uid: 1722830498, gid: 1722830498}}\n"),
        );
        stack.write("images/tool/Dockerfile", "ARG BASE_IMAGE\nFROM $BASE_IMAGE\nRUN echo tool > /tool\n");
        let account = format!("a-{}", stack.id);
        Self { stack, login, account }
    }

    /// The last part of a repository that is this case's alone.
    fn name(&self) -> String {
        format!("img{}", self.stack.id)
    }

    fn tagged(&self, image: &str) -> String {
        let name = format!("ds01-test-x/{}:1", self.name());
        docker(&["tag", image, &name]);
        name
    }

    /// Busybox with labels.
    fn labelled(&self, labels: &[(&str, &str)]) -> String {
        let name = format!("ds01-test-x/{}:1", self.name());
        let dir = tempfile::tempdir().unwrap();
        let labels: String = labels.iter().map(|(key, value)| format!("LABEL {key}={value}\n")).collect();
        std::fs::write(dir.path().join("Dockerfile"), format!("FROM {BASE}\n{labels}")).unwrap();
        let built = Command::new("docker")
            .args(["build", "-q", "-t", &name, dir.path().to_str().unwrap()])
            .env("DOCKER_BUILDKIT", "0")
            .output()
            .unwrap();
        assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
        name
    }

    /// Deploys for the user, into the container `NAME`.
    fn deploy(&self, image: &str, name: &str, more: &[&str]) -> Run {
        let fixed = ["deploy", image, "--name", name, "--user", &self.login, "--workspace", "work"];
        self.stack.run(&[&fixed, more].concat())
    }

    /// Images with the account, by their content tags.
    fn made(&self) -> Vec<String> {
        let repository = format!("ds01-1722830498/{}", self.name());
        let made = docker(&["images", "--format", "{{.Repository}}:{{.Tag}}", &repository]);
        made.lines().map(str::to_owned).collect()
    }
}

fn container(name: &str) -> String {
    format!("{name}._.1722830498")
}

fn labels_of(name: &str) -> Value {
    serde_json::from_str(&docker(&["inspect", "-f", "{{json .Config.Labels}}", &container(name)])).unwrap()
}

#[test]
fn an_unlabelled_image_gets_the_account_once() {
    let case = Case::new();
    let (image, name) = (case.tagged(DEBIAN), case.name());
    let layers = inspect(&image, "{{len .RootFS.Layers}}");
    let said = case.deploy(&image, &name, &[]).expect(0).err();
    assert!(said.contains("its labels name no account"), "{said}");

    let asked = "whoami; id -u; id -g; echo $HOME; pwd; touch ~/.local/bin/x && echo writable; echo $PATH";
    let seen = docker(&["exec", &container(&name), "bash", "-lc", asked]);
    let lines: Vec<_> = seen.lines().collect();
    let home = format!("/home/{}", case.account);
    assert_eq!(
        lines[..6],
        [case.account.as_str(), "1722830498", "1722830498", home.as_str(), "/workspace", "writable"]
    );
    assert!(lines[6].split(':').any(|folder| folder == format!("{home}/.local/bin")), "{}", lines[6]);
    assert!(!docker(&["exec", &container(&name), "id"]).contains("cannot find name"));

    let made = case.made();
    assert_eq!(made.len(), 1, "{made:?}");
    assert_eq!(
        inspect(&made[0], "{{len .RootFS.Layers}}"),
        format!("{}", layers.parse::<u32>().unwrap() + 1)
    );
    let labels = labels_of(&name);
    assert_eq!(labels["ds01.user"], case.login);
    assert_eq!(labels["ds01.name"], name);
    assert_eq!(labels["ds01.image"], image_id(&made[0]).unwrap());
    assert_eq!(
        labels["ds01.build.recipe"],
        inspect(&made[0], "{{index .Config.Labels \"ds01.build.recipe\"}}")
    );
    assert_eq!(labels.get("ds01.project"), None);

    // Another container of it: nothing is made, and nothing is said of making.
    let second = format!("b{name}");
    let id = image_id(&made[0]);
    let said = case.deploy(&image, &second, &[]).expect(0).err();
    assert!(!said.contains("its labels name no account"), "{said}");
    assert_eq!(case.made(), made);
    assert_eq!(image_id(&made[0]), id);
    assert_eq!(labels_of(&second)["ds01.image"], id.unwrap());
}

#[test]
fn labels_of_either_generation_that_match_skip_the_layer_and_others_do_not() {
    let ours =
        [("ds01.has_user_setup", "true"), ("ds01.user_id", "1722830498"), ("ds01.group_id", "1722830498")];
    let old = |uid| {
        [
            ("aime.mlc.DS01_HAS_USER_SETUP", "true"),
            ("aime.mlc.DS01_USER_ID", uid),
            ("aime.mlc.DS01_GROUP_ID", "1722830498"),
        ]
    };
    let cases = [("new", ours, 0), ("legacy", old("1722830498"), 0), ("another uid", old("1001"), 1)];
    for (what, labels, made) in cases {
        let case = Case::new();
        let (image, name) = (case.labelled(&labels), case.name());
        case.deploy(&image, &name, &[]).expect(0);
        assert_eq!(case.made().len(), made, "{what}");
        let user = docker(&["inspect", "-f", "{{.Config.User}}", &container(&name)]);
        assert_eq!(user, "1722830498:1722830498", "{what}");
        if made == 0 {
            assert_eq!(labels_of(&name)["ds01.image"], image_id(&image).unwrap(), "{what}");
        } else {
            assert_eq!(docker(&["exec", &container(&name), "whoami"]), case.account);
            assert!(labels_of(&name).as_object().unwrap().keys().all(|key| !key.starts_with("aime.mlc")));
        }
    }
}

#[test]
fn what_a_saved_container_held_is_not_held_by_the_next() {
    let case = Case::new();
    let image = case.labelled(&[
        ("aime.mlc.DS01_HAS_USER_SETUP", "true"),
        ("aime.mlc.DS01_USER_ID", "1722830498"),
        ("aime.mlc.DS01_GROUP_ID", "1722830498"),
        ("aime.mlc.USER", "eve"),
        ("aime.mlc.DATA_MOUNT", "/data"),
        ("ds01.gpu.allocated", "0,1"),
        ("ds01.protected", "true"),
        ("aime.mlc.DS01_FRAMEWORK", "Pytorch-2.5.1"),
        ("aime.mlc.ARCH", "CUDA_ADA"),
    ]);
    let name = case.name();
    case.deploy(&image, &name, &[]).expect(0);
    let labels = labels_of(&name);
    for gone in ["aime.mlc.USER", "aime.mlc.DATA_MOUNT", "ds01.gpu.allocated", "ds01.protected"] {
        assert_eq!(labels.get(gone), None, "{gone}");
    }
    assert_eq!((&labels["ds01.user"], &labels["ds01.gpus"]), (&case.login.as_str().into(), &"0".into()));
    assert_eq!(labels["ds01.framework"], "Pytorch-2.5.1");
}

#[test]
fn a_shared_image_and_a_base_of_the_spec_are_deployed_by_name() {
    let case = Case::new();
    let fixed = ["--user", &case.login, "--workspace", "work"];
    let said = case.stack.run(&[&["deploy", "tool"], &fixed[..]].concat()).expect(5).err();
    assert!(said.contains("ds01-build build tool"), "{said}");
    case.stack.build(&[]).expect(0);

    let name = case.name();
    case.deploy("tool", &name, &[]).expect(0);
    let seen = docker(&["exec", &container(&name), "sh", "-c", "whoami; cat /tool"]);
    assert_eq!(seen, format!("{}\ntool", case.account));
    let based = format!("b{name}");
    case.deploy("busybox", &based, &[]).expect(0);
    assert_eq!(docker(&["exec", &container(&based), "whoami"]), case.account);
    // Their repositories have the names of the spec, which other stacks share.
    for container in [&name, &based] {
        let image = labels_of(container)["ds01.image"].as_str().unwrap().to_owned();
        docker(&["rm", "-f", &self::container(container)]);
        docker(&["rmi", "-f", &image]);
    }
}

#[test]
fn a_dry_run_says_whether_a_layer_would_be_put_on_and_makes_nothing() {
    let case = Case::new();
    let (image, name) = (case.tagged(BASE), case.name());
    let run = case.deploy(&image, &name, &["--dry-run", "--json"]).expect(0);
    let request: Value = serde_json::from_str(&run.out()).unwrap();
    assert_eq!(request["name"], container(&name));
    assert_eq!(request["setup"]["needed"], true);
    assert_eq!(request["setup"]["made"], false);
    assert!(run.err().contains("the user layer would be put on it"), "{}", run.err());
    assert!(case.made().is_empty());
    assert_eq!(docker(&["ps", "-aq", "--filter", &format!("name={name}")]), "");
}

#[test]
fn two_deploys_at_once_make_one_image() {
    let case = Case::new();
    let (image, name) = (case.tagged(BASE), case.name());
    let start = |name: &str| {
        let args = ["deploy", &image, "--name", name, "--user", &case.login, "--workspace", "work"];
        case.stack.command(&args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let others = [name.clone(), format!("b{name}")];
    let children = others.clone().map(|name| start(&name));
    for child in children {
        Run(child.wait_with_output().unwrap()).expect(0);
    }
    assert_eq!(case.made().len(), 1);
    let [one, two] = others.map(|name| labels_of(&name)["ds01.image"].clone());
    assert_eq!(one, two);
}

#[test]
fn what_cannot_be_deployed_says_what_to_do() {
    let case = Case::new();
    let refused = |args: &[&str], code: i32, parts: &[&str]| {
        let said = case.stack.run(args).expect(code).err();
        for part in parts {
            assert!(said.contains(part), "{args:?}: `{part}` is missing in {said}");
        }
    };
    let user = case.login.as_str();
    refused(&["deploy", "tol", "--user", user], 2, &["no image `tol`", "did you mean `tool`?", "--pull"]);
    refused(&["deploy", "no.such/image:1", "--user", user], 5, &["is not on the engine", "--pull"]);
    refused(&["deploy", "tool"], 5, &["root has no containers", "--user LOGIN"]);
    refused(&["deploy", BASE, "--user", "nobody-knows"], 5, &["`nobody-knows`", "`users:`"]);
    refused(&["deploy", BASE, "--user", user, "--name", "My Work"], 2, &["no container name", "`my-work`"]);
}

#[test]
fn an_image_of_a_registry_is_pulled_only_if_that_is_said() {
    let (case, registry) = (Case::new(), Registry::start());
    let image = format!("{}:1", registry.repository(&case.name()));
    docker(&["tag", BASE, &image]);
    docker(&["push", "-q", &image]);
    docker(&["rmi", &image]);
    let said = case.deploy(&image, &case.name(), &[]).expect(5).err();
    assert!(said.contains("is not on the engine") && said.contains("--pull"), "{said}");
    assert_eq!(image_id(&image), None);
    case.deploy(&image, &case.name(), &["--pull"]).expect(0);
    assert_eq!(docker(&["exec", &container(&case.name()), "whoami"]), case.account);
    assert_eq!(case.made().len(), 1);
}

/// Runs as the second user, who may reach the engine and is no administrator.
#[test]
fn another_person_s_own_image_is_refused() {
    let case = Case::new();
    let image = case.tagged(BASE);
    case.deploy(&image, &case.name(), &[]).expect(0);
    let own = case.made().remove(0);
    let spec = std::fs::read_to_string(case.stack.root().join("spec.yml")).unwrap();
    let other = format!("  \"b.{}@example.org\": {{uid: 1722830497, gid: 1722830497}}\n", case.stack.id);
    case.stack.write("spec.yml", spec + &other);
    let program = env!("CARGO_BIN_EXE_ds01-build");
    let copy = std::env::temp_dir().join(format!("ds01-{}", case.stack.id));
    // By another process: a file that this one writes could be held open by a
    // child of another test, and then cannot be run.
    let copied = Command::new("install").args(["-m", "755", program]).arg(&copy).status();
    assert!(copied.unwrap().success());
    let group = docker_group();
    let groups = group.to_string();
    let open = ["chmod", "-R", "a+rX", case.stack.root().to_str().unwrap()];
    assert!(Command::new(open[0]).args(&open[1..]).status().unwrap().success());
    let ids = ["--reuid", "1722830497", "--regid", "1722830497", "--groups", &groups];
    let output = Command::new("setpriv")
        .args(ids)
        .arg(&copy)
        .args(["deploy", &own, "--workspace", "work", "--dry-run"])
        .current_dir(case.stack.root())
        .env("HOME", "/nonexistent")
        .output()
        .unwrap();
    std::fs::remove_file(copy).unwrap();
    let said = Run(output).expect(5).err();
    assert!(said.contains("is the own image of") && said.contains("administrator"), "{said}");
}

/// The group that may use the engine's socket.
fn docker_group() -> u32 {
    std::os::unix::fs::MetadataExt::gid(&std::fs::metadata("/var/run/docker.sock").unwrap())
}
