//! Which part of the program may know which other, read from the sources.
//!
//! Tests inside the program may use anything; they are left out.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use regex::Regex;

/// Longest file, in lines that are not tests.
const MOST_LINES: usize = 400;

/// A module and those that it may use, which all stand above it: so there is
/// no circle. A part of a module that stands on another level has a row of
/// its own, and may use the rest of its module.
const MODULES: &[(&str, &str)] = &[
    // Words and grammars.
    ("names", ""),
    ("problem", ""),
    ("reference", ""),
    ("tags", ""),
    ("ignore", ""),
    ("event", "names"),
    ("account", "names"),
    ("people", "names"),
    ("labels", "account names"),
    ("packages", ""),
    ("dockerfile", "ignore problem reference"),
    ("recipe", "account names packages"),
    ("context", "ignore problem recipe"),
    ("credentials", ""),
    ("lock", ""),
    ("solve", "account context names problem reference"),
    ("packages::steps", "solve"),
    ("userlayer", "account names solve"),
    ("catalog", "problem reference"),
    ("spec", "account catalog names packages people problem reference"),
    ("graph", "names problem reference spec"),
    ("subject", "account graph packages problem reference spec"),
    // The edge: registries.
    ("registry", "credentials reference"),
    // The edge: engines and BuildKit.
    ("engine", "event names reference solve userlayer"),
    ("engine::fake", "account event labels names reference registry solve userlayer"),
    ("llb", "reference userlayer"),
    ("buildkit", "account context credentials engine event llb names reference solve userlayer"),
    ("engine::docker", "buildkit credentials event names reference solve userlayer"),
    // The edge: GPUs.
    ("gpus", "engine labels problem"),
    ("nvml", "gpus"),
    // The edge: what earlier runs did.
    ("records", "names recipe reference"),
    // What is done, in the order in which it is done.
    ("pins", "problem reference spec"),
    (
        "observe",
        "context dockerfile engine graph ignore names pins problem recipe reference registry spec subject",
    ),
    (
        "plan",
        "dockerfile engine graph labels names observe packages problem recipe records reference \
         spec subject tags userlayer",
    ),
    ("since", "graph names observe pins plan problem recipe reference spec"),
    (
        "build",
        "account dockerfile engine event graph labels lock names observe packages packages::steps \
         plan problem recipe reference registry solve spec subject userlayer",
    ),
    ("history", "build event graph observe plan recipe records"),
    ("containers", "engine event gpus labels names packages people reference solve spec tags"),
    ("images", "containers engine graph labels names plan reference spec subject tags userlayer"),
    ("audit", "engine images labels userlayer"),
    ("equivalent", "labels names recipe reference solve userlayer"),
    ("why", "engine graph labels names observe plan problem recipe reference spec subject"),
    ("deploy", "account containers engine gpus labels lock names spec"),
    ("setup", "account build engine event labels lock names recipe reference solve tags userlayer"),
    (
        "impact",
        "build dockerfile engine graph labels names observe problem recipe records reference spec \
         subject tags",
    ),
    ("metrics", "engine gpus labels records"),
    ("sweep", "engine gpus labels names spec"),
    (
        "doctor",
        "account credentials engine labels names nvml people problem reference registry spec tags userlayer",
    ),
    ("report", "event names problem"),
    // What a person types.
    (
        "cli",
        "account audit build buildkit catalog containers credentials deploy doctor engine engine::docker \
         equivalent event gpus graph history images impact labels lock metrics names nvml observe packages people pins \
         plan problem records reference registry report setup since solve spec subject sweep userlayer why",
    ),
    ("main", "cli"),
];

/// Libraries that stay in one place, and the modules or files they stay in.
const LIBRARIES: &[(&str, &[&str])] = &[
    ("petgraph", &["graph"]),
    ("bollard", &["engine/docker"]),
    ("bollard_buildkit_proto", &["buildkit", "llb"]),
    ("prost", &["buildkit", "llb"]),
    ("prost_types", &["buildkit"]),
    ("tonic", &["buildkit"]),
    ("tower", &["buildkit"]),
    ("hyper", &["buildkit", "engine/stream"]),
    ("reqwest", &["registry/http"]),
    ("rustls", &["engine/stream", "registry/http/tls.rs"]),
    ("rustls_native_certs", &["registry/http/tls.rs"]),
    ("tokio_rustls", &["engine/stream"]),
    // `--progress` is a choice of `report`, so it is spelled there once.
    ("clap", &["cli", "report/look.rs"]),
    ("clap_complete", &["cli"]),
    ("clap_mangen", &["cli/man.rs"]),
    ("indicatif", &["report/bars"]),
    ("console", &["report"]),
    ("miette", &["report/problems"]),
    ("dialoguer", &["cli/image/form.rs"]),
    ("similar", &["cli/image/update.rs"]),
    ("tar", &["containers", "engine/docker/files.rs", "engine/fake/inside.rs"]),
    ("tempfile", &["cli/image/file.rs", "since"]),
    ("yaml_edit", &["spec/edit/text.rs"]),
    ("nvml_wrapper", &["nvml"]),
    ("saphyr_parser", &["spec/yaml.rs"]),
    ("strsim", &["spec/reader.rs"]),
    ("oci_spec", &["reference.rs", "reference/plain.rs"]),
    ("parse_dockerfile", &["engine/fake"]),
];

