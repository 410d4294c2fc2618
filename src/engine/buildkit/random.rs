//! Names that nobody else has: of sessions and jobs.

use rustix::rand::{GetRandomFlags, getrandom};

/// 128 random bits as hex.
pub(super) fn id() -> String {
    let mut bytes = [0; 16];
    let mut filled = 0;
    while filled < bytes.len() {
        // It fails only when a signal comes first.
        filled += getrandom(&mut bytes[filled..], GetRandomFlags::empty()).unwrap_or(0);
    }
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn ids_are_long_and_differ() {
        let (one, two) = (super::id(), super::id());
        assert_eq!(one.len(), 32);
        assert_ne!(one, two);
    }
}
