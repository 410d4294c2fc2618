//! Who holds a file lock, as the kernel reports it.

use std::fmt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// A process that holds a lock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LockHolder {
    pub(crate) pid: u32,
    /// `None`: gone by now, or not to be seen by this user.
    pub(crate) uid: Option<u32>,
    /// Its command line, likewise.
    pub(crate) command: Option<String>,
}

impl fmt::Display for LockHolder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "process {}", self.pid)?;
        match &self.command {
            Some(command) => write!(f, " (`{command}`)"),
            None => Ok(()),
        }
    }
}

/// Longest part of a command line that is shown.
const LONGEST_COMMAND: usize = 120;

/// Who holds the lock on this file now.
pub(crate) fn of(path: &Path) -> Option<LockHolder> {
    let file = std::fs::metadata(path).ok()?;
    let device = (rustix::fs::major(file.dev()), rustix::fs::minor(file.dev()));
    let pid = pid_in(&std::fs::read_to_string("/proc/locks").ok()?, device, file.ino())?;
    let process = Path::new("/proc").join(pid.to_string());
    let command = std::fs::read(process.join("cmdline")).ok().map(|words| shown(&words));
    Some(LockHolder {
        pid,
        uid: std::fs::metadata(&process).ok().map(|process| process.uid()),
        command: command.filter(|command| !command.is_empty()),
    })
}

/// A line is `1: FLOCK  ADVISORY  WRITE 711 fe:00:131 0 EOF`; those that wait
/// have `->` after the number. A process of another namespace has no number.
/// Some file systems count as another device here than where files are
/// read, so that a lone lock on a file of that number is taken for it.
fn pid_in(locks: &str, device: (u32, u32), inode: u64) -> Option<u32> {
    let held = locks.lines().filter_map(|line| {
        let words: Vec<_> = line.split_whitespace().collect();
        let [_, "FLOCK", _, "WRITE", pid, file, ..] = words[..] else { return None };
        let (place, number) = file.rsplit_once(':')?;
        let pid = pid.parse::<u32>().ok().filter(|pid| *pid > 0)?;
        (number.parse() == Ok(inode)).then(|| (place.to_owned(), pid))
    });
    let held: Vec<_> = held.collect();
    let here = format!("{:02x}:{:02x}", device.0, device.1);
    match held.iter().find(|(place, _)| *place == here) {
        Some((_, pid)) => Some(*pid),
        None => held.first().filter(|_| held.len() == 1).map(|(_, pid)| *pid),
    }
}

fn shown(words: &[u8]) -> String {
    let text = String::from_utf8_lossy(words).replace('\0', " ");
    let text: String = text.trim().chars().map(|c| if c.is_control() { '?' } else { c }).collect();
    match text.char_indices().nth(LONGEST_COMMAND) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOCKS: &str = "\
1: POSIX  ADVISORY  WRITE 600 fe:00:131 0 EOF
2: FLOCK  ADVISORY  WRITE 711 fe:00:131 0 EOF
2: -> FLOCK  ADVISORY  WRITE 712 fe:00:131 0 EOF
3: FLOCK  ADVISORY  WRITE 713 00:1a:131 0 EOF
4: FLOCK  ADVISORY  WRITE 0 00:1a:132 0 EOF
5: FLOCK  ADVISORY  READ  715 00:1a:133 0 EOF
6: FLOCK  ADVISORY  WRITE 716 00:2b:134 0 EOF
";

    #[test]
    fn the_holder_is_found_among_those_that_wait_and_other_files() {
        assert_eq!(pid_in(LOCKS, (0xfe, 0), 131), Some(711));
        assert_eq!(pid_in(LOCKS, (0, 0x1a), 131), Some(713));
        assert_eq!(pid_in(LOCKS, (0, 0x1b), 131), None, "two files of that number");
        assert_eq!(pid_in(LOCKS, (0, 0x1b), 134), Some(716));
        for inode in [132, 133, 135] {
            assert_eq!(pid_in(LOCKS, (0, 0x1a), inode), None, "{inode}");
        }
    }

    #[test]
    fn a_command_line_is_shown_safely_and_not_at_any_length() {
        assert_eq!(shown(b"ds01-build\0deploy\0a\x1bb\0"), "ds01-build deploy a?b");
        assert!(shown(&b"x".repeat(1000)).chars().count() == LONGEST_COMMAND + 1);
    }
}
