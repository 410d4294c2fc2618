//! A site with its own index, mirror, proxy and certificates: packages come
//! from there, and nothing of it is in the image or in what is shown.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use crate::certificates::Authority;
use crate::client::docker;
use crate::stack::{Run, Stack};

const DEBIAN: &str = "ds01-quickstart/debian:bookworm";

/// Makes a wheel and a Debian repository of one package each, named `$1`.
const MAKE: &str = r#"
set -eu
cd /out && mkdir -p files debian/pool debian/dists/bookworm/main/binary-$(dpkg --print-architecture) root/usr/share root/DEBIAN
python3 - "$1" <<'PY'
import sys, zipfile
name = sys.argv[1]
info = f"{name}-1.0.dist-info"
files = {f"{name}.py": "x = 1\n", f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n",
         f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"}
files[f"{info}/RECORD"] = "".join(f"{path},,\n" for path in [*files, f"{info}/RECORD"])
with zipfile.ZipFile(f"files/{name}-1.0-py3-none-any.whl", "w") as wheel:
    for path, text in files.items():
        wheel.writestr(path, text)
PY
echo "$1" > root/usr/share/$1
printf 'Package: %s\nVersion: 1.0\nArchitecture: all\nMaintainer: T <t@example.org>\nDescription: t\n' $1 > root/DEBIAN/control
dpkg-deb --build root debian/pool/$1.deb >/dev/null
cd debian
sha() { sha256sum "$1" | cut -d' ' -f1; }
list=main/binary-$(dpkg --print-architecture)/Packages
{ cat ../root/DEBIAN/control
  printf 'Filename: pool/%s.deb\nSize: %s\nSHA256: %s\n' $1 $(stat -c %s pool/$1.deb) $(sha pool/$1.deb); } > dists/bookworm/$list
printf 'Suite: bookworm\nCodename: bookworm\nArchitectures: %s\nComponents: main\nDate: Sat, 01 Jan 2022 00:00:00 UTC\nSHA256:\n %s %s %s\n' \
  $(dpkg --print-architecture) $(sha dists/bookworm/$list) $(stat -c %s dists/bookworm/$list) $list > dists/bookworm/Release
rm -r ../root
"#;

/// One request: its path, and the two headers that carry credentials.
#[derive(Clone, Debug)]
struct Asked {
    path: String,
    login: Option<String>,
    proxy_login: Option<String>,
}

/// Index, mirror and proxy in one, on the bridge that steps can reach.
struct Site {
    address: String,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Site {
    fn new(files: BTreeMap<String, Vec<u8>>, login: &str) -> Self {
        let gateway = docker(&["network", "inspect", "bridge", "-f", "{{(index .IPAM.Config 0).Gateway}}"]);
        let gateway = if gateway.is_empty() { "172.17.0.1".to_owned() } else { gateway };
        let listener = TcpListener::bind((gateway.as_str(), 0)).unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let asked: Arc<Mutex<Vec<Asked>>> = Arc::default();
        let (kept, files) = (asked.clone(), Arc::new(files));
        let login = format!("Basic {}", BASE64_STANDARD.encode(login));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (kept, files, login) = (kept.clone(), files.clone(), login.clone());
                std::thread::spawn(move || answer(stream, &files, &login, &kept));
            }
        });
        Self { address, asked }
    }

    fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }
}

