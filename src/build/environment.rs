//! What holds for every image of a run: certificates, indexes and mirrors of the
//! site, secrets, proxies. Knows nothing of the packages that come from there.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::host::files;
use crate::image::packages::{
    self, APT_AUTH_SECRET, APT_MIRROR_SECRET, CA_SECRET, PIP_CONF_SECRET, PackageIndex, Packages,
    StepSettings,
};
use crate::image::secret::Secret;
use crate::image::solve::ExecStep;
use crate::model::account::Account;
use crate::model::problem::Problem;
use crate::plan::PlannedRun;
use crate::spec::graph::Graph;
use crate::spec::{BuildSettings, SiteSource, Spec, SpecEntry};

/// A path as people know it.
type Shown<'a> = &'a dyn Fn(&Path) -> PathBuf;

/// What holds for every image of a run.
#[derive(Clone, Debug, Default)]
pub(crate) struct BuildEnvironment {
    /// The site's CA certificates.
    ca_bundle: Option<Secret>,
    /// Index that pip asks instead of its default.
    pip_index: Option<PackageIndex>,
    /// Mirror that apt asks instead of the distribution's own.
    apt_mirror: Option<PackageIndex>,
    /// Those that RUN steps may mount, by id.
    secrets: BTreeMap<String, Secret>,
    pub(crate) proxy: BTreeMap<String, String>,
    pub(crate) no_cache: bool,
}

/// What is given for a run on the command line and by the environment.
#[derive(Clone, Debug, Default)]
pub(crate) struct GivenEnvironment {
    pub(crate) ca_bundle: Option<PathBuf>,
    /// Files of secrets, by id.
    pub(crate) secrets: BTreeMap<String, PathBuf>,
    pub(crate) proxy: BTreeMap<String, String>,
    pub(crate) no_cache: bool,
}

impl BuildEnvironment {
    /// What is given, and for the rest what the spec says of the site. Each
    /// file is read now and once: it may be a pipe, and what steps print is
    /// searched for what is in it. `shown`: a path as people know it.
    ///
    /// # Errors
    /// A file cannot be read, is too large or holds no address; what is in it
    /// is not told.
    pub(crate) fn of_site(
        given: GivenEnvironment,
        site: &BuildSettings,
        shown: Shown<'_>,
    ) -> Result<Self, Problem> {
        let ca_bundle = given.ca_bundle.as_ref().or(site.ca_bundle.as_ref());
        // Certificates are public, and hiding them would only cost time.
        let ca_bundle = ca_bundle.map(|file| content(file, shown).map(|ca| Secret::hiding(ca, Vec::new())));
        let secret =
            |(id, file): (String, PathBuf)| content(&file, shown).map(|value| (id, Secret::new(value)));
        Ok(Self {
            ca_bundle: ca_bundle.transpose()?,
            pip_index: index("pip_index", site.pip_index.as_ref(), shown)?,
            apt_mirror: index("apt_mirror", site.apt_mirror.as_ref(), shown)?,
            secrets: given.secrets.into_iter().map(secret).collect::<Result<_, _>>()?,
            proxy: given.proxy,
            no_cache: given.no_cache,
        })
    }

    /// A sentence for each file with a login that everybody on the machine can read.
    pub(crate) fn exposed(&self, site: &BuildSettings, shown: Shown<'_>) -> Vec<String> {
        let sources = [
            ("pip_index", &site.pip_index, &self.pip_index),
            ("apt_mirror", &site.apt_mirror, &self.apt_mirror),
        ];
        let open = |file: &Path| std::fs::metadata(file).is_ok_and(|file| file.mode() & 0o004 != 0);
        let exposed = sources.into_iter().filter_map(|(key, source, index)| match (source, index) {
            (Some(SiteSource::File(file)), Some(index)) if index.has_login() && open(file) => {
                Some((key, file))
            }
            _ => None,
        });
        let sentence = |(key, file): (&str, &PathBuf)| {
            let file = shown(file);
            let told = "which holds the login of";
            format!("everybody can read {}, {told} `build.{key}`; take that right away", file.display())
        };
        exposed.map(sentence).collect()
    }

    /// Secrets of what is built that were not given: a step without its secret
    /// would fail, or worse, go on without it.
    pub(crate) fn missing_secrets(&self, spec: &Spec, graph: &Graph, planned: &PlannedRun) -> Vec<Problem> {
        let mut problems = Vec::new();
        for position in planned.plan.builds() {
            let SpecEntry::Image(image) = SpecEntry::of(spec, graph, planned.nodes[position]) else {
                continue;
            };
            for id in image.secrets.iter().filter(|id| !self.has_secret(id)) {
                let problem =
                    Problem::new(format!("`{}` needs the secret `{id}`, which was not given", image.name));
                problems.push(problem.at(&image.place).help(format!("say --secret {id}=FILE")));
            }
        }
        problems
    }

    /// Whether a secret of this id will be there.
    fn has_secret(&self, id: &str) -> bool {
        self.secrets.contains_key(id) || (id == CA_SECRET && self.ca_bundle.is_some())
    }

