//! The oracle's tensors: plain lists of numbers, rounded to what is stored.

use crate::graph::{DType, Type};
use crate::index::IndexExpr;
use std::cmp::Ordering;

/// How the oracle rounds real numbers.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Precision {
    /// To the nearest f32.
    F32,
    /// Not at all.
    F64,
    /// To one of the two f32 beside a number, drawn anew for each seed: another course that rounding
    /// might have taken (Monte Carlo arithmetic, Parker 1997).
    Drawn(u64),
}

impl Precision {
    /// A number as an element of this type holds it; integers wrap.
    pub fn round(self, value: f64, dtype: DType) -> f64 {
        match (dtype, self) {
            (DType::F32, Precision::F32) => f64::from(value as f32),
            (DType::F32, Precision::F64) => value,
            (DType::F32, Precision::Drawn(seed)) => f64::from(drawn(value, seed)),
            (DType::I32, _) => f64::from(value as i64 as i32),
            (DType::Bool, _) => f64::from(value != 0.0),
        }
    }
}

/// One of the two f32 beside a number, or the number itself where that is one.
fn drawn(value: f64, seed: u64) -> f32 {
    let nearest = value as f32;
    let beside = match f64::from(nearest).total_cmp(&value) {
        _ if !nearest.is_finite() => nearest,
        Ordering::Less => nearest.next_up(),
        Ordering::Equal => nearest,
        Ordering::Greater => nearest.next_down(),
    };
    match mixed(value.to_bits() ^ mixed(seed)) % 2 {
        0 => nearest,
        _ => beside,
    }
}

/// Bits that look unrelated for neighbouring numbers: the finalizer of SplitMix64.
fn mixed(bits: u64) -> u64 {
    let bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

/// A tensor of the oracle. Every element is an f64, which holds f32 and i32 exactly;
/// truth is 1.
#[derive(Clone, PartialEq, Debug)]
pub struct Tensor {
    /// Its type.
    pub ty: Type,
    /// Row-major.
    pub elements: Vec<f64>,
}

impl Tensor {
    /// A tensor computed index by index.
    pub fn from_fn(ty: &Type, mut element: impl FnMut(&[usize]) -> f64) -> Tensor {
        Tensor {
            ty: ty.clone(),
            elements: points(&ty.shape).map(|point| element(&point)).collect(),
        }
    }

    /// `f` of the operands' elements at each place. The sums, products, quotients and
    /// roots of two f32 computed in f64 and rounded once more are those of f32.
    pub fn pointwise(
        x: &[&Tensor],
        ty: &Type,
        precision: Precision,
        f: impl Fn(&[f64], DType) -> f64,
    ) -> Tensor {
        let of = x.last().map_or(ty.dtype, |last| last.ty.dtype);
        let mut operands = vec![0.0; x.len()];
        let elements = (0..ty.elements()).map(|i| {
            for (operand, tensor) in operands.iter_mut().zip(x) {
                *operand = tensor.elements[i];
            }
            precision.round(f(&operands, of), ty.dtype)
        });
        Tensor {
            ty: ty.clone(),
            elements: elements.collect(),
        }
    }

    /// The element at a place.
    pub fn at(&self, point: &[usize]) -> f64 {
        self.elements[offset(&self.ty.shape, point)]
    }

    /// The element where a map leads from a point, if it leads inside.
    pub fn read(&self, map: &[IndexExpr], point: &[usize]) -> Option<f64> {
        let mut offset = 0;
        for (expr, &size) in map.iter().zip(&self.ty.shape) {
            let index = usize::try_from(expr.at(point)?).ok()?;
            offset = offset * size + (index < size).then_some(index)?;
        }
        Some(self.elements[offset])
    }
}

/// Every index of a shape, the last axis fastest.
pub fn points(shape: &[usize]) -> impl Iterator<Item = Vec<usize>> {
    let count: usize = shape.iter().product();
    (0..count).map(move |mut i| {
        let mut point = vec![0; shape.len()];
        for (index, &size) in point.iter_mut().zip(shape).rev() {
            *index = i % size;
            i /= size;
        }
        point
    })
}

fn offset(shape: &[usize], point: &[usize]) -> usize {
    let axes = shape.iter().zip(point);
    axes.fold(0, |offset, (&size, &index)| offset * size + index)
}
