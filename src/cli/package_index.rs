//! Indexes and mirrors of a site, from the files that hold them. Knows nothing
//! of the packages that come from there.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::error::CliError;
use super::session::Session;
use crate::build::request::BuildEnvironment;
use crate::image::packages::PackageIndex;
use crate::model::problem::Problem;
use crate::spec::{SiteSource, Spec};

/// An index or mirror, from its file if it has one. What is in the file is
/// not shown, whatever is wrong with it. `key`: the one below `build:`.
///
/// # Errors
/// The file cannot be read, or holds no address.
pub(crate) fn read(
    session: &Session,
    key: &str,
    source: Option<&SiteSource>,
) -> Result<Option<PackageIndex>, CliError> {
    let file = match source {
        None => return Ok(None),
        Some(SiteSource::Spec(site)) => return Ok(Some(site.clone())),
        Some(SiteSource::File(file)) => file,
    };
    let shown = session.shown(file);
    let text = std::fs::read_to_string(file).map_err(|error| {
        let problem = Problem::new(format!("{} cannot be read: {error}", shown.display()));
        CliError::usage(
            problem.help(format!("`build.{key}` names it; write the address into it, in one line")),
        )
    })?;
    PackageIndex::parse(&text).map(Some).map_err(|why| {
        let problem = Problem::new(format!("what is in {} {why}", shown.display()));
        CliError::usage(problem.help(format!("`build.{key}` names it")))
    })
}

/// A sentence for each file with a password that everybody on the machine can
/// read; `around` has what was read from them.
pub(crate) fn exposed(session: &Session, spec: &Spec, around: &BuildEnvironment) -> Vec<String> {
    let package_index = [
        ("pip_index", &spec.build.pip_index, &around.pip_index),
        ("apt_mirror", &spec.build.apt_mirror, &around.apt_mirror),
    ];
    let sentence =
        |(key, source, site): (&str, &Option<SiteSource>, &Option<PackageIndex>)| match (source, site) {
            (Some(SiteSource::File(file)), Some(site)) => open(key, file, &session.shown(file), site),
            _ => None,
        };
    package_index.into_iter().filter_map(sentence).collect()
}

fn open(key: &str, file: &Path, shown: &Path, site: &PackageIndex) -> Option<String> {
    let open = site.has_login() && std::fs::metadata(file).is_ok_and(|file| file.mode() & 0o004 != 0);
    let told = "which holds the login of";
    open.then(|| {
        format!("everybody can read {}, {told} `build.{key}`; take that right away", shown.display())
    })
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_login_that_everybody_can_read_is_told_without_what_it_is() {
        let root = tempfile::tempdir().unwrap();
        let file = root.path().join("index");
        fs::write(&file, "").unwrap();
        let told = |mode, address| {
            fs::set_permissions(&file, Permissions::from_mode(mode)).unwrap();
            open("pip_index", &file, Path::new("index"), &PackageIndex::parse(address).unwrap())
        };
        insta::assert_snapshot!(
            told(0o644, "https://ann:geheim@host/simple").unwrap(),
            @"everybody can read index, which holds the login of `build.pip_index`; take that right away"
        );
        assert_eq!(told(0o640, "https://ann:geheim@host/simple"), None);
        assert_eq!(told(0o644, "https://host/simple"), None);
    }
}
