//! Threads that stay together for many steps. Entering rayon costs tens of
//! microseconds, a small network's step little more; so a crew enters once, and
//! from then on its threads meet at barriers that cost tens of nanoseconds.

use crate::error::{Error, Result};
use crate::shares::{Parity, Shares};
use std::any::Any;
use std::hint;
use std::ops::Range;
use std::panic::{self, AssertUnwindSafe};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError, RwLock, RwLockWriteGuard};
use std::thread;

/// The threads of a run.
#[derive(Debug)]
pub struct Pool {
    rayon: rayon::ThreadPool,
    threads: usize,
}

impl Pool {
    /// A pool of so many threads; 0 means one per processor.
    pub fn new(threads: usize) -> Result<Pool> {
        let threads = match threads {
            0 => thread::available_parallelism().map_or(1, usize::from),
            n => n,
        };
        if threads > MAX_THREADS {
            return Err(Error::Program(format!(
                "{threads} threads are more than the {MAX_THREADS} that are sensible"
            )));
        }
        let rayon = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .thread_name(|i| format!("nnc-{i}"))
            .build()
            .map_err(|e| Error::Program(format!("cannot start {threads} threads: {e}")))?;
        Ok(Pool { rayon, threads })
    }

    /// How many threads.
    pub fn threads(&self) -> usize {
        self.threads
    }

    /// Gathers all threads, lets one of them run `lead`, and the others do whatever
    /// it calls for with [`Crew::each`]. A panic of any of them comes out here.
    /// Not to be called by a thread of this pool: it would wait for itself.
    pub fn enter<R: Send>(&self, lead: impl FnOnce(&Crew) -> R + Send) -> R {
        let crew = Crew::new(self.threads);
        let lead = Mutex::new(Some(lead));
        let results = self.rayon.broadcast(|context| {
            let lead = match context.index() {
                0 => lock(&lead).take(),
                _ => None,
            };
            match lead {
                Some(lead) => {
                    let _dismiss = Dismissal(&crew);
                    Some(lead(&crew))
                }
                None => {
                    crew.follow(context.index());
                    None
                }
            }
        });
        match results.into_iter().flatten().next() {
            Some(result) => result,
            None => unreachable!("thread 0 leads"),
        }
    }
}

/// More than this is a slip of the keyboard.
const MAX_THREADS: usize = 1024;

/// One thread's view of a job that all threads do together.
#[derive(Clone, Copy, Debug)]
pub struct Worker<'crew> {
    index: usize,
    crew: &'crew Crew,
}

impl Worker<'_> {
    /// Which thread, from 0.
    pub fn index(self) -> usize {
        self.index
    }

    /// This thread's contiguous part of `0..tasks`; sizes differ by one at most.
    pub fn share(self, tasks: u64) -> Range<u64> {
        self.crew.shares.own(self.index, tasks)
    }

    /// Lays out this thread's share of a launch that all do after their next meeting.
    pub fn lay_out(self, parity: Parity, tasks: u64) {
        self.crew.shares.lay_out(self.index, parity, tasks);
    }

    /// The next tasks for this thread of a launch that all have laid out; none are left when
    /// it has no more.
    pub fn take(self, parity: Parity) -> Option<Range<u64>> {
        self.crew.shares.take(self.index, parity)
    }

    /// Waits until all threads are here; what they wrote before, all see after.
    pub fn meet(self) {
        self.crew.barrier.wait();
    }
}

type Job<'a> = &'a (dyn Fn(Worker<'_>) + Sync + 'a);

/// Threads that are inside of [`Pool::enter`].
pub struct Crew {
    threads: usize,
    barrier: Barrier,
    shares: Shares,
    /// Counts jobs; a new value tells the followers to run `job`.
    call: Padded<AtomicUsize>,
    job: RwLock<Option<Job<'static>>>,
    /// No more jobs will come.
    dismissed: AtomicBool,
    asleep: Mutex<()>,
    wake: Condvar,
    sleepers: AtomicUsize,
    panic: Mutex<Option<Box<dyn Any + Send>>>,
}

impl std::fmt::Debug for Crew {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Crew of {}", self.threads)
    }
}

impl Crew {
    fn new(threads: usize) -> Crew {
        Crew {
            threads,
            barrier: Barrier::new(threads),
            shares: Shares::new(threads),
            call: Padded(AtomicUsize::new(0)),
            job: RwLock::new(None),
            dismissed: AtomicBool::new(false),
            asleep: Mutex::new(()),
            wake: Condvar::new(),
            sleepers: AtomicUsize::new(0),
            panic: Mutex::new(None),
        }
    }

    /// Lays out all threads' shares of the first launch of the next job.
    pub fn lay_out(&self, parity: Parity, tasks: u64) {
        for thread in 0..self.threads {
            self.shares.lay_out(thread, parity, tasks);
        }
    }

