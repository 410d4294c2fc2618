//! Where an engine listens, from the forms that Docker's tools use.
//!
//! Reads no environment: the caller hands in what `DOCKER_HOST` and its kin
//! say. Does not connect.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::Error;
use crate::model::digest::Digest;

const SOCKET: &str = "/var/run/docker.sock";

/// Where an engine listens.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Address {
    /// A socket of this machine.
    Unix(PathBuf),
    /// Unencrypted.
    Tcp { host: String, port: u16 },
    /// Encrypted. Of a folder, `ca.pem` says who is trusted; `cert.pem` and
    /// `key.pem` are shown, where they are.
    Tls { host: String, port: u16, cert_dir: PathBuf },
    /// Through the user's own `ssh`.
    Ssh(SshAddress),
}

/// `[user@]host[:port][/socket]`: whom ssh asks, and the engine's socket over
/// there where it is not the usual one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct SshAddress {
    pub(crate) user: Option<String>,
    pub(crate) host: String,
    pub(crate) port: Option<u16>,
    pub(crate) socket: Option<String>,
}

impl Address {
    /// The socket that an engine of this machine listens on by default.
    pub(crate) fn local() -> Self {
        Self::Unix(SOCKET.into())
    }

    /// Reads `unix://`, `tcp://`, `http://`, `https://` and `ssh://` addresses,
    /// or a path. As Docker's client does (docker/cli, `opts/hosts.go`), without
    /// blanks around it, `tcp://` where there is no scheme, and the usual
    /// socket, host and port where they are left out. With `cert_path` (what
    /// `DOCKER_CERT_PATH` and `DOCKER_TLS_VERIFY` come to, or a context's own)
    /// `tcp://` is TLS; `http://` never is.
    ///
    /// # Errors
    /// [`Error::Address`] with what to write instead.
    pub(crate) fn parse(text: &str, cert_path: Option<&Path>) -> Result<Self, Error> {
        let wrong = |cause: &str| Error::Address { address: text.to_owned(), cause: cause.to_owned() };
        let text = text.trim();
        if text.starts_with('/') {
            return Ok(Self::Unix(text.into()));
        }
        let (scheme, rest) = text.split_once("://").unwrap_or(("tcp", text));
        match scheme {
            _ if text.is_empty() => Ok(Self::local()),
            "unix" if rest.is_empty() => Ok(Self::local()),
            "unix" if rest.starts_with('/') => Ok(Self::Unix(rest.into())),
            "unix" => Err(wrong("the path of a socket is absolute: `unix:///var/run/docker.sock`")),
            "tcp" | "http" | "https" => tcp(scheme, rest, cert_path).map_err(|cause| wrong(&cause)),
            "ssh" => SshAddress::parse(rest).map(Self::Ssh).map_err(|cause| wrong(&cause)),
            "npipe" => Err(wrong("named pipes are of Windows; engines here listen on `unix://` or `tcp://`")),
            _ => Err(wrong("write `unix:///path` or `tcp://host:port`")),
        }
    }

    /// The address that the Docker context of this name has. `None`: the
    /// default context, which is the local socket.
    ///
    /// # Errors
    /// [`Error::Config`] if the context cannot be read, [`Error::Address`] if
    /// it names no engine.
    pub(crate) fn of_context(config_dir: &Path, name: &str) -> Result<Option<Self>, Error> {
        if name.is_empty() || name == "default" {
            return Ok(None);
        }
        let folder = Digest::of(name.as_bytes()).to_string();
        let meta = config_dir.join("contexts/meta").join(&folder).join("meta.json");
        let missing = |cause: &str| Error::Address {
            address: format!("docker context {name}"),
            cause: format!("{cause}; `docker context ls` shows what there is"),
        };
        let meta = read::<Meta>(&meta)?.ok_or_else(|| missing("there is no such context"))?;
        let engine = meta
            .endpoints
            .and_then(|endpoints| endpoints.docker)
            .ok_or_else(|| missing("it names no engine"))?;
        let certs = config_dir.join("contexts/tls").join(&folder).join("docker");
        let certs = certs.is_dir().then_some(certs.as_path());
        let address = Self::parse(&engine.host.unwrap_or_default(), certs)?;
        if engine.skip_tls_verify == Some(true) && matches!(address, Self::Tcp { .. }) {
            return Err(missing("it would trust any server (SkipTLSVerify); give it the engine's `ca`"));
        }
        Ok(Some(address))
    }

