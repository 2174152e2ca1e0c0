//! Random sequences of tokens, for tasks that a model file computes from them itself: to
//! reverse them, to sort them, to add the numbers that their digits are.

use super::counts::Counts;
use super::{Call, Column, Dataset, Field, Provenance, Split, Values};
use crate::error::Result;
use crate::rng::{Random, Stream};
use std::sync::Arc;

/// `tokens`.
pub(super) fn fields(source: &Call) -> Result<Vec<Field>> {
    counts(source)?;
    Ok(vec![Field::classes(
        "tokens",
        &[length(source)?],
        classes(source)?,
    )])
}

fn length(source: &Call) -> Result<usize> {
    Ok(source.int("length", 0, 1, 1 << 16)? as usize)
}

fn classes(source: &Call) -> Result<usize> {
    Ok(source.int("classes", 0, 1, 1 << 20)? as usize)
}

fn counts(source: &Call) -> Result<Counts> {
    Counts::of_samples(source, 10_000, length(source)?)
}

/// Draws everything from the source's own seed: each token on its own, all equally likely.
pub(super) fn load(source: &Call) -> Result<Dataset> {
    let (length, classes) = (length(source)?, classes(source)?);
    let Counts { train, test, seed } = counts(source)?;
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
        train: draw(train)?,
        valid: None,
        test: draw(test)?,
        shuffle: true,
        provenance: Provenance::Generated(format!(
            "{train} + {test} random sequences of {length} of {classes} tokens"
        )),
    })
}
