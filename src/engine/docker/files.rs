//! Files of containers: what changed, what is written into them, and images of them.

use std::time::Duration;

use bollard::models::{ChangeType, ContainerConfig, FilesystemChange};
use bollard::query_parameters::{
    CommitContainerOptionsBuilder, DownloadFromContainerOptionsBuilder, InspectContainerOptionsBuilder,
    UploadToContainerOptionsBuilder,
};
use bollard::{Docker, body_full};
use futures::{StreamExt, TryStreamExt};

use super::client::{self, failed};
use crate::engine::{self, Change, ChangeKind, Error, FileKind, FileStat};
use crate::model::names::ImageId;

/// How long the engine may take over all files of a container. A commit
/// writes every changed one and answers when all are written; where storage
/// cannot tell what changed, all files of the image are compared.
const ALL_FILES: Duration = Duration::from_secs(12 * 3600);

/// Bytes of an archive in which its first header is found, extensions for long
/// names and large sizes included.
const HEAD: usize = 64 << 10;

fn patient(client: &Docker) -> Docker {
    client.clone().with_timeout(ALL_FILES)
}

pub(crate) async fn changes(client: &Docker, container: &str) -> Result<Vec<Change>, Error> {
    let found = patient(client).container_changes(container).await;
    let found = found.map_err(|e| failed(&format!("list changes of container `{container}`"), e))?;
    Ok(found.unwrap_or_default().into_iter().map(change).collect())
}

fn change(change: FilesystemChange) -> Change {
    let kind = match change.kind {
        ChangeType::_0 => ChangeKind::Modified,
        ChangeType::_1 => ChangeKind::Added,
        ChangeType::_2 => ChangeKind::Deleted,
    };
    Change { path: change.path, kind }
}

pub(crate) async fn written(client: &Docker, container: &str) -> Result<Option<u64>, Error> {
    let options = InspectContainerOptionsBuilder::new().size(true).build();
    let found = patient(client).inspect_container(container, Some(options)).await;
    let found = found.map_err(|e| failed(&format!("measure container `{container}`"), e))?;
    // -1 where the engine does not know.
    Ok(found.size_rw.and_then(|bytes| bytes.try_into().ok()))
}

pub(crate) async fn image_config(
    client: &Docker,
    image: &str,
) -> Result<Option<engine::ContainerConfig>, Error> {
    let action = format!("show image `{image}`");
    let found = match client.inspect_image(image).await {
        Ok(found) => found.config.unwrap_or_default(),
        Err(e) if client::is_not_found(&e) => return Ok(None),
        Err(e) => return Err(failed(&action, e)),
    };
    match serde_json::to_value(found) {
        Ok(serde_json::Value::Object(config)) => Ok(Some(config)),
        _ => Err(Error::Refused { action, message: "its configuration is no JSON object".into() }),
    }
}

pub(crate) async fn write(client: &Docker, container: &str, tar: Vec<u8>) -> Result<(), Error> {
    let options = UploadToContainerOptionsBuilder::new().path("/").build();
    let done = client.upload_to_container(container, Some(options), body_full(tar.into())).await;
    done.map_err(|e| failed(&format!("write files of container `{container}`"), e))
}

pub(crate) async fn stat(client: &Docker, container: &str, path: &str) -> Result<Option<FileStat>, Error> {
    let action = format!("look at `{path}` of container `{container}`");
    // The beginning of the archive is enough; the rest is not read.
    let Some((bytes, _)) = head(client, &action, container, path, HEAD).await? else {
        return Ok(None);
    };
    let unsound = |e: std::io::Error| Error::Broken { action: action.clone(), cause: e.to_string() };
    let mut archive = tar::Archive::new(bytes.as_slice());
    let Some(entry) = archive.entries().map_err(unsound)?.next() else { return Ok(None) };
    let entry = entry.map_err(unsound)?;
    let header = entry.header();
    let kind = match header.entry_type() {
        kind if kind.is_file() => FileKind::File,
        kind if kind.is_dir() => FileKind::Folder,
        _ => FileKind::Other,
    };
    Ok(Some(FileStat {
        kind,
        size: entry.size(),
        mode: header.mode().map_err(unsound)? & 0o7777,
        uid: header.uid().map_err(unsound)?,
        gid: header.gid().map_err(unsound)?,
    }))
}

pub(crate) async fn read_tar(
    client: &Docker,
    container: &str,
    path: &str,
    most: u64,
) -> Result<Option<Vec<u8>>, Error> {
    let action = format!("read `{path}` of container `{container}`");
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    match head(client, &action, container, path, most).await? {
        None => Ok(None),
        Some((bytes, true)) => Ok(Some(bytes)),
        Some((_, false)) => Err(Error::Refused { action, message: format!("it has more than {most} bytes") }),
    }
}

/// The archive of a path up to `most` bytes, and whether that is all of it.
async fn head(
    client: &Docker,
    action: &str,
    container: &str,
    path: &str,
    most: usize,
) -> Result<Option<(Vec<u8>, bool)>, Error> {
    let options = DownloadFromContainerOptionsBuilder::new().path(path).build();
    let mut stream = client.download_from_container(container, Some(options)).boxed();
    let mut bytes = Vec::new();
    loop {
        match stream.try_next().await {
            Ok(Some(chunk)) => {
                let room = most - bytes.len();
                if chunk.len() > room {
                    bytes.extend_from_slice(&chunk[..room]);
                    return Ok(Some((bytes, false)));
                }
                bytes.extend_from_slice(&chunk);
            }
            Ok(None) => return Ok(Some((bytes, true))),
            Err(e) if client::is_not_found(&e) => return Ok(None),
            Err(e) => return Err(failed(action, e)),
        }
    }
}

pub(crate) async fn commit(client: &Docker, container: &str) -> Result<ImageId, Error> {
    let options = CommitContainerOptionsBuilder::new().container(container).pause(true).build();
    let made = patient(client).commit_container(options, ContainerConfig::default()).await;
    let made = made.map_err(|e| failed(&format!("commit container `{container}`"), e))?;
    Ok(ImageId::new(made.id))
}
