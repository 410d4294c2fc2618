//! What somebody asks for of the machine's GPUs, and how that is typed. Pure.

use std::fmt;

use crate::model::problem::Problem;

/// A request for GPUs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum GpuRequest {
    /// `--cpu-only`, and what holds where nothing is asked for.
    #[default]
    Nothing,
    /// `--gpus N`: so many whole GPUs, each with at least so many bytes.
    Whole { count: u32, memory: Option<u64> },
    /// `--gpus UUID,…`: these GPUs or MIG instances; indices and slots too.
    Named(Vec<String>),
    /// `--mig PROFILE[:N]`.
    Mig { profile: String, count: u32 },
    /// `--gpu-memory SIZE`: one GPU or instance with at least so many bytes.
    Memory(u64),
}

impl fmt::Display for GpuRequest {
    /// As the label `ds01.gpus` has it: `0`, `2`, `1g.10gb`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => f.write_str("0"),
            Self::Whole { count, .. } => write!(f, "{count}"),
            Self::Named(names) => write!(f, "{}", names.len()),
            Self::Mig { profile, count: 1 } => f.write_str(profile),
            Self::Mig { profile, count } => write!(f, "{profile}:{count}"),
            Self::Memory(_) => f.write_str("1"),
        }
    }
}

/// What `--gpus` says alone.
enum Gpus {
    Count(u32),
    Named(Vec<String>),
}

impl GpuRequest {
    /// From what is typed as `--gpus`, `--mig`, `--gpu-memory` and `--cpu-only`.
    ///
    /// # Errors
    /// The first thing that is wrong with it, or what contradicts what.
    pub(crate) fn parse(
        gpus: Option<&str>,
        mig: Option<&str>,
        memory: Option<&str>,
        cpu_only: bool,
    ) -> Result<Self, Problem> {
        let gpus = gpus.map(read_gpus).transpose()?;
        let mig = mig.map(read_mig).transpose()?;
        let memory = memory.map(|text| size("--gpu-memory", text)).transpose()?;
        if cpu_only || matches!(gpus, Some(Gpus::Count(0))) {
            let none = if cpu_only { "--cpu-only" } else { "--gpus 0" };
            let other = match (&gpus, &mig, &memory) {
                (Some(Gpus::Count(1..) | Gpus::Named(_)), ..) => "--gpus",
                (_, Some(_), _) => "--mig",
                (_, _, Some(_)) => "--gpu-memory",
                _ => return Ok(Self::Nothing),
            };
            let problem = Problem::new(format!("`{none}` asks for no GPU and `{other}` for one"));
            return Err(problem.help(format!("leave out `{none}` or `{other}`")));
        }
        match (gpus, mig, memory) {
            (None, None, None) => Ok(Self::Nothing),
            (Some(Gpus::Count(count)), None, memory) => Ok(Self::Whole { count, memory }),
            (Some(Gpus::Named(names)), None, None) => Ok(Self::Named(names)),
            (None, Some((profile, count)), None) => Ok(Self::Mig { profile, count }),
            (None, None, Some(bytes)) => Ok(Self::Memory(bytes)),
            (Some(_), Some(_), _) => Err(Problem::new("`--gpus` and `--mig` ask for different things").help(
                "`--gpus N` gives whole GPUs, `--mig PROFILE:N` instances of divided ones; say one of the two",
            )),
            (None, Some(_), Some(_)) => Err(Problem::new("`--mig` and `--gpu-memory` contradict each other")
                .help("the profile says how much memory an instance has: leave out `--gpu-memory`")),
            (Some(Gpus::Named(_)), None, Some(_)) => {
                Err(Problem::new("`--gpus` names the devices, so `--gpu-memory` decides nothing")
                    .help("leave out `--gpu-memory`, or say how many instead of which: `--gpus 1`"))
            }
        }
    }
}

