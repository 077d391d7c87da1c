//! The walk through the tree of decisions.

use super::notation::{Schedule, Step};

/// The decisions of the current run, and which run comes next.
///
/// Depth first: a run repeats the decisions of the one before up to the last
/// that had another option, takes that option, and from there on the first of
/// each. A decision is a bit set of options, so a run allocates nothing.
#[derive(Debug)]
pub(super) struct Search {
    decisions: Vec<Decision>,
    /// How many of `decisions` the current run has made.
    made: usize,
    runs: usize,
    max_runs: usize,
    drops: usize,
    drops_left: usize,
    phase: Phase,
    random: Random,
    divergence: Divergence,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Decision {
    options: Options,
    step: Step,
}

/// What could have happened.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Options {
    Tasks { poll: u32, drop: u32 },
    Numbers(usize),
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Phase {
    InOrder,
    AtRandom,
    Done,
}

/// What to do if a run cannot repeat the decisions of the one before.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Divergence {
    /// It is an error, and has not happened.
    Forbidden,
    /// It is an error, and has happened.
    Happened,
    /// The rest is forgotten.
    Tolerated,
}

impl Search {
    pub(super) fn new(max_runs: usize, drops: usize, seed: u64) -> Self {
        Self {
            decisions: Vec::new(),
            made: 0,
            runs: 0,
            max_runs,
            drops,
            drops_left: drops,
            phase: Phase::InOrder,
            random: Random(seed),
            divergence: Divergence::Forbidden,
        }
    }

    /// A single run, by a schedule.
    pub(super) fn replay(schedule: Schedule, drops: usize) -> Self {
        let dropped = schedule.0.iter().filter(|step| matches!(step, Step::Drop(_))).count();
        let mut search = Self::new(1, drops.max(dropped), 0);
        search.decisions = schedule
            .0
            .into_iter()
            // Options without bits mean that they are not known yet.
            .map(|step| Decision { options: Options::Tasks { poll: 0, drop: 0 }, step })
            .collect();
        search
    }

    pub(super) fn tolerant(mut self) -> Self {
        self.divergence = Divergence::Tolerated;
        self
    }

    /// Decides which task goes on; a set bit is a task that can.
    pub(super) fn task(&mut self, poll: u32, drop: u32) -> Step {
        let drop = if self.drops_left > 0 { drop } else { 0 };
        let step = self.decide(Options::Tasks { poll, drop });
        if let Step::Drop(_) = step {
            self.drops_left = self.drops_left.saturating_sub(1);
        }
        step
    }

    /// Decides on a number.
    pub(super) fn pick(&mut self, options: usize) -> usize {
        match self.decide(Options::Numbers(options)) {
            Step::Pick(number) => number,
            Step::Poll(_) | Step::Drop(_) => 0,
        }
    }

    fn decide(&mut self, options: Options) -> Step {
        if let Some(decision) = self.decisions.get_mut(self.made) {
            let known = decision.options != Options::Tasks { poll: 0, drop: 0 };
            if options.contain(decision.step) && (!known || decision.options == options) {
                decision.options = options;
                self.made += 1;
                return decision.step;
            }
            self.decisions.truncate(self.made);
            if self.divergence == Divergence::Forbidden {
                self.divergence = Divergence::Happened;
            }
        }
        let step = match self.phase {
            Phase::InOrder | Phase::Done => options.first(),
            Phase::AtRandom => options.nth(self.random.below(options.count())),
        };
        self.decisions.push(Decision { options, step });
        self.made += 1;
        step
    }

    /// Makes ready for the next run; false if there is none.
    pub(super) fn advance(&mut self) -> bool {
        self.runs += 1;
        self.decisions.truncate(self.made);
        self.made = 0;
        self.drops_left = self.drops;
        if self.phase == Phase::InOrder {
            loop {
                match self.decisions.pop() {
                    None => {
                        self.phase = Phase::Done;
                        break;
                    }
                    Some(Decision { options, step }) => {
                        if let Some(step) = options.after(step) {
                            self.decisions.push(Decision { options, step });
                            break;
                        }
                    }
                }
            }
            // In order, the last decisions vary and the first ones never do.
            if self.phase == Phase::InOrder && self.runs * 2 >= self.max_runs {
                self.phase = Phase::AtRandom;
            }
        }
        match self.phase {
            Phase::InOrder => {}
            Phase::AtRandom => self.decisions.clear(),
            Phase::Done => return false,
        }
        self.runs < self.max_runs
    }

    pub(super) fn complete(&self) -> bool {
        self.phase == Phase::Done
    }

    pub(super) fn runs(&self) -> usize {
        self.runs
    }

    pub(super) fn diverged(&self) -> bool {
        self.divergence == Divergence::Happened
    }

    /// The decisions of the current run.
    pub(super) fn schedule(&self) -> Schedule {
        Schedule(self.decisions[..self.made].iter().map(|decision| decision.step).collect())
    }
}

impl Options {
    fn count(self) -> usize {
        match self {
            Self::Tasks { poll, drop } => (poll.count_ones() + drop.count_ones()) as usize,
            Self::Numbers(count) => count,
        }
    }

    fn first(self) -> Step {
        self.nth(0)
    }

    /// Polls come before drops.
    fn nth(self, n: usize) -> Step {
        match self {
            Self::Tasks { poll, drop } => match nth_bit(poll, n) {
                Some(task) => Step::Poll(task),
                None => Step::Drop(
                    nth_bit(drop, n - poll.count_ones() as usize)
                        .expect("n is less than the number of options"),
                ),
            },
            Self::Numbers(_) => Step::Pick(n),
        }
    }

    fn after(self, step: Step) -> Option<Step> {
        let index = match (self, step) {
            (Self::Tasks { poll, .. }, Step::Poll(task)) => bits_below(poll, task),
            (Self::Tasks { poll, drop }, Step::Drop(task)) => {
                poll.count_ones() as usize + bits_below(drop, task)
            }
            (_, Step::Pick(number)) => number,
            (Self::Numbers(_), Step::Poll(_) | Step::Drop(_)) => return None,
        };
        (index + 1 < self.count()).then(|| self.nth(index + 1))
    }

    fn contain(self, step: Step) -> bool {
        match (self, step) {
            (Self::Tasks { poll, .. }, Step::Poll(task)) => poll >> task & 1 == 1,
            (Self::Tasks { drop, .. }, Step::Drop(task)) => drop >> task & 1 == 1,
            (Self::Numbers(count), Step::Pick(number)) => number < count,
            (Self::Tasks { .. }, Step::Pick(_))
            | (Self::Numbers(_), Step::Poll(_) | Step::Drop(_)) => false,
        }
    }
}

fn nth_bit(mut bits: u32, n: usize) -> Option<usize> {
    for _ in 0..n {
        bits &= bits.wrapping_sub(1);
    }
    (bits != 0).then(|| bits.trailing_zeros() as usize)
}

fn bits_below(bits: u32, task: usize) -> usize {
    (bits & ((1 << task) - 1)).count_ones() as usize
}

/// SplitMix64: small, seeded, and random enough to shuffle.
#[derive(Clone, Debug)]
pub(in crate::testing) struct Random(pub(in crate::testing) u64);

impl Random {
    pub(in crate::testing) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, count: usize) -> usize {
        (self.next() % count as u64) as usize
    }
}
