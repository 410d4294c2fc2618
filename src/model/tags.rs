//! Tag names: content tags, branch tags.
//!
//! Which tag names which image, and when it moves, is design section 9.

use crate::model::digest::is_hex;

/// Longest tag that the distribution specification allows.
const LONGEST: usize = 128;

/// Hex digits of a recipe digest in a content tag.
const CONTENT_DIGITS: usize = 16;

/// The tag of an image with this recipe: `r-` and the first 16 hex digits. It
/// never moves. Takes the digest with or without `sha256:`.
pub(crate) fn content_tag(recipe_digest_hex: &str) -> String {
    let hex = recipe_digest_hex.strip_prefix("sha256:").unwrap_or(recipe_digest_hex);
    format!("r-{}", hex.get(..CONTENT_DIGITS).unwrap_or(hex))
}

/// Whether a tag has the form of a content tag.
pub(crate) fn is_content_tag(tag: &str) -> bool {
    tag.strip_prefix("r-").is_some_and(|rest| is_hex(rest, CONTENT_DIGITS))
}

/// The tag that a run of a branch moves: `<prefix>-<branch>`, the branch
/// brought to the tag grammar. Two branches may give one tag.
///
/// # Errors
/// A branch of which nothing can be used, a prefix that leaves no room, or a
/// result that would be a content tag; in words, saying what to do.
pub(crate) fn branch_tag(prefix: &str, branch: &str) -> Result<String, String> {
    let usable = sanitize(branch);
    if usable.is_empty() {
        return Err(format!(
            "branch `{branch}` has no character that a tag may have; rename it or say a tag by hand"
        ));
    }
    let room = LONGEST.saturating_sub(prefix.len() + 1);
    let part = usable.get(..room.min(usable.len())).unwrap_or_default().trim_end_matches(is_separator);
    if part.is_empty() {
        return Err(format!(
            "tag prefix `{prefix}` leaves no room for a branch; a tag has {LONGEST} characters"
        ));
    }
    let tag = format!("{prefix}-{part}");
    if is_content_tag(&tag) {
        return Err(format!("branch `{branch}` would take the content tag `{tag}`; choose another prefix"));
    }
    Ok(tag)
}

/// Everything a tag cannot have becomes `-`; separators at the ends go.
fn sanitize(branch: &str) -> String {
    let legal = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-') { c } else { '-' };
    branch.chars().map(legal).collect::<String>().trim_matches(is_separator).to_owned()
}

fn is_separator(c: char) -> bool {
    matches!(c, '-' | '.' | '_')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::reference::Repository;

    #[test]
    fn a_content_tag_is_sixteen_digits() {
        assert_eq!(content_tag("0123456789abcdef0123"), "r-0123456789abcdef");
        assert_eq!(content_tag("sha256:0123456789abcdef0123"), "r-0123456789abcdef");
        assert!(is_content_tag("r-0123456789abcdef"));
        assert!(!is_content_tag("r-0123456789abcdeF") && !is_content_tag("r-0123456789abcde"));
    }

    #[test]
    fn branches_become_tags() {
        for (prefix, branch, tag) in [
            ("2026.4", "main", "2026.4-main"),
            ("2026.4", "fix-merge-bug", "2026.4-fix-merge-bug"),
            ("2026.10", "merge", "2026.10-merge"),
            ("2026.10", "feature/new base", "2026.10-feature-new-base"),
            ("2026.4-py312", "refs/heads/x", "2026.4-py312-refs-heads-x"),
            ("2026.4", "/x/", "2026.4-x"),
            ("2026.4", "v1.0_rc", "2026.4-v1.0_rc"),
            ("2026.4", "日本/fix", "2026.4-fix"),
        ] {
            assert_eq!(branch_tag(prefix, branch).as_deref(), Ok(tag), "{branch}");
        }
    }

    #[test]
    fn a_branch_without_usable_characters_is_an_error_that_names_it() {
        for branch in ["", "---", "李雷", "/", "._-"] {
            let error = branch_tag("2026.4", branch).unwrap_err();
            assert!(error.contains(&format!("`{branch}`")), "{error}");
        }
    }

    #[test]
    fn a_long_branch_is_cut_and_a_long_prefix_refused() {
        let tag = branch_tag("2026.4", &"b".repeat(300)).unwrap();
        assert_eq!(tag.len(), LONGEST);
        assert_eq!(branch_tag("2026.4", &format!("{}-{}", "b".repeat(120), "c")).unwrap().len(), 127);
        assert!(branch_tag(&"p".repeat(127), "main").unwrap_err().contains("no room"));
        assert!(branch_tag(&"p".repeat(400), "main").is_err());
    }

    #[test]
    fn a_branch_cannot_take_a_content_tag() {
        assert!(branch_tag("r", "0123456789abcdef").is_err());
        assert!(branch_tag("r", "0123456789abcdefa").is_ok());
    }

    proptest! {
        #[test]
        fn every_branch_tag_is_a_tag(prefix in "[A-Za-z0-9_][A-Za-z0-9_.-]{0,126}", branch in any::<String>()) {
            if let Ok(tag) = branch_tag(&prefix, &branch) {
                prop_assert!(tag.len() <= LONGEST);
                let start = format!("{prefix}-");
                prop_assert!(tag.starts_with(&start));
                let reference = Repository::parse("reg.local:5000/x/y").unwrap().with_tag(&tag);
                prop_assert_eq!(reference.tag(), Some(tag.as_str()));
            }
        }

        #[test]
        fn a_branch_with_a_letter_has_a_tag(branch in ".{0,20}[a-z].{0,20}") {
            prop_assert!(branch_tag("2026.4", &branch).is_ok());
        }

        #[test]
        fn sanitizing_twice_changes_nothing(branch in any::<String>()) {
            let once = sanitize(&branch);
            prop_assert_eq!(sanitize(&once), once);
        }
    }
}
