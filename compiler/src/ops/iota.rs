//! `iota(axis)`: each element its own index along the axis, as i32.

use super::operands::{Inferred, Operands};
use super::{Chain, Precision, Tensor};
use crate::graph::{DType, Type};

pub fn infer(axis: &usize, x: &Operands) -> Inferred {
    let ty = x.leaf()?;
    if ty.dtype != DType::I32 || *axis >= ty.shape.len() {
        return Err(format!("cannot count axis {axis} in {ty:?}"));
    }
    Ok(ty)
}

pub fn grad(_: &usize, _: &mut Chain) {
    // A leaf: nothing to pass it on to.
}

pub fn eval(axis: &usize, _: &[&Tensor], ty: &Type, _: Precision) -> Tensor {
    Tensor::from_fn(ty, |point| point[*axis] as f64)
}
