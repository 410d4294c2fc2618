//! The files of a revision, from the user's own git, in a folder that
//! vanishes with its value.
//!
//! An edge. Writes nothing into the repository: the index is one of our own,
//! and hooks do not run.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use tempfile::TempDir;
use tokio::process::Command;
use tokio_util::sync::CancellationToken;

use crate::host::process;
use crate::model::problem::Problem;

/// A git that runs us from a hook must not choose what we read.
const NOT_OURS: [&str; 5] = ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX", "GIT_COMMON_DIR"];

/// Settings that would run a program, or write beside the index.
const QUIET: [&str; 3] = ["core.hooksPath=/dev/null", "core.fsmonitor=false", "core.splitIndex=false"];

/// A file whose entry in the index is a commit: a submodule.
const SUBMODULE: &[u8] = b"160000";

/// The files of a revision. They are removed when it is dropped.
#[derive(Debug)]
pub(crate) struct Checkout {
    _folder: TempDir,
    /// The folder that was asked for, as it was.
    pub(crate) root: PathBuf,
    /// Submodules of then whose files are not known, relative to `root`.
    pub(crate) submodules: Vec<PathBuf>,
}

/// Why what differs is not known.
#[derive(Debug)]
pub(crate) enum Error {
    /// The files of the revision cannot be had or compared.
    Unknown(Problem),
    /// The files are wrong as they are now.
    Problems(Vec<Problem>),
    /// We were told to stop.
    Stopped,
}

impl From<Problem> for Error {
    fn from(unknown: Problem) -> Self {
        Self::Unknown(unknown)
    }
}

/// A repository, seen from a folder in it.
struct Repository {
    git_dir: OsString,
    /// Its history is cut.
    shallow: bool,
    /// The folder within it, ending in `/`; empty for the top.
    prefix: Vec<u8>,
}

/// A submodule, by where it lies, and the commit of its own that it is at.
struct Submodule {
    path: PathBuf,
    commit: String,
}

/// Writes the files that `root` and what is below it had at `revision` into a
/// temporary folder, those of submodules too. `revision` must not begin with `-`.
///
/// # Errors
/// There is no git, no repository, no such revision; or `stop` was cancelled.
pub(crate) async fn checkout(
    root: &Path,
    revision: &str,
    stop: &CancellationToken,
) -> Result<Checkout, Error> {
    let repository = repository(root, stop).await?;
    let commit = commit(root, revision, repository.shallow, stop).await?;
    let made = || {
        let folder = tempfile::Builder::new().prefix("ds01-build-since-").tempdir()?;
        std::fs::create_dir(folder.path().join("files"))?;
        Ok(folder)
    };
    let folder = made()
        .map_err(|error: io::Error| Problem::new(format!("a temporary folder cannot be made: {error}")))?;
    let files = folder.path().join("files");
    let index = folder.path().join("index");
    let then = files.join(OsStr::from_bytes(&repository.prefix));
    let mut waiting = write(&repository, &files, &commit, &index, stop).await?;
    let mut unknown = Vec::new();
    while let Some(Submodule { path, commit }) = waiting.pop() {
        match submodule(&root.join(&path), &then.join(&path), &commit, &index, stop).await {
            Ok(inner) => waiting
                .extend(inner.into_iter().map(|inner| Submodule { path: path.join(&inner.path), ..inner })),
            Err(Error::Stopped) => return Err(Error::Stopped),
            Err(_) => unknown.push(path),
        }
    }
    Ok(Checkout { _folder: folder, root: then, submodules: unknown })
}

/// Writes the files that a submodule had at a commit, as they are known to its
/// own repository, which is where it is checked out `now`.
///
/// # Errors
/// It is not checked out, or has no such commit.
async fn submodule(
    now: &Path,
    then: &Path,
    commit: &str,
    index: &Path,
    stop: &CancellationToken,
) -> Result<Vec<Submodule>, Error> {
    let written = |error: io::Error| Problem::new(format!("{} cannot be written: {error}", then.display()));
    // So does git where it does not check it out.
    fs::create_dir_all(then).map_err(written)?;
    let repository = repository(now, stop).await?;
    if !repository.prefix.is_empty() {
        return Err(Problem::new(format!("{} is not checked out", now.display())).into());
    }
    let inner = write(&repository, then, commit, index, stop).await?;
    // It is where git keeps the repository, and an image may copy it with the rest.
    if now.join(".git").is_file() {
        fs::copy(now.join(".git"), then.join(".git")).map_err(written)?;
    }
    Ok(inner)
}

