//! Regression data: `y = w x + b + noise` for random `w` and `b`.

use super::counts::Counts;
use super::{Affine, Call, Column, Dataset, Field, Provenance, Split, Values};
use crate::error::Result;
use crate::rng::{Random, Stream};
use std::sync::Arc;

/// `x` and `y`.
pub(super) fn fields(source: &Call) -> Result<Vec<Field>> {
    counts(source)?;
    noise(source)?;
    Ok(vec![
        Field::numbers("x", &[features(source)?]),
        Field::numbers("y", &[]),
    ])
}

fn features(source: &Call) -> Result<usize> {
    Ok(source.int("features", 1, 1, 1 << 20)? as usize)
}

fn noise(source: &Call) -> Result<f32> {
    Ok(source.float("noise", 0.1)? as f32)
}

fn counts(source: &Call) -> Result<Counts> {
    Counts::of_samples(source, 1000, features(source)?)
}

/// Draws everything from the source's own seed.
pub(super) fn load(source: &Call) -> Result<Dataset> {
    let features = features(source)?;
    let noise = noise(source)?;
    let Counts { train, test, seed } = counts(source)?;

    let mut random = Random::new(seed, Stream::Data, 0);
    let weights: Vec<f32> = (0..features).map(|_| random.normal()).collect();
    let bias = random.normal();
    let mut draw = |samples: usize| {
        let (mut xs, mut ys) = (Vec::new(), Vec::new());
        for _ in 0..samples {
            let start = xs.len();
            xs.extend((0..features).map(|_| random.normal()));
            let product: f32 = xs[start..].iter().zip(&weights).map(|(x, w)| x * w).sum();
            ys.push(product + bias + noise * random.normal());
        }
        let values = [xs, ys].map(|v| Values::Floats(Arc::new(v), Affine::identity()));
        let columns = fields(source)?.into_iter().zip(values);
        Ok(Split::new(
            columns
                .map(|(field, values)| Column { field, values })
                .collect(),
        ))
    };
    Ok(Dataset {
        train: draw(train)?,
        valid: None,
        test: draw(test)?,
        shuffle: true,
        provenance: Provenance::Generated(format!(
            "{train} + {test} generated samples of a linear function"
        )),
    })
}
