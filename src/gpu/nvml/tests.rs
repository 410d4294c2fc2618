//! With a library that stands in for NVIDIA's: nvml-wrapper loads and calls it
//! as it does the real one.

#[path = "../../../tests/nvml/mod.rs"]
#[expect(unreachable_pub, reason = "of the integration tests too")]
mod standin;

use standin::{Nvml, divided, gpu, mig, whole};

use super::*;
use crate::gpu::{Card, Memory, Mig, ProcessKind, ProcessPlace};

fn look(nvml: &Nvml) -> Machine {
    machine(Some(&nvml.library()), Path::new("/proc"))
}

fn card(machine: &Machine, index: usize) -> &Card {
    machine.gpus[index].card.as_ref().unwrap()
}

#[test]
fn a_driver_that_is_there_tells_its_version_and_its_gpus() {
    let nvml = Nvml::new(&whole(3));
    let ready = DriverState::Ready { driver: "570.86.15".into(), gpus: 3 };
    assert_eq!(state(Some(&nvml.library())), ready);
    assert_eq!(look(&nvml).state, ready);
}

#[test]
fn what_is_wrong_with_a_driver_has_a_name() {
    let nvml = Nvml::new("");
    let state_of = |code: u32| {
        nvml.say(&format!("machine fails init {code}\n{}", whole(1)));
        let state = state(Some(&nvml.library()));
        assert_eq!(look(&nvml), Machine { state: state.clone(), gpus: Vec::new() });
        state
    };
    // nvmlReturn_t, as nvml.h has it.
    assert_eq!(state_of(9), DriverState::NoDriver);
    assert_eq!(state_of(4), DriverState::NoPermission);
    assert_eq!(state_of(18), DriverState::Mismatch);
    assert!(matches!(state_of(999), DriverState::Failed { .. }));
}

#[test]
fn a_library_that_is_not_there_or_another_one_is_told() {
    let missing = state(Some(Path::new("/nowhere/libnvml.so")));
    assert!(
        matches!(&missing, DriverState::NoLibrary { cause } if cause.contains("/nowhere/libnvml.so")),
        "{missing:?}"
    );
    let folder = tempfile::tempdir().unwrap();
    let text = folder.path().join("text.so");
    std::fs::write(&text, "no library").unwrap();
    assert!(matches!(state(Some(&text)), DriverState::NoLibrary { .. }));
}

#[test]
fn each_value_of_a_gpu_is_read() {
    let nvml = Nvml::new(&whole(8));
    let machine = look(&nvml);
    assert_eq!(machine.gpus.len(), 8);
    let last = card(&machine, 7);
    assert_eq!(last.uuid, gpu(7));
    assert_eq!(last.model, Ok("NVIDIA A100 80GB PCIe".into()));
    assert_eq!(last.memory, Ok(Memory { used: 456_000_000, total: 85_899_345_920 }));
    assert_eq!(last.utilization, Ok(0));
    assert_eq!(last.mig, Ok(Mig::Off));
    assert_eq!(last.processes, Ok(Vec::new()));
    assert_eq!(last.broken(), None);
}

#[test]
fn links_and_the_numbers_of_device_files_are_read() {
    let nvml = Nvml::new(&format!(
        "0 links 1\n1 links 0\n2 links 99\n2 minor 7\n3 minor 2\n4 fails minor 999\n{}",
        whole(5)
    ));
    let machine = look(&nvml);
    let links = |index: usize| card(&machine, index).links.clone();
    assert_eq!(links(0), Ok(vec![1]));
    assert_eq!(links(1), Ok(vec![0]));
    assert_eq!(links(2), Ok(Vec::new()), "asked and linked to none");
    assert_eq!(links(4), Ok(Vec::new()), "the others answered about it");
    let minors: Vec<_> = (0..5).map(|index| card(&machine, index).minor.clone()).collect();
    assert_eq!(minors, [Ok(0), Ok(1), Ok(7), Ok(2), Err(Fault::Unknown)]);
    // A driver that does not know the call; then a switch, and one GPU divided.
    let machine = look(&Nvml::new(&whole(2)));
    assert_eq!(card(&machine, 1).links, Err(Fault::NotSupported));
    let switched: String = (0..3).map(|one| format!("{one} links 0 1 2\n")).collect();
    let text = format!("{switched}{}", whole(3)).replace("1 mig 0", "1 mig 1");
    let machine = look(&Nvml::new(&text));
    let links: Vec<_> = (0..3).map(|index| card(&machine, index).links.clone()).collect();
    assert_eq!(links, [Ok(vec![2]), Ok(Vec::new()), Ok(vec![0])]);
    assert_eq!(card(&look(&Nvml::new(&whole(1))), 0).links, Ok(Vec::new()));
}

