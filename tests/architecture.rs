//! Which module of the program may use which other, read from the sources.
//!
//! Tests inside the program may use anything; they are left out.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use regex::Regex;

/// Longest file, in lines that are not tests.
const MOST_LINES: usize = 400;

/// A module and those that it may use, which are all above it in this table:
/// so there is no circle.
const MODULES: &[(&str, &str)] = &[
    ("model", ""),
    ("host", "model"),
    ("dockerfile", "host model"),
    ("registry", "host model"),
    ("ui", "model"),
    ("image", "dockerfile model"),
    ("spec", "host image model"),
    ("engine", "dockerfile image model registry"),
    ("gpu", "engine model"),
    ("plan", "dockerfile engine host image model registry spec"),
    ("build", "dockerfile engine host image model plan registry spec"),
    ("container", "engine gpu host image model spec"),
    ("deploy", "build container engine gpu host image model plan spec"),
    ("admin", "engine gpu host image model plan registry spec"),
    ("cli", "admin build container deploy engine gpu host image model plan registry spec ui"),
    ("main", ""),
];

/// Libraries that stay in one place, and the modules or files they stay in.
const LIBRARIES: &[(&str, &[&str])] = &[
    ("petgraph", &["spec/graph"]),
    ("bollard", &["engine/docker"]),
    ("bollard_buildkit_proto", &["engine/buildkit", "engine/llb"]),
    ("prost", &["engine/buildkit", "engine/llb"]),
    ("prost_types", &["engine/buildkit"]),
    ("tonic", &["engine/buildkit"]),
    ("tower", &["engine/buildkit", "engine/http"]),
    ("hyper", &["engine/buildkit", "engine/docker/exec.rs", "engine/http"]),
    ("reqwest", &["registry/http"]),
    ("rustls", &["engine/http", "registry/http/transport.rs", "registry/tls.rs"]),
    ("rustls_native_certs", &["registry/tls.rs"]),
    ("tokio_rustls", &["engine/http"]),
    // The values of `--progress` are an enum of `ui`, which derives clap's trait.
    ("clap", &["cli", "ui/style.rs"]),
    ("clap_complete", &["cli"]),
    ("clap_mangen", &["cli/packaging.rs"]),
    ("indicatif", &["ui/bars"]),
    ("console", &["ui"]),
    ("miette", &["ui/problems"]),
    ("dialoguer", &["cli/image/form.rs"]),
    ("similar", &["cli/image/update.rs", "image/recipe/changes.rs"]),
    ("tar", &["container", "engine/docker/files.rs", "engine/fake/inside.rs"]),
    ("tempfile", &["host/files.rs", "plan/since"]),
    ("yaml_edit", &["spec/edit/text.rs"]),
    ("nvml_wrapper", &["gpu/nvml.rs"]),
    ("saphyr_parser", &["spec/yaml.rs"]),
    ("strsim", &["spec/reader.rs"]),
    ("oci_spec", &["model/reference.rs"]),
    ("parse_dockerfile", &["engine/fake"]),
];

/// How each module is named in code.
static MODULE_NAMES: LazyLock<Vec<(&str, Regex)>> = LazyLock::new(|| {
    let named =
        |module: &str| Regex::new(&format!(r"\b(crate|ds01_build)::(\{{[^}}]*\b)?{module}\b")).unwrap();
    MODULES.iter().map(|(module, _)| (*module, named(module))).collect()
});

/// A file of `src` without its tests and comments.
struct Source {
    /// Below `src`.
    path: PathBuf,
    code: String,
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut sources = Vec::new();
    collect(&root, &root, &mut sources);
    assert!(sources.len() > 50, "the sources were not found in {}", root.display());
    sources
}

fn collect(root: &Path, folder: &Path, sources: &mut Vec<Source>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap();
        if name == "tests" {
            continue;
        }
        if path.is_dir() {
            collect(root, &path, sources);
        } else if path.extension().is_some_and(|extension| extension == "rs") && path != root.join("lib.rs") {
            let text = fs::read_to_string(&path).unwrap();
            sources.push(Source { path: path.strip_prefix(root).unwrap().to_owned(), code: code(&text) });
        }
    }
}

/// The text without what is only compiled for tests, and without comments.
/// Relies on rustfmt: a module of tests ends with a brace in the first column.
fn code(text: &str) -> String {
    let mut code = String::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if line.trim() == "#[cfg(test)]" {
            let item = lines.next().unwrap_or_default();
            if item.ends_with('{') {
                lines.by_ref().find(|line| *line == "}");
            }
            continue;
        }
        code.push_str(line.split("//").next().unwrap_or_default());
        code.push('\n');
    }
    code
}

impl Source {
    /// The module that it lies in.
    fn module(&self) -> &'static str {
        let path = self.path.with_extension("");
        let module = MODULES.iter().map(|(name, _)| *name).find(|name| path.starts_with(name));
        module.unwrap_or_else(|| {
            panic!("src/{}: its module has no row in MODULES; add one", self.path.display())
        })
    }

    /// The other modules that it names.
    fn uses(&self) -> BTreeSet<&'static str> {
        let others = MODULE_NAMES.iter().filter(|(module, _)| *module != self.module());
        others.filter(|(_, named)| named.is_match(&self.code)).map(|(module, _)| *module).collect()
    }
}

/// What a module may use.
fn allowed(module: &str) -> impl Iterator<Item = &'static str> {
    let row = MODULES.iter().find(|(name, _)| *name == module);
    row.map_or("", |(_, uses)| uses).split_whitespace()
}

