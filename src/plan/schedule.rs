//! Which image is built next: at most so many at once, longest remaining
//! path first, and a failure blocks only what is based on it.
//!
//! Pure: knows positions in a plan, not images, engines or time.

use std::collections::BTreeSet;

/// Position of an image in the plan; parents come before children.
pub(crate) type Index = usize;

/// What became of one position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// Waits for parents or for a free worker.
    Waiting,
    Running,
    Done,
    Failed,
    /// Not tried: this one failed below it.
    Blocked(Index),
    /// Not tried, or stopped: the run was cancelled.
    Cancelled,
}

/// The state of a run. Invariant: a position is `Running` or `Done` only if
/// all its parents are `Done`.
#[derive(Debug)]
pub(crate) struct Schedule {
    parents: Vec<Vec<Index>>,
    children: Vec<Vec<Index>>,
    /// Longest path from here down, this one included.
    rank: Vec<u64>,
    states: Vec<State>,
    ready: BTreeSet<(std::cmp::Reverse<u64>, Index)>,
    jobs: usize,
    running: usize,
    open: bool,
}

impl Schedule {
    /// `parents[i]` are the positions that must be done before `i`, each
    /// smaller than `i`. `cost[i]` is what building `i` takes, in any unit.
    pub(crate) fn new(parents: Vec<Vec<Index>>, cost: &[u64], jobs: usize) -> Self {
        let count = parents.len();
        let mut children = vec![Vec::new(); count];
        for (child, above) in parents.iter().enumerate() {
            for &parent in above {
                children[parent].push(child);
            }
        }
        let mut rank = vec![0; count];
        for i in (0..count).rev() {
            let below = children[i].iter().map(|&c: &Index| rank[c]).max().unwrap_or(0);
            rank[i] = cost[i].max(1) + below;
        }
        let ready =
            (0..count).filter(|&i| parents[i].is_empty()).map(|i| (std::cmp::Reverse(rank[i]), i)).collect();
        let states = vec![State::Waiting; count];
        Self { parents, children, rank, states, ready, jobs: jobs.max(1), running: 0, open: true }
    }

    /// Takes the next position to build, if a worker is free and one is ready.
    pub(crate) fn take(&mut self) -> Option<Index> {
        if !self.open || self.running >= self.jobs {
            return None;
        }
        let (_, index) = self.ready.pop_first()?;
        self.states[index] = State::Running;
        self.running += 1;
        Some(index)
    }

    /// A running position ended well; children may have become ready.
    pub(crate) fn done(&mut self, index: Index) {
        self.end(index, State::Done);
        for child in self.children[index].clone() {
            let all_done = self.parents[child].iter().all(|&p| self.states[p] == State::Done);
            if all_done && self.states[child] == State::Waiting {
                self.ready.insert((std::cmp::Reverse(self.rank[child]), child));
            }
        }
    }

    /// A running position failed. Gives the positions that are now blocked,
    /// in order; they are based on it, directly or not.
    pub(crate) fn failed(&mut self, index: Index) -> Vec<Index> {
        self.end(index, State::Failed);
        let mut blocked = BTreeSet::new();
        let mut open = self.children[index].clone();
        while let Some(next) = open.pop() {
            if self.states[next] == State::Waiting {
                self.states[next] = State::Blocked(index);
                blocked.insert(next);
                open.extend(&self.children[next]);
            }
        }
        blocked.into_iter().collect()
    }

    /// A running position was stopped.
    pub(crate) fn cancelled(&mut self, index: Index) {
        self.end(index, State::Cancelled);
    }

    /// Starts nothing more. Gives the positions that will not be tried.
    pub(crate) fn close(&mut self) -> Vec<Index> {
        self.open = false;
        let waiting: Vec<_> = (0..self.states.len()).filter(|&i| self.states[i] == State::Waiting).collect();
        for &index in &waiting {
            self.states[index] = State::Cancelled;
        }
        self.ready.clear();
        waiting
    }

