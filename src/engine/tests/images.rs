//! What tests with an engine share: its address, and images of a test's own
//! that go when it ends.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::engine::address::Address;
use crate::model::names::ImageId;
use crate::model::reference::Reference;

/// The engine to test against: `DOCKER_HOST`, or the local socket.
#[expect(clippy::disallowed_methods, reason = "tests are told by the environment which engine to use")]
pub(crate) fn address() -> Address {
    match std::env::var("DOCKER_HOST") {
        Ok(host) if !host.is_empty() => Address::parse(&host, None).expect("DOCKER_HOST is an address"),
        _ => Address::local(),
    }
}

/// Images of one test, removed when it ends.
pub(crate) struct Images {
    prefix: String,
    made: std::sync::Mutex<Vec<String>>,
}

impl Images {
    /// `name` tells this test's images from those of all others.
    pub(crate) fn new(name: &str) -> Self {
        Self { prefix: format!("bk-test-{name}-{}", std::process::id()), made: std::sync::Mutex::default() }
    }

    /// Removes this image, too, in the end.
    pub(crate) fn keep(&self, id: ImageId) -> ImageId {
        self.made.lock().unwrap().push(id.to_string());
        id
    }

    /// A small base with a shell, named `<prefix>:base`.
    pub(crate) fn base(&self) -> Reference {
        self.base_with(|_| {})
    }

    /// The same with files added to its root.
    pub(crate) fn base_with(&self, add: impl FnOnce(&Path)) -> Reference {
        let root = tempfile::tempdir().expect("a folder");
        fill(root.path());
        add(root.path());
        let name = format!("{}:base", self.prefix);
        let mut tar = Command::new("tar")
            .args(["--owner=0", "--group=0", "--mtime=@1000000000", "-c", "-C"])
            .arg(root.path())
            .arg(".")
            .stdout(Stdio::piped())
            .spawn()
            .expect("tar is installed");
        let status = Command::new("docker")
            .args(["import", "--change", "ENV PATH=/bin", "--change", "LABEL ds01.user=somebody kept=yes"])
            .args(["-", &name])
            .stdin(tar.stdout.take().expect("piped"))
            .stdout(Stdio::null())
            .status()
            .expect("docker is installed");
        assert!(status.success() && tar.wait().expect("tar ran").success());
        self.made.lock().unwrap().push(name.clone());
        Reference::parse(&name).expect("a reference")
    }
}

impl Drop for Images {
    fn drop(&mut self) {
        // Children before what they are based on.
        for image in self.made.get_mut().unwrap().iter().rev() {
            let _ = Command::new("docker").args(["image", "rm", "--force", image]).output();
        }
    }
}

fn fill(root: &Path) {
    for folder in ["bin", "etc/skel", "home", "root", "tmp", "proc", "sys", "dev"] {
        std::fs::create_dir_all(root.join(folder)).expect("a folder");
    }
    std::fs::copy("/bin/busybox", root.join("bin/busybox")).expect("busybox-static is installed");
    for name in ["sh", "cat", "ls", "sleep", "stat", "touch", "test", "env", "echo", "id", "cp", "true"] {
        std::os::unix::fs::symlink("busybox", root.join("bin").join(name)).expect("a link");
    }
    for (path, text) in [
        ("etc/passwd", "root:x:0:0:root:/root:/bin/sh\n"),
        ("etc/group", "root:x:0:\nstudent:x:2000:\n"),
        ("etc/shadow", "root:*:19000:0:99999:7:::\n"),
        ("etc/skel/.profile", "umask 022\n"),
    ] {
        std::fs::write(root.join(path), text).expect("a file");
    }
}
