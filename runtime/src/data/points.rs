//! Points without meaning, uniform in 0..1: what generated data are made of. What they
//! stand for is said in the model.

use super::counts::Counts;
use super::{Affine, Call, Column, Dataset, Field, Provenance, Split, Values};
use crate::error::Result;
use crate::rng::{Random, Stream};
use std::sync::Arc;

/// `u`.
pub(super) fn fields(source: &Call) -> Result<Vec<Field>> {
    counts(source)?;
    Ok(vec![Field::numbers("u", &[features(source)?])])
}

fn features(source: &Call) -> Result<usize> {
    Ok(source.int("features", 2, 1, 1 << 20)? as usize)
}

fn counts(source: &Call) -> Result<Counts> {
    Counts::of_samples(source, 1000, features(source)?)
}

/// Draws everything from the source's own seed.
pub(super) fn load(source: &Call) -> Result<Dataset> {
    let features = features(source)?;
    let Counts { train, test, seed } = counts(source)?;
    let mut random = Random::new(seed, Stream::Data, 0);
    let mut draw = |samples: usize| -> Result<Split> {
        let values: Vec<f32> = (0..samples * features).map(|_| random.uniform()).collect();
        let values = Values::Floats(Arc::new(values), Affine::identity());
        let columns = fields(source)?.into_iter();
        Ok(Split::new(
            columns
                .map(|field| Column {
                    field,
                    values: values.clone(),
                })
                .collect(),
        ))
    };
    Ok(Dataset {
        train: draw(train)?,
        valid: None,
        test: draw(test)?,
        shuffle: true,
        provenance: Provenance::Generated(format!("{train} + {test} random points")),
    })
}
