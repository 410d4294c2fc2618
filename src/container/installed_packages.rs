//! What somebody installed in a container that its image lacks, known by the
//! names of files alone, and the command that would add it to the image.
//!
//! Names come from inside the container: what is printed as a command was
//! read by the rules for packages before.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::Serialize;

use crate::engine::{Change, ChangeKind, Container, Engine};
use crate::host::people::Caller;
use crate::image::packages::{parse_apt, parse_pip};
use crate::model::labels::read::text as read_label;
use crate::model::labels::{PROJECT, USER_ID, USERNAME};
use crate::model::names::NodeName;
use crate::spec::SpecEntry;

/// Tells which packages apt installed for others.
const AUTOMATIC: &str = "/var/lib/apt/extended_states";

/// Bytes of that file that are read; with ten thousand packages it has one
/// million.
const MOST: u64 = 8 << 20;

/// How long a container that is only removed is inspected. The engine holds it
/// until it has its answer, so that to give up sooner would save no time.
const PATIENCE: Duration = Duration::from_secs(10);

/// Storage that does not know what changed: the engine compares all files of the
/// image, minutes for a large one, and a removal would have to wait.
const COMPARES: [&str; 5] = ["btrfs", "devicemapper", "fuse-overlayfs", "vfs", "zfs"];

/// Where a list of each Debian package's files lies.
const LISTS: &str = "/var/lib/dpkg/info/";

/// Packages that the image lacks, or has in another version.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct InstalledPackages {
    pub(crate) python: Vec<PythonPackage>,
    pub(crate) debian: Vec<DebianPackage>,
}

/// A Python package.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(crate) struct PythonPackage {
    pub(crate) name: String,
    pub(crate) version: String,
    /// Asked for by name; others came with it.
    pub(crate) requested: bool,
    /// From an index. Otherwise from a folder or an address, or it has no
    /// name that a spec could hold: no command adds it.
    pub(crate) from_index: bool,
}

/// A Debian package.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(crate) struct DebianPackage {
    pub(crate) name: String,
    /// Asked for by name; others came with it.
    pub(crate) requested: bool,
}

/// What can be found out without keeping a removal waiting.
///
/// # Errors
/// Why not; a sentence.
pub(crate) async fn inspect_briefly(
    engine: &dyn Engine,
    container: &str,
) -> Result<InstalledPackages, String> {
    if let Ok(info) = engine.info().await
        && COMPARES.contains(&info.storage_driver.as_str())
    {
        let driver = info.storage_driver;
        return Err(format!("with {driver} the engine would compare all files; `--dry-run` has it do so"));
    }
    let late = |_| format!("the engine did not list its changed files within {} s", PATIENCE.as_secs());
    tokio::time::timeout(PATIENCE, inspect(engine, container)).await.map_err(late)?
}

/// What is installed, however long that takes.
///
/// # Errors
/// The engine's; a sentence.
pub(crate) async fn inspect(engine: &dyn Engine, container: &str) -> Result<InstalledPackages, String> {
    let changes = engine.changes(container).await.map_err(|error| error.to_string())?;
    of_changes(engine, container, &changes).await
}

/// The same where the changes are known.
///
/// # Errors
/// The engine's; a sentence.
pub(crate) async fn of_changes(
    engine: &dyn Engine,
    container: &str,
    changes: &[Change],
) -> Result<InstalledPackages, String> {
    let installed = read(changes, "");
    if installed.debian.is_empty() {
        return Ok(installed);
    }
    let archive = engine.read_tar(container, AUTOMATIC, MOST).await.map_err(|error| error.to_string())?;
    // Without apt's notes all were asked for.
    Ok(archive.map_or(installed, |archive| read(changes, &text(&archive))))
}