#[test]
fn instances_tell_their_profile_and_share() {
    let nvml = Nvml::new(&divided(2));
    let machine = look(&nvml);
    let Ok(Mig::On(instances)) = &card(&machine, 1).mig else { panic!("{machine:?}") };
    assert_eq!(instances.len(), 7);
    let slice = instances[6].slice.as_ref().unwrap();
    assert_eq!((slice.uuid.clone(), slice.slices.clone()), (mig(1, 6), Ok(1)));
    assert_eq!(slice.profile, Ok("1g.10gb".into()));
    assert_eq!(card(&machine, 1).utilization, Err(Fault::NotSupported), "with MIG there is none");
}

#[test]
fn a_call_that_fails_is_the_fault_of_its_value() {
    let nvml = Nvml::new(&format!(
        "0 fails handle 15\n1 fails memory 999\n1 fails process 4\n1 fails name 23\n2 fails uuid 15\n\
         3 fails mig 16\n3 fails utilization 3\n{}",
        whole(4)
    ));
    let machine = look(&nvml);
    assert_eq!(machine.gpus[0].card, Err(Fault::Lost));
    let odd = card(&machine, 1);
    assert_eq!(odd.memory, Err(Fault::Unknown));
    assert_eq!(odd.processes, Err(Fault::NoPermission));
    assert!(matches!(odd.model, Err(Fault::Other(_))), "{:?}", odd.model);
    assert_eq!((odd.utilization.clone(), odd.broken()), (Ok(0), None));
    assert_eq!(machine.gpus[2].card, Err(Fault::Lost));
    assert_eq!(card(&machine, 3).broken(), Some(&Fault::ResetRequired));
    assert_eq!(card(&machine, 3).utilization, Err(Fault::NotSupported));
    let nvml = Nvml::new(&format!("0.3 fails handle 999\n0.4 fails uuid 15\n{}", divided(1)));
    let machine = look(&nvml);
    let Ok(Mig::On(instances)) = &card(&machine, 0).mig else { panic!("{machine:?}") };
    assert_eq!(instances[3].slice, Err(Fault::Unknown));
    assert!(instances[5].slice.is_ok());
}

#[test]
fn processes_appear_between_two_looks_with_their_owners_where_readable() {
    let nvml = Nvml::new(&whole(1));
    assert_eq!(card(&look(&nvml), 0).processes, Ok(Vec::new()));
    let own = std::process::id();
    nvml.say(&format!("0 process {own} 1000\n0 graphics 77\n0 graphics {own} 5\n{}", whole(1)));
    // A /proc of our own: it says of one process whose it is, of the other nothing.
    let proc = nvml.library().with_file_name("proc");
    std::fs::create_dir_all(proc.join("self/ns")).unwrap();
    std::os::unix::fs::symlink("pid:[4026531836]", proc.join("self/ns/pid")).unwrap();
    std::fs::create_dir(proc.join(own.to_string())).unwrap();
    let id = "5f".repeat(32);
    let file = |name: &str| proc.join(own.to_string()).join(name);
    std::fs::write(file("cgroup"), format!("0::/system.slice/docker-{id}.scope\n")).unwrap();
    std::fs::write(file("comm"), "python\n").unwrap();
    let read = || {
        let machine = machine(Some(&nvml.library()), &proc);
        card(&machine, 0).processes.clone().unwrap()
    };
    let found = read();
    assert_eq!(found.len(), 2, "who computes and draws is one process: {found:?}");
    assert_eq!((found[0].kind, found[0].memory), (ProcessKind::Compute, Some(1000)));
    assert_eq!(found[0].uid, Some(rustix::process::getuid().as_raw()));
    assert_eq!(
        (found[0].name.as_deref(), found[0].place.clone()),
        (Some("python"), ProcessPlace::Container(id))
    );
    assert_eq!((found[1].kind, found[1].memory, found[1].uid), (ProcessKind::Graphics, None, None));
    assert_eq!(found[1].place, ProcessPlace::Unknown);

    // In a container the driver's numbers are other processes.
    std::fs::remove_file(proc.join("self/ns/pid")).unwrap();
    std::os::unix::fs::symlink("pid:[4026532000]", proc.join("self/ns/pid")).unwrap();
    let found = read();
    assert_eq!((found[0].uid, found[0].place.clone()), (None, ProcessPlace::Unknown));
}
