//! `--notify`: a program of the site that tells people, by mail or chat. What
//! it does and whether it can changes nothing of the sweep.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;

use super::show::Entry;
use crate::host::process;

/// A mail server may be slow, and the sweep has others to tell.
const LIMIT: Duration = Duration::from_secs(30);

/// Runs it with the step as JSON on its standard input.
///
/// # Errors
/// It cannot be run, fails or takes too long; a sentence's end.
pub(crate) async fn tell(program: &Path, entry: &Entry) -> Result<(), String> {
    let shown = program.display();
    let text = serde_json::to_vec(entry).map_err(|error| error.to_string())?;
    let mut command = Command::new(program);
    // Its output is none of ours: on standard output there may be JSON.
    command.stdout(Stdio::null()).stderr(Stdio::piped());
    match process::run(command, &text, tokio::time::sleep(LIMIT)).await {
        Ok(Some(output)) if output.status.success() => Ok(()),
        Ok(Some(output)) => {
            let said = String::from_utf8_lossy(&output.stderr);
            let last = said.lines().rfind(|line| !line.trim().is_empty()).unwrap_or_default();
            let said = if last.is_empty() { String::new() } else { format!(": {}", last.trim()) };
            Err(format!("`{shown}` ended with {}{said}", output.status))
        }
        Err(error) => Err(format!("`{shown}` cannot be run: {error}")),
        Ok(None) => Err(format!("`{shown}` took more than {} s and was ended", LIMIT.as_secs())),
    }
}
