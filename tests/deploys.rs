//! Deploys at once, each a process of its own, on an engine that runs nothing:
//! what one has nobody else gets, and killed ones leave nothing held. The long
//! form is `scripts/bench deploys`.

mod nvml;
#[expect(dead_code, reason = "tests on a real engine use more of it")]
mod race;
#[path = "daemon/second_engine.rs"]
#[expect(dead_code, reason = "tests on a real engine use more of it")]
mod second_engine;

use std::time::{Duration, Instant};

use race::{Dice, Race, UID, Wants, check, check_killed, stand_in};

const PROGRAM: &str = env!("CARGO_BIN_EXE_ds01-build");
const PROCESSES: usize = 40;

#[test]
fn nothing_is_given_twice_and_what_killed_ones_had_is_given_again() {
    let engine = stand_in();
    let race = Race::new(PROGRAM, &engine.url());
    let mut dice = Dice(1);
    let begin = Instant::now();
    for _ in 0..2 {
        check(&race.round(&dice.wants(PROCESSES), &[]), &engine.containers());
        engine.clear();
    }
    let round = begin.elapsed() / 2;
    let wants = dice.wants(PROCESSES);
    let mut kills = dice.kills(PROCESSES, round / 2);
    // Whatever the dice say.
    kills[PROCESSES - 1] = Some(Duration::ZERO);
    let ended = race.round(&wants, &kills);
    check_killed(&race, &engine, &ended);
    assert_eq!(engine.twice(), [""; 0]);
    assert!(ended.iter().any(|one| one.code.is_none()), "nobody was killed");
}

#[test]
fn who_gets_none_learns_who_has_them() {
    let engine = stand_in();
    let race = Race::new(PROGRAM, &engine.url());
    let all = [Wants::Whole; 9];
    let ended = race.round(&all, &[]);
    check(&ended, &engine.containers());
    let refused = ended.iter().find(|one| one.code == Some(5)).unwrap();
    let holders = ended
        .iter()
        .filter(|one| one.code == Some(0))
        .map(|one| format!("{}._.{UID} (ann@example.org", one.name));
    assert!(holders.filter(|holder| refused.out.contains(holder)).count() > 3, "{refused:#?}");
}
