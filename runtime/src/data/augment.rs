//! Random changes of training samples: the same sample looks different in every epoch.
//! What is drawn is a function of the run's seed, the epoch and the sample's number, so
//! that neither threads nor an interrupt change it.

use super::pipeline::of_classes;
use super::{Call, Field};
use crate::error::Result;
use crate::rng::{Random, Stream};
use std::cell::RefCell;

/// The steps that change training samples.
pub(super) const NAMES: [&str; 5] = ["random_crop", "flip", "rotate", "noise", "cutout"];

/// One change of the first field's samples, `[channels, height, width]` but for noise.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) enum Augment {
    /// Moved by up to so many pixels; zeros come in.
    Crop(usize),
    /// Mirrored in every other case.
    Flip,
    /// Turned about the centre by up to so many degrees, zeros coming in.
    Rotate(f32),
    /// Normal noise of this deviation is added.
    Noise(f32),
    /// A square of this side is zeroed.
    Cutout(usize),
}

/// In which epoch of which run.
#[derive(Clone, Copy, Debug)]
pub struct Draw {
    /// The run's.
    pub seed: u64,
    /// From 1.
    pub epoch: u64,
}

impl Augment {
    /// What a step asks for; pictures only, but for noise.
    pub fn of(step: &Call, field: &Field) -> Result<Augment> {
        let shape = &field.shape;
        let change = match step.name.as_str() {
            "random_crop" => Augment::Crop(step.int("padding", 4, 1, 1 << 12)? as usize),
            "flip" => Augment::Flip,
            "rotate" => Augment::Rotate(step.float("degrees", 10.0)? as f32),
            "noise" => Augment::Noise(step.float("std", 0.1)? as f32),
            "cutout" => Augment::Cutout(step.int("size", 8, 1, 1 << 12)? as usize),
            other => unreachable!("`{other}` is in the catalogue"),
        };
        if let Augment::Rotate(size) | Augment::Noise(size) = change
            && size < 0.0
        {
            let name = step.arguments.first().map_or("size", |(name, _)| name);
            return Err(step.wrong(name, format!("must be at least 0, but it is {size}")));
        }
        if field.classes.is_some() {
            return Err(of_classes(step, field));
        }
        if shape.len() != 3 && !matches!(change, Augment::Noise(_)) {
            let fault = format!(
                "`{}` is {shape:?}, and this is done to pictures, [channels, height, width]",
                field.name
            );
            return Err(step.fault(fault));
        }
        Ok(change)
    }
}

/// Applies changes to one sample.
pub(super) fn apply(
    changes: &[Augment],
    shape: &[usize],
    sample: u32,
    draw: Draw,
    values: &mut [f32],
) {
    thread_local! {
        /// A copy of one sample; allocated by each thread's first.
        static COPY: RefCell<Vec<f32>> = const { RefCell::new(Vec::new()) };
    }
    let counter = draw.epoch << 32 | u64::from(sample);
    let mut random = Random::new(draw.seed, Stream::Augment, counter);
    for change in changes {
        match *change {
            Augment::Noise(std) => values
                .iter_mut()
                .for_each(|value| *value += std * random.normal()),
            Augment::Cutout(side) => {
                let ([h, w], planes) = planes(shape, values);
                let (y, x) = (
                    random.below(h as u32) as usize,
                    random.below(w as u32) as usize,
                );
                let span = |at: usize, size| {
                    at.saturating_sub(side / 2)..(at + side.div_ceil(2)).min(size)
                };
                for plane in planes {
                    for row in span(y, h) {
                        plane[row * w..][span(x, w)].fill(0.0);
                    }
                }
            }
            Augment::Flip => {
                if random.below(2) == 1 {
                    let ([_, w], planes) = planes(shape, values);
                    planes.for_each(|plane| plane.chunks_exact_mut(w).for_each(<[f32]>::reverse));
                }
            }
            Augment::Crop(padding) => COPY.with_borrow_mut(|copy| {
                let mut shift = || random.below(2 * padding as u32 + 1) as isize - padding as isize;
                let (down, right) = (shift(), shift());
                moved(copy, shape, values, |y, x| {
                    [y as isize + down, x as isize + right]
                });
            }),
            Augment::Rotate(most) => COPY.with_borrow_mut(|copy| {
                let angle = random.between(-most, most).to_radians();
                turned(copy, shape, values, angle);
            }),
        }
    }
}

fn planes<'v>(
    shape: &[usize],
    values: &'v mut [f32],
) -> ([usize; 2], std::slice::ChunksExactMut<'v, f32>) {
    let [_, h, w] = *shape else {
        unreachable!("`Augment::of` refused what is no picture");
    };
    ([h, w], values.chunks_exact_mut(h * w))
}

