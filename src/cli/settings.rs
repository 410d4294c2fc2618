//! What the command line and the environment mean. The only place that reads
//! the environment, the working folder and the terminal.

use std::collections::BTreeMap;
use std::env;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::args::Global;
use crate::engine;
use crate::engine::address::Address;
use crate::host::people::{Caller, People, System};
use crate::model::names::Login;
use crate::model::reference::Reference;
use crate::plan::history::Records;
use crate::spec::Spec;
use crate::spec::catalog::HostArch;
use crate::spec::catalog::host::{self, ToolkitFiles, VersionFile};
use crate::spec::files::{Disk, Files};
use crate::ui::{self, Output, ProgressMode};

/// All that commands need to know of the world outside.
#[derive(Debug)]
pub(crate) struct Settings {
    /// `--spec` or the one found; `None`: there is none.
    pub(crate) spec_file: Option<PathBuf>,
    /// The working folder, absolute.
    pub(crate) here: PathBuf,
    /// `--base`.
    pub(crate) bases: BTreeMap<String, Reference>,
    /// `--engine`, as text.
    engine: Option<String>,
    /// Folder of Docker's `config.json`.
    pub(crate) docker_config: PathBuf,
    /// Logs are written below it.
    pub(crate) state_dir: PathBuf,
    /// What can be made again lies below it.
    pub(crate) cache_dir: PathBuf,
    /// Locks that all users of this machine share.
    pub(crate) lock_dir: PathBuf,
    /// The caller's user id.
    pub(crate) uid: u32,
    /// The machine's user database.
    pub(crate) people: Arc<System>,
    /// `DS01_NVML_LIBRARY`: NVML, where it is not found by its usual name.
    pub(crate) nvml_library: Option<PathBuf>,
    /// Proxy variables, to be passed to builds.
    pub(crate) proxy: BTreeMap<String, String>,
    /// The architecture class of this machine, for bases that name none.
    pub(crate) host: HostArch,
    /// Somebody sits at a terminal and can be asked.
    pub(crate) can_ask: bool,
    /// Somebody sits at a terminal, and programs may have it: what it is,
    /// `xterm-256color`.
    pub(crate) terminal: Option<String>,
    /// What is known of where output goes.
    pub(crate) screen: ui::Terminals,
    pub(crate) progress: ProgressMode,
    pub(crate) json: bool,
    pub(crate) verbose: u8,
}

const PROXY: [&str; 6] = ["HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy"];

#[expect(clippy::disallowed_methods, reason = "this module is where the environment is read")]
fn var(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}

impl Settings {
    /// Reads the world around the program.
    ///
    /// # Errors
    /// The working folder is gone.
    pub(crate) fn read(global: &Global) -> std::io::Result<Self> {
        #[expect(clippy::disallowed_methods, reason = "this module is where the working folder is read")]
        let here = env::current_dir()?;
        let screen = screen();
        let home = var("HOME").map_or_else(|| PathBuf::from("/"), PathBuf::from);
        Ok(Self {
            spec_file: global.spec.clone().or_else(|| find_spec(&here)),
            bases: global.bases.iter().filter_map(parsed_base).collect(),
            engine: global.engine.clone(),
            docker_config: var("DOCKER_CONFIG").map_or_else(|| home.join(".docker"), PathBuf::from),
            state_dir: var("XDG_STATE_HOME")
                .map_or_else(|| home.join(".local/state"), PathBuf::from)
                .join("ds01-build"),
            cache_dir: var("XDG_CACHE_HOME")
                .map_or_else(|| home.join(".cache"), PathBuf::from)
                .join("ds01-build"),
            lock_dir: var("DS01_LOCK_DIR")
                .map_or_else(|| PathBuf::from("/tmp/ds01-build-locks"), PathBuf::from),
            uid: rustix::process::getuid().as_raw(),
            people: Arc::default(),
            nvml_library: var("DS01_NVML_LIBRARY").map(PathBuf::from),
            proxy: PROXY.iter().filter_map(|name| Some(((*name).to_owned(), var(name)?))).collect(),
            host: host_arch(Path::new("/"), var("MLC_ARCH")),
            can_ask: std::io::stdin().is_terminal()
                && screen.stderr_terminal
                && !(screen.ci || screen.dumb || global.json),
            terminal: (std::io::stdin().is_terminal() && screen.stdout_terminal)
                .then(|| var("TERM").unwrap_or_else(|| "xterm".into())),
            screen,
            progress: global.progress,
            json: global.json,
            verbose: global.verbose,
            here,
        })
    }

