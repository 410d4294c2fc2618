//! Contexts on a real file system.

use super::hash::{Node, scan};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};

use super::*;
use crate::model::problem::Problem;

struct Sandbox(tempfile::TempDir);

impl Sandbox {
    /// Files by path and content; a path that ends with `/` is a folder.
    fn new(files: &[(&str, &str)]) -> Self {
        let sandbox = Self(tempfile::tempdir().unwrap());
        for (path, content) in files {
            sandbox.write(path, content);
        }
        sandbox
    }

    fn at(&self, path: &str) -> PathBuf {
        self.0.path().join(path)
    }

    fn write(&self, path: &str, content: &str) {
        if let Some(folder) = path.strip_suffix('/') {
            return fs::create_dir_all(self.at(folder)).unwrap();
        }
        fs::create_dir_all(self.at(path).parent().unwrap()).unwrap();
        fs::write(self.at(path), content).unwrap();
    }

    fn context(&self, ignore: &str, readable: &[&str]) -> Context {
        let ignore = Ignore::parse(ignore).unwrap();
        Context::new(self.0.path(), ignore, set(readable)).unwrap()
    }

    fn paths(&self, ignore: &str, readable: &[&str]) -> Vec<String> {
        walk::walk(&self.context(ignore, readable))
            .unwrap()
            .into_iter()
            .map(|found| found.entry.path)
            .collect()
    }

    /// The digest of all, for one image that reads this.
    fn digest(&self, readable: &[&str]) -> Digest {
        digest_of(&scan(&self.context("", &["."])).unwrap(), &set(readable))
    }
}

fn set(items: &[&str]) -> BTreeSet<SourcePath> {
    items.iter().map(|path| SourcePath::from(*path)).collect()
}

#[test]
fn parents_come_before_children_and_names_in_the_order_of_their_bytes() {
    let sandbox =
        Sandbox::new(&[("a/x", ""), ("a-b", ""), ("a.c/y", ""), ("B", ""), ("é", ""), ("empty/", "")]);
    assert_eq!(sandbox.paths("", &["."]), ["B", "a", "a/x", "a-b", "a.c", "a.c/y", "empty", "é"]);
}

#[test]
fn only_what_is_readable_and_not_ignored_is_listed() {
    let sandbox = Sandbox::new(&[
        ("src/main.py", ""),
        ("src/test/t.py", ""),
        ("docs/a.md", ""),
        ("docs/keep/b.md", ""),
        ("node_modules/x/y", ""),
        ("empty/deep/", ""),
        ("README.md", ""),
    ]);
    for (ignore, readable, expected) in [
        ("", &[][..], &[][..]),
        ("", &["README.md"], &["README.md"]),
        ("", &["nothing"], &[]),
        ("", &["src/*.py"], &["src", "src/main.py"]),
        ("", &["*/test"], &["src", "src/test", "src/test/t.py"]),
        ("", &["src/main.py/x"], &[]),
        ("docs\n!docs/keep", &["docs"], &["docs", "docs/keep", "docs/keep/b.md"]),
        ("*\n!src/test", &["."], &["src", "src/test", "src/test/t.py"]),
        ("**\n", &["."], &[]),
        ("src\ndocs\nnode_modules", &["."], &["README.md", "empty", "empty/deep"]),
        ("", &["empty/*"], &["empty", "empty/deep"]),
        ("", &["empty/*/x"], &[]),
    ] {
        assert_eq!(sandbox.paths(ignore, readable), expected, "{ignore:?} {readable:?}");
    }
}

