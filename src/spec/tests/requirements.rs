//! Requirements files, use cases and hashes, as specs name them.

use super::super::Content;
use super::super::files::memory::MemoryFiles;
use super::{right, small, wrong};
use crate::image::packages::Packages;

fn hash(digit: char) -> String {
    format!("--hash=sha256:{}", digit.to_string().repeat(64))
}

/// A spec with an image `a` of these keys.
fn with(keys: &str, files: &[(&str, &str)]) -> MemoryFiles {
    let memory =
        MemoryFiles::default().file("/r/spec.yml", small(&format!("images:\n  a: {{base: slim, {keys}}}\n")));
    files.iter().fold(memory, |memory, (path, text)| memory.file(path, text))
}

fn packages(memory: &MemoryFiles) -> Packages {
    match right(memory).images.remove(0).content {
        Content::Packages(packages) => packages,
        Content::Dockerfile(_) => panic!("packages"),
    }
}

#[test]
fn files_name_files_relative_to_themselves() {
    let files = with(
        "packages: {pip: [timm], requirements: [reqs/gpu.txt, more.txt]}",
        &[
            ("/r/reqs/gpu.txt", "torch==2.8.0  # gpu\n-r ../more.txt\n-c sub/bounds.txt\n"),
            ("/r/reqs/sub/bounds.txt", "numpy<2\n"),
            ("/r/more.txt", "six\n"),
        ],
    );
    let read = packages(&files);
    assert_eq!(read.pip, ["six", "timm", "torch==2.8.0"]);
    assert_eq!(read.constraints, ["numpy<2"]);
    let image = &right(&files).images[0];
    let place = |text: &str| {
        let (_, place) = image.origins.iter().find(|(t, _)| t == text).unwrap();
        let (line, column) = place.line_column();
        format!("{}:{line}:{column}", place.file.path.display())
    };
    assert_eq!(
        ["timm", "six", "numpy<2"].map(place),
        ["spec.yml:5:36", "more.txt:1:1", "reqs/sub/bounds.txt:1:1"]
    );
}

#[test]
fn names_of_files_comments_and_order_do_not_count() {
    let one = packages(&with("packages: {requirements: a.txt}", &[("/r/a.txt", "b\na # x\n")]));
    let two = packages(&with(
        "packages: {requirements: [b.txt]}",
        &[("/r/b.txt", "-r c.txt\nb"), ("/r/c.txt", "a")],
    ));
    assert_eq!(one, two);
    let bounded = packages(&with(
        "packages: {requirements: a.txt}",
        &[("/r/a.txt", "b\na\n-c c.txt"), ("/r/c.txt", "a<2")],
    ));
    assert_ne!(one, bounded);
}

#[test]
fn every_mistake_of_every_file_is_told_with_who_named_it() {
    let files = with(
        "packages: {requirements: [a.txt, none.txt, ../out.txt, /etc/passwd, link.txt, folder, loop.txt, b.txt]}",
        &[
            ("/r/a.txt", "--index-url https://x\nsix\n-r b.txt\n-r ../../out.txt\n-r https://x/r.txt\n"),
            ("/r/b.txt", "six; rm -rf /\n-r missing.txt\n"),
            ("/r/loop.txt", "-r sub/loop.txt\n"),
            ("/r/sub/loop.txt", "# round and round\n-r ../loop.txt\n"),
            ("/r/folder/x", ""),
            ("/out.txt", "six"),
        ],
    )
    .link("/r/link.txt", "/out.txt");
    insta::assert_snapshot!(wrong(&files));
}

#[test]
fn what_many_images_name_is_told_once() {
    let spec = small(
        "images:\n  a: {base: slim, packages: {requirements: r.txt}}\n  b: {base: slim, packages: {requirements: r.txt}}\n",
    );
    let files = MemoryFiles::default().file("/r/spec.yml", spec).file("/r/r.txt", "--pre\n");
    assert_eq!(wrong(&files).lines().count(), 1);
}

