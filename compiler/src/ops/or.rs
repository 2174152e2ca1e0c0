//! `or(a, b)`: of two masks.
//!
//! Gradient: none, as that of every mask.

use super::Chain;
use super::operands::{Inferred, MASKS, Operands};
use crate::graph::DType;
use crate::nest::{ScalarId, ScalarPool};

pub fn infer(x: &Operands) -> Inferred {
    x.pointwise(2, MASKS)
}

pub fn grad(_: &mut Chain) {
    // Piecewise constant: no gradient.
}

pub fn lower(s: &mut ScalarPool, x: &[ScalarId], _: DType) -> ScalarId {
    s.or(x[0], x[1])
}

pub fn eval(x: &[f64], _: DType) -> f64 {
    f64::from(x[0] != 0.0 || x[1] != 0.0)
}
