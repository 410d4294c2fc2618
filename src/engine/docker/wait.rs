//! Waiting for a container's end.

use bollard::Docker;
use bollard::errors::Error as Theirs;
use bollard::query_parameters::WaitContainerOptionsBuilder;
use futures::StreamExt;

use super::fault::Fault;
use crate::engine::Error;

/// The exit code of one that does not run, or ends.
///
/// # Errors
/// The engine's: there is no such container, or the connection broke.
pub(crate) async fn until_ended(client: &Docker, fault: &Fault, container: &str) -> Result<i64, Error> {
    let action = format!("wait for container `{container}`");
    let options = WaitContainerOptionsBuilder::new().condition("not-running").build();
    let answer = client.wait_container(container, Some(options)).next().await;
    match answer {
        Some(Ok(ended)) => Ok(ended.status_code),
        // What a program ended with is no error of the engine's.
        Some(Err(Theirs::DockerContainerWaitError { code, .. })) => Ok(code),
        Some(Err(error)) => Err(fault.calling(&action, error)),
        None => Err(Error::Broken { action, cause: "it said nothing".into() }),
    }
}
