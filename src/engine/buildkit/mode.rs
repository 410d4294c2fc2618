//! File modes as Go writes them: the permission bits are Unix's, kind and
//! special bits are at places of their own (Go's `io/fs.FileMode`).

use crate::dockerfile::context::EntryKind;

const DIR: u32 = 1 << 31;
const SYMLINK: u32 = 1 << 27;
const DEVICE: u32 = 1 << 26;
const PIPE: u32 = 1 << 25;
const SOCKET: u32 = 1 << 24;
const CHAR_DEVICE: u32 = 1 << 21;
const IRREGULAR: u32 = 1 << 19;
const SPECIAL: [(u32, u32); 3] = [(1 << 23, 0o4000), (1 << 22, 0o2000), (1 << 20, 0o1000)];

/// A mode to send; `mode` holds Unix's twelve bits.
pub(super) fn to_go(kind: EntryKind, mode: u32) -> u32 {
    let kind = match kind {
        EntryKind::File => 0,
        EntryKind::Dir => DIR,
        EntryKind::Link => SYMLINK,
    };
    SPECIAL.iter().filter(|(_, unix)| mode & unix != 0).fold(kind | (mode & 0o777), |m, (go, _)| m | go)
}

/// Kind and Unix's twelve bits of a mode that was received; `None` for
/// devices, pipes and sockets.
pub(super) fn from_go(mode: u32) -> (Option<EntryKind>, u32) {
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
    use super::*;

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
                assert_eq!(from_go(to_go(kind, mode)), (Some(kind), mode));
            }
        }
        assert_eq!(from_go(DEVICE | CHAR_DEVICE | 0o666), (None, 0o666));
    }
}
