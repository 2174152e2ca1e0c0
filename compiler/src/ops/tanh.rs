//! `tanh(x)`, the hyperbolic tangent.
//!
//! Edges: odd; 1 beyond 9, NaN at NaN. Within 5.5 ulp. Gradient: `dy * (1 - y^2)`.
//!
//! Lowering: an odd rational function of degrees 13 and 6 (Eigen's).

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
    // Where the rational function reaches 1. A NaN passes as the second operand.
    let (low, high) = (s.f32(-7.905_311), s.f32(7.905_311));
    let clamped = s.max(low, x);
    let clamped = s.min(high, clamped);
    let square = s.times(clamped, clamped);
    let numerator = s.polynomial(square, &NUMERATOR);
    let denominator = s.polynomial(square, &DENOMINATOR);
    // The quotient first: near 0 the product of x and the small numerator would be denormal.
    let slope = s.over(numerator, denominator);
    s.times(slope, clamped)
}

pub fn eval(x: &[f64], _: DType) -> f64 {
    x[0].tanh()
}

/// In x^2, from the highest power down.
const NUMERATOR: [f32; 7] = [
    -2.760_768_5e-16,
    2.000_188e-13,
    -8.604_672e-11,
    5.122_297e-8,
    1.485_722_4e-5,
    6.372_619_3e-4,
    4.893_524_6e-3,
];

/// In x^2, from the highest power down.
const DENOMINATOR: [f32; 4] = [1.198_258_4e-6, 1.185_347e-4, 2.268_434_6e-3, 4.893_525e-3];
