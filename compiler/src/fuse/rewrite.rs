//! Equal graphs that fuse better.

use crate::graph::{DType, Graph, GraphBuilder, NodeId, Op, Step, Type};
use rustc_hash::FxHashMap;

/// The same step, in which masks are taken from values that are in memory anyway.
///
/// `x > c` is `max(x, c) > c`: the backward pass of a relu looks at what came out of
/// it, which the next layer needs, and what went in is never stored. NaN goes
/// through the maximum and makes both masks false. So it is with `min` and `x < c`.
pub fn rewrite(step: &Step) -> Step {
    let mut step = step.clone();
    let mut clamped: FxHashMap<Clamp, NodeId> = FxHashMap::default();
    for position in 0..step.graph.nodes.len() {
        let id = NodeId(position as u32);
        let (op, inputs) = (&step.graph.node(id).op, &step.graph.node(id).inputs);
        let known = match *inputs.as_slice() {
            [a, b] => match op {
                Op::Max | Op::Min => {
                    let low = *op == Op::Max;
                    for (x, bound) in [(a, b), (b, a)] {
                        if let Some(bound) = number(&step.graph, bound) {
                            clamped.entry(Clamp { x, bound, low }).or_insert(id);
                        }
                    }
                    None
                }
                Op::Less | Op::LessEq => {
                    let of = |x: NodeId, bound: NodeId, low: bool| {
                        let bound = number(&step.graph, bound)?;
                        clamped.get(&Clamp { x, bound, low }).copied()
                    };
                    let strict = *op == Op::Less;
                    // c < x and x <= c look from above, x < c and c <= x from below.
                    of(b, a, strict)
                        .map(|y| (1, y))
                        .or_else(|| of(a, b, !strict).map(|y| (0, y)))
                }
                _ => None,
            },
            _ => None,
        };
        if let Some((operand, y)) = known {
            step.graph.nodes[position].inputs[operand] = y;
        }
    }
    step
}

/// `max(x, bound)`, or `min` where it is not `low`.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Clamp {
    x: NodeId,
    bound: u64,
    low: bool,
}

/// The bits of the number that all elements are.
fn number(graph: &Graph, id: NodeId) -> Option<u64> {
    match graph.node(id).op {
        Op::Constant(value) => Some(value.to_bits()),
        _ => None,
    }
}

/// The same step, in which no mask is moved: what moves is 1 where it is true and 0
/// elsewhere, which can be a tensor in memory if need be.
pub fn move_numbers(step: &Step) -> Step {
    let g = GraphBuilder::beside(&step.graph.origins);
    step.rebuilt(g, |g, _, node, new| {
        let moves = matches!(node.op, Op::View(_) | Op::Reshape);
        if !moves || node.ty.dtype != DType::Bool {
            return g.copy(node, new);
        }
        let mask = node.inputs_in(new)[0];
        let numbers = g.cast(mask, DType::F32);
        let ty = Type::f32(node.ty.shape.clone());
        let moved = g.push_as(node.op.clone(), &[numbers], ty);
        let half = g.constant_like(0.5, moved);
        g.less(half, moved)
    })
}
