//! `jupyter: true`, with the real JupyterLab: its server asks for a token
//! whatever the image's other settings say, and its kernel is the project's.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::client::docker;
use crate::stack::Stack;

const CA: &str = "/etc/ssl/certs/ca-certificates.crt";

/// What a base may bring along: a server that lets everybody in.
const OPEN: &str = "FROM ds01-quickstart/debian:bookworm
RUN mkdir -p /etc/jupyter /usr/local/etc/jupyter \\
    && echo \"c.IdentityProvider.token = ''; c.ServerApp.token = ''\" > /etc/jupyter/jupyter_server_config.py \\
    && cp /etc/jupyter/jupyter_server_config.py /etc/jupyter/jupyter_lab_config.py \\
    && echo '{\"IdentityProvider\": {\"token\": \"\"}}' > /usr/local/etc/jupyter/jupyter_lab_config.json
";

/// The status of an answer from outside the container; `None`: nobody there.
fn status(address: &str, path: &str) -> Option<u16> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let host = address.split(':').next().unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").ok()?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).ok()?;
    String::from_utf8_lossy(&answer).split(' ').nth(1)?.parse().ok()
}

fn wait<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(start.elapsed() < Duration::from_secs(180), "waited too long for {what}");
        std::thread::sleep(Duration::from_millis(300));
    }
}

/// The output of a command in a container.
fn within(container: &str, command: &[&str]) -> String {
    docker(&[&["exec", container], command].concat())
}

#[test]
fn jupyterlab_asks_for_a_token_on_any_base_and_runs_cells_in_the_projects_kernel() {
    let stack = Stack::new();
    stack.write("images/open/Dockerfile", OPEN).spec("open:");
    let person = stack.project("open", "  jupyter: true\n");
    stack.build(&["--ca-bundle", CA]).expect(0);

    let container = format!("{}-jupyter", stack.id);
    // An empty token from the environment opens nothing either.
    docker(&["run", "-d", "--name", &container, "-e", "JUPYTER_TOKEN=", &person.image, "jupyter", "lab"]);
    let ip = docker(&["inspect", "-f", "{{.NetworkSettings.IPAddress}}", &container]);
    let address = format!("{}:8888", ip.trim());
    let first = wait("the server", || {
        let state = docker(&["inspect", "-f", "{{.State.Running}}", &container]);
        assert!(state.contains("true"), "{}", docker(&["logs", &container]));
        status(&address, "/api/contents")
    });
    assert_eq!(first, 403);
    for closed in ["/api/contents?token=", "/api/contents?token=wrong", "/api/kernelspecs", "/api/terminals"]
    {
        assert_eq!(status(&address, closed), Some(403), "{closed}");
    }
    let listed = within(&container, &["jupyter", "server", "list", "--json"]);
    let listed: Value = serde_json::from_str(listed.lines().next().unwrap()).unwrap();
    let token = listed["token"].as_str().unwrap();
    assert!(token.len() >= 32 && listed["root_dir"] == "/workspace", "{listed}");
    assert_eq!(status(&address, &format!("/api/contents?token={token}")), Some(200));
    assert_eq!(status(&address, &format!("/lab?token={token}")), Some(200));
    // Whoever starts it is told the way in.
    let log = Command::new("docker").args(["logs", &container]).output().unwrap();
    assert!(String::from_utf8_lossy(&log.stderr).contains(&format!("lab?token={token}")));

    let kernels = within(&container, &["jupyter", "kernelspec", "list", "--json"]);
    let kernels: Value = serde_json::from_str(&kernels).unwrap();
    assert_eq!(kernels["kernelspecs"][&person.project]["spec"]["display_name"], person.project.as_str());
    let cell = format!(
        "from jupyter_client.manager import start_new_kernel
manager, client = start_new_kernel(kernel_name='{}', startup_timeout=120)
code = 'import os, getpass; print(6 * 7, os.getcwd(), getpass.getuser())'
reply = client.execute_interactive(code, timeout=120)
print(reply['content']['status'])
manager.shutdown_kernel(now=True)",
        person.project
    );
    let ran = within(&container, &["python3", "-c", &cell]);
    assert_eq!(ran.trim(), format!("42 /workspace {}\nok", person.account));

    // The given token is the one that counts; a start without one has another.
    let given = format!("{container}-given");
    docker(&[
        "run",
        "-d",
        "--name",
        &given,
        "-e",
        "JUPYTER_TOKEN=given-token-1",
        &person.image,
        "jupyter",
        "server",
    ]);
    let ip = docker(&["inspect", "-f", "{{.NetworkSettings.IPAddress}}", &given]);
    let address = format!("{}:8888", ip.trim());
    assert_eq!(wait("the second server", || status(&address, "/api/contents")), 403);
    assert_eq!(status(&address, "/api/contents?token=given-token-1"), Some(200));
    assert_eq!(status(&address, &format!("/api/contents?token={token}")), Some(403));

    // Without the home's settings this base does let everybody in.
    let bare = format!("{container}-bare");
    docker(&[
        "run",
        "-d",
        "--name",
        &bare,
        "-e",
        "HOME=/tmp",
        &person.image,
        "jupyter",
        "lab",
        "--ip",
        "0.0.0.0",
    ]);
    let ip = docker(&["inspect", "-f", "{{.NetworkSettings.IPAddress}}", &bare]);
    let address = format!("{}:8888", ip.trim());
    assert_eq!(wait("the open server", || status(&address, "/api/contents")), 200);
}
