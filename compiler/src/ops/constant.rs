//! `constant(v)`: a tensor whose every element is v, rounded to its type (a mask:
//! whether v is not 0).

use super::operands::{Inferred, Operands};
use super::{Chain, Precision, Tensor};
use crate::graph::{DType, Type};
use crate::nest::{Scalar, ScalarId, ScalarPool};

pub fn infer(_: &f64, x: &Operands) -> Inferred {
    x.leaf()
}

pub fn grad(_: &f64, _: &mut Chain) {
    // A leaf: nothing to pass it on to.
}

/// The number as a scalar expression.
pub fn lower(value: f64, s: &mut ScalarPool, dtype: DType) -> ScalarId {
    s.add(match dtype {
        DType::F32 => Scalar::F32(value as f32),
        DType::I32 => Scalar::I32(value as i64 as i32),
        DType::Bool => Scalar::Mask(value != 0.0),
    })
}

pub fn eval(value: &f64, _: &[&Tensor], ty: &Type, precision: Precision) -> Tensor {
    Tensor::from_fn(ty, |_| precision.round(*value, ty.dtype))
}
