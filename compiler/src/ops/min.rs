//! `min(a, b)`: the lesser of a and b, of f32 or i32.
//!
//! Edges: NaN where either is NaN (unlike `f32::min`); of zeros of different sign any.
//! Gradient: all of it goes to a where `a < b`, else to b. So where both are equal b gets
//! it all: `min(x, 6)` has slope 0 at 6, as PyTorch's `relu6`.

use super::Chain;
use super::operands::{Inferred, NUMBERS, Operands};
use crate::graph::DType;
use crate::nest::{Scalar, ScalarId, ScalarPool};

pub fn infer(x: &Operands) -> Inferred {
    x.pointwise(2, NUMBERS)
}

pub fn grad(c: &mut Chain) {
    let first = c.g.less(c.x[0], c.x[1]);
    let zero = c.g.constant_like(0.0, c.dy);
    let db = c.g.select(first, zero, c.dy);
    c.pass_where(0, first);
    c.pass(1, db);
}

pub fn lower(s: &mut ScalarPool, x: &[ScalarId], of: DType) -> ScalarId {
    let (a, b) = (x[0], x[1]);
    // The machine's min gives its second operand where one is NaN. That is right when
    // the first is a number for sure, and all that integers need.
    match (s.get(a), s.get(b)) {
        _ if of == DType::I32 => s.min(a, b),
        (Scalar::F32(number), _) if !number.is_nan() => s.min(a, b),
        (_, Scalar::F32(number)) if !number.is_nan() => s.min(b, a),
        _ => {
            let chosen = s.min(a, b);
            let ordered = s.equal(a, a);
            s.select(ordered, chosen, a)
        }
    }
}

pub fn eval(x: &[f64], _: DType) -> f64 {
    match x[0] < x[1] || x[0].is_nan() {
        true => x[0],
        false => x[1],
    }
}
