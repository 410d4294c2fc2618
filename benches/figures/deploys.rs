//! Deploys at once: nothing is ever given twice, and how long it takes until
//! somebody has what they asked for.
//!
//! The rounds are on an engine that runs nothing, since containers would cost
//! a hundred times what is looked at; the times are on a real one.
//! `DS01_BENCH_ROUNDS` and `DS01_BENCH_PROCESSES` say how many.

use std::time::{Duration, Instant};

use crate::line;
use crate::measure::Measured;
use crate::race::engine::Seen;
use crate::race::tap::{Call, Tap};
use crate::race::{Dice, Ended, Race, Wants, available, check, check_killed, real, stand_in};
use crate::second_engine::Gpus;
use crate::stacks::PROGRAM;

const ROUNDS: u64 = 1000;
const PROCESSES: usize = 200;
/// One round in so many has killed deploys.
const KILLED: u64 = 5;
/// On the real engine.
const AT_ONCE: usize = 50;
const REAL_ROUNDS: usize = 4;

pub fn figures() {
    rounds(number("DS01_BENCH_ROUNDS", ROUNDS), number("DS01_BENCH_PROCESSES", PROCESSES as u64) as usize);
    times();
}

fn number(name: &str, usual: u64) -> u64 {
    std::env::var(name).ok().map_or(usual, |text| text.parse().expect(name))
}

fn rounds(rounds: u64, processes: usize) {
    let engine = stand_in();
    let race = Race::new(PROGRAM, &engine.url());
    let mut dice = Dice(0x5eed);
    let begin = Instant::now();
    // How long one takes, for moments at which to kill.
    let mut round = Duration::from_secs(1);
    let (mut killed, mut refused, mut given) = (0, 0, 0);
    let mut took = Vec::new();
    for at in 1..=rounds {
        let wants = dice.wants(processes);
        if at % KILLED == 0 {
            let ended = race.round(&wants, &dice.kills(processes, round));
            killed += ended.iter().filter(|one| one.code.is_none()).count();
            check_killed(&race, &engine, &ended);
        } else {
            let since = Instant::now();
            let ended = race.round(&wants, &[]);
            round = since.elapsed();
            check(&ended, &engine.containers());
            given += ended.iter().filter(|one| one.code == Some(0)).count();
            refused += ended.iter().filter(|one| one.code == Some(5)).count();
            took.extend(ended.iter().map(|one| one.took.as_secs_f64() * 1000.0));
        }
        assert_eq!(engine.twice(), [""; 0], "round {at}");
        engine.clear();
        if at % 50 == 0 {
            println!("    round {at}: {:.0} s", begin.elapsed().as_secs_f64());
        }
    }
    let (p50, p99) = (quantile(&mut took, 50), quantile(&mut took, 99));
    println!(
        "    {rounds} rounds of {processes} deploys at once on {} GPUs and {} slices: nothing given twice;",
        available(Wants::Whole),
        available(Wants::Slice)
    );
    println!(
        "    {given} given, {refused} refused, {killed} killed and all they held given again; a whole process p50 {p50:.0} ms, p99 {p99:.0} ms"
    );
}

fn times() {
    crate::base::base();
    let engine = real::engine("overlay2", Gpus::Driver, crate::base::BASE);
    let tap = Tap::new(&engine.url());
    let race = Race::new(PROGRAM, &tap.url());
    let mut alone = Vec::new();
    for run in 0..=super::RUNS {
        tap.take();
        let ended = race.round(&[Wants::Whole], &[]);
        assert_eq!(ended[0].code, Some(0), "{ended:?}");
        let engines_own: f64 = tap.take().iter().filter_map(create_or_start).sum();
        if run > 0 {
            alone.push(ended[0].took.as_secs_f64() * 1000.0 - engines_own);
        }
        real::clear(&engine);
    }
    line("deploy alone, without create and start", &Measured::of(alone, 0), "150 ms");

    let (mut assigned, mut all, mut calls) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..REAL_ROUNDS {
        tap.take();
        let ended = race.round(&Dice(3).wants(AT_ONCE), &[]);
        let containers: Vec<Seen> = real::containers(&engine);
        check(&ended, &containers);
        calls.extend(tap.take());
        assigned.extend(ended.iter().filter_map(|one| assigned_after(one, &calls)));
        all.extend(ended.iter().map(|one: &Ended| ms(one.took)));
        real::clear(&engine);
    }
    let told = |what: &str, all: &mut Vec<f64>, wanted: &str| {
        let (p50, p99) = (quantile(all, 50), quantile(all, 99));
        println!("    {what}, {AT_ONCE} at once: p50 {p50:.0} ms, p99 {p99:.0} ms{wanted}");
    };
    told("start to assigned", &mut assigned, "; wanted: p99 2000 ms");
    told("the whole of it, until it runs or is refused", &mut all, "");
    for (what, word) in [("list", "/containers/json"), ("create", "/containers/create"), ("start", "/start")]
    {
        let mut took: Vec<_> =
            calls.iter().filter(|call| call.line.contains(word)).map(|call| call.took() * 1000.0).collect();
        let (p50, p99) = (quantile(&mut took, 50), quantile(&mut took, 99));
        println!("    the engine's own {what}: p50 {p50:.0} ms, p99 {p99:.0} ms");
    }
}

/// Until the second look told that nobody else has what was chosen: the last
/// list that was asked for by whoever asked for the start. For a refused one
/// until it ended.
fn assigned_after(one: &Ended, calls: &[Call]) -> Option<f64> {
    if one.code != Some(0) {
        return Some(ms(one.took));
    }
    let id = serde_json::from_str::<serde_json::Value>(&one.out).ok()?["id"].as_str()?.to_owned();
    let start = calls.iter().rfind(|call| call.line.ends_with(&format!("/{id}/start")))?;
    let theirs = calls.iter().filter(|call| call.pid == start.pid && call.line.contains("/containers/json"));
    let last = theirs.filter_map(|call| call.answered).max()?;
    Some(ms(last.saturating_duration_since(one.since)))
}

/// What the engine took for the two calls that are its own.
fn create_or_start(call: &Call) -> Option<f64> {
    let own = call.line.contains("/containers/create") || call.line.ends_with("/start");
    own.then(|| call.took() * 1000.0)
}

fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

fn quantile(all: &mut [f64], percent: usize) -> f64 {
    all.sort_by(f64::total_cmp);
    all.get((all.len() * percent / 100).min(all.len().saturating_sub(1))).copied().unwrap_or(f64::NAN)
}
