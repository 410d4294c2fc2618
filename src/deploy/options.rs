//! What is asked for of a container's GPUs, sizes, ports and program, and how
//! that is typed. Pure.

use std::net::IpAddr;

use crate::build::account_image;
use crate::engine::Port;
use crate::gpu::request::GpuRequest;
use crate::model::problem::Problem;
use crate::spec::limits::parse_size;

/// Only who is on the machine, or comes through ssh, reaches it.
const LOOPBACK: &str = "127.0.0.1";

/// The least that an engine takes, in CPUs and bytes.
const LEAST_CPUS: f64 = 0.01;
const LEAST_MEMORY: u64 = 6 << 20;

/// What was asked for besides; a `None` is the limit.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct DeployOptions {
    pub(crate) gpus: GpuRequest,
    pub(crate) cpus: Option<f64>,
    /// Bytes.
    pub(crate) memory: Option<u64>,
    /// Bytes.
    pub(crate) shm_size: Option<u64>,
    pub(crate) ports: Vec<Port>,
    /// `NAME=value`.
    pub(crate) env: Vec<String>,
    /// Instead of the image's.
    pub(crate) command: Option<Vec<String>>,
}

/// `--name`, taken as it is: it must be a name already.
///
/// # Errors
/// It is none, with the nearest one.
pub(crate) fn name(typed: &str) -> Result<String, Problem> {
    let name = account_image::named(typed);
    if name.as_deref() == Some(typed) {
        return Ok(typed.to_owned());
    }
    let problem = Problem::new(format!("`{}` is no container name", typed.escape_debug()));
    let grammar = "use small letters, digits and single `.`, `_`, `-` between them";
    Err(problem.help(match name {
        Some(name) => format!("{grammar}: `{name}`"),
        None => grammar.to_owned(),
    }))
}

/// `--cpus`.
///
/// # Errors
/// An engine takes no such number.
pub(crate) fn cpus(cpus: f64) -> Result<f64, Problem> {
    if cpus.is_finite() && cpus >= LEAST_CPUS {
        return Ok(cpus);
    }
    let problem = Problem::new(format!("`{cpus}` is no number of CPUs"));
    Err(problem.help("write 0.01 or more, as --cpus 8 or --cpus 1.5"))
}

/// `--memory`, in bytes.
///
/// # Errors
/// It is no size, or too small for an engine.
pub(crate) fn memory(text: &str) -> Result<u64, Problem> {
    size("memory", text, LEAST_MEMORY)
}

/// `--shm-size`, in bytes.
///
/// # Errors
/// It is no size.
pub(crate) fn shm_size(text: &str) -> Result<u64, Problem> {
    size("shm-size", text, 1)
}

/// Bytes, as limits of a spec are written: `16g`, `512m`; `16GiB` is the same.
fn size(option: &str, text: &str, least: u64) -> Result<u64, Problem> {
    let lower = text.to_ascii_lowercase();
    let short = lower.strip_suffix("ib").unwrap_or(&lower);
    match parse_size(short) {
        Some(bytes) if bytes >= least => Ok(bytes),
        Some(_) => {
            let problem = Problem::new(format!("`{text}` is too little for --{option}"));
            Err(problem.help("write 6m or more"))
        }
        None => {
            let problem = Problem::new(format!("`{}` is no size for --{option}", text.escape_debug()));
            Err(problem.help("write a whole number and k, m, g or t, such as 16g"))
        }
    }
}

/// `8888`, `8888:80`, `0.0.0.0:8888:80`, `[::1]:8888:80`.
///
/// # Errors
/// It has another form.
pub(crate) fn port(text: &str) -> Result<Port, Problem> {
    let wrong = |help: &str| {
        let problem = Problem::new(format!("`{}` is no port to publish", text.escape_debug()));
        Err(problem.help(help))
    };
    let form =
        "write CONTAINER, HOST:CONTAINER or ADDR:HOST:CONTAINER, as 8888, 8888:8888 or 0.0.0.0:8888:8888";
    let number = |text: &str| text.parse::<u16>().ok().filter(|port| *port > 0);
    let (before, container) =
        text.rsplit_once(':').map_or((None, text), |(before, last)| (Some(before), last));
    let Some(container) = number(container) else { return wrong(form) };
    let Some(before) = before else {
        return Ok(Port { address: Some(LOOPBACK.into()), host: None, container });
    };
    let (address, host) = before.rsplit_once(':').unwrap_or((LOOPBACK, before));
    let Some(host) = number(host) else { return wrong(form) };
    let bare = address.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(address);
    match bare.parse::<IpAddr>() {
        Ok(address) => Ok(Port { address: Some(address.to_string()), host: Some(host), container }),
        Err(_) => wrong("the address is one of this machine's, as 0.0.0.0 for all of them, or [::1]"),
    }
}

/// `NAME=VALUE`; the value may be empty and hold `=`.
///
/// # Errors
/// It has another form.
pub(crate) fn variable(text: &str) -> Result<String, Problem> {
    let good = |name: &str| !name.is_empty() && !name.contains(char::is_whitespace);
    match text.split_once('=') {
        Some((name, _)) if good(name) && !text.contains('\0') => Ok(text.to_owned()),
        _ => {
            // A value may be a secret: it is not told.
            let name = text.split('=').next().unwrap_or_default();
            let problem = Problem::new(format!("`{}` is no variable", name.escape_debug()));
            Err(problem.help("write NAME=VALUE, such as --env WANDB_MODE=offline"))
        }
    }
}