fn fail_if_any(faults: &[String]) {
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

#[test]
fn modules_use_what_the_table_allows_and_the_table_allows_no_more() {
    let mut used: BTreeSet<(&str, &str)> = BTreeSet::new();
    let mut faults = Vec::new();
    for source in &sources() {
        let module = source.module();
        for other in source.uses() {
            used.insert((module, other));
            if !allowed(module).any(|name| name == other) {
                faults.push(format!(
                    "src/{} uses `{other}`, which `{module}` may not: see MODULES",
                    source.path.display()
                ));
            }
        }
    }
    for (module, _) in MODULES {
        let stale = allowed(module).filter(|other| !used.contains(&(module, *other)));
        faults.extend(
            stale.map(|other| format!("`{module}` no longer uses `{other}`: take it out of MODULES")),
        );
    }
    fail_if_any(&faults);
}

#[test]
fn every_row_is_a_module_and_comes_after_what_it_uses() {
    let files: BTreeSet<_> = sources().iter().map(Source::module).collect();
    let mut faults = Vec::new();
    for (at, (module, _)) in MODULES.iter().enumerate() {
        if !files.contains(module) {
            faults.push(format!("there is no module `{module}`: take it out of MODULES"));
        }
        let above: Vec<_> = MODULES[..at].iter().map(|(name, _)| *name).collect();
        let wrong = allowed(module).filter(|other| !above.contains(other));
        faults.extend(wrong.map(|other| format!("`{module}` uses `{other}`, which does not come before it")));
        if !allowed(module).is_sorted() {
            faults.push(format!("sort the uses of `{module}`"));
        }
    }
    fail_if_any(&faults);
}

#[test]
fn libraries_stay_in_their_modules() {
    let sources = sources();
    let mut faults = Vec::new();
    for (library, places) in LIBRARIES {
        let named = Regex::new(&format!(r"(^|[^\w:]){library}::")).unwrap();
        let users: Vec<_> = sources.iter().filter(|source| named.is_match(&source.code)).collect();
        for user in &users {
            if !places.iter().any(|place| user.path.starts_with(place)) {
                faults.push(format!(
                    "src/{} uses {library}, which stays in {}",
                    user.path.display(),
                    places.join(", ")
                ));
            }
        }
        for place in *places {
            if !users.iter().any(|user| user.path.starts_with(place)) {
                faults.push(format!("src/{place} no longer uses {library}: take it out of LIBRARIES"));
            }
        }
    }
    fail_if_any(&faults);
}

#[test]
fn no_file_is_long() {
    let long = sources().into_iter().filter_map(|source| {
        let lines = source.code.lines().count();
        let path = source.path.display();
        (lines > MOST_LINES).then(|| format!("src/{path} has {lines} lines: make a folder of it"))
    });
    fail_if_any(&long.collect::<Vec<_>>());
}

#[test]
fn every_file_says_what_it_is_for() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let silent = sources().into_iter().filter_map(|source| {
        let text = fs::read_to_string(root.join(&source.path)).unwrap();
        (!text.starts_with("//! ")).then(|| format!("src/{} begins without `//!`", source.path.display()))
    });
    fail_if_any(&silent.collect::<Vec<_>>());
}

/// Tests in a file that nobody declares would never run, and nobody would see.
#[test]
fn every_file_is_declared_where_it_lies() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut folders = vec![root.clone()];
    let mut faults = Vec::new();
    while let Some(folder) = folders.pop() {
        let named = |file: &str| fs::read_to_string(folder.join(file)).ok();
        let text = named("lib.rs")
            .or_else(|| named("mod.rs"))
            .or_else(|| fs::read_to_string(folder.with_extension("rs")).ok());
        let text = text.unwrap_or_default();
        for path in fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()) {
            let name = path.file_stem().unwrap().to_str().unwrap();
            let is_module = path.is_dir() && path.join("mod.rs").is_file();
            if path.is_dir() {
                folders.push(path.clone());
            }
            let is_file = path.extension().is_some_and(|extension| extension == "rs");
            if !(is_module || is_file) || ["lib", "main", "mod"].contains(&name) {
                continue;
            }
            let declares = |line: &str| {
                let line = line.trim().trim_end_matches(';');
                line.rsplit_once("mod ").is_some_and(|(before, module)| {
                    module == name && (before.is_empty() || before.starts_with("pub"))
                })
            };
            if !text.lines().any(declares) {
                faults.push(format!("nobody declares {}", path.strip_prefix(&root).unwrap().display()));
            }
        }
    }
    fail_if_any(&faults);
}

/// The table is only worth something if the reading of the sources is right.
mod reading {
    use super::*;

    fn source(path: &str, text: &str) -> Source {
        Source { path: path.into(), code: code(text) }
    }

    fn uses(path: &str, text: &str) -> Vec<&'static str> {
        source(path, text).uses().into_iter().collect()
    }

    #[test]
    fn every_way_to_name_a_module_counts() {
        assert_eq!(uses("plan/mod.rs", "use crate::model::names::ImageId;\n"), ["model"]);
        assert_eq!(uses("plan/mod.rs", "use crate::{image,\n    spec};\n"), ["image", "spec"]);
        assert_eq!(uses("plan/mod.rs", "let x = crate::model::tags::content_tag(y);\n"), ["model"]);
        assert_eq!(uses("main.rs", "use ds01_build::cli::{self, args::Cli};\n"), ["cli"]);
    }

    #[test]
    fn comments_tests_and_its_own_module_do_not_count() {
        assert_eq!(uses("plan/mod.rs", "/// [`x`](crate::ui)\nuse crate::plan::Plan;\n"), [""; 0]);
        let inline = "#[cfg(test)]\nmod tests {\n    use crate::ui;\n}\nuse crate::model::names;\n";
        assert_eq!(uses("plan/mod.rs", inline), ["model"]);
        assert_eq!(uses("plan/mod.rs", "#[cfg(test)]\nmod tests;\nuse crate::spec;\n"), ["spec"]);
    }
}
