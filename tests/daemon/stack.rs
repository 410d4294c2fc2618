//! A stack of images in a folder of its own, built by the real program on the
//! real engine. Names hold the process id and a counter, so tests run side by
//! side; what a stack made is removed when it is dropped.
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::Value;

pub use crate::base::{BASE, base, image_id};
use crate::client::docker;

pub struct Stack {
    pub dir: tempfile::TempDir,
    pub id: String,
}

impl Stack {
    /// An empty folder, with the shared base on the engine.
    pub fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        base();
        let id = format!("t{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        Self { dir: tempfile::tempdir().unwrap(), id }
    }

    pub fn root(&self) -> &Path {
        self.dir.path()
    }

    /// Writes a file, making its folders.
    pub fn write(&self, path: &str, text: impl AsRef<[u8]>) -> &Self {
        let path = self.root().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
        self
    }

    /// The repository of a shared image of this stack.
    pub fn repository(&self, image: &str) -> String {
        format!("ds01-test-{}/{image}", self.id)
    }

    /// A spec whose images are given as the lines below `images:`; `NAME:`
    /// lines need no `image_name`, the registry keeps stacks apart.
    pub fn spec(&self, images: &str) -> &Self {
        self.spec_with(images, "")
    }

    pub fn spec_with(&self, images: &str, rest: &str) -> &Self {
        let mut text = String::from("version: 1\ntag: {prefix: \"t\"}\nbases:\n");
        text += &format!("  busybox: {{image: \"{BASE}\"}}\nimages:\n");
        for line in images.lines() {
            text += &format!("  {line}\n");
            if let Some(name) = line.strip_suffix(':').filter(|n| !n.starts_with(' ')) {
                text += &format!("    image_name: {}\n", self.repository(name));
            }
        }
        self.write("spec.yml", text + rest)
    }

    /// A project `p<id>` of a user of this stack, on a shared image.
    pub fn project(&self, image: &str, more: &str) -> Person {
        let (login, name) = (format!("a.{}@example.org", self.id), format!("p{}", self.id));
        let spec = std::fs::read_to_string(self.root().join("spec.yml")).unwrap();
        let users = format!(
            "include: [projects/*.yml]\nusers:\n  \"{login}\": {{uid: 1722830498, gid: 1722830498}}\n"
        );
        self.write("spec.yml", spec + &users);
        self.write("projects/one.yml", format!("{name}:\n  user: \"{login}\"\n  image: {image}\n{more}"));
        Person {
            account: format!("a-{}", self.id),
            image: format!("ds01-1722830498/{name}:latest"),
            container: format!("{name}._.1722830498"),
            login,
            project: name,
        }
    }

    /// The program, set to this stack, without a terminal.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ds01-build"));
        command
            .current_dir(self.root())
            .args(args)
            .env("XDG_STATE_HOME", self.root().join(".state"))
            .env("XDG_CACHE_HOME", self.root().join(".cache"))
            .env("DS01_BRANCH", "main")
            .env("NO_COLOR", "1")
            .stdin(Stdio::null());
        command
    }

    /// Runs to the end.
    pub fn run(&self, args: &[&str]) -> Run {
        Run(self.command(args).output().unwrap())
    }

    /// Starts in the background with pipes.
    pub fn start(&self, args: &[&str]) -> Child {
        self.command(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    /// `build --progress json` and its events.
    pub fn build(&self, args: &[&str]) -> Run {
        self.run(&[&["build", "--progress", "json"], args].concat())
    }
}

/// A project and whose it is.
pub struct Person {
    pub login: String,
    pub account: String,
    pub project: String,
    pub image: String,
    pub container: String,
}

impl Drop for Stack {
    fn drop(&mut self) {
        for name in docker(&["ps", "-a", "--format", "{{.Names}}"]).lines().filter(|n| n.contains(&self.id)) {
            let _ = Command::new("docker").args(["rm", "-f", name]).output();
        }
        let names = docker(&["images", "--format", "{{.Repository}}:{{.Tag}}"]);
        // Projects of a stack have its id in their name.
        let mine =
            |name: &&str| name.contains(&format!("{}/", self.id)) || name.contains(&format!("{}:", self.id));
        for name in names.lines().filter(mine) {
            let _ = Command::new("docker").args(["rmi", "-f", name]).output();
        }
    }
}

/// A run of the program that has ended.
pub struct Run(pub Output);

impl Run {
    pub fn code(&self) -> i32 {
        self.0.status.code().expect("ended by itself")
    }

    pub fn out(&self) -> String {
        String::from_utf8_lossy(&self.0.stdout).into_owned()
    }

    pub fn err(&self) -> String {
        String::from_utf8_lossy(&self.0.stderr).into_owned()
    }

    /// Fails the test with all output unless the run ended with this code.
    #[track_caller]
    pub fn expect(self, code: i32) -> Self {
        assert_eq!(self.code(), code, "\n--- stdout\n{}\n--- stderr\n{}", self.out(), self.err());
        self
    }

    /// The events of a `--progress json` run.
    pub fn events(&self) -> Vec<Value> {
        self.out().lines().map(|line| serde_json::from_str(line).expect(line)).collect()
    }

    /// Images in the order in which they ended, with how.
    pub fn ended(&self) -> Vec<(String, String)> {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        self.events()
            .iter()
            .filter(|e| e["event"] == "image_finished")
            .map(|e| (text(&e["image"]), text(&e["outcome"]["outcome"])))
            .collect()
    }

    /// Names of images that ended as `built`, in order.
    pub fn built(&self) -> Vec<String> {
        self.ended().into_iter().filter(|(_, how)| how == "built").map(|(name, _)| name).collect()
    }

    /// Bytes that the engine asked for from build contexts.
    pub fn context_bytes(&self) -> u64 {
        let mut most = std::collections::BTreeMap::new();
        for event in self.events().iter().filter(|e| e["event"] == "transfer") {
            if event["what"].as_str().is_some_and(|w| w.starts_with("transferring ")) {
                let seen: &mut u64 = most.entry(event["step"].to_string()).or_default();
                *seen = (*seen).max(event["current"].as_u64().unwrap());
            }
        }
        most.values().sum()
    }
}
