//! `--notify`: a program of the site that tells people, by mail or chat. What
//! it does and whether it can changes nothing of the sweep.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use super::show::Entry;

/// A mail server may be slow, and the sweep has others to tell.
const PATIENCE: Duration = Duration::from_secs(30);

/// Runs it with the step as JSON on its standard input.
///
/// # Errors
/// It cannot be run, fails or takes too long; a sentence's end.
pub(crate) async fn tell(program: &Path, entry: &Entry) -> Result<(), String> {
    let shown = program.display();
    let text = serde_json::to_vec(entry).map_err(|error| error.to_string())?;
    let mut child = Command::new(program)
        .stdin(Stdio::piped())
        // Its output is none of ours: on standard output there may be JSON.
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| format!("`{shown}` cannot be run: {error}"))?;
    let input = child.stdin.take();
    let run = async {
        if let Some(mut input) = input {
            // One that does not read it may know enough.
            let _ = input.write_all(&text).await;
        }
        child.wait_with_output().await
    };
    match tokio::time::timeout(PATIENCE, run).await {
        Ok(Ok(output)) if output.status.success() => Ok(()),
        Ok(Ok(output)) => {
            let said = String::from_utf8_lossy(&output.stderr);
            let last = said.lines().rfind(|line| !line.trim().is_empty()).unwrap_or_default();
            let said = if last.is_empty() { String::new() } else { format!(": {}", last.trim()) };
            Err(format!("`{shown}` ended with {}{said}", output.status))
        }
        Ok(Err(error)) => Err(format!("`{shown}`: {error}")),
        Err(_) => Err(format!("`{shown}` took more than {} s and was ended", PATIENCE.as_secs())),
    }
}
