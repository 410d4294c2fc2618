//! Shows a run as it goes on, where and as the command line wants it.

use std::path::Path;

use super::error::CliError;
use super::session::Session;
use crate::ui::Report;
use crate::ui::log::LogWriter;

/// `logs` is the folder for the log of each image, if they are kept.
pub(super) fn start(session: &Session, logs: Option<&Path>) -> Report {
    let log = logs.map(|folder| LogWriter::new(folder.to_owned()));
    Report::start(session.progress.resolve(&session.screen), session.screen.stderr_style(), log)
}

/// Waits until all of it is shown.
///
/// # Errors
/// A bug of the reporter.
pub(super) async fn finish(report: Report) -> Result<(), CliError> {
    let shown = report.finish().await;
    shown.map(drop).map_err(|error| CliError::bug(format!("the report broke off: {error}")))
}
