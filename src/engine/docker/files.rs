//! Paths of containers, from the tar archives that an engine makes of them.

use bollard::Docker;
use bollard::query_parameters::DownloadFromContainerOptionsBuilder;
use futures::{StreamExt, TryStreamExt};

use super::client::{self, failed};
use crate::engine::{Error, FileKind, FileStat};

/// Bytes of an archive in which its first header is found, extensions for long
/// names and large sizes included.
const HEAD: usize = 64 << 10;

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
