//! Sends contexts: first what there is, then the files that BuildKit asks for
//! because its last copy differs.
//!
//! The protocol (fsutil's DiffCopy): we send a STAT for each entry, parents
//! first and in order, then one without an entry. BuildKit sends a REQ with
//! the index of an entry, we answer with DATA until an empty one. BuildKit
//! sends FIN when it has all, we answer with FIN.
//!
//! BuildKit takes a file for the one it has where kind, size and time are the
//! same. So the time that is sent holds a part of the content's digest, and
//! what is sent is compared with the digest: what it builds from is what was
//! hashed.

use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bollard_buildkit_proto::fsutil::types::packet::PacketType;
use bollard_buildkit_proto::fsutil::types::{Packet, Stat};
use bollard_buildkit_proto::moby::filesync::packet::file_sync_server;
use sha2::{Digest as _, Sha256};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

use super::{SessionContent, lock};
use crate::dockerfile::context::{Context, EntryKind, Node, Tree, TreeEntry};
use crate::model::digest::Digest;

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
        let (context, files) = context.ok_or_else(|| Status::not_found(format!("no context `{name}`")))?;
        let (out, packets) = mpsc::channel(AHEAD);
        let sender = Sender { content: self.0.clone(), context, files, out };
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
    files: Arc<Tree>,
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
        let (wanted, queue) = mpsc::unbounded_channel();
        tokio::try_join!(self.announce(), listen(incoming, wanted), self.answer(queue))?;
        self.send(packet(PacketType::PacketFin)).await
    }

    async fn announce(&self) -> Result<(), TransferError> {
        for entry in self.files.entries() {
            self.send(Packet { stat: Some(stat(entry)), ..packet(PacketType::PacketStat) }).await?;
        }
        self.send(packet(PacketType::PacketStat)).await
    }

    async fn answer(&self, mut queue: mpsc::UnboundedReceiver<u32>) -> Result<(), TransferError> {
        while let Some(id) = queue.recv().await {
            let sender = self.clone();
            let read = tokio::task::spawn_blocking(move || sender.send_file(id));
            read.await.map_err(|e| TransferError::Failed(e.to_string()))??;
        }
        Ok(())
    }

    /// Blocks. What is sent is what was hashed, or it ends with an error, which
    /// makes BuildKit throw away what it got.
    fn send_file(&self, id: u32) -> Result<(), TransferError> {
        let entry = self.files.entries().get(id as usize);
        let Some(TreeEntry { path, node: Node::File { size, digest, .. }, .. }) = entry else {
            return Err(TransferError::Failed(format!("BuildKit asks for entry {id}, which is no file")));
        };
        let changed =
            || TransferError::Failed(format!("`{path}` changed after it was hashed for this build"));
        let failed = |e: std::io::Error| TransferError::Failed(format!("cannot read `{path}`: {e}"));
        let mut file = self.context.open(path).map_err(|e| TransferError::Failed(e.to_string()))?;
        let metadata = file.metadata().map_err(failed)?;
        if !metadata.is_file() || metadata.len() != *size {
            return Err(changed());
        }
        let mut hasher = Sha256::new();
        let mut left = *size;
        while left > 0 {
            let mut chunk = vec![0; CHUNK.min(usize::try_from(left).unwrap_or(CHUNK))];
            file.read_exact(&mut chunk).map_err(|e| match e.kind() {
                std::io::ErrorKind::UnexpectedEof => changed(),
                _ => failed(e),
            })?;
            hasher.update(&chunk);
            left -= chunk.len() as u64;
            self.content.sent.fetch_add(chunk.len() as u64, Ordering::Relaxed);
            self.send_blocking(Packet { id, data: chunk, ..packet(PacketType::PacketData) })?;
        }
        if file.read(&mut [0]).map_err(failed)? > 0 || Digest::from_bytes(&hasher.finalize()) != *digest {
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
fn stat(entry: &TreeEntry) -> Stat {
    let (kind, mode, size, link) = match &entry.node {
        Node::File { executable: true, size, .. } => (EntryKind::File, 0o755, *size, ""),
        Node::File { executable: false, size, .. } => (EntryKind::File, 0o644, *size, ""),
        Node::Dir => (EntryKind::Dir, 0o755, 0, ""),
        Node::Link { target } => (EntryKind::Link, 0o777, 0, target.as_str()),
    };
    Stat {
        path: entry.path.clone(),
        mode: to_go(kind, mode),
        size: i64::try_from(size).unwrap_or(i64::MAX),
        mod_time: time(entry),
        linkname: link.to_owned(),
        ..Default::default()
    }
}

/// A file's own seconds, which are all that a layer keeps of a time; in place
/// of the nanoseconds stands what only this content has.
fn time(entry: &TreeEntry) -> i64 {
    const SECOND: i64 = 1_000_000_000;
    let Node::File { digest, .. } = &entry.node else { return entry.mtime_ns };
    let content = u64::from_str_radix(digest.first(16), 16).expect("a digest is hex digits");
    let within = i64::try_from(content % SECOND.unsigned_abs()).expect("less than a second");
    entry.mtime_ns.div_euclid(SECOND).saturating_mul(SECOND).saturating_add(within)
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
    use crate::dockerfile::context::{HashCache, scan_with};
    use crate::dockerfile::ignore::Ignore;
    use crate::registry::credentials::Credentials;

    use super::*;

    fn sender(root: &std::path::Path) -> (Sender, mpsc::Receiver<Result<Packet, Status>>) {
        let context = Context {
            id: "c".into(),
            root: root.to_owned(),
            ignore: Ignore::default(),
            readable: [".".into()].into(),
        };
        let (out, packets) = mpsc::channel(AHEAD);
        let content = Arc::new(SessionContent::new(Credentials::default()));
        let files = Arc::new(scan_with(&context, &HashCache::default()).unwrap());
        (Sender { content, context: Arc::new(context), files, out }, packets)
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
        assert!(sender.send_file(0).is_ok());
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
            sender.files.entries().iter().map(|entry| stat(entry).mode & 0o7777).collect::<Vec<_>>()
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
        for content in ["longer", "two"] {
            std::fs::write(&path, content).unwrap();
            assert_eq!(failure(sender.send_file(0)), "`f` changed after it was hashed for this build");
        }
        std::fs::remove_file(&path).unwrap();
        assert_eq!(failure(sender.send_file(0)), "`f` changed while it was read");
        std::os::unix::fs::symlink("/etc/passwd", &path).unwrap();
        assert_eq!(failure(sender.send_file(0)), "`f` changed while it was read");
        assert_eq!(failure(sender.send_file(1)), "BuildKit asks for entry 1, which is no file");
    }

    #[test]
    fn other_content_of_one_size_and_time_is_sent_with_another_time_within_the_same_second() {
        use std::time::{Duration, UNIX_EPOCH};
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        let time_of = |content: &str, time| {
            std::fs::write(&path, content).unwrap();
            std::fs::File::options().write(true).open(&path).unwrap().set_modified(time).unwrap();
            stat(&sender(dir.path()).0.files.entries()[0]).mod_time
        };
        for (time, second) in [
            (UNIX_EPOCH + Duration::new(1_704_067_200, 0), 1_704_067_200),
            (UNIX_EPOCH - Duration::new(0, 1), -1),
        ] {
            let one = time_of("1.2.3", time);
            let other = time_of("1.2.4", time);
            assert_eq!([one, other].map(|ns| ns.div_euclid(1_000_000_000)), [second; 2]);
            assert_ne!(one, other);
            assert_eq!(time_of("1.2.3", time), one);
        }
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
