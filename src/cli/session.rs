//! What all commands share, made once before the command: what the command line
//! and the environment mean, and the ways to spec, pins, engine, registries,
//! locks and output.

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use super::args::Global;
use super::environment::{
    PROXY, ci_branch, credential_files, find_spec, host_arch, parsed_base, screen, var,
};
use super::error::CliError;
use crate::engine::address::Address;
use crate::engine::{self, Engine, buildkit};
use crate::host::lock::Locks;
use crate::host::people::{Caller, People, System};
use crate::model::names::Login;
use crate::model::problem::Problem;
use crate::model::reference::Reference;
use crate::plan::history::Records;
use crate::plan::observe::HashCache;
use crate::registry::credentials::Credentials;
use crate::registry::docker_config::DockerConfig;
use crate::registry::{self, Registry};
use crate::spec::catalog::HostArch;
use crate::spec::files::{Disk, Files};
use crate::spec::graph::Graph;
use crate::spec::lock_file::{self, Pins};
use crate::spec::{self, BaseSource, Spec};
use crate::ui::{self, Output, ProgressMode};

/// All that commands need to know of the world outside.
#[derive(Debug)]
pub(crate) struct Session {
    /// `--spec` or the one found; `None`: there is none.
    pub(crate) spec_file: Option<PathBuf>,
    /// The working folder, absolute.
    pub(crate) here: PathBuf,
    /// `--base`.
    pub(crate) bases: BTreeMap<String, Reference>,
    /// `--engine`, as text.
    engine: Option<String>,
    /// Docker's own folder, with its `config.json` and contexts.
    pub(crate) docker_config: PathBuf,
    /// The current Docker context, once it was read.
    context: OnceLock<String>,
    /// Logins to registries, each looked up when a registry asks for it.
    pub(crate) credentials: Credentials,
    /// Logs are written below it.
    pub(crate) state_dir: PathBuf,
    /// What can be made again lies below it.
    pub(crate) cache_dir: PathBuf,
    /// Locks that all users of this machine share.
    pub(crate) lock_dir: PathBuf,
    /// The branch that a CI system says it builds.
    pub(crate) ci_branch: Option<String>,
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
    /// Digests of files, and when they began to be made, in nanoseconds since 1970.
    hashes: OnceLock<(HashCache, i64)>,
}

