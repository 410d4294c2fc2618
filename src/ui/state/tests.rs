use super::*;
use crate::model::event::Failure;
use crate::model::names::ImageId;

fn name(text: &str) -> NodeName {
    NodeName::new(text)
}

fn run(events: impl IntoIterator<Item = Event>) -> RunState {
    let mut run = RunState::default();
    for (at, event) in events.into_iter().enumerate() {
        run.fold(Duration::from_secs(at as u64), &event);
    }
    run
}

fn started(build: &[&str], keep: &[&str]) -> Event {
    let names = |texts: &[&str]| texts.iter().map(|text| name(text)).collect();
    Event::RunStarted { build: names(build), fetch: vec![], push: vec![], keep: names(keep), jobs: 2 }
}

fn finished(image: &str, outcome: Outcome) -> Event {
    Event::ImageFinished { image: name(image), outcome, took: Duration::from_secs(1) }
}

fn over() -> Event {
    let took = Duration::from_secs(9);
    Event::RunFinished { built: 0, fetched: 0, kept: 0, failed: 0, blocked: 0, cancelled: 0, pushed: 0, took }
}

fn failed() -> Outcome {
    let failure = Failure {
        message: "x".to_owned(),
        step: None,
        exit_code: None,
        output: vec![],
        excerpt: None,
        help: None,
        engine: false,
        check: false,
    };
    Outcome::Failed { failure, log: None }
}

fn step(id: &str, state: StepState) -> Event {
    Event::Step { image: name("a"), id: id.to_owned(), name: format!("step {id}"), state }
}

fn log(id: &str, text: &str) -> Event {
    Event::Log { image: name("a"), step: id.to_owned(), text: text.to_owned() }
}

#[test]
fn every_image_is_counted_once() {
    let id = ImageId::new("sha256:0");
    let mut events = vec![
        started(&["a", "b", "c", "d", "e", "f", "g"], &["k"]),
        finished("a", Outcome::Built { id: id.clone() }),
        finished("b", Outcome::BuiltElsewhere { id }),
        finished("c", failed()),
        finished("d", Outcome::Blocked { by: name("c") }),
        finished("e", Outcome::Cancelled),
        Event::ImageStarted { image: name("f"), reasons: vec![], log: None },
    ];
    let counts = run(events.clone()).counts();
    let expected = Counts {
        built: 2,
        kept: 1,
        failed: 1,
        blocked: 1,
        cancelled: 1,
        running: 1,
        queued: 1,
        ..Counts::default()
    };
    assert_eq!(counts, expected);
    assert_eq!((counts.ended(), counts.wanted()), (5, 7));
    // Ctrl-C: what never ended was cancelled.
    events.push(over());
    assert_eq!(run(events).counts(), Counts { cancelled: 3, running: 0, queued: 0, ..expected });
}

#[test]
fn blocked_images_stand_under_the_one_that_failed() {
    let by = |text| Outcome::Blocked { by: name(text) };
    let run = run([
        started(&["a", "b", "c", "d"], &[]),
        finished("d", by("c")),
        finished("c", by("b")),
        finished("b", by("a")),
        finished("a", failed()),
    ]);
    let groups: Vec<_> = run.blocked().into_iter().map(|(by, images)| format!("{by}: {images:?}")).collect();
    assert_eq!(groups, [format!("a: {:?}", [name("b"), name("c"), name("d")])]);
}

#[test]
fn images_that_say_they_block_each_other_do_not_hang_the_summary() {
    let by = |text| Outcome::Blocked { by: name(text) };
    let run = run([finished("a", by("b")), finished("b", by("a"))]);
    assert_eq!(run.blocked().values().map(Vec::len).sum::<usize>(), 2);
}

#[test]
fn the_last_line_of_a_step_needs_no_line_end() {
    let mut run = run([step("s", StepState::Started), log("s", "one\ntw")]);
    let change = run.fold(Duration::ZERO, &log("s", "o"));
    assert_eq!(change.lines, []);
    let done = step("s", StepState::Done { cached: false, millis: 1 });
    let change = run.fold(Duration::ZERO, &done);
    assert_eq!(change, Change { lines: vec![OutputLine { step: 1, text: "two".into() }], repeated: false });
    assert!(run.fold(Duration::ZERO, &done).repeated);
}

#[test]
fn output_without_end_is_shown_when_its_image_ends() {
    let mut run = run([log("s", "a"), log("t", "b")]);
    let lines = run.fold(Duration::ZERO, &finished("a", Outcome::Cancelled)).lines;
    assert_eq!(
        lines.iter().map(|line| (line.step, line.text.as_str())).collect::<Vec<_>>(),
        [(1, "a"), (2, "b")]
    );
}

#[test]
fn a_step_that_begins_again_is_news() {
    let mut run = run([step("s", StepState::Started)]);
    assert!(run.fold(Duration::ZERO, &step("s", StepState::Started)).repeated);
    run.fold(Duration::ZERO, &step("s", StepState::Done { cached: false, millis: 1 }));
    assert!(!run.fold(Duration::ZERO, &step("s", StepState::Started)).repeated);
}

#[test]
fn a_step_known_by_its_output_alone_gets_its_name_later() {
    let mut run = run([log("s", "x\n")]);
    assert!(!run.fold(Duration::ZERO, &step("s", StepState::Started)).repeated);
    let image = run.image(&name("a")).unwrap();
    assert_eq!((image.steps.len(), image.steps[0].name.as_str()), (1, "step s"));
}

#[test]
fn the_current_step_is_the_one_begun_last() {
    let run = run([
        step("s", StepState::Started),
        step("t", StepState::Started),
        step("u", StepState::Started),
        step("u", StepState::Done { cached: true, millis: 0 }),
    ]);
    assert_eq!(run.image(&name("a")).unwrap().current_step().map(|step| step.number), Some(2));
}

#[test]
fn only_the_last_output_is_kept() {
    let run = run((0..100).map(|n| log("s", &format!("{n}\n"))));
    let tail = &run.image(&name("a")).unwrap().tail;
    assert_eq!((tail.len(), tail.front().unwrap().as_str()), (20, "80"));
}

#[test]
fn bytes_in_all_are_unknown_if_one_transfer_does_not_say() {
    let moves = |what: &str, total| Event::Transfer {
        image: name("a"),
        step: "s".to_owned(),
        what: what.to_owned(),
        current: 5,
        total,
    };
    let one = run([step("s", StepState::Started), moves("x", 10), moves("x", 10)]);
    assert_eq!(one.image(&name("a")).unwrap().steps[0].moved(), Some((5, 10)));
    let two = run([step("s", StepState::Started), moves("x", 10), moves("y", 0)]);
    assert_eq!(two.image(&name("a")).unwrap().steps[0].moved(), Some((10, 0)));
}
