//! `sqrt(x)`, correctly rounded.
//!
//! Edges: NaN below 0, infinity at infinity, -0 at -0. Gradient: `dy / (2 y)`, infinite at 0.

use super::Chain;
use super::operands::{Inferred, Operands, REALS};
use crate::graph::DType;
use crate::nest::{ScalarId, ScalarPool, UnaryOp};

pub fn infer(x: &Operands) -> Inferred {
    x.pointwise(1, REALS)
}

pub fn grad(c: &mut Chain) {
    let half = c.g.scale(c.dy, 0.5);
    let dx = c.g.div(half, c.y);
    c.pass(0, dx);
}

pub fn lower(s: &mut ScalarPool, x: &[ScalarId], _: DType) -> ScalarId {
    s.unary(UnaryOp::Sqrt, x[0])
}

pub fn eval(x: &[f64], _: DType) -> f64 {
    x[0].sqrt()
}