/// The one file of an archive.
fn text(archive: &[u8]) -> String {
    use std::io::Read;
    let mut bytes = Vec::new();
    let mut archive = tar::Archive::new(archive);
    if let Some(Ok(mut entry)) = archive.entries().ok().and_then(|mut entries| entries.next()) {
        // One that breaks off has those before.
        let _ = entry.read_to_end(&mut bytes);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Packages by the files that were added. `automatic`: what apt wrote down of
/// those that nobody asked for.
pub(crate) fn read(changes: &[Change], automatic: &str) -> InstalledPackages {
    let added = || changes.iter().filter(|c| c.kind == ChangeKind::Added).map(|c| c.path.as_str());
    let mut python: BTreeMap<(String, String), (bool, bool)> = BTreeMap::new();
    for path in added() {
        let Some((name, version, file)) = dist_info(path) else { continue };
        let (requested, elsewhere) = python.entry((name, version)).or_default();
        *requested |= file == "REQUESTED";
        *elsewhere |= file == "direct_url.json";
    }
    // Tools that write down no wish leave all to be wished.
    let marked = python.values().any(|(requested, _)| *requested);
    let python = python.into_iter().map(|((name, version), (requested, elsewhere))| PythonPackage {
        from_index: !elsewhere && requirement(&name, &version).is_some(),
        requested: requested || !marked,
        name,
        version,
    });
    let automatic = automatically(automatic);
    let lists = added().filter_map(|path| path.strip_prefix(LISTS)?.strip_suffix(".list"));
    let names: BTreeSet<&str> = lists.map(|name| name.split(':').next().unwrap_or(name)).collect();
    let debian = names.into_iter().filter(|name| parse_apt(name).is_ok());
    let debian =
        debian.map(|name| DebianPackage { name: name.to_owned(), requested: !automatic.contains(name) });
    InstalledPackages { python: python.collect(), debian: debian.collect() }
}

/// `…/site-packages/timm-1.0.3.dist-info/METADATA` → `timm`, `1.0.3` and the
/// file. Debian's own folder is apt's business.
fn dist_info(path: &str) -> Option<(String, String, &str)> {
    let marks = ["/site-packages/", "/dist-packages/"];
    let (before, rest) = marks.iter().find_map(|mark| path.rsplit_once(mark))?;
    if before.starts_with("/usr/lib/python3") && path.contains("/dist-packages/") {
        return None;
    }
    let (folder, file) = rest.split_once('/').unwrap_or((rest, ""));
    let (name, version) = folder.strip_suffix(".dist-info")?.rsplit_once('-')?;
    // pip writes `_` for `-`, which it takes for the same.
    let name = name.replace('_', "-").to_ascii_lowercase();
    let plain = |text: &str| {
        !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b".-+!".contains(&b))
    };
    (plain(&name) && plain(version)).then(|| (name, version.to_owned(), file))
}

/// Names of packages that apt installed for others.
fn automatically(states: &str) -> BTreeSet<&str> {
    let stanzas =
        states.split("\n\n").filter(|stanza| stanza.lines().any(|line| line == "Auto-Installed: 1"));
    stanzas.filter_map(|stanza| stanza.lines().find_map(|line| line.strip_prefix("Package: "))).collect()
}

/// As a spec takes it. A local version (`+cu121`) is on no index of all.
fn requirement(name: &str, version: &str) -> Option<String> {
    let public = version.split('+').next().unwrap_or(version);
    parse_pip(&format!("{name}=={public}")).ok()
}

/// To which image packages would be added.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum PackageTarget {
    /// A project, as commands take it.
    Project(String),
    /// There is no project: a new one of this name, on this image of the spec.
    New { name: String, image: Option<String> },
}

impl PackageTarget {
    /// The image of a container as this caller calls it. `entry`: what the spec
    /// has for it, with its name; without a spec the container's labels are
    /// believed.
    pub(crate) fn of(
        container: &Container,
        caller: &Caller,
        entry: Option<(SpecEntry<'_>, &NodeName)>,
        has_spec: bool,
    ) -> Self {
        let label = |key| read_label(&container.labels, key);
        let name = container.short_name().to_owned();
        match (entry, label(&PROJECT)) {
            (Some((SpecEntry::Project(project), name)), _) => Self::Project(match project.account.uid {
                uid if uid == caller.uid => project.name.to_string(),
                _ => name.to_string(),
            }),
            (Some((_, image)), _) => Self::New { name, image: Some(image.to_string()) },
            (None, Some(project)) if !has_spec => {
                let own = label(&USER_ID).and_then(|uid| uid.parse().ok()) == Some(caller.uid);
                Self::Project(match label(&USERNAME).filter(|_| !own) {
                    Some(account) => format!("{account}/{project}"),
                    None => project.to_owned(),
                })
            }
            (None, _) => Self::New { name, image: None },
        }
    }
}

impl InstalledPackages {
    pub(crate) fn is_empty(&self) -> bool {
        self.python.is_empty() && self.debian.is_empty()
    }

    /// Those that were asked for, as people write them.
    pub(crate) fn requested(&self) -> Vec<String> {
        let python = self.python.iter().filter(|p| p.requested).map(|p| format!("{} {}", p.name, p.version));
        python.chain(self.debian.iter().filter(|d| d.requested).map(|d| d.name.clone())).collect()
    }

    /// How many came with those.
    pub(crate) fn others(&self) -> usize {
        self.python.len() + self.debian.len() - self.requested().len()
    }

