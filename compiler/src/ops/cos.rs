//! `cos(x)`, x in radians.
//!
//! Edges: NaN at infinities and NaN. Within 2 ulp (near its zeros within 1e-7 in all) up to
//! |x| = 8192; beyond, x is reduced with an error that grows with it. Gradient: `-dy * sin(x)`.
//!
//! Lowering: `x = n pi / 2 + r` with `|r| <= pi / 4`, two polynomials (Cephes, `sinf`, `cosf`).

use super::Chain;
use super::sin::quarter_turns;
use super::operands::{Inferred, Operands, REALS};
use crate::graph::DType;
use crate::nest::{ScalarId, ScalarPool};

pub fn infer(x: &Operands) -> Inferred {
    x.pointwise(1, REALS)
}

pub fn grad(c: &mut Chain) {
    let sine = c.g.sin(c.x[0]);
    let slope = c.g.neg(sine);
    c.pass_scaled(slope);
}

pub fn lower(s: &mut ScalarPool, x: &[ScalarId], _: DType) -> ScalarId {
    quarter_turns(s, x[0], 1)
}

pub fn eval(x: &[f64], _: DType) -> f64 {
    x[0].cos()
}