#[test]
fn files_that_are_too_large_too_many_or_no_text_are_refused() {
    let alone = |text: &[u8]| {
        let files = with("packages: {requirements: r.txt}", &[]).file("/r/r.txt", text);
        wrong(&files)
    };
    assert!(alone(&vec![b'#'; 2_000_000]).contains("spec.yml:5:44 `r.txt` has 1953 KiB"));
    assert!(alone(b"six\n\xff").contains("`r.txt` is not UTF-8 text"));
    let deep = (0..12).fold(with("packages: {requirements: f0.txt}", &[]), |files, n| {
        files.file(&format!("/r/f{n}.txt"), format!("-r f{}.txt\n", n + 1))
    });
    assert!(wrong(&deep).contains("f9.txt:1:1 more than 10 files within each other"), "{}", wrong(&deep));
    let wide: String = (0..200).map(|n| format!("-r w{n}.txt\n")).collect();
    let wide = (0..200).fold(with("packages: {requirements: r.txt}", &[("/r/r.txt", &wide)]), |f, n| {
        f.file(&format!("/r/w{n}.txt"), "six")
    });
    assert!(wrong(&wide).contains("or 100 in all"));
}

#[test]
fn pip_takes_hashes_for_all_or_for_none() {
    let text = format!("six==1.16.0 {}\nattrs==1 {}\n", hash('a'), hash('b'));
    let good = packages(&with("packages: {requirements: r.txt}", &[("/r/r.txt", &text)]));
    assert_eq!(good.pip, [format!("attrs==1 {}", hash('b')), format!("six==1.16.0 {}", hash('a'))]);
    let mixed = format!("{text}pandas==2\nyarl>=1 {}\n", hash('c'));
    let files = with("use_case: rl, packages: {pip: [timm], requirements: r.txt}", &[("/r/r.txt", &mixed)]);
    insta::assert_snapshot!(wrong(&files));
    let commit = "0a".repeat(20);
    let git = small(
        "build: {allow_urls: [\"https://g.example.org/\"]}\nimages:\n  a: {base: slim, packages: {requirements: r.txt}}\n",
    );
    let git = MemoryFiles::default()
        .file("/r/spec.yml", git)
        .file("/r/r.txt", format!("{text}x @ git+https://g.example.org/x@{commit}\n"));
    assert!(wrong(&git).contains("comes from git and can have no hash, and r.txt:1"), "{}", wrong(&git));
    let forced = with("packages: {requirements: r.txt}", &[("/r/r.txt", "--require-hashes\nsix==1\n")]);
    assert!(wrong(&forced).contains("`six==1` has no hash, and r.txt:1 makes pip demand one of all"));
}

#[test]
fn use_cases_are_sets_beside_ones_own_packages() {
    let read = packages(&with("use_case: [rl, system], packages: {apt: [git], pip: [gymnasium==1.0]}", &[]));
    assert_eq!(read.apt, ["curl", "git", "htop", "vim", "wget"]);
    assert_eq!(read.pip, ["gymnasium==1.0", "stable-baselines3"]);
    assert_eq!(packages(&with("use_case: rl", &[])).pip, ["gymnasium", "stable-baselines3"]);
    assert_eq!(
        wrong(&with("use_case: [audoi, cooking]", &[])),
        "spec.yml:5:30 no use case `audoi` | did you mean `audio`? there are audio, cv, datascience, jupyter, llm, ml, nlp, rl, ts, system\n\
         spec.yml:5:37 no use case `cooking` | there are audio, cv, datascience, jupyter, llm, ml, nlp, rl, ts, system\n"
    );
}

#[test]
fn addresses_are_read_where_the_spec_allows_them() {
    let spec = |allow: &str| {
        let text = "images:\n  a: {base: slim, packages: {requirements: r.txt}}\n";
        let spec = small(&format!("build: {{allow_urls: {allow}}}\n{text}"));
        MemoryFiles::default()
            .file("/r/spec.yml", spec)
            .file("/r/r.txt", "x @ https://w.example.org/a/x.whl\n")
    };
    assert_eq!(packages(&spec("[\"https://w.example.org/a/\"]")).pip, ["x @ https://w.example.org/a/x.whl"]);
    assert!(wrong(&spec("[]")).contains("add `https://w.example.org/a/` there"));
    assert!(wrong(&spec("\"http://w.example.org/\"")).contains("`http://w.example.org/` cannot be allowed"));
}