#[test]
fn an_entry_carries_what_a_file_sync_tells() {
    let sandbox = Sandbox::new(&[("run.sh", "hello"), ("d/", "")]);
    symlink("../outside", sandbox.at("d/link")).unwrap();
    fs::set_permissions(sandbox.at("run.sh"), fs::Permissions::from_mode(0o750)).unwrap();
    let time = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::new(1_000, 7);
    fs::File::options().write(true).open(sandbox.at("run.sh")).unwrap().set_modified(time).unwrap();
    let found = walk::walk(&sandbox.context("", &["."])).unwrap();
    let entries: Vec<_> = found.into_iter().map(|found| found.entry).collect();
    assert_eq!(
        entries.iter().map(|e| e.kind).collect::<Vec<_>>(),
        [EntryKind::Dir, EntryKind::Link, EntryKind::File]
    );
    assert_eq!(entries[1].link_target.as_deref(), Some("../outside"));
    let file = &entries[2];
    assert_eq!((file.mode, file.size, file.mtime_ns), (0o750, 5, 1_000_000_000_007));
}

#[test]
fn links_out_of_the_folder_and_loops_are_listed_and_never_followed() {
    let outside = Sandbox::new(&[("secret", "x")]);
    let sandbox = Sandbox::new(&[("d/f", "")]);
    symlink(outside.0.path(), sandbox.at("out")).unwrap();
    symlink("../../../../etc", sandbox.at("up")).unwrap();
    symlink("d", sandbox.at("loop")).unwrap();
    symlink("..", sandbox.at("d/back")).unwrap();
    symlink("self/x", sandbox.at("self")).unwrap();
    assert_eq!(sandbox.paths("", &["."]), ["d", "d/back", "d/f", "loop", "out", "self", "up"]);
    assert_eq!(sandbox.paths("", &["out/secret", "up/passwd"]), ["out", "up"]);
    assert_eq!(sandbox.paths("", &["self"]), ["self"]);
    assert!(sandbox.context("", &["."]).open("out/secret").is_err());
    assert!(sandbox.context("", &["."]).open("loop/f").is_err());
}

#[test]
fn what_a_link_points_to_is_readable_through_it() {
    let sandbox = Sandbox::new(&[("releases/1/app", "one"), ("releases/2/app", "two"), ("other", "")]);
    symlink("releases/1", sandbox.at("current")).unwrap();
    symlink("/current", sandbox.at("absolute")).unwrap();
    assert_eq!(sandbox.paths("", &["current/app"]), ["current", "releases", "releases/1", "releases/1/app"]);
    assert_eq!(
        sandbox.paths("", &["absol*/a*"]),
        ["absolute", "current", "releases", "releases/1", "releases/1/app"]
    );
    let before = sandbox.digest(&["absolute/app"]);
    sandbox.write("releases/2/app", "changed");
    assert_eq!(sandbox.digest(&["absolute/app"]), before);
    sandbox.write("releases/1/app", "changed");
    assert_ne!(sandbox.digest(&["absolute/app"]), before);
    let before = sandbox.digest(&["current/app"]);
    fs::remove_file(sandbox.at("current")).unwrap();
    symlink("releases/2", sandbox.at("current")).unwrap();
    assert_ne!(sandbox.digest(&["current/app"]), before);
}

#[test]
fn a_digest_sees_path_type_executable_bit_target_and_content() {
    let fresh = || {
        let sandbox = Sandbox::new(&[("a", "1"), ("d/b", "2"), ("e/", "")]);
        symlink("a", sandbox.at("l")).unwrap();
        sandbox
    };
    let before = fresh().digest(&["."]);
    let changes: [fn(&Sandbox); 8] = [
        |s| s.write("a", "2"),
        |s| s.write("new", ""),
        |s| s.write("new/", ""),
        |s| fs::remove_dir(s.at("e")).unwrap(),
        |s| fs::rename(s.at("d/b"), s.at("d/c")).unwrap(),
        |s| fs::set_permissions(s.at("a"), fs::Permissions::from_mode(0o755)).unwrap(),
        |s| {
            fs::remove_file(s.at("l")).unwrap();
            symlink("d", s.at("l")).unwrap();
        },
        |s| {
            fs::remove_file(s.at("l")).unwrap();
            s.write("l", "a");
        },
    ];
    for (index, change) in changes.iter().enumerate() {
        let sandbox = fresh();
        change(&sandbox);
        assert_ne!(sandbox.digest(&["."]), before, "change {index}");
    }
}

