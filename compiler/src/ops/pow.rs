//! `pow(a, b) = a^b`.
//!
//! Edges: as C has it: `a^0` and `1^b` are 1 whatever the other, a negative base has a value for
//! integral exponents alone (else NaN, -infinity as well), zeros and infinities follow the limits; only
//! -0 counts as 0. Within 2 ulp. Gradient: `da = dy * b * a^(b-1)`, `db = dy * y * log a`, which is 0 where a is not
//! above 0. `simplify` makes products of small constant exponents.
//!
//! Lowering: `2^(b * log2 |a|)` with the logarithm as the sum of two f32.

use super::Chain;
use super::exp::{SHIFTER, times_power_of_two};
use super::log::split;
use super::operands::{Inferred, Operands, REALS};
use crate::graph::DType;
use crate::nest::{ScalarId, ScalarPool, UnaryOp};

pub fn infer(x: &Operands) -> Inferred {
    x.pointwise(2, REALS)
}

pub fn grad(c: &mut Chain) {
    let (a, b) = (c.x[0], c.x[1]);
    let zero = c.g.constant_like(0.0, a);
    if c.wanted[0] {
        let one = c.g.constant_like(1.0, b);
        let lower = c.g.sub(b, one);
        let power = c.g.pow(a, lower);
        let slope = c.g.mul(b, power);
        // 0 * 0^-1 would be NaN.
        let constant = c.g.equal(b, zero);
        let slope = c.g.select(constant, zero, slope);
        let da = c.g.mul(c.dy, slope);
        c.pass(0, da);
    }
    if c.wanted[1] {
        let log = c.g.log(a);
        let slope = c.g.mul(c.y, log);
        let positive = c.g.less(zero, a);
        let slope = c.g.select(positive, slope, zero);
        let db = c.g.mul(c.dy, slope);
        c.pass(1, db);
    }
}

pub fn lower(s: &mut ScalarPool, x: &[ScalarId], _: DType) -> ScalarId {
    let (base, exponent) = (x[0], x[1]);
    let magnitude = s.abs(base);
    let (high, low) = log2(s, magnitude);
    let product = s.times(exponent, high);
    let minus_product = s.neg(product);
    let rest = s.fma(exponent, high, minus_product);
    let rest = s.fma(exponent, low, rest);
    let y = exp2(s, product, rest);
    let y = limits(s, magnitude, exponent, y);
    let y = signed(s, base, exponent, y);
    let is_number = s.equal(base, base);
    let y = s.select(is_number, y, base);
    let zero = s.f32(0.0);
    let one = s.f32(1.0);
    let to_the_zeroth = s.equal(exponent, zero);
    let of_one = s.equal(base, one);
    let is_one = s.or(to_the_zeroth, of_one);
    s.select(is_one, one, y)
}

/// `log2 x` of a positive finite x as an f32 and the small rest of it.
fn log2(s: &mut ScalarPool, x: ScalarId) -> (ScalarId, ScalarId) {
    // With r = (m - 1) / (m + 1): log m = 2 (r + r^3 / 3 + r^5 / 5 + ...).
    let (mantissa, exponent) = split(s, x);
    let one = s.f32(1.0);
    let above = s.minus(mantissa, one);
    let sum = s.plus(mantissa, one);
    let sum_rest = s.minus(one, sum);
    let sum_rest = s.plus(sum_rest, mantissa);
    let r = s.over(above, sum);
    let minus_r = s.neg(r);
    let remainder = s.fma(minus_r, sum, above);
    let remainder = s.fma(minus_r, sum_rest, remainder);
    let two = s.f32(2.0);
    let twice = s.times(remainder, two);
    let twice_r_rest = s.over(twice, sum);
    let square = s.times(r, r);
    let series = s.polynomial(square, &[2.0 / 11.0, 2.0 / 9.0, 2.0 / 7.0, 0.4, 2.0 / 3.0]);
    let cube = s.times(square, r);
    let tail = s.fma(cube, series, twice_r_rest);
    let twice_r = s.times(r, two);
    // 1 / ln 2 as the sum of two f32.
    let (per_ln2, per_ln2_rest) = (s.f32(std::f32::consts::LOG2_E), s.f32(1.925_963e-8));
    let main = s.times(twice_r, per_ln2);
    let minus_main = s.neg(main);
    let rest = s.fma(twice_r, per_ln2, minus_main);
    let rest = s.fma(twice_r, per_ln2_rest, rest);
    let rest = s.fma(tail, per_ln2, rest);
    let high = s.plus(exponent, main);
    let lost = s.minus(exponent, high);
    let lost = s.plus(lost, main);
    let low = s.plus(lost, rest);
    let total = s.plus(high, low);
    let lost = s.minus(high, total);
    (total, s.plus(lost, low))
}

