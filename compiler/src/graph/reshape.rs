//! Changing a shape: at most a view that splits axes, one merge, and a view that
//! splits again.

use super::{GraphBuilder, NodeId, Op, Type, View, is_merge};
use crate::bug::bug;
use crate::index::{Dim, IndexExpr};

/// The elements of `x` in row-major order under another shape.
pub fn reshape(g: &mut GraphBuilder, x: NodeId, to: &[usize]) -> NodeId {
    let from = g.shape(x).to_vec();
    if from.iter().product::<usize>() != to.iter().product::<usize>() {
        bug!("graph", "{x} {from:?} cannot take the shape {to:?}");
    }
    if from == to {
        return x;
    }
    if is_merge(&from, to) {
        return merge(g, x, to);
    }
    let (split, merged) = stations(&without_ones(&from), &without_ones(to));
    let x = split_into(g, x, &split);
    let x = merge(g, x, &merged);
    split_into(g, x, to)
}

/// The row-major index of a tensor of shape `sizes` whose axes are the dimensions from `first` on.
pub fn row_major(sizes: &[usize], first: Dim) -> IndexExpr {
    let mut stride = 1;
    let mut terms = Vec::with_capacity(sizes.len());
    for (axis, &size) in sizes.iter().enumerate().rev() {
        terms.push((first + axis, stride));
        stride *= size as i64;
    }
    IndexExpr::affine(terms, 0)
}

fn merge(g: &mut GraphBuilder, x: NodeId, to: &[usize]) -> NodeId {
    if g.shape(x) == to {
        return x;
    }
    // A merge of a merge is one.
    let node = g.graph().node(x);
    let inner = match node.op {
        Op::Reshape => node.inputs[0],
        _ => x,
    };
    let ty = Type {
        dtype: g.ty(x).dtype,
        shape: to.to_vec(),
    };
    g.push_as(Op::Reshape, &[inner], ty)
}

/// A view under a shape into which each axis divides evenly; axes of size 1 come and go.
fn split_into(g: &mut GraphBuilder, x: NodeId, to: &[usize]) -> NodeId {
    let mut next = 0;
    let mut map = Vec::new();
    for &size in g.shape(x) {
        let start = next;
        let mut product = 1;
        while product < size {
            product *= to[next];
            next += 1;
        }
        map.push(row_major(&to[start..next], start));
    }
    let view = View::new(to.to_vec(), map, 0.0, g.shape(x));
    g.view(x, view)
}

/// The shapes before and after the merge on the way from one shape to another, both
/// without axes of size 1.
///
/// Between two places where both shapes have a boundary, either their boundaries
/// divide each other in turn, and both are merges of the finer shape; or they do
/// not ([4, 6] and [3, 8]), and the merge goes all the way to one axis.
fn stations(from: &[usize], to: &[usize]) -> (Vec<usize>, Vec<usize>) {
    let (mut split, mut merged) = (Vec::new(), Vec::new());
    let (mut i, mut j) = (0, 0);
    while i < from.len() {
        let (first_i, first_j) = (i, j);
        let (mut left, mut right) = (from[i], to[j]);
        let mut cuts = Vec::new();
        (i, j) = (i + 1, j + 1);
        while left != right {
            cuts.push(left.min(right));
            if left < right {
                left *= from[i];
                i += 1;
            } else {
                right *= to[j];
                j += 1;
            }
        }
        cuts.push(left);
        let sizes: Option<Vec<usize>> = (0..cuts.len())
            .map(|k| {
                let before = if k == 0 { 1 } else { cuts[k - 1] };
                (cuts[k] % before == 0).then(|| cuts[k] / before)
            })
            .collect();
        match sizes {
            Some(sizes) => {
                split.extend(sizes);
                merged.extend_from_slice(&to[first_j..j]);
            }
            None => {
                split.extend_from_slice(&from[first_i..i]);
                merged.push(left);
            }
        }
    }
    (split, merged)
}

fn without_ones(shape: &[usize]) -> Vec<usize> {
    shape.iter().copied().filter(|&size| size != 1).collect()
}
