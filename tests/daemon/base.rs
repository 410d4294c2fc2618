//! A base that is there without any registry: busybox, packed and imported.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

/// A busybox image that every test program shares; 2 MB.
pub const BASE: &str = "ds01-test/busybox:1";

/// The id of an image by name; `None`: there is none.
pub fn image_id(name: &str) -> Option<String> {
    let output = Command::new("docker").args(["image", "inspect", "-f", "{{.Id}}", name]).output().unwrap();
    output.status.success().then(|| String::from_utf8(output.stdout).unwrap().trim().to_owned())
}

/// Makes the shared base unless it is there.
pub fn base() {
    static ONCE: OnceLock<()> = OnceLock::new();
    ONCE.get_or_init(|| {
        // Test programs run at the same time; one of them makes it.
        let lock = std::fs::File::create(std::env::temp_dir().join("ds01-test-base.lock")).unwrap();
        lock.lock().unwrap();
        if image_id(BASE).is_none() {
            make_base();
        }
    });
}

fn make_base() {
    let root = tempfile::tempdir().unwrap();
    let at = |path: &str| -> PathBuf { root.path().join(path) };
    for dir in ["bin", "etc", "tmp", "home", "root"] {
        std::fs::create_dir_all(at(dir)).unwrap();
    }
    std::fs::copy("/bin/busybox", at("bin/busybox")).expect("the package busybox-static is installed");
    let applets = Command::new("/bin/busybox").arg("--list").output().unwrap();
    for applet in String::from_utf8(applets.stdout).unwrap().lines().filter(|a| *a != "busybox") {
        std::os::unix::fs::symlink("busybox", at("bin").join(applet)).unwrap();
    }
    std::fs::write(at("etc/passwd"), "root:x:0:0:root:/root:/bin/sh\n").unwrap();
    std::fs::write(at("etc/group"), "root:x:0:\n").unwrap();
    let mut tar = Command::new("tar")
        .args(["-C", root.path().to_str().unwrap(), "--owner=0", "--group=0", "-cf", "-", "."])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let import = Command::new("docker")
        .args(["import", "--change", "ENV PATH=/bin", "--change", "CMD [\"sh\"]", "-", BASE])
        .stdin(tar.stdout.take().unwrap())
        .output()
        .unwrap();
    assert!(import.status.success(), "{}", String::from_utf8_lossy(&import.stderr));
    assert!(tar.wait().unwrap().success());
}
