//! `not(x)`: true where the mask x is false.
//!
//! Gradient: none, as that of every mask.

use super::Chain;
use super::operands::{Inferred, MASKS, Operands};
use crate::graph::DType;
use crate::nest::{ScalarId, ScalarPool, UnaryOp};

pub fn infer(x: &Operands) -> Inferred {
    x.pointwise(1, MASKS)
}

pub fn grad(_: &mut Chain) {
    // Piecewise constant: no gradient.
}

pub fn lower(s: &mut ScalarPool, x: &[ScalarId], _: DType) -> ScalarId {
    s.unary(UnaryOp::Not, x[0])
}

pub fn eval(x: &[f64], _: DType) -> f64 {
    f64::from(x[0] == 0.0)
}
