//! The loader steps: what `|> normalize(...) |> split(...)` does to a data set.

use super::augment::{self, Augment};
use super::{Call, Dataset, Field, Value, Values};
use crate::error::{Error, Result};
use crate::rng::{self, Stream};

/// `value * scale + offset`, one pair for all values of a sample or one per index
/// of its leading axis (an image's channels).
#[derive(Clone, PartialEq, Debug)]
pub struct Affine {
    pairs: Vec<(f32, f32)>,
}

impl Affine {
    /// Leaves floats as they are.
    pub fn identity() -> Affine {
        Affine {
            pairs: vec![(1.0, 0.0)],
        }
    }

    /// Brings bytes to 0..1.
    pub fn unit_bytes() -> Affine {
        Affine {
            pairs: vec![(1.0 / 255.0, 0.0)],
        }
    }

    /// Converts one sample of bytes.
    pub fn bytes(&self, from: &[u8], to: &mut [f32]) {
        self.convert(from, to, f32::from);
    }

    /// Converts one sample of floats.
    pub fn floats(&self, from: &[f32], to: &mut [f32]) {
        self.convert(from, to, |value| value);
    }

    fn convert<T: Copy>(&self, from: &[T], to: &mut [f32], float: impl Fn(T) -> f32) {
        let part = (from.len() / self.pairs.len()).max(1);
        let parts = from.chunks_exact(part).zip(to.chunks_exact_mut(part));
        for ((from, to), &(scale, offset)) in parts.zip(&self.pairs) {
            for (&from, to) in from.iter().zip(to) {
                *to = float(from) * scale + offset;
            }
        }
    }

    /// This, and then `(value - mean) / std`.
    fn normalized(&self, means: &[f64], stds: &[f64]) -> Affine {
        let count = self.pairs.len().max(means.len()).max(stds.len());
        let of = |values: &[f64], i: usize| values[i % values.len()];
        let pairs = (0..count).map(|i| {
            let (scale, offset) = self.pairs[i % self.pairs.len()];
            let (mean, std) = (of(means, i), of(stds, i));
            let offset = (f64::from(offset) - mean) / std;
            ((f64::from(scale) / std) as f32, offset as f32)
        });
        Affine {
            pairs: pairs.collect(),
        }
    }
}

/// What the steps of a pipeline make of raw values of its first field (`start` brings
/// them to what the source delivers); prediction on files needs it too.
pub fn affine(start: Affine, field: &Field, steps: &[Call]) -> Result<Affine> {
    let mut affine = start;
    for step in steps.iter().filter(|step| step.name == "normalize") {
        let (means, stds) = (step.floats("mean")?, step.floats("std")?);
        let leading = field.shape.first().copied().unwrap_or(1);
        for (name, values) in [("mean", &means), ("std", &stds)] {
            if values.len() != 1 && values.len() != leading {
                let (count, field, shape) = (values.len(), &field.name, &field.shape);
                let fault =
                    format!("has {count} numbers, but `{field}` is {shape:?}: give 1 or {leading}");
                return Err(step.wrong(name, fault));
            }
        }
        if stds.contains(&0.0) {
            return Err(step.wrong("std", "must not be 0"));
        }
        affine = affine.normalized(&means, &stds);
    }
    Ok(affine)
}

/// Whether a step's arguments make sense for samples of these fields, as far as that can
/// be told before any data are there.
pub fn check_step(step: &Call, fields: &[Field]) -> Result<()> {
    match step.name.as_str() {
        "normalize" => match fields.first() {
            Some(field) if field.classes.is_some() => Err(of_classes(step, field)),
            Some(field) => {
                affine(Affine::identity(), field, std::slice::from_ref(step)).map(|_| ())
            }
            None => Ok(()),
        },
        "split" => valid_part(step).map(|_| ()),
        "take" => most(step).map(|_| ()),
        "standardize" => match fields.first() {
            Some(field) if field.classes.is_some() => Err(of_classes(step, field)),
            _ => Ok(()),
        },
        name if augment::NAMES.contains(&name) => match fields.first() {
            Some(field) => Augment::of(step, field).map(|_| ()),
            None => Ok(()),
        },
        _ => Ok(()),
    }
}

