//! When a round leaves, and with how many jobs: no I/O.

/// Rounds in the air at a time: while the truth writes one, the next is read and decided. That two
/// may want the same is no other case than that two servers do.
const ROUNDS: usize = 4;
/// Most jobs of a round, but for half of what waits. MongoDB does the writes of one command one after the
/// other: with all that wait in one round, it and we would have one thing to do.
const MOST_JOBS: usize = 128;
/// A round costs six commands whatever it carries. So beside others it leaves with this many jobs for each
/// of these, or with as many as all of these carry.
const COMPANY: usize = 24;

/// What is in the air, and whether what waits has to wait on.
#[derive(Default)]
pub(super) struct Departures {
    rounds: usize,
    jobs: usize,
    /// How many rounds have left so far.
    left: u64,
    /// Whether a timer runs for what waits.
    is_timed: bool,
    /// Whether what waits has waited long enough for company.
    is_overdue: bool,
}

impl Departures {
    /// How many of the jobs that wait leave now, as one round.
    pub(super) fn leave(&mut self, waiting: usize) -> Option<usize> {
        let company = (self.rounds * COMPANY).min(self.jobs);
        let has_company = waiting >= company || self.is_overdue;
        if waiting == 0 || self.rounds == ROUNDS || !has_company {
            return None;
        }
        let jobs = waiting.min(MOST_JOBS.max(waiting / 2));
        self.rounds += 1;
        self.jobs += jobs;
        self.left += 1;
        self.is_timed = false;
        self.is_overdue = false;
        Some(jobs)
    }

    /// A round of so many jobs landed.
    pub(super) fn land(&mut self, jobs: usize) {
        self.rounds = self.rounds.saturating_sub(1);
        self.jobs = self.jobs.saturating_sub(jobs);
    }

    /// The number of a timer that is to be started for what waits on, if none runs.
    pub(super) fn start_timer(&mut self, waiting: usize) -> Option<u64> {
        let is_wanted = waiting > 0 && !self.is_timed && !self.is_overdue;
        self.is_timed |= is_wanted;
        is_wanted.then_some(self.left)
    }

    /// The timer of this number has run out. What it was for may have left meanwhile.
    pub(super) fn end_timer(&mut self, number: u64) {
        if self.is_timed && number == self.left {
            self.is_timed = false;
            self.is_overdue = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// With rounds of so many jobs in the air.
    fn with<const N: usize>(rounds: [usize; N]) -> Departures {
        Departures {
            rounds: N,
            jobs: rounds.iter().sum(),
            ..Departures::default()
        }
    }

    #[test]
    fn a_round_leaves_alone_with_what_there_is() {
        assert_eq!(with([]).leave(0), None);
        assert_eq!(with([]).leave(1), Some(1));
        assert_eq!(with([]).leave(100), Some(100));
    }

    #[test]
    fn a_round_leaves_beside_few_with_as_many() {
        assert_eq!(with([1]).leave(1), Some(1));
        assert_eq!(with([5]).leave(4), None);
        assert_eq!(with([5]).leave(5), Some(5));
        assert_eq!(with([5, 1]).leave(5), None);
        assert_eq!(with([5, 1]).leave(6), Some(6));
    }

    #[test]
    fn a_round_leaves_beside_many_with_some_for_each_round() {
        for (mut departures, least) in [
            (with([128]), COMPANY),
            (with([128, 30]), 2 * COMPANY),
            (with([128, 50, 70]), 3 * COMPANY),
        ] {
            assert_eq!(departures.leave(least - 1), None);
            assert_eq!(departures.leave(least), Some(least));
        }
    }

    #[test]
    fn no_more_rounds_leave_than_may() {
        let mut departures = with([1, 1, 1]);
        assert_eq!(departures.leave(500), Some(250));
        assert_eq!(departures.leave(500), None);
        departures.land(250);
        assert_eq!(departures.leave(500), Some(250));
    }

    #[test]
    fn what_waits_is_shared_out() {
        let mut departures = Departures::default();
        assert_eq!(departures.leave(254), Some(128));
        assert_eq!(departures.leave(126), Some(126));
        assert_eq!(Departures::default().leave(1_000), Some(500));
    }

    #[test]
    fn what_has_waited_long_enough_leaves_without_company() {
        let mut departures = with([9]);
        assert_eq!(departures.leave(2), None);
        let timer = departures.start_timer(2).unwrap();
        assert_eq!(departures.start_timer(3), None, "one timer is enough");
        departures.end_timer(timer);
        assert_eq!(departures.leave(3), Some(3));
        assert_eq!(departures.leave(1), None, "that one has not waited");
        assert!(departures.start_timer(1).is_some());
    }

    #[test]
    fn what_has_waited_long_enough_leaves_as_soon_as_a_round_may() {
        let mut departures = with([9; ROUNDS]);
        let timer = departures.start_timer(1).unwrap();
        departures.end_timer(timer);
        assert_eq!(departures.leave(1), None);
        assert_eq!(departures.start_timer(1), None, "it waits for a landing");
        departures.land(9);
        assert_eq!(departures.leave(1), Some(1));
    }

    #[test]
    fn a_timer_is_for_what_waited_when_it_was_started() {
        let mut departures = with([9]);
        let timer = departures.start_timer(2).unwrap();
        assert_eq!(departures.leave(30), Some(30));
        let next = departures.start_timer(1).unwrap();
        departures.end_timer(timer);
        assert_eq!(departures.leave(1), None);
        departures.end_timer(next);
        assert_eq!(departures.leave(1), Some(1));
    }
}