fn answer(mut stream: TcpStream, files: &BTreeMap<String, Vec<u8>>, login: &str, kept: &Mutex<Vec<Asked>>) {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read(&mut byte) {
            Ok(1) => head.push(byte[0]),
            _ => return,
        }
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let target = head.split(' ').nth(1).unwrap_or_default();
    // Proxies are asked for whole addresses.
    let path = target.split_once("://").map_or(target, |(_, rest)| &rest[rest.find('/').unwrap_or(0)..]);
    let header = |name: &str| {
        let line = head.lines().find(|line| line.to_ascii_lowercase().starts_with(&format!("{name}:")));
        line.map(|line| line[name.len() + 1..].trim().to_owned())
    };
    let asked = Asked {
        path: path.to_owned(),
        login: header("authorization"),
        proxy_login: header("proxy-authorization"),
    };
    let allowed = asked.login.as_deref() == Some(login);
    kept.lock().unwrap().push(asked);
    let (status, more, body) = match files.get(path) {
        _ if !allowed => ("401 Unauthorized", "WWW-Authenticate: Basic realm=\"site\"\r\n", &b"login"[..]),
        Some(body) => ("200 OK", "", body.as_slice()),
        None => ("404 Not Found", "", &b"none"[..]),
    };
    let kind = if path.starts_with("/simple/") { "text/html" } else { "application/octet-stream" };
    let head = format!(
        "HTTP/1.1 {status}\r\n{more}Content-Type: {kind}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    let _ = stream.write_all(head.as_bytes());
    let _ = stream.write_all(body);
}

/// All files below a folder, by path from it.
fn files(folder: &Path, below: &Path, found: &mut BTreeMap<String, Vec<u8>>) {
    for entry in std::fs::read_dir(folder.join(below)).unwrap() {
        let path = below.join(entry.unwrap().file_name());
        match folder.join(&path).is_dir() {
            true => files(folder, &path, found),
            false => {
                drop(found.insert(format!("/{}", path.display()), std::fs::read(folder.join(&path)).unwrap()))
            }
        }
    }
}

/// Those of some texts that are in an image: layers, config and history, byte
/// for byte.
fn saved(image: &str, texts: &[String]) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("image.tar");
    docker(&["save", "-o", path.to_str().unwrap(), image]);
    let mut grep = Command::new("grep");
    grep.args(["--text", "--only-matching", "--fixed-strings"]).env("LC_ALL", "C");
    for text in texts {
        grep.args(["-e", text]);
    }
    let output = grep.arg(&path).output().unwrap();
    assert!(output.status.code().unwrap() < 2, "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect()
}

fn holds(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

/// What a run showed and wrote.
fn told(run: &Run, stack: &Stack) -> Vec<u8> {
    let mut written = BTreeMap::new();
    for folder in [".state", ".cache"] {
        if stack.root().join(folder).is_dir() {
            files(stack.root(), Path::new(folder), &mut written);
        }
    }
    [run.out().into_bytes(), run.err().into_bytes()]
        .into_iter()
        .chain(written.into_values())
        .flatten()
        .collect()
}

#[test]
fn packages_of_a_site_leave_no_trace_of_its_secrets() {
    let stack = Stack::new();
    let name = format!("probe{}", stack.id.replace('-', "x"));
    let out = tempfile::tempdir().unwrap();
    let mount = format!("{}:/out", out.path().display());
    docker(&["run", "--rm", "-v", &mount, DEBIAN, "sh", "-c", MAKE, "make", &name]);
    let mut served = BTreeMap::new();
    files(out.path(), Path::new(""), &mut served);
    let wheel = format!("{name}-1.0-py3-none-any.whl");
    let index = format!("<a href=\"/files/{wheel}\">{wheel}</a>");
    served.insert(format!("/simple/{name}/"), index.into_bytes());

    let id = &stack.id;
    let (user, password) = (format!("jane-{id}"), format!("pw@{id}-site"));
    let (proxy_user, proxy_password) = (format!("prox-{id}"), format!("pp-{id}-proxy"));
    let site = Site::new(served, &format!("{user}:{password}"));
    let login = format!("{user}:{}", password.replace('@', "%40"));
    let authority = stack.root().join("ca");
    Authority::new().client(&authority);
    let ca = std::fs::read_to_string(authority.join("ca.pem")).unwrap();
    let ca = ca.lines().nth(1).unwrap().get(..60).unwrap().to_owned();

    let write = |path: &str| {
        stack.write("pip-index", format!("http://{login}@{}{path}\n", site.address));
        stack.write("apt-mirror", format!("http://{login}@{}/debian\n", site.address));
    };
    write("/simple/");
    // Without this apt would want a signature, and find the real mirror's name.
    stack.write(
        "images/tame/Dockerfile",
        "ARG BASE_IMAGE\nFROM $BASE_IMAGE\nRUN echo 'deb [trusted=yes] http://deb.debian.org/debian bookworm main' > /etc/apt/sources.list\n",
    );
    let spec = |pip: &str| {
        let build =
            "build: {ca_bundle: ca/ca.pem, pip_index: {file: pip-index}, apt_mirror: {file: apt-mirror}}\n";
        stack.spec_with(
            &format!("tame:\n  base: debian\ntools:\n  depend_on: tame\n  packages: {{apt: [{name}], pip: [{pip}]}}"),
            build,
        );
        let text = std::fs::read_to_string(stack.root().join("spec.yml")).unwrap();
        let bases = format!("\n  debian: {{image: \"{DEBIAN}\"}}\nimages:");
        stack.write("spec.yml", text.replace("\nimages:", &bases));
    };
    let run = |args: &[&str]| {
        let mut command = stack.command(args);
        let proxy = format!("http://{proxy_user}:{proxy_password}@{}", site.address);
        for name in ["HTTP_PROXY", "http_proxy"] {
            command.env(name, &proxy);
        }
        for name in ["NO_PROXY", "no_proxy", "HTTPS_PROXY", "https_proxy"] {
            command.env_remove(name);
        }
        Run(command.output().unwrap())
    };
    spec(&name);
    let built = run(&["build", "--progress", "plain"]).expect(0);

    // It all came from there, through the proxy, with the login.
    let proxied = format!("Basic {}", BASE64_STANDARD.encode(format!("{proxy_user}:{proxy_password}")));
    for path in [format!("/files/{wheel}"), format!("/debian/pool/{name}.deb")] {
        let mut asked = site.asked().into_iter().filter(|asked| asked.path == path);
        let last = asked.next_back().unwrap_or_else(|| panic!("{path}: {:?}", site.asked()));
        assert!(last.login.is_some() && last.proxy_login.as_ref() == Some(&proxied), "{last:?}");
    }
    let image = format!("{}:t-main", stack.repository("tools"));
    docker(&[
        "run",
        "--rm",
        &image,
        "sh",
        "-c",
        &format!("python3 -c 'import {name}' && cat /usr/share/{name}"),
    ]);

    let header = BASE64_STANDARD.encode(format!("{user}:{password}"));
    let mut secrets = vec![user.clone(), password.clone(), password.replace('@', "%40"), header];
    secrets.extend([proxy_user.clone(), proxy_password.clone(), proxied[6..].to_owned()]);
    secrets.extend([ca, site.address.clone()]);
    assert_eq!(saved(&image, &secrets), Vec::<String>::new());
    assert!(saved(&image, std::slice::from_ref(&name)).contains(&name), "the search finds what is there");
    // What is shown may name the host that was asked, but no login.
    let shown = |run: &Run| {
        let all = told(run, &stack);
        for secret in &secrets[..7] {
            assert!(!holds(&all, secret), "{secret} is shown in\n{}{}", run.out(), run.err());
        }
    };
    shown(&built);
    shown(&run(&["plan"]).expect(0));
    shown(&run(&["plan", "--json"]).expect(0));

    // Another address rebuilds nothing.
    write("/other/");
    let again = run(&["build", "--progress", "json"]).expect(0);
    assert!(again.built().is_empty(), "{:?}", again.ended());

    // pip itself shows where it looks when it fails.
    write("/simple/");
    spec(&format!("{name}, nowhere{name}"));
    let failed = run(&["build", "--progress", "plain"]).expect(1);
    let line = format!("`nowhere{name}` is asked for in ");
    assert!(
        failed.err().contains(&line) && failed.err().contains("Looking in indexes: http://"),
        "{}",
        failed.err()
    );
    shown(&failed);
}
