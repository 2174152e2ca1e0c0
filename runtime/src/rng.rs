//! Randomness outside the compiled code: a function of the run's seed and a
//! counter, never of time, order or threads.

/// Which use of the run's seed: each draws numbers of its own.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stream {
    /// Initial values.
    Init,
    /// Training steps (dropout and the like), counted by step.
    Train,
    /// Evaluation steps.
    Eval,
    /// Prediction.
    Predict,
    /// The order of an epoch's samples, counted by epoch.
    Shuffle,
    /// Which samples become the validation split.
    Split,
    /// Generated data, counted by sample.
    Data,
    /// Changes of training samples, counted by epoch and sample.
    Augment,
    /// Episodes that are learnt from, counted by episode.
    Play,
    /// Episodes of the test, counted by episode.
    PlayTest,
    /// What a policy draws, counted by round.
    Policy,
    /// What of a memory a training step sees, counted by step.
    Replay,
}

/// The seed input of a step: 32 bits mixed from the run's seed, the use and a counter.
pub fn step_seed(seed: u64, stream: Stream, counter: u64) -> i32 {
    (key(seed, stream, counter) >> 32) as i32
}

/// A random order of `0..count`, by `seed`, `stream` and `counter` (an epoch).
pub fn permutation(seed: u64, stream: Stream, counter: u64, count: u32) -> Vec<u32> {
    let mut random = Random::new(seed, stream, counter);
    let mut order: Vec<u32> = (0..count).collect();
    for i in (1..order.len()).rev() {
        order.swap(i, random.below(i as u32 + 1) as usize);
    }
    order
}

/// A sequence of random numbers that starts anywhere at no cost.
#[derive(Clone, Debug)]
pub struct Random {
    state: u64,
}

impl Random {
    /// The sequence of one use of the seed.
    pub fn new(seed: u64, stream: Stream, counter: u64) -> Random {
        Random {
            state: key(seed, stream, counter),
        }
    }

    /// Where in the sequence it is, to be saved and restored.
    pub fn state_mut(&mut self) -> &mut u64 {
        &mut self.state
    }

    /// 64 random bits (SplitMix64: Steele, Lea and Flood 2014).
    pub fn bits(&mut self) -> u64 {
        self.state = self.state.wrapping_add(GOLDEN);
        scramble(self.state)
    }

    /// Uniform in `0..bound`, without bias (Lemire 2019).
    pub fn below(&mut self, bound: u32) -> u32 {
        loop {
            let product = (self.bits() >> 32) * u64::from(bound);
            let low = product as u32;
            if low >= bound || low >= bound.wrapping_neg() % bound {
                return (product >> 32) as u32;
            }
        }
    }

    /// Uniform in [0, 1), a multiple of 2^-24.
    pub fn uniform(&mut self) -> f32 {
        (self.bits() >> 40) as f32 / (1 << 24) as f32
    }

    /// Uniform between two bounds.
    pub fn between(&mut self, low: f32, high: f32) -> f32 {
        low + (high - low) * self.uniform()
    }

    /// Normal with mean 0 and deviation 1 (Box and Muller).
    pub fn normal(&mut self) -> f32 {
        let radius = (-2.0 * (1.0 - self.uniform()).ln()).sqrt();
        radius * (std::f32::consts::TAU * self.uniform()).cos()
    }
}

/// 2^64 divided by the golden ratio: steps that never line up.
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

fn key(seed: u64, stream: Stream, counter: u64) -> u64 {
    let mixed = scramble(seed ^ GOLDEN.wrapping_mul(stream as u64 + 1));
    scramble(mixed ^ scramble(counter.wrapping_add(GOLDEN)))
}

/// A bijection of 64 bits in which every input bit moves every output bit.
fn scramble(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn a_permutation_is_one() {
        for count in [0, 1, 2, 3, 1000] {
            let order = permutation(7, Stream::Shuffle, 3, count);
            let values: BTreeSet<u32> = order.iter().copied().collect();
            assert_eq!(values.len(), count as usize);
            assert!(values.last().is_none_or(|&last| last + 1 == count));
        }
    }

    #[test]
    fn orders_differ_by_seed_and_epoch_and_by_nothing_else() {
        let order = permutation(1, Stream::Shuffle, 1, 100);
        assert_eq!(order, permutation(1, Stream::Shuffle, 1, 100));
        assert_ne!(order, permutation(1, Stream::Shuffle, 2, 100));
        assert_ne!(order, permutation(2, Stream::Shuffle, 1, 100));
        assert_ne!(order, permutation(1, Stream::Split, 1, 100));
    }

    #[test]
    fn every_order_is_about_as_likely() {
        let mut counts = [0_u32; 6];
        for epoch in 0..6000 {
            let order = permutation(5, Stream::Shuffle, epoch, 3);
            counts[(order[0] * 2 + u32::from(order[1] > order[2])) as usize] += 1;
        }
        assert!(
            counts.iter().all(|&n| (850..1150).contains(&n)),
            "{counts:?}"
        );
    }

    #[test]
    fn step_seeds_do_not_collide_where_it_would_show() {
        let seeds: BTreeSet<i32> = (0..10_000)
            .map(|step| step_seed(42, Stream::Train, step))
            .collect();
        // 10,000 of 2^32: 0.01 collisions are expected.
        assert!(seeds.len() >= 9_999);
        assert_ne!(
            step_seed(42, Stream::Train, 1),
            step_seed(42, Stream::Eval, 1)
        );
        assert_ne!(
            step_seed(42, Stream::Train, 1),
            step_seed(43, Stream::Train, 1)
        );
    }

    #[test]
    fn moments_are_right() {
        let mut random = Random::new(1, Stream::Data, 0);
        let n = 100_000;
        let values: Vec<f64> = (0..n).map(|_| f64::from(random.normal())).collect();
        let mean = values.iter().sum::<f64>() / f64::from(n);
        let variance = values.iter().map(|v| v * v).sum::<f64>() / f64::from(n);
        assert!(mean.abs() < 0.02 && (variance - 1.0).abs() < 0.02);
        assert!((0..1000).all(|_| (0.0..1.0).contains(&random.uniform())));
    }
}
