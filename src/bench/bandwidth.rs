//! What memory can do at most, by how much of it is used: a roofline's other limit.

use std::time::{Duration, Instant};

/// Working sets that are measured, in bytes of all threads together: from the nearest
/// caches to memory.
const SIZES: [usize; 8] = [
    64 << 10,
    256 << 10,
    1 << 20,
    4 << 20,
    16 << 20,
    64 << 20,
    128 << 20,
    256 << 20,
];
/// Long enough that starting the threads does not count.
const ROUND: Duration = Duration::from_millis(4);
/// The best of them counts.
const ROUNDS: usize = 5;

/// Bytes per second, read and written, for working sets of some sizes.
#[derive(Clone, Debug)]
pub struct Bandwidth {
    points: Vec<(usize, f64)>,
}

impl Bandwidth {
    /// Copies on the threads of the global pool, each its own part, over and over.
    pub fn measure() -> Bandwidth {
        let points = SIZES.map(|bytes| (bytes, copying(bytes)));
        Bandwidth {
            points: points.to_vec(),
        }
    }

    /// For a working set of so many bytes: that of the nearest size measured which is
    /// no smaller.
    pub fn of(&self, bytes: u64) -> f64 {
        let fits = |point: &&(usize, f64)| point.0 as u64 >= bytes;
        let point = self.points.iter().find(fits).or(self.points.last());
        point.map_or(f64::INFINITY, |&(_, rate)| rate)
    }

    /// Made up, for tests.
    #[cfg(test)]
    pub fn flat(rate: f64) -> Bandwidth {
        Bandwidth {
            points: vec![(1, rate)],
        }
    }
}

fn copying(bytes: usize) -> f64 {
    let threads = rayon::current_num_threads();
    let part = bytes / 2 / threads / size_of::<f32>();
    let time = |times: usize| {
        let slowest = rayon::broadcast(|_| {
            let from = vec![1.0_f32; part];
            let mut to = vec![0.0_f32; part];
            to.copy_from_slice(&from);
            let clock = Instant::now();
            for _ in 0..times {
                to.copy_from_slice(std::hint::black_box(&from));
                std::hint::black_box(&mut to);
            }
            clock.elapsed()
        });
        slowest.into_iter().max().unwrap_or_default()
    };
    let mut times = 1;
    while time(times) < ROUND {
        times *= 2;
    }
    let moved = (2 * part * size_of::<f32>() * threads * times) as f64;
    let rates = (0..ROUNDS).map(|_| moved / time(times).as_secs_f64());
    rates.fold(0.0, f64::max)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_working_set_has_the_rate_of_the_next_size() {
        let bandwidth = Bandwidth {
            points: vec![(100, 9.0), (1000, 3.0)],
        };
        assert_eq!(bandwidth.of(1), 9.0);
        assert_eq!(bandwidth.of(100), 9.0);
        assert_eq!(bandwidth.of(101), 3.0);
        assert_eq!(bandwidth.of(5000), 3.0);
    }
}
