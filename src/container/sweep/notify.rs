//! Telling people of a step, by a program of the site: by mail or chat. What it
//! does and whether it can changes nothing of the sweep.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;

use super::report::StepReport;
use crate::host::process;

/// A mail server may be slow, and the sweep has others to tell.
const LIMIT: Duration = Duration::from_secs(30);

/// Runs the program, with the step as JSON on its standard input.
///
/// # Errors
/// It cannot be run, fails or takes too long; a sentence's end.
pub(super) async fn notify(program: &Path, step: &StepReport) -> Result<(), String> {
    let shown = program.display();
    let text = serde_json::to_vec(step).map_err(|error| error.to_string())?;
    let mut command = Command::new(program);
    // Its output is none of ours: on standard output there may be JSON.
    command.stdout(Stdio::null()).stderr(Stdio::piped());
    match process::run(command, &text, tokio::time::sleep(LIMIT)).await {
        Ok(Some(output)) if output.status.success() => Ok(()),
        Ok(Some(output)) => {
            let wrote = String::from_utf8_lossy(&output.stderr);
            let last = wrote.lines().rfind(|line| !line.trim().is_empty()).unwrap_or_default();
            let wrote = if last.is_empty() { String::new() } else { format!(": {}", last.trim()) };
            Err(format!("`{shown}` ended with {}{wrote}", output.status))
        }
        Err(error) => Err(format!("`{shown}` cannot be run: {error}")),
        Ok(None) => Err(format!("`{shown}` took more than {} s and was ended", LIMIT.as_secs())),
    }
}
