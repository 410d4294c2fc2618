//! Whole GPUs: those that share a fast link together, and so that as few groups
//! of linked ones as possible are broken up.

use std::cmp::Reverse;

use super::{Row, Unit, Unmet, tell};
use crate::gpu::overview::Overview;

/// Up to so many GPUs every set is looked at.
const EXACT: usize = 16;

/// So many, each with at least so many bytes.
pub(crate) fn choose(count: usize, memory: Option<u64>, seen: &Overview) -> Result<Vec<Unit>, Unmet> {
    let fits = |row: &Row| memory.is_none_or(|least| row.total().is_some_and(|total| total >= least));
    let chosen = pick(count, seen, fits).ok_or_else(|| tell::whole(count, memory, seen))?;
    Ok(chosen.into_iter().filter_map(Row::free).collect())
}

/// The best so many of those that fit, by index. `None`: fewer are free.
pub(crate) fn pick(count: usize, seen: &Overview, fits: impl Fn(&Row) -> bool) -> Option<Vec<&Row>> {
    let free: Vec<&Row> = seen.gpus.iter().filter(|row| row.free().is_some()).collect();
    let fitting: Vec<usize> = (0..free.len()).filter(|at| fits(free[*at])).collect();
    if fitting.len() < count {
        return None;
    }
    let free = Free::new(free);
    let sets = if fitting.len() <= EXACT { every(&fitting, count) } else { grown(&free, &fitting, count) };
    let best = sets.into_iter().min_by_key(|set| free.cost(set))?;
    Some(best.into_iter().map(|at| free.rows[at]).collect())
}

/// All sets of so many.
fn every(of: &[usize], count: usize) -> Vec<Vec<usize>> {
    let sets = (0u32..1 << of.len()).filter(|set| set.count_ones() as usize == count);
    let members = |set: u32| {
        let among = of.iter().enumerate().filter(move |(bit, _)| set & (1 << bit) != 0);
        among.map(|(_, at)| *at).collect()
    };
    sets.map(members).collect()
}

/// From each one as the first, the best next one until there are enough.
fn grown(free: &Free<'_>, of: &[usize], count: usize) -> Vec<Vec<usize>> {
    let grow = |first: &usize| {
        let mut set = vec![*first];
        while set.len() < count {
            let others = of.iter().filter(|at| !set.contains(at));
            let with = |at: &usize| set.iter().copied().chain([*at]).collect::<Vec<_>>();
            let Some(next) = others.copied().min_by_key(|at| free.cost(&with(at))) else { break };
            set.push(next);
        }
        set.sort_unstable();
        set
    };
    of.iter().map(grow).collect()
}

/// The free GPUs and how they are linked.
struct Free<'a> {
    rows: Vec<&'a Row>,
    /// The number of each one's group: those that reach each other over links
    /// of free ones.
    groups: Vec<usize>,
}

/// What is less is better, the first first.
type Cost = (Reverse<usize>, usize, u128, usize, Vec<usize>);

impl<'a> Free<'a> {
    fn new(rows: Vec<&'a Row>) -> Self {
        let mut free = Self { groups: (0..rows.len()).collect(), rows };
        for one in 0..free.rows.len() {
            for other in 0..one {
                if free.linked(one, other) {
                    let (from, to) = (free.groups[one], free.groups[other]);
                    free.groups.iter_mut().filter(|group| **group == from).for_each(|group| *group = to);
                }
            }
        }
        free
    }

    fn linked(&self, one: usize, other: usize) -> bool {
        let to = |from: usize, to: usize| {
            let links = self.rows[from].links.as_deref().unwrap_or_default();
            links.contains(&self.rows[to].index)
        };
        to(one, other) || to(other, one)
    }

    /// Links within, groups that are broken up, memory, links to those that
    /// stay, and who they are.
    fn cost(&self, set: &[usize]) -> Cost {
        let linked = |one: &usize, others: &mut dyn Iterator<Item = usize>| {
            others.filter(|other| self.linked(*one, *other)).count()
        };
        let within = set.iter().enumerate().map(|(nth, one)| linked(one, &mut set[..nth].iter().copied()));
        let mut stay = Vec::from_iter((0..self.rows.len()).filter(|at| !set.contains(at)));
        let cut = set.iter().map(|one| linked(one, &mut stay.iter().copied())).sum();
        stay.retain(|at| set.iter().any(|one| self.groups[*one] == self.groups[*at]));
        let mut broken: Vec<_> = stay.iter().map(|at| self.groups[*at]).collect();
        broken.sort_unstable();
        broken.dedup();
        // One that does not say how large it is comes last.
        let memory = set.iter().map(|at| u128::from(self.rows[*at].total().unwrap_or(u64::MAX))).sum();
        (Reverse(within.sum()), broken.len(), memory, cut, set.to_vec())
    }
}
