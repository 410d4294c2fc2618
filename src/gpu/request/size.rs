//! Sizes of memory as people type and read them. Pure.

use crate::model::problem::Problem;

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

/// `39.5 GiB`, as `gpu list` shows memory.
pub(crate) fn gib(bytes: u64) -> String {
    format!("{:.1} GiB", bytes as f64 / f64::from(1 << 30))
}
