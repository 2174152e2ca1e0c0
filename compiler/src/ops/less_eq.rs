//! `less_eq(a, b)`: the mask `a <= b`, of f32 or i32.
//!
//! Edges: false where either is NaN; -0 equals 0. Gradient: none, as that of every mask.

use super::Chain;
use super::operands::{Inferred, Operands};
use crate::graph::DType;
use crate::nest::{ScalarId, ScalarPool};

pub fn infer(x: &Operands) -> Inferred {
    x.comparison()
}

pub fn grad(_: &mut Chain) {
    // Piecewise constant: no gradient.
}

pub fn lower(s: &mut ScalarPool, x: &[ScalarId], _: DType) -> ScalarId {
    s.less_eq(x[0], x[1])
}

pub fn eval(x: &[f64], _: DType) -> f64 {
    f64::from(x[0] <= x[1])
}
