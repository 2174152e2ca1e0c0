//! Rewrites of quotients: what is divided by the same is divided once. A softmax's gradient, in
//! which all is divided by the sum of a row, so becomes a product with what came out of it.

use super::rewrite::Rewrite;
use crate::graph::{NodeId, Op};

/// `a / s + b / s = (a + b) / s`, also where one of them is repeated along some axes.
pub fn divide_sum(r: &mut Rewrite, id: NodeId) -> Option<NodeId> {
    if !matches!(r.op(id), Op::Add | Op::Sub) {
        return None;
    }
    let &[a, b] = r.inputs(id) else { return None };
    let ((x, s), (y, t)) = (quotient(r, a)?, quotient(r, b)?);
    if s != t {
        return None;
    }
    let sum = r.like(id, &[x, y]);
    Some(r.g.div(sum, s))
}

/// Dividend and divisor of a quotient, of its opposite, or of one whose elements are repeated,
/// if nobody else reads it.
fn quotient(r: &mut Rewrite, id: NodeId) -> Option<(NodeId, NodeId)> {
    if !r.read_once(id) {
        return None;
    }
    if let Some([x, s]) = r.operands(id, &Op::Div) {
        return Some((x, s));
    }
    if let Some([x]) = r.operands(id, &Op::Neg) {
        let (x, s) = quotient(r, x)?;
        return Some((r.g.neg(x), s));
    }
    let (x, view) = r.view(id)?;
    if !view.stays_inside(r.g.shape(x)) {
        return None;
    }
    let view = view.clone();
    let (x, s) = quotient(r, x)?;
    Some((r.g.view(x, view.clone()), r.g.view(s, view)))
}

/// `(x / s) * e = x * (e / s)` where others read the latter quotient anyway, and the former nobody.
pub fn divide_other_factor(r: &mut Rewrite, id: NodeId) -> Option<NodeId> {
    let [a, b] = r.operands(id, &Op::Mul)?;
    [(a, b), (b, a)].into_iter().find_map(|(quotient, e)| {
        let [x, s] = r.operands(quotient, &Op::Div)?;
        let known = r.g.known(&Op::Div, &[e, s])?;
        let moves = r.read_once(quotient) && !r.read_once(known);
        moves.then(|| r.g.mul(x, known))
    })
}
