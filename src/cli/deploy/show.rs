//! What `deploy` says at its end: the container, or the request for one.

use serde_json::json;

use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::session::Session;
use crate::deploy::Deployed;
use crate::deploy::create::DeployedGpu;
use crate::deploy::image::AccountLayer;
use crate::deploy::prepare::Prepared;
use crate::engine::CreateContainer;

/// The request, and what would be done to the image before.
pub(super) fn show_request(
    session: &Session,
    request: &CreateContainer,
    prepared: &Prepared,
) -> Result<Exit, CliError> {
    let mut output = session.output();
    let Prepared { layer, source, .. } = prepared;
    let is_missing = matches!(layer, AccountLayer::Missing { .. });
    let mut value = json!(request);
    value["setup"] = json!({
        "needed": layer.why().is_some(),
        "why": layer.why().map(ToString::to_string),
        "on": source.reference,
        "made": !is_missing,
    });
    output.value(&value);
    if let Some(why) = layer.why() {
        let layer = if is_missing { "would be put on it" } else { "was put on it before" };
        output.note(&format!("{}: {why}; the user layer {layer}", source.reference));
    }
    notes(prepared).iter().for_each(|note| output.note(note));
    output.note("nothing was created");
    output.finish()?;
    Ok(Exit::Done)
}

fn notes(prepared: &Prepared) -> Vec<String> {
    let Prepared { source, request, .. } = prepared;
    let behind = source.behind.as_ref().map(|image| {
        format!("its image is not up to date with the spec; ds01-build build {image} makes a new one")
    });
    let notes = source.notes.iter().chain(&request.owner.note).chain(&behind);
    notes.map(|note| format!("note: {note}")).collect()
}

pub(super) fn report(session: &Session, deployed: &Deployed, prepared: &Prepared) -> Result<Exit, CliError> {
    let request = &prepared.request;
    let mut output = session.output();
    output.data(deployed, |deployed, _| {
        let with = with_words(&deployed.gpus);
        let workspace = request.workspace.display();
        // Others' containers have their whole name only.
        let own = request.owner.account.uid == session.uid;
        let name = if own { &request.name } else { &deployed.name };
        let full = &deployed.name;
        match deployed.ended {
            None => format!(
                "{full} is running{with}; {workspace} is its /workspace\n\
                 enter it: ds01-build container enter {name}\n"
            ),
            Some(code) => format!(
                "{full} was started{with}, and its program has ended already with code {code}\n\
                 what it wrote: ds01-build container logs {name}\n\
                 when it is no longer needed: ds01-build container retire {name}\n"
            ),
        }
    });
    for note in &deployed.notes {
        output.note(&format!("note: {note}"));
    }
    notes(prepared).iter().for_each(|note| output.note(note));
    output.finish()?;
    Ok(Exit::Done)
}

/// ` with GPU 0 (GPU-…)`; nothing without any.
fn with_words(gpus: &[DeployedGpu]) -> String {
    let Some(first) = gpus.first() else { return String::new() };
    let kind = match (first.slot.contains('.'), gpus.len()) {
        (true, 1) => "MIG instance",
        (true, _) => "MIG instances",
        (false, 1) => "GPU",
        (false, _) => "GPUs",
    };
    let one = |given: &DeployedGpu| match &given.uuid {
        Some(uuid) => format!("{} ({uuid})", given.slot),
        None => given.slot.clone(),
    };
    format!(" with {kind} {}", gpus.iter().map(one).collect::<Vec<_>>().join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_given_is_told_by_slot_and_uuid() {
        let given =
            |uuid: Option<&str>, slot: &str| DeployedGpu { uuid: uuid.map(str::to_owned), slot: slot.into() };
        assert_eq!(with_words(&[]), "");
        assert_eq!(with_words(&[given(Some("GPU-1"), "0")]), " with GPU 0 (GPU-1)");
        let two = [given(Some("GPU-1"), "0"), given(Some("GPU-2"), "1")];
        assert_eq!(with_words(&two), " with GPUs 0 (GPU-1), 1 (GPU-2)");
        assert_eq!(with_words(&[given(Some("MIG-1"), "0.1")]), " with MIG instance 0.1 (MIG-1)");
        assert_eq!(with_words(&[given(None, "renderD128")]), " with GPU renderD128");
    }
}