#[test]
fn a_digest_sees_neither_time_nor_place_nor_what_cannot_be_read() {
    let files = [("src/a", "1"), ("README.md", "x")];
    let (one, two) = (Sandbox::new(&files), Sandbox::new(&files));
    fs::File::options()
        .write(true)
        .open(two.at("src/a"))
        .unwrap()
        .set_modified(std::time::UNIX_EPOCH)
        .unwrap();
    fs::set_permissions(two.at("src/a"), fs::Permissions::from_mode(0o600)).unwrap();
    assert_eq!(one.digest(&["."]), two.digest(&["."]));
    two.write("README.md", "edited");
    two.write("tests/t.py", "");
    assert_eq!(one.digest(&["src", "nothing"]), two.digest(&["src", "nothing"]));
    assert_ne!(one.digest(&["."]), two.digest(&["."]));
    // A folder counts where it is copied, not where it is only on the way.
    two.write("src/sub/", "");
    assert_eq!(one.digest(&["src/a"]), two.digest(&["src/a"]));
    assert_eq!(one.digest(&["src/*/x"]), two.digest(&["src/*/x"]));
    assert_ne!(one.digest(&["src/*"]), two.digest(&["src/*"]));
}

#[test]
fn a_tree_of_several_images_gives_each_its_own_digest() {
    let sandbox = Sandbox::new(&[("a/1", "1"), ("b/2", "2"), ("c", "3")]);
    let union = scan(&sandbox.context("", &["a", "b/*"])).unwrap();
    for readable in [&["a"][..], &["b/*"], &["b/2"], &["a/*", "b"]] {
        let alone = scan(&sandbox.context("", readable)).unwrap();
        assert_eq!(digest_of(&union, &set(readable)), digest_of(&alone, &set(readable)), "{readable:?}");
    }
    assert_ne!(digest_of(&union, &set(&["a"])), digest_of(&union, &set(&["b"])));
    assert_eq!(digest_of(&union, &set(&[])), digest_of(&Tree::default(), &set(&["."])));
}

#[test]
fn a_file_is_hashed_by_its_content() {
    let long = "x".repeat(300_000);
    let sandbox = Sandbox::new(&[("long", &long), ("empty", ""), ("short", "abc")]);
    let tree = scan(&sandbox.context("", &["."])).unwrap();
    for (entry, content) in tree.entries().iter().zip(["", &long, "abc"]) {
        let Node::File { digest, size, executable: false } = &entry.node else { panic!("{entry:?}") };
        assert_eq!((digest, *size), (&Digest::of(content.as_bytes()), content.len() as u64));
    }
}

#[test]
fn a_name_that_is_not_utf8_is_named() {
    let sandbox = Sandbox::new(&[("ok", "")]);
    fs::write(sandbox.0.path().join(std::ffi::OsStr::from_bytes(b"bad\xff")), "").unwrap();
    let error = scan(&sandbox.context("", &["."])).unwrap_err();
    assert_eq!(error.to_string(), "the file name `bad\u{fffd}` is not UTF-8");
    assert_eq!(sandbox.paths("bad*", &["."]), ["ok"]);
    assert_eq!(sandbox.paths("", &["ok"]), ["ok"]);
    fs::remove_file(sandbox.0.path().join(std::ffi::OsStr::from_bytes(b"bad\xff"))).unwrap();
    symlink(std::ffi::OsStr::from_bytes(b"to\xff"), sandbox.at("link")).unwrap();
    assert_eq!(scan(&sandbox.context("", &["."])), Err(Error::Target { path: "link".into() }));
}

