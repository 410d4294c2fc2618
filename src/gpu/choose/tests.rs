//! Who gets what, by tables and laws.

use proptest::prelude::*;

use super::*;
use crate::gpu::claims::GpuClaim;
use crate::gpu::tests::{claims, divided, join, machine, process, users, whole};
use crate::gpu::{
    Card, ComputeMode, DriverState, Fault, Instance, Machine, Memory, Mig, ProcessKind, ProcessPlace,
    Reading, Slice,
};
use crate::model::human::gib;

const GIB: u64 = 1 << 30;

fn memory(gibs: u64) -> Reading<Memory> {
    Ok(Memory { used: 0, total: gibs * GIB })
}

/// A GPU of so many GiB that reaches these by NVLink.
fn card(index: u32, gibs: u64, links: &[u32]) -> Card {
    Card { memory: memory(gibs), links: Ok(links.to_vec()), ..whole(index) }
}

/// A GPU divided into these, with `3g.40gb` as three of seven and 40 GiB.
fn parts(index: u32, profiles: &[&str]) -> Card {
    let part = |(at, profile): (usize, &&str)| {
        let numbers: Vec<u64> =
            profile.split(|c: char| !c.is_ascii_digit()).filter_map(|word| word.parse().ok()).collect();
        let slice = Slice {
            uuid: format!("MIG-{index}{at}bb"),
            profile: Ok((*profile).to_owned()),
            slices: Ok(numbers[0] as u32),
            memory: memory(numbers[1]),
            processes: Ok(Vec::new()),
        };
        Instance { index: at as u32, slice: Ok(slice) }
    };
    Card { mig: Ok(Mig::On(profiles.iter().enumerate().map(part).collect())), ..whole(index) }
}

fn cards(all: Vec<Card>) -> Vec<Reading<Card>> {
    all.into_iter().map(Ok).collect()
}

fn some(count: u32) -> GpuRequest {
    GpuRequest::Whole { count, memory: None }
}

fn mig(profile: &str, count: u32) -> GpuRequest {
    GpuRequest::Mig { profile: profile.into(), count }
}

fn named(names: &[&str]) -> GpuRequest {
    GpuRequest::Named(names.iter().map(|name| (*name).to_owned()).collect())
}

/// The slots of what is given, or why nothing is.
fn given(request: &GpuRequest, all: &[Card], taken: &[&str]) -> String {
    let seen = join(cards(all.to_vec()), &[claims("thesis._.1001", taken)]);
    choose(request, &seen).map_or_else(
        |unmet| unmet.message,
        |choice| choice.units.iter().map(|unit| unit.slot.clone()).collect::<Vec<_>>().join(" "),
    )
}

#[test]
fn one_gpu_breaks_up_no_linked_group_if_it_can() {
    let pair_and_single = [card(0, 80, &[1]), card(1, 80, &[0]), card(2, 80, &[])];
    assert_eq!(given(&some(1), &pair_and_single, &[]), "2");
    assert_eq!(given(&some(1), &pair_and_single, &["2"]), "0");
    assert_eq!(given(&some(1), &pair_and_single, &["0"]), "1", "its partner is gone already");
    let sizes = [card(0, 80, &[]), card(1, 40, &[]), card(2, 48, &[])];
    assert_eq!(given(&some(1), &sizes, &[]), "1", "the smallest");
    let least = GpuRequest::Whole { count: 1, memory: Some(41 * GIB) };
    assert_eq!(given(&least, &sizes, &[]), "2", "the smallest that fits");
    assert_eq!(given(&some(2), &sizes, &[]), "1 2");
    let silent = [Card { memory: Err(Fault::Unknown), ..whole(0) }, card(1, 80, &[])];
    assert_eq!(given(&some(1), &silent, &[]), "1", "one of unknown size comes last");
    assert_eq!(given(&some(2), &silent, &[]), "0 1");
}

