//! `tanh(x)`, the hyperbolic tangent.
//!
//! Edges: odd; 1 beyond 8.85, NaN at NaN. Within 4.5 ulp. Gradient: `dy * (1 - y^2)`.
//!
//! Lowering: an odd rational function of degrees 13 and 6, fitted to the least relative error
//! (5.6e-9) between 0 and where it reaches 1; what is left is rounding.

use super::Chain;
use super::operands::{Inferred, Operands, REALS};
use crate::graph::DType;
use crate::nest::{ScalarId, ScalarPool};

pub fn infer(x: &Operands) -> Inferred {
    x.pointwise(1, REALS)
}

pub fn grad(c: &mut Chain) {
    let square = c.g.mul(c.y, c.y);
    let one = c.g.constant_like(1.0, c.y);
    let slope = c.g.sub(one, square);
    c.pass_scaled(slope);
}

pub fn lower(s: &mut ScalarPool, x: &[ScalarId], _: DType) -> ScalarId {
    let x = x[0];
    // Where the rational function is 1. A NaN passes as the second operand.
    let (low, high) = (s.f32(-8.848), s.f32(8.848));
    let clamped = s.max(low, x);
    let clamped = s.min(high, clamped);
    let square = s.times(clamped, clamped);
    let numerator = s.polynomial(square, &NUMERATOR);
    let denominator = s.polynomial(square, &DENOMINATOR);
    let slope = s.over(numerator, denominator);
    s.times(slope, clamped)
}

pub fn eval(x: &[f64], _: DType) -> f64 {
    x[0].tanh()
}

/// In x^2, from the highest power down.
const NUMERATOR: [f32; 7] = [
    -8.902_878e-14,
    5.435_002_8e-11,
    -2.054_415_5e-8,
    1.123_167_5e-5,
    3.111_292_1e-3,
    1.309_056_3e-1,
    1.0,
];

/// In x^2, from the highest power down.
const DENOMINATOR: [f32; 4] = [2.556_862e-4, 2.452_434_4e-2, 4.642_389e-1, 1.0];