#[test]
fn a_socket_is_passed_over_and_a_pipe_is_refused_by_name_unless_left_out() {
    let sandbox = Sandbox::new(&[("ok", "")]);
    let _socket = std::os::unix::net::UnixListener::bind(sandbox.at("s.sock")).unwrap();
    assert_eq!(sandbox.paths("", &["."]), ["ok"]);
    assert_eq!(sandbox.paths("", &["s.sock"]), [""; 0]);
    rustix::fs::mknodat(rustix::fs::CWD, sandbox.at("pipe"), rustix::fs::FileType::Fifo, Mode::RUSR, 0)
        .unwrap();
    let error = scan(&sandbox.context("", &["."])).unwrap_err();
    assert_eq!(error.to_string(), "`pipe` is a named pipe, which cannot be part of an image");
    assert!(Problem::from(error).help.unwrap().contains(".dockerignore"));
    assert_eq!(sandbox.paths("pipe", &["."]), ["ok"]);
}

#[test]
fn what_is_excluded_below_a_source_neither_counts_nor_is_sent() {
    let sandbox = Sandbox::new(&[
        ("src/m.py", ""),
        ("src/notes.md", ""),
        ("src/sub/deep.md", ""),
        ("src/sub/keep.md", ""),
        ("src/tests/t.py", ""),
        ("top.md", ""),
    ]);
    symlink("src", sandbox.at("link")).unwrap();
    let paths = |path: &str, excluded: &[&str]| -> Vec<String> {
        let excluded = excluded.iter().map(|pattern| (*pattern).to_owned()).collect();
        let source = SourcePath { excluded, ..SourcePath::from(path) };
        let context = Context::new(sandbox.0.path(), Ignore::default(), [source].into()).unwrap();
        walk::walk(&context).unwrap().into_iter().map(|found| found.entry.path).collect()
    };
    let all = [
        "src",
        "src/m.py",
        "src/notes.md",
        "src/sub",
        "src/sub/deep.md",
        "src/sub/keep.md",
        "src/tests",
        "src/tests/t.py",
    ];
    let without =
        |gone: &[&str]| -> Vec<&str> { all.into_iter().filter(|path| !gone.contains(path)).collect() };
    assert_eq!(paths("src", &["*.md"]), without(&["src/notes.md"]));
    assert_eq!(paths("src", &["**/*.md", "!sub/keep.md"]), without(&["src/notes.md", "src/sub/deep.md"]));
    assert_eq!(paths("src", &["tests"]), without(&["src/tests", "src/tests/t.py"]));
    // Seen from what is copied, which is there itself.
    assert_eq!(paths("*.md", &["*.md"]), ["top.md"]);
    assert_eq!(paths("sr?", &["src/notes.md"]), all);
    assert_eq!(paths("link", &["*.md"]).len(), all.len() + 1);
}

#[test]
fn two_stars_match_any_depth_only_where_folders_are_kept() {
    let sandbox = Sandbox::new(&[
        ("a/b.txt", ""),
        ("a/x/b.txt", ""),
        ("a/x/y/b.txt", ""),
        ("a/x/y/c.txt", ""),
        ("b.txt", ""),
        ("d/b.txt/in", ""),
    ]);
    let paths = |path: &str, deep: bool| -> Vec<String> {
        let source = SourcePath { deep, ..SourcePath::from(path) };
        let context = Context::new(sandbox.0.path(), Ignore::default(), [source].into()).unwrap();
        let found = walk::walk(&context).unwrap().into_iter();
        found
            .map(|found| found.entry)
            .filter(|entry| entry.kind == EntryKind::File)
            .map(|entry| entry.path)
            .collect()
    };
    assert_eq!(paths("a/**/b.txt", true), ["a/b.txt", "a/x/b.txt", "a/x/y/b.txt"]);
    assert_eq!(paths("a/**/b.txt", false), ["a/x/b.txt"]);
    assert_eq!(paths("**/b.txt", true), ["a/b.txt", "a/x/b.txt", "a/x/y/b.txt", "b.txt", "d/b.txt/in"]);
    assert_eq!(paths("**/y/**", true), ["a/x/y/b.txt", "a/x/y/c.txt"]);
    assert_eq!(paths("a/**c.txt", true).len(), 4, "more than it takes");
    assert_eq!(paths(&"**/x/".repeat(40), true).len(), 0);
}