#[test]
fn several_gpus_share_a_fast_link() {
    // Bridges: 0-3, 1-2, 4-5; 6 and 7 have none.
    let pairs = [(0, 3), (1, 2), (2, 1), (3, 0), (4, 5), (5, 4)];
    let mut bridged: Vec<_> = pairs.map(|(one, other)| card(one, 80, &[other])).into();
    bridged.extend([card(6, 80, &[]), card(7, 80, &[])]);
    assert_eq!(given(&some(2), &bridged, &[]), "0 3");
    assert_eq!(given(&some(2), &bridged, &["0", "1"]), "4 5");
    assert_eq!(
        given(&some(2), &bridged, &["0", "1", "4"]),
        "2 3",
        "no pair is left, and no group is broken up"
    );
    assert_eq!(given(&some(3), &bridged, &[]), "0 3 6");
    assert_eq!(given(&some(4), &bridged, &["6"]), "0 1 2 3");
    assert_eq!(given(&some(8), &bridged, &[]), "0 1 2 3 4 5 6 7");
    // A switch for 0..4, another for 4..6: the smallest group that fits.
    let switched: Vec<_> =
        (0..6).map(|index| card(index, 80, if index < 4 { &[0, 1, 2, 3] } else { &[4, 5] })).collect();
    assert_eq!(given(&some(2), &switched, &[]), "4 5");
    assert_eq!(given(&some(2), &switched, &["4"]), "0 1");
    assert_eq!(given(&some(1), &switched, &["4"]), "5");
    assert_eq!(given(&some(3), &switched, &[]), "0 1 2");
    // Only one side says that it is linked.
    let half = [card(0, 80, &[]), card(1, 80, &[]), card(2, 80, &[1])];
    assert_eq!(given(&some(2), &half, &[]), "1 2");
}

#[test]
fn a_machine_with_many_gpus_is_no_harder() {
    let many: Vec<_> = (0..32u32)
        .map(|index| {
            let links: Vec<_> = (0..32).filter(|other| other / 8 == index / 8).collect();
            card(index, 80, &links)
        })
        .collect();
    let taken: Vec<_> = (0..5).map(|index| index.to_string()).collect();
    let taken: Vec<_> = taken.iter().map(String::as_str).collect();
    assert_eq!(given(&some(8), &many, &taken), "8 9 10 11 12 13 14 15");
    assert_eq!(given(&some(3), &many, &taken), "5 6 7", "what is left of a group");
    assert_eq!(given(&some(27), &many, &taken).split(' ').count(), 27);
}

#[test]
fn instances_are_taken_where_most_is_taken_already() {
    let three = [
        parts(0, &["1g.10gb", "1g.10gb", "3g.40gb"]),
        parts(1, &["1g.10gb", "1g.10gb", "3g.40gb"]),
        parts(2, &["1g.10gb+me", "2g.20gb"]),
    ];
    assert_eq!(given(&mig("1g.10gb", 1), &three, &[]), "0.0");
    assert_eq!(given(&mig("1G.10GB", 1), &three, &["1.0"]), "1.1");
    assert_eq!(given(&mig("1g.10gb", 1), &three, &["0.1", "1.2"]), "1.0", "three slices are more than one");
    assert_eq!(given(&mig("1g.10gb", 3), &three, &["1.0"]), "1.1 0.0 0.1");
    assert_eq!(given(&mig("1g.10gb+me", 1), &three, &[]), "2.0", "a profile is itself and no other");
    let mut silent = divided(0, 2);
    let Ok(Mig::On(instances)) = &mut silent.mig else { panic!() };
    let first = instances[0].slice.as_mut().unwrap();
    first.slices = Err(Fault::Unknown);
    assert_eq!(given(&mig("1g.10gb", 2), &[silent.clone()], &[]), "0.0 0.1", "its profile says its share");
}

#[test]
fn the_smallest_that_fits_is_given_and_an_instance_before_a_gpu() {
    let mixed = [
        card(0, 80, &[1]),
        card(1, 80, &[0]),
        parts(2, &["1g.10gb", "2g.20gb", "3g.40gb"]),
        parts(3, &["1g.10gb", "2g.20gb"]),
        card(4, 40, &[]),
    ];
    let least = |gibs: u64, taken: &[&str]| given(&GpuRequest::Memory(gibs * GIB), &mixed, taken);
    assert_eq!(least(5, &[]), "2.0");
    assert_eq!(least(10, &["3.1"]), "3.0", "where most is taken");
    assert_eq!(least(11, &[]), "2.1");
    assert_eq!(least(21, &[]), "2.2", "of equal size the instance");
    assert_eq!(least(21, &["2.2"]), "4");
    assert_eq!(least(41, &[]), "0");
    assert_eq!(least(41, &["0"]), "1");
}