    /// The engine to use: `--engine`, `DOCKER_HOST`, the current Docker
    /// context, the local socket.
    ///
    /// # Errors
    /// The text is no address, or the context is broken.
    pub(crate) fn address(&self) -> Result<Address, engine::Error> {
        self.address_and_source().map(|(address, _)| address)
    }

    /// The same, with what said so.
    ///
    /// # Errors
    /// As [`Settings::address`].
    pub(crate) fn address_and_source(&self) -> Result<(Address, &'static str), engine::Error> {
        let certs = var("DOCKER_CERT_PATH")
            .map(PathBuf::from)
            .or_else(|| var("DOCKER_TLS_VERIFY").map(|_| self.docker_config.clone()));
        let named = self.engine.clone().map(|text| (text, "--engine"));
        if let Some((text, source)) = named.or_else(|| Some((var("DOCKER_HOST")?, "DOCKER_HOST"))) {
            return Ok((Address::parse(&text, certs.as_deref())?, source));
        }
        let context = Address::of_context(&self.docker_config, var("DOCKER_CONTEXT").as_deref())?;
        Ok(match context {
            Some(address) => (address, "the current Docker context"),
            None => (Address::local(), "the default"),
        })
    }

    /// The folder of the records of what earlier runs built.
    pub(crate) fn records_dir(&self) -> PathBuf {
        self.cache_dir.join("records")
    }

    /// What earlier runs built on an engine.
    pub(crate) fn records(&self, engine: &str) -> Records {
        Records::new(&self.records_dir(), engine)
    }

    /// Says what `-v` asks for.
    pub(crate) fn remark(&self, text: &str) {
        if self.verbose > 0 {
            self.output().note(text);
        }
    }

    /// Where a command prints.
    pub(crate) fn output(&self) -> Output {
        Output::standard(self.json, self.screen.stdout_style(), self.screen.stderr_style())
    }

    /// Who asks: by the user database, else by number. The spec says which
    /// groups administer; without one only root does. Where the database
    /// cannot be asked for groups, the caller is in none.
    pub(crate) fn caller(&self, spec: Option<&Spec>) -> Caller {
        let person = self.people.by_uid(self.uid);
        let administrators = spec.map(|spec| &spec.administrators).filter(|groups| !groups.is_empty());
        // Root needs no group, so that a database that hangs costs it nothing.
        let in_administrators = administrators.filter(|_| self.uid != 0).is_some_and(|administrators| {
            let own = match &person {
                Ok(Some(person)) => self.people.groups(&person.login),
                Ok(None) => Ok(Vec::new()),
                Err(why) => Err(why.clone()),
            };
            own.map(|own| own.iter().any(|group| administrators.contains(group))).unwrap_or_else(|why| {
                self.output().note(&format!("warning: you count as no administrator, since {why}"));
                false
            })
        });
        let login = person.ok().flatten().map(|person| person.login);
        let login = login.unwrap_or_else(|| Login::new(self.uid.to_string()));
        Caller { login, uid: self.uid, in_administrators }
    }

    /// The login of a user id; `None`: the database does not know it, or
    /// cannot be asked.
    pub(crate) fn login(&self, uid: u32) -> Option<Login> {
        self.people.by_uid(uid).ok().flatten().map(|person| person.login)
    }

