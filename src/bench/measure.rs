//! Times of single steps, one after the other, the threads standing ready.

use std::time::{Duration, Instant};

/// Steps before the first measured one of a round.
const WARM_UP: usize = 3;
/// Endless training on a few batches ends in gradients so small that the processor
/// takes its slow path for them; so every round starts afresh.
const ROUND: usize = 200;
/// Measured in any case, however long they take.
const LEAST: usize = 5;

/// What came of measuring a step many times.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Times {
    /// Half of the steps took no longer.
    pub median: Duration,
    /// Of the fastest one.
    pub least: Duration,
    /// How many were measured.
    pub steps: usize,
}

/// Measures for about as long as `budget`, in rounds: `round` makes a fresh start and
/// then calls what it is given, which wants a function that makes one step.
pub fn steady<E>(
    budget: Duration,
    mut round: impl FnMut(&mut (dyn FnMut(&mut dyn FnMut(usize)) + Send)) -> Result<(), E>,
) -> Result<Times, E> {
    let mut times = Vec::new();
    let clock = Instant::now();
    while times.len() < LEAST || clock.elapsed() < budget {
        round(&mut |step| {
            (0..WARM_UP).for_each(&mut *step);
            for number in 0..ROUND {
                let enough = times.len() >= LEAST && clock.elapsed() >= budget;
                if enough {
                    break;
                }
                let clock = Instant::now();
                step(WARM_UP + number);
                times.push(clock.elapsed());
            }
        })?;
    }
    Ok(Times::of(times))
}

impl Times {
    /// Before anything is measured.
    #[allow(dead_code, reason = "benches measure once")]
    pub fn none() -> Times {
        Times {
            median: Duration::MAX,
            least: Duration::MAX,
            steps: 0,
        }
    }

    /// Of two measurements of the same, that which was disturbed less.
    #[allow(dead_code, reason = "benches measure once")]
    pub fn better(self, other: Times) -> Times {
        Times {
            median: self.median.min(other.median),
            least: self.least.min(other.least),
            steps: self.steps + other.steps,
        }
    }

    fn of(mut times: Vec<Duration>) -> Times {
        times.sort_unstable();
        Times {
            median: times[times.len() / 2],
            least: times[0],
            steps: times.len(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_stands_in_the_middle() {
        let times = Times::of([5, 1, 9, 3, 7].map(Duration::from_millis).to_vec());
        assert_eq!(times.median, Duration::from_millis(5));
        assert_eq!((times.least, times.steps), (Duration::from_millis(1), 5));
    }

    #[test]
    fn some_steps_are_measured_whatever_the_budget() {
        let mut steps = 0;
        let times = steady(Duration::ZERO, |round| {
            round(&mut |_| steps += 1);
            Ok::<(), ()>(())
        });
        assert_eq!(times.map(|times| times.steps), Ok(LEAST));
        assert_eq!(steps, WARM_UP + LEAST);
    }
}
