//! `select(mask, a, b)`: a where the mask is true, b elsewhere.
//!
//! Edges: what is not chosen does not matter, not even NaN. Gradient: dy goes to what is
//! chosen, 0 to the other, so a NaN there does not come back either.

use super::Chain;
use super::operands::{Inferred, Operands};
use crate::graph::DType;
use crate::nest::{ScalarId, ScalarPool, UnaryOp};

pub fn infer(x: &Operands) -> Inferred {
    let [mask, a, b] = x.get()?;
    if mask.dtype != DType::Bool || mask.shape != a.shape || a != b {
        return Err("takes a mask and two operands of its shape".into());
    }
    Ok(a.clone())
}

pub fn grad(c: &mut Chain) {
    let zero = c.g.constant_like(0.0, c.dy);
    let db = c.g.select(c.x[0], zero, c.dy);
    c.pass_where(1, c.x[0]);
    c.pass(2, db);
}

pub fn lower(s: &mut ScalarPool, x: &[ScalarId], of: DType) -> ScalarId {
    let (mask, a, b) = (x[0], x[1], x[2]);
    match of {
        DType::F32 | DType::I32 => s.select(mask, a, b),
        DType::Bool => {
            let unset = s.unary(UnaryOp::Not, mask);
            let a = s.and(mask, a);
            let b = s.and(unset, b);
            s.or(a, b)
        }
    }
}

pub fn eval(x: &[f64], _: DType) -> f64 {
    match x[0] != 0.0 {
        true => x[1],
        false => x[2],
    }
}