#[test]
fn what_is_named_is_given_and_nothing_else() {
    let all = [card(0, 80, &[]), parts(1, &["1g.10gb", "1g.10gb"]), card(2, 80, &[])];
    assert_eq!(given(&named(&["2", "0"]), &all, &[]), "2 0", "in the order in which they are named");
    assert_eq!(given(&named(&["GPU-2aaa", "1.1"]), &all, &[]), "2 1.1");
    assert_eq!(given(&named(&["gpu-2a", "MIG-10", "1:1"]), &all, &[]), "2 1.0 1.1");
    // A whole UUID is itself, also where another begins like it.
    let mut twins = all.clone();
    twins[2].uuid = "GPU-0aaab".into();
    assert_eq!(given(&named(&["GPU-0aaa"]), &twins, &[]), "0");
}

#[test]
fn nothing_is_given_where_nothing_is_asked_for() {
    let broken = Overview { driver: DriverState::NoDriver, ..join(Vec::new(), &[]) };
    for request in [GpuRequest::Nothing, some(0)] {
        assert_eq!(choose(&request, &broken), Ok(Choice::default()));
    }
}

/// A machine on which everything is in the way, and one word of each.
fn mess() -> Overview {
    let mut busy = card(2, 80, &[]);
    busy.processes = Ok(vec![process(7, ProcessPlace::Host)]);
    let mut silent = card(5, 80, &[]);
    silent.processes = Err(Fault::NoPermission);
    let prohibited = Card { compute_mode: Ok(ComputeMode::Prohibited), ..card(6, 80, &[]) };
    let mut exited = claims("nlp._.1002", &["1", "3.0"]);
    exited.container.state = "exited".into();
    exited.container.labels.insert("ds01.user".into(), "bob".into());
    let cards = vec![
        Ok(card(0, 40, &[])),
        Ok(card(1, 80, &[])),
        Ok(busy),
        Ok(parts(3, &["1g.10gb", "3g.40gb"])),
        Err(Fault::Lost),
        Ok(silent),
        Ok(prohibited),
        Ok(divided(7, 0)),
    ];
    join(cards, &[claims("thesis._.1001", &["3.1"]), exited])
}

#[test]
fn who_cannot_be_served_is_told_why_and_what_to_do() {
    let full = |count: u32| {
        let taken: Vec<_> = (0..count)
            .map(|index| claims(&format!("thesis._.{}", 1001 + index), &[&index.to_string()]))
            .collect();
        join(cards((0..count).map(|index| card(index, 80, &[])).collect()), &taken)
    };
    let unknown = Overview { holders_unknown: Some("no engine answers".into()), ..full(1) };
    let driver = |driver: DriverState| Overview { driver, ..full(0) };
    let least = |count, gibs: u64| GpuRequest::Whole { count, memory: Some(gibs * GIB) };
    let mut told = String::new();
    let mut tell = |request: &GpuRequest, seen: &Overview| {
        let unmet = choose(request, seen).expect_err("nothing fits");
        told += &format!("{unmet}\n  {}\n", unmet.help);
    };
    tell(&some(1), &full(1));
    tell(&some(1), &full(8));
    tell(&some(2), &full(12));
    tell(&some(9), &full(8));
    tell(&some(2), &mess());
    tell(&least(1, 80), &mess());
    tell(&least(1, 100), &mess());
    tell(&least(8, 41), &full(8));
    tell(&least(7, 41), &join(cards(vec![card(0, 80, &[]), card(1, 40, &[]), card(2, 80, &[])]), &[]));
    tell(&least(3, 41), &join(cards(vec![card(0, 80, &[]), card(1, 40, &[]), card(2, 80, &[])]), &[]));
    tell(&mig("1g.10gb", 1), &mess());
    tell(&mig("1g.10gb", 2), &mess());
    tell(&mig("7g.80gb", 1), &mess());
    tell(&mig("1g.10gb", 1), &full(1));
    tell(&mig("1g.10gb", 2), &join(cards(vec![divided(0, 3)]), &[claims("x", &["0.0", "0.1"])]));
    tell(&mig("1g.10gb", 2), &join(cards(vec![divided(0, 3)]), &[claims("x", &["0"])]));
    tell(&GpuRequest::Memory(41 * GIB), &mess());
    tell(&GpuRequest::Memory(141 * GIB), &mess());
    for names in [&["1"][..], &["2"], &["3"], &["3.1"], &["4"], &["7"], &["9"], &["GPU-"], &["0", "GPU-0aaa"]]
    {
        tell(&named(names), &mess());
    }
    tell(&named(&["MIG-0"]), &join(cards(vec![divided(0, 7)]), &[]));
    tell(&some(1), &unknown);
    tell(&some(1), &driver(DriverState::Ready { driver: "570.1".into(), gpus: 0 }));
    tell(&some(1), &driver(DriverState::NoLibrary { cause: "libnvidia-ml.so.1: no such file".into() }));
    tell(&some(1), &driver(DriverState::NoDriver));
    tell(&some(1), &driver(DriverState::NoPermission));
    tell(&some(1), &driver(DriverState::Mismatch));
    tell(&some(1), &driver(DriverState::Failed { cause: "unknown error".into() }));
    insta::assert_snapshot!(told);
}