    /// All secrets that steps may mount.
    pub(crate) fn offered(&self) -> BTreeMap<String, Secret> {
        let text = |id: &str, site: &PackageIndex, text: String| {
            (id.to_owned(), Secret::hiding(text, site.hidden()))
        };
        let own = self.secrets.clone().into_iter();
        let ca = self.ca_bundle.iter().map(|ca| (CA_SECRET.to_owned(), ca.clone()));
        let pip = self.pip_index.iter().map(|site| text(PIP_CONF_SECRET, site, site.pip_conf()));
        let mirror = self.apt_mirror.iter().map(|site| text(APT_MIRROR_SECRET, site, site.apt_mirror()));
        let auth =
            self.apt_mirror.iter().filter_map(|site| Some(text(APT_AUTH_SECRET, site, site.apt_auth()?)));
        own.chain(ca).chain(pip).chain(mirror).chain(auth).collect()
    }

    /// The same for all users, so that one layer serves them all.
    pub(crate) fn sudo(&self, account: &Account) -> Option<ExecStep> {
        let sudo = Packages::new(["sudo".to_owned()], []);
        account.sudo.then(|| packages::steps(&sudo, &self.step_settings()).pop()).flatten()
    }

    pub(super) fn step_settings(&self) -> StepSettings {
        StepSettings {
            ca_bundle: self.ca_bundle.is_some(),
            pip_index: self.pip_index.is_some(),
            apt_mirror: self.apt_mirror.is_some(),
            apt_auth: self.apt_mirror.as_ref().is_some_and(|site| site.apt_auth().is_some()),
        }
    }
}

/// What is in the file of a secret, which may be a pipe.
fn content(file: &Path, shown: Shown<'_>) -> Result<Vec<u8>, Problem> {
    let most = Secret::LARGEST;
    let mut content = Vec::new();
    let read = File::open(file).and_then(|file| file.take(most as u64 + 1).read_to_end(&mut content));
    let (name, help) =
        (shown(file), "name a file for --ca-bundle, --secret or `build.ca_bundle` that exists");
    match read {
        Err(error) => Err(Problem::new(format!("{} cannot be read: {error}", name.display())).help(help)),
        Ok(_) if content.len() > most => {
            let kib = most / 1024;
            let problem = Problem::new(format!("{} has more than {kib} KiB", name.display()));
            Err(problem.help("BuildKit takes no larger secret, nor more certificates"))
        }
        Ok(_) => Ok(content),
    }
}

/// An index or mirror, from its file if it has one. `key`: the one below
/// `build:`.
fn index(key: &str, source: Option<&SiteSource>, shown: Shown<'_>) -> Result<Option<PackageIndex>, Problem> {
    let file = match source {
        None => return Ok(None),
        Some(SiteSource::Spec(index)) => return Ok(Some(index.clone())),
        Some(SiteSource::File(file)) => file,
    };
    let name = shown(file);
    let text = files::read_text(file, None, files::MOST_TEXT)
        .and_then(|text| String::from_utf8(text).map_err(|_| std::io::Error::other("it is not UTF-8")));
    let text = text.map_err(|error| {
        Problem::new(format!("{} cannot be read: {error}", name.display()))
            .help(format!("`build.{key}` names it; write the address into it, in one line"))
    })?;
    PackageIndex::parse(&text).map(Some).map_err(|why| {
        Problem::new(format!("what is in {} {why}", name.display())).help(format!("`build.{key}` names it"))
    })
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::io::Write;
    use std::os::fd::AsRawFd;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn given(file: impl Into<PathBuf>) -> Result<BuildEnvironment, Problem> {
        let secrets = [("tok".to_owned(), file.into())].into();
        let given = GivenEnvironment { secrets, ..GivenEnvironment::default() };
        BuildEnvironment::of_site(given, &BuildSettings::default(), &|path| path.into())
    }

    #[test]
    fn a_secret_may_come_from_a_pipe_and_is_offered_to_every_image() {
        let (from, mut to) = std::io::pipe().unwrap();
        to.write_all(b"hunter2-a\n").unwrap();
        drop(to);
        let environment = given(format!("/dev/fd/{}", from.as_raw_fd())).unwrap();
        for _ in 0..2 {
            let secret = &environment.offered()["tok"];
            assert_eq!(
                (&*secret.value, &*secret.hidden),
                (&b"hunter2-a\n"[..], &[b"hunter2-a".to_vec()][..])
            );
        }
    }

    #[test]
    fn a_secret_that_never_ends_or_is_nowhere_is_told_by_its_file() {
        let told = |file: &str| given(file).unwrap_err();
        assert_eq!(told("/dev/zero").message, "/dev/zero has more than 500 KiB");
        assert!(told("/nowhere").message.starts_with("/nowhere cannot be read: No such file"));
    }

    #[test]
    fn a_login_that_everybody_can_read_is_told_without_what_it_is() {
        let root = tempfile::tempdir().unwrap();
        let file = root.path().join("index");
        let site = BuildSettings { pip_index: Some(SiteSource::File(file.clone())), ..Default::default() };
        let shown = |path: &Path| path.file_name().unwrap().into();
        let told = |mode, address| {
            fs::write(&file, address).unwrap();
            fs::set_permissions(&file, Permissions::from_mode(mode)).unwrap();
            BuildEnvironment::of_site(GivenEnvironment::default(), &site, &shown)
                .unwrap()
                .exposed(&site, &shown)
        };
        insta::assert_snapshot!(
            told(0o644, "https://ann:geheim@host/simple").concat(),
            @"everybody can read index, which holds the login of `build.pip_index`; take that right away"
        );
        assert!(told(0o640, "https://ann:geheim@host/simple").is_empty());
        assert!(told(0o644, "https://host/simple").is_empty());
    }
}
