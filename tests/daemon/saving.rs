//! A container is saved before it is removed, as typed: its files, and nothing
//! of what it was.

use serde_json::Value;

use crate::base::image_id;
use crate::client::docker;
use crate::stack::{Person, Run, Stack};

const DEBIAN: &str = "ds01-quickstart/debian:bookworm";
const CA: &str = "/etc/ssl/certs/ca-certificates.crt";

/// A project on busybox or on the small Debian, built and deployed.
fn deployed(base: &str) -> (Stack, Person) {
    let stack = Stack::new();
    stack.spec(&format!("tool:\n  base: {base}"));
    let spec = std::fs::read_to_string(stack.root().join("spec.yml")).unwrap();
    stack.write(
        "spec.yml",
        spec.replace("\nimages:", &format!("\n  debian: {{image: \"{DEBIAN}\"}}\nimages:")),
    );
    let mut dockerfile = String::from("ARG BASE_IMAGE\nFROM $BASE_IMAGE\nENV OF_IMAGE=yes\n");
    dockerfile +=
        "RUN mkdir -p /var/log && echo 'of the image' > /var/log/lastlog && chmod 664 /var/log/lastlog\n";
    stack.write("images/tool/Dockerfile", dockerfile);
    let person = stack.project("tool", "");
    stack.build(&["--ca-bundle", CA]).expect(0);
    deploy(&stack, &person.project);
    (stack, person)
}

fn deploy(stack: &Stack, image: &str) {
    let (login, name) = (format!("a.{}@example.org", stack.id), format!("p{}", stack.id));
    stack.run(&["deploy", image, "--name", &name, "--user", &login, "--workspace", "work"]).expect(0);
}

/// Runs a command in the container as root.
fn inside(person: &Person, command: &str) -> String {
    docker(&["exec", "-u", "0", &person.container, "sh", "-c", command])
}

fn retire(stack: &Stack, person: &Person, args: &[&str]) -> Run {
    stack.run(&[&["container", "retire", &person.project], args].concat())
}

fn state(person: &Person) -> String {
    docker(&["ps", "-a", "--filter", &format!("name={}", person.container), "--format", "{{.State}}"])
}

/// All images of the person's project, by tag.
fn images(person: &Person) -> Vec<String> {
    let repository = person.image.split(':').next().unwrap();
    let mut tags: Vec<String> =
        docker(&["images", "--format", "{{.Tag}}", repository]).lines().map(str::to_owned).collect();
    tags.sort();
    tags
}

/// All that the engine says of an image.
fn whole(image: &str) -> Value {
    let all: Value = serde_json::from_str(&docker(&["image", "inspect", image])).unwrap();
    all[0].clone()
}

/// Ids of images that are commits of the person's container, or made on one.
fn made(person: &Person) -> String {
    let commit = format!("label=ds01.name={}", person.project);
    let saved = format!("label=ds01.image={}@saved", person.project);
    let of = |label: &str| docker(&["images", "-aq", "--filter", label]);
    of(&commit) + &of(&saved)
}

