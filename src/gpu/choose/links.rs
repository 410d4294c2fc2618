//! Which of several free GPUs go well together, by their fast links. Knows no
//! request.

use std::cmp::Reverse;

use crate::gpu::overview::Unit;

/// Up to so many GPUs every set is considered.
const EXACT: usize = 16;

/// The best so many of the free GPUs that fit, by index. `None`: fewer fit.
pub(super) fn best<'a>(
    count: usize,
    free: &[Unit<'a>],
    fits: impl Fn(Unit<'a>) -> bool,
) -> Option<Vec<Unit<'a>>> {
    let fitting: Vec<usize> = (0..free.len()).filter(|at| fits(free[*at])).collect();
    if fitting.len() < count {
        return None;
    }
    let links = Free::new(free);
    let sets = if fitting.len() <= EXACT { every(&fitting, count) } else { grown(&links, &fitting, count) };
    let best = sets.into_iter().min_by_key(|set| links.cost(set))?;
    Some(best.into_iter().map(|at| free[at]).collect())
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
    gpus: &'a [Unit<'a>],
    /// The number of each one's group: those that reach each other over links
    /// of free ones.
    groups: Vec<usize>,
}

/// What is less is better, the first first.
type Cost = (Reverse<usize>, usize, u128, usize, Vec<usize>);

impl<'a> Free<'a> {
    fn new(gpus: &'a [Unit<'a>]) -> Self {
        let mut free = Self { groups: (0..gpus.len()).collect(), gpus };
        for one in 0..free.gpus.len() {
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
            let links = self.gpus[from].gpu.links.as_deref().unwrap_or_default();
            links.contains(&self.gpus[to].gpu.index)
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
        let mut stay = Vec::from_iter((0..self.gpus.len()).filter(|at| !set.contains(at)));
        let cut = set.iter().map(|one| linked(one, &mut stay.iter().copied())).sum();
        stay.retain(|at| set.iter().any(|one| self.groups[*one] == self.groups[*at]));
        let mut broken: Vec<_> = stay.iter().map(|at| self.groups[*at]).collect();
        broken.sort_unstable();
        broken.dedup();
        // One that does not say how large it is comes last.
        let memory = set.iter().map(|at| u128::from(self.gpus[*at].total_memory().unwrap_or(u64::MAX))).sum();
        (Reverse(within.sum()), broken.len(), memory, cut, set.to_vec())
    }
}
