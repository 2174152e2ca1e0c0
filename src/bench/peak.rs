//! The machine's arithmetic limit: fused multiply-adds on all threads at once.

use nnc_compiler::peak::Peak;
use nnc_compiler::target::Target;
use std::time::{Duration, Instant};

/// Long enough that starting the threads does not count.
const ROUND: Duration = Duration::from_millis(10);
/// The best of them counts: a limit is what nothing else disturbs.
const ROUNDS: usize = 12;

/// FLOP per second on the threads of the global pool.
pub fn peak(target: &Target) -> f64 {
    let peak = Peak::new(target);
    let threads = rayon::current_num_threads() as f64;
    let mut tasks = 1;
    while time(&peak, tasks) < ROUND {
        tasks *= 2;
    }
    let flop = tasks as f64 * peak.flop_per_task as f64 * threads;
    let rates = (0..ROUNDS).map(|_| flop / time(&peak, tasks).as_secs_f64());
    rates.fold(0.0, f64::max)
}

fn time(peak: &Peak, tasks: u64) -> Duration {
    let clock = Instant::now();
    rayon::broadcast(|_| peak.run(tasks));
    clock.elapsed()
}
