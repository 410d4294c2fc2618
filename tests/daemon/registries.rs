//! Registries of a test's own on loopback, which engines trust without TLS.
//! Each has a port and a folder to itself; both are gone when it is dropped.
use std::ffi::OsString;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Who may push and pull at a registry `with_login`: `ada` with `secret-9f2`,
/// as htpasswd keeps it.
const HTPASSWD: &str = "ada:$2b$04$fR1Zi.8W8gViqTFKKMUXdessV/cF3addECBtY2HAP6.p4/Cj5Byxi\n";
/// The same as it stands in Docker's `config.json`.
const AUTH: &str = "YWRhOnNlY3JldC05ZjI=";

pub struct Registry {
    /// `127.0.0.1:PORT`.
    pub host: String,
    server: Child,
    folder: tempfile::TempDir,
}

impl Registry {
    /// One that lets everybody push and pull.
    pub fn start() -> Self {
        Self::serve("")
    }

    /// One that asks for a name and a password (Basic); `docker_config` has them.
    pub fn with_login() -> Self {
        Self::serve("auth: {htpasswd: {realm: test, path: htpasswd}}\n")
    }

    fn serve(auth: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("htpasswd"), HTPASSWD).unwrap();
        // Another process may take the port between its choice and its use.
        for _ in 0..5 {
            let port = free_port();
            let host = format!("127.0.0.1:{port}");
            write_config(folder.path(), &host, auth);
            let mut server = start(folder.path());
            if answers(&mut server, port) {
                return Self { host, server, folder };
            }
        }
        let log = std::fs::read_to_string(folder.path().join("log")).unwrap_or_default();
        panic!("docker-registry did not start:\n{log}");
    }

    /// A repository's name within this registry.
    pub fn repository(&self, name: &str) -> String {
        format!("{}/{name}", self.host)
    }

    /// A folder for `DOCKER_CONFIG` whose `config.json` logs in here.
    pub fn docker_config(&self) -> PathBuf {
        let folder = self.folder.path().join("docker");
        std::fs::create_dir_all(&folder).unwrap();
        let config = serde_json::json!({"auths": {&self.host: {"auth": AUTH}}});
        std::fs::write(folder.join("config.json"), config.to_string()).unwrap();
        folder
    }

    /// Connections that are open to it now.
    pub fn connections(&self) -> usize {
        let port: u16 = self.host.rsplit(':').next().unwrap().parse().unwrap();
        let (local, established) = (format!(":{port:04X}"), "01");
        let table = std::fs::read_to_string("/proc/net/tcp").unwrap()
            + &std::fs::read_to_string("/proc/net/tcp6").unwrap_or_default();
        let rows = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
        rows.filter(|row| row[1].ends_with(&local) && row[3] == established).count()
    }

    /// Ends it, as a registry that is down; what it has is kept.
    pub fn stop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        self.stop();
    }
}

fn write_config(folder: &Path, host: &str, auth: &str) {
    let config = format!(
        "version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: data}}, delete: {{enabled: true}}}}\n\
         http: {{addr: \"{host}\"}}\n{auth}"
    );
    std::fs::write(folder.join("config.yml"), config).unwrap();
}

#[expect(clippy::disallowed_methods, reason = "tests are told by the environment which registry to start")]
fn start(folder: &Path) -> Child {
    let program = std::env::var_os("DS01_TEST_REGISTRY").unwrap_or_else(|| OsString::from("docker-registry"));
    let log = std::fs::File::create(folder.join("log")).unwrap();
    let mut command = Command::new(&program);
    command.args(["serve", "config.yml"]).current_dir(folder).stdin(Stdio::null());
    command.stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap_or_else(|error| {
        panic!(
            "cannot start {}: {error}. Run `scripts/test`, which gets it, or set DS01_TEST_REGISTRY to \
             the program docker-registry of Debian's package",
            program.display()
        )
    })
}

fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port()
}

/// Waits until it listens; `false`: it ended instead.
fn answers(server: &mut Child, port: u16) -> bool {
    let end = Instant::now() + Duration::from_secs(20);
    while Instant::now() < end {
        if server.try_wait().unwrap().is_some() {
            return false;
        }
        if TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok() {
            // On a clash another process answers, while ours is about to end.
            std::thread::sleep(Duration::from_millis(50));
            return server.try_wait().unwrap().is_none();
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    let _ = server.kill();
    let _ = server.wait();
    false
}
