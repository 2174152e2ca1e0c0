//! `mul(a, b) = a * b`, of f32 or i32.
//!
//! Edges: as IEEE 754 has it (`simplify` takes `x * 0` for 0 even where x is infinite or
//! NaN); integers wrap. Gradient: `da = dy * b`, `db = dy * a`.

use super::Chain;
use super::operands::{Inferred, NUMBERS, Operands};
use crate::graph::DType;
use crate::nest::{ScalarId, ScalarPool};

pub fn infer(x: &Operands) -> Inferred {
    x.pointwise(2, NUMBERS)
}

pub fn grad(c: &mut Chain) {
    let da = c.g.mul(c.dy, c.x[1]);
    let db = c.g.mul(c.dy, c.x[0]);
    c.pass(0, da);
    c.pass(1, db);
}

pub fn lower(s: &mut ScalarPool, x: &[ScalarId], _: DType) -> ScalarId {
    s.times(x[0], x[1])
}

pub fn eval(x: &[f64], of: DType) -> f64 {
    match of {
        // The product of two i32 does not fit into the 53 bits of an f64.
        DType::I32 => f64::from((x[0] as i32).wrapping_mul(x[1] as i32)),
        DType::F32 | DType::Bool => x[0] * x[1],
    }
}
