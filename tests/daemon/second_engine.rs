//! An engine of a test's own with an empty store, as a CI machine has one. It
//! shares nothing with the first: folders, socket, bridge are its own, and all
//! of it is gone when it is dropped.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;

/// How an engine grants GPUs. None of the ways attaches anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gpus {
    None,
    /// It has NVIDIA's driver, as with the toolkit installed.
    Driver,
    /// It has a runtime by NVIDIA's name, and no driver.
    Runtime,
}

pub struct SecondEngine {
    folder: tempfile::TempDir,
    server: Child,
    bridge: String,
}

impl SecondEngine {
    pub fn start() -> Self {
        Self::with_driver("vfs").unwrap_or_else(|log| panic!("the second engine did not start:\n{log}"))
    }

    /// One that stores layers by this driver; its log, if it does not start.
    pub fn with_driver(driver: &str) -> Result<Self, String> {
        Self::with(driver, Gpus::None)
    }

    /// One that grants GPUs in this way.
    pub fn with(driver: &str, gpus: Gpus) -> Result<Self, String> {
        let folder = tempfile::tempdir().unwrap();
        let bridge = bridge();
        let at = |name: &str| folder.path().join(name);
        // Without a bridge of its own it would take the first engine's away.
        let config = json!({
            "bridge": bridge, "iptables": false, "ip-forward": false, "ip-masq": false,
            "storage-driver": driver, "data-root": at("data"), "exec-root": at("exec"),
            "pidfile": at("pid"), "hosts": [format!("unix://{}", at("sock").display())],
            "max-concurrent-uploads": 2,
            "runtimes": if gpus == Gpus::Runtime { json!({"nvidia": {"path": "runc"}}) } else { json!({}) }
        });
        #[expect(
            clippy::disallowed_methods,
            reason = "a server that finds a program before those that are there"
        )]
        let mut path = std::env::var("PATH").unwrap_or_default();
        if gpus == Gpus::Driver {
            // What makes an engine register its driver, and what containers call.
            let hook = at("bin/nvidia-container-runtime-hook");
            std::fs::create_dir(at("bin")).unwrap();
            std::fs::write(&hook, "#!/bin/sh\nexit 0\n").unwrap();
            std::fs::set_permissions(&hook, std::fs::Permissions::from_mode(0o755)).unwrap();
            path = format!("{}:{path}", at("bin").display());
        }
        std::fs::write(at("daemon.json"), config.to_string()).unwrap();
        let log = std::fs::File::create(at("log")).unwrap();
        let server = Command::new("dockerd")
            .env("PATH", path)
            .arg("--config-file")
            .arg(at("daemon.json"))
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .expect("dockerd is installed");
        let mut engine = Self { folder, server, bridge };
        engine.wait()?;
        Ok(engine)
    }

    /// For `--engine` and `DOCKER_HOST`.
    pub fn url(&self) -> String {
        format!("unix://{}", self.socket().display())
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("sock")
    }

    /// Runs Docker's own client on it; its output without the last newline.
    pub fn docker(&self, args: &[&str]) -> String {
        let output = Command::new("docker").args(["--host", &self.url()]).args(args).output().unwrap();
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
    }

    /// Gives it an image of the first engine.
    pub fn copy(&self, image: &str) {
        let mut save = Command::new("docker").args(["save", image]).stdout(Stdio::piped()).spawn().unwrap();
        let load = Command::new("docker")
            .args(["--host", &self.url(), "load"])
            .stdin(save.stdout.take().unwrap())
            .output()
            .unwrap();
        assert!(load.status.success(), "{}", String::from_utf8_lossy(&load.stderr));
        assert!(save.wait().unwrap().success());
    }

    /// Everything that it has, as `repository:tag`.
    pub fn images(&self) -> Vec<String> {
        let images = self.docker(&["images", "--format", "{{.Repository}}:{{.Tag}}"]);
        images.lines().map(str::to_owned).collect()
    }

    fn wait(&mut self) -> Result<(), String> {
        let end = Instant::now() + Duration::from_secs(60);
        loop {
            let answer = Command::new("docker").args(["--host", &self.url(), "version"]).output().unwrap();
            if answer.status.success() {
                return Ok(());
            }
            let ended = self.server.try_wait().unwrap();
            if ended.is_some() || Instant::now() > end {
                return Err(std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default());
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

impl Drop for SecondEngine {
    fn drop(&mut self) {
        let pid = rustix::process::Pid::from_child(&self.server);
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        let end = Instant::now() + Duration::from_secs(15);
        while Instant::now() < end && matches!(self.server.try_wait(), Ok(None)) {
            std::thread::sleep(Duration::from_millis(50));
        }
        let _ = self.server.kill();
        let _ = self.server.wait();
        let _ = Command::new("ip").args(["link", "delete", &self.bridge]).output();
    }
}

/// A bridge that no other test has.
fn bridge() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    for _ in 0..50 {
        let n = (std::process::id() + 7919 * NEXT.fetch_add(1, Ordering::Relaxed)) % 60_000;
        let name = format!("ds01t{n}");
        if !ip(&["link", "add", &name, "type", "bridge"]) {
            continue;
        }
        let address = format!("10.{}.{}.1/24", 200 + n / 256 % 50, n % 256);
        assert!(ip(&["address", "add", &address, "dev", &name]) && ip(&["link", "set", &name, "up"]));
        return name;
    }
    panic!("no bridge could be made");
}

fn ip(args: &[&str]) -> bool {
    Command::new("ip").args(args).output().unwrap().status.success()
}