#[test]
fn what_was_installed_is_saved_and_the_container_s_past_is_not() {
    let (stack, person) = deployed("debian");
    inside(
        &person,
        "truncate -s 200G /var/log/lastlog; truncate -s 20G /var/log/faillog; echo mine > /opt/mine",
    );
    // The package index is trusted by the machine's certificates.
    docker(&["cp", CA, &format!("{}:/tmp/ca.crt", person.container)]);
    let install = "PIP_CERT=/tmp/ca.crt pip install -q --user --break-system-packages six==1.16.0";
    docker(&["exec", &person.container, "sh", "-c", install]);
    let below = whole(&person.image);

    let run = retire(&stack, &person, &["--save", "with-six", "--json"]).expect(0);
    let report = serde_json::from_str::<Value>(&run.out()).unwrap()[0].clone();
    let saved = report["saved"]["reference"].as_str().unwrap();
    assert_eq!(saved, person.image.replace(":latest", ":with-six"));
    assert_eq!(report["saved"]["image"], image_id(saved).unwrap().as_str());
    assert_eq!(report["saved"]["logs"], serde_json::json!(["/var/log/faillog", "/var/log/lastlog"]));
    let command =
        format!("ds01-build image update {}/{} --add-pip six==1.16.0", person.account, person.project);
    assert_eq!(report["command"], command, "{}", run.out());
    assert!(run.err().contains(&command), "{}", run.err());
    assert_eq!(state(&person), "");
    let tags = images(&person);
    assert_eq!(tags.iter().filter(|tag| !tag.starts_with("r-")).collect::<Vec<_>>(), ["latest", "with-six"]);

    let of_container = format!("label=ds01.name={}", person.project);
    assert_eq!(docker(&["images", "-aq", "--filter", &of_container]), "", "the engine's commit is left");

    let image = whole(saved);
    let more = image["Size"].as_u64().unwrap() - below["Size"].as_u64().unwrap();
    assert!(more < 20 << 20, "holes were filled: {more} bytes more");
    for what in ["Env", "Cmd", "Entrypoint", "User", "WorkingDir", "ExposedPorts"] {
        assert_eq!(image["Config"][what], below["Config"][what], "{what}");
    }
    let layers = |image: &Value| image["RootFS"]["Layers"].as_array().unwrap().clone();
    assert_eq!(layers(&image)[..layers(&below).len()], layers(&below)[..]);
    assert_eq!(layers(&image).len(), layers(&below).len() + 1);
    let labels = image["Config"]["Labels"].as_object().unwrap();
    assert_eq!(labels["ds01.image"], format!("{}@saved", person.project));
    assert_eq!(labels["ds01.user_id"], "1722830498");
    for key in labels.keys() {
        let per_container = ["ds01.user", "ds01.gpus", "ds01.name", "ds01.created_at", "ds01.build.recipe"];
        assert!(!per_container.contains(&key.as_str()) && !key.starts_with("devcontainer"), "{key}");
    }
    let text = image.to_string() + &docker(&["history", "--no-trunc", "--format", "{{json .}}", saved]);
    assert!(!text.contains("NVIDIA_VISIBLE_DEVICES"), "{text}");

    // It has the account and needs no other layer.
    deploy(&stack, saved);
    assert_eq!(images(&person), tags, "it was laid on again");
    let seen = docker(&[
        "exec",
        &person.container,
        "sh",
        "-c",
        "python3 -c 'import six; print(six.__version__)'; cat /opt/mine /var/log/lastlog; \
         stat -c '%s %a' /var/log/faillog; whoami",
    ]);
    assert_eq!(seen, format!("1.16.0\nmine\nof the image\n0 644\n{}", person.account));
    let container: Value = serde_json::from_str(&docker(&["inspect", &person.container])).unwrap();
    let labels = &container[0]["Config"]["Labels"];
    assert_eq!(labels["ds01.image"], image_id(saved).unwrap().as_str());
    assert_eq!(labels["ds01.project"], person.project.as_str());

    // The project is as it was, and the saved image a line of its own.
    let plan = stack.run(&["plan"]).expect(0).out();
    assert!(!plan.contains("build  "), "{plan}");
    let listed: Value =
        serde_json::from_str(&stack.run(&["image", "list", "--all", "--json"]).expect(0).out()).unwrap();
    let row = |name: &str| listed.as_array().unwrap().iter().find(|row| row["name"] == name).unwrap().clone();
    assert_eq!(row(saved)["state"], "saved");
    let project = row(&format!("{}/{}", person.account, person.project));
    assert_eq!((&project["image"], &project["state"]), (&below["Id"], &"up_to_date".into()));
}

#[test]
fn a_saved_image_is_never_taken_for_the_project_s_own() {
    let (stack, person) = deployed("busybox");
    inside(&person, "echo mine > /mine");
    retire(&stack, &person, &["--save"]).expect(0);
    let tags = images(&person);
    let saved = tags.iter().find(|tag| tag.starts_with("saved-")).unwrap();
    for tag in tags.iter().filter(|tag| *tag != saved) {
        docker(&["rmi", &person.image.replace("latest", tag)]);
    }
    let said = stack.run(&["deploy", &person.project, "--workspace", "work"]).expect(5).err();
    assert!(said.contains("ds01-build build"), "{said}");
    // Even under the name that builds move.
    docker(&["tag", &person.image.replace("latest", saved), &person.image]);
    let plan = stack.run(&["plan"]).expect(0).out();
    assert!(plan.contains(&format!("build  {}/{}", person.account, person.project)), "{plan}");
}

