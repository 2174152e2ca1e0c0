//! `uniform(seed)`: random numbers, uniform in [0, 1), multiples of 2^-24.
//!
//! A function of the seed, the stream and the element's row-major index alone, so
//! that any element can be drawn anywhere, in any order, and again in the backward
//! pass. Two rounds of a 32-bit finaliser (Wellons' `lowbias32`) with a key before
//! each; for one key the 2^32 indices give each hash once. No gradient. Compiled code and the oracle agree in
//! every bit.

use super::operands::{Inferred, Operands};
use super::{Chain, Precision, Tensor};
use crate::graph::{DType, Type};
use crate::nest::{ScalarId, ScalarPool};

/// 2^32 over the golden ratio: sets neighbouring streams far apart.
const GOLDEN: u32 = 0x9e37_79b9;
const FIRST_FACTOR: u32 = 0x7feb_352d;
const SECOND_FACTOR: u32 = 0x846c_a68b;
/// How many of the hash's bits go into a number: what an f32 holds.
const BITS: u32 = 24;

pub fn infer(_: &u32, x: &Operands) -> Inferred {
    let [seed] = x.get()?;
    let ty = x.given()?;
    let is_seed = seed.dtype == DType::I32 && seed.shape.is_empty();
    if !is_seed || ty.dtype != DType::F32 {
        return Err("makes f32 from an i32 scalar".into());
    }
    Ok(ty)
}

pub fn grad(_: &u32, _: &mut Chain) {
    // Seeds have no gradient.
}

/// The number at a row-major index.
pub fn lower(stream: u32, s: &mut ScalarPool, seed: ScalarId, index: ScalarId) -> ScalarId {
    let salt = s.i32(salt(stream) as i32);
    let salted = s.xor(seed, salt);
    let first_key = lower_mix(s, salted);
    let golden = s.i32(GOLDEN as i32);
    let second_key = s.plus(first_key, golden);
    let second_key = lower_mix(s, second_key);
    let hash = s.xor(index, first_key);
    let hash = lower_mix(s, hash);
    let hash = s.plus(hash, second_key);
    let hash = lower_mix(s, hash);
    let (shift, unit) = (s.i32(32 - BITS as i32), s.f32(unit()));
    let kept = s.shift_right(hash, shift);
    let kept = s.to_f32(kept);
    s.times(kept, unit)
}

fn lower_mix(s: &mut ScalarPool, x: ScalarId) -> ScalarId {
    let mut x = x;
    for (shift, factor) in [(16, Some(FIRST_FACTOR)), (15, Some(SECOND_FACTOR)), (16, None)] {
        let shift = s.i32(shift);
        let shifted = s.shift_right(x, shift);
        x = s.xor(x, shifted);
        if let Some(factor) = factor {
            let factor = s.i32(factor as i32);
            x = s.times(x, factor);
        }
    }
    x
}

pub fn eval(stream: &u32, x: &[&Tensor], ty: &Type, _: Precision) -> Tensor {
    let seed = x[0].elements[0] as i32 as u32;
    let numbers = (0..ty.elements() as u32).map(|index| f64::from(draw(seed, *stream, index)));
    Tensor {
        ty: ty.clone(),
        elements: numbers.collect(),
    }
}

/// The number at a row-major index.
fn draw(seed: u32, stream: u32, index: u32) -> f32 {
    let first_key = mix(seed ^ salt(stream));
    let second_key = mix(first_key.wrapping_add(GOLDEN));
    let hash = mix(mix(index ^ first_key).wrapping_add(second_key));
    (hash >> (32 - BITS)) as f32 * unit()
}

fn mix(mut x: u32) -> u32 {
    x ^= x >> 16;
    x = x.wrapping_mul(FIRST_FACTOR);
    x ^= x >> 15;
    x = x.wrapping_mul(SECOND_FACTOR);
    x ^ (x >> 16)
}

fn salt(stream: u32) -> u32 {
    mix(stream.wrapping_add(1).wrapping_mul(GOLDEN))
}

fn unit() -> f32 {
    1.0 / (1u32 << BITS) as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Chi-squared over `cells`; the mean is the degrees of freedom, the deviation sqrt(2 * that).
    fn excess(counts: &[u32]) -> f64 {
        let total: u32 = counts.iter().sum();
        let expected = f64::from(total) / counts.len() as f64;
        let squares = counts.iter().map(|&n| (f64::from(n) - expected).powi(2));
        let freedom = counts.len() as f64 - 1.0;
        (squares.sum::<f64>() / expected - freedom) / (2.0 * freedom).sqrt()
    }

    #[test]
    fn numbers_fill_the_interval_evenly() {
        for (seed, stream) in [(0, 0), (1, 0), (0, 1), (u32::MAX, 7)] {
            let mut counts = vec![0; 1000];
            (0..200_000).for_each(|i| counts[(draw(seed, stream, i) * 1000.0) as usize] += 1);
            assert!(excess(&counts).abs() < 4.0, "{seed} {stream}: {}", excess(&counts));
        }
    }

    /// Pairs of neighbours, of streams and of seeds fill the square evenly.
    #[test]
    fn neighbours_are_independent() {
        let pairs: [fn(u32) -> (f32, f32); 4] = [
            |i| (draw(3, 0, 2 * i), draw(3, 0, 2 * i + 1)),
            |i| (draw(3, 0, i), draw(3, 1, i)),
            |i| (draw(3, 0, i), draw(4, 0, i)),
            |i| (draw(i, 0, 0), draw(i + 1, 0, 0)),
        ];
        for (which, pair) in pairs.into_iter().enumerate() {
            let mut counts = vec![0; 32 * 32];
            for (x, y) in (0..200_000).map(pair) {
                counts[(x * 32.0) as usize * 32 + (y * 32.0) as usize] += 1;
            }
            assert!(excess(&counts).abs() < 4.0, "{which}: {}", excess(&counts));
        }
    }

    /// One flipped bit of the index flips each bit of the number half of the time.
    #[test]
    fn bits_avalanche() {
        for flipped in 0..32 {
            let mut flips = [0u32; BITS as usize];
            for i in 0..4096u32 {
                let bits = |i| (draw(9, 2, i) * (1u32 << BITS) as f32) as u32;
                let changed = bits(i) ^ bits(i ^ (1 << flipped));
                for (bit, count) in flips.iter_mut().enumerate() {
                    *count += changed >> bit & 1;
                }
            }
            // Six deviations of a fair coin thrown 4096 times.
            assert!(flips.iter().all(|n| n.abs_diff(2048) < 6 * 32), "{flips:?}");
        }
    }
}
