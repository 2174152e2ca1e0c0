//! `floor(x)`: the greatest integer not above x, as f32.
//!
//! Edges: infinities and NaN stay. Gradient: 0, as that of every step.

use super::Chain;
use super::operands::{Inferred, Operands, REALS};
use crate::graph::DType;
use crate::nest::{ScalarId, ScalarPool, UnaryOp};

pub fn infer(x: &Operands) -> Inferred {
    x.pointwise(1, REALS)
}

pub fn grad(_: &mut Chain) {
    // Piecewise constant: no gradient.
}

pub fn lower(s: &mut ScalarPool, x: &[ScalarId], _: DType) -> ScalarId {
    s.unary(UnaryOp::Floor, x[0])
}

pub fn eval(x: &[f64], _: DType) -> f64 {
    x[0].floor()
}
