//! The BuildKit side against a real engine.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::dockerfile::context::{Context, HashCache, scan_with};
use crate::dockerfile::ignore::Ignore;
use crate::engine::address::Address;
use crate::engine::buildkit::Builder;
use crate::engine::{Error, SolveError};
use crate::image::secret::Secret;
use crate::image::solve::{ConfigChange, DockerfileBuild, ExecStep, Solve, Start};
use crate::model::account::Account;
use crate::model::event::{Event, Failure, StepState};
use crate::model::names::{ImageId, Login, NodeName};
use crate::model::reference::Reference;
use crate::registry::credentials::Credentials;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio_util::sync::CancellationToken;

use super::client::{docker, inspect};
use super::images::Images;
use super::password_registry::{manifest, registry, sha256};

fn builder() -> Builder {
    Builder::new(&super::images::address(), Credentials::default())
}

fn solve(start: Start) -> Solve {
    Solve {
        node: NodeName::new("test"),
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

fn account(name: &str, uid: u32) -> Account {
    Account {
        login: Login::new(format!("{name}@x")),
        name: name.into(),
        uid,
        gid: uid,
        shell: "/bin/sh".into(),
        sudo: false,
        jupyter: None,
    }
}

async fn run(builder: &Builder, solve: &Solve) -> (Result<ImageId, SolveError>, Vec<Event>) {
    let (events, received) = unbounded_channel();
    let result = builder.solve(solve, &events, &CancellationToken::new()).await;
    drop(events);
    (result.map(|solved| solved.id), drain(received))
}

fn drain(mut received: UnboundedReceiver<Event>) -> Vec<Event> {
    std::iter::from_fn(|| received.try_recv().ok()).collect()
}

fn failure(result: Result<ImageId, SolveError>) -> Failure {
    match result {
        Err(SolveError::Failed(failure)) => *failure,
        other => panic!("{other:?}"),
    }
}

/// A folder of a test's own, as a context.
struct Folder {
    dir: tempfile::TempDir,
    context: Arc<Context>,
}

impl Folder {
    fn new(name: &str) -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        // The folder's random name: no earlier run has left a copy under this id.
        let random = dir.path().file_name().expect("a name").to_string_lossy().into_owned();
        let context = Context {
            id: format!("bk-test-{name}-{random}"),
            root: dir.path().to_owned(),
            ignore: Ignore::default(),
            readable: [".".into()].into(),
        };
        Self { dir, context: Arc::new(context) }
    }

    fn write(&self, path: &str, content: &[u8]) {
        let path = self.dir.path().join(path);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        std::fs::write(path, content).expect("a file");
    }

    fn build(&self, dockerfile: &str, args: &[(&str, &str)]) -> Start {
        Start::Dockerfile(DockerfileBuild {
            dockerfile: dockerfile.into(),
            path: "images/test/Dockerfile".into(),
            context: self.context.clone(),
            files: Arc::new(scan_with(&self.context, &HashCache::default()).expect("a context")),
            target: None,
            args: args.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
        })
    }
}

fn ada() -> ConfigChange {
    ConfigChange {
        labels: [("ds01.project".to_owned(), "thesis".to_owned())].into(),
        env: [("HOME".to_owned(), "/home/ada".to_owned())].into(),
        path_first: vec!["/home/ada/.local/bin".into()],
        user: Some("1722830498:1722830498".into()),
        workdir: Some("/workspace".into()),
        ..ConfigChange::default()
    }
}

#[tokio::test]
async fn an_account_is_laid_on_an_image_and_the_same_input_gives_the_same_id() {
    let images = Images::new("account");
    let builder = builder();
    let mut solve = solve(Start::Image(images.base()));
    solve.user = Some(account("ada", 1_722_830_498));
    solve.config = ada();
    solve.no_cache = true;
    let one = images.keep(run(&builder, &solve).await.0.unwrap());
    // Times are whole seconds: what is stamped with the present differs now.
    tokio::time::sleep(Duration::from_millis(1100)).await;
    let two = images.keep(run(&builder, &solve).await.0.unwrap());
    assert_eq!(one, two);

    let image = one.as_str();
    let labels = inspect(image, "{{json .Config.Labels}}");
    assert_eq!(labels, r#"{"ds01.project":"thesis","kept":"yes"}"#);
    assert_eq!(inspect(image, "{{.Config.User}} {{.Config.WorkingDir}}"), "1722830498:1722830498 /workspace");
    assert_eq!(inspect(image, "{{.Config.Env}}"), "[PATH=/home/ada/.local/bin:/bin HOME=/home/ada]");
    assert_eq!(inspect(image, "{{len .RootFS.Layers}}"), "2");
    let homes = ["run", "--rm", "--network=none", "--user=0", image, "stat", "-c", "%u:%g %a", "/home/ada"];
    assert_eq!(docker(&homes), "1722830498:1722830498 755");
}

#[tokio::test]
async fn many_users_of_one_base_get_an_image_each() {
    let images = Images::new("users");
    let (builder, base) = (Arc::new(builder()), images.base());
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..20 {
        let user = Some(account(&format!("u{n}"), 5000 + n));
        let (builder, solve) = (builder.clone(), Solve { user, ..solve(Start::Image(base.clone())) });
        tasks.spawn(async move { run(&builder, &solve).await.0 });
    }
    let made = tasks.join_all().await;
    let ids: std::collections::BTreeSet<_> =
        made.into_iter().map(|result| images.keep(result.unwrap()).to_string()).collect();
    assert_eq!(ids.len(), 20);
}

#[tokio::test]
async fn a_dockerfile_gets_its_context_its_arguments_and_an_account_on_top() {
    let images = Images::new("dockerfile");
    let (builder, base, folder) = (builder(), images.base(), Folder::new("dockerfile"));
    folder.write("sub/hello", b"hello");
    std::os::unix::fs::symlink("sub/hello", folder.dir.path().join("link")).unwrap();
    let text = "ARG BASE_IMAGE\nFROM $BASE_IMAGE AS one\nARG WORD\nCOPY . /srv/\n\
                RUN echo $WORD > /srv/word\nLABEL ds01.fake=1 own=2\nFROM one\nRUN false\n";
    let mut solve = solve(folder.build(text, &[("BASE_IMAGE", &base.to_string()), ("WORD", "x y")]));
    if let Start::Dockerfile(build) = &mut solve.start {
        build.target = Some("one".into());
    }
    solve.user = Some(account("ada", 1_722_830_498));
    solve.config = ada();
    let (result, events) = run(&builder, &solve).await;
    let id = images.keep(result.unwrap());
    let script = "cat /srv/link /srv/word; ls -ld /home/ada; id -u";
    let output = docker(&["run", "--rm", "--network=none", "--workdir=/", id.as_str(), "sh", "-c", script]);
    assert!(output.starts_with("hellox y\ndrwxr-xr-x"), "{output}");
    assert!(output.contains("1722830498") && output.ends_with("1722830498"), "{output}");
    let labels = inspect(id.as_str(), "{{json .Config.Labels}}");
    assert_eq!(labels, r#"{"ds01.project":"thesis","kept":"yes","own":"2"}"#);

    let done = |name: &str| {
        events.iter().any(
            |e| matches!(e, Event::Step { name: n, state: StepState::Done { .. }, .. } if n.contains(name)),
        )
    };
    assert!(done("RUN echo") && done("load context") && done("user ada"), "{events:#?}");
}

#[tokio::test]
async fn a_context_is_sent_once_for_all_images_and_later_only_what_changed() {
    let images = Images::new("context");
    let (base, folder) = (images.base(), Folder::new("context"));
    let noise =
        |seed: usize, size: usize| -> Vec<u8> { (0..size).map(|i| (i * 7 + i / 251 + seed) as u8).collect() };
    for n in 0..8 {
        folder.write(&format!("data/{n}"), &noise(n, 512 * 1024));
    }
    folder.write("small", &noise(9, 1024));
    let total = 8 * 512 * 1024 + 1024;

    let solves: Vec<Solve> = (0..6)
        .map(|n| solve(folder.build(&format!("FROM {base}\nCOPY . /srv\nRUN echo {n} > /n\n"), &[])))
        .collect();
    let first = builder();
    for (result, _) in futures::future::join_all(solves.iter().map(|s| run(&first, s))).await {
        images.keep(result.unwrap());
    }
    images.keep(run(&first, &solves[0]).await.0.unwrap());
    assert_eq!(first.bytes_sent(), total);
    first.close().await;

    folder.write("small", &noise(10, 1024));
    // What is sent is what was hashed, so the changed folder is hashed anew.
    let changed = solve(folder.build(&format!("FROM {base}\nCOPY . /srv\nRUN echo 0 > /n\n"), &[]));
    let second = builder();
    images.keep(run(&second, &changed).await.0.unwrap());
    assert_eq!(second.bytes_sent(), 1024);
}

#[tokio::test]
async fn a_failed_step_is_shown_with_its_lines_output_and_exit_code() {
    let images = Images::new("failed");
    let (base, folder) = (images.base(), Folder::new("failed"));
    let text =
        format!("FROM {base}\nRUN true\nRUN echo first; \\\n    echo last; \\\n    exit 3\nRUN true\n");
    for user in [None, Some(account("ada", 5000))] {
        for no_cache in [false, true] {
            let solve = Solve { user: user.clone(), no_cache, ..solve(folder.build(&text, &[])) };
            let (result, events) = run(&builder(), &solve).await;
            let failure = failure(result);
            assert_eq!(
                (failure.message.as_str(), failure.exit_code),
                ("step failed with exit code 3", Some(3))
            );
            assert_eq!(failure.output, ["first", "last"]);
            assert!(failure.step.as_ref().unwrap().contains("RUN echo first"), "{failure:?}");
            let excerpt = failure.excerpt.expect("the lines are known");
            assert_eq!(excerpt.lines, (3, 5));
            assert_eq!(excerpt.path, PathBuf::from("images/test/Dockerfile"));
            assert!(!failure.engine);
            assert!(events.iter().any(|e| matches!(e, Event::Log { text, .. } if text.contains("last"))));
        }
    }
}

#[tokio::test]
async fn faults_of_a_dockerfile_say_what_to_mend() {
    let images = Images::new("faults");
    let (builder, base, folder) = (builder(), images.base(), Folder::new("faults"));
    let fail = async |text: String| failure(run(&builder, &solve(folder.build(&text, &[]))).await.0);

    let unknown = fail(format!("FROM {base}\nRUNN true\n")).await;
    assert!(unknown.message.contains("unknown instruction"), "{unknown:?}");
    assert_eq!(unknown.excerpt.unwrap().lines, (2, 2));

    let missing = fail(format!("FROM {base}\nCOPY nope /\n")).await;
    assert!(missing.help.as_ref().unwrap().contains("`nope` is not in the context"), "{missing:?}");
    assert_eq!((missing.excerpt.unwrap().lines, missing.engine), ((2, 2), false));

    let gone = fail("FROM 127.0.0.1:9/no/such:1\n".to_owned()).await;
    assert!(gone.engine && gone.help.is_some(), "{gone:?}");
}

#[tokio::test]
async fn a_step_sees_its_mounts_and_leaves_none_of_them_behind() {
    let images = Images::new("steps");
    let (builder, base) = (builder(), images.base());
    let random = tempfile::NamedTempFile::new().unwrap();
    let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
    let script = "set -e; cat /run/ca /run/list; echo $WORD $HTTPS_PROXY; touch /tmp/t /cache/c; \
                  test $(id -u) = 0; echo done > /done";
    let step = ExecStep {
        title: "install".into(),
        argv: ["sh", "-c", script].map(str::to_owned).into(),
        // The random path keeps results of earlier runs from standing in.
        env: [pair("WORD", "word"), pair("RANDOM", &random.path().to_string_lossy())].into(),
        caches: [pair("/cache", "bk-test-cache")].into(),
        secrets: [pair("/run/ca", "ca")].into(),
        tmpfs: ["/tmp".to_owned()].into(),
        files: [pair("/run/list", "timm")].into(),
        origins: Vec::new(),
    };
    let again = ExecStep { argv: ["test", "-f", "/cache/c"].map(str::to_owned).into(), ..step.clone() };
    let mut solve = solve(Start::Image(base));
    solve.steps = vec![step, again];
    solve.proxy = [pair("HTTPS_PROXY", "http://proxy")].into();

    let without = failure(run(&builder, &solve).await.0);
    assert!(without.message.contains("ca"), "{without:?}");
    assert!(without.help.unwrap().contains("--secret ID=FILE"));

    solve.secrets = [("ca".to_owned(), Secret::new(b"hush\nhunter2-a\n".to_vec()))].into();
    let (result, events) = run(&builder, &solve).await;
    let id = images.keep(result.unwrap());
    let output: String = events
        .iter()
        .filter_map(|e| if let Event::Log { text, .. } = e { Some(text.as_str()) } else { None })
        .collect();
    assert_eq!(output, "hush\n****\ntimmword http://proxy\n");
    let left =
        docker(&["run", "--rm", "--network=none", id.as_str(), "sh", "-c", "cat /done; ls -A /tmp /run"]);
    assert_eq!(left, "done\n/run:\n\n/tmp:");
    assert_eq!(inspect(id.as_str(), "{{.Config.Env}}"), "[PATH=/bin]");
    // Two steps are two layers, each with its history entry.
    assert_eq!(inspect(id.as_str(), "{{len .RootFS.Layers}}"), "3");
    let history = docker(&["history", "--no-trunc", "--format", "{{.CreatedBy}}", id.as_str()]);
    assert!(history.starts_with("install\ninstall"), "{history}");
}

#[tokio::test]
async fn a_step_that_fails_for_want_of_a_file_is_not_taken_for_a_base_without_accounts() {
    let images = Images::new("wanting");
    let step = ExecStep {
        title: "install".into(),
        argv: vec!["/no/such/program".into()],
        env: BTreeMap::new(),
        caches: BTreeMap::new(),
        secrets: BTreeMap::new(),
        tmpfs: std::collections::BTreeSet::new(),
        files: BTreeMap::new(),
        origins: Vec::new(),
    };
    let user = Some(account("ada", 5000));
    let solve = Solve { steps: vec![step], user, ..solve(Start::Image(images.base())) };
    let failure = failure(run(&builder(), &solve).await.0);
    assert_eq!(failure.step.as_deref(), Some("install"));
    let said = format!("{} {:?}", failure.message, failure.output);
    assert!(said.contains("/no/such/program") || failure.exit_code.is_some(), "{failure:?}");
}

#[tokio::test]
async fn cancelling_ends_the_running_step_within_two_seconds() {
    let images = Images::new("cancel");
    let base = images.base();
    let mark = format!("4711.{}", std::process::id());
    let step = ExecStep {
        title: "sleep".into(),
        argv: vec!["sleep".into(), mark.clone()],
        env: BTreeMap::new(),
        caches: BTreeMap::new(),
        secrets: BTreeMap::new(),
        tmpfs: std::collections::BTreeSet::new(),
        files: BTreeMap::new(),
        origins: Vec::new(),
    };
    let solve = Solve { steps: vec![step], ..solve(Start::Image(base)) };
    let (cancel, builder) = (CancellationToken::new(), builder());
    let (events, _received) = unbounded_channel();
    let stop = async {
        wait_until(Duration::from_secs(20), || runs(&mark)).await;
        cancel.cancel();
    };
    let (result, ()) = tokio::join!(builder.solve(&solve, &events, &cancel), stop);
    assert_eq!(result, Err(SolveError::Cancelled));
    wait_until(Duration::from_secs(2), || !runs(&mark)).await;
}

async fn wait_until(limit: Duration, is: impl Fn() -> bool) {
    let start = Instant::now();
    while !is() {
        assert!(start.elapsed() < limit, "not within {limit:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Whether `sleep <mark>` runs on this machine.
fn runs(mark: &str) -> bool {
    let line = format!("sleep\0{mark}\0");
    let processes = std::fs::read_dir("/proc").expect("/proc").flatten();
    processes.filter_map(|p| std::fs::read(p.path().join("cmdline")).ok()).any(|c| c == line.as_bytes())
}

#[tokio::test]
async fn an_address_without_an_engine_is_said_to_be_one() {
    let dir = tempfile::tempdir().unwrap();
    let nobody = Address::Unix(dir.path().join("engine.sock"));
    let builder = Builder::new(&nobody, Credentials::default());
    let error = builder.resolve(&Reference::parse("debian:12").unwrap()).await.unwrap_err();
    assert!(matches!(&error, Error::Unreachable { cause, .. } if cause.contains("running?")), "{error:?}");

    // Something that speaks HTTP, but is no engine.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = [0; 4096];
            let _ = stream.read(&mut request).await;
            let _ = stream.write_all(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n").await;
        }
    });
    let other = Address::Tcp { host: "127.0.0.1".into(), port };
    let builder = Builder::new(&other, Credentials::default());
    let error = builder.resolve(&Reference::parse("debian:12").unwrap()).await.unwrap_err();
    assert!(matches!(&error, Error::NoBuildKit { cause, .. } if cause.contains("404")), "{error:?}");
}

#[tokio::test]
async fn a_registry_is_asked_with_our_credentials_for_a_digest() {
    let port = registry().await;
    let folder = tempfile::tempdir().unwrap();
    let text = format!(r#"{{"auths":{{"127.0.0.1:{port}":{{"auth":"YWRhOnBhOnNz"}}}}}}"#);
    std::fs::write(folder.path().join("config.json"), text).unwrap();
    let credentials = Credentials::new(None, [folder.path().join("config.json")]);
    let known = Builder::new(&super::images::address(), credentials);
    let reference = |name: &str| Reference::parse(&format!("127.0.0.1:{port}/{name}")).unwrap();
    assert_eq!(known.resolve(&reference("x:1")).await, Ok(Some(sha256(&manifest()))));
    assert_eq!(known.resolve(&reference("x:2")).await, Ok(None));

    let stranger = builder().resolve(&reference("x:1")).await.unwrap_err();
    assert!(matches!(&stranger, Error::Refused { action, .. } if action.contains("x:1")), "{stranger:?}");
}
