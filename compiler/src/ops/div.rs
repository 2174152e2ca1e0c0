//! `div(a, b) = a / b`, of f32.
//!
//! Edges: as IEEE 754 has it: `x / 0` is infinite, `0 / 0` is NaN.
//! Gradient: `da = dy / b`, `db = -(dy * y) / b`.

use super::Chain;
use super::operands::{Inferred, Operands, REALS};
use crate::graph::DType;
use crate::nest::{ScalarId, ScalarPool};

pub fn infer(x: &Operands) -> Inferred {
    x.pointwise(2, REALS)
}

pub fn grad(c: &mut Chain) {
    let da = c.g.div(c.dy, c.x[1]);
    // Not by way of da: a divisor that many elements share divides their sum.
    let slope = c.g.mul(c.dy, c.y);
    let slope = c.g.div(slope, c.x[1]);
    let db = c.g.neg(slope);
    c.pass(0, da);
    c.pass(1, db);
}

pub fn lower(s: &mut ScalarPool, x: &[ScalarId], _: DType) -> ScalarId {
    s.over(x[0], x[1])
}

pub fn eval(x: &[f64], _: DType) -> f64 {
    x[0] / x[1]
}
