//! Steps imported from images in a registry, by an engine that has none.

use std::collections::BTreeMap;
use std::process::Command;

use crate::engine::address::Address;
use crate::engine::buildkit::Builder;
use crate::engine::{SolveError, Solved};
use crate::image::solve::{ConfigChange, ExecStep, Solve, Start};
use crate::model::event::{Event, StepState};
use crate::model::names::NodeName;
use crate::model::reference::Reference;
use crate::registry::credentials::Credentials;
use tokio::sync::mpsc::unbounded_channel;
use tokio_util::sync::CancellationToken;

use super::client::docker;
use super::images::Images;
use super::registries::Registry;
use super::second_engine::SecondEngine;

fn solve(base: &Reference, script: &str) -> Solve {
    let step = ExecStep {
        title: "install".into(),
        argv: ["sh", "-c", script].map(str::to_owned).to_vec(),
        env: BTreeMap::new(),
        caches: BTreeMap::new(),
        secrets: BTreeMap::new(),
        tmpfs: std::collections::BTreeSet::new(),
        files: BTreeMap::new(),
        origins: Vec::new(),
    };
    Solve {
        node: NodeName::new("test"),
        start: Start::Image(base.clone()),
        steps: vec![step],
        user: None,
        sudo: None,
        config: ConfigChange::default(),
        secrets: BTreeMap::new(),
        proxy: BTreeMap::new(),
        no_cache: false,
        cache_from: Vec::new(),
        inline_cache: true,
    }
}

async fn run(address: &Address, solve: &Solve) -> (Result<Solved, SolveError>, Vec<Event>) {
    let (events, mut received) = unbounded_channel();
    let builder = Builder::new(address, Credentials::default());
    let result = builder.solve(solve, &events, &CancellationToken::new()).await;
    drop(events);
    (result, std::iter::from_fn(|| received.try_recv().ok()).collect())
}

/// Whether the step ran, or came from a cache.
fn is_cached(events: &[Event]) -> bool {
    let done = |event: &Event| match event {
        Event::Step { name, state: StepState::Done { cached, .. }, .. } if name == "install" => Some(*cached),
        _ => None,
    };
    events.iter().find_map(done).unwrap_or_else(|| panic!("{events:#?}"))
}

fn layers(engine: &SecondEngine, solved: &Solved) -> String {
    engine.docker(&["image", "inspect", "-f", "{{len .RootFS.Layers}}", solved.id.as_str()])
}

#[tokio::test(flavor = "multi_thread")]
async fn package_steps_are_imported_and_a_cache_that_is_not_there_is_passed_over() {
    let (images, registry) = (Images::new("import"), Registry::start());
    let base = images.base();
    let script = format!("echo {} > /installed", registry.host);
    let (made, _) = run(&super::images::address(), &solve(&base, &script)).await;
    let made = made.unwrap();
    let cached = registry.repository("steps:1");
    docker(&["tag", made.id.as_str(), &cached]);
    let pushed = Command::new("docker").args(["push", &cached]).output().unwrap();
    docker(&["rmi", &cached]);
    images.keep(made.id.clone());
    assert!(pushed.status.success(), "{}", String::from_utf8_lossy(&pushed.stderr));

    let engine = SecondEngine::start();
    engine.copy(&base.to_string());
    let address = Address::parse(&engine.url(), None).unwrap();
    let reference = |text: &str| Reference::parse(text).unwrap();
    let missing = reference(&registry.repository("steps:none"));

    // Nothing is there to be imported: the step runs, and nothing fails.
    let alone = Solve { cache_from: vec![missing.clone()], ..solve(&base, "echo alone > /installed") };
    let (solved, events) = run(&address, &alone).await;
    assert_eq!(solved.unwrap().layers, Some(2));
    assert!(!is_cached(&events));
    let failed = |event: &&Event| matches!(event, Event::Step { state: StepState::Failed { .. }, .. });
    assert_eq!(events.iter().filter(failed).count(), 0, "{events:#?}");
    let told = |event: &&Event| matches!(event, Event::Warning { text, .. } if text.contains("steps:none"));
    assert_eq!(events.iter().filter(told).count(), 1, "{events:#?}");

    let importing = Solve { cache_from: vec![missing, reference(&cached)], ..solve(&base, &script) };
    let (solved, events) = run(&address, &importing).await;
    let solved = solved.unwrap();
    assert!(is_cached(&events), "{events:#?}");
    assert_eq!((solved.layers, layers(&engine, &solved).as_str()), (Some(2), "2"));
    let read = engine.docker(&["run", "--rm", "--network", "none", solved.id.as_str(), "cat", "/installed"]);
    assert_eq!(read, registry.host);
}
