//! The fake keeps the rules that the code above it relies on.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::unbounded_channel;
use tokio::time::Instant;

use super::*;
use crate::dockerfile::context::Context;
use crate::dockerfile::ignore::Ignore;
use crate::engine::Port;
use crate::image::secret::Secret;
use crate::image::solve::{ConfigChange, DockerfileBuild, ExecStep, Start};
use crate::model::event::{Event, Failure};
use crate::model::names::Login;

fn reference(text: &str) -> Reference {
    Reference::parse(text).unwrap()
}

fn on(node: &str, start: Start) -> Solve {
    Solve {
        node: NodeName::new(node),
        start,
        steps: Vec::new(),
        user: None,
        sudo: None,
        config: ConfigChange::default(),
        secrets: BTreeMap::new(),
        proxy: BTreeMap::new(),
        no_cache: false,
        cache_from: Vec::new(),
        inline_cache: false,
    }
}

fn image(node: &str, base: &str) -> Solve {
    on(node, Start::Image(reference(base)))
}

fn dockerfile(node: &str, text: &str) -> Solve {
    let context = Context {
        id: "c".into(),
        root: "/nowhere".into(),
        ignore: Ignore::default(),
        readable: Default::default(),
    };
    on(
        node,
        Start::Dockerfile(DockerfileBuild {
            dockerfile: text.into(),
            path: "images/x/Dockerfile".into(),
            context: Arc::new(context),
            files: Arc::default(),
            target: None,
            args: BTreeMap::from([("BASE_IMAGE".into(), "base:1".into())]),
        }),
    )
}

fn exec(words: &[&str]) -> ExecStep {
    ExecStep {
        title: words.join(" "),
        argv: words.iter().map(|word| (*word).to_owned()).collect(),
        env: BTreeMap::new(),
        caches: BTreeMap::new(),
        secrets: BTreeMap::new(),
        tmpfs: Default::default(),
        files: BTreeMap::new(),
        origins: Vec::new(),
    }
}

async fn solve(engine: &FakeEngine, solve: &Solve) -> (Result<ImageId, SolveError>, Vec<Event>) {
    let (send, mut receive) = unbounded_channel();
    let result = engine.solve(solve, &send, &CancellationToken::new()).await;
    let result = result.map(|solved| solved.id);
    drop(send);
    let mut events = Vec::new();
    while let Some(event) = receive.recv().await {
        events.push(event);
    }
    (result, events)
}

fn with_base() -> FakeEngine {
    let engine = FakeEngine::new();
    let labels = BTreeMap::from([("ds01.image".into(), "base".into()), ("vendor".into(), "v".into())]);
    engine.add_image(&reference("base:1"), &labels);
    engine
}

