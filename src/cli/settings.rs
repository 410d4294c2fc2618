//! What the command line and the environment mean. The only place that reads
//! the environment, the working folder and the terminal.

use std::collections::BTreeMap;
use std::env;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};

use super::args::Global;
use super::home;
use crate::containers::Caller;
use crate::engine;
use crate::engine::address::Address;
use crate::names::Login;
use crate::records::Records;
use crate::reference::Reference;
use crate::report::{self, Mode, Output};

/// All that commands need to know of the world outside.
#[derive(Debug)]
pub struct Settings {
    /// `--spec` or the one found; `None`: there is none.
    pub spec_file: Option<PathBuf>,
    /// The working folder, absolute.
    pub here: PathBuf,
    /// `--base`.
    pub bases: BTreeMap<String, Reference>,
    /// `--engine`, as text.
    engine: Option<String>,
    /// Folder of Docker's `config.json`.
    pub docker_config: PathBuf,
    /// Logs are written below it.
    pub state_dir: PathBuf,
    /// What can be made again lies below it.
    pub cache_dir: PathBuf,
    /// Locks that all users of this machine share.
    pub lock_dir: PathBuf,
    /// The caller's user id.
    pub uid: u32,
    /// Proxy variables, to be passed to builds.
    pub proxy: BTreeMap<String, String>,
    /// What is known of where output goes.
    pub screen: report::Facts,
    pub progress: Mode,
    pub json: bool,
    pub verbose: u8,
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
    pub fn read(global: &Global) -> std::io::Result<Self> {
        #[expect(clippy::disallowed_methods, reason = "this module is where the working folder is read")]
        let here = env::current_dir()?;
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
            proxy: PROXY.iter().filter_map(|name| Some(((*name).to_owned(), var(name)?))).collect(),
            screen: screen(),
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
    pub fn address(&self) -> Result<Address, engine::Error> {
        let certs = var("DOCKER_CERT_PATH")
            .map(PathBuf::from)
            .or_else(|| var("DOCKER_TLS_VERIFY").map(|_| self.docker_config.clone()));
        if let Some(text) = self.engine.clone().or_else(|| var("DOCKER_HOST")) {
            return Address::parse(&text, certs.as_deref());
        }
        let context = Address::of_context(&self.docker_config, var("DOCKER_CONTEXT").as_deref())?;
        Ok(context.unwrap_or_else(Address::local))
    }

    /// What earlier runs built.
    pub fn records(&self, engine: &str) -> Records {
        Records::new(&self.cache_dir.join("records"), engine)
    }

    /// Says what `-v` asks for.
    pub fn remark(&self, text: &str) {
        if self.verbose > 0 {
            self.output().note(text);
        }
    }

    /// Where a command prints.
    pub fn output(&self) -> Output {
        Output::standard(self.json, self.screen.stdout_look(), self.screen.stderr_look())
    }

    /// Who asks: by the user database, else by number.
    pub fn caller(&self) -> Caller {
        let login = home::login(self.uid).unwrap_or_else(|| Login::new(self.uid.to_string()));
        Caller { login, uid: self.uid }
    }

    /// Whether somebody is there to answer a question.
    pub fn can_ask(&self) -> bool {
        self.screen.stderr_terminal && std::io::stdin().is_terminal() && !self.json
    }

    /// Asks a question that only a word beginning with `y` says yes to.
    ///
    /// # Errors
    /// The answer cannot be read.
    pub fn asks(&self, question: &str) -> std::io::Result<bool> {
        self.output().note(question);
        let mut answer = String::new();
        std::io::stdin().read_line(&mut answer)?;
        Ok(answer.trim().to_ascii_lowercase().starts_with('y'))
    }

    /// A path as people know it: relative to where they stand, if below it.
    pub fn shown(&self, path: &Path) -> PathBuf {
        path.strip_prefix(&self.here).unwrap_or(path).to_owned()
    }
}

fn parsed_base((name, image): &(String, String)) -> Option<(String, Reference)> {
    // Checked when the arguments were parsed.
    Some((name.clone(), Reference::parse(image).ok()?))
}

fn screen() -> report::Facts {
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"].iter().find_map(|name| var(name)).unwrap_or_default();
    report::Facts {
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
