//! Which lines of a short text changed, side by side.

use super::change::Detail;

/// Longer middles are not compared line by line.
const MOST: usize = 400;

/// What differs, in the order of the text; `None`: too much to tell, or
/// nothing but line ends. Lines are counted in the new text, removed ones in
/// the old.
pub(super) fn changed(old: &str, new: &str) -> Option<Vec<Detail>> {
    let (old, new): (Vec<_>, Vec<_>) = (old.lines().collect(), new.lines().collect());
    let same = |(a, b): &(&&str, &&str)| a == b;
    let head = old.iter().zip(&new).take_while(same).count();
    let (old, new) = (&old[head..], &new[head..]);
    let tail = old.iter().rev().zip(new.iter().rev()).take_while(same).count();
    let (old, new) = (&old[..old.len() - tail], &new[..new.len() - tail]);
    if old.len().max(new.len()) > MOST || (old.is_empty() && new.is_empty()) {
        return None;
    }
    let mut details = Vec::new();
    let (mut a, mut b) = (0, 0);
    let end = (old.len(), new.len());
    for (next_a, next_b) in common(old, new).into_iter().chain([end]) {
        let (gone, come) = (&old[a..next_a], &new[b..next_b]);
        for at in 0..gone.len().max(come.len()) {
            let what = match come.get(at) {
                Some(_) => format!("line {}", head + b + at + 1),
                None => format!("old line {}", head + a + at + 1),
            };
            let line = |lines: &[&str]| lines.get(at).map(|line| line.trim().to_owned());
            details.push(Detail { what, old: line(gone), new: line(come) });
        }
        (a, b) = (next_a + 1, next_b + 1);
    }
    Some(details)
}

/// Positions of a longest common subsequence.
fn common(old: &[&str], new: &[&str]) -> Vec<(usize, usize)> {
    let mut longest = vec![vec![0_u16; new.len() + 1]; old.len() + 1];
    for a in (0..old.len()).rev() {
        for b in (0..new.len()).rev() {
            longest[a][b] = match old[a] == new[b] {
                true => longest[a + 1][b + 1] + 1,
                false => longest[a + 1][b].max(longest[a][b + 1]),
            };
        }
    }
    let (mut a, mut b, mut pairs) = (0, 0, Vec::new());
    while a < old.len() && b < new.len() {
        if old[a] == new[b] {
            pairs.push((a, b));
            (a, b) = (a + 1, b + 1);
        } else if longest[a + 1][b] >= longest[a][b + 1] {
            a += 1;
        } else {
            b += 1;
        }
    }
    pairs
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(old: &str, new: &str) -> Vec<String> {
        let show = |d: Detail| format!("{}: {:?} {:?}", d.what, d.old, d.new);
        changed(old, new).unwrap_or_default().into_iter().map(show).collect()
    }

    #[test]
    fn a_changed_line_is_shown_with_both_its_sides() {
        assert_eq!(shown("a\nb\nc\n", "a\nB\nc\n"), [r#"line 2: Some("b") Some("B")"#]);
    }

    #[test]
    fn added_and_removed_lines_have_one_side() {
        assert_eq!(shown("a\nc\n", "a\nb\nc\n"), [r#"line 2: None Some("b")"#]);
        assert_eq!(shown("a\nb\nc\n", "a\nc\n"), [r#"old line 2: Some("b") None"#]);
        let both = ["line 2: Some(\"x\") Some(\"y\")", "old line 4: Some(\"z\") None"];
        assert_eq!(shown("a\nx\nb\nz\nc", "a\ny\nb\nc"), both);
    }

    #[test]
    fn what_is_too_long_or_no_line_is_not_told() {
        assert!(changed("a\n", "a").is_none());
        let long = |word: &str| (0..=MOST).map(|n| format!("{word}{n}\n")).collect::<String>();
        assert!(changed(&long("a"), &long("b")).is_none());
    }
}
