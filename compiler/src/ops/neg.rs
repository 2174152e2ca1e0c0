//! `neg(x) = -x`, of f32 or i32.
//!
//! Edges: flips the sign of zeros, infinities and NaN; the least i32 stays itself.
//! Gradient: `-dy`.

use super::Chain;
use super::operands::{Inferred, NUMBERS, Operands};
use crate::graph::DType;
use crate::nest::{ScalarId, ScalarPool};

pub fn infer(x: &Operands) -> Inferred {
    x.pointwise(1, NUMBERS)
}

pub fn grad(c: &mut Chain) {
    let dx = c.g.neg(c.dy);
    c.pass(0, dx);
}

pub fn lower(s: &mut ScalarPool, x: &[ScalarId], _: DType) -> ScalarId {
    s.neg(x[0])
}

pub fn eval(x: &[f64], _: DType) -> f64 {
    -x[0]
}
