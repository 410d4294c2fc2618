//! Every way to an engine: plain and encrypted TCP, chosen by flag, by
//! environment, by Docker context; and engines that go away or stay silent.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use crate::certificates::Authority;
use crate::client::docker;
use crate::password_registry::registry;
use crate::relay::Relay;
use crate::stack::{Run, Stack};

/// A stack of one image, with a file and a RUN step.
fn one() -> Stack {
    let stack = Stack::new();
    stack
        .spec("one:\n  base: busybox")
        .write("images/one/Dockerfile", "ARG BASE_IMAGE\nFROM $BASE_IMAGE\nCOPY file /f\nRUN cat /f > /g\n")
        .write("images/one/file", &stack.id);
    stack
}

/// The program without what the surroundings say of engines.
fn command(stack: &Stack, args: &[&str]) -> Command {
    let mut command = stack.command(args);
    for name in [
        "DOCKER_HOST",
        "DOCKER_CONTEXT",
        "DOCKER_CERT_PATH",
        "DOCKER_TLS_VERIFY",
        "DOCKER_AUTH_CONFIG",
        "REGISTRY_AUTH_FILE",
    ] {
        command.env_remove(name);
    }
    command.env("DOCKER_CONFIG", stack.root().join("docker"));
    command
}

fn run(command: &mut Command) -> Run {
    Run(command.output().unwrap())
}

fn build(stack: &Stack) -> Command {
    command(stack, &["build", "--progress", "json"])
}

/// Runs a build that should work and looks at the image that it made.
#[track_caller]
fn expect_built(stack: &Stack, command: &mut Command) {
    assert_eq!(run(command).expect(0).built(), ["one"]);
    let image = format!("{}:t-main", stack.repository("one"));
    assert_eq!(docker(&["run", "--rm", &image, "cat", "/g"]), stack.id);
}

/// Expects exit code 3 and each part in what is said.
#[track_caller]
fn expect_no_engine(command: &mut Command, parts: &[&str]) {
    let said = run(command).expect(3).err();
    let words = said.split_whitespace().collect::<Vec<_>>().join(" ");
    for part in parts {
        assert!(words.contains(part), "`{part}` is missing in:\n{said}");
    }
}

