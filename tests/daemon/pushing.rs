//! Registries in plan and build: what is sent, what an engine with an empty
//! store takes from there, and what happens when a registry says no.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

use serde_json::Value;

use crate::client::docker;
use crate::registries::Registry;
use crate::second_engine::SecondEngine;
use crate::stack::{BASE, Run, Stack};

/// top → leaf. Each runs two steps, of which only the second reads its file.
fn pair(registry: &Registry) -> Stack {
    let stack = Stack::new();
    let mut spec = String::from("version: 1\ntag: {prefix: \"t\"}\nbases:\n");
    spec += &format!("  busybox: {{image: \"{BASE}\"}}\nimages:\n");
    for (name, below) in [("top", "base: busybox"), ("leaf", "depend_on: top")] {
        spec += &format!("  {name}:\n    image_name: {}\n    {below}\n", repository(registry, &stack, name));
        stack.write(
            &format!("images/{name}/Dockerfile"),
            format!(
                "ARG BASE_IMAGE\nFROM $BASE_IMAGE\nRUN echo {} {name} > /first\nWORKDIR /made\nRUN true\nENV X=1\nCOPY file /{name}\nRUN cat /{name} > /second\n",
                stack.id
            ),
        );
        stack.write(&format!("images/{name}/file"), "one");
    }
    stack.write("spec.yml", spec);
    stack
}

fn repository(registry: &Registry, stack: &Stack, name: &str) -> String {
    registry.repository(&format!("ds01-test-{}/{name}", stack.id))
}

/// A run with the credentials of a folder, on another engine if one is given.
fn run(stack: &Stack, args: &[&str], config: Option<&std::path::Path>, engine: Option<&SecondEngine>) -> Run {
    let mut command = stack.command(args);
    command.env("DOCKER_CONFIG", config.unwrap_or(&stack.root().join("no-docker-config")));
    if let Some(engine) = engine {
        command.env("DOCKER_HOST", engine.url()).env("DS01_LOCK_DIR", stack.root().join("locks"));
    }
    Run(command.output().unwrap())
}