/// How each row is named in code: a part also without `crate::`.
static NAMED: LazyLock<Vec<(&str, Regex)>> = LazyLock::new(|| {
    let named = |row: &str| match row.contains("::") {
        true => format!(r"\b{row}\b"),
        false => format!(r"\b(crate|ds01_build)::(\{{[^}}]*\b)?{row}\b"),
    };
    MODULES.iter().map(|(row, _)| (*row, Regex::new(&named(row)).unwrap())).collect()
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
    /// The row that it belongs to: the longest that its path begins with.
    fn module(&self) -> &'static str {
        let path = self.path.with_extension("");
        let rows = MODULES.iter().map(|(name, _)| *name);
        let mine = rows.filter(|name| path.starts_with(name.replace("::", "/")));
        mine.max_by_key(|name| name.len()).unwrap_or_else(|| {
            panic!("src/{}: its module has no row in MODULES; add one", self.path.display())
        })
    }

    /// The rows whose modules it names, without its own.
    fn uses(&self) -> BTreeSet<&'static str> {
        let top = self.module().split("::").next().unwrap();
        let others = NAMED.iter().filter(|(row, _)| row.split("::").next() != Some(top));
        others.filter(|(_, named)| named.is_match(&self.code)).map(|(row, _)| *row).collect()
    }
}

/// What a module may use.
fn allowed(module: &str) -> impl Iterator<Item = &'static str> {
    let row = MODULES.iter().find(|(name, _)| *name == module);
    row.map_or("", |(_, uses)| uses).split_whitespace()
}

fn told(faults: &[String]) {
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
    told(&faults);
}

#[test]
fn every_row_is_a_module_and_stands_below_what_it_uses() {
    let files: BTreeSet<_> = sources().iter().map(Source::module).collect();
    let mut faults = Vec::new();
    for (at, (module, _)) in MODULES.iter().enumerate() {
        if !files.contains(module) {
            faults.push(format!("there is no module `{module}`: take it out of MODULES"));
        }
        let above: Vec<_> = MODULES[..at].iter().map(|(name, _)| *name).collect();
        let wrong = allowed(module).filter(|other| !above.contains(other));
        faults.extend(wrong.map(|other| format!("`{module}` uses `{other}`, which does not stand above it")));
        if !allowed(module).is_sorted() {
            faults.push(format!("sort the uses of `{module}`"));
        }
    }
    told(&faults);
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
    told(&faults);
}

#[test]
fn no_file_is_long() {
    let long = sources().into_iter().filter_map(|source| {
        let lines = source.code.lines().count();
        let path = source.path.display();
        (lines > MOST_LINES).then(|| format!("src/{path} has {lines} lines: make a folder of it"))
    });
    told(&long.collect::<Vec<_>>());
}

#[test]
fn every_file_says_what_it_is_for() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let silent = sources().into_iter().filter_map(|source| {
        let text = fs::read_to_string(root.join(&source.path)).unwrap();
        (!text.starts_with("//! ")).then(|| format!("src/{} begins without `//!`", source.path.display()))
    });
    told(&silent.collect::<Vec<_>>());
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
        assert_eq!(uses("plan/mod.rs", "use crate::names::ImageId;\n"), ["names"]);
        assert_eq!(
            uses("plan/mod.rs", "use crate::{packages,\n    userlayer};\n"),
            ["packages", "userlayer"]
        );
        assert_eq!(uses("plan/mod.rs", "let x = crate::tags::content_tag(y);\n"), ["tags"]);
        assert_eq!(uses("main.rs", "use ds01_build::cli::{self, args::Cli};\n"), ["cli"]);
        assert_eq!(uses("cli/load.rs", "Ok(engine::docker::Docker::connect())\n"), ["engine::docker"]);
    }

    #[test]
    fn comments_tests_and_its_own_module_do_not_count() {
        assert_eq!(uses("plan/mod.rs", "/// [`x`](crate::report)\nuse crate::plan::Plan;\n"), [""; 0]);
        let inline = "#[cfg(test)]\nmod tests {\n    use crate::report;\n}\nuse crate::names;\n";
        assert_eq!(uses("plan/mod.rs", inline), ["names"]);
        assert_eq!(uses("plan/mod.rs", "#[cfg(test)]\nmod tests;\nuse crate::names;\n"), ["names"]);
    }

    #[test]
    fn a_part_with_a_row_is_not_its_module() {
        assert_eq!(source("engine/docker/mod.rs", "").module(), "engine::docker");
        assert_eq!(source("engine/address.rs", "").module(), "engine");
        assert_eq!(source("packages/steps.rs", "").module(), "packages::steps");
        assert_eq!(source("names.rs", "").module(), "names");
    }
}
