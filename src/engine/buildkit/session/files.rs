//! Sends contexts: first what there is, then the files that BuildKit asks for
//! because its last copy differs.
//!
//! The protocol (fsutil's DiffCopy): we send a STAT for each entry, parents
//! first and in order, then one without an entry. BuildKit sends a REQ with
//! the index of an entry, we answer with DATA until an empty one. BuildKit
//! sends FIN when it has all, we answer with FIN.

use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bollard_buildkit_proto::fsutil::types::packet::PacketType;
use bollard_buildkit_proto::fsutil::types::{Packet, Stat};
use bollard_buildkit_proto::moby::filesync::packet::file_sync_server;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

use super::{SessionContent, lock};
use crate::dockerfile::context::{Context, Entry, EntryKind};

/// Content of one DATA packet, as BuildKit's own sender cuts it.
const CHUNK: usize = 32 * 1024;
/// Packets under way before the file is read on.
const AHEAD: usize = 64;

type Outgoing = mpsc::Sender<Result<Packet, Status>>;

pub(super) struct FileSync(pub(super) Arc<SessionContent>);

#[tonic::async_trait]
impl file_sync_server::FileSync for FileSync {
    type DiffCopyStream = ReceiverStream<Result<Packet, Status>>;

    async fn diff_copy(
        &self,
        request: Request<Streaming<Packet>>,
    ) -> Result<Response<Self::DiffCopyStream>, Status> {
        let name = request.metadata().get("dir-name").and_then(|v| v.to_str().ok()).unwrap_or_default();
        let context = lock(&self.0.contexts).get(name).cloned();
        let context = context.ok_or_else(|| Status::not_found(format!("no context `{name}`")))?;
        let (out, packets) = mpsc::channel(AHEAD);
        let sender = Sender { content: self.0.clone(), context, out };
        tokio::spawn(sender.run(request.into_inner()));
        Ok(Response::new(ReceiverStream::new(packets)))
    }

    type TarStreamStream = tokio_stream::Empty<Result<Packet, Status>>;

    async fn tar_stream(
        &self,
        _: Request<Streaming<Packet>>,
    ) -> Result<Response<Self::TarStreamStream>, Status> {
        Err(Status::unimplemented("only DiffCopy"))
    }
}

/// Why a transfer ended before its time.
enum TransferError {
    /// BuildKit no longer listens; there is nobody to answer.
    Gone,
    /// Sent to BuildKit, which fails the step with it.
    Failed(String),
}

#[derive(Clone)]
struct Sender {
    content: Arc<SessionContent>,
    context: Arc<Context>,
    out: Outgoing,
}

impl Sender {
    async fn run(self, incoming: Streaming<Packet>) {
        if let Err(TransferError::Failed(text)) = self.transfer(incoming).await {
            let packet = Packet { data: text.clone().into_bytes(), ..packet(PacketType::PacketErr) };
            let _ = self.out.send(Ok(packet)).await;
            let _ = self.out.send(Err(Status::aborted(text))).await;
        }
    }

    async fn transfer(&self, incoming: Streaming<Packet>) -> Result<(), TransferError> {
        let context = self.context.clone();
        let entries = tokio::task::spawn_blocking(move || context.entries())
            .await
            .map_err(|e| TransferError::Failed(e.to_string()))?
            .map_err(|e| TransferError::Failed(e.to_string()))?;
        let entries: Arc<[Entry]> = entries.into();
        let (wanted, queue) = mpsc::unbounded_channel();
        tokio::try_join!(
            self.announce(&entries),
            listen(incoming, wanted),
            self.answer(entries.clone(), queue)
        )?;
        self.send(packet(PacketType::PacketFin)).await
    }

    async fn announce(&self, entries: &[Entry]) -> Result<(), TransferError> {
        for entry in entries {
            self.send(Packet { stat: Some(stat(entry)), ..packet(PacketType::PacketStat) }).await?;
        }
        self.send(packet(PacketType::PacketStat)).await
    }

    async fn answer(
        &self,
        entries: Arc<[Entry]>,
        mut queue: mpsc::UnboundedReceiver<u32>,
    ) -> Result<(), TransferError> {
        while let Some(id) = queue.recv().await {
            let (sender, entries) = (self.clone(), entries.clone());
            let read = tokio::task::spawn_blocking(move || match entries.get(id as usize) {
                Some(entry) if entry.kind == EntryKind::File => sender.send_file(id, entry),
                _ => Err(TransferError::Failed(format!("BuildKit asks for entry {id}, which is no file"))),
            });
            read.await.map_err(|e| TransferError::Failed(e.to_string()))??;
        }
        Ok(())
    }

