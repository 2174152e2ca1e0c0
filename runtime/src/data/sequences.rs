//! Random sequences of tokens, for tasks that a model file computes from them itself: to
//! reverse them, to sort them, to add the numbers that their digits are.

use super::{Call, Column, Dataset, Field, Provenance, Split, Values};
use crate::error::Result;
use crate::rng::{Random, Stream};
use std::sync::Arc;

/// Keeps the whole set well below what any machine holds.
const MOST_VALUES: i64 = 1 << 28;

/// `tokens`.
pub(super) fn fields(source: &Call) -> Result<Vec<Field>> {
    Ok(vec![Field {
        name: "tokens".into(),
        shape: vec![length(source)?],
        classes: Some(classes(source)?),
    }])
}

fn length(source: &Call) -> Result<usize> {
    Ok(source.int("length", 0, 1, 1 << 16)? as usize)
}

fn classes(source: &Call) -> Result<usize> {
    Ok(source.int("classes", 0, 1, 1 << 20)? as usize)
}

/// Draws everything from the source's own seed: each token on its own, all equally likely.
pub(super) fn load(source: &Call) -> Result<Dataset> {
    let (length, classes) = (length(source)?, classes(source)?);
    let samples = source.int("samples", 10_000, 1, MOST_VALUES / length as i64)? as usize;
    let test = samples.div_ceil(4);
    let seed = source.int("seed", 0, 0, i64::MAX)? as u64;
    let mut random = Random::new(seed, Stream::Data, 0);
    let mut draw = |samples: usize| -> Result<Split> {
        let tokens: Vec<i32> = (0..samples * length)
            .map(|_| random.below(classes as u32) as i32)
            .collect();
        let values = Values::Classes(Arc::new(tokens));
        let columns = fields(source)?.into_iter().map(|field| Column {
            field,
            values: values.clone(),
        });
        Ok(Split::new(columns.collect()))
    };
    Ok(Dataset {
        train: draw(samples)?,
        valid: None,
        test: draw(test)?,
        shuffle: true,
        provenance: Provenance::Generated(format!(
            "{samples} + {test} random sequences of {length} of {classes} tokens"
        )),
    })
}