/// What the registry has under a tag now.
fn digest(registry: &Registry, reference: &str) -> String {
    let (name, tag) = reference.strip_prefix(&registry.host).unwrap()[1..].rsplit_once(':').unwrap();
    let mut stream = TcpStream::connect(&registry.host).unwrap();
    let accept =
        "application/vnd.docker.distribution.manifest.v2+json, application/vnd.oci.image.manifest.v1+json";
    let host = &registry.host;
    write!(
        stream,
        "HEAD /v2/{name}/manifests/{tag} HTTP/1.1\r\nHost: {host}\r\nAccept: {accept}\r\nConnection: close\r\n\r\n"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let line = answer.lines().find_map(|line| line.strip_prefix("Docker-Content-Digest: "));
    line.unwrap_or_else(|| panic!("{reference}: {answer}")).to_owned()
}

const PUSH: [&str; 4] = ["build", "--push", "--progress", "json"];

/// References that a run pushed.
fn pushed(run: &Run) -> Vec<String> {
    let text = |e: &Value| e["reference"].as_str().unwrap().to_owned();
    run.events().iter().filter(|e| e["event"] == "pushed").map(text).collect()
}

/// Branch tags that a run moved in a registry, sorted: they move side by side.
fn moved(run: &Run) -> Vec<String> {
    let text = |e: &Value| e["tag"].as_str().unwrap().to_owned();
    let events = run.events();
    let mut tags: Vec<_> = events.iter().filter(|e| e["event"] == "registry_tag_moved").map(text).collect();
    tags.sort();
    tags
}

/// How each image ended.
fn ended(run: &Run) -> BTreeMap<String, String> {
    run.ended().into_iter().collect()
}

#[test]
fn what_is_built_is_sent_once_and_its_branch_tags_move() {
    let registry = Registry::start();
    let stack = pair(&registry);
    let first = run(&stack, &PUSH, None, None).expect(0);
    assert_eq!(pushed(&first).len(), 2, "{}", first.out());
    let tags = ["leaf", "top"].map(|name| format!("{}:t-main", repository(&registry, &stack, name)));
    assert_eq!(moved(&first), tags);
    let again = run(&stack, &PUSH, None, None).expect(0);
    assert!(pushed(&again).is_empty() && moved(&again).is_empty() && again.ended().is_empty());

    // Another branch: no layer moves, only tags do.
    let other = run(&stack, &[&PUSH[..], &["--branch", "other"]].concat(), None, None).expect(0);
    assert!(pushed(&other).is_empty());
    assert_eq!(moved(&other).len(), 2);
}

#[test]
fn what_stands_on_a_stand_in_is_not_sent() {
    let registry = Registry::start();
    let stack = pair(&registry);
    let base = format!("busybox={BASE}");
    let refused = run(&stack, &["build", "--push", "--base", &base], None, None).expect(2);
    assert!(refused.err().contains("--base busybox=…"), "{}", refused.err());
}

#[test]
fn what_was_built_before_is_sent_when_the_registry_lacks_it() {
    let registry = Registry::start();
    let stack = pair(&registry);
    run(&stack, &["build", "--progress", "json"], None, None).expect(0);
    let plan = run(&stack, &["build", "--push", "--dry-run"], None, None).expect(0);
    assert!(plan.out().contains("push   leaf  127.0.0.1:"), "{}", plan.out());
    let sent = run(&stack, &PUSH, None, None).expect(0);
    assert_eq!(ended(&sent).values().collect::<Vec<_>>(), ["pushed", "pushed"]);
    assert_eq!((pushed(&sent).len(), moved(&sent).len()), (2, 2));
}

#[test]
fn a_registry_that_wants_a_login_gets_it_and_a_wrong_one_is_exit_3() {
    let registry = Registry::with_login();
    let stack = pair(&registry);
    let denied = run(&stack, &["build", "--push"], None, None).expect(3);
    let host = &registry.host;
    assert!(denied.err().contains(host) && denied.err().contains(&format!("docker login {host}")));
    let sent = run(&stack, &PUSH, Some(&registry.docker_config()), None).expect(0);
    assert_eq!((pushed(&sent).len(), moved(&sent).len()), (2, 2));
}

#[test]
fn an_engine_with_an_empty_store_takes_from_the_registry_what_it_needs_and_no_more() {
    // Every way there needs the login: ours, the engine's, BuildKit's.
    let registry = Registry::with_login();
    let config = registry.docker_config();
    let config = Some(config.as_path());
    let stack = pair(&registry);
    run(&stack, &PUSH, config, None).expect(0);
    let engine = SecondEngine::start();
    engine.copy(BASE);

    // All of it is in the registry: nothing is built, nothing is pulled.
    let plan = run(&stack, &["plan"], config, Some(&engine)).expect(0);
    assert_eq!(plan.out(), "keep   top   in the registry\nkeep   leaf  in the registry\n");
    let idle = run(&stack, &PUSH, config, Some(&engine)).expect(0);
    assert!(idle.ended().is_empty(), "{}", idle.out());
    assert_eq!(engine.images(), [BASE]);

    // The leaf changed: its parent is pulled, and its first step is imported.
    stack.write("images/leaf/file", "two");
    let leaf = run(&stack, &PUSH, config, Some(&engine)).expect(0);
    let wanted = [("leaf", "built"), ("top", "fetched")].map(|(a, b)| (a.to_owned(), b.to_owned()));
    assert_eq!(ended(&leaf), BTreeMap::from(wanted));
    let step = |name: &str| {
        let events = leaf.events();
        let done = |e: &&Value| {
            let told = e["name"].as_str().is_some_and(|n| n.contains(name));
            e["event"] == "step" && told && e["state"]["state"] == "done"
        };
        events.iter().find(done).unwrap_or_else(|| panic!("{name}: {}", leaf.out()))["state"]["cached"]
            .clone()
    };
    assert_eq!(step("leaf > /first"), true, "{}", leaf.out());
    assert_eq!(step("cat /leaf"), false);
    assert_eq!(pushed(&leaf).len(), 1);
    let warnings: Vec<_> = leaf.events().into_iter().filter(|e| e["event"] == "warning").collect();
    assert!(warnings.is_empty(), "{warnings:#?}");
    let image = format!("{}:t-main", repository(&registry, &stack, "leaf"));
    let read = |file: &str| engine.docker(&["run", "--rm", "--network", "none", &image, "cat", file]);
    assert_eq!((read("/first"), read("/second")), (format!("{} leaf", stack.id), "two".to_owned()));
}

/// Two engines built one recipe, at different times.
#[test]
fn of_two_images_of_one_recipe_the_first_in_the_registry_counts_everywhere() {
    let registry = Registry::start();
    let stack = pair(&registry);
    let dockerfile = "ARG BASE_IMAGE\nFROM $BASE_IMAGE\nRUN date +%s%N > /built && sleep 0.01\n";
    stack.write("images/top/Dockerfile", dockerfile);
    let engine = SecondEngine::start();
    engine.copy(BASE);
    run(&stack, &["build"], None, Some(&engine)).expect(0);
    let first = run(&stack, &PUSH, None, None).expect(0);
    let content = pushed(&first)[0].clone();
    let top_there = || digest(&registry, &content);
    let (counts, leaf) = (top_there(), digest(&registry, &pushed(&first)[1]));

    let plan = run(&stack, &["build", "--push", "--dry-run"], None, Some(&engine)).expect(0);
    let expected = "pull   top   the registry has another image of this recipe";
    assert!(plan.out().contains(expected), "{}", plan.out());
    stack.write("images/leaf/file", "two");
    let second = run(&stack, &PUSH, None, Some(&engine)).expect(0);
    let wanted = [("leaf", "built"), ("top", "fetched")].map(|(a, b)| (a.to_owned(), b.to_owned()));
    assert_eq!(ended(&second), BTreeMap::from(wanted));
    let built = |name: &str| {
        let image = format!("{}:t-main", repository(&registry, &stack, name));
        engine.docker(&["run", "--rm", "--network", "none", &image, "cat", "/built"])
    };
    let here = docker(&["run", "--rm", "--network", "none", &content, "cat", "/built"]);
    assert_eq!((built("top"), built("leaf")), (here.clone(), here));
    assert_eq!(top_there(), counts);

    // Building it anew sends nothing over it.
    let forced = run(&stack, &["build", "--push", "--force", "top", "--no-cache"], None, None).expect(5);
    assert!(forced.err().contains("ds01-build update --packages top"), "{}", forced.err());
    assert_eq!((top_there(), digest(&registry, &pushed(&first)[1])), (counts, leaf));
}

#[test]
fn a_registry_that_is_gone_is_a_warning_to_a_build_and_an_error_to_a_push() {
    let mut registry = Registry::start();
    let stack = pair(&registry);
    registry.stop();
    let refused = run(&stack, &["build", "--push"], None, None).expect(3);
    assert!(refused.err().contains(&registry.host), "{}", refused.err());
    let built = run(&stack, &["build", "--progress", "json"], None, None).expect(0);
    assert_eq!(built.built(), ["top", "leaf"]);
    let warnings = built.events().into_iter().filter(|e| e["event"] == "warning").count();
    assert_eq!(warnings, 1, "once for the host: {}", built.out());
}

#[test]
fn an_image_that_is_sent_tells_which_steps_made_it() {
    let registry = Registry::start();
    let stack = pair(&registry);
    run(&stack, &PUSH, None, None).expect(0);
    let saved = stack.root().join("leaf.tar");
    let image = format!("{}:t-main", repository(&registry, &stack, "leaf"));
    docker(&["save", "-o", saved.to_str().unwrap(), &image]);
    let bytes = std::fs::read(saved).unwrap();
    let wanted = b"moby.buildkit.cache.v0";
    assert!(bytes.windows(wanted.len()).any(|window| window == wanted));
}

/// A registry in front of another: what is uploaded there is refused.
fn refusing_uploads(registry: &Registry) -> String {
    let (listener, target) = (TcpListener::bind("127.0.0.1:0").unwrap(), registry.host.clone());
    let host = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let target = target.clone();
            std::thread::spawn(move || serve(client, &target));
        }
    });
    host
}

