//! Real git in folders of its own, without the user's configuration.

use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use tokio_util::sync::CancellationToken;

use super::*;

/// top → {left → leaf, right}.
const SPEC: &str = "tag: {prefix: \"2026.4\"}
bases: {slim: {image: \"debian:12\"}}
images:
  top: {base: slim}
  left: {depend_on: top}
  right: {depend_on: top}
  leaf: {depend_on: left}
";
const DOCKERFILE: &str = "ARG BASE_IMAGE\nFROM ${BASE_IMAGE}\nCOPY . /here\n";

struct Repository(tempfile::TempDir);

impl Repository {
    /// One commit of the images above.
    fn new() -> Self {
        let repository = Self::empty();
        repository.stack("");
        repository.commit();
        repository
    }

    fn empty() -> Self {
        let repository = Self(tempfile::tempdir().unwrap());
        repository.git(&["init", "--quiet", "--initial-branch=main"]);
        repository
    }

    fn stack(&self, below: &str) {
        self.write(&format!("{below}spec.yml"), SPEC);
        for image in ["top", "left", "right", "leaf"] {
            self.write(&format!("{below}images/{image}/Dockerfile"), DOCKERFILE);
            self.write(&format!("{below}images/{image}/data"), image);
        }
    }

    fn root(&self) -> &Path {
        self.0.path()
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.root().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    fn git(&self, args: &[&str]) -> String {
        git(self.root(), args)
    }

    fn commit(&self) {
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--message", "change"]);
    }

    /// Names of what differs, or why that is not known.
    async fn since(&self, revision: &str) -> Result<Vec<String>, String> {
        Ok(since(self.root(), revision).await?.0)
    }
}

fn git(at: &Path, args: &[&str]) -> String {
    let output = Command::new("git")
        .current_dir(at)
        .args([
            "-c",
            "user.name=Test",
            "-c",
            "user.email=test@example.org",
            "-c",
            "protocol.file.allow=always",
        ])
        .args(args)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_SYSTEM", "/dev/null")
        .output()
        .unwrap();
    assert!(output.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Names of what differs and of what is gone, or why that is not known.
async fn since(root: &Path, revision: &str) -> Result<(Vec<String>, Vec<String>), String> {
    let file = root.join("spec.yml");
    let spec = crate::spec::read(root, &file, &SpecContext::of(&Disk)).unwrap();
    let graph = Graph::build(&spec);
    let now = Now {
        spec: &spec,
        graph: &graph,
        file: &file,
        lock: &lock_file::load(&root.join("spec.lock"), Path::new("spec.lock")).unwrap(),
        hashes: &HashCache::default(),
        stand_ins: &BTreeMap::new(),
        people: &Arc::default(),
        arch: &crate::spec::catalog::host::NOWHERE,
    };
    match super::since(&now, revision, &CancellationToken::new()).await {
        Ok(difference) => {
            let changed = difference.changed.iter().map(|id| graph.node(*id).name.to_string());
            Ok((changed.collect(), difference.removed.iter().map(ToString::to_string).collect()))
        }
        Err(Error::Unknown(problem)) => {
            Err(format!("{} | {}", problem.message, problem.help.unwrap_or_default()))
        }
        Err(error) => panic!("{error:?}"),
    }
}

#[tokio::test]
async fn a_changed_file_selects_its_image_and_what_stands_on_it() {
    let repository = Repository::new();
    repository.write("images/left/data", "changed");
    assert_eq!(repository.since("HEAD").await.unwrap(), ["left", "leaf"], "uncommitted");
    repository.commit();
    assert_eq!(repository.since("HEAD~1").await.unwrap(), ["left", "leaf"], "committed");
    assert!(repository.since("HEAD").await.unwrap().is_empty());
}

#[tokio::test]
async fn a_file_that_git_does_not_know_counts() {
    let repository = Repository::new();
    repository.write("images/right/new", "untracked");
    assert_eq!(repository.since("HEAD").await.unwrap(), ["right"]);
}

#[tokio::test]
async fn a_file_changed_and_changed_back_selects_nothing() {
    let repository = Repository::new();
    repository.write("images/top/data", "changed");
    repository.commit();
    repository.write("images/top/data", "top");
    repository.commit();
    assert!(repository.since("HEAD~2").await.unwrap().is_empty());
    assert_eq!(repository.since("HEAD~1").await.unwrap().len(), 4);
}

#[tokio::test]
async fn all_commits_since_then_count_not_only_the_last() {
    let repository = Repository::new();
    repository.write("images/right/data", "first");
    repository.commit();
    repository.write("images/leaf/data", "second");
    repository.commit();
    assert_eq!(repository.since("HEAD~2").await.unwrap(), ["right", "leaf"]);
}

#[tokio::test]
async fn stamps_of_spec_lock_are_compared_as_inputs() {
    let repository = Repository::new();
    let lock = |stamps: &str| format!("version: 1\nimages: {{}}\nrefreshed:\n{stamps}");
    repository.write("spec.lock", &lock("  left: 2026-11-30\n"));
    assert_eq!(repository.since("HEAD").await.unwrap(), ["left", "leaf"]);
    repository.commit();
    assert!(repository.since("HEAD").await.unwrap().is_empty());
    repository.write("spec.lock", &lock("  left: 2026-11-30.2\n  right: 2026-11-30\n"));
    assert_eq!(repository.since("HEAD").await.unwrap(), ["left", "right", "leaf"]);
}

#[tokio::test]
async fn a_rename_across_two_images_counts_on_both_sides() {
    let repository = Repository::new();
    repository.git(&["mv", "images/leaf/data", "images/right/moved"]);
    repository.commit();
    assert_eq!(repository.since("HEAD~1").await.unwrap(), ["right", "leaf"]);
}

#[tokio::test]
async fn a_path_that_is_not_ascii_counts() {
    let repository = Repository::new();
    repository.write("images/right/données d’été/日本 \"x\".txt", "1");
    repository.commit();
    assert_eq!(repository.since("HEAD~1").await.unwrap(), ["right"]);
    repository.write("images/right/données d’été/日本 \"x\".txt", "2");
    assert_eq!(repository.since("HEAD").await.unwrap(), ["right"]);
}

#[tokio::test]
async fn an_executable_bit_and_a_links_target_count() {
    let repository = Repository::new();
    std::os::unix::fs::symlink("data", repository.root().join("images/leaf/link")).unwrap();
    repository.commit();
    assert!(repository.since("HEAD").await.unwrap().is_empty());
    std::fs::remove_file(repository.root().join("images/leaf/link")).unwrap();
    std::os::unix::fs::symlink("Dockerfile", repository.root().join("images/leaf/link")).unwrap();
    let data = repository.root().join("images/right/data");
    std::fs::set_permissions(data, std::fs::Permissions::from_mode(0o755)).unwrap();
    assert_eq!(repository.since("HEAD").await.unwrap(), ["right", "leaf"]);
}

#[tokio::test]
async fn a_comment_in_the_spec_selects_nothing_and_an_edit_what_it_is_about() {
    let repository = Repository::new();
    repository.write("spec.yml", &format!("# why\n\n{SPEC}# the end\n"));
    repository.commit();
    assert!(repository.since("HEAD~1").await.unwrap().is_empty());
    repository.write("spec.yml", &SPEC.replace("debian:12", "debian:13"));
    assert_eq!(repository.since("HEAD").await.unwrap().len(), 4);
    repository.write("spec.yml", &SPEC.replace("right: {", "right: {image_name: x/other, "));
    assert_eq!(repository.since("HEAD").await.unwrap(), ["right"], "its tags are not there yet");
}

#[tokio::test]
async fn plan_variants_are_told_apart() {
    let repository = Repository::new();
    let dockerfile = "ARG BASE_IMAGE\nFROM ${BASE_IMAGE}\nARG PYTHON\n";
    repository.write("images/top/Dockerfile", dockerfile);
    let with = |python: &str| {
        format!("{SPEC}plans: {{py: {{tag_prefix: \"2026.4-py\", build_args: {{PYTHON: \"{python}\"}}}}}}\n")
    };
    repository.write("spec.yml", &with("3.12"));
    repository.commit();
    repository.write("spec.yml", &with("3.13"));
    let changed: BTreeSet<_> = repository.since("HEAD").await.unwrap().into_iter().collect();
    assert_eq!(Vec::from_iter(changed), ["leaf@py", "left@py", "right@py", "top@py"]);
}

#[tokio::test]
async fn an_image_that_is_no_more_is_told_and_a_renamed_one_is_new() {
    let repository = Repository::new();
    repository.git(&["mv", "images/leaf", "images/twig"]);
    repository.write("spec.yml", &SPEC.replace("leaf:", "twig:"));
    let (changed, removed) = since(repository.root(), "HEAD").await.unwrap();
    assert_eq!((changed, removed), (vec!["twig".to_owned()], vec!["leaf".to_owned()]));
}

#[tokio::test]
async fn line_ends_that_git_converts_do_not_differ() {
    let repository = Repository::new();
    repository.write(".gitattributes", "*.txt text eol=crlf\n");
    repository.write("images/right/lines.txt", "one\r\ntwo\r\n");
    repository.commit();
    assert!(repository.since("HEAD").await.unwrap().is_empty());
}

#[tokio::test]
async fn a_detached_head_and_a_linked_working_tree_are_as_good_as_a_branch() {
    let repository = Repository::new();
    repository.write("images/left/data", "changed");
    repository.commit();
    let other = tempfile::tempdir().unwrap();
    let at = other.path().join("linked");
    repository.git(&["worktree", "add", "--quiet", "--detach", at.to_str().unwrap(), "HEAD"]);
    assert_eq!(since(&at, "HEAD~1").await.unwrap().0, ["left", "leaf"]);
    repository.git(&["checkout", "--quiet", "--detach", "HEAD"]);
    assert_eq!(repository.since("HEAD~1").await.unwrap(), ["left", "leaf"]);
}

#[tokio::test]
async fn a_stack_below_the_top_of_the_repository_is_compared_with_itself() {
    let repository = Repository::empty();
    repository.stack("stacks/été/");
    repository.write("other/file", "1");
    repository.commit();
    repository.write("stacks/été/images/leaf/data", "changed");
    repository.write("other/file", "2");
    let root = repository.root().join("stacks/été");
    assert_eq!(since(&root, "HEAD").await.unwrap().0, ["leaf"]);
}

#[tokio::test]
async fn a_shallow_clone_says_that_its_history_is_cut() {
    let repository = Repository::new();
    repository.write("images/left/data", "changed");
    repository.commit();
    let other = tempfile::tempdir().unwrap();
    let from = format!("file://{}", repository.root().display());
    git(other.path(), &["clone", "--quiet", "--depth", "1", &from, "clone"]);
    let clone = other.path().join("clone");
    let why = since(&clone, "HEAD~1").await.unwrap_err();
    assert!(why.contains("`HEAD~1`") && why.contains("the history of this clone is cut"), "{why}");
    assert!(why.contains("git fetch --unshallow") && why.contains("--depth"), "{why}");
    git(&clone, &["fetch", "--quiet", "--unshallow"]);
    assert_eq!(since(&clone, "HEAD~1").await.unwrap().0, ["left", "leaf"]);
}

#[tokio::test]
async fn what_is_no_commit_and_what_is_no_repository_is_said() {
    let repository = Repository::new();
    for revision in ["nothing", "HEAD:spec.yml", "HEAD..HEAD", "--output=x", "HEAD\n", ""] {
        let why = repository.since(revision).await.unwrap_err();
        assert!(why.contains("names no commit here"), "{revision}: {why}");
    }
    let plain = Repository(tempfile::tempdir().unwrap());
    plain.stack("");
    let why = plain.since("HEAD").await.unwrap_err();
    assert!(why.starts_with("the spec lies in no git repository"), "{why}");
}

#[tokio::test]
async fn files_in_a_submodule_are_those_of_the_commit_that_it_was_at() {
    let (repository, other) = (Repository::new(), Repository::new());
    repository.git(&["submodule", "--quiet", "add", other.root().to_str().unwrap(), "images/top/vendor"]);
    repository.commit();
    let none: [&str; 0] = [];
    assert_eq!(repository.since("HEAD").await.unwrap(), none, "its files are the same");
    repository.write("images/top/vendor/images/left/data", "other");
    assert_eq!(repository.since("HEAD").await.unwrap(), ["top", "left", "right", "leaf"]);
    git(&repository.root().join("images/top/vendor"), &["commit", "--quiet", "--all", "--message", "x"]);
    repository.commit();
    assert_eq!(repository.since("HEAD").await.unwrap(), none);
    assert_eq!(repository.since("HEAD~1").await.unwrap(), ["top", "left", "right", "leaf"]);

    // One within it, which is no file of the outer repository.
    let vendor = repository.root().join("images/top/vendor");
    let inner = Repository::new();
    git(&vendor, &["submodule", "--quiet", "add", inner.root().to_str().unwrap(), "inner"]);
    git(&vendor, &["commit", "--quiet", "--all", "--message", "x"]);
    repository.commit();
    assert_eq!(repository.since("HEAD").await.unwrap(), none);
    repository.git(&["submodule", "--quiet", "deinit", "--force", "images/top/vendor"]);
    assert_eq!(
        repository.since("HEAD").await.unwrap(),
        none,
        "nor has a clone without it anything to compare"
    );
}

#[tokio::test]
async fn files_in_a_submodule_that_is_not_here_are_not_known() {
    let (repository, other) = (Repository::new(), Repository::new());
    let from = other.root().to_str().unwrap();
    repository.git(&["submodule", "--quiet", "add", from, "images/vendor"]);
    repository.commit();
    assert!(repository.since("HEAD").await.unwrap().is_empty(), "no image is made from it");
    let spec = format!("{SPEC}  more: {{base: slim, dockerfile: images/vendor/images/top/Dockerfile}}\n");
    repository.write("spec.yml", &spec);
    repository.commit();
    assert!(repository.since("HEAD").await.unwrap().is_empty());
    // Its folder stays, and is a repository of its own no more.
    std::fs::remove_file(repository.root().join("images/vendor/.git")).unwrap();
    let why = repository.since("HEAD").await.unwrap_err();
    assert!(why.contains("images/vendor/images/top lies in the submodule images/vendor"), "{why}");
}

#[tokio::test]
async fn the_repository_is_as_it_was_and_no_hook_runs() {
    let repository = Repository::new();
    let hook = repository.root().join(".git/hooks/post-index-change");
    repository.write(".git/hooks/post-index-change", "#!/bin/sh\ntouch ran\n");
    std::fs::set_permissions(&hook, std::fs::Permissions::from_mode(0o755)).unwrap();
    repository.write("images/left/data", "staged");
    repository.git(&["add", "--all"]);
    std::fs::remove_file(repository.root().join("ran")).unwrap();
    let index = std::fs::read(repository.root().join(".git/index")).unwrap();
    repository.since("HEAD").await.unwrap();
    assert_eq!(std::fs::read(repository.root().join(".git/index")).unwrap(), index);
    assert!(!repository.root().join("ran").exists());
}

#[tokio::test]
async fn the_files_are_gone_with_their_value_and_when_it_is_stopped() {
    let repository = Repository::new();
    let stop = CancellationToken::new();
    let made = checkout(repository.root(), "HEAD", &stop).await.unwrap();
    let root = made.root.clone();
    assert!(root.join("spec.yml").is_file());
    drop(made);
    assert!(!root.exists());
    stop.cancel();
    assert!(matches!(checkout(repository.root(), "HEAD", &stop).await, Err(Error::Stopped)));
}
