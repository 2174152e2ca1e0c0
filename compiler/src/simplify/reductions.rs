//! Rewrites of `sum` and `max_over`.

use super::movement::{narrowed, reads};
use super::rewrite::Rewrite;
use crate::graph::{NodeId, Op, View, merge_groups};
use crate::index::IndexExpr;

/// The axes that an operation reduces, its operand, and whether it sums.
fn reduction(r: &Rewrite, id: NodeId) -> Option<(Vec<usize>, NodeId, bool)> {
    let x = *r.inputs(id).first()?;
    match r.op(id) {
        Op::Sum { axes } => Some((axes.clone(), x, true)),
        Op::MaxOver { axes } => Some((axes.clone(), x, false)),
        _ => None,
    }
}

fn reduce(r: &mut Rewrite, x: NodeId, axes: &[usize], sums: bool) -> NodeId {
    match sums {
        true => r.g.sum(x, axes),
        false => r.g.max_over(x, axes),
    }
}

/// The sum of n times c is `n * c`; the greatest of them is c.
pub fn sum_of_constant(r: &mut Rewrite, id: NodeId) -> Option<NodeId> {
    let (_, x, sums) = reduction(r, id)?;
    let value = r.constant(x)?;
    let count = (r.elements(x) / r.elements(id)) as f64;
    Some(r.g.constant_like(if sums { count * value } else { value }, id))
}

/// A sum of a sum is one, and so with the greatest.
pub fn reduce_once(r: &mut Rewrite, id: NodeId) -> Option<NodeId> {
    let (outer, inner, sums) = reduction(r, id)?;
    let (mut axes, x, inner_sums) = reduction(r, inner)?;
    if sums != inner_sums || !r.read_once(inner) {
        return None;
    }
    let rank = r.g.shape(x).len();
    let kept: Vec<usize> = (0..rank).filter(|axis| !axes.contains(axis)).collect();
    axes.extend(outer.iter().map(|&axis| kept[axis]));
    Some(reduce(r, x, &axes, sums))
}

/// Nothing is to be reduced along an axis of size 1; it is just dropped.
pub fn reduce_unit_axes(r: &mut Rewrite, id: NodeId) -> Option<NodeId> {
    let (axes, x, sums) = reduction(r, id)?;
    let shape = r.g.shape(x).to_vec();
    let (units, long): (Vec<usize>, Vec<usize>) = axes.iter().partition(|&&axis| shape[axis] == 1);
    if units.is_empty() {
        return None;
    }
    let kept: Vec<usize> = (0..shape.len())
        .filter(|axis| !units.contains(axis))
        .collect();
    let position = |axis: usize| kept.iter().position(|&k| k == axis);
    let map = (0..shape.len())
        .map(|axis| position(axis).map_or(IndexExpr::constant(0), IndexExpr::dim))
        .collect();
    let dropped = View::new(
        kept.iter().map(|&axis| shape[axis]).collect(),
        map,
        0.0,
        &shape,
    );
    let x = r.g.view(x, dropped);
    let long: Vec<usize> = long.iter().filter_map(|&axis| position(axis)).collect();
    Some(reduce(r, x, &long, sums))
}

/// Over a merged axis it is over all that were merged.
pub fn reduce_merged(r: &mut Rewrite, id: NodeId) -> Option<NodeId> {
    let (axes, merge, sums) = reduction(r, id)?;
    let [x] = r.operands(merge, &Op::Reshape)?;
    let groups = merge_groups(r.g.shape(x), r.g.shape(merge));
    let shape = r.g.shape(id).to_vec();
    let apart: Vec<usize> = axes.iter().flat_map(|&axis| groups[axis].clone()).collect();
    let y = reduce(r, x, &apart, sums);
    Some(r.g.reshape(y, &shape))
}

/// The sum of n copies is n times the thing, the greatest of them is the thing.
pub fn reduce_before_broadcast(r: &mut Rewrite, id: NodeId) -> Option<NodeId> {
    let (axes, broadcast, sums) = reduction(r, id)?;
    let (x, view) = r.view(broadcast)?;
    let view = view.clone();
    let copied = |axis: &usize| !reads(&view, *axis);
    let copies: usize = axes
        .iter()
        .filter(|axis| copied(axis))
        .map(|&axis| view.shape[axis])
        .product();
    if !axes.iter().any(copied) {
        return None;
    }
    let dropped = |axis: &usize| axes.contains(axis) && copied(axis);
    let kept: Vec<usize> = (0..view.shape.len())
        .filter(|axis| !dropped(axis))
        .collect();
    let x = narrowed(r, x, &view, &kept);
    let left = (0..kept.len()).filter(|&position| axes.contains(&kept[position]));
    let left: Vec<usize> = left.collect();
    let y = reduce(r, x, &left, sums);
    Some(match sums {
        true => r.g.scale(y, copies as f64),
        false => y,
    })
}

/// `sum(x * c) = sum(x) * c` and `sum(x / c) = sum(x) / c` for what does not depend on
/// the summed axes; `sum(-x) = -sum(x)`.
pub fn scale_after_sum(r: &mut Rewrite, id: NodeId) -> Option<NodeId> {
    let (axes, x, true) = reduction(r, id)? else {
        return None;
    };
    if !r.read_once(x) {
        return None;
    }
    let (op, inputs) = r.parts(x);
    let rank = r.g.shape(x).len();
    let kept: Vec<usize> = (0..rank).filter(|axis| !axes.contains(axis)).collect();
    match (op, &inputs[..]) {
        (Op::Neg, &[x]) => {
            let y = r.g.sum(x, &axes);
            Some(r.g.neg(y))
        }
        (Op::Mul, &[a, b]) => {
            let (x, factor) = match (same_along(r, b, &axes, &kept, id), a) {
                (Some(factor), x) => (x, factor),
                (None, _) => (b, same_along(r, a, &axes, &kept, id)?),
            };
            let y = r.g.sum(x, &axes);
            Some(r.g.mul(y, factor))
        }
        (Op::Div, &[x, divisor]) => {
            let divisor = same_along(r, divisor, &axes, &kept, id)?;
            let y = r.g.sum(x, &axes);
            Some(r.g.div(y, divisor))
        }
        _ => None,
    }
}

/// A node without axes along which it does not change, like the sum over them.
fn same_along(
    r: &mut Rewrite,
    x: NodeId,
    axes: &[usize],
    kept: &[usize],
    sum: NodeId,
) -> Option<NodeId> {
    if let Some(value) = r.constant(x) {
        return Some(r.g.constant_like(value, sum));
    }
    let (operand, view) = r.view(x)?;
    let view = view.clone();
    let changes = axes.iter().any(|&axis| reads(&view, axis));
    (!changes).then(|| narrowed(r, operand, &view, kept))
}
