//! A terminal for the program under test: a real pseudo-terminal, with
//! somebody at it who reads before they type.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::process::{Child, Command};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, Winsize, tcgetattr, tcsetwinsize};

/// Longest wait for anything, on a crowded machine.
const PATIENCE: Duration = Duration::from_secs(120);

pub struct Terminal {
    keyboard: File,
    screen: Arc<Mutex<Vec<u8>>>,
    child: Child,
    /// Bytes of the screen that were waited for already.
    seen: usize,
}

impl Terminal {
    /// Starts a command on a terminal of its own.
    pub fn start(mut command: Command) -> Self {
        let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        grantpt(&ours).unwrap();
        unlockpt(&ours).unwrap();
        let name = ptsname(&ours, Vec::new()).unwrap();
        let theirs = File::options().read(true).write(true).open(name.to_str().unwrap()).unwrap();
        tcsetwinsize(&theirs, Winsize { ws_row: 40, ws_col: 120, ws_xpixel: 0, ws_ypixel: 0 }).unwrap();
        let end = || std::process::Stdio::from(OwnedFd::from(theirs.try_clone().unwrap()));
        let (input, output, errors) = (end(), end(), end());
        let command =
            command.stdin(input).stdout(output).stderr(errors).env("TERM", "xterm").env_remove("CI");
        let child = command.spawn().unwrap();
        let keyboard = File::from(ours);
        let mut reader = keyboard.try_clone().unwrap();
        let screen = Arc::new(Mutex::new(Vec::new()));
        let shared = screen.clone();
        std::thread::spawn(move || {
            let mut piece = [0; 4096];
            // When the last other end is closed, reading fails.
            while let Ok(count @ 1..) = reader.read(&mut piece) {
                shared.lock().unwrap().extend_from_slice(&piece[..count]);
            }
        });
        Self { keyboard, screen, child, seen: 0 }
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.screen.lock().unwrap()).into_owned()
    }

    /// Waits until a text was written after the last one that was waited for.
    #[track_caller]
    pub fn reads(&mut self, text: &str) -> &mut Self {
        let began = Instant::now();
        loop {
            let screen = self.screen.lock().unwrap().clone();
            if let Some(at) = screen[self.seen..].windows(text.len()).position(|part| part == text.as_bytes())
            {
                self.seen += at + text.len();
                return self;
            }
            assert!(began.elapsed() < PATIENCE, "`{text}` never came:\n{}", self.text());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    pub fn types(&mut self, keys: &str) -> &mut Self {
        self.keyboard.write_all(keys.as_bytes()).unwrap();
        self
    }

    /// Ctrl-C, as a terminal in its usual mode sends it.
    pub fn interrupts(&self) {
        let id = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(id, rustix::process::Signal::INT).unwrap();
    }

    /// Somebody pulls at the window's corner.
    pub fn resizes(&self, columns: u16, rows: u16) {
        let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&self.keyboard, size).unwrap();
        // It is not the program's controlling terminal, so the kernel tells nobody.
        let id = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(id, rustix::process::Signal::WINCH).unwrap();
    }

    /// Whether keys are read, and not lines.
    pub fn is_raw(&self) -> bool {
        !tcgetattr(&self.keyboard).unwrap().local_modes.contains(LocalModes::ICANON)
    }

    /// Waits for the end: the exit code.
    #[track_caller]
    pub fn ends(&mut self) -> i32 {
        let began = Instant::now();
        while began.elapsed() < PATIENCE {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code().unwrap_or_else(|| panic!("{status}:\n{}", self.text()));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("it does not end:\n{}", self.text());
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
