//! Findings as text: what is wrong first catches the eye, what is right stays
//! short.

use crate::admin::doctor::{Diagnosis, Finding, Severity};
use crate::ui::{Look, human};

/// Findings of one look that are shown before the rest is only counted.
const SHOWN: usize = 8;
/// Things of one finding.
const ITEMS: usize = 5;

/// A line for each finding, what to do below it, and a sum.
pub(crate) fn text(report: &Diagnosis, look: &Look, verbose: bool) -> String {
    let mut text = String::new();
    let mut at = 0;
    let all = &report.findings;
    while at < all.len() {
        let alike =
            all[at..].iter().take_while(|f| (f.check, f.severity) == (all[at].check, all[at].severity));
        let group = &all[at..at + alike.count()];
        at += group.len();
        let shown = if verbose { group.len() } else { group.len().min(SHOWN) };
        group[..shown].iter().for_each(|finding| put(finding, look, verbose, &mut text));
        if shown < group.len() {
            text += &format!("         … and {} more like these; -v shows them\n", group.len() - shown);
        }
    }
    text + &sum(report, look)
}

fn put(finding: &Finding, look: &Look, verbose: bool, text: &mut String) {
    let Finding { check, subject, message, .. } = finding;
    let size = finding.bytes.map(|bytes| format!(" ({})", human::bytes(bytes))).unwrap_or_default();
    *text += &format!("{}  {check}: {subject}: {message}{size}\n", mark(finding.severity, look));
    let shown = if verbose { finding.items.len() } else { finding.items.len().min(ITEMS) };
    for item in &finding.items[..shown] {
        *text += &format!("           {item}\n");
    }
    if shown < finding.items.len() {
        *text += &format!("           … and {} more\n", finding.items.len() - shown);
    }
    if let Some(help) = &finding.help {
        *text += &format!("         {}\n", look.weak(help));
    }
    if let Some(command) = &finding.command {
        *text += &format!("         $ {command}\n");
    }
}

fn mark(severity: Severity, look: &Look) -> String {
    match severity {
        Severity::Ok => look.good("ok     "),
        Severity::Note => look.strong("note   "),
        Severity::Warning => look.warn("warning"),
        Severity::Error => look.bad("error  "),
    }
}

fn sum(report: &Diagnosis, look: &Look) -> String {
    let counted = |severity, noun| human::count(report.count(severity) as u64, noun);
    let (errors, warnings) = (counted(Severity::Error, "error"), counted(Severity::Warning, "warning"));
    let notes = counted(Severity::Note, "note");
    let text = format!("{errors}, {warnings}, {notes}");
    let painted = if report.is_broken() { look.bad(&text) } else { look.strong(&text) };
    format!("{painted}\n")
}
