//! Recognises means: `mean` is text of the library, so the graph has a sum and a factor.

use super::{Graph, NodeId, Op};

/// Whether `m` is the mean of `x` over `axes`, repeated along them:
/// `view(sum[axes](x) * (1 / n))`.
pub fn is_mean(graph: &Graph, m: NodeId, x: NodeId, axes: &[usize]) -> bool {
    let shape = &graph.ty(x).shape;
    let mut kept = (0..shape.len()).filter(|axis| !axes.contains(axis));
    let node = graph.node(m);
    let Op::View(view) = &node.op else {
        return false;
    };
    let repeated = node.ty.shape == *shape
        && view
            .map
            .iter()
            .all(|index| index.as_dim().is_some() && index.as_dim() == kept.next());
    let scaled = graph.node(node.inputs[0]);
    let [sum, factor] = scaled.inputs[..] else {
        return false;
    };
    let of_x = matches!(&graph.node(sum).op, Op::Sum { axes: over } if over == axes)
        && graph.node(sum).inputs[0] == x;
    let points: usize = axes.iter().map(|&axis| shape[axis]).product();
    let one = match (&scaled.op, &graph.node(factor).op) {
        (Op::Mul, Op::Constant(factor)) => factor * points as f64,
        (Op::Div, Op::Constant(factor)) => points as f64 / factor,
        _ => return false,
    };
    repeated && of_x && (one - 1.0).abs() <= 2.0 * f64::EPSILON
}