    /// Runs `job` on every thread and returns when all are done. Only the leader
    /// calls this, never from within a job.
    pub fn each(&self, job: &(dyn Fn(Worker<'_>) + Sync)) {
        if self.threads > 1 {
            // SAFETY: only the lifetime changes. Followers use the job between the
            // call below and the last meeting in `perform`, and this function returns
            // (or unwinds) after that meeting, while `job` is still borrowed.
            let job = unsafe { std::mem::transmute::<Job<'_>, Job<'static>>(job) };
            *write(&self.job) = Some(job);
            self.call.0.fetch_add(1, Ordering::SeqCst);
            self.rouse();
        }
        self.perform(job, 0);
        *write(&self.job) = None;
        let panicked = lock(&self.panic).take();
        if let Some(payload) = panicked {
            panic::resume_unwind(payload);
        }
    }

    /// A follower's life: wait for a job, do it, until dismissed.
    fn follow(&self, index: usize) {
        let mut seen = 0;
        loop {
            self.await_call(seen);
            if self.dismissed.load(Ordering::SeqCst) {
                return;
            }
            seen += 1;
            let job = *self.job.read().unwrap_or_else(PoisonError::into_inner);
            let Some(job) = job else {
                unreachable!("a call comes with a job");
            };
            self.perform(job, index);
        }
    }

    /// Does one's part, keeps a panic for the leader, and waits for the others.
    fn perform(&self, job: Job<'_>, index: usize) {
        let worker = Worker { index, crew: self };
        if let Err(payload) = panic::catch_unwind(AssertUnwindSafe(|| job(worker))) {
            self.barrier.break_up();
            // Those who were torn from a broken meeting have nothing to tell.
            if !payload.is::<BrokenMeeting>() {
                lock(&self.panic).get_or_insert(payload);
            }
        }
        self.barrier.wait_for_end();
    }

    fn await_call(&self, seen: usize) {
        let called =
            || self.call.0.load(Ordering::SeqCst) != seen || self.dismissed.load(Ordering::SeqCst);
        if wait_briefly(self.barrier.spins, &called) {
            return;
        }
        let mut asleep = lock(&self.asleep);
        self.sleepers.fetch_add(1, Ordering::SeqCst);
        while !called() {
            asleep = self
                .wake
                .wait(asleep)
                .unwrap_or_else(PoisonError::into_inner);
        }
        self.sleepers.fetch_sub(1, Ordering::SeqCst);
    }

    /// Wakes the followers that fell asleep; costs one load when none did.
    fn rouse(&self) {
        if self.sleepers.load(Ordering::SeqCst) > 0 {
            drop(lock(&self.asleep));
            self.wake.notify_all();
        }
    }
}

/// Lets the followers go when the leader is done, also by a panic.
struct Dismissal<'a>(&'a Crew);

impl Drop for Dismissal<'_> {
    fn drop(&mut self) {
        self.0.dismissed.store(true, Ordering::SeqCst);
        self.0.rouse();
    }
}

/// What unwinds a job whose meeting will never be complete.
struct BrokenMeeting;

/// A sense-reversing barrier: the last to arrive turns the round, the others watch it.
#[derive(Debug)]
struct Barrier {
    threads: usize,
    spins: u32,
    arrived: Padded<AtomicUsize>,
    round: Padded<AtomicUsize>,
    /// Somebody panicked: `wait` unwinds until all have met in `wait_for_end`.
    broken: AtomicBool,
    /// Like `arrived` and `round`, for the end of a job, which a panic does not break.
    ended: Padded<AtomicUsize>,
    end_round: Padded<AtomicUsize>,
}

impl Barrier {
    fn new(threads: usize) -> Barrier {
        let processors = thread::available_parallelism().map_or(1, usize::from);
        Barrier {
            threads,
            // Spinning helps only when the one waited for is running meanwhile.
            spins: if threads <= processors { SPINS } else { 0 },
            arrived: Padded(AtomicUsize::new(0)),
            round: Padded(AtomicUsize::new(0)),
            broken: AtomicBool::new(false),
            ended: Padded(AtomicUsize::new(0)),
            end_round: Padded(AtomicUsize::new(0)),
        }
    }

    fn wait(&self) {
        if self.threads == 1 {
            return;
        }
        let round = self.round.0.load(Ordering::Acquire);
        if self.arrived.0.fetch_add(1, Ordering::AcqRel) + 1 == self.threads {
            self.arrived.0.store(0, Ordering::Relaxed);
            self.round.0.store(round.wrapping_add(1), Ordering::Release);
            return;
        }
        let turned = || self.round.0.load(Ordering::Acquire) != round;
        let broken = || self.broken.load(Ordering::Acquire);
        wait_patiently(self.spins, || turned() || broken());
        if !turned() {
            panic::resume_unwind(Box::new(BrokenMeeting));
        }
    }

    fn break_up(&self) {
        self.broken.store(true, Ordering::Release);
    }

