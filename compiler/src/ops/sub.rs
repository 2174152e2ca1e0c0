//! `sub(a, b) = a - b`, of f32 or i32.
//!
//! Edges: as IEEE 754 has it; integers wrap. Gradient: `da = dy`, `db = -dy`.

use super::Chain;
use super::operands::{Inferred, NUMBERS, Operands};
use crate::graph::DType;
use crate::nest::{ScalarId, ScalarPool};

pub fn infer(x: &Operands) -> Inferred {
    x.pointwise(2, NUMBERS)
}

pub fn grad(c: &mut Chain) {
    c.pass(0, c.dy);
    let db = c.g.neg(c.dy);
    c.pass(1, db);
}

pub fn lower(s: &mut ScalarPool, x: &[ScalarId], _: DType) -> ScalarId {
    s.minus(x[0], x[1])
}

pub fn eval(x: &[f64], _: DType) -> f64 {
    x[0] - x[1]
}
