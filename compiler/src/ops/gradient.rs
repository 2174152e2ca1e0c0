//! `gradient(loss, w)`: of a scalar by a tensor, shaped like the tensor.
//!
//! A request, not an operation: `differentiate` replaces it by the graph that computes it.

use super::operands::{Inferred, Operands};
use super::{Chain, Precision, Tensor};
use crate::bug::bug;
use crate::graph::{DType, Type};

pub fn infer(x: &Operands) -> Inferred {
    let [loss, wrt] = x.get()?;
    if *loss != Type::f32([]) || wrt.dtype != DType::F32 {
        return Err("is that of an f32 scalar by an f32 tensor".into());
    }
    Ok(wrt.clone())
}

pub fn grad(c: &mut Chain) {
    bug!("differentiate", "{} is still a request for a gradient", c.y)
}

pub fn eval(_: &[&Tensor], ty: &Type, _: Precision) -> Tensor {
    bug!("eval", "a gradient {ty:?} is still a request")
}
