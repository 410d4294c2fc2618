//! A run as it may have happened, for the tests of all that shows runs.

use std::path::PathBuf;
use std::time::Duration;

use super::state::RunState;
use super::{Reporter, Update};
use crate::model::event::{Event, Excerpt, Failure, Outcome, StepState};
use crate::model::names::{ImageId, NodeName};

/// Events with their moments in milliseconds: one image kept, one pulled, one
/// kept and pushed, one built whose
/// output comes in pieces, one that fails at a line of its Dockerfile, and one
/// that this blocks, directly and further down.
pub(crate) fn events() -> Vec<(u64, Event)> {
    let mut events = vec![(0, started())];
    events.extend(web());
    events.extend(registries());
    events.extend(vision());
    let blocked = |image: &str, by: &str| finished(image, Outcome::Blocked { by: NodeName::new(by) }, 0);
    events.push((3406, blocked("h-baker/thesis", "vision")));
    events.push((3406, blocked("h-baker/slides", "h-baker/thesis")));
    events.sort_by_key(|(at, _)| *at);
    let took = Duration::from_millis(3410);
    events.push((
        3410,
        Event::RunFinished {
            built: 1,
            fetched: 1,
            kept: 2,
            failed: 1,
            blocked: 2,
            cancelled: 0,
            pushed: 2,
            took,
        },
    ));
    events
}

fn started() -> Event {
    Event::RunStarted {
        build: ["web", "vision", "h-baker/thesis", "h-baker/slides"].map(NodeName::new).to_vec(),
        fetch: vec![NodeName::new("tools")],
        push: vec![NodeName::new("minimal")],
        keep: vec![NodeName::new("datascience")],
        jobs: 2,
    }
}

/// An image that is pulled, and one that is only pushed.
fn registries() -> Vec<(u64, Event)> {
    let id = |digits: &str| ImageId::new(format!("sha256:{}", digits.repeat(32)));
    let moving = |image: &str, step: &str, current| Event::Transfer {
        image: NodeName::new(image),
        step: step.to_owned(),
        what: "layer".to_owned(),
        current,
        total: 9_000_000,
    };
    let ended = |millis| StepState::Done { cached: false, millis };
    let (pull, push) = ("pull reg.local/tools@sha256:77…", "push reg.local/minimal:r-1");
    vec![
        (10, taken_up("tools", &["in the registry, and needed by web"])),
        (11, step("tools", pull, pull, StepState::Started)),
        (50, moving("tools", pull, 9_000_000)),
        (70, step("tools", pull, pull, ended(59))),
        (71, finished("tools", Outcome::Fetched { id: id("77") }, 61)),
        (12, taken_up("minimal", &["not in its registry yet"])),
        (13, step("minimal", push, push, StepState::Started)),
        (81, step("minimal", push, push, ended(68))),
        (82, finished("minimal", Outcome::Pushed { id: id("88") }, 69)),
        (83, pushed("minimal", 69)),
    ]
}

fn pushed(image: &str, millis: u64) -> Event {
    Event::Pushed {
        image: NodeName::new(image),
        reference: format!("reg.local/{image}:r-1"),
        digest: format!("sha256:{}", "99".repeat(32)),
        took: Duration::from_millis(millis),
    }
}

fn web() -> Vec<(u64, Event)> {
    let done = |cached, millis| StepState::Done { cached, millis };
    let id = ImageId::new(format!("sha256:{}", "9a".repeat(32)));
    vec![
        (1, taken_up("web", &["dockerfile changed: 1f… → 9a…", "base rebuilt"])),
        (4, step("web", "a", "[1/3] FROM debian:bookworm-slim", StepState::Started)),
        (5, step("web", "a", "[1/3] FROM debian:bookworm-slim", done(true, 0))),
        (6, step("web", "b", "[2/3] COPY . /src", done(true, 0))),
        (9, step("web", "c", "[3/3] RUN make", StepState::Started)),
        (9, step("web", "c", "[3/3] RUN make", StepState::Started)),
        (100, log("web", "c", "cc -o we")),
        (120, log("web", "c", "b web.c\n\u{1b}[33mweb.c:3: warning:\u{1b}[0m unused\npacking 10%\rpack")),
        (140, log("web", "c", "ing 100%\nno line end here")),
        (1500, step("web", "c", "[3/3] RUN make", done(false, 1491))),
        (1500, step("web", "c", "[3/3] RUN make", done(false, 1491))),
        (1600, warning("web", "the image has no HEALTHCHECK")),
        (1650, finished("web", Outcome::Built { id }, 1649)),
        (1650, pushed("web", 120)),
        (1651, Event::TagMoved { image: NodeName::new("web"), tag: "2026.4-main".to_owned() }),
        (
            1652,
            Event::RegistryTagMoved {
                image: NodeName::new("web"),
                tag: "reg.local/web:2026.4-main".to_owned(),
                digest: format!("sha256:{}", "99".repeat(32)),
            },
        ),
    ]
}

