//! `abs(x) = |x|`, of f32 or i32.
//!
//! Edges: NaN stays NaN; the least i32 stays itself. Gradient: `dy * sign(x)`, at 0 it is 0.

use super::Chain;
use super::operands::{Inferred, NUMBERS, Operands};
use crate::graph::DType;
use crate::nest::{ScalarId, ScalarPool};

pub fn infer(x: &Operands) -> Inferred {
    x.pointwise(1, NUMBERS)
}

pub fn grad(c: &mut Chain) {
    let x = c.x[0];
    let zero = c.g.constant_like(0.0, x);
    let minus_dy = c.g.neg(c.dy);
    let positive = c.g.less(zero, x);
    let negative = c.g.less(x, zero);
    let below = c.g.select(negative, minus_dy, zero);
    let dx = c.g.select(positive, c.dy, below);
    c.pass(0, dx);
}

pub fn lower(s: &mut ScalarPool, x: &[ScalarId], _: DType) -> ScalarId {
    s.abs(x[0])
}

pub fn eval(x: &[f64], _: DType) -> f64 {
    x[0].abs()
}