    /// True for a socket of this machine.
    pub(crate) fn is_local(&self) -> bool {
        matches!(self, Self::Unix(_))
    }
}

impl SshAddress {
    /// Reads what follows `ssh://`.
    ///
    /// # Errors
    /// What to write instead.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        if text.contains(['?', '#']) || text.chars().any(|c| c.is_whitespace() || c.is_control()) {
            return Err("write `ssh://user@host:port`, and nothing behind it".into());
        }
        let (authority, socket) = text.split_once('/').unwrap_or((text, ""));
        let (user, place) = authority.rsplit_once('@').map_or((None, authority), |(u, p)| (Some(u), p));
        if user.is_some_and(|user| user.is_empty() || user.contains(':')) {
            return Err("ssh takes no password in an address; write `ssh://user@host`".into());
        }
        if place.is_empty() || place.starts_with(':') {
            return Err("there is no host in it; write `ssh://user@host`".into());
        }
        // A shell over there reads the command.
        if !socket.bytes().all(|b| b.is_ascii_alphanumeric() || b"/._-+@:=,".contains(&b)) {
            return Err("the path of a socket over there has letters, digits and `/._-+@:=,` only".into());
        }
        // Which port is the usual one, ssh knows.
        let (host, port) = host_port(place, 0)?;
        Ok(Self {
            user: user.map(str::to_owned),
            host,
            port: (port > 0).then_some(port),
            socket: (!socket.is_empty()).then(|| format!("/{socket}")),
        })
    }
}

impl fmt::Display for SshAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let user = self.user.as_ref().map(|user| format!("{user}@")).unwrap_or_default();
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        let port = self.port.map(|port| format!(":{port}")).unwrap_or_default();
        write!(f, "ssh://{user}{host}{port}{}", self.socket.as_deref().unwrap_or_default())
    }
}

fn tcp(scheme: &str, rest: &str, cert_path: Option<&Path>) -> Result<Address, String> {
    let authority = rest.trim_end_matches('/');
    if authority.contains('/') {
        return Err("an address has no path".into());
    }
    let secure = scheme == "https" || (scheme == "tcp" && cert_path.is_some());
    let (host, port) = host_port(authority, if secure { 2376 } else { 2375 })?;
    match (secure, cert_path) {
        (false, _) => Ok(Address::Tcp { host, port }),
        (true, Some(cert_dir)) => Ok(Address::Tls { host, port, cert_dir: cert_dir.to_owned() }),
        (true, None) => {
            Err("TLS needs a folder with `ca.pem`, `cert.pem` and `key.pem`: set DOCKER_CERT_PATH".into())
        }
    }
}

fn host_port(authority: &str, default: u16) -> Result<(String, u16), String> {
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest.split_once(']').ok_or("an IPv6 address ends with `]`")?;
            (host, port.strip_prefix(':'))
        }
        None => match authority.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        },
    };
    let port = match port {
        Some(port) => port.parse().map_err(|_| format!("`{port}` is not a port"))?,
        None => default,
    };
    if let Some(wrong) = host.chars().find(|c| c.is_whitespace() || c.is_control()) {
        let wrong = wrong.escape_debug();
        return Err(format!("a host has no `{wrong}` in it: write `unix:///path` or `tcp://host:port`"));
    }
    Ok((if host.is_empty() { "localhost" } else { host }.to_owned(), port))
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix://{}", path.display()),
            Self::Ssh(address) => address.fmt(f),
            Self::Tcp { host, port } | Self::Tls { host, port, .. } if host.contains(':') => {
                write!(f, "tcp://[{host}]:{port}")
            }
            Self::Tcp { host, port } | Self::Tls { host, port, .. } => write!(f, "tcp://{host}:{port}"),
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Meta {
    endpoints: Option<Endpoints>,
}