/// Each pixel from another place, zero outside.
fn moved(
    copy: &mut Vec<f32>,
    shape: &[usize],
    values: &mut [f32],
    from: impl Fn(usize, usize) -> [isize; 2],
) {
    copy.clear();
    copy.extend_from_slice(values);
    let ([h, w], planes) = planes(shape, values);
    for (plane, copy) in planes.zip(copy.chunks_exact(h * w)) {
        for y in 0..h {
            for x in 0..w {
                let [row, column] = from(y, x);
                let inside = (0..h as isize).contains(&row) && (0..w as isize).contains(&column);
                plane[y * w + x] = match inside {
                    true => copy[row as usize * w + column as usize],
                    false => 0.0,
                };
            }
        }
    }
}

/// About the centre, between pixels in proportion to the distance.
fn turned(copy: &mut Vec<f32>, shape: &[usize], values: &mut [f32], angle: f32) {
    copy.clear();
    copy.extend_from_slice(values);
    let (sin, cos) = angle.sin_cos();
    let ([h, w], planes) = planes(shape, values);
    let (middle_y, middle_x) = ((h - 1) as f32 / 2.0, (w - 1) as f32 / 2.0);
    for (plane, copy) in planes.zip(copy.chunks_exact(h * w)) {
        let pixel =
            |y: isize, x: isize| match y >= 0 && x >= 0 && (y as usize) < h && (x as usize) < w {
                true => copy[y as usize * w + x as usize],
                false => 0.0,
            };
        for y in 0..h {
            for x in 0..w {
                let (dy, dx) = (y as f32 - middle_y, x as f32 - middle_x);
                let (row, column) = (
                    middle_y + cos * dy - sin * dx,
                    middle_x + sin * dy + cos * dx,
                );
                let (top, left) = (row.floor(), column.floor());
                let (down, right) = (row - top, column - left);
                let (top, left) = (top as isize, left as isize);
                let upper = pixel(top, left) * (1.0 - right) + pixel(top, left + 1) * right;
                let lower = pixel(top + 1, left) * (1.0 - right) + pixel(top + 1, left + 1) * right;
                plane[y * w + x] = upper * (1.0 - down) + lower * down;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPE: [usize; 3] = [2, 5, 7];

    fn changed(changes: &[Augment], sample: u32, epoch: u64) -> Vec<f32> {
        let mut values: Vec<f32> = (0..70).map(|i| i as f32 + 1.0).collect();
        apply(
            changes,
            &SHAPE,
            sample,
            Draw { seed: 3, epoch },
            &mut values,
        );
        values
    }

    const ALL: [Augment; 5] = [
        Augment::Crop(2),
        Augment::Flip,
        Augment::Rotate(15.0),
        Augment::Noise(0.1),
        Augment::Cutout(2),
    ];

    #[test]
    fn the_same_place_in_a_run_draws_the_same() {
        for change in ALL {
            let looks: Vec<Vec<f32>> = (0..20).map(|epoch| changed(&[change], 4, epoch)).collect();
            assert!(looks.iter().any(|look| *look != looks[0]), "{change:?}");
            for (epoch, look) in looks.iter().enumerate() {
                assert_eq!(*look, changed(&[change], 4, epoch as u64), "{change:?}");
            }
        }
        assert_ne!(changed(&ALL, 1, 1), changed(&ALL, 2, 1));
    }

    #[test]
    fn a_flip_mirrors_rows_or_does_nothing() {
        let plain = changed(&[], 0, 0);
        let mirrored: Vec<f32> = plain
            .chunks(7)
            .flat_map(|row| row.iter().rev().copied())
            .collect();
        let looks: Vec<Vec<f32>> = (0..20)
            .map(|epoch| changed(&[Augment::Flip], 0, epoch))
            .collect();
        assert!(looks.iter().all(|look| *look == plain || *look == mirrored));
        assert!(looks.contains(&plain) && looks.contains(&mirrored));
    }

    #[test]
    fn a_crop_moves_and_a_cutout_zeroes() {
        for epoch in 0..20 {
            let crop = changed(&[Augment::Crop(1)], 0, epoch);
            let zeros = crop[..35].iter().filter(|v| **v == 0.0).count();
            assert!([0, 5, 7, 11].contains(&zeros), "{zeros}");
            let steps = crop[..35].windows(2).filter(|p| p[0] != 0.0 && p[1] != 0.0);
            assert!(steps.filter(|p| p[1] - p[0] == 1.0).count() >= 20);
            let cut = changed(&[Augment::Cutout(2)], 0, epoch);
            let zeros = cut.iter().filter(|v| **v == 0.0).count();
            assert!([2, 4, 8].contains(&zeros), "{zeros}");
        }
    }

    #[test]
    fn no_turn_changes_nothing() {
        assert_eq!(changed(&[Augment::Rotate(0.0)], 0, 1), changed(&[], 0, 1));
    }
}
