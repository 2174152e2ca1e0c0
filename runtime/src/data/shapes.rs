//! Pictures of discs and squares on noise, with the class of every pixel: data for
//! segmentation that needs no files.

use super::counts::Counts;
use super::{Affine, Call, Column, Dataset, Field, Provenance, Split, Values};
use crate::error::Result;
use crate::rng::{Random, Stream};
use std::sync::Arc;

/// Nothing, disc, square.
const CLASSES: usize = 3;
const NOISE: f32 = 0.15;

/// `image` and `mask`.
pub(super) fn fields(source: &Call) -> Result<Vec<Field>> {
    let side = side(source)?;
    counts(source)?;
    Ok(vec![
        Field::numbers("image", &[1, side, side]),
        Field::classes("mask", &[side, side], CLASSES),
    ])
}

fn side(source: &Call) -> Result<usize> {
    Ok(source.int("size", 32, 8, 512)? as usize)
}

fn counts(source: &Call) -> Result<Counts> {
    let side = side(source)?;
    Counts::of(source, [2000, 400], side * side)
}

/// Draws everything from the source's own seed.
pub(super) fn load(source: &Call) -> Result<Dataset> {
    let Counts { train, test, seed } = counts(source)?;
    let split = |numbers: std::ops::Range<usize>| {
        let side = side(source)?;
        let (mut pixels, mut mask) = (Vec::new(), Vec::new());
        for number in numbers {
            draw(
                side,
                &mut Random::new(seed, Stream::Data, number as u64),
                &mut pixels,
                &mut mask,
            );
        }
        let values = [
            Values::Floats(Arc::new(pixels), Affine::identity()),
            Values::Classes(Arc::new(mask)),
        ];
        let columns = fields(source)?.into_iter().zip(values);
        Ok(Split::new(
            columns
                .map(|(field, values)| Column { field, values })
                .collect(),
        ))
    };
    Ok(Dataset {
        train: split(0..train)?,
        valid: None,
        test: split(train..train + test)?,
        shuffle: true,
        provenance: Provenance::Generated(format!("{train} + {test} generated pictures of shapes")),
    })
}

/// One to three shapes; later ones cover earlier ones.
fn draw(side: usize, random: &mut Random, pixels: &mut Vec<f32>, mask: &mut Vec<i32>) {
    let start = mask.len();
    pixels.extend((0..side * side).map(|_| NOISE * random.normal()));
    mask.resize(start + side * side, 0);
    for _ in 0..1 + random.below(3) {
        let class = 1 + random.below(2) as i32;
        let reach = random.between(side as f32 / 10.0, side as f32 / 4.0);
        let (y, x) = (
            random.between(0.0, side as f32),
            random.between(0.0, side as f32),
        );
        let light = random.between(0.5, 1.0);
        for row in 0..side {
            for column in 0..side {
                let (dy, dx) = (row as f32 - y, column as f32 - x);
                let inside = match class {
                    1 => dy * dy + dx * dx < reach * reach,
                    _ => dy.abs().max(dx.abs()) < reach * 0.85,
                };
                if inside {
                    mask[start + row * side + column] = class;
                    pixels[start + row * side + column] = light + NOISE * random.normal();
                }
            }
        }
    }
}