fn read_gpus(text: &str) -> Result<Gpus, Problem> {
    let text = text.trim();
    if let Ok(count) = text.parse() {
        return Ok(Gpus::Count(count));
    }
    // As Docker's `--gpus` has it; and the way to name a single GPU by its index.
    let list = text.strip_prefix("device=").unwrap_or(text);
    if list.eq_ignore_ascii_case("all") || list == "-1" {
        return Err(Problem::new("`--gpus all` would be every GPU of everybody")
            .help("say how many: `--gpus 2`; `ds01-build gpu list` shows which are free"));
    }
    let mut names: Vec<String> = Vec::new();
    for name in list.split(',').map(str::trim) {
        if !is_name(name) {
            return Err(Problem::new(format!("`--gpus {text}`: `{name}` names no GPU")).help(
                "write how many (`2`), or which: UUIDs (`GPU-…`, `MIG-…`), indices (`0,1`; `device=0` for one) \
                 or slots of MIG instances (`0.1`), as `ds01-build gpu list` shows them",
            ));
        }
        if names.iter().any(|other| other.eq_ignore_ascii_case(name)) {
            return Err(Problem::new(format!("`--gpus {text}` names `{name}` twice")).help("name it once"));
        }
        names.push(name.to_owned());
    }
    Ok(Gpus::Named(names))
}

/// An index, a slot, or the beginning of a UUID.
fn is_name(name: &str) -> bool {
    let number = |text: &str| text.parse::<u32>().is_ok() && !text.starts_with('+');
    let uuid = |text: &str| {
        let head = text.get(..4).unwrap_or_default();
        let known = head.eq_ignore_ascii_case("GPU-") || head.eq_ignore_ascii_case("MIG-");
        // Drivers before 470 name instances `MIG-GPU-…/1/0`.
        let rest = text.get(4..).unwrap_or_default();
        known && !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_alphanumeric() || b"-/".contains(&b))
    };
    match name.split_once(['.', ':']) {
        Some((gpu, instance)) => number(gpu) && number(instance),
        None => number(name) || uuid(name),
    }
}

fn read_mig(text: &str) -> Result<(String, u32), Problem> {
    let text = text.trim();
    let (profile, count) = match text.split_once(':') {
        Some((profile, count)) => (profile, count.parse().ok().filter(|count| *count > 0)),
        None => (text, Some(1)),
    };
    let profile = profile.to_ascii_lowercase();
    let help = |how: &str| format!("write {how}; `ds01-build gpu list` shows what there is");
    if !is_profile(&profile) {
        return Err(Problem::new(format!("`--mig {text}`: `{profile}` is no profile"))
            .help(help("one as `1g.10gb`, and for several `1g.10gb:2`")));
    }
    let Some(count) = count else {
        return Err(Problem::new(format!("`--mig {text}` does not say how many"))
            .help(help(&format!("`{profile}`, or `{profile}:2` for two"))));
    };
    Ok((profile, count))
}

/// `1g.10gb`, `1c.3g.40gb`, `1g.10gb+me`, `1g.12gb+gfx`.
fn is_profile(text: &str) -> bool {
    let base = text.split(['+', '-']).next().unwrap_or_default();
    let rest = &text[base.len()..];
    let number = |text: Option<&str>| {
        text.is_some_and(|text| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()))
    };
    let words: Vec<_> = base.split('.').collect();
    let (slices, memory) = match words[..] {
        [slices, memory] => (slices, memory),
        [compute, slices, memory] if number(compute.strip_suffix('c')) => (slices, memory),
        _ => return false,
    };
    number(slices.strip_suffix('g'))
        && number(memory.strip_suffix("gb"))
        && rest.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b))
}

/// Bytes of a size such as `20GiB`, `20g`, `20480MiB` or `39.5G`. Units are
/// powers of 1024 as in Docker's options, except `MB`, `GB` and `TB`, which are
/// powers of ten.
///
/// # Errors
/// It is none; `flag` is named in the message.
pub(crate) fn size(flag: &str, text: &str) -> Result<u64, Problem> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = (text[..digits].parse::<f64>().ok(), text[digits..].trim());
    let wrong = |what: &str| {
        let example = "write a number and a unit, such as 20GiB, 20g or 20480MiB";
        Err(Problem::new(format!("`{flag} {text}`: {what}")).help(example))
    };
    let Some(number) = number else { return wrong("that is no size") };
    let factor: f64 = match unit.to_ascii_lowercase().as_str() {
        "m" | "mi" | "mib" => 1024f64.powi(2),
        "g" | "gi" | "gib" => 1024f64.powi(3),
        "t" | "ti" | "tib" => 1024f64.powi(4),
        "mb" => 1e6,
        "gb" => 1e9,
        "tb" => 1e12,
        "" => return wrong("its unit is missing"),
        _ => return wrong("its unit is unknown"),
    };
    let bytes = (number * factor).round();
    if !(1.0..=1e18).contains(&bytes) {
        return wrong("no GPU has such a memory");
    }
    Ok(bytes as u64)
}

#[cfg(test)]
mod tests;