    /// Those that were asked for and that no command adds.
    pub(crate) fn by_hand(&self) -> Vec<String> {
        let odd = self.python.iter().filter(|p| p.requested && !p.from_index);
        odd.map(|p| format!("{} {}", p.name, p.version)).collect()
    }

    /// The command that adds what was asked for; `None`: there is nothing
    /// that it could add.
    pub(crate) fn command(&self, target: &PackageTarget) -> Option<String> {
        let pip = self.python.iter().filter(|p| p.requested && p.from_index);
        let pip: Vec<String> = pip.filter_map(|p| requirement(&p.name, &p.version)).collect();
        let apt: Vec<String> = self.debian.iter().filter(|d| d.requested).map(|d| d.name.clone()).collect();
        if pip.is_empty() && apt.is_empty() {
            return None;
        }
        let mut words = vec!["ds01-build".to_owned(), "image".to_owned()];
        let options = match target {
            PackageTarget::Project(name) => {
                words.extend(["update".to_owned(), name.clone()]);
                ["--add-pip", "--add-apt"]
            }
            PackageTarget::New { name, image } => {
                words.extend(["create".to_owned(), name.clone()]);
                words.extend(image.iter().flat_map(|image| ["--image".to_owned(), image.clone()]));
                ["--pip", "--apt"]
            }
        };
        for (option, packages) in options.into_iter().zip([pip, apt]) {
            if !packages.is_empty() {
                words.push(option.to_owned());
                words.extend(packages);
            }
        }
        Some(words.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" "))
    }
}

