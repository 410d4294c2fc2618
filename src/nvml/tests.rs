//! Libraries that stand in for NVIDIA's, compiled by the test: nvml-wrapper
//! loads and calls them as it does the real one.

use std::path::PathBuf;
use std::process::Command;

use super::*;

/// A library whose first call gives `code`, with a driver and three GPUs.
const SOURCE: &str = r#"
#![allow(non_snake_case)]
#[no_mangle]
pub extern "C" fn nvmlInit_v2() -> u32 { CODE }
#[no_mangle]
pub extern "C" fn nvmlShutdown() -> u32 { 0 }
#[no_mangle]
pub unsafe extern "C" fn nvmlSystemGetDriverVersion(text: *mut u8, length: u32) -> u32 {
    let version = b"570.86.15\0";
    if (length as usize) < version.len() { return 7; }
    std::ptr::copy_nonoverlapping(version.as_ptr(), text, version.len());
    0
}
#[no_mangle]
pub unsafe extern "C" fn nvmlDeviceGetCount_v2(count: *mut u32) -> u32 { *count = 3; 0 }
"#;

/// What the library says whose start gives this code.
fn state_of(code: u32) -> State {
    let folder = tempfile::tempdir().unwrap();
    let (source, library) = (folder.path().join("nvml.rs"), folder.path().join("libnvml.so"));
    std::fs::write(&source, SOURCE.replace("CODE", &code.to_string())).unwrap();
    let rustc = option_env!("RUSTC").map_or_else(|| PathBuf::from("rustc"), PathBuf::from);
    let output = Command::new(rustc)
        .args(["--edition=2021", "--crate-type=cdylib", "-o"])
        .args([&library, &source])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    state(Some(&library))
}

#[test]
fn a_driver_that_is_there_tells_its_version_and_its_gpus() {
    assert_eq!(state_of(0), State::Ready { driver: "570.86.15".into(), gpus: 3 });
}

#[test]
fn what_is_wrong_with_a_driver_has_a_name() {
    // nvmlReturn_t, as nvml.h has it.
    assert_eq!(state_of(9), State::NoDriver);
    assert_eq!(state_of(4), State::NoPermission);
    assert_eq!(state_of(18), State::Mismatch);
    assert!(matches!(state_of(999), State::Failed { .. }));
}

#[test]
fn a_library_that_is_not_there_or_another_one_is_told() {
    let missing = state(Some(Path::new("/nowhere/libnvml.so")));
    assert!(
        matches!(&missing, State::NoLibrary { cause } if cause.contains("/nowhere/libnvml.so")),
        "{missing:?}"
    );
    let folder = tempfile::tempdir().unwrap();
    let text = folder.path().join("text.so");
    std::fs::write(&text, "no library").unwrap();
    assert!(matches!(state(Some(&text)), State::NoLibrary { .. }));
}
