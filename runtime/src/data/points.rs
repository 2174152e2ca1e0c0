//! Points without meaning, uniform in 0..1: what generated data are made of. What they
//! stand for is said in the model.

use super::{Affine, Call, Column, Dataset, Field, Provenance, Split, Values};
use crate::error::Result;
use crate::rng::{Random, Stream};
use std::sync::Arc;

/// Keeps the whole set well below what any machine holds.
const MOST_VALUES: i64 = 1 << 28;

/// `u`.
pub(super) fn fields(source: &Call) -> Result<Vec<Field>> {
    Ok(vec![Field {
        name: "u".into(),
        shape: vec![features(source)?],
        classes: None,
    }])
}

fn features(source: &Call) -> Result<usize> {
    Ok(source.int("features", 2, 1, 1 << 20)? as usize)
}

/// Draws everything from the source's own seed.
pub(super) fn load(source: &Call) -> Result<Dataset> {
    let features = features(source)?;
    let samples = source.int("samples", 1000, 1, MOST_VALUES / features as i64)? as usize;
    let test = samples.div_ceil(4);
    let seed = source.int("seed", 0, 0, i64::MAX)? as u64;
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
        train: draw(samples)?,
        valid: None,
        test: draw(test)?,
        shuffle: true,
        provenance: Provenance::Generated(format!("{samples} + {test} random points")),
    })
}
