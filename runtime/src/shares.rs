//! Who does which tasks of a launch. Each thread has a share of its own, the same in every
//! step, so that it finds in its caches what it left there; it takes it in ever smaller
//! pieces from one end, in the next launch from the other. A thread that is through with its
//! own takes pieces from the far end of the share of which most is left: so a processor that
//! is slower for a while, as when another guest of the machine has it, holds up the others for
//! the piece it has taken, a third of its share at most, and not for its whole lag. Which
//! thread does a task makes no difference to what it writes.

use crate::pool::Padded;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};

/// What is left of every thread's share, of two launches in a row: while threads help each other
/// to end one, each lays out its share of the next.
#[derive(Debug)]
pub struct Shares {
    threads: Vec<Padded<[AtomicU64; 2]>>,
}

/// Of two launches in a row, which.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Parity {
    #[default]
    Even,
    Odd,
}

impl Parity {
    /// That of the launches before and after.
    pub fn other(self) -> Parity {
        match self {
            Parity::Even => Parity::Odd,
            Parity::Odd => Parity::Even,
        }
    }

    /// Which end of its share a thread begins with: what it did last in the launch before is in
    /// its caches still, where all that it did in it would not fit.
    fn begin(self) -> End {
        match self {
            Parity::Even => End::Front,
            Parity::Odd => End::Back,
        }
    }
}

/// More tasks than this are not counted.
pub const MOST_TASKS: u64 = u32::MAX as u64;

/// A piece is such a part of what is left of a share.
const PIECES: u64 = 3;

/// What is left that is less is not worth the way to another thread's caches: its owner is
/// about to do it.
const WORTH_HELP: u64 = 2;

impl Shares {
    /// Of so many threads, with nothing left.
    pub fn new(threads: usize) -> Shares {
        let threads = (0..threads).map(|_| Padded(Default::default()));
        Shares {
            threads: threads.collect(),
        }
    }

    /// The contiguous part of `0..tasks` that is a thread's own; sizes differ by one at most.
    pub fn own(&self, thread: usize, tasks: u64) -> Range<u64> {
        let threads = self.threads.len() as u128;
        let bound = |i: usize| (u128::from(tasks) * i as u128 / threads) as u64;
        bound(thread)..bound(thread + 1)
    }

    /// Lays out a thread's share of a launch's tasks. Nobody takes any until all have met again.
    pub fn lay_out(&self, thread: usize, parity: Parity, tasks: u64) {
        let left = packed(self.own(thread, tasks));
        self.threads[thread].0[parity as usize].store(left, Ordering::Release);
    }

    /// The next tasks for a thread: its own, then what it can help others with.
    pub fn take(&self, thread: usize, parity: Parity) -> Option<Range<u64>> {
        let own = &self.threads[thread].0[parity as usize];
        take(own, 1, parity.begin()).or_else(|| self.help(parity))
    }

    fn help(&self, parity: Parity) -> Option<Range<u64>> {
        loop {
            let left = |share: &&AtomicU64| {
                let left = unpacked(share.load(Ordering::Acquire));
                left.end - left.start
            };
            let shares = self.threads.iter().map(|share| &share.0[parity as usize]);
            let most = shares.max_by_key(left)?;
            if left(&most) < WORTH_HELP {
                return None;
            }
            let taken = take(most, WORTH_HELP, parity.other().begin());
            if taken.is_some() {
                return taken;
            }
        }
    }
}

#[derive(Clone, Copy)]
enum End {
    Front,
    Back,
}

/// Takes a piece of a share of which so much is left, at least.
fn take(share: &AtomicU64, least: u64, from: End) -> Option<Range<u64>> {
    let mut seen = share.load(Ordering::Acquire);
    loop {
        let left = unpacked(seen);
        let count = left.end - left.start;
        if count < least {
            return None;
        }
        let piece = count.div_ceil(PIECES);
        let (taken, rest) = match from {
            End::Front => {
                let middle = left.start + piece;
                (left.start..middle, middle..left.end)
            }
            End::Back => {
                let middle = left.end - piece;
                (middle..left.end, left.start..middle)
            }
        };
        match share.compare_exchange_weak(seen, packed(rest), Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => return Some(taken),
            Err(now) => seen = now,
        }
    }
}

fn packed(tasks: Range<u64>) -> u64 {
    assert!(tasks.end <= MOST_TASKS, "runtime: {} tasks", tasks.end);
    tasks.start << u32::BITS | tasks.end
}