impl Session {
    /// Reads the world around the program.
    ///
    /// # Errors
    /// The working folder is gone.
    pub(crate) fn read(global: &Global) -> std::io::Result<Self> {
        #[expect(clippy::disallowed_methods, reason = "this module is where the working folder is read")]
        let here = env::current_dir()?;
        let screen = screen();
        let home = var("HOME").map_or_else(|| PathBuf::from("/"), PathBuf::from);
        let docker_config = var("DOCKER_CONFIG").map_or_else(|| home.join(".docker"), PathBuf::from);
        let uid = rustix::process::getuid().as_raw();
        Ok(Self {
            spec_file: global.spec.clone().or_else(|| find_spec(&here)),
            bases: global.bases.iter().filter_map(parsed_base).collect(),
            engine: global.engine.clone(),
            credentials: Credentials::new(
                var("DOCKER_AUTH_CONFIG"),
                credential_files(var, &docker_config, &home, uid),
            ),
            docker_config,
            context: OnceLock::new(),
            state_dir: var("XDG_STATE_HOME")
                .map_or_else(|| home.join(".local/state"), PathBuf::from)
                .join("ds01-build"),
            cache_dir: var("XDG_CACHE_HOME")
                .map_or_else(|| home.join(".cache"), PathBuf::from)
                .join("ds01-build"),
            lock_dir: var("DS01_LOCK_DIR")
                .map_or_else(|| PathBuf::from("/tmp/ds01-build-locks"), PathBuf::from),
            ci_branch: ci_branch(var),
            uid,
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
            hashes: OnceLock::new(),
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
    /// As [`Session::address`].
    pub(crate) fn address_and_source(&self) -> Result<(Address, &'static str), engine::Error> {
        let certs = var("DOCKER_CERT_PATH")
            .map(PathBuf::from)
            .or_else(|| var("DOCKER_TLS_VERIFY").map(|_| self.docker_config.clone()));
        let named = self.engine.clone().map(|text| (text, "--engine"));
        if let Some((text, source)) = named.or_else(|| Some((var("DOCKER_HOST")?, "DOCKER_HOST"))) {
            return Ok((Address::parse(&text, certs.as_deref())?, source));
        }
        let context = var("DOCKER_CONTEXT").unwrap_or_else(|| self.current_context());
        let context = Address::of_context(&self.docker_config, &context)?;
        Ok(match context {
            Some(address) => (address, "the current Docker context"),
            None => (Address::local(), "the default"),
        })
    }

    /// The context that Docker's `config.json` names. As Docker's own tools do,
    /// the default one with a warning where that cannot be read.
    fn current_context(&self) -> String {
        let read = || {
            let path = self.docker_config.join("config.json");
            let config = DockerConfig::read(&path).unwrap_or_else(|cause| {
                let path = path.display();
                let warning = format!("warning: {path} cannot be read, so that no context counts: {cause}");
                self.output().note(&warning);
                DockerConfig::default()
            });
            config.current_context
        };
        self.context.get_or_init(read).clone()
    }

    /// The folder of the records of what earlier runs built.
    pub(crate) fn records_dir(&self) -> PathBuf {
        self.cache_dir.join("records")
    }

    /// What earlier runs built on an engine.
    pub(crate) fn records(&self, engine: &str) -> Records {
        Records::new(&self.records_dir(), engine)
    }

    /// Digests of files that earlier commands read, and this one. They save
    /// time and nothing else.
    pub(crate) fn hashes(&self) -> &HashCache {
        #[expect(clippy::disallowed_methods, reason = "files that changed just now are told by the clock")]
        let now = || i64::try_from(jiff::Timestamp::now().as_nanosecond()).unwrap_or(0);
        &self.hashes.get_or_init(|| (HashCache::load(&self.hashes_file()), now())).0
    }

    fn hashes_file(&self) -> PathBuf {
        self.cache_dir.join("file-hashes")
    }

    /// Keeps what this command hashed, if that is news.
    pub(crate) fn save_hashes(&self) {
        let Some((hashes, begun)) = self.hashes.get().filter(|(hashes, _)| hashes.has_news()) else { return };
        let file = self.hashes_file();
        let saved = std::fs::create_dir_all(&self.cache_dir).and_then(|()| hashes.save(&file, *begun));
        if let Err(error) = saved {
            self.remark(&format!("file hashes are not kept in {}: {error}", file.display()));
        }
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

impl Session {
    /// The spec and its graph, `--base` applied.
    ///
    /// # Errors
    /// There is no spec, or it has problems.
    pub(crate) fn spec(&self) -> Result<(Spec, Graph), CliError> {
        self.spec_in(&Disk)
    }

    /// The same as it would be with other files.
    ///
    /// # Errors
    /// There is no spec, or it has problems.
    pub(crate) fn spec_in(&self, files: &dyn Files) -> Result<(Spec, Graph), CliError> {
        let Some(file) = &self.spec_file else {
            let problem = Problem::new("there is no spec.yml here or in a folder above")
                .help("go to the folder of the stack, or say --spec FILE");
            return Err(CliError::usage(problem));
        };
        let world = spec::SpecContext {
            people: self.people.as_ref(),
            arch: &self.host,
            ..spec::SpecContext::of(files)
        };
        let mut spec = spec::read(&self.here, file, &world).map_err(CliError::problems)?;
        self.stand_in(&mut spec)?;
        self.remark(&format!("spec: {}", self.shown(file).display()));
        self.remark_catalogue(&spec);
        let rules = spec.images_dir.join("change_ignore.json");
        if rules.is_file() {
            let rules = self.shown(&rules).display().to_string();
            self.remark(&format!(
                "{rules} has no effect any more: an image is rebuilt when what its Dockerfile can read changes"
            ));
        }
        let graph = Graph::build(&spec);
        Ok((spec, graph))
    }

    /// Which rows of the catalogue are used: `latest` and a missing `arch` leave it open.
    fn remark_catalogue(&self, spec: &Spec) {
        let mut found = false;
        for base in &spec.bases {
            if let BaseSource::Catalog { framework, version, arch, image } = &base.source {
                found = true;
                self.remark(&format!("base {}: {framework} {version} for {arch}, {image}", base.name));
            }
        }
        if let (true, HostArch::Known { arch, source }) = (found, &self.host) {
            self.remark(&format!("architecture of this machine: {arch} ({source})"));
        }
    }

    /// Replaces bases by the images that `--base` names.
    fn stand_in(&self, spec: &mut Spec) -> Result<(), CliError> {
        let known: BTreeSet<_> = spec.bases.iter().map(|base| base.name.to_string()).collect();
        for (name, image) in &self.bases {
            let Some(base) = spec.bases.iter_mut().find(|base| base.name.as_str() == name) else {
                let known: Vec<_> = known.iter().map(String::as_str).collect();
                let problem = Problem::new(format!("--base {name}=…: the spec has no base `{name}`"))
                    .help(format!("it has {}", known.join(", ")));
                return Err(CliError::usage(problem));
            };
            base.source = BaseSource::Image(image.clone());
        }
        Ok(())
    }

    /// The engine.
    ///
    /// # Errors
    /// The address is none, or nobody answers there.
    pub(crate) async fn engine(&self) -> Result<Arc<dyn Engine>, engine::Error> {
        let address = self.address()?;
        self.remark(&format!("engine: {address}"));
        let builder = buildkit::Builder::new(&address, self.credentials.clone());
        Ok(Arc::new(engine::docker::Docker::connect(builder).await?))
    }

    /// The registries that references name; none is asked yet.
    pub(crate) fn registry(&self, spec: &Spec) -> Arc<dyn Registry> {
        Arc::new(registry::http::Registries::new(registry::http::Options {
            credentials: self.credentials.clone(),
            docker_config: Some(self.docker_config.clone()),
            insecure: spec.insecure_registries.clone(),
            ..Default::default()
        }))
    }

    /// The pins of spec.lock, and what `--base` stands in.
    ///
    /// # Errors
    /// All that is wrong with spec.lock.
    pub(crate) fn pins(&self) -> Result<Pins, CliError> {
        let path = self.lock_file();
        let lock = lock_file::load(&path, &self.shown(&path)).map_err(CliError::problems)?;
        let stand_ins = self.bases.values().map(Reference::canonical).collect();
        Ok(Pins { lock, stand_ins, locked: false })
    }

    /// Where the spec is. A command that has a spec has its file.
    pub(crate) fn spec_path(&self) -> PathBuf {
        self.here.join(self.spec_file.as_deref().unwrap_or("spec.yml".as_ref()))
    }

    /// Where spec.lock is.
    pub(crate) fn lock_file(&self) -> PathBuf {
        lock_file::beside(&self.spec_path())
    }

    /// The locks of this machine's users of an engine.
    ///
    /// # Errors
    /// Their folder cannot be used.
    pub(crate) fn locks(&self, engine_id: &str) -> Result<Locks, CliError> {
        Locks::open(&self.lock_dir, engine_id).map_err(|error| self.unusable_locks(&error))
    }

    /// The error of a folder for locks that cannot be used.
    pub(crate) fn unusable_locks(&self, error: &std::io::Error) -> CliError {
        let problem = Problem::new(format!("{} cannot be used for locks: {error}", self.lock_dir.display()));
        CliError::usage(
            problem.help("set DS01_LOCK_DIR to a folder that every builder of this engine can write"),
        )
    }
}
