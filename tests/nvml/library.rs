//! Stands in for NVIDIA's management library: answers each call from the file
//! beside it, `<library>.txt`, read anew each time. Compiled alone.
//!
//! A line is `WHAT KEY VALUES…`: `machine` for the machine, `0` for a GPU,
//! `0.1` for a MIG instance. `0 fails memory 999` lets a call fail.
#![expect(non_snake_case, reason = "the names are those of NVIDIA's library")]

use std::ffi::{c_char, c_void, CStr};

#[repr(C)]
struct DlInfo {
    file: *const c_char,
    base: *mut c_void,
    symbol: *const c_char,
    address: *mut c_void,
}

extern "C" {
    fn dladdr(address: *const c_void, info: *mut DlInfo) -> i32;
}

const INVALID: u32 = 2;
const NOT_SUPPORTED: u32 = 3;
const NOT_FOUND: u32 = 6;
const TOO_SMALL: u32 = 7;

fn description() -> String {
    unsafe {
        let mut info: DlInfo = std::mem::zeroed();
        dladdr(nvmlShutdown as *const c_void, &mut info);
        let file = CStr::from_ptr(info.file).to_str().unwrap();
        std::fs::read_to_string(format!("{file}.txt")).unwrap()
    }
}

/// The values of every line about this, or the code that the call is to give.
fn lines(what: &str, key: &str) -> Result<Vec<Vec<String>>, u32> {
    let text = description();
    let words = |line: &str| line.split(' ').map(str::to_owned).collect::<Vec<_>>();
    let all: Vec<_> = text.lines().map(words).filter(|line| line[0] == what).collect();
    if let Some(line) = all.iter().find(|line| line[1] == "fails" && line[2] == key) {
        return Err(line[3].parse().unwrap());
    }
    Ok(all.into_iter().filter(|line| line[1] == key).map(|line| line[2..].to_vec()).collect())
}

fn line(what: &str, key: &str) -> Result<Vec<String>, u32> {
    lines(what, key)?.into_iter().next().ok_or(NOT_SUPPORTED)
}

fn numbers(what: &str, key: &str) -> Result<Vec<u64>, u32> {
    Ok(line(what, key)?.iter().map(|word| word.parse().unwrap()).collect())
}

/// A handle is a number: the GPU's in the upper half, the instance's below.
fn name(handle: usize) -> String {
    let (gpu, instance) = (handle / 1000 - 1, handle % 1000);
    if instance == 0 { gpu.to_string() } else { format!("{gpu}.{}", instance - 1) }
}

fn code(done: Result<(), u32>) -> u32 {
    done.err().unwrap_or(0)
}

fn write(text: &str, to: *mut u8, length: u32) -> Result<(), u32> {
    if text.len() >= length as usize {
        return Err(TOO_SMALL);
    }
    unsafe {
        std::ptr::copy_nonoverlapping(text.as_ptr(), to, text.len());
        *to.add(text.len()) = 0;
    }
    Ok(())
}

fn put<T>(value: Result<T, u32>, to: *mut T) -> u32 {
    code(value.map(|value| unsafe { to.write(value) }))
}

#[no_mangle]
pub extern "C" fn nvmlInit_v2() -> u32 {
    code(lines("machine", "init").map(drop))
}

#[no_mangle]
pub extern "C" fn nvmlShutdown() -> u32 {
    0
}

#[no_mangle]
pub extern "C" fn nvmlSystemGetDriverVersion(text: *mut u8, length: u32) -> u32 {
    code(line("machine", "driver").and_then(|words| write(&words.join(" "), text, length)))
}

#[no_mangle]
pub extern "C" fn nvmlDeviceGetCount_v2(count: *mut u32) -> u32 {
    put(numbers("machine", "gpus").map(|found| found[0] as u32), count)
}

#[no_mangle]
pub extern "C" fn nvmlDeviceGetHandleByIndex_v2(index: u32, handle: *mut usize) -> u32 {
    let there = lines(&index.to_string(), "handle");
    put(there.map(|_| (index as usize + 1) * 1000), handle)
}

#[no_mangle]
pub extern "C" fn nvmlDeviceGetUUID(handle: usize, text: *mut u8, length: u32) -> u32 {
    code(line(&name(handle), "uuid").and_then(|words| write(&words.join(" "), text, length)))
}

#[no_mangle]
pub extern "C" fn nvmlDeviceGetName(handle: usize, text: *mut u8, length: u32) -> u32 {
    code(line(&name(handle), "name").and_then(|words| write(&words.join(" "), text, length)))
}

#[repr(C)]
pub struct Memory {
    version: u32,
    total: u64,
    reserved: u64,
    free: u64,
    used: u64,
}

