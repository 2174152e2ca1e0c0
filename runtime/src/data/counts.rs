//! How many samples of generated data a model asks for, and which: what every such source
//! takes, with the same bounds and the same words about them.

use super::Call;
use crate::error::Result;

/// Numbers of a whole split; keeps it well below what any machine holds.
const MOST_VALUES: i64 = 1 << 28;

/// Samples to be generated.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Counts {
    pub train: usize,
    pub test: usize,
    /// Another seed, other samples.
    pub seed: u64,
}

impl Counts {
    /// `train`, `test` and `seed`, of samples of so many values.
    pub fn of(source: &Call, [train, test]: [i64; 2], values: usize) -> Result<Counts> {
        let most = MOST_VALUES / values as i64;
        Ok(Counts {
            train: source.int("train", train, 1, most)? as usize,
            test: source.int("test", test, 1, most)? as usize,
            seed: seed(source)?,
        })
    }

    /// `samples` and `seed`; there are a quarter as many for the test.
    pub fn of_samples(source: &Call, samples: i64, values: usize) -> Result<Counts> {
        let most = MOST_VALUES / values as i64;
        let train = source.int("samples", samples, 1, most)? as usize;
        Ok(Counts {
            train,
            test: train.div_ceil(4),
            seed: seed(source)?,
        })
    }
}

fn seed(source: &Call) -> Result<u64> {
    Ok(source.int("seed", 0, 0, i64::MAX)? as u64)
}
