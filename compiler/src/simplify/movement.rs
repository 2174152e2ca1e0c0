//! Rewrites of views and merges. Both move towards the results: what is the same
//! along an axis is computed once and broadcast late, and merges end up where a
//! tensor is stored, which costs nothing there.

use super::rewrite::Rewrite;
use crate::graph::{NodeId, Op, Type, View, merge_groups, row_major};
use crate::index::{Dim, IndexExpr};

/// A view of a constant is a constant, unless some of it is fill.
pub fn view_of_constant(r: &mut Rewrite, id: NodeId) -> Option<NodeId> {
    let (x, view) = r.view(id)?;
    let value = r.constant(x)?;
    let uniform = view.stays_inside(r.g.shape(x)) || view.fill == value;
    uniform.then(|| r.g.constant_like(value, id))
}

/// `f(view(a), view(b)) = view(f(a, b))` for one map that does not leave the operands,
/// if these have no more elements than the view.
pub fn sink_view(r: &mut Rewrite, id: NodeId) -> Option<NodeId> {
    let views = PointwiseViews::of(r, id)?;
    let (first, view) = views.views().next()?;
    let from = r.g.shape(first).to_vec();
    let same = |(x, other): (NodeId, &View)| other.map == view.map && r.g.shape(x) == from;
    let small = from.iter().product::<usize>() <= r.elements(id);
    if !small || !views.views().all(same) {
        return None;
    }
    let view = view.clone();
    let inputs = views.inputs(r, &from, |_, x, _| x);
    let y = r.like(id, &inputs);
    Some(r.g.view(y, view))
}

/// A pointwise operation on broadcasts alone: axes along which all operands are the same
/// are left out and come back by one broadcast of the result.
pub fn narrow_broadcast(r: &mut Rewrite, id: NodeId) -> Option<NodeId> {
    let views = PointwiseViews::of(r, id)?;
    let shape = r.g.shape(id).to_vec();
    let read = |dim: &Dim| views.views().any(|(_, view)| reads(view, *dim));
    let kept: Vec<Dim> = (0..shape.len()).filter(read).collect();
    let small: Vec<usize> = kept.iter().map(|&dim| shape[dim]).collect();
    if small.iter().product::<usize>() == shape.iter().product::<usize>() {
        return None;
    }
    let inputs = views.inputs(r, &small, |r, x, view| narrowed(r, x, view, &kept));
    let y = r.like(id, &inputs);
    Some(r.g.broadcast(y, &shape, &kept))
}

/// `(x * a) * b = x * (a * b)` for broadcasts (or constants) a and b, which the product
/// then meets before they are broadcast; the same for sums.
pub fn group_broadcasts(r: &mut Rewrite, id: NodeId) -> Option<NodeId> {
    if !matches!(r.op(id), Op::Add | Op::Mul) {
        return None;
    }
    let (op, inputs) = r.parts(id);
    let [left, right] = inputs[..] else {
        return None;
    };
    for (inner, b) in [(left, right), (right, left)] {
        let Some([p, q]) = r.operands(inner, &op).filter(|_| r.read_once(inner)) else {
            continue;
        };
        for (x, a) in [(p, q), (q, p)] {
            let broadcasts = is_broadcast(r, a) || is_broadcast(r, b);
            let cheap = |x: NodeId| is_broadcast(r, x) || r.constant(x).is_some();
            if broadcasts && cheap(a) && cheap(b) && !cheap(x) {
                let ab = r.g.push(op.clone(), &[a, b]);
                return Some(r.g.push(op, &[x, ab]));
            }
        }
    }
    None
}

/// `f(merge(a), b) = merge(f(a, split(b)))`.
pub fn sink_merge(r: &mut Rewrite, id: NodeId) -> Option<NodeId> {
    if !r.is_pointwise(id) {
        return None;
    }
    let inputs = r.inputs(id).to_vec();
    let merge = inputs.iter().find(|&&x| *r.op(x) == Op::Reshape)?;
    let from = r.g.shape(r.inputs(*merge)[0]).to_vec();
    let shape = r.g.shape(id).to_vec();
    let inputs: Vec<NodeId> = inputs.iter().map(|&x| split(r, x, &from)).collect();
    let y = r.like(id, &inputs);
    Some(r.g.reshape(y, &shape))
}

/// x with its axes split so that its shape is `from`.
fn split(r: &mut Rewrite, x: NodeId, from: &[usize]) -> NodeId {
    if let Some(value) = r.constant(x) {
        let ty = Type {
            dtype: r.g.ty(x).dtype,
            shape: from.to_vec(),
        };
        return r.g.constant(value, ty);
    }
    let groups = merge_groups(from, r.g.shape(x));
    let map = groups
        .into_iter()
        .map(|group| row_major(&from[group.clone()], group.start))
        .collect();
    let view = View::new(from.to_vec(), map, 0.0, r.g.shape(x));
    r.g.view(x, view)
}

/// A pointwise operation whose operands are views that never leave theirs, or constants; one at least is a view.
struct PointwiseViews(Vec<(NodeId, Option<View>)>);

impl PointwiseViews {
    fn of(r: &Rewrite, id: NodeId) -> Option<PointwiseViews> {
        if !r.is_pointwise(id) {
            return None;
        }
        let operands: Option<Vec<(NodeId, Option<View>)>> = r
            .inputs(id)
            .iter()
            .map(|&x| match r.view(x) {
                Some((operand, view)) if view.stays_inside(r.g.shape(operand)) => {
                    Some((operand, Some(view.clone())))
                }
                _ => r.constant(x).map(|_| (x, None)),
            })
            .collect();
        let views = PointwiseViews(operands?);
        views.views().next()?;
        Some(views)
    }

    fn views(&self) -> impl Iterator<Item = (NodeId, &View)> {
        self.0
            .iter()
            .filter_map(|(x, view)| Some((*x, view.as_ref()?)))
    }

    /// The operands, each view replaced, each constant under the given shape.
    fn inputs(
        &self,
        r: &mut Rewrite,
        shape: &[usize],
        mut replace: impl FnMut(&mut Rewrite, NodeId, &View) -> NodeId,
    ) -> Vec<NodeId> {
        let operands = self.0.iter();
        operands
            .map(|(x, view)| match (view, r.constant(*x)) {
                (Some(view), _) => replace(r, *x, view),
                (None, value) => {
                    let dtype = r.g.ty(*x).dtype;
                    let shape = shape.to_vec();
                    r.g.constant(value.unwrap_or_default(), Type { dtype, shape })
                }
            })
            .collect()
    }
}

/// A view without the dimensions that are not kept, none of which it reads.
pub fn narrowed(r: &mut Rewrite, x: NodeId, view: &View, kept: &[Dim]) -> NodeId {
    let position = |dim: Dim| kept.iter().position(|&k| k == dim).unwrap_or(kept.len());
    let map: Vec<IndexExpr> = view.map.iter().map(|e| e.rename(position)).collect();
    let shape = kept.iter().map(|&dim| view.shape[dim]).collect();
    let view = View::new(shape, map, view.fill, r.g.shape(x));
    r.g.view(x, view)
}

/// Whether the view depends on an index.
pub fn reads(view: &View, dim: Dim) -> bool {
    view.map.iter().any(|e| e.coefficient(dim) != 0)
}

/// Whether a node repeats fewer elements.
fn is_broadcast(r: &Rewrite, id: NodeId) -> bool {
    r.view(id)
        .is_some_and(|(x, view)| r.elements(x) < r.elements(id) && view.stays_inside(r.g.shape(x)))
}
