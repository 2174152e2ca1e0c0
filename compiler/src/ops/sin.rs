//! `sin(x)`, x in radians.
//!
//! Edges: NaN at infinities and NaN. Within 2 ulp (near its zeros within 1e-7 in all) up to
//! |x| = 8192; beyond, x is reduced with an error that grows with it. Gradient: `dy * cos(x)`.
//!
//! Lowering: `x = n pi / 2 + r` with `|r| <= pi / 4`, two polynomials (Cephes, `sinf`, `cosf`).

use super::Chain;
use super::operands::{Inferred, Operands, REALS};
use crate::graph::DType;
use crate::nest::{ScalarId, ScalarPool};

pub fn infer(x: &Operands) -> Inferred {
    x.pointwise(1, REALS)
}

pub fn grad(c: &mut Chain) {
    let slope = c.g.cos(c.x[0]);
    c.pass_scaled(slope);
}

pub fn lower(s: &mut ScalarPool, x: &[ScalarId], _: DType) -> ScalarId {
    quarter_turns(s, x[0], 0)
}

pub fn eval(x: &[f64], _: DType) -> f64 {
    x[0].sin()
}

/// `(sin r - r) / r^3` in r^2, from the highest power down.
const SINE: [f32; 3] = [-1.951_529_6e-4, 8.332_161e-3, -1.666_665_5e-1];
/// `(cos r - 1 + r^2 / 2) / r^4` in r^2, from the highest power down.
const COSINE: [f32; 3] = [2.443_315_7e-5, -1.388_731_6e-3, 4.166_664_6e-2];

/// The sine of x plus `shift` quarter turns.
pub(super) fn quarter_turns(s: &mut ScalarPool, x: ScalarId, shift: i32) -> ScalarId {
    let per_quarter = s.f32(std::f32::consts::FRAC_2_PI);
    let n = s.times(x, per_quarter);
    let n = s.nearest(n);
    // pi / 2 in three parts, the first two short enough for exact products.
    let mut r = x;
    for part in [-1.570_312_5, -4.837_513e-4, -7.549_79e-8] {
        let part = s.f32(part);
        r = s.fma(n, part, r);
    }
    let square = s.times(r, r);
    let one = s.f32(1.0);
    let minus_half = s.f32(-0.5);
    let tail = s.polynomial(square, &SINE);
    let cube = s.times(square, r);
    let sine = s.fma(tail, cube, r);
    let tail = s.polynomial(square, &COSINE);
    let tail = s.times(tail, square);
    let tail = s.plus(tail, minus_half);
    let cosine = s.fma(tail, square, one);
    let n = s.to_i32(n);
    let (shift, one, two) = (s.i32(shift), s.i32(1), s.i32(2));
    let quadrant = s.plus(n, shift);
    let odd = s.and(quadrant, one);
    let is_odd = s.equal(odd, one);
    let y = s.select(is_odd, cosine, sine);
    let half_turns = s.and(quadrant, two);
    let is_turned = s.equal(half_turns, two);
    let minus_y = s.neg(y);
    s.select(is_turned, minus_y, y)
}