fn unpacked(left: u64) -> Range<u64> {
    left >> u32::BITS..left & MOST_TASKS
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicBool;

    #[test]
    fn shares_differ_by_one_at_most_and_do_not_overflow() {
        let shares = Shares::new(3);
        let sizes: Vec<u64> = (0..3)
            .map(|thread| shares.own(thread, 11))
            .map(|share| share.end - share.start)
            .collect();
        assert_eq!(sizes.iter().sum::<u64>(), 11);
        assert!(sizes.iter().all(|size| (3..=4).contains(size)));
        assert_eq!(shares.own(2, u64::MAX).end, u64::MAX);
    }

    /// One thread alone does its own share, then what the others leave, but for one task of each:
    /// that with which they begin.
    #[test]
    fn who_is_through_helps_from_the_far_end() {
        let launches = [(Parity::Even, 10, [0, 20]), (Parity::Odd, 19, [9, 29])];
        for (parity, first, left_to_others) in launches {
            let shares = Shares::new(3);
            (0..3).for_each(|thread| shares.lay_out(thread, parity, 30));
            let mut taken: Vec<u64> = Vec::new();
            let piece = shares.take(1, parity);
            assert!(piece.as_ref().is_some_and(|piece| piece.contains(&first)));
            taken.extend(piece.into_iter().flatten());
            while let Some(tasks) = shares.take(1, parity) {
                taken.extend(tasks);
            }
            assert!(taken[..10].iter().all(|task| (10..20).contains(task)));
            taken.sort_unstable();
            let expected: Vec<u64> = (0..30).filter(|n| !left_to_others.contains(n)).collect();
            assert_eq!(taken, expected);
            for thread in [0, 2] {
                let own = left_to_others[thread / 2];
                assert_eq!(shares.take(thread, parity), Some(own..own + 1));
                assert_eq!(shares.take(thread, parity), None);
            }
            assert_eq!(
                shares.take(2, parity.other()),
                None,
                "the other launch has none"
            );
        }
    }

    /// However many take at once, each task is taken once.
    #[test]
    fn every_task_is_taken_once() {
        const TASKS: u64 = 1000;
        for threads in [1, 2, 5] {
            let shares = Shares::new(threads);
            let done: Vec<AtomicU64> = (0..TASKS).map(|_| AtomicU64::new(0)).collect();
            (0..threads).for_each(|thread| shares.lay_out(thread, Parity::Even, TASKS));
            std::thread::scope(|scope| {
                for thread in 0..threads {
                    let (shares, done) = (&shares, &done);
                    scope.spawn(move || {
                        while let Some(tasks) = shares.take(thread, Parity::Even) {
                            for task in tasks {
                                done[task as usize].fetch_add(1, Ordering::Relaxed);
                            }
                        }
                    });
                }
            });
            assert!(done.iter().all(|n| n.load(Ordering::Relaxed) == 1));
        }
    }

    /// As steps go: each thread lays out its share of the next launch when it finds no more to do in
    /// this one, while others are still at it, or asleep.
    #[test]
    fn many_launches_in_a_row_each_do_all_of_their_tasks() {
        const LAUNCHES: usize = 400;
        let tasks = |launch: usize| (launch as u64 * 37) % 61;
        for threads in [2, 3, 8] {
            let shares = Shares::new(threads);
            let done: Vec<Vec<AtomicU64>> = (0..LAUNCHES)
                .map(|launch| (0..tasks(launch)).map(|_| AtomicU64::new(0)).collect())
                .collect();
            let barrier = std::sync::Barrier::new(threads);
            // A thread that gave up at a fault would leave the others waiting at the barrier.
            let complete = AtomicBool::new(true);
            let work = |thread: usize| {
                let mut parity = Parity::Even;
                shares.lay_out(thread, parity, tasks(0));
                for launch in 0..LAUNCHES {
                    barrier.wait();
                    let missing = |done: &AtomicU64| done.load(Ordering::Acquire) != 1;
                    let before = launch.checked_sub(1).map(|before| done[before].iter());
                    if before.into_iter().flatten().any(missing) {
                        complete.store(false, Ordering::Relaxed);
                    }
                    let asleep = |piece: usize| (launch + piece) % (3 * threads) == thread;
                    for piece in 0.. {
                        if asleep(piece) {
                            std::thread::sleep(std::time::Duration::from_micros(50));
                        }
                        let Some(taken) = shares.take(thread, parity) else {
                            break;
                        };
                        for task in taken {
                            done[launch][task as usize].fetch_add(1, Ordering::AcqRel);
                        }
                    }
                    parity = parity.other();
                    let following = if launch + 1 < LAUNCHES {
                        tasks(launch + 1)
                    } else {
                        0
                    };
                    shares.lay_out(thread, parity, following);
                }
            };
            std::thread::scope(|scope| {
                for thread in 0..threads {
                    let work = &work;
                    scope.spawn(move || work(thread));
                }
            });
            assert!(
                complete.into_inner(),
                "a launch began before the one before it was done"
            );
            let all = done.iter().flatten();
            assert!(all.into_iter().all(|n| n.load(Ordering::Acquire) == 1));
        }
    }
}
