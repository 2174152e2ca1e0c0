//! `log(x)`, the natural logarithm.
//!
//! Edges: negative infinity at 0 and -0, NaN below and at NaN, infinity at infinity,
//! denormals as they should be. Within 1 ulp. Gradient: `dy / x`.
//!
//! Lowering: `x = 2^e m` with m in [sqrt 1/2, sqrt 2), a polynomial for `log m` (Cephes, `logf`).

use super::Chain;
use super::operands::{Inferred, Operands, REALS};
use crate::graph::DType;
use crate::nest::{ScalarId, ScalarPool};

pub fn infer(x: &Operands) -> Inferred {
    x.pointwise(1, REALS)
}

pub fn grad(c: &mut Chain) {
    let dx = c.g.div(c.dy, c.x[0]);
    c.pass(0, dx);
}

pub fn lower(s: &mut ScalarPool, x: &[ScalarId], _: DType) -> ScalarId {
    let x = x[0];
    let (mantissa, exponent) = split(s, x);
    let one = s.f32(1.0);
    let f = s.minus(mantissa, one);
    let square = s.times(f, f);
    let tail = s.polynomial(f, &TAIL);
    let cube = s.times(square, f);
    let y = s.times(cube, tail);
    let (ln2_high, ln2_low) = (s.f32(0.693_359_4), s.f32(-2.121_944_4e-4));
    let y = s.fma(exponent, ln2_low, y);
    let minus_half = s.f32(-0.5);
    let y = s.fma(square, minus_half, y);
    let y = s.plus(f, y);
    let y = s.fma(exponent, ln2_high, y);
    let (zero, infinity) = (s.f32(0.0), s.f32(f32::INFINITY));
    let (at_zero, undefined) = (s.f32(f32::NEG_INFINITY), s.f32(f32::NAN));
    let finite = s.less(x, infinity);
    let y = s.select(finite, y, x);
    let positive = s.less(zero, x);
    let is_zero = s.equal(x, zero);
    let edge = s.select(is_zero, at_zero, undefined);
    s.select(positive, y, edge)
}

pub fn eval(x: &[f64], _: DType) -> f64 {
    x[0].ln()
}

/// `(log(1 + f) - f + f^2 / 2) / f^3`, from the highest power down.
const TAIL: [f32; 9] = [
    7.037_683_6e-2,
    -1.151_461e-1,
    1.167_699_9e-1,
    -1.242_014_1e-1,
    1.424_932_3e-1,
    -1.666_805_8e-1,
    2.000_071_5e-1,
    -2.499_999_4e-1,
    0.333_333_3,
];

/// Bits of sqrt(1/2).
const ROOT_HALF: i32 = 0x3f35_04f3;
/// Bits of 1.
const ONE: i32 = 0x3f80_0000;

/// `(m, e)` with `x = 2^e m` and m in [sqrt 1/2, sqrt 2), for positive finite x.
pub(super) fn split(s: &mut ScalarPool, x: ScalarId) -> (ScalarId, ScalarId) {
    let (least_normal, two_to_23) = (s.f32(f32::MIN_POSITIVE), s.f32(8_388_608.0));
    let denormal = s.less(x, least_normal);
    let scaled = s.times(x, two_to_23);
    let normal = s.select(denormal, scaled, x);
    let (bias, denormal_bias) = (s.f32(127.0), s.f32(127.0 + 23.0));
    let bias = s.select(denormal, denormal_bias, bias);
    let bits = s.bits_to_i32(normal);
    // Moves sqrt(1/2) to 1, so that the exponent's field counts from there.
    let (move_up, root_half) = (s.i32(ONE - ROOT_HALF), s.i32(ROOT_HALF));
    let moved = s.plus(bits, move_up);
    let (mantissa_bits, mantissa_mask) = (s.i32(23), s.i32(0x007f_ffff));
    let field = s.shift_right(moved, mantissa_bits);
    let field = s.to_f32(field);
    let exponent = s.minus(field, bias);
    let mantissa = s.and(moved, mantissa_mask);
    let mantissa = s.plus(mantissa, root_half);
    (s.bits_to_f32(mantissa), exponent)
}