#[no_mangle]
pub extern "C" fn nvmlDeviceGetMemoryInfo_v2(handle: usize, memory: *mut Memory) -> u32 {
    code(numbers(&name(handle), "memory").map(|found| unsafe {
        assert_eq!((*memory).version as usize, std::mem::size_of::<Memory>() | 2 << 24);
        (*memory).used = found[0];
        (*memory).total = found[1];
        (*memory).free = found[1] - found[0];
    }))
}

#[no_mangle]
pub extern "C" fn nvmlDeviceGetUtilizationRates(handle: usize, rates: *mut [u32; 2]) -> u32 {
    put(numbers(&name(handle), "utilization").map(|found| [found[0] as u32, 0]), rates)
}

#[no_mangle]
pub extern "C" fn nvmlDeviceGetComputeMode(handle: usize, mode: *mut u32) -> u32 {
    put(numbers(&name(handle), "compute").map(|found| found[0] as u32), mode)
}

#[no_mangle]
pub extern "C" fn nvmlDeviceGetMigMode(handle: usize, current: *mut u32, pending: *mut u32) -> u32 {
    let mode = numbers(&name(handle), "mig").map(|found| found[0] as u32);
    put(mode, current).max(put(mode, pending))
}

#[no_mangle]
pub extern "C" fn nvmlDeviceGetMaxMigDeviceCount(_: usize, count: *mut u32) -> u32 {
    put(Ok(7), count)
}

#[no_mangle]
pub extern "C" fn nvmlDeviceGetMigDeviceHandleByIndex(gpu: usize, index: u32, handle: *mut usize) -> u32 {
    if index >= 7 {
        return INVALID;
    }
    let found = gpu + index as usize + 1;
    let there = lines(&name(found), "handle").and_then(|_| lines(&name(found), "uuid"));
    let there = there.and_then(|lines| if lines.is_empty() { Err(NOT_FOUND) } else { Ok(found) });
    put(there, handle)
}

/// Without a line it is the index.
#[no_mangle]
pub extern "C" fn nvmlDeviceGetMinorNumber(handle: usize, minor: *mut u32) -> u32 {
    let name = name(handle);
    let found = numbers(&name, "minor").or_else(|code| match code {
        NOT_SUPPORTED => Ok(vec![name.parse().unwrap()]),
        code => Err(code),
    });
    put(found.map(|found| found[0] as u32), minor)
}

/// `0 links 1 2`: the GPUs that it reaches by NVLink; without a line the call
/// is not supported.
#[no_mangle]
pub extern "C" fn nvmlDeviceGetP2PStatus(one: usize, other: usize, what: u32, status: *mut u32) -> u32 {
    assert_eq!(what, 2, "NVML_P2P_CAPS_INDEX_NVLINK");
    let other: u64 = name(other).parse().unwrap();
    let linked = numbers(&name(one), "links").map(|found| found.contains(&other));
    // NVML_P2P_STATUS_OK and NVML_P2P_STATUS_NOT_SUPPORTED.
    put(linked.map(|linked| if linked { 0 } else { 5 }), status)
}

#[repr(C)]
pub struct Attributes {
    counts: [u32; 6],
    gpu_slices: u32,
    compute_slices: u32,
    memory: u64,
}

#[no_mangle]
pub extern "C" fn nvmlDeviceGetAttributes_v2(handle: usize, attributes: *mut Attributes) -> u32 {
    let found = numbers(&name(handle), "slices").map(|found| found[0] as u32);
    put(
        found.map(|slices| Attributes {
            counts: [0; 6],
            gpu_slices: slices,
            compute_slices: slices,
            memory: 0,
        }),
        attributes,
    )
}

#[repr(C)]
pub struct Process {
    pid: u32,
    memory: u64,
    gpu_instance: u32,
    compute_instance: u32,
}

fn processes(handle: usize, key: &str, count: *mut u32, to: *mut Process) -> Result<(), u32> {
    let found = lines(&name(handle), key)?;
    unsafe {
        let room = *count as usize;
        *count = found.len() as u32;
        if found.len() > room {
            return Err(TOO_SMALL);
        }
        for (at, words) in found.iter().enumerate() {
            to.add(at).write(Process {
                pid: words[0].parse().unwrap(),
                // Without a number: as the driver says that it does not know.
                memory: words.get(1).map_or(u64::MAX, |bytes| bytes.parse().unwrap()),
                gpu_instance: u32::MAX,
                compute_instance: u32::MAX,
            });
        }
    }
    Ok(())
}

#[no_mangle]
pub extern "C" fn nvmlDeviceGetComputeRunningProcesses_v3(
    handle: usize,
    count: *mut u32,
    to: *mut Process,
) -> u32 {
    code(processes(handle, "process", count, to))
}

#[no_mangle]
pub extern "C" fn nvmlDeviceGetGraphicsRunningProcesses_v3(
    handle: usize,
    count: *mut u32,
    to: *mut Process,
) -> u32 {
    code(processes(handle, "graphics", count, to))
}