/// Makes a Docker context and the current one; gives the folder of its
/// certificates, which is not made.
fn context(stack: &Stack, name: &str, host: &str) -> PathBuf {
    use sha2::{Digest, Sha256};
    let id: String = Sha256::digest(name).iter().map(|b| format!("{b:02x}")).collect();
    let meta = format!(
        r#"{{"Name":"{name}","Metadata":{{}},"Endpoints":{{"docker":{{"Host":"{host}","SkipTLSVerify":false}}}}}}"#
    );
    stack
        .write(&format!("docker/contexts/meta/{id}/meta.json"), meta)
        .write("docker/config.json", format!(r#"{{"currentContext":"{name}"}}"#));
    stack.root().join("docker/contexts/tls").join(id).join("docker")
}

#[test]
fn an_image_is_built_over_plain_tcp() {
    let (stack, relay) = (one(), Relay::plain());
    expect_built(&stack, build(&stack).args(["--engine", &relay.url()]));
    relay.expect_both_halves();
}

#[test]
fn an_image_is_built_under_tls_with_a_client_certificate() {
    let (stack, authority) = (one(), Authority::new());
    let relay = Relay::tls(authority.server("localhost"));
    let certs = stack.root().join("certs");
    authority.client(&certs);
    let host = format!("tcp://localhost:{}", relay.port());
    let mut command = build(&stack);
    command.env("DOCKER_HOST", host).env("DOCKER_TLS_VERIFY", "1").env("DOCKER_CERT_PATH", certs);
    expect_built(&stack, &mut command);
    relay.expect_both_halves();
}

#[test]
fn an_address_by_number_is_trusted_by_number() {
    let (stack, authority) = (one(), Authority::new());
    let relay = Relay::tls(authority.server("127.0.0.1"));
    // Without a path, Docker's own folder is meant.
    authority.client(&stack.root().join("docker"));
    let mut command = command(&stack, &["plan", "--engine", &relay.url()]);
    run(command.env("DOCKER_TLS_VERIFY", "1")).expect(0);
}

#[test]
fn an_image_is_built_through_the_current_docker_context_with_its_own_certificates() {
    let (stack, authority) = (one(), Authority::new());
    let relay = Relay::tls(authority.server("localhost"));
    authority.client(&context(&stack, "lab", &format!("tcp://localhost:{}", relay.port())));
    expect_built(&stack, &mut build(&stack));
    relay.expect_both_halves();
}

#[test]
fn the_flag_comes_before_docker_host_before_the_context_before_the_socket() {
    let stack = one();
    let (by_context, by_host, by_flag) = (Relay::plain(), Relay::plain(), Relay::plain());
    let plan = |args: &[&str], host: Option<&Relay>| {
        let mut command = command(&stack, &[&["plan"], args].concat());
        run(command.envs(host.map(|relay| ("DOCKER_HOST", relay.url())))).expect(0);
    };

    plan(&[], None);
    assert!(by_context.is_unused(), "the socket is used");

    context(&stack, "lab", &by_context.url());
    plan(&["--engine", &by_flag.url()], Some(&by_host));
    assert!(!by_flag.is_unused() && by_host.is_unused() && by_context.is_unused());

    plan(&[], Some(&by_host));
    assert!(!by_host.is_unused() && by_context.is_unused());

    plan(&[], None);
    assert!(!by_context.is_unused());
}

#[test]
fn docker_context_of_the_environment_comes_before_the_current_one() {
    let stack = one();
    let (meant, current) = (Relay::plain(), Relay::plain());
    context(&stack, "meant", &meant.url());
    context(&stack, "current", &current.url());
    run(command(&stack, &["plan"]).env("DOCKER_CONTEXT", "meant")).expect(0);
    assert!(!meant.is_unused() && current.is_unused());
}

/// A PATH whose `ssh` notes how it is called and its process, and runs this
/// where the program that it is given would run on the other machine.
fn ssh(stack: &Stack, script: &str) -> String {
    let notes = stack.root().join("notes");
    stack.write("ssh", format!("#!/bin/sh\necho \"$$ $*\" >> '{}'\n{script}\n", notes.display()));
    let folder = stack.root().join("bin");
    std::fs::create_dir_all(&folder).unwrap();
    // Copied by another process, as a helper for credentials is.
    let copy =
        Command::new("install").args(["-m", "755"]).arg(stack.root().join("ssh")).arg(&folder).status();
    assert!(copy.unwrap().success());
    #[expect(clippy::disallowed_methods, reason = "docker and its plugins are found where the tests' are")]
    let path = std::env::var("PATH").unwrap();
    format!("{}:{path}", folder.display())
}

/// The engine of this machine at the other end.
const DIAL: &str = "while [ \"$1\" != -- ]; do shift; done; shift 2\n\
                    exec env -u DOCKER_HOST -u DOCKER_CONTEXT -u DOCKER_CONFIG \"$@\"";

/// The lines that `ssh` noted, and that none of its processes is left.
#[track_caller]
fn ssh_calls(stack: &Stack) -> Vec<String> {
    let notes = std::fs::read_to_string(stack.root().join("notes")).unwrap();
    let calls = notes.lines().map(|line| line.split_once(' ').unwrap());
    let calls = calls.map(|(process, words)| {
        // What was killed with us is reaped by others, a moment later.
        let gone = (0..100).any(|_| {
            let status = std::fs::read_to_string(format!("/proc/{process}/stat"));
            let gone = status.map_or(true, |status| status.contains(") Z "));
            gone || {
                std::thread::sleep(Duration::from_millis(50));
                false
            }
        });
        assert!(gone, "ssh {words} is left");
        words.to_owned()
    });
    calls.collect()
}

#[test]
fn an_image_is_built_through_ssh() {
    let stack = one();
    let mut build = build(&stack);
    build.env("PATH", ssh(&stack, DIAL)).env("DOCKER_HOST", "ssh://me@gpu1:2222");
    expect_built(&stack, &mut build);
    let calls = ssh_calls(&stack);
    let wanted = "-l me -p 2222 -- gpu1 docker system dial-stdio";
    assert!(calls.len() >= 3 && calls.iter().all(|call| call.ends_with(wanted)), "{calls:#?}");
}

#[test]
fn a_docker_context_may_name_an_engine_behind_ssh() {
    let stack = one();
    context(&stack, "lab", "ssh://gpu1");
    run(command(&stack, &["plan"]).env("PATH", ssh(&stack, DIAL))).expect(0);
    assert!(ssh_calls(&stack).iter().all(|call| call.ends_with("-T -- gpu1 docker system dial-stdio")));
}

#[test]
fn what_ssh_says_is_told_with_what_to_do() {
    let stack = one();
    let plan = |script: &str| {
        let mut command = command(&stack, &["plan", "--engine", "ssh://me@gpu1"]);
        command.env("PATH", ssh(&stack, script));
        command
    };
    let refused = "echo 'me@gpu1: Permission denied (publickey).' >&2; exit 255";
    expect_no_engine(
        &mut plan(refused),
        &["ssh://me@gpu1", "Permission denied (publickey)", "ssh me@gpu1 docker"],
    );
    let late = "read -r line; echo 'bash: docker: command not found' >&2; exit 127";
    expect_no_engine(&mut plan(late), &["docker: command not found", "ssh -L"]);
    let begun = Instant::now();
    expect_no_engine(&mut plan("exec sleep 60"), &["within 10 s"]);
    assert!(begun.elapsed() < Duration::from_secs(20));
    ssh_calls(&stack);
}

/// `plan` under TLS with the certificates of a folder.
fn plan_tls(stack: &Stack, relay: &Relay, certs: &Path) -> Command {
    let host = format!("tcp://localhost:{}", relay.port());
    let mut command = command(stack, &["plan", "--engine", &host]);
    command.env("DOCKER_TLS_VERIFY", "1").env("DOCKER_CERT_PATH", certs);
    command
}

#[test]
fn an_engine_that_another_authority_vouches_for_is_not_trusted() {
    let (stack, authority) = (one(), Authority::new());
    let relay = Relay::tls(authority.server("localhost"));
    let certs = stack.root().join("certs");
    Authority::new().client(&certs);
    let ca = certs.join("ca.pem").display().to_string();
    expect_no_engine(
        &mut plan_tls(&stack, &relay, &certs),
        &["no trusted connection", "localhost", "not signed by", &ca],
    );
}

#[test]
fn an_engine_with_a_certificate_for_another_host_is_not_trusted() {
    let (stack, authority) = (one(), Authority::new());
    let relay = Relay::tls(authority.server("gpu7.example.org"));
    let certs = stack.root().join("certs");
    authority.client(&certs);
    expect_no_engine(
        &mut plan_tls(&stack, &relay, &certs),
        &["not for `localhost` but for gpu7.example.org"],
    );
}

#[test]
fn a_client_certificate_that_is_missing_or_unknown_is_named() {
    let (stack, authority) = (one(), Authority::new());
    let relay = Relay::tls(authority.server("localhost"));
    let certs = stack.root().join("certs");
    let [cert, key] = ["cert.pem", "key.pem"].map(|file| certs.join(file));

    authority.client(&certs);
    std::fs::remove_file(&cert).unwrap();
    expect_no_engine(&mut plan_tls(&stack, &relay, &certs), &["cannot be used", &cert.display().to_string()]);

    authority.client(&certs);
    std::fs::remove_file(&key).unwrap();
    expect_no_engine(&mut plan_tls(&stack, &relay, &certs), &["cannot be used", &key.display().to_string()]);

    // Neither: then none is shown, and the engine says that it wants one.
    std::fs::remove_file(&cert).unwrap();
    expect_no_engine(
        &mut plan_tls(&stack, &relay, &certs),
        &["does not accept", &cert.display().to_string()],
    );

    // One that the engine does not know, with the right authority to trust.
    authority.client(&certs);
    let ca = std::fs::read(certs.join("ca.pem")).unwrap();
    Authority::new().client(&certs);
    std::fs::write(certs.join("ca.pem"), ca).unwrap();
    expect_no_engine(
        &mut plan_tls(&stack, &relay, &certs),
        &["does not accept", &cert.display().to_string()],
    );
}

#[test]
fn an_engine_without_tls_is_told_from_one_that_is_not_trusted() {
    let (stack, relay) = (one(), Relay::plain());
    let certs = stack.root().join("certs");
    Authority::new().client(&certs);
    expect_no_engine(&mut plan_tls(&stack, &relay, &certs), &["does not speak TLS", "DOCKER_TLS_VERIFY"]);
}

/// Builds `one`, and `two` on it; while a step of `one` runs, something happens
/// to the relay. Expects that the build ends at once as the engine's fault.
#[track_caller]
fn expect_broken(happens: impl FnOnce(&mut Relay)) {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let stack = Stack::new();
    stack.spec("one:\n  base: busybox\ntwo:\n  depend_on: one");
    // A step of its own, which the cache does not know.
    let sleep = format!("sleep 97{}{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
    for (image, step) in [("one", format!("echo begun; {sleep}")), ("two", "true".into())] {
        let text = format!("ARG BASE_IMAGE\nFROM $BASE_IMAGE\nRUN {step}\n");
        stack.write(&format!("images/{image}/Dockerfile"), text);
    }
    let mut relay = Relay::plain();
    let mut child = build(&stack).args(["--engine", &relay.url()]).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let begun = |line: &String| line.contains("\"event\":\"log\"") && line.contains("begun");
    assert!(lines.any(|line| begun(&line)), "the step has run");

    happens(&mut relay);
    let gone = Instant::now();
    let rest: Vec<_> = lines.collect();
    assert_eq!(child.wait().unwrap().code(), Some(3), "{rest:#?}");
    assert!(gone.elapsed() < Duration::from_secs(5), "ended after {:?}", gone.elapsed());
    let failed = rest.iter().find(|line| line.contains("\"outcome\":\"failed\"")).expect("it is told");
    assert!(failed.contains("connection to the engine broke") && failed.contains("build one"), "{failed}");
    assert!(rest.iter().any(|line| line.contains("\"outcome\":\"blocked\"")), "{rest:#?}");
    for image in ["one", "two"] {
        assert_eq!(docker(&["images", "-q", &stack.repository(image)]), "", "no tag stands");
    }
}

#[test]
fn an_engine_that_goes_away_in_a_step_fails_the_build_at_once_and_moves_no_tag() {
    expect_broken(Relay::go_away);
}

#[test]
fn a_session_that_breaks_alone_fails_the_build_at_once() {
    expect_broken(|relay| relay.cut("POST /session"));
}

#[test]
fn after_calls_broke_beside_a_session_that_did_not_the_next_image_is_built() {
    let stack = Stack::new();
    stack.spec("one:\n  base: busybox\ntwo:\n  base: busybox");
    let sleep = format!("sleep 96{}", std::process::id());
    for (image, step) in [("one", format!("echo begun; {sleep}")), ("two", format!("echo {}", stack.id))] {
        let text = format!("ARG BASE_IMAGE\nFROM $BASE_IMAGE\nRUN {step}\n");
        stack.write(&format!("images/{image}/Dockerfile"), text);
    }
    let relay = Relay::plain();
    let mut build = build(&stack);
    build.args(["--jobs", "1", "--engine", &relay.url()]).stdout(Stdio::piped());
    let mut child = build.spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    assert!(lines.any(|line| line.contains("begun")), "the step has run");
    relay.cut("POST /grpc");
    std::thread::sleep(Duration::from_millis(100));
    relay.mend();
    let rest: Vec<_> = lines.collect();
    child.wait().unwrap();
    let ended = |image: &str, outcome: &str| {
        let wanted = [format!("\"image\":\"{image}\""), format!("\"outcome\":\"{outcome}\"")];
        rest.iter().any(|line| wanted.iter().all(|part| line.contains(part)))
    };
    assert!(ended("one", "failed") && ended("two", "built"), "{rest:#?}");
}

#[test]
fn an_engine_that_takes_connections_and_stays_silent_is_given_up_after_10_seconds() {
    let stack = one();
    // The system takes the connection; nobody ever reads it.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("tcp://{}", listener.local_addr().unwrap());
    let begun = Instant::now();
    expect_no_engine(
        &mut command(&stack, &["build", "--engine", &url]),
        &["no engine answers at", &url, "within 10 s"],
    );
    assert!((9..15).contains(&begun.elapsed().as_secs()), "{:?}", begun.elapsed());
}

/// Puts `docker-credential-NAME` into a folder of its own; it notes what it is
/// asked. Gives a PATH with that folder.
fn credential_helper(stack: &Stack, name: &str, notes: &Path, answer: &str) -> String {
    let folder = stack.root().join("helpers");
    stack.write(
        "helper",
        format!("#!/bin/sh\necho \"$1 $(cat)\" >> '{}'\necho '{answer}'\n", notes.display()),
    );
    std::fs::create_dir_all(&folder).unwrap();
    // Copied by another process: a file that this one writes could be held
    // open by a child of another test, and then cannot be run.
    let copy = Command::new("install")
        .args(["-m", "755"])
        .arg(stack.root().join("helper"))
        .arg(folder.join(format!("docker-credential-{name}")))
        .status();
    assert!(copy.unwrap().success());
    format!("{}:/usr/bin:/bin", folder.display())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_registry_is_asked_with_what_a_credential_helper_says() {
    let stack = one();
    let host = format!("127.0.0.1:{}", registry().await);
    let base = format!("busybox={host}/x:1");
    let notes = stack.root().join("notes");
    let answer = r#"{"ServerURL":"","Username":"ada","Secret":"pa:ss"}"#;
    let path = credential_helper(&stack, "testhelper", &notes, answer);
    let configure = |helper: &str| {
        stack.write("docker/config.json", format!(r#"{{"credHelpers":{{"{host}":"{helper}"}}}}"#));
    };

    configure("testhelper");
    run(command(&stack, &["plan", "--base", &base]).env("PATH", &path)).expect(0);
    assert!(std::fs::read_to_string(&notes).unwrap().starts_with(&format!("get {host}\n")));

    configure("absent");
    let said = run(command(&stack, &["plan", "--base", &base]).env("PATH", &path));
    assert_ne!(said.code(), 0);
    assert!(said.err().contains("docker-credential-absent"), "{}", said.err());

    // Others that have a login.
    let login = format!(r#"{{"auths":{{"https://{host}/v1/":{{"auth":"YWRhOnBhOnNz"}}}}}}"#);
    let plan = || command(&stack, &["plan", "--base", &base]);
    run(plan().env("DOCKER_AUTH_CONFIG", &login)).expect(0);
    stack.write("auth.json", &login);
    run(plan().env("REGISTRY_AUTH_FILE", stack.root().join("auth.json"))).expect(0);
    stack.write("runtime/containers/auth.json", &login);
    run(plan().env("XDG_RUNTIME_DIR", stack.root().join("runtime"))).expect(0);
}

#[test]
fn a_config_that_docker_cannot_read_is_a_warning_where_it_is_asked_for_the_context() {
    let stack = one();
    let plan = |config: &str| {
        stack.write("docker/config.json", config);
        run(&mut command(&stack, &["plan"])).expect(0).err()
    };
    let warned = plan("\u{feff}{\"currentContext\": \"none\"}");
    assert_eq!(warned.matches("config.json cannot be read").count(), 1, "{warned}");
    for config in ["", "{\"currentContext\": null, \"auths\": null}"] {
        assert!(!plan(config).contains("warning"), "{config}");
    }
    stack.write("docker/config.json", "no JSON");
    let flag = run(command(&stack, &["plan"]).env("DOCKER_HOST", "unix:///var/run/docker.sock"));
    assert!(!flag.expect(0).err().contains("config.json"), "the context is not asked for");
}
