//! Regression data: `y = w x + b + noise` for random `w` and `b`.

use super::{Affine, Call, Column, Dataset, Field, Provenance, Split, Values};
use crate::error::Result;
use crate::rng::{Random, Stream};
use std::sync::Arc;

/// Keeps the whole set well below what any machine holds.
const MOST_VALUES: i64 = 1 << 28;

/// `x` and `y`.
pub(super) fn fields(source: &Call) -> Result<Vec<Field>> {
    Ok(vec![
        Field {
            name: "x".into(),
            shape: vec![features(source)?],
            classes: None,
        },
        Field {
            name: "y".into(),
            shape: vec![],
            classes: None,
        },
    ])
}

fn features(source: &Call) -> Result<usize> {
    Ok(source.int("features", 1, 1, 1 << 20)? as usize)
}

/// Draws everything from the source's own seed.
pub(super) fn load(source: &Call) -> Result<Dataset> {
    let features = features(source)?;
    let noise = source.float("noise", 0.1)? as f32;
    let samples = source.int("samples", 1000, 1, MOST_VALUES / features as i64)? as usize;
    let seed = source.int("seed", 0, 0, i64::MAX)? as u64;

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
        train: draw(samples)?,
        valid: None,
        test: draw(samples.div_ceil(4))?,
        shuffle: true,
        provenance: Provenance::Generated(format!(
            "{samples} + {} generated samples of a linear function",
            samples.div_ceil(4)
        )),
    })
}