/// What a GPU of a made-up machine is.
#[derive(Clone, Debug)]
enum Made {
    Free(u64),
    Held(u64),
    Busy,
    Lost,
    Prohibited,
    /// Which profile, and whether somebody holds it.
    Divided(Vec<(usize, bool)>),
}

const PROFILES: [&str; 3] = ["1g.10gb", "2g.20gb", "3g.40gb"];

fn made() -> impl Strategy<Value = Made> {
    let gibs = prop::sample::select(vec![10u64, 40, 80]);
    prop_oneof![
        4 => gibs.clone().prop_map(Made::Free),
        1 => gibs.prop_map(Made::Held),
        1 => Just(Made::Busy),
        1 => Just(Made::Lost),
        1 => Just(Made::Prohibited),
        2 => prop::collection::vec((0..PROFILES.len(), any::<bool>()), 0..4).prop_map(Made::Divided),
    ]
}

/// The machine, what is claimed of it, and which of a group a GPU is: those of
/// one group are linked, but not those of the first.
fn build(all: &[(Made, u8)]) -> (Machine, Vec<GpuClaim>) {
    let mut taken = Vec::new();
    let mut one = |(index, (made, group)): (u32, &(Made, u8))| {
        let mates = (0..).zip(all).filter(|(_, (_, other))| *group > 0 && other == group);
        let links: Vec<u32> = mates.map(|(mate, _)| mate).filter(|mate| *mate != index).collect();
        Ok(match made {
            Made::Free(gibs) => card(index, *gibs, &links),
            Made::Held(gibs) => {
                taken.push(claims(&format!("c{index}"), &[&index.to_string()]));
                card(index, *gibs, &links)
            }
            Made::Busy => {
                let mut busy = process(1, ProcessPlace::Unknown);
                busy.kind = ProcessKind::Compute;
                Card { processes: Ok(vec![busy]), ..card(index, 80, &links) }
            }
            Made::Lost => return Err(Fault::Lost),
            Made::Prohibited => Card { compute_mode: Ok(ComputeMode::Prohibited), ..card(index, 80, &links) },
            Made::Divided(made) => {
                let held = made.iter().enumerate().filter(|(_, (_, held))| *held);
                taken.extend(
                    held.map(|(at, _)| claims(&format!("c{index}{at}"), &[&format!("{index}.{at}")])),
                );
                parts(index, &made.iter().map(|(profile, _)| PROFILES[*profile]).collect::<Vec<_>>())
            }
        })
    };
    let cards = (0..).zip(all).map(&mut one).collect();
    (machine(cards), taken)
}

fn requests() -> impl Strategy<Value = GpuRequest> {
    let gibs = prop::sample::select(vec![5u64, 20, 40, 41, 80, 90]);
    prop_oneof![
        3 => (1u32..5, prop::option::of(gibs.clone()))
            .prop_map(|(count, gibs)| GpuRequest::Whole { count, memory: gibs.map(|gibs| gibs * GIB) }),
        2 => (0..PROFILES.len(), 1u32..4).prop_map(|(profile, count)| mig(PROFILES[profile], count)),
        2 => gibs.prop_map(|gibs| GpuRequest::Memory(gibs * GIB)),
        1 => prop::collection::vec(0u32..8, 1..3)
            .prop_map(|all| GpuRequest::Named(all.iter().map(ToString::to_string).collect())),
    ]
}

