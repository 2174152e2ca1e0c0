//! `view(x)[i] = x[map(i)]`, or the fill where the map leads outside x.
//!
//! Affine maps say transposes, broadcasts, slices, padding, reversal, dilation,
//! windows and the splitting of an axis. Gradient: the map read backwards, with a
//! sum over the points that read one element (a broadcast's copies, overlapping windows).

use super::inverse::Inverse;
use super::operands::{ANY, Inferred, Operands, check_map};
use super::{Chain, Precision, Tensor};
use crate::graph::{GraphBuilder, NodeId, Type, View};
use crate::index::IndexExpr;

pub fn infer(view: &View, x: &Operands) -> Inferred {
    let x = x.pointwise(1, ANY)?;
    check_map(&view.map, &view.shape, &x.shape)?;
    Ok(Type {
        dtype: x.dtype,
        shape: view.shape.clone(),
    })
}

pub fn grad(view: &View, c: &mut Chain) {
    let operand = c.g.shape(c.x[0]).to_vec();
    let dx = scatter(c.g, c.dy, &view.map, &operand);
    c.pass(0, dx);
}

/// The gradient by an operand that was read through `map`, `dy` being that by what was read.
pub(super) fn scatter(
    g: &mut GraphBuilder,
    dy: NodeId,
    map: &[IndexExpr],
    operand: &[usize],
) -> NodeId {
    // Copies first: the smaller tensor is then moved.
    let rank = g.shape(dy).len();
    let (read, copied): (Vec<usize>, Vec<usize>) =
        (0..rank).partition(|&dim| map.iter().any(|e| e.coefficient(dim) != 0));
    let dy = g.sum(dy, &copied);
    let position = |dim| read.iter().position(|&kept| kept == dim).unwrap_or(rank);
    let map: Vec<IndexExpr> = map.iter().map(|e| e.rename(position)).collect();
    let inverse = Inverse::new(&map, g.shape(dy), operand, |_| true);
    let view = View::new(inverse.dims.clone(), inverse.old.clone(), 0.0, g.shape(dy));
    let y = g.view(dy, view);
    let y = inverse.conditioned(g, y);
    let kept: Vec<usize> = (inverse.rank..inverse.dims.len()).collect();
    let y = g.sum(y, &kept);
    inverse.shaped(g, y)
}

pub fn eval(view: &View, x: &[&Tensor], ty: &Type, precision: Precision) -> Tensor {
    let fill = precision.round(view.fill, ty.dtype);
    Tensor::from_fn(ty, |point| x[0].read(&view.map, point).unwrap_or(fill))
}