fn serve(mut client: TcpStream, target: &str) {
    let mut request = vec![0; 8192];
    let Ok(n @ 1..) = client.read(&mut request) else { return };
    let line = String::from_utf8_lossy(&request[..n]).lines().next().unwrap_or_default().to_owned();
    let closing = |text: &[u8]| {
        let text = String::from_utf8_lossy(text).into_owned();
        text.replacen("\r\n", "\r\nConnection: close\r\n", 1).into_bytes()
    };
    if line.starts_with("POST") {
        let body = r#"{"errors":[{"code":"DENIED","message":"the quota of this project is used up"}]}"#;
        let head = "HTTP/1.1 403 Forbidden\r\nConnection: close\r\nContent-Type: application/json";
        let _ =
            client.write_all(format!("{head}\r\nContent-Length: {}\r\n\r\n{body}", body.len()).as_bytes());
        return;
    }
    let Ok(mut server) = TcpStream::connect(target) else { return };
    if server.write_all(&closing(&request[..n])).is_ok() {
        let _ = std::io::copy(&mut server, &mut client);
    }
}

#[test]
fn an_upload_that_is_refused_is_the_images_failure_and_moves_no_branch_tag() {
    let registry = Registry::start();
    let refusing = pair(&registry);
    let host = refusing_uploads(&registry);
    let spec = std::fs::read_to_string(refusing.root().join("spec.yml")).unwrap();
    refusing.write("spec.yml", spec.replace(&registry.host, &host));
    let failed = run(&refusing, &PUSH, None, None).expect(3);
    assert_eq!(ended(&failed).values().collect::<Vec<_>>(), ["blocked", "failed"]);
    assert!(moved(&failed).is_empty() && pushed(&failed).is_empty());
    let said = run(&refusing, &["build", "--push", "--progress", "plain"], None, None).expect(3).err();
    for part in ["quota of this project", &host, "docker login", "branch tags did not move"] {
        assert!(said.contains(part), "`{part}` is missing in:\n{said}");
    }
    // What is built is kept on the engine.
    assert!(run(&refusing, &["build", "--progress", "json"], None, None).expect(0).built().is_empty());
}

#[test]
fn a_push_without_a_registry_says_what_is_missing_in_the_spec() {
    let stack = Stack::new();
    stack.spec("one:\n  base: busybox");
    stack.write("images/one/Dockerfile", "ARG BASE_IMAGE\nFROM $BASE_IMAGE\n");
    let said = run(&stack, &["build", "--push"], None, None).expect(2).err();
    assert!(said.contains("registry:"), "{said}");
}