/// `2^(x + rest)` for a rest much smaller than 1.
fn exp2(s: &mut ScalarPool, x: ScalarId, rest: ScalarId) -> ScalarId {
    // Beyond these the result is 0 or infinite anyway. A NaN passes as the second operand.
    let (lowest, highest) = (s.f32(-160.0), s.f32(130.0));
    let x = s.max(lowest, x);
    let x = s.min(highest, x);
    // For an infinite x the rest means nothing, and here NaN is not to pass.
    let (minus_one, one) = (s.f32(-1.0), s.f32(1.0));
    let rest = s.max(rest, minus_one);
    let rest = s.min(rest, one);
    let shifter = s.f32(SHIFTER);
    let shifted = s.plus(x, shifter);
    let n = s.minus(shifted, shifter);
    let fraction = s.minus(x, n);
    let fraction = s.plus(fraction, rest);
    let mantissa = s.polynomial(fraction, &POWERS);
    times_power_of_two(s, mantissa, shifted)
}

/// `(ln 2)^k / k!`, from the highest power down.
const POWERS: [f32; 8] = [
    1.525_273_4e-5,
    1.540_353e-4,
    1.333_355_8e-3,
    9.618_129e-3,
    5.550_411e-2,
    2.402_265e-1,
    std::f32::consts::LN_2,
    1.0,
];

/// y, or the limit where the base is 0, 1 or infinite.
fn limits(s: &mut ScalarPool, magnitude: ScalarId, exponent: ScalarId, y: ScalarId) -> ScalarId {
    let (zero, one, infinity) = (s.f32(0.0), s.f32(1.0), s.f32(f32::INFINITY));
    let up = s.less(zero, exponent);
    let down = s.less(exponent, zero);
    let vanishing = s.select(down, infinity, exponent);
    let vanishing = s.select(up, zero, vanishing);
    let growing = s.select(down, zero, exponent);
    let growing = s.select(up, infinity, growing);
    let is_zero = s.equal(magnitude, zero);
    let is_infinite = s.equal(magnitude, infinity);
    let is_one = s.equal(magnitude, one);
    let is_number = s.equal(exponent, exponent);
    let stays_one = s.and(is_one, is_number);
    let y = s.select(is_zero, vanishing, y);
    let y = s.select(is_infinite, growing, y);
    s.select(stays_one, one, y)
}

/// y with the sign that a negative base gives it, NaN for an exponent in between.
fn signed(s: &mut ScalarPool, base: ScalarId, exponent: ScalarId, y: ScalarId) -> ScalarId {
    let (zero, half) = (s.f32(0.0), s.f32(0.5));
    let whole = s.unary(UnaryOp::Floor, exponent);
    let is_whole = s.equal(whole, exponent);
    let halved = s.times(exponent, half);
    let whole_half = s.unary(UnaryOp::Floor, halved);
    let is_even = s.equal(whole_half, halved);
    let minus_y = s.neg(y);
    let undefined = s.f32(f32::NAN);
    let of_whole = s.select(is_even, y, minus_y);
    let of_negative = s.select(is_whole, of_whole, undefined);
    let is_negative = s.less(base, zero);
    s.select(is_negative, of_negative, y)
}

pub fn eval(x: &[f64], _: DType) -> f64 {
    x[0].powf(x[1])
}
