//! `sum(x)` over some axes, of f32 or i32.
//!
//! Edges: NaN where one is NaN; integers wrap. In which order the terms are added is
//! up to the compiler, and the same in every run. Gradient: dy, broadcast.

use super::operands::{Inferred, NUMBERS, Operands};
use super::{Chain, Precision, Tensor};
use crate::graph::{GraphBuilder, NodeId, Type};

pub fn infer(axes: &[usize], x: &Operands) -> Inferred {
    x.reduction(axes, NUMBERS)
}

pub fn grad(axes: &[usize], c: &mut Chain) {
    let dx = spread(c.g, c.dy, axes, c.x[0]);
    c.pass(0, dx);
}

/// `y` repeated along the reduced axes of `x`.
pub(super) fn spread(g: &mut GraphBuilder, y: NodeId, axes: &[usize], x: NodeId) -> NodeId {
    let shape = g.shape(x).to_vec();
    let kept: Vec<usize> = (0..shape.len()).filter(|axis| !axes.contains(axis)).collect();
    g.broadcast(y, &shape, &kept)
}

pub fn eval(axes: &[usize], x: &[&Tensor], ty: &Type, precision: Precision) -> Tensor {
    fold(axes, x[0], ty, 0.0, |sum, x| precision.round(sum + x, ty.dtype))
}

/// Combines the elements over some axes, first to last.
pub(super) fn fold(
    axes: &[usize],
    x: &Tensor,
    ty: &Type,
    from: f64,
    combine: impl Fn(f64, f64) -> f64,
) -> Tensor {
    let reduced: Vec<usize> = axes.iter().map(|&axis| x.ty.shape[axis]).collect();
    let kept: Vec<usize> = (0..x.ty.shape.len()).filter(|axis| !axes.contains(axis)).collect();
    Tensor::from_fn(ty, |outer| {
        let mut point = vec![0; x.ty.shape.len()];
        for (&axis, &index) in kept.iter().zip(outer) {
            point[axis] = index;
        }
        super::tensor::points(&reduced).fold(from, |folded, inner| {
            for (&axis, &index) in axes.iter().zip(&inner) {
                point[axis] = index;
            }
            combine(folded, x.at(&point))
        })
    })
}
