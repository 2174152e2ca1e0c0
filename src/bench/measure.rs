//! Times of single steps, one after the other, the threads standing ready.

use std::time::{Duration, Instant};

/// Steps before the first measured one of all.
const WARM_UP: usize = 3;
/// Steps before the first measured one of each later round: what was done in between has
/// taken their place in the nearest caches.
const WARM_AGAIN: usize = 1;
/// Endless training on a few batches ends in gradients so small that the processor
/// takes its slow path for them; so every round starts afresh.
const ROUND: usize = 200;
/// A round ends after this time too: before and after each the machine's limit is measured,
/// and the machine is the same for so long at least, most of the time.
const ROUND_TIME: Duration = Duration::from_millis(60);
/// Measured in any case, however long they take.
const LEAST: usize = 5;

/// What came of measuring a step many times.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Times {
    /// Half of the steps took no longer.
    pub median: Duration,
    /// Of the fastest one.
    pub least: Duration,
    /// How many were measured.
    pub steps: usize,
    /// FLOP that the machine could have done in the time of a step: of each round, its
    /// median step at the better of the limits found before and after it; of all rounds,
    /// the median.
    pub possible: f64,
}

/// Measures for about as long as `budget`, in rounds: `round` makes a fresh start and
/// then calls what it is given, which wants a function that makes one step. `limit` is the
/// machine's limit at the moment when it is called, in FLOP per second.
pub fn steady<E>(
    budget: Duration,
    mut limit: impl FnMut() -> f64,
    mut round: impl FnMut(&mut (dyn FnMut(&mut dyn FnMut(usize)) + Send)) -> Result<(), E>,
) -> Result<Times, E> {
    let mut times: Vec<Duration> = Vec::new();
    let mut possible = Vec::new();
    let clock = Instant::now();
    let mut before = limit();
    while times.len() < LEAST || clock.elapsed() < budget {
        let first = times.len();
        let warm_up = if first == 0 { WARM_UP } else { WARM_AGAIN };
        round(&mut |step| {
            (0..warm_up).for_each(&mut *step);
            let round = Instant::now();
            for number in 0..ROUND {
                let step_clock = Instant::now();
                step(warm_up + number);
                times.push(step_clock.elapsed());
                if round.elapsed() >= ROUND_TIME || clock.elapsed() >= budget {
                    break;
                }
            }
        })?;
        let after = limit();
        let mut of_round = times[first..].to_vec();
        of_round.sort_unstable();
        possible.push(median(&of_round).as_secs_f64() * before.max(after));
        before = after;
    }
    times.sort_unstable();
    possible.sort_unstable_by(f64::total_cmp);
    Ok(Times {
        median: median(&times),
        least: times[0],
        steps: times.len(),
        possible: median(&possible),
    })
}

/// Of sorted values, at least one.
fn median<T: Copy>(sorted: &[T]) -> T {
    sorted[sorted.len() / 2]
}

impl Times {
    /// Before anything is measured.
    #[allow(dead_code, reason = "benches measure once")]
    pub fn none() -> Times {
        Times {
            median: Duration::MAX,
            least: Duration::MAX,
            steps: 0,
            possible: f64::INFINITY,
        }
    }

    /// Of two measurements of the same, that which was disturbed less.
    #[allow(dead_code, reason = "benches measure once")]
    pub fn better(self, other: Times) -> Times {
        Times {
            median: self.median.min(other.median),
            least: self.least.min(other.least),
            steps: self.steps + other.steps,
            possible: self.possible.min(other.possible),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn some_steps_are_measured_whatever_the_budget() {
        let mut steps = 0;
        let times = steady(
            Duration::ZERO,
            || 1.0,
            |round| {
                round(&mut |_| steps += 1);
                Ok::<(), ()>(())
            },
        );
        assert_eq!(times.map(|times| times.steps), Ok(LEAST));
        assert_eq!(steps, WARM_UP + WARM_AGAIN * (LEAST - 1) + LEAST);
    }

    #[test]
    fn a_machine_that_slows_down_changes_the_times_but_not_the_ratio() {
        let speed = std::cell::Cell::new(1e9);
        let budget = Duration::from_millis(400);
        let clock = Instant::now();
        let slow_down = || {
            if clock.elapsed() > budget / 8 {
                speed.set(0.5e9);
            }
            speed.get()
        };
        let times = steady(budget, slow_down, |round| {
            let step = Duration::from_secs_f64(2e6 / speed.get());
            round(&mut |_| std::thread::sleep(step));
            Ok::<(), ()>(())
        });
        let Ok(times) = times else {
            panic!("no step fails");
        };
        assert!(times.median > Duration::from_millis(3), "{times:?}");
        assert!((1.9e6..3e6).contains(&times.possible), "{times:?}");
    }
}