/// A word as a shell takes it for one.
pub(super) fn quoted(word: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"_-./:=@%+,".contains(&b);
    if !word.is_empty() && word.bytes().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn added(paths: &[&str]) -> Vec<Change> {
        paths.iter().map(|path| Change { path: (*path).to_owned(), kind: ChangeKind::Added }).collect()
    }

    fn python(changes: &[Change]) -> Vec<String> {
        let python = read(changes, "").python;
        let text = |p: &PythonPackage| {
            let mark = if p.requested { "" } else { " for another" };
            let odd = if p.from_index { "" } else { " by hand" };
            format!("{} {}{mark}{odd}", p.name, p.version)
        };
        python.iter().map(text).collect()
    }

    #[test]
    fn python_packages_are_told_by_the_folders_that_installers_leave() {
        let home = "/home/ann/.local/lib/python3.11/site-packages";
        let site = "/opt/venv/lib/python3.11/site-packages";
        let local = "/usr/local/lib/python3.11/dist-packages";
        for (path, found) in [
            (format!("{home}/six-1.16.0.dist-info"), Some("six 1.16.0")),
            (format!("{site}/scikit_learn-1.5.0.dist-info/METADATA"), Some("scikit-learn 1.5.0")),
            (format!("{local}/torch-2.5.1+cu121.dist-info/RECORD"), Some("torch 2.5.1+cu121")),
            (format!("{local}/Jinja2-3.1.4.dist-info"), Some("jinja2 3.1.4")),
            ("/usr/lib/python3/dist-packages/yaml-6.0.dist-info".into(), None),
            ("/usr/lib/python3.11/dist-packages/yaml-6.0.dist-info".into(), None),
            (format!("{site}/six.py"), None),
            (format!("{site}/nameless.dist-info"), None),
            (format!("{site}/a;rm -rf-1.dist-info"), None),
            ("/opt/x-1.dist-info".into(), None),
        ] {
            let found: Vec<_> = found.into_iter().map(str::to_owned).collect();
            assert_eq!(python(&added(&[&path])), found, "{path}");
        }
    }

    #[test]
    fn what_was_asked_for_is_told_from_what_came_with_it() {
        let site = "/opt/venv/lib/python3.11/site-packages";
        let paths = [
            format!("{site}/timm-1.0.3.dist-info"),
            format!("{site}/timm-1.0.3.dist-info/REQUESTED"),
            format!("{site}/safetensors-0.4.dist-info"),
            format!("{site}/mine-0.1.dist-info/REQUESTED"),
            format!("{site}/mine-0.1.dist-info/direct_url.json"),
        ];
        let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
        assert_eq!(python(&added(&paths)), ["mine 0.1 by hand", "safetensors 0.4 for another", "timm 1.0.3"]);
        assert_eq!(python(&added(&paths[2..3])), ["safetensors 0.4"], "nothing tells of any wish");
    }

    #[test]
    fn a_package_that_went_or_was_there_is_not_told() {
        let path = "/opt/venv/lib/python3.11/site-packages/six-1.16.0.dist-info".to_owned();
        for kind in [ChangeKind::Deleted, ChangeKind::Modified] {
            assert!(read(&[Change { path: path.clone(), kind }], "").is_empty());
        }
    }

    #[test]
    fn debian_packages_are_told_by_their_lists_and_apt_s_own_notes() {
        let states = "Package: libsodium23\nArchitecture: amd64\nAuto-Installed: 1\n\n\
                      Package: ffmpeg\nArchitecture: amd64\nAuto-Installed: 0\n";
        let changes = added(&[
            "/var/lib/dpkg/info/ffmpeg.list",
            "/var/lib/dpkg/info/ffmpeg.md5sums",
            "/var/lib/dpkg/info/libsodium23:amd64.list",
            "/var/lib/dpkg/info/Not a name.list",
            "/var/lib/dpkg/status-old",
        ]);
        let debian = |name: &str, requested| DebianPackage { name: name.into(), requested };
        assert_eq!(read(&changes, states).debian, [debian("ffmpeg", true), debian("libsodium23", false)]);
        assert_eq!(read(&changes, states).others(), 1);
    }

    fn some() -> InstalledPackages {
        let python = |name: &str, version: &str, requested, from_index| PythonPackage {
            name: name.into(),
            version: version.into(),
            requested,
            from_index,
        };
        InstalledPackages {
            python: vec![
                python("torch", "2.5.1+cu121", true, true),
                python("mine", "0.1", true, false),
                python("pip", "25.0", false, true),
            ],
            debian: vec![DebianPackage { name: "ffmpeg".into(), requested: true }],
        }
    }

    #[test]
    fn the_command_adds_what_was_asked_for_to_the_project_or_makes_one() {
        let target = PackageTarget::Project("thesis".into());
        assert_eq!(
            some().command(&target).unwrap(),
            "ds01-build image update thesis --add-pip torch==2.5.1 --add-apt ffmpeg"
        );
        let new = PackageTarget::New { name: "work".into(), image: Some("vision@py312".into()) };
        assert_eq!(
            some().command(&new).unwrap(),
            "ds01-build image create work --image vision@py312 --pip torch==2.5.1 --apt ffmpeg"
        );
        assert_eq!(some().by_hand(), ["mine 0.1"]);
        assert_eq!(
            InstalledPackages { python: some().python.split_off(1), debian: vec![] }.command(&target),
            None
        );
    }

    #[tokio::test]
    async fn a_removal_does_not_wait_for_storage_that_compares_all_files() {
        use crate::engine::fake::{FakeEngine, FakeFile};
        use crate::engine::{CreateContainer, EngineInfo};
        use crate::model::reference::Reference;
        for (driver, waits) in [("overlay2", false), ("overlayfs", false), ("vfs", true)] {
            let facts = EngineInfo { storage_driver: driver.into(), ..EngineInfo::default() };
            let engine = FakeEngine::with_facts(facts);
            let image = engine.add_image(&Reference::parse("debian:12").unwrap(), &BTreeMap::new());
            engine.add_file(&image, AUTOMATIC, FakeFile::of("Package: libx\nAuto-Installed: 1\n"));
            let request =
                CreateContainer { name: "c".into(), image: image.to_string(), ..Default::default() };
            engine.create(&request).await.unwrap();
            for name in ["libx", "ffmpeg"] {
                engine.add_change("c", &format!("{LISTS}{name}.list"), ChangeKind::Added, None);
            }
            let known = inspect(&engine, "c").await;
            let installed = known.as_ref().unwrap();
            assert_eq!((installed.requested(), installed.others()), (vec!["ffmpeg".to_owned()], 1));
            match inspect_briefly(&engine, "c").await {
                Err(why) => assert!(waits && why.contains("`--dry-run`"), "{driver}: {why}"),
                found => assert_eq!((waits, found), (false, known), "{driver}"),
            }
        }
    }

    proptest! {
        #[test]
        fn no_name_in_a_container_makes_another_word_of_the_command(
            folder in "[ -~]{1,30}", list in "[ -~]{1,30}",
        ) {
            let changes = added(&[
                &format!("/opt/lib/site-packages/{folder}.dist-info"),
                &format!("/opt/lib/site-packages/{folder}-1.0.dist-info"),
                &format!("/var/lib/dpkg/info/{list}.list"),
            ]);
            if let Some(command) = read(&changes, "").command(&PackageTarget::Project("thesis".into())) {
                let safe = |b: u8| b.is_ascii_alphanumeric() || b" _-./:=@%+,'!".contains(&b);
                prop_assert!(command.bytes().all(safe), "{}", command);
                prop_assert!(command.split(' ').skip(4).all(|word| !word.starts_with('-')
                    || word == "--add-pip" || word == "--add-apt"), "{}", command);
            }
        }
    }
}
