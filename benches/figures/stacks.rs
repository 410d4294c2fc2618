//! Stacks of images to measure on.

use std::fmt::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::base::{BASE, base};

pub const PROGRAM: &str = env!("CARGO_BIN_EXE_ds01-build");

/// Children of each image of a tree.
const WIDTH: usize = 7;

/// A folder with a spec; its images are removed when it is dropped.
pub struct Stack {
    dir: tempfile::TempDir,
    pub name: String,
    pub images: usize,
}

impl Stack {
    fn empty(name: &str, images: usize) -> Self {
        base();
        let name = format!("ds01-bench-{}-{name}", std::process::id());
        Self { dir: tempfile::tempdir().unwrap(), name, images }
    }

    /// A tree: each image FROM its parent, a COPY of `files` small files and a
    /// RUN of a busybox command.
    pub fn tree(name: &str, images: usize, files: usize) -> Self {
        let stack = Self::empty(name, images);
        let mut spec = stack.head();
        for at in 0..images {
            stack.declare(at, &mut spec);
            stack.write(
                &format!("images/i{at}/Dockerfile"),
                "ARG BASE_IMAGE\nFROM ${BASE_IMAGE}\nCOPY files /files\nRUN echo done > /done\n",
            );
            for file in 0..files {
                stack.write(&format!("images/i{at}/files/f{file}"), &format!("file {file} of image {at}\n"));
            }
        }
        stack.write("spec.yml", &spec);
        stack
    }

    /// Many images in one file, of declared packages, none of them built.
    pub fn synthetic(name: &str, images: usize) -> Self {
        let stack = Self::empty(name, images);
        let mut spec = stack.head();
        for at in 0..images {
            stack.declare(at, &mut spec);
            let _ = writeln!(spec, "    packages: {{pip: [\"package-{at}>=1.{at},<2\"]}}");
        }
        stack.write("spec.yml", &spec);
        stack
    }

    fn head(&self) -> String {
        format!("version: 1\ntag: {{prefix: \"b\"}}\nbases:\n  busybox: {{image: \"{BASE}\"}}\nimages:\n")
    }

    /// An image of the tree, but for what it is made from.
    fn declare(&self, at: usize, spec: &mut String) {
        let below = parent(at).map_or("base: busybox".to_owned(), |parent| format!("depend_on: i{parent}"));
        let _ = writeln!(spec, "  i{at}:\n    image_name: {}\n    {below}", self.repository(at));
    }

    pub fn repository(&self, at: usize) -> String {
        format!("{}/i{at}", self.name)
    }

    /// The last image of a tree, on which nothing stands.
    pub fn leaf(&self) -> usize {
        self.images - 1
    }

    pub fn root(&self) -> &Path {
        self.dir.path()
    }

    pub fn write(&self, path: &str, text: &str) {
        let path = self.root().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    /// The program on this stack.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(PROGRAM);
        command
            .current_dir(self.root())
            .args(args)
            .env("XDG_STATE_HOME", self.root().join(".state"))
            .env("XDG_CACHE_HOME", self.root().join(".cache"))
            .env("DS01_BRANCH", "main")
            .stdin(Stdio::null());
        command
    }

    /// Milliseconds of an image's last try, as its records have it: its lock,
    /// solve, checks and tag.
    pub fn last_try_ms(&self, at: usize) -> f64 {
        let mut list = Command::new("find");
        list.arg(self.root().join(".cache/ds01-build/records")).args(["-path", &format!("*i{at}@*.json")]);
        let found = String::from_utf8(list.output().unwrap().stdout).unwrap();
        // Sorted by name they are sorted by time.
        let last = found.lines().max().unwrap_or_else(|| panic!("no record of i{at}"));
        let record: serde_json::Value = serde_json::from_slice(&std::fs::read(last).unwrap()).unwrap();
        record["took_ms"].as_f64().unwrap()
    }

    /// Builds what is out of date.
    pub fn build(&self, args: &[&str]) {
        let output = self.command(&[&["build", "--progress", "quiet"], args].concat()).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}

/// The image that one of a tree is based on.
pub fn parent(at: usize) -> Option<usize> {
    at.checked_sub(1).map(|at| at / WIDTH)
}

impl Drop for Stack {
    fn drop(&mut self) {
        let list =
            Command::new("docker").args(["images", "--format", "{{.Repository}}:{{.Tag}}"]).output().unwrap();
        let list = String::from_utf8(list.stdout).unwrap();
        let mine: Vec<_> = list.lines().filter(|name| name.starts_with(&format!("{}/", self.name))).collect();
        for names in mine.chunks(100) {
            let _ = Command::new("docker").args(["rmi", "-f"]).args(names).output();
        }
    }
}
