//! `argmax(x)`: where along an axis the greatest element stands first, as i32.
//!
//! Edges: the first NaN counts as the greatest, if there is one. Gradient: none, as that of every step.

use super::operands::{Inferred, Operands, REALS};
use super::{Chain, Precision, Tensor};
use crate::graph::{DType, Type};

pub fn infer(axis: &usize, x: &Operands) -> Inferred {
    Ok(Type {
        dtype: DType::I32,
        shape: x.reduction(&[*axis], REALS)?.shape,
    })
}

pub fn grad(_: &usize, _: &mut Chain) {
    // Piecewise constant: no gradient.
}

pub fn eval(axis: &usize, x: &[&Tensor], ty: &Type, _: Precision) -> Tensor {
    let x = x[0];
    Tensor::from_fn(ty, |outer| {
        let at = |index: usize| {
            let mut point = outer.to_vec();
            point.insert(*axis, index);
            x.at(&point)
        };
        let mut best = 0;
        for index in 1..x.ty.shape[*axis] {
            let (candidate, known) = (at(index), at(best));
            if candidate > known || (candidate.is_nan() && !known.is_nan()) {
                best = index;
            }
        }
        best as f64
    })
}
