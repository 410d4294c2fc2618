//! Is there room to build? Asked from the file system, since an engine of the
//! 20.10 age leaks blobs that its own count does not show.

use std::path::Path;

use crate::model::human::gib;
use crate::model::problem::Problem;
use crate::plan::observe::Snapshot;

/// Refuses to begin where the largest base would not even fit. Where the
/// engine is elsewhere, nobody knows.
///
/// # Errors
/// There is too little room.
pub(crate) fn check(snapshot: &Snapshot) -> Result<(), Problem> {
    let largest = snapshot.bases.values().filter_map(|base| base.size).max().unwrap_or(0);
    let root = &snapshot.engine.root;
    let free = snapshot.engine.local.then(|| free(root).ok()).flatten();
    free.map_or(Ok(()), |free| enough(free, largest)).map_err(|why| {
        let help =
            format!("make room in {}, e.g. with `docker image rm` for images nobody uses", root.display());
        Problem::new(why).help(help)
    })
}

/// Bytes that a user without privileges can still write where `path` lies.
///
/// # Errors
/// The path cannot be asked, e.g. because it is on another machine.
pub(crate) fn free(path: &Path) -> std::io::Result<u64> {
    let stat = rustix::fs::statvfs(path)?;
    Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
}

/// Says what is missing when less is free than the largest base takes.
/// All figures are bytes.
///
/// # Errors
/// A sentence for people.
fn enough(free: u64, largest_base: u64) -> Result<(), String> {
    if free >= largest_base {
        return Ok(());
    }
    Err(format!(
        "{} are free where the engine keeps images, and the largest base alone takes {}",
        gib(free),
        gib(largest_base)
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn less_room_than_the_largest_base_is_refused() {
        assert!(enough(10, 10).is_ok());
        assert!(enough(1 << 30, 3 << 30).unwrap_err().starts_with("1.0 GiB are free"));
        assert!(free(Path::new("/")).unwrap() > 0);
    }
}