    /// Blocks. What is sent is what was announced, or nothing at all.
    fn send_file(&self, id: u32, entry: &Entry) -> Result<(), TransferError> {
        let changed = || TransferError::Failed(format!("`{}` changed while it was being sent", entry.path));
        let failed = |e: std::io::Error| TransferError::Failed(format!("cannot read `{}`: {e}", entry.path));
        let mut file = self.context.open(&entry.path).map_err(|e| TransferError::Failed(e.to_string()))?;
        let data = file.metadata().map_err(failed)?;
        let mtime = data.mtime() * 1_000_000_000 + data.mtime_nsec();
        if !data.is_file() || (data.size(), mtime) != (entry.size, entry.mtime_ns) {
            return Err(changed());
        }
        let mut left = entry.size;
        while left > 0 {
            let mut chunk = vec![0; CHUNK.min(usize::try_from(left).unwrap_or(CHUNK))];
            file.read_exact(&mut chunk).map_err(|e| match e.kind() {
                std::io::ErrorKind::UnexpectedEof => changed(),
                _ => failed(e),
            })?;
            left -= chunk.len() as u64;
            self.content.sent.fetch_add(chunk.len() as u64, Ordering::Relaxed);
            self.send_blocking(Packet { id, data: chunk, ..packet(PacketType::PacketData) })?;
        }
        if file.read(&mut [0]).map_err(failed)? > 0 {
            return Err(changed());
        }
        self.send_blocking(Packet { id, ..packet(PacketType::PacketData) })
    }

    async fn send(&self, packet: Packet) -> Result<(), TransferError> {
        self.out.send(Ok(packet)).await.map_err(|_| TransferError::Gone)
    }

    fn send_blocking(&self, packet: Packet) -> Result<(), TransferError> {
        self.out.blocking_send(Ok(packet)).map_err(|_| TransferError::Gone)
    }
}

/// Hands on what BuildKit asks for, until it has all.
async fn listen(
    mut incoming: Streaming<Packet>,
    wanted: mpsc::UnboundedSender<u32>,
) -> Result<(), TransferError> {
    while let Ok(Some(packet)) = incoming.message().await {
        match packet.r#type() {
            PacketType::PacketReq => wanted.send(packet.id).map_err(|_| TransferError::Gone)?,
            PacketType::PacketFin => return Ok(()),
            PacketType::PacketErr => return Err(TransferError::Gone),
            PacketType::PacketStat | PacketType::PacketData => {}
        }
    }
    Err(TransferError::Gone)
}