#[test]
fn a_save_onto_a_tag_that_is_there_or_shared_is_refused_and_the_container_runs_on() {
    let (stack, person) = deployed("busybox");
    docker(&["tag", &person.image, &person.image.replace("latest", "mine")]);
    let had = (images(&person), image_id(&person.image));
    let shared = format!("{}:t-main", stack.repository("tool"));
    for (tag, code, why) in [
        ("mine", 5, "is there already"),
        ("latest", 5, "moved or made by builds"),
        (shared.as_str(), 5, "is not in the repositories of the container's owner"),
        ("ds01-1001/x:1", 5, "begins with `ds01-1722830498/`"),
        ("a b", 2, "can be no tag"),
    ] {
        for args in [&["--save", tag][..], &["--save", tag, "--dry-run"]] {
            let said = retire(&stack, &person, args).expect(code).err();
            assert!(said.contains(why), "{tag}: {said}");
        }
    }
    assert_eq!((images(&person), image_id(&person.image)), had);
    assert_eq!(state(&person), "running");
}

#[test]
fn a_save_that_fails_keeps_the_container_running_and_leaves_no_image() {
    let (stack, person) = deployed("busybox");
    inside(&person, "truncate -s 150G /disk.img; echo mine > /mine");
    let had = (images(&person), made(&person));
    let said = retire(&stack, &person, &["--save"]).expect(5).err();
    assert!(said.contains("/disk.img alone has 150 GiB"), "{said}");
    assert_eq!(state(&person), "running");
    assert_eq!(inside(&person, "cat /mine"), "mine");
    assert_eq!((images(&person), made(&person)), had);

    // The engine refuses when the container is stopped already: the image's
    // own log is read from a container whose name is taken.
    inside(&person, "rm /disk.img; echo x > /var/log/lastlog");
    let id = docker(&["inspect", "-f", "{{.Id}}", &person.container]);
    let taken = format!("ds01-saving-{}", &id[..12]);
    docker(&["run", "-d", "--name", &taken, &person.image, "sleep", "1000"]);
    let run = retire(&stack, &person, &["--save"]);
    docker(&["rm", "-f", &taken]);
    let said = run.expect(3).err();
    assert!(said.contains("is already in use") && said.contains("it is kept, and runs again"), "{said}");
    assert_eq!(state(&person), "running");
    assert_eq!(inside(&person, "cat /mine /var/log/lastlog"), "mine\nx");
    assert_eq!((images(&person), made(&person)), had);
}

#[test]
fn a_dry_run_tells_what_would_go_and_does_nothing() {
    let (stack, person) = deployed("busybox");
    let site = "/opt/venv/lib/python3.11/site-packages";
    inside(
        &person,
        &format!(
            "mkdir -p {site}/timm-1.0.3.dist-info {site}/six-1.0.dist-info && touch {site}/timm-1.0.3.dist-info/REQUESTED; mkdir -p /var/lib/dpkg/info; touch /var/lib/dpkg/info/ffmpeg.list; echo x > /var/log/lastlog"
        ),
    );
    let had = images(&person);
    let run = retire(&stack, &person, &["--dry-run"]).expect(0);
    assert!(run.out().contains("would be stopped, then removed; nothing was done"), "{}", run.out());
    for part in [
        "2 packages were installed in it that its image lacks, and would go with it: timm 1.0.3, ffmpeg",
        "and 1 more that came with them",
        "--add-pip timm==1.0.3 --add-apt ffmpeg",
    ] {
        assert!(run.err().contains(part), "`{part}` is missing in {}", run.err());
    }
    let run = retire(&stack, &person, &["--save", "v1", "--dry-run", "--json"]).expect(0);
    let report = serde_json::from_str::<Value>(&run.out()).unwrap()[0].clone();
    assert_eq!(report["saved"]["logs"], serde_json::json!(["/var/log/lastlog"]));
    assert_eq!(report["saved"]["image"], Value::Null);
    assert_eq!(
        (report["dry_run"].as_bool(), report["installed"]["debian"][0]["name"].as_str()),
        (Some(true), Some("ffmpeg"))
    );
    assert_eq!((images(&person), state(&person).as_str()), (had, "running"));
}