fn failure(result: Result<ImageId, SolveError>) -> Failure {
    match result {
        Err(SolveError::Failed(failure)) => *failure,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_base_that_is_nowhere_is_a_failure_that_names_it() {
    let engine = FakeEngine::new();
    let (result, _) = solve(&engine, &image("x", "reg.local:5000/y:2")).await;
    assert!(failure(result).message.contains("`reg.local:5000/y:2`"));
    engine.add_remote(&reference("reg.local:5000/y:2"), &format!("sha256:{}", "a".repeat(64)));
    assert!(solve(&engine, &image("x", "reg.local:5000/y:2")).await.0.is_ok());
}

#[tokio::test]
async fn a_child_finds_its_parent_by_tag_and_everybody_by_id() {
    let engine = with_base();
    let (parent, _) =
        solve(&engine, &dockerfile("p", "ARG BASE_IMAGE\nFROM ${BASE_IMAGE}\nCOPY . /x\n")).await;
    let parent = parent.unwrap();
    // BuildKit would look for it on Docker Hub, so it cannot be asked for.
    assert!(Reference::parse(parent.as_str()).is_err());
    assert_eq!(engine.image(parent.as_str()).await.unwrap().unwrap().id, parent);
    engine.tag(&parent, &reference("p:latest")).await.unwrap();
    let (child, _) = solve(&engine, &image("c", "p")).await;
    assert_eq!(engine.image(child.unwrap().as_str()).await.unwrap().unwrap().diff_ids.len(), 2);
}

#[tokio::test]
async fn labels_come_from_the_config_and_foreign_ones_from_the_base() {
    let engine = with_base();
    let mut request = image("x", "base:1");
    request.config.labels.insert("ds01.project".into(), "thesis".into());
    let (id, _) = solve(&engine, &request).await;
    let labels = engine.image(id.unwrap().as_str()).await.unwrap().unwrap().labels;
    let pairs: Vec<_> = labels.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
    assert_eq!(pairs, [("ds01.project", "thesis"), ("vendor", "v")]);
}

#[tokio::test]
async fn a_failing_step_tells_code_output_and_lines() {
    let engine = with_base();
    let text =
        "ARG BASE_IMAGE\nFROM $BASE_IMAGE\nCOPY a /a\nRUN echo hello && \\\n  exit 3\nRUN echo never\n";
    let (result, events) = solve(&engine, &dockerfile("x", text)).await;
    let failure = failure(result);
    assert_eq!((failure.exit_code, failure.output), (Some(3), vec!["hello".to_owned()]));
    assert_eq!(failure.step.as_deref(), Some("[3/4] RUN echo hello && exit 3"));
    assert_eq!(failure.excerpt.unwrap().lines, (4, 5));
    assert!(!events.iter().any(|e| matches!(e, Event::Log { text, .. } if text.contains("never"))));
    assert!(engine.images().await.unwrap().iter().all(|image| !image.tags.is_empty()), "nothing is left");
}

#[tokio::test]
async fn declared_steps_run_and_need_their_secrets() {
    let engine = with_base();
    let mut request = image("x", "base:1");
    request.steps = vec![exec(&["pip", "install", "timm"]), exec(&["sh", "-c", "exit 7"])];
    let failed = failure(solve(&engine, &request).await.0);
    assert_eq!((failed.exit_code, failed.step.as_deref()), (Some(7), Some("sh -c exit 7")));
    request.steps.truncate(1);
    request.steps[0].secrets.insert("/run/ca".into(), "ca".into());
    assert!(failure(solve(&engine, &request).await.0).message.contains("`ca`"));
    request.secrets.insert("ca".into(), Secret::new(Vec::new()));
    assert!(solve(&engine, &request).await.0.is_ok());
}

#[tokio::test]
async fn the_account_is_kept_with_the_image() {
    let engine = with_base();
    let account = Account {
        login: Login::new("h.baker@x"),
        name: "h-baker".into(),
        uid: 1001,
        gid: 1001,
        shell: "/bin/bash".into(),
        sudo: false,
        jupyter: None,
    };
    let mut request = image("x", "base:1");
    request.user = Some(account.clone());
    request.config.user = Some("1001:1001".into());
    request.config.path_first = vec!["/home/h-baker/.local/bin".into()];
    let id = solve(&engine, &request).await.0.unwrap();
    assert_eq!(engine.account_of(id.as_str()), Some(account.clone()));
    let (tag, wants) = (reference("h-baker/x:1"), crate::image::user_layer::verify_inputs(&account));
    engine.tag(&id, &tag).await.unwrap();
    let read = engine.read_files(&tag, &wants).await.unwrap();
    assert_eq!(crate::image::user_layer::verify(&read, &account), Ok(()));
    let base = engine.read_files(&reference("base:1"), &wants).await.unwrap();
    assert!(crate::image::user_layer::verify(&base, &account).is_err());
    assert!(engine.read_files(&reference("none:1"), &wants).await.is_err());
    let detail = engine.image(id.as_str()).await.unwrap().unwrap();
    assert_eq!(detail.user, "1001:1001");
    assert_eq!(detail.env, ["PATH=/home/h-baker/.local/bin:/usr/bin:/bin"]);
}

#[tokio::test]
async fn equal_solves_give_equal_ids_and_other_ones_do_not() {
    let engine = with_base();
    let request = dockerfile("x", "FROM base:1\nRUN make\n");
    let first = solve(&engine, &request).await.0.unwrap();
    assert_eq!(solve(&engine, &request).await.0.unwrap(), first);
    let other = dockerfile("x", "FROM base:1\nRUN make test\n");
    assert_ne!(solve(&engine, &other).await.0.unwrap(), first);
    assert_eq!(engine.solves_of("x"), 3);
}

#[tokio::test(start_paused = true)]
async fn solves_run_beside_each_other_and_are_counted() {
    let engine = with_base();
    let began = Instant::now();
    let (a, b) =
        (dockerfile("a", "FROM base:1\nRUN sleep 5\n"), dockerfile("b", "FROM base:1\nRUN sleep 5\n"));
    let (first, second) = tokio::join!(solve(&engine, &a), solve(&engine, &b));
    assert!(first.0.is_ok() && second.0.is_ok());
    assert_eq!(began.elapsed().as_secs(), 5);
    assert_eq!(engine.most_at_once(), 2);
    solve(&engine, &a).await.0.unwrap();
    assert_eq!(engine.most_at_once(), 2);
}

#[tokio::test(start_paused = true)]
async fn cancelling_stops_a_step_and_leaves_no_image() {
    let engine = with_base();
    let cancel = CancellationToken::new();
    let (send, _receive) = unbounded_channel();
    let request = dockerfile("a", "FROM base:1\nRUN sleep 3600\n");
    let stop = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        cancel.cancel();
    };
    let (result, ()) = tokio::join!(engine.solve(&request, &send, &cancel), stop);
    assert_eq!(result, Err(SolveError::Cancelled));
    assert_eq!(engine.images().await.unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_step_with_a_trap_goes_on_when_it_is_told_to_stop() {
    let engine = with_base();
    let cancel = CancellationToken::new();
    cancel.cancel();
    let (send, _receive) = unbounded_channel();
    let began = Instant::now();
    let request = dockerfile("a", "FROM base:1\nRUN trap '' TERM; sleep 60\n");
    assert_eq!(engine.solve(&request, &send, &cancel).await, Err(SolveError::Cancelled));
    assert_eq!(began.elapsed().as_secs(), 60);
}

#[tokio::test]
async fn a_network_that_comes_back_fails_the_first_solves_of_each_image() {
    let engine = with_base();
    let (a, b) = (
        dockerfile("a", "FROM base:1\nRUN fail-resolving 2\n"),
        dockerfile("b", "FROM base:1\nRUN fail-resolving 1\n"),
    );
    let failed = failure(solve(&engine, &a).await.0);
    assert_eq!(failed.output, ["Temporary failure in name resolution"]);
    failure(solve(&engine, &b).await.0);
    failure(solve(&engine, &a).await.0);
    assert!(solve(&engine, &a).await.0.is_ok() && solve(&engine, &b).await.0.is_ok());
}

#[tokio::test]
async fn an_engine_that_is_gone_fails_every_call() {
    let engine = FakeEngine::unreachable();
    assert!(matches!(engine.info().await, Err(Error::Unreachable { .. })));
    assert!(matches!(solve(&engine, &image("x", "y")).await.0, Err(SolveError::Engine(_))));
    assert!(engine.solves().is_empty());
}

#[tokio::test]
async fn the_last_tag_takes_the_image_with_it() {
    let engine = with_base();
    let id = engine.image("base:1").await.unwrap().unwrap().id;
    engine.tag(&id, &reference("other:2")).await.unwrap();
    assert!(engine.remove_image(id.as_str()).await.is_err());
    engine.remove_image("base:1").await.unwrap();
    assert!(engine.image("base:1").await.unwrap().is_none());
    engine.remove_image("other:2").await.unwrap();
    assert!(engine.images().await.unwrap().is_empty());
    assert!(engine.remove_image("other:2").await.is_err());
}

#[tokio::test]
async fn a_pinned_base_is_found_by_its_digest() {
    let engine = FakeEngine::new();
    let digest = format!("sha256:{}", "d".repeat(64));
    let id = engine.add_pulled(&reference("debian:12"), &digest);
    let pinned = format!("debian:12@{digest}");
    assert_eq!(engine.image(&pinned).await.unwrap().map(|image| image.id), Some(id));
    assert_eq!(engine.resolve(&reference(&pinned)).await, Ok(None));
    engine.add_remote(&reference("debian:12"), &digest);
    assert_eq!(engine.resolve(&reference(&pinned)).await, Ok(Some(digest)));
}

#[tokio::test]
async fn a_container_in_full_is_what_was_asked_for_and_what_became_of_it() {
    let engine = with_base();
    let port = Port { address: None, host: None, container: 8888 };
    let request = CreateContainer {
        name: "x".into(),
        image: "base:1".into(),
        user: "1001:1001".into(),
        env: vec!["A=1".into()],
        memory: Some(1 << 30),
        ports: vec![port.clone()],
        ..CreateContainer::default()
    };
    let id = engine.create(&request).await.unwrap();
    let detail = || async { engine.container("x").await.unwrap().unwrap() };
    let made = detail().await;
    assert_eq!(
        (made.id.as_str(), made.user.as_str(), made.memory),
        (id.as_str(), "1001:1001", Some(1 << 30))
    );
    assert_eq!(made.env, ["PATH=/usr/bin:/bin", "A=1"]);
    assert_eq!((made.command, made.ports, made.started), (vec!["/bin/sh".into()], vec![port], None));
    let taken = Usage { cpus: 1.5, memory: 7, pids: 2 };
    engine.set_usage(&id, taken);
    let names = [id.clone(), "x".into(), "nobody".into()];
    assert!(engine.usage(&names).await.unwrap().is_empty(), "it does not run");
    engine.start("x").await.unwrap();
    assert_eq!(engine.usage(&names).await.unwrap(), [(id, taken), ("x".into(), taken)].into());
    assert_eq!(detail().await.ports[0].host, Some(32768));
    engine.stop("x", 1).await.unwrap();
    let ended = detail().await;
    assert_eq!((ended.state.as_str(), ended.exit_code, ended.finished.is_some()), ("exited", Some(0), true));
    assert_eq!((engine.calls("container"), engine.calls("usage")), (3, 2));
}