#[test]
fn a_wildcard_that_is_looked_for_through_a_link_is_known() {
    let sandbox = Sandbox::new(&[("real/f", ""), ("real/sub/g", ""), ("other", "")]);
    symlink("real", sandbox.at("link")).unwrap();
    symlink("sub", sandbox.at("real/inner")).unwrap();
    let through = |path: &str| {
        let tree = scan(&sandbox.context("", &[path])).unwrap();
        tree.may_be_taken_for_older(&set(&[path]))
    };
    for path in ["link/*", "l*/f", "link/sub/g?", "real/inn*/g", "*/inner/g", "link/inner/*"] {
        assert!(through(path), "{path}");
    }
    for path in ["link", "link/f", "li*", "real/*", "*", ".", "link/sub", "gone/*"] {
        assert!(!through(path), "{path}");
    }
}

#[test]
fn a_file_that_changes_while_it_is_read_is_named() {
    let sandbox = Sandbox::new(&[("f", "one"), ("g", "one")]);
    let context = sandbox.context("", &["."]);
    let found = walk::walk(&context).unwrap();
    let changed = |path: &str| Err(Error::Changed { path: path.into() });
    sandbox.write("f", "grown");
    assert_eq!(hash::hash(&context, "f", &found[0].stamp), changed("f"));
    fs::remove_file(sandbox.at("f")).unwrap();
    assert_eq!(hash::hash(&context, "f", &found[0].stamp), changed("f"));
    symlink("g", sandbox.at("f")).unwrap();
    assert_eq!(hash::hash(&context, "f", &found[0].stamp), changed("f"));
    assert_eq!(hash::hash(&context, "g", &found[1].stamp), Ok(Digest::of(b"one")));
    assert_eq!(changed("f").unwrap_err().to_string(), "`f` changed while it was read");
}

#[test]
fn a_folder_that_is_not_there_is_an_error() {
    let sandbox = Sandbox::new(&[]);
    let error = Context::new(&sandbox.at("gone"), Ignore::default(), set(&["."])).unwrap_err();
    assert!(matches!(error, Error::Io { .. }));
}

#[test]
fn a_file_that_may_not_be_read_says_so() {
    let error = std::io::Error::from(std::io::ErrorKind::PermissionDenied);
    let error = Error::read("key", &error);
    assert_eq!(error.to_string(), "`key` may not be read");
    assert!(error.help().contains("chmod"));
}

#[test]
fn an_id_is_of_the_folder_and_its_rules() {
    let (one, two) = (Sandbox::new(&[("d/", "")]), Sandbox::new(&[]));
    let id = |s: &Sandbox, ignore: &str, readable: &[&str]| s.context(ignore, readable).id;
    assert_eq!(id(&one, "a", &["."]), id(&one, "# b\n/a/", &["x"]));
    assert_ne!(id(&one, "a", &["."]), id(&one, "!a", &["."]));
    assert_ne!(id(&one, "a", &["."]), id(&two, "a", &["."]));
    let roundabout = Context::new(&one.at("d/.."), Ignore::parse("a").unwrap(), set(&["."])).unwrap();
    assert_eq!(roundabout.id, id(&one, "a", &["."]));
}

#[test]
fn the_ignore_file_beside_the_dockerfile_wins() {
    let sandbox = Sandbox::new(&[(".dockerignore", "a\n"), ("build/Dockerfile", ""), ("Dockerfile", "")]);
    let ignores = |dockerfile: &str, path: &str| {
        load_ignore(sandbox.0.path(), sandbox.0.path(), &sandbox.at(dockerfile)).unwrap().ignores(path)
    };
    assert!(ignores("build/Dockerfile", "a"));
    sandbox.write("build/Dockerfile.dockerignore", "b\n");
    assert!(!ignores("build/Dockerfile", "a") && ignores("build/Dockerfile", "b"));
    assert!(ignores("Dockerfile", "a"));
    fs::remove_file(sandbox.at(".dockerignore")).unwrap();
    assert!(!ignores("Dockerfile", "a"));
}

