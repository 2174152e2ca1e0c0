//! `max_over(x)`: the greatest element over some axes, of f32 or i32.
//!
//! Edges: NaN where one is NaN. Gradient: where several elements are the greatest, they
//! share dy equally (as JAX does; PyTorch's pooling takes the first). That is a
//! subgradient, treats equals alike, and is one more sum that fuses with the rest.

use super::operands::{Inferred, NUMBERS, Operands};
use super::sum::{fold, spread};
use super::{Chain, Precision, Tensor};
use crate::graph::{DType, Type};

pub fn infer(axes: &[usize], x: &Operands) -> Inferred {
    x.reduction(axes, NUMBERS)
}

pub fn grad(axes: &[usize], c: &mut Chain) {
    let x = c.x[0];
    let greatest = spread(c.g, c.y, axes, x);
    let is_greatest = c.g.equal(x, greatest);
    let ones = c.g.cast(is_greatest, DType::F32);
    let count = c.g.sum(ones, axes);
    let share = c.g.div(c.dy, count);
    let share = spread(c.g, share, axes, x);
    let zero = c.g.constant_like(0.0, x);
    let dx = c.g.select(is_greatest, share, zero);
    c.pass(0, dx);
}

pub fn eval(axes: &[usize], x: &[&Tensor], ty: &Type, _: Precision) -> Tensor {
    let least = match ty.dtype {
        DType::I32 => f64::from(i32::MIN),
        DType::F32 | DType::Bool => f64::NEG_INFINITY,
    };
    fold(axes, x[0], ty, least, |greatest, x| {
        match x > greatest || x.is_nan() {
            true => x,
            false => greatest,
        }
    })
}