/// Writes the files of a commit into a folder, those below the prefix; and
/// gives the submodules there, which stay to be written.
async fn write(
    repository: &Repository,
    files: &Path,
    commit: &str,
    index: &Path,
    stop: &CancellationToken,
) -> Result<Vec<Submodule>, Error> {
    let git = |args: &[&str]| {
        let mut command = command(files);
        command.env("GIT_INDEX_FILE", index);
        command.arg("--git-dir").arg(&repository.git_dir).arg("--work-tree").arg(files).args(args);
        command
    };
    run(git(&["read-tree", commit]), &[], stop).await?;
    let listed = run(git(&["ls-files", "--stage", "-z"]), &[], stop).await?;
    let (paths, submodules) = below(&listed, &repository.prefix);
    run(git(&["checkout-index", "--stdin", "-z"]), &paths, stop).await?;
    Ok(submodules)
}

async fn repository(root: &Path, stop: &CancellationToken) -> Result<Repository, Error> {
    let mut ask = command(root);
    ask.args(["rev-parse", "--is-shallow-repository", "--absolute-git-dir", "--show-prefix"]);
    let said = run(ask, &[], stop).await?;
    let mut lines = said.split(|byte| *byte == b'\n').map(<[u8]>::to_vec);
    let mut next = || lines.next().unwrap_or_default();
    Ok(Repository { shallow: next() == b"true", git_dir: OsString::from_vec(next()), prefix: next() })
}

/// The commit that a revision names.
async fn commit(
    root: &Path,
    revision: &str,
    shallow: bool,
    stop: &CancellationToken,
) -> Result<String, Error> {
    let mut ask = command(root);
    ask.args(["rev-parse", "--verify", "--quiet", "--end-of-options"]).arg(format!("{revision}^{{commit}}"));
    match run(ask, &[], stop).await {
        Ok(said) => Ok(String::from_utf8_lossy(&said).trim().to_owned()),
        Err(Error::Stopped) => Err(Error::Stopped),
        Err(_) => {
            let unknown = format!("`{revision}` names no commit here");
            let (more, help) = match shallow {
                true => (
                    ", and the history of this clone is cut",
                    "get the rest with `git fetch --unshallow`, or more with `git fetch --depth N`",
                ),
                false => ("", "`git log` shows those there are; a branch of elsewhere is `origin/NAME`"),
            };
            Err(Problem::new(unknown + more).help(help).into())
        }
    }
}

/// Of an index, as `ls-files --stage -z` lists it, what lies below a prefix:
/// the paths of files as `checkout-index -z` reads them, and the submodules.
fn below(listed: &[u8], prefix: &[u8]) -> (Vec<u8>, Vec<Submodule>) {
    let (mut paths, mut submodules) = (Vec::new(), Vec::new());
    for entry in listed.split(|byte| *byte == 0).filter(|entry| !entry.is_empty()) {
        let tab = entry.iter().position(|byte| *byte == b'\t').unwrap_or(0);
        let path = &entry[tab + 1..];
        if !entry.starts_with(SUBMODULE) {
            if path.starts_with(prefix) {
                paths.extend_from_slice(path);
                paths.push(0);
            }
        } else if let Some(inside) = path.strip_prefix(prefix) {
            // `160000 COMMIT STAGE`.
            let commit = entry[..tab].split(|byte| *byte == b' ').nth(1).unwrap_or_default();
            let commit = String::from_utf8_lossy(commit).into_owned();
            submodules.push(Submodule { path: OsStr::from_bytes(inside).into(), commit });
        }
    }
    (paths, submodules)
}

/// A git that asks nobody anything.
fn command(at: &Path) -> Command {
    let mut command = Command::new("git");
    for name in NOT_OURS {
        command.env_remove(name);
    }
    command.env("LC_ALL", "C").env("GIT_TERMINAL_PROMPT", "0").env("GIT_OPTIONAL_LOCKS", "0");
    command.arg("-C").arg(at);
    for setting in QUIET {
        command.arg("-c").arg(setting);
    }
    command
}

/// Runs git to its end and gives what it wrote. Stopped, it is gone before
/// this returns, so that nothing writes into a folder that is removed.
async fn run(mut command: Command, input: &[u8], stop: &CancellationToken) -> Result<Vec<u8>, Error> {
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let output =
        process::run(command, input, stop.cancelled()).await.map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => Problem::new("git is not installed"),
            _ => Problem::new(format!("git cannot be run: {error}")),
        })?;
    match output {
        None => Err(Error::Stopped),
        Some(output) if output.status.success() => Ok(output.stdout),
        Some(output) => Err(complaint(&output.stderr).into()),
    }
}

fn complaint(said: &[u8]) -> Problem {
    let said = String::from_utf8_lossy(said);
    let line = said.lines().find(|line| line.starts_with("fatal: ")).or_else(|| said.lines().next());
    match line.map(|line| line.trim_start_matches("fatal: ")) {
        None => Problem::new("git failed without a word"),
        Some(line) if line.starts_with("not a git repository") => {
            Problem::new("the spec lies in no git repository")
        }
        Some(line) => Problem::new(format!("git says: {line}")),
    }
}
