//! Rewrites of `sum` and `max_over`.

use super::movement::{narrowed, reads};
use super::rewrite::Rewrite;
use crate::graph::{NodeId, Op, View, is_mean, merge_groups};
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

/// Over an axis that rows and their numbers have in common it is one `scatter` of all rows along it.
pub fn sum_of_scatter(r: &mut Rewrite, id: NodeId) -> Option<NodeId> {
    let (axes, x, true) = reduction(r, id)? else {
        return None;
    };
    let &Op::Scatter { axis, shared, size } = r.op(x) else {
        return None;
    };
    // Only the last ones stand where the numbers' own axes begin.
    let summed = axes.iter().filter(|&&summed| summed < shared).count();
    let last = shared - summed;
    if summed == 0 || axis != shared || !(last..shared).all(|axis| axes.contains(&axis)) {
        return None;
    }
    let &[rows, at] = r.inputs(x) else {
        return None;
    };
    let y = r.g.scatter(rows, at, (last, last), size);
    let rest = axes.iter().filter(|&&axis| axis >= shared);
    let rest: Vec<usize> = rest.map(|axis| axis - summed).collect();
    Some(r.g.sum(y, &rest))
}

/// The sum of what is left of x without its mean is 0, as that of any multiple of it is.
pub fn sum_of_centred(r: &mut Rewrite, id: NodeId) -> Option<NodeId> {
    let (axes, x, true) = reduction(r, id)? else {
        return None;
    };
    if is_centred(r, x, &axes) {
        return Some(r.g.constant_like(0.0, id));
    }
    let [a, b] = r.operands(x, &Op::Add)?;
    let rest = match (is_centred(r, a, &axes), is_centred(r, b, &axes)) {
        (true, _) => b,
        (false, true) => a,
        (false, false) => return None,
    };
    Some(r.g.sum(rest, &axes))
}

/// Whether a node is `x - mean(x)` or a multiple of it by what is the same along the axes.
fn is_centred(r: &Rewrite, id: NodeId, axes: &[usize]) -> bool {
    match (r.op(id), r.inputs(id)) {
        (Op::Sub, &[x, mean]) => is_mean(r.g.graph(), mean, x, axes),
        (Op::Neg, &[x]) => is_centred(r, x, axes),
        (Op::Mul, &[a, b]) => {
            (is_same_along(r, a, axes) && is_centred(r, b, axes))
                || (is_same_along(r, b, axes) && is_centred(r, a, axes))
        }
        _ => false,
    }
}

fn is_same_along(r: &Rewrite, x: NodeId, axes: &[usize]) -> bool {
    let repeats = |(_, view): (NodeId, &View)| axes.iter().all(|&axis| !reads(view, axis));
    r.constant(x).is_some() || r.view(x).is_some_and(repeats)
}

/// `sum(x * c) = sum(x) * c` and `sum(x / c) = sum(x) / c` for what does not depend on
/// the summed axes; `sum(-x) = -sum(x)`.
pub fn scale_after_sum(r: &mut Rewrite, id: NodeId) -> Option<NodeId> {
    let (axes, x, true) = reduction(r, id)? else {
        return None;
    };
    let rank = r.g.shape(x).len();
    let kept: Vec<usize> = (0..rank).filter(|axis| !axes.contains(axis)).collect();
    let Bare { x, factor } = Sums {
        id,
        axes: &axes,
        kept: &kept,
    }
    .bare(r, x)?;
    let y = r.g.sum(x, &axes);
    Some(match factor {
        Factor::Times(c) => r.g.mul(y, c),
        Factor::Over(c) => r.g.div(y, c),
        Factor::Minus => r.g.neg(y),
    })
}

/// What is summed, without one of its factors.
struct Bare {
    x: NodeId,
    factor: Factor,
}

/// A factor as the sum has it.
enum Factor {
    Times(NodeId),
    Over(NodeId),
    Minus,
}

/// A sum, the axes that it sums and those that it keeps.
struct Sums<'a> {
    id: NodeId,
    axes: &'a [usize],
    kept: &'a [usize],
}

impl Sums<'_> {
    /// Takes a factor out of x, or out of one of its factors. Either nobody else needs the
    /// product, or what is left of it is needed by others too and easily had: then sums of
    /// several multiples of it (as in the gradient of a norm) become one sum.
    fn bare(&self, r: &mut Rewrite, x: NodeId) -> Option<Bare> {
        let (op, inputs) = r.parts(x);
        let once = r.read_once(x);
        match (op, &inputs[..]) {
            (Op::Neg, &[x]) if once => Some(Bare {
                x,
                factor: Factor::Minus,
            }),
            (Op::Mul, &[a, b]) => {
                for (x, c) in [(a, b), (b, a)] {
                    if let Some(c) = same_along(r, c, self.axes, self.kept, self.id) {
                        let factor = Factor::Times(c);
                        return (once || at_hand(r, x)).then_some(Bare { x, factor });
                    }
                }
                if !once {
                    return None;
                }
                if let Some(Bare { x, factor }) = self.bare(r, a) {
                    let x = r.g.mul(x, b);
                    return Some(Bare { x, factor });
                }
                let Bare { x, factor } = self.bare(r, b)?;
                let x = r.g.mul(a, x);
                Some(Bare { x, factor })
            }
            (Op::Div, &[x, divisor]) if once => {
                let divisor = same_along(r, divisor, self.axes, self.kept, self.id)?;
                let factor = Factor::Over(divisor);
                Some(Bare { x, factor })
            }
            _ => None,
        }
    }
}

/// Whether others read a node that takes no time to speak of to compute again.
fn at_hand(r: &Rewrite, id: NodeId) -> bool {
    let quick = matches!(
        r.op(id),
        Op::Add | Op::Sub | Op::Mul | Op::Select | Op::Max | Op::Min | Op::Input(_) | Op::Slot(_)
    );
    quick && r.read_often(id)
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
    if !is_same_along(r, x, axes) {
        return None;
    }
    let (operand, view) = r.view(x)?;
    let view = view.clone();
    Some(narrowed(r, operand, &view, kept))
}
