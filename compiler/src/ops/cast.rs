//! `cast(x)`: x as another type.
//!
//! From f32 to i32 towards zero, saturating, NaN to 0; from i32 to f32 to the
//! nearest; to a mask: whether it is not 0; from a mask: 1 or 0.
//! Gradient: none, for only f32 has gradients and a cast from f32 to f32 never stands in a graph.

use super::Chain;
use super::operands::{ANY, Inferred, Operands};
use crate::graph::{DType, Type};
use crate::nest::{ScalarId, ScalarPool, UnaryOp};

pub fn infer(to: &DType, x: &Operands) -> Inferred {
    let x = x.pointwise(1, ANY)?;
    if x.dtype == *to {
        return Err(format!("casts {to:?} to itself"));
    }
    Ok(Type {
        dtype: *to,
        shape: x.shape,
    })
}

pub fn grad(_: &DType, _: &mut Chain) {
    // Steps and masks: no gradient.
}

pub fn lower(to: &DType, s: &mut ScalarPool, x: &[ScalarId], of: DType) -> ScalarId {
    let x = x[0];
    match (of, to) {
        (DType::F32, DType::I32) => s.to_i32(x),
        (DType::I32, DType::F32) => s.to_f32(x),
        (DType::Bool, DType::F32) => s.unary(UnaryOp::MaskToF32, x),
        (DType::Bool, DType::I32) => {
            let (one, zero) = (s.i32(1), s.i32(0));
            s.select(x, one, zero)
        }
        (DType::F32, DType::Bool) => {
            let zero = s.f32(0.0);
            let is_zero = s.equal(x, zero);
            s.unary(UnaryOp::Not, is_zero)
        }
        (DType::I32, DType::Bool) => {
            let zero = s.i32(0);
            let is_zero = s.equal(x, zero);
            s.unary(UnaryOp::Not, is_zero)
        }
        (DType::F32, DType::F32) | (DType::I32, DType::I32) | (DType::Bool, DType::Bool) => x,
    }
}

pub fn eval(to: &DType, x: &[f64], _: DType) -> f64 {
    match to {
        DType::F32 => x[0],
        DType::I32 => f64::from(x[0] as i32),
        DType::Bool => f64::from(x[0] != 0.0),
    }
}