#[test]
fn a_broken_ignore_file_is_told_with_its_line() {
    let sandbox = Sandbox::new(&[(".dockerignore", "ok\n[a\nx"), ("Dockerfile", "")]);
    let problem = Problem::from(
        load_ignore(sandbox.0.path(), sandbox.0.path(), &sandbox.at("Dockerfile")).unwrap_err(),
    );
    let place = problem.place.unwrap();
    assert_eq!(place.line_column(), (2, 1));
    assert_eq!(&place.file.text[place.span], "[a");
    fs::write(sandbox.at(".dockerignore"), b"\xff").unwrap();
    let error = load_ignore(sandbox.0.path(), sandbox.0.path(), &sandbox.at("Dockerfile")).unwrap_err();
    assert!(matches!(error, Error::Text { .. }));
}

#[test]
fn a_file_that_the_cache_knows_is_not_read_again() {
    let sandbox = Sandbox::new(&[("f", "one"), ("g", "two")]);
    let store = Sandbox::new(&[]);
    let file = store.at("hashes");
    let context = sandbox.context("", &["."]);
    let cache = HashCache::load(&file);
    let tree = scan_with(&context, &cache).unwrap();
    let newest = walk::walk(&context).unwrap().iter().map(|f| f.stamp.ctime_ns).max().unwrap();

    // Just written: their stamps cannot be trusted yet.
    cache.save(&file, newest + 1).unwrap();
    assert_eq!(fs::read_to_string(&file).unwrap().lines().count(), 1);
    cache.save(&file, newest + 10_000_000_000).unwrap();
    assert_eq!(scan_with(&context, &HashCache::load(&file)).unwrap(), tree);

    // A digest changed in the cache shows that the cache is asked, and for
    // unchanged files alone.
    let other = Digest::of(b"other");
    let written = fs::read_to_string(&file).unwrap();
    let line = |line: &str| match line.split_once(" [") {
        Some((_, row)) => {
            let row = format!("[{row}").replace(Digest::of(b"one").as_str(), other.as_str());
            format!("{} {row}\n", Digest::of(row.as_bytes()).first(16))
        }
        None => format!("{line}\n"),
    };
    fs::write(&file, written.lines().map(line).collect::<String>()).unwrap();
    let digest = |tree: &Tree, index: usize| match &tree.entries()[index].node {
        Node::File { digest, .. } => digest.clone(),
        node => panic!("{node:?}"),
    };
    let cached = scan_with(&context, &HashCache::load(&file)).unwrap();
    assert_eq!((digest(&cached, 0), digest(&cached, 1)), (other, Digest::of(b"two")));
    // But not a digit that flipped by itself, in whatever part of a line.
    let places = (written.find('\n').unwrap() + 1..written.len())
        .filter(|at| written.as_bytes()[*at].is_ascii_digit());
    for at in places {
        let mut flipped = written.clone().into_bytes();
        flipped[at] = if flipped[at] == b'9' { b'0' } else { flipped[at] + 1 };
        fs::write(&file, flipped).unwrap();
        assert_eq!(scan_with(&context, &HashCache::load(&file)).unwrap(), tree, "byte {at}");
    }
    sandbox.write("f", "new");
    let fresh = scan_with(&context, &HashCache::load(&file)).unwrap();
    assert_eq!(digest(&fresh, 0), Digest::of(b"new"));
}

#[test]
fn a_broken_cache_is_no_cache() {
    let sandbox = Sandbox::new(&[("f", "one")]);
    let store = Sandbox::new(&[]);
    let context = sandbox.context("", &["."]);
    let tree = scan(&context).unwrap();
    for text in ["", "other\n", "ds01-build file hashes 2\nnonsense\n[\"x\"]\n", "\u{fffd}"] {
        store.write("hashes", text);
        assert_eq!(scan_with(&context, &HashCache::load(&store.at("hashes"))).unwrap(), tree, "{text}");
    }
}
