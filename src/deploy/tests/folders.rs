//! Which folders may be mounted, and where.

use std::path::Path;

use super::*;
use crate::deploy::mounts::{Place, Root, Roots, Typed, Wrong, check};

fn root(named: &str, real: &str, read_only: bool) -> Root {
    Root { named: named.into(), real: real.into(), read_only }
}

/// A home behind a link, a folder for reading, and one for writing with a part
/// that is for reading.
fn roots(anywhere: bool) -> Roots {
    let roots = vec![
        root("/home/ann", "/srv/homes/ann", false),
        root("/srv/data", "/srv/data", true),
        root("/scratch", "/scratch", false),
        root("/scratch/shared", "/scratch/shared", true),
    ];
    Roots { roots, anywhere, group: "student".into() }
}

fn place(anywhere: bool, named: &str, real: &str) -> Result<Place, Wrong> {
    roots(anywhere).place(Path::new(named), Path::new(real))
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
        let place = place(false, named, real).unwrap_or_else(|wrong| panic!("{named}: {wrong}"));
        assert_eq!((place.root.to_str().unwrap(), place.read_only), (at, read_only), "{named}");
    }
}

#[test]
fn a_folder_outside_is_refused_and_a_link_out_to_everybody() {
    for (named, real) in
        [("/etc", "/etc"), ("/srv/database", "/srv/database"), ("/home/eve", "/srv/homes/eve")]
    {
        assert!(matches!(place(false, named, real), Err(Wrong::Outside { .. })), "{named}");
        assert_eq!(place(true, named, real).unwrap(), Place { root: "/".into(), read_only: false });
    }
    for named in ["/home/ann/etc", "/srv/homes/ann/etc", "/scratch/etc"] {
        for anywhere in [false, true] {
            assert!(matches!(place(anywhere, named, "/etc"), Err(Wrong::LeadsOut { .. })), "{named}");
        }
    }
    // `..` leaves by what was typed, not by somebody's link.
    assert!(place(true, "/home/ann/../../etc", "/etc").is_ok());
    assert!(place(false, "/home/ann/../../etc", "/etc").is_err());
    for anywhere in [false, true] {
        assert_eq!(place(anywhere, "/home/ann/all", "/"), Err(Wrong::Everything));
    }
}

#[test]
fn mounts_are_typed_as_source_target_and_mode() {
    let typed = |text: &str| {
        let Typed { source, target, read_only } = Typed::parse(text).unwrap();
        (source.to_str().unwrap().to_owned(), target, read_only)
    };
    assert_eq!(typed("/srv/x:/x"), ("/srv/x".into(), "/x".into(), false));
    assert_eq!(typed("x:/x/y:ro"), ("x".into(), "/x/y".into(), true));
    assert_eq!(typed("x:/x:rw"), ("x".into(), "/x".into(), false));
    for text in ["", "/x", ":/x", "x:", "x:/x:z", "x:/x:ro:", "a:b:c:d"] {
        assert!(matches!(Typed::parse(text), Err(Wrong::Form { .. })), "{text}");
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
        let wrong = Typed::parse(&format!("/srv/x:{target}")).unwrap_err();
        assert!(matches!(wrong, Wrong::Target { .. }), "{target}: {wrong}");
    }
    for target in ["/x", "/workspace/data", "/etcetera", "/home/ann/.cache", "/opt/x.y"] {
        Typed::parse(&format!("/srv/x:{target}")).unwrap();
    }
}

#[test]
fn each_place_is_mounted_once() {
    let mount =
        |source: &str, target: &str| Mount { source: source.into(), target: target.into(), read_only: false };
    assert_eq!(check(&[mount("/a", "/data"), mount("/b", "/data/b")]), Ok(()));
    let twice = |target: &str| Err(Wrong::Twice { target: target.into() });
    assert_eq!(check(&[mount("/a", "/data"), mount("/b", "/data")]), twice("/data"));
    assert_eq!(check(&[mount("/a", "/workspace")]), twice("/workspace"));
    assert!(matches!(check(&[mount("a", "/data")]), Err(Wrong::NotSent { .. })));
    let mut case = Case::new();
    case.mounts = vec![mount("/a", "/etc")];
    assert!(matches!(case.request(), Err(Refusal::Mount(Wrong::Target { .. }))));
}

#[test]
fn every_refusal_of_a_mount_says_what_to_do() {
    let nowhere = Roots { group: "student".into(), ..Roots::default() };
    let wrongs = [
        Typed::parse("/srv").unwrap_err(),
        Typed::parse("/srv:/etc/passwd").unwrap_err(),
        place(true, "/", "/").unwrap_err(),
        place(false, "/opt", "/opt").unwrap_err(),
        place(false, "/home/ann/etc", "/etc").unwrap_err(),
        nowhere.place(Path::new("/opt"), Path::new("/opt")).unwrap_err(),
        Wrong::ReadOnlyWorkspace { path: "/srv/data".into() },
        Wrong::Kind { path: "/run/x.sock".into() },
        Wrong::NotSent { path: "x".into() },
        Wrong::Twice { target: "/data".into() },
    ];
    let said: String = wrongs.iter().map(|wrong| format!("{wrong}\n  {}\n", wrong.help())).collect();
    insta::assert_snapshot!(said);
}