    /// Asks a question that only a word beginning with `y` says yes to.
    ///
    /// # Errors
    /// The answer cannot be read.
    pub(crate) fn asks(&self, question: &str) -> std::io::Result<bool> {
        self.output().note(question);
        let mut answer = String::new();
        std::io::stdin().read_line(&mut answer)?;
        Ok(answer.trim().to_ascii_lowercase().starts_with('y'))
    }

    /// A path as people know it: relative to where they stand, if below it.
    pub(crate) fn shown(&self, path: &Path) -> PathBuf {
        match path.strip_prefix(&self.here) {
            Ok(below) if below.as_os_str().is_empty() => ".".into(),
            Ok(below) => below.to_owned(),
            Err(_) => path.to_owned(),
        }
    }
}

fn parsed_base((name, image): &(String, String)) -> Option<(String, Reference)> {
    // Checked when the arguments were parsed.
    Some((name.clone(), Reference::parse(image).ok()?))
}

fn screen() -> ui::Terminals {
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"].iter().find_map(|name| var(name)).unwrap_or_default();
    ui::Terminals {
        stdout_terminal: std::io::stdout().is_terminal(),
        stderr_terminal: std::io::stderr().is_terminal(),
        ci: var("CI").is_some(),
        dumb: var("TERM").is_none_or(|term| term == "dumb"),
        no_color: var("NO_COLOR").is_some(),
        utf8: locale.to_ascii_lowercase().replace('-', "").contains("utf8"),
        columns: rustix::termios::tcgetwinsize(std::io::stdout()).ok().map(|size| size.ws_col.into()),
    }
}

/// `spec.yml` or `images/spec.yml`, here or in the nearest folder above.
fn find_spec(here: &Path) -> Option<PathBuf> {
    here.ancestors()
        .flat_map(|dir| [dir.join("spec.yml"), dir.join("images/spec.yml")])
        .find(|file| file.is_file())
}

/// CUDA's own place, and Debian's.
const CUDA: [&str; 4] = [
    "usr/local/cuda/version.json",
    "usr/local/cuda/version.txt",
    "usr/lib/cuda/version.json",
    "usr/lib/cuda/version.txt",
];
const ROCM: [&str; 1] = ["opt/rocm/.info/version"];

/// Such a file has some hundred bytes, CUDA's newer ones a few thousand.
const MAX: u64 = 1 << 20;

/// The architecture class of the machine whose file system begins at `root`.
fn host_arch(root: &Path, mlc_arch: Option<String>) -> HostArch {
    let first = |files: &[&str]| {
        let clue = |file: PathBuf| {
            let bytes = Disk.read(&file, MAX).ok()?;
            Some(VersionFile { file, text: String::from_utf8_lossy(&bytes).into_owned() })
        };
        files.iter().find_map(|file| clue(root.join(file)))
    };
    host::host(&ToolkitFiles { mlc_arch, cuda: first(&CUDA), rocm: first(&ROCM) })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn arch(host: &HostArch) -> &str {
        match host {
            HostArch::Known { arch, .. } => arch,
            HostArch::Unknown(why) => panic!("{why}"),
        }
    }

    #[test]
    fn the_files_of_a_machine_are_found() {
        let root = tempfile::tempdir().unwrap();
        let put = |path: &str, text: &str| {
            let file = root.path().join(path);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, text).unwrap();
        };
        assert!(matches!(host_arch(root.path(), None), HostArch::Unknown(_)));
        put("opt/rocm/.info/version", "6.2.0-66\n");
        assert_eq!(arch(&host_arch(root.path(), None)), "ROCM6");
        put("usr/lib/cuda/version.txt", "CUDA Version 11.8.89\n");
        assert_eq!(arch(&host_arch(root.path(), None)), "CUDA_AMPERE");
        put("usr/local/cuda/version.json", r#"{"cuda": {"version": "12.9.1"}}"#);
        assert_eq!(arch(&host_arch(root.path(), None)), "CUDA_BLACKWELL");
        assert_eq!(arch(&host_arch(root.path(), Some("CUDA_ADA".into()))), "CUDA_ADA");
    }
}