fn packet(kind: PacketType) -> Packet {
    Packet { r#type: kind.into(), ..Default::default() }
}

/// Owner is always root, and of the mode only that counts which the recipe
/// counts: the same files make the same image under any umask.
fn stat(entry: &Entry) -> Stat {
    let size = if entry.kind == EntryKind::File { entry.size } else { 0 };
    Stat {
        path: entry.path.clone(),
        mode: to_go(entry.kind, settled(entry)),
        size: i64::try_from(size).unwrap_or(i64::MAX),
        mod_time: entry.mtime_ns,
        linkname: entry.link_target.clone().unwrap_or_default(),
        ..Default::default()
    }
}

fn settled(entry: &Entry) -> u32 {
    match entry.kind {
        EntryKind::File if entry.mode & 0o100 == 0 => 0o644,
        EntryKind::File | EntryKind::Dir => 0o755,
        EntryKind::Link => 0o777,
    }
}

// File modes as Go writes them: the permission bits are Unix's, kind and special
// bits are at places of their own (Go's `io/fs.FileMode`).

const DIR: u32 = 1 << 31;
const SYMLINK: u32 = 1 << 27;
const DEVICE: u32 = 1 << 26;
const PIPE: u32 = 1 << 25;
const SOCKET: u32 = 1 << 24;
const CHAR_DEVICE: u32 = 1 << 21;
const IRREGULAR: u32 = 1 << 19;
const SPECIAL: [(u32, u32); 3] = [(1 << 23, 0o4000), (1 << 22, 0o2000), (1 << 20, 0o1000)];

/// A mode to send; `mode` holds Unix's twelve bits.
fn to_go(kind: EntryKind, mode: u32) -> u32 {
    let kind = match kind {
        EntryKind::File => 0,
        EntryKind::Dir => DIR,
        EntryKind::Link => SYMLINK,
    };
    SPECIAL.iter().filter(|(_, unix)| mode & unix != 0).fold(kind | (mode & 0o777), |m, (go, _)| m | go)
}

/// Kind and Unix's twelve bits of a mode that was received; `None` for
/// devices, pipes and sockets.
pub(in super::super) fn mode_from_go(mode: u32) -> (Option<EntryKind>, u32) {
    let kind = match mode {
        m if m & DIR != 0 => Some(EntryKind::Dir),
        m if m & SYMLINK != 0 => Some(EntryKind::Link),
        m if m & (DEVICE | PIPE | SOCKET | CHAR_DEVICE | IRREGULAR) != 0 => None,
        _ => Some(EntryKind::File),
    };
    let bits = SPECIAL.iter().filter(|(go, _)| mode & go != 0).fold(mode & 0o777, |m, (_, unix)| m | unix);
    (kind, bits)
}

#[cfg(test)]
mod tests {
    use crate::dockerfile::ignore::Ignore;
    use crate::registry::credentials::Credentials;

    use super::*;

    fn sender(root: &std::path::Path) -> (Sender, mpsc::Receiver<Result<Packet, Status>>) {
        let context = Context {
            id: "c".into(),
            root: root.to_owned(),
            ignore: Ignore::default(),
            readable: [".".to_owned()].into(),
        };
        let (out, packets) = mpsc::channel(AHEAD);
        let content = Arc::new(SessionContent::new(Credentials::default()));
        (Sender { content, context: Arc::new(context), out }, packets)
    }

    fn failure(result: Result<(), TransferError>) -> String {
        match result {
            Err(TransferError::Failed(text)) => text,
            Err(TransferError::Gone) => panic!("gone"),
            Ok(()) => panic!("sent"),
        }
    }

    #[test]
    fn a_file_is_cut_into_chunks_and_ended_by_an_empty_one() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("f"), vec![7; CHUNK + 5]).unwrap();
        let (sender, mut packets) = sender(dir.path());
        let entries = sender.context.entries().unwrap();
        assert!(sender.send_file(3, &entries[0]).is_ok());
        let sizes: Vec<_> =
            std::iter::from_fn(|| packets.try_recv().ok()).map(|p| p.unwrap().data.len()).collect();
        assert_eq!(sizes, [CHUNK, 5, 0]);
        assert_eq!(sender.content.bytes_sent(), CHUNK as u64 + 5);
    }

    #[test]
    fn of_a_mode_only_the_executable_bit_is_sent() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let modes = |file: u32, program: u32, folder: u32| {
            for (name, mode) in [("file", file), ("program", program)] {
                let path = dir.path().join(name);
                std::fs::write(&path, "").unwrap();
                std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
            }
            let path = dir.path().join("folder");
            std::fs::create_dir_all(&path).unwrap();
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(folder)).unwrap();
            let (sender, _packets) = sender(dir.path());
            let entries = sender.context.entries().unwrap();
            entries.iter().map(|entry| stat(entry).mode & 0o7777).collect::<Vec<_>>()
        };
        assert_eq!(modes(0o644, 0o755, 0o755), [0o644, 0o755, 0o755]);
        assert_eq!(modes(0o600, 0o700, 0o700), [0o644, 0o755, 0o755], "umask 077");
        assert_eq!(modes(0o666, 0o777, 0o2777), [0o644, 0o755, 0o755], "umask 000");
    }

    #[test]
    fn a_file_that_changed_vanished_or_became_a_link_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        std::fs::write(&path, "one").unwrap();
        let (sender, _packets) = sender(dir.path());
        let entries = sender.context.entries().unwrap();
        std::fs::write(&path, "longer").unwrap();
        assert_eq!(failure(sender.send_file(0, &entries[0])), "`f` changed while it was being sent");
        std::fs::remove_file(&path).unwrap();
        assert_eq!(failure(sender.send_file(0, &entries[0])), "`f` changed while it was read");
        std::os::unix::fs::symlink("/etc/passwd", &path).unwrap();
        assert_eq!(failure(sender.send_file(0, &entries[0])), "`f` changed while it was read");
    }

    #[test]
    fn modes_are_written_as_go_writes_them() {
        // Values printed by Go's os.FileMode for these.
        assert_eq!(to_go(EntryKind::File, 0o644), 0o644);
        assert_eq!(to_go(EntryKind::Dir, 0o755), 0x8000_01ed);
        assert_eq!(to_go(EntryKind::Link, 0o777), 0x0800_01ff);
        assert_eq!(to_go(EntryKind::Dir, 0o1777), 0x8010_01ff);
        assert_eq!(to_go(EntryKind::File, 0o4755), 0x0080_01ed);
    }

    #[test]
    fn every_mode_comes_back_as_it_went() {
        for kind in [EntryKind::File, EntryKind::Dir, EntryKind::Link] {
            for mode in 0..=0o7777 {
                assert_eq!(mode_from_go(to_go(kind, mode)), (Some(kind), mode));
            }
        }
        assert_eq!(mode_from_go(DEVICE | CHAR_DEVICE | 0o666), (None, 0o666));
    }
}