#[derive(Deserialize)]
struct Endpoints {
    docker: Option<Endpoint>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Endpoint {
    host: Option<String>,
    /// Written by Docker's tools for TLS that trusts whoever answers.
    #[serde(rename = "SkipTLSVerify")]
    skip_tls_verify: Option<bool>,
}

/// `None` if there is no such file.
fn read<T: for<'a> Deserialize<'a>>(path: &Path) -> Result<Option<T>, Error> {
    let wrong = |cause: String| Error::Config { path: path.display().to_string(), cause };
    match std::fs::read(path) {
        Ok(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(|e| wrong(e.to_string())),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(wrong(e.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Address, String> {
        Address::parse(text, None).map_err(|e| match e {
            Error::Address { cause, .. } => cause,
            other => panic!("{other:?}"),
        })
    }

    #[test]
    fn the_forms_that_docker_takes_are_read() {
        let tcp = |host: &str, port| Ok(Address::Tcp { host: host.into(), port });
        assert_eq!(parse("unix:///run/x.sock"), Ok(Address::Unix("/run/x.sock".into())));
        assert_eq!(parse("/run/x.sock"), Ok(Address::Unix("/run/x.sock".into())));
        assert_eq!(parse("tcp://gpu1:1234"), tcp("gpu1", 1234));
        assert_eq!(parse("tcp://gpu1/"), tcp("gpu1", 2375));
        assert_eq!(parse("http://[::1]:80"), tcp("::1", 80));
        assert_eq!(parse("tcp://[::1]"), tcp("::1", 2375));
    }

    /// What docker 28.2 was seen to do with each of these.
    #[test]
    fn what_is_left_out_of_an_address_is_what_docker_takes() {
        let tcp = |host: &str, port| Ok(Address::Tcp { host: host.into(), port });
        assert_eq!(parse(" unix:///run/x.sock\n"), Ok(Address::Unix("/run/x.sock".into())));
        assert_eq!(parse("unix://"), Ok(Address::local()));
        assert_eq!(parse(" "), Ok(Address::local()));
        assert_eq!(parse("gpu1:1234"), tcp("gpu1", 1234));
        assert_eq!(parse(" gpu1 "), tcp("gpu1", 2375));
        assert_eq!(parse("[::1]:1234"), tcp("::1", 1234));
        assert_eq!(parse(":1234"), tcp("localhost", 1234));
        assert_eq!(parse("tcp://"), tcp("localhost", 2375));
        let certs = Path::new("/certs");
        let tls = Address::Tls { host: "gpu1".into(), port: 2376, cert_dir: certs.into() };
        assert_eq!(Address::parse("gpu1", Some(certs)), Ok(tls));
    }

    #[test]
    fn a_certificate_folder_makes_tcp_tls() {
        let certs = Path::new("/certs");
        let tls = Address::Tls { host: "gpu1".into(), port: 2376, cert_dir: certs.into() };
        assert_eq!(Address::parse("tcp://gpu1", Some(certs)), Ok(tls.clone()));
        assert_eq!(Address::parse("https://gpu1:2376", Some(certs)), Ok(tls));
        assert!(parse("https://gpu1").unwrap_err().contains("DOCKER_CERT_PATH"));
    }

    #[test]
    fn a_wrong_address_says_what_to_write() {
        for (text, hint) in [
            ("ssh://", "no host"),
            ("ssh://me@", "no host"),
            ("ssh://me:pw@gpu1", "no password"),
            ("ssh://gpu1:x", "not a port"),
            ("ssh://gpu1?y", "nothing behind it"),
            ("ssh://gpu1/run/x;reboot", "letters, digits"),
            ("ssh://gpu1 -oProxyCommand=x", "nothing behind it"),
            ("npipe:////./pipe/docker_engine", "unix://"),
            ("fd://", "tcp://host:port"),
            ("UNIX:///run/x.sock", "unix:///path"),
            ("unix://run/x.sock", "absolute"),
            ("tcp://gpu1:x", "not a port"),
            ("tcp://[::1", "]"),
            ("tcp://gpu1/v1", "no path"),
            ("not an address", "unix://"),
        ] {
            let cause = parse(text).unwrap_err();
            assert!(cause.contains(hint), "{text}: {cause}");
        }
    }

    #[test]
    fn an_address_is_shown_as_it_can_be_typed() {
        for text in [
            "unix:///run/x.sock",
            "tcp://gpu1:1234",
            "tcp://[::1]:2375",
            "ssh://gpu1",
            "ssh://me@gpu1:2222",
            "ssh://me@[::1]/run/x.sock",
        ] {
            assert_eq!(parse(text).unwrap().to_string(), text);
        }
    }

    #[test]
    fn a_broken_context_is_not_called_an_address() {
        let dir = tempfile::tempdir().unwrap();
        let meta = dir.path().join("contexts/meta").join(Digest::of(b"lab").to_string());
        std::fs::create_dir_all(&meta).unwrap();
        std::fs::write(meta.join("meta.json"), "not json").unwrap();
        let broken = Address::of_context(dir.path(), "lab").unwrap_err();
        assert!(broken.to_string().contains("meta.json") && !broken.to_string().contains("address"));
        assert!(broken.help().unwrap().contains("Correct the file"), "{:?}", broken.help());
    }

    #[test]
    fn a_context_is_followed() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(Address::of_context(dir.path(), ""), Ok(None));
        let missing = Address::of_context(dir.path(), "lab").unwrap_err();
        assert!(matches!(missing, Error::Address { cause, .. } if cause.contains("docker context ls")));

        let folder = Digest::of(b"lab").to_string();
        let meta = dir.path().join("contexts/meta").join(&folder);
        std::fs::create_dir_all(&meta).unwrap();
        let text = r#"{"Name":"lab","Metadata":{},"Endpoints":{"docker":{"Host":"tcp://gpu1:2376"}}}"#;
        std::fs::write(meta.join("meta.json"), text).unwrap();
        let tcp = Address::Tcp { host: "gpu1".into(), port: 2376 };
        assert_eq!(Address::of_context(dir.path(), "lab"), Ok(Some(tcp)));
        assert_eq!(Address::of_context(dir.path(), "default"), Ok(None));

        let bare = r#"{"Name":"lab","Endpoints":{"docker":{"Host":null,"SkipTLSVerify":null}}}"#;
        std::fs::write(meta.join("meta.json"), bare).unwrap();
        assert_eq!(Address::of_context(dir.path(), "lab"), Ok(Some(Address::local())));

        let blind = text.replace("tcp://gpu1:2376\"", "tcp://gpu1:2376\",\"SkipTLSVerify\":true");
        std::fs::write(meta.join("meta.json"), &blind).unwrap();
        let refused = Address::of_context(dir.path(), "lab").unwrap_err();
        assert!(matches!(refused, Error::Address { cause, .. } if cause.contains("SkipTLSVerify")));

        let certs = dir.path().join("contexts/tls").join(&folder).join("docker");
        std::fs::create_dir_all(&certs).unwrap();
        let tls = Address::Tls { host: "gpu1".into(), port: 2376, cert_dir: certs };
        assert_eq!(Address::of_context(dir.path(), "lab"), Ok(Some(tls)));
    }
}