pub(super) fn of_classes(step: &Call, field: &Field) -> Error {
    step.fault(format!(
        "`{}` is of classes, and this is done to numbers",
        field.name
    ))
}

/// Applies the steps in order.
pub(super) fn apply(mut dataset: Dataset, steps: &[Call], seed: u64) -> Result<Dataset> {
    for step in steps {
        match step.name.as_str() {
            "normalize" => normalize(&mut dataset, step)?,
            "split" => split(&mut dataset, step, seed)?,
            "shuffle" => dataset.shuffle = step.bool("on", true)?,
            "take" => take(&mut dataset, step)?,
            "standardize" => standardize(&mut dataset, step)?,
            name if augment::NAMES.contains(&name) => {
                let field = dataset.train.columns()[0].field.clone();
                dataset.train.change(Augment::of(step, &field)?);
            }
            other => unreachable!("`{other}` is in the catalogue"),
        }
    }
    Ok(dataset)
}

fn normalize(dataset: &mut Dataset, step: &Call) -> Result<()> {
    let splits = [
        Some(&mut dataset.train),
        dataset.valid.as_mut(),
        Some(&mut dataset.test),
    ];
    for split in splits.into_iter().flatten() {
        let column = &mut split.columns_mut()[0];
        match &mut column.values {
            Values::Bytes(_, map) | Values::Floats(_, map) => {
                *map = affine(map.clone(), &column.field, std::slice::from_ref(step))?;
            }
            Values::Classes(_) | Values::Windows(..) => {
                return Err(of_classes(step, &column.field));
            }
        }
    }
    Ok(())
}

/// Mean 0 and deviation 1 over the training samples, for each leading index by itself.
fn standardize(dataset: &mut Dataset, step: &Call) -> Result<()> {
    let Some((means, stds)) = dataset.train.moments() else {
        return Err(of_classes(step, &dataset.train.columns()[0].field));
    };
    // What never changes stays as it is, but for its mean.
    let stds = stds
        .into_iter()
        .map(|std| if std > 0.0 { std } else { 1.0 });
    let list = |values: Vec<f64>| Value::List(values.into_iter().map(Value::Float).collect());
    let normalization = Call::new("normalize")
        .with("mean", list(means))
        .with("std", list(stds.collect()));
    normalize(dataset, &normalization)
}

fn split(dataset: &mut Dataset, step: &Call, seed: u64) -> Result<()> {
    let fraction = valid_part(step)?;
    if dataset.valid.is_some() {
        return Err(step.fault("the data are split already"));
    }
    let count = dataset.train.samples();
    let valid = (count as f64 * fraction).round() as usize;
    if valid == 0 || valid == count {
        return Err(step.fault(format!("of {count} samples that leaves a split empty")));
    }
    let order = rng::permutation(seed, Stream::Split, 0, count as u32);
    let (mut chosen, mut rest) = (order[..valid].to_vec(), order[valid..].to_vec());
    chosen.sort_unstable();
    rest.sort_unstable();
    let mut held = dataset.train.subset(&chosen);
    held.unchanged();
    dataset.valid = Some(held);
    dataset.train = dataset.train.subset(&rest);
    Ok(())
}

fn valid_part(step: &Call) -> Result<f64> {
    step.part("valid", 0.0)
}

/// The first samples; of samples that come class by class, evenly spaced ones, so that each
/// class keeps its share.
fn take(dataset: &mut Dataset, step: &Call) -> Result<()> {
    let most = most(step)?;
    let splits = [
        Some(&mut dataset.train),
        dataset.valid.as_mut(),
        Some(&mut dataset.test),
    ];
    for split in splits.into_iter().flatten() {
        let all = split.samples() as u64;
        let count = all.min(u64::from(most));
        let by_class = split.comes_class_by_class();
        let position = |i: u64| match by_class {
            true => (i * all / count) as u32,
            false => i as u32,
        };
        let positions: Vec<u32> = (0..count).map(position).collect();
        *split = split.subset(&positions);
    }
    Ok(())
}

fn most(step: &Call) -> Result<u32> {
    Ok(step.int("n", 0, 1, i64::from(u32::MAX))? as u32)
}