    /// True when nothing runs and nothing can start.
    pub(crate) fn is_over(&self) -> bool {
        self.running == 0 && (!self.open || self.ready.is_empty())
    }

    /// The state of each position.
    pub(crate) fn states(&self) -> &[State] {
        &self.states
    }

    fn end(&mut self, index: Index, state: State) {
        debug_assert_eq!(self.states[index], State::Running, "only a running image can end");
        self.states[index] = state;
        self.running -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn unit(parents: &[&[Index]], jobs: usize) -> Schedule {
        let cost = vec![1; parents.len()];
        Schedule::new(parents.iter().map(|p| p.to_vec()).collect(), &cost, jobs)
    }

    #[test]
    fn the_longest_remaining_path_goes_first() {
        // 0 and 1 are roots; 1 has a chain of two below it.
        let mut schedule = unit(&[&[], &[], &[1], &[2]], 1);
        assert_eq!(schedule.take(), Some(1));
        assert_eq!(schedule.take(), None, "one job at a time");
    }

    #[test]
    fn a_failure_blocks_only_what_stands_on_it() {
        // base → {a → a1, b → {b1, b2}}
        let mut schedule = unit(&[&[], &[0], &[0], &[1], &[2], &[2]], 2);
        let base = schedule.take().unwrap();
        schedule.done(base);
        assert_eq!((schedule.take(), schedule.take()), (Some(1), Some(2)));
        assert_eq!(schedule.failed(2), [4, 5]);
        schedule.done(1);
        assert_eq!(schedule.take(), Some(3));
        schedule.done(3);
        assert!(schedule.is_over());
        assert_eq!(schedule.states()[4], State::Blocked(2));
    }

    #[test]
    fn an_image_with_two_parents_waits_for_both() {
        let mut schedule = unit(&[&[], &[], &[0, 1]], 4);
        assert_eq!((schedule.take(), schedule.take(), schedule.take()), (Some(0), Some(1), None));
        schedule.done(0);
        assert_eq!(schedule.take(), None);
        schedule.done(1);
        assert_eq!(schedule.take(), Some(2));
    }

    #[test]
    fn after_closing_nothing_starts_and_what_runs_may_end() {
        let mut schedule = unit(&[&[], &[], &[0]], 1);
        let first = schedule.take().unwrap();
        let second = 1 - first;
        assert_eq!(schedule.close(), [second, 2]);
        assert!(!schedule.is_over());
        schedule.cancelled(first);
        assert!(schedule.is_over());
        assert_eq!(schedule.take(), None);
    }

    prop_compose! {
        fn any_dag()(size in 1usize..30)(
            picks in proptest::collection::vec(proptest::collection::vec(any::<prop::sample::Index>(), 0..3), size)
        ) -> Vec<Vec<Index>> {
            picks.iter().enumerate().map(|(i, above)| {
                let set: BTreeSet<_> = if i == 0 { BTreeSet::new() } else { above.iter().map(|p| p.index(i)).collect() };
                set.into_iter().collect()
            }).collect()
        }
    }

    proptest! {
        #[test]
        fn every_image_ends_once_and_never_before_its_parents(
            parents in any_dag(), jobs in 1usize..5, fails in proptest::collection::vec(any::<bool>(), 30)
        ) {
            let cost = vec![1; parents.len()];
            let mut schedule = Schedule::new(parents.clone(), &cost, jobs);
            let mut running = Vec::new();
            while !schedule.is_over() {
                while let Some(next) = schedule.take() {
                    for &parent in &parents[next] {
                        prop_assert_eq!(schedule.states()[parent], State::Done);
                    }
                    running.push(next);
                }
                prop_assert!(running.len() <= jobs);
                let next = running.pop().expect("not over, so something runs");
                if fails[next] { schedule.failed(next); } else { schedule.done(next); }
            }
            for (index, state) in schedule.states().iter().enumerate() {
                match state {
                    State::Done | State::Failed => {}
                    State::Blocked(by) => prop_assert!(fails[*by] && *by < index),
                    other => prop_assert!(false, "{index} is left {other:?}"),
                }
            }
        }
    }
}
