//! `reshape(x)`: neighbouring axes of x made one, `y[i * n + j] = x[i, j]`.
//!
//! The opposite, splitting an axis, is a view. Gradient: dy with its axes split.

use super::operands::{Inferred, Operands};
use super::{Chain, Precision, Tensor};
use crate::graph::{Type, is_merge};

pub fn infer(x: &Operands) -> Inferred {
    let [from] = x.get()?;
    let to = x.given()?;
    if to.dtype != from.dtype || !is_merge(&from.shape, &to.shape) {
        return Err(format!("cannot merge {from:?} into {to:?}"));
    }
    Ok(to)
}

pub fn grad(c: &mut Chain) {
    let shape = c.g.shape(c.x[0]).to_vec();
    let dx = c.g.reshape(c.dy, &shape);
    c.pass(0, dx);
}

pub fn eval(x: &[&Tensor], ty: &Type, _: Precision) -> Tensor {
    Tensor {
        ty: ty.clone(),
        elements: x[0].elements.clone(),
    }
}
