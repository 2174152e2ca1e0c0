//! The machine's arithmetic limit: fused multiply-adds on all threads at once.

use nnc_compiler::peak::Peak;
use nnc_compiler::target::Target;
use std::time::{Duration, Instant};

/// Long enough that starting the threads does not count.
const ROUND: Duration = Duration::from_millis(3);
/// The best of them counts: a limit is what nothing else disturbs.
const ROUNDS: usize = 3;

/// Measures the limit, as often as wanted: where other guests of the same processor
/// change its speed from one moment to the next, only the limit of that moment says
/// how near to it a step came.
pub struct Gauge {
    peak: Peak,
    tasks: u64,
    best: f64,
}

impl Gauge {
    /// For the threads of the global pool.
    pub fn new(target: &Target) -> Gauge {
        let mut gauge = Gauge {
            peak: Peak::new(target),
            tasks: 1,
            best: 0.0,
        };
        while gauge.time() < ROUND {
            gauge.tasks *= 2;
        }
        gauge
    }

    /// FLOP per second at this moment.
    pub fn now(&mut self) -> f64 {
        let threads = rayon::current_num_threads() as f64;
        let flop = self.tasks as f64 * self.peak.flop_per_task as f64 * threads;
        let rates = (0..ROUNDS).map(|_| flop / self.time().as_secs_f64());
        let now = rates.fold(0.0, f64::max);
        self.best = self.best.max(now);
        now
    }

    /// The highest rate that was seen so far.
    pub fn best(&self) -> f64 {
        self.best
    }

    fn time(&self) -> Duration {
        let clock = Instant::now();
        rayon::broadcast(|_| self.peak.run(self.tasks));
        clock.elapsed()
    }
}
