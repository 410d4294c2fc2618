//! Which folders may be mounted, and where.

use std::path::Path;

use super::*;
use crate::deploy::mounts::{AllowedFolder, AllowedFolders, Location, MountError, MountSpec, check};

fn root(named: &str, real: &str, read_only: bool) -> AllowedFolder {
    AllowedFolder { named: named.into(), real: real.into(), read_only }
}

/// A home behind a link, a folder for reading, and one for writing with a part
/// that is for reading.
fn roots(anywhere: bool) -> AllowedFolders {
    let roots = vec![
        root("/home/ann", "/srv/homes/ann", false),
        root("/srv/data", "/srv/data", true),
        root("/scratch", "/scratch", false),
        root("/scratch/shared", "/scratch/shared", true),
    ];
    AllowedFolders { roots, anywhere, group: "student".into() }
}

fn locate(anywhere: bool, named: &str, real: &str) -> Result<Location, MountError> {
    roots(anywhere).locate(Path::new(named), Path::new(real))
}

#[test]
fn a_folder_is_where_it_really_lies() {
    for (named, real, at, read_only) in [
        ("/home/ann/x", "/srv/homes/ann/x", "/srv/homes/ann", false),
        ("/home/ann", "/srv/homes/ann", "/srv/homes/ann", false),
        ("/srv/data/corpus", "/srv/data/corpus", "/srv/data", true),
        // A link from the home, or from anywhere, into what is allowed.
        ("/home/ann/data", "/srv/data/corpus", "/srv/data", true),
        ("/data", "/srv/data", "/srv/data", true),
        ("/scratch/ann", "/scratch/ann", "/scratch", false),
        ("/scratch/shared/x", "/scratch/shared/x", "/scratch/shared", true),
        // What is for reading in it would be written through it.
        ("/scratch", "/scratch", "/scratch", true),
    ] {
        let locate = locate(false, named, real).unwrap_or_else(|wrong| panic!("{named}: {wrong}"));
        assert_eq!((locate.root.to_str().unwrap(), locate.read_only), (at, read_only), "{named}");
    }
}

#[test]
fn a_folder_outside_is_refused_and_a_link_out_to_everybody() {
    for (named, real) in
        [("/etc", "/etc"), ("/srv/database", "/srv/database"), ("/home/eve", "/srv/homes/eve")]
    {
        assert!(matches!(locate(false, named, real), Err(MountError::Outside { .. })), "{named}");
        assert_eq!(locate(true, named, real).unwrap(), Location { root: "/".into(), read_only: false });
    }
    for named in ["/home/ann/etc", "/srv/homes/ann/etc", "/scratch/etc"] {
        for anywhere in [false, true] {
            assert!(matches!(locate(anywhere, named, "/etc"), Err(MountError::LeadsOut { .. })), "{named}");
        }
    }
    // `..` leaves by what was typed, not by somebody's link.
    assert!(locate(true, "/home/ann/../../etc", "/etc").is_ok());
    assert!(locate(false, "/home/ann/../../etc", "/etc").is_err());
    for anywhere in [false, true] {
        assert_eq!(locate(anywhere, "/home/ann/all", "/"), Err(MountError::Everything));
    }
}

#[test]
fn mounts_are_typed_as_source_target_and_mode() {
    let typed = |text: &str| {
        let MountSpec { source, target, read_only } = MountSpec::parse(text).unwrap();
        (source.to_str().unwrap().to_owned(), target, read_only)
    };
    assert_eq!(typed("/srv/x:/x"), ("/srv/x".into(), "/x".into(), false));
    assert_eq!(typed("x:/x/y:ro"), ("x".into(), "/x/y".into(), true));
    assert_eq!(typed("x:/x:rw"), ("x".into(), "/x".into(), false));
    for text in ["", "/x", ":/x", "x:", "x:/x:z", "x:/x:ro:", "a:b:c:d"] {
        assert!(matches!(MountSpec::parse(text), Err(MountError::Form { .. })), "{text}");
    }
}

#[test]
fn some_places_of_a_container_are_not_mounted_over() {
    for target in [
        "/",
        "x",
        "/x/",
        "//x",
        "/x/../etc",
        "/x/./y",
        "/proc",
        "/proc/1",
        "/sys/fs",
        "/dev/shm",
        "/etc",
        "/etc/passwd",
    ] {
        let wrong = MountSpec::parse(&format!("/srv/x:{target}")).unwrap_err();
        assert!(matches!(wrong, MountError::Target { .. }), "{target}: {wrong}");
    }
    for target in ["/x", "/workspace/data", "/etcetera", "/home/ann/.cache", "/opt/x.y"] {
        MountSpec::parse(&format!("/srv/x:{target}")).unwrap();
    }
}

#[test]
fn each_place_is_mounted_once() {
    let mount =
        |source: &str, target: &str| Mount { source: source.into(), target: target.into(), read_only: false };
    assert_eq!(check(&[mount("/a", "/data"), mount("/b", "/data/b")]), Ok(()));
    let twice = |target: &str| Err(MountError::Twice { target: target.into() });
    assert_eq!(check(&[mount("/a", "/data"), mount("/b", "/data")]), twice("/data"));
    assert_eq!(check(&[mount("/a", "/workspace")]), twice("/workspace"));
    assert!(matches!(check(&[mount("a", "/data")]), Err(MountError::NotSent { .. })));
    let mut case = Case::new();
    case.mounts = vec![mount("/a", "/etc")];
    assert!(matches!(case.request(), Err(DeployRefusal::Mount(MountError::Target { .. }))));
}

#[test]
fn every_refusal_of_a_mount_says_what_to_do() {
    let nowhere = AllowedFolders { group: "student".into(), ..AllowedFolders::default() };
    let wrongs = [
        MountSpec::parse("/srv").unwrap_err(),
        MountSpec::parse("/srv:/etc/passwd").unwrap_err(),
        locate(true, "/", "/").unwrap_err(),
        locate(false, "/opt", "/opt").unwrap_err(),
        locate(false, "/home/ann/etc", "/etc").unwrap_err(),
        nowhere.locate(Path::new("/opt"), Path::new("/opt")).unwrap_err(),
        MountError::ReadOnlyWorkspace { path: "/srv/data".into() },
        MountError::Kind { path: "/run/x.sock".into() },
        MountError::NotSent { path: "x".into() },
        MountError::Twice { target: "/data".into() },
    ];
    let said: String = wrongs.iter().map(|wrong| format!("{wrong}\n  {}\n", wrong.help())).collect();
    insta::assert_snapshot!(said);
}
