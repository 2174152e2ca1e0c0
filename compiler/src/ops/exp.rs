//! `exp(x) = e^x`.
//!
//! Edges: 0 at negative infinity and below -103.98, infinity above 88.72, denormal in
//! between as they should be, NaN at NaN. Within 1.2 ulp. Gradient: `dy * y`.
//!
//! Lowering: `x = n ln 2 + r` with `|r| <= ln 2 / 2`, a polynomial for `e^r` (Cephes, `expf`)
//! and `2^n` put together from bits, in two factors so that neither over- nor underflows. What is
//! added to round to n leaves its bits where they are wanted, so that nothing is converted.

use super::Chain;
use super::operands::{Inferred, Operands, REALS};
use crate::graph::DType;
use crate::nest::{ScalarId, ScalarPool};

pub fn infer(x: &Operands) -> Inferred {
    x.pointwise(1, REALS)
}

pub fn grad(c: &mut Chain) {
    c.pass_scaled(c.y);
}

pub fn lower(s: &mut ScalarPool, x: &[ScalarId], _: DType) -> ScalarId {
    // Beyond these the result is 0 or infinite anyway. A NaN passes as the second operand.
    let (lowest, highest) = (s.f32(-104.0), s.f32(89.0));
    let x = s.max(lowest, x[0]);
    let x = s.min(highest, x);
    let (per_ln2, shifter) = (s.f32(std::f32::consts::LOG2_E), s.f32(SHIFTER));
    let shifted = s.fma(x, per_ln2, shifter);
    let n = s.minus(shifted, shifter);
    let (ln2_high, ln2_low) = (s.f32(-0.693_359_4), s.f32(2.121_944_4e-4));
    let r = s.fma(n, ln2_high, x);
    let r = s.fma(n, ln2_low, r);
    let tail = s.polynomial(r, &TAIL);
    let one = s.f32(1.0);
    let square = s.times(r, r);
    let above_one = s.fma(tail, square, r);
    let mantissa = s.plus(above_one, one);
    times_power_of_two(s, mantissa, shifted)
}

pub fn eval(x: &[f64], _: DType) -> f64 {
    x[0].exp()
}

/// `(e^r - 1 - r) / r^2`, from the highest power down.
const TAIL: [f32; 6] = [
    1.987_569_1e-4,
    1.398_2e-3,
    8.333_452e-3,
    4.166_579_6e-2,
    1.666_666_5e-1,
    0.5,
];

/// Numbers of some hundred are rounded to integers n where this is added to them, and the last bits
/// of the sum are those of n + 254: of two exponents as floats hold them, taken together.
pub(super) const SHIFTER: f32 = 12_583_166.0;

/// `x * 2^n` for an integral n in -252..=254, `shifted` being n + [`SHIFTER`].
pub(super) fn times_power_of_two(s: &mut ScalarPool, x: ScalarId, shifted: ScalarId) -> ScalarId {
    let bits = s.bits_to_i32(shifted);
    let one = s.i32(1);
    let half = s.shift_right(bits, one);
    let rest = s.minus(bits, half);
    let (first, second) = (power(s, half), power(s, rest));
    let x = s.times(x, first);
    s.times(x, second)
}

/// The power of two whose exponent stands in the last bits.
fn power(s: &mut ScalarPool, exponent: ScalarId) -> ScalarId {
    let mantissa_bits = s.i32(23);
    let bits = s.shift_left(exponent, mantissa_bits);
    s.bits_to_f32(bits)
}