/// Slot, bytes and whether it is a part, of all that is free, by what was made.
fn free(all: &[(Made, u8)]) -> Vec<(String, u64, Option<&'static str>)> {
    let mut free = Vec::new();
    for (index, (made, _)) in all.iter().enumerate() {
        match made {
            Made::Free(gibs) => free.push((index.to_string(), gibs * GIB, None)),
            Made::Divided(parts) => {
                let parts = parts.iter().enumerate().filter(|(_, (_, held))| !held);
                free.extend(parts.map(|(at, (profile, _))| {
                    (format!("{index}.{at}"), [10, 20, 40][*profile] * GIB, Some(PROFILES[*profile]))
                }));
            }
            _ => {}
        }
    }
    free
}

/// Pairs of one group.
fn linked(all: &[(Made, u8)], slots: &[usize]) -> usize {
    let pairs =
        slots.iter().enumerate().flat_map(|(nth, one)| slots[..nth].iter().map(move |other| (one, other)));
    pairs.filter(|(one, other)| all[**one].1 > 0 && all[**one].1 == all[**other].1).count()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn enough_that_is_free_is_always_found_and_nothing_else_given(
        all in prop::collection::vec((made(), 0u8..4), 1..8),
        request in requests(),
    ) {
        let (machine, mut taken) = build(&all);
        let seen = crate::gpu::usage::overview(&machine, Ok(&taken), &users);
        let found = choose(&request, &seen);
        taken.reverse();
        let turned = crate::gpu::usage::overview(&machine, Ok(&taken), &users);
        prop_assert_eq!(&found, &choose(&request, &turned), "the order of containers decides nothing");

        let free = free(&all);
        let fits: Vec<_> = match &request {
            GpuRequest::Whole { memory, .. } => free.iter().filter(|(_, bytes, part)| part.is_none() && *bytes >= memory.unwrap_or(0)).collect(),
            GpuRequest::Mig { profile, .. } => free.iter().filter(|(.., part)| *part == Some(profile.as_str())).collect(),
            GpuRequest::Memory(least) => free.iter().filter(|(_, bytes, _)| bytes >= least).collect(),
            GpuRequest::Named(names) => free.iter().filter(|(slot, ..)| names.contains(slot)).collect(),
            GpuRequest::Nothing => Vec::new(),
        };
        let count = match &request {
            GpuRequest::Whole { count, .. } | GpuRequest::Mig { count, .. } => *count as usize,
            GpuRequest::Named(names) => names.len(),
            GpuRequest::Memory(_) | GpuRequest::Nothing => 1,
        };
        prop_assert_eq!(found.is_ok(), fits.len() >= count, "{:?} of {:?}: {:?}", request, fits, found);
        let Ok(choice) = found else {
            let Err(unmet) = found else { unreachable!() };
            prop_assert!(!unmet.message.is_empty() && !unmet.help.is_empty());
            return Ok(());
        };
        prop_assert_eq!(choice.units.len(), count);
        let mut slots: Vec<_> = choice.units.iter().map(|unit| unit.slot.as_str()).collect();
        for slot in &slots {
            prop_assert!(fits.iter().any(|(free, ..)| free == slot), "{} is not free or does not fit", slot);
        }
        let gpus: Vec<usize> = slots.iter().filter_map(|slot| slot.parse().ok()).collect();
        slots.sort_unstable();
        slots.dedup();
        prop_assert_eq!(slots.len(), count, "no unit twice");
        prop_assert!(choice.units.iter().all(|unit| unit.sevenths > 0 && unit.sevenths <= WHOLE));
        if let GpuRequest::Whole { count, .. } = request {
            let able: Vec<usize> = fits.iter().map(|(slot, ..)| slot.parse().unwrap()).collect();
            let sets = (0u32..1 << able.len()).filter(|set| set.count_ones() == count);
            let most = sets.map(|set| {
                let of: Vec<_> = (0..able.len()).filter(|bit| set & (1 << bit) != 0).map(|bit| able[bit]).collect();
                linked(&all, &of)
            });
            prop_assert_eq!(Some(linked(&all, &gpus)), most.max(), "as many links as there can be");
        }
        if let GpuRequest::Memory(_) = request {
            let smallest = fits.iter().map(|(_, bytes, _)| *bytes).min();
            let size = |slot: &str| fits.iter().find(|(free, ..)| free == slot).map(|(_, bytes, _)| *bytes);
            prop_assert_eq!(size(slots[0]), smallest, "{:?}", smallest.map(gib));
            let part = fits.iter().any(|(_, bytes, part)| Some(*bytes) == smallest && part.is_some());
            prop_assert_eq!(slots[0].contains('.'), part, "an instance before a GPU");
        }
    }
}