fn vision() -> Vec<(u64, Event)> {
    let name = "[2/2] RUN pip install timmm";
    let failure = Failure {
        message: "step failed with exit code 1".to_owned(),
        step: Some(name.to_owned()),
        exit_code: Some(1),
        output: vec![
            "Collecting timmm".to_owned(),
            "ERROR: No matching distribution found for timmm".to_owned(),
        ],
        excerpt: Some(Excerpt {
            path: PathBuf::from("images/vision/Dockerfile"),
            lines: (4, 5),
            text: "ARG BASE_IMAGE\nFROM ${BASE_IMAGE}\n\nRUN pip install \\\n\ttimmm\n\nUSER nobody\nCMD x\n"
                .to_owned(),
        }),
        help: Some("look the name up at the package index".to_owned()),
        engine: false,
        check: false,
    };
    let log_path = Some(PathBuf::from("logs/vision.log"));
    let transfer = |current| Event::Transfer {
        image: NodeName::new("vision"),
        step: "base".to_owned(),
        what: "sha256:11…".to_owned(),
        current,
        total: 4_000_000,
    };
    vec![
        (2, taken_up("vision", &["never built"])),
        (3, step("vision", "base", "[1/2] FROM datascience", StepState::Started)),
        (60, transfer(1_000_000)),
        (90, transfer(4_000_000)),
        (95, step("vision", "base", "[1/2] FROM datascience", StepState::Done { cached: false, millis: 92 })),
        (96, step("vision", "pip", name, StepState::Started)),
        (300, log("vision", "pip", "Collecting timmm\n")),
        (3300, log("vision", "pip", "ERROR: No matching distribution found for timmm\n")),
        (3400, step("vision", "pip", name, StepState::Failed { message: "exit code: 1".to_owned() })),
        (3405, finished("vision", Outcome::Failed { failure, log: log_path }, 3403)),
    ]
}

fn taken_up(image: &str, reasons: &[&str]) -> Event {
    let log = Some(PathBuf::from(format!("logs/{image}.log")));
    let reasons = reasons.iter().map(|&reason| reason.to_owned()).collect();
    Event::ImageStarted { image: NodeName::new(image), reasons, log }
}

fn step(image: &str, id: &str, name: &str, state: StepState) -> Event {
    Event::Step { image: NodeName::new(image), id: id.to_owned(), name: name.to_owned(), state }
}

fn log(image: &str, step: &str, text: &str) -> Event {
    Event::Log { image: NodeName::new(image), step: step.to_owned(), text: text.to_owned() }
}

fn warning(image: &str, text: &str) -> Event {
    Event::Warning { image: Some(NodeName::new(image)), text: text.to_owned() }
}

fn finished(image: &str, outcome: Outcome, millis: u64) -> Event {
    Event::ImageFinished { image: NodeName::new(image), outcome, took: Duration::from_millis(millis) }
}

/// Plays events to someone who watches; with `tick`, in between too, ten times
/// a second.
pub(crate) fn play(events: &[(u64, Event)], tick: bool, watcher: &mut dyn Reporter) -> RunState {
    let mut run = RunState::default();
    let mut next = 0;
    for (millis, event) in events {
        while tick && next < *millis {
            watcher.tick(Duration::from_millis(next), &run);
            next += 100;
        }
        let at = Duration::from_millis(*millis);
        let change = run.fold(at, event);
        watcher.event(&Update { at, event, lines: &change.lines, repeated: change.repeated, run: &run });
    }
    watcher.finish(&run);
    run
}