    fn wait_for_end(&self) {
        if self.threads == 1 {
            return;
        }
        let round = self.end_round.0.load(Ordering::Acquire);
        if self.ended.0.fetch_add(1, Ordering::AcqRel) + 1 == self.threads {
            // Everybody is here, nobody in `wait`: the one moment to mend it.
            if self.broken.swap(false, Ordering::AcqRel) {
                self.arrived.0.store(0, Ordering::Relaxed);
            }
            self.ended.0.store(0, Ordering::Relaxed);
            self.end_round
                .0
                .store(round.wrapping_add(1), Ordering::Release);
            return;
        }
        wait_patiently(self.spins, || {
            self.end_round.0.load(Ordering::Acquire) != round
        });
    }
}

/// About two microseconds: longer than the gap between two threads' ends of a kernel.
const SPINS: u32 = 100;
/// How often to offer the processor to others before going to sleep.
const YIELDS: u32 = 200;

/// Waits for the end of something that is under way.
fn wait_patiently(spins: u32, done: impl Fn() -> bool) {
    while !wait_briefly(spins, &done) {}
}

/// Spins, then yields; `false` when it took longer.
fn wait_briefly(spins: u32, done: &impl Fn() -> bool) -> bool {
    for _ in 0..spins {
        if done() {
            return true;
        }
        hint::spin_loop();
    }
    for _ in 0..YIELDS {
        if done() {
            return true;
        }
        thread::yield_now();
    }
    done()
}

/// A cache line of its own (two, as processors fetch them in pairs).
#[derive(Debug)]
#[repr(align(128))]
pub(crate) struct Padded<T>(pub T);

/// Locks; our mutexes guard nothing that a panic leaves half done.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The same for writing.
fn write<T>(lock: &RwLock<T>) -> RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::sync::atomic::AtomicU64;

    /// Also more threads than this machine has processors.
    const COUNTS: [usize; 5] = [1, 2, 3, 8, 17];

    #[test]
    fn every_task_is_done_once() {
        for threads in COUNTS {
            for tasks in [0_u64, 1, 2, 7, 1000] {
                let done: Vec<AtomicU64> = (0..tasks).map(|_| AtomicU64::new(0)).collect();
                Pool::new(threads).unwrap().enter(|crew| {
                    crew.each(&|worker| {
                        for task in worker.share(tasks) {
                            done[task as usize].fetch_add(1, Ordering::Relaxed);
                        }
                    });
                });
                assert!(done.iter().all(|n| n.load(Ordering::Relaxed) == 1));
            }
        }
    }

    #[test]
    fn a_meeting_separates_what_is_before_from_what_is_after() {
        for threads in COUNTS {
            let turns: Vec<AtomicU64> = (0..threads).map(|_| AtomicU64::new(0)).collect();
            Pool::new(threads).unwrap().enter(|crew| {
                for _ in 0..3 {
                    crew.each(&|worker| {
                        for turn in 0..200 {
                            let mine = &turns[worker.index()];
                            mine.fetch_add(1, Ordering::Relaxed);
                            worker.meet();
                            let next = &turns[(worker.index() + 1) % threads];
                            assert_eq!(next.load(Ordering::Relaxed) % 200, (turn + 1) % 200);
                            worker.meet();
                        }
                    });
                }
            });
            assert!(turns.iter().all(|n| n.load(Ordering::Relaxed) == 600));
        }
    }

    #[test]
    fn followers_that_sleep_are_woken() {
        let pool = Pool::new(2).unwrap();
        let count = AtomicU64::new(0);
        pool.enter(|crew| {
            for _ in 0..3 {
                thread::sleep(std::time::Duration::from_millis(20));
                crew.each(&|_| {
                    count.fetch_add(1, Ordering::Relaxed);
                });
            }
        });
        assert_eq!(count.into_inner(), 6);
    }

    #[test]
    fn a_panic_comes_out_and_the_crew_works_on() {
        for threads in COUNTS {
            let pool = Pool::new(threads).unwrap();
            let culprit = threads - 1;
            let message = pool.enter(|crew| {
                let caught = panic::catch_unwind(AssertUnwindSafe(|| {
                    crew.each(&|worker| {
                        worker.meet();
                        assert!(worker.index() != culprit, "kernel {culprit} fails");
                        worker.meet();
                    });
                }));
                let count = AtomicU64::new(0);
                crew.each(&|worker| {
                    worker.meet();
                    count.fetch_add(1, Ordering::Relaxed);
                });
                assert_eq!(count.into_inner(), threads as u64);
                *caught.unwrap_err().downcast::<String>().unwrap()
            });
            assert_eq!(message, format!("kernel {culprit} fails"));
        }
    }

    #[test]
    fn a_panic_of_the_leader_lets_the_followers_go() {
        let pool = Pool::new(3).unwrap();
        let caught = panic::catch_unwind(AssertUnwindSafe(|| {
            pool.enter(|_| panic!("the leader fails"));
        }));
        assert!(caught.is_err());
        assert_eq!(pool.enter(|_| 7), 7);
    }

    #[test]
    fn an_absurd_number_of_threads_is_refused() {
        assert!(Pool::new(1_000_000).is_err());
    }
}
