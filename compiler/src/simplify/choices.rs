//! Rewrites of `select`.

use super::rewrite::Rewrite;
use crate::graph::{DType, NodeId, Op};

/// `select(true, a, b) = a`, `select(false, a, b) = b`.
pub fn choose_by_constant(r: &mut Rewrite, id: NodeId) -> Option<NodeId> {
    let [mask, a, b] = r.operands(id, &Op::Select)?;
    let chosen = r.constant(mask)? != 0.0;
    Some(if chosen { a } else { b })
}

/// `select(m, a, a) = a`.
pub fn choose_same(r: &mut Rewrite, id: NodeId) -> Option<NodeId> {
    let [_, a, b] = r.operands(id, &Op::Select)?;
    (a == b).then_some(a)
}

/// `select(m, select(m, a, b), c) = select(m, a, c)`, and likewise below.
pub fn choose_again(r: &mut Rewrite, id: NodeId) -> Option<NodeId> {
    let [mask, a, b] = r.operands(id, &Op::Select)?;
    let again = |x: NodeId| {
        let inner: [NodeId; 3] = r.operands(x, &Op::Select)?;
        (inner[0] == mask).then_some(inner)
    };
    let (a, b) = match (again(a), again(b)) {
        (None, None) => return None,
        (first, second) => (
            first.map_or(a, |[_, chosen, _]| chosen),
            second.map_or(b, |[_, _, chosen]| chosen),
        ),
    };
    Some(r.g.select(mask, a, b))
}

/// `select(not m, a, b) = select(m, b, a)`, `not not m = m`.
pub fn choose_by_negation(r: &mut Rewrite, id: NodeId) -> Option<NodeId> {
    if let Some([mask]) = r.operands(id, &Op::Not) {
        let [x] = r.operands(mask, &Op::Not)?;
        return Some(x);
    }
    let [mask, a, b] = r.operands(id, &Op::Select)?;
    let [mask] = r.operands(mask, &Op::Not)?;
    Some(r.g.select(mask, b, a))
}

/// `x * cast(m) = select(m, x, 0)`.
pub fn choose_instead_of_multiplying(r: &mut Rewrite, id: NodeId) -> Option<NodeId> {
    let [a, b] = r.operands(id, &Op::Mul)?;
    let mask = |x: NodeId| {
        let [mask] = r.operands(x, &Op::Cast(DType::F32))?;
        (r.g.ty(mask).dtype == DType::Bool).then_some(mask)
    };
    let (mask, x) = match (mask(a), mask(b)) {
        (Some(mask), _) => (mask, b),
        (None, Some(mask)) => (mask, a),
        (None, None) => return None,
    };
    let zero = r.g.constant_like(0.0, x);
    Some(r.g.select(mask, x, zero))
}

/// `f(select(m, a, c), d) = select(m, f(a, d), f(c, d))` for constants c and d (and a
/// constant a, unless f is a product), so that the work beside the choice is one of constants.
pub fn push_constant_into_choice(r: &mut Rewrite, id: NodeId) -> Option<NodeId> {
    if !matches!(r.op(id), Op::Add | Op::Sub | Op::Mul | Op::Div) {
        return None;
    }
    let (op, inputs) = r.parts(id);
    let [left, right] = inputs[..] else {
        return None;
    };
    let (choice, on_left) = match (r.constant(left), r.constant(right)) {
        (None, Some(_)) => (left, true),
        (Some(_), None) => (right, false),
        _ => return None,
    };
    let [mask, a, b] = r.operands(choice, &Op::Select)?;
    let constants = [a, b].iter().filter(|&&x| r.constant(x).is_some()).count();
    // With one constant nothing is saved, unless it is the 0 that a product keeps.
    let keeps_zero = op == Op::Mul && [a, b].iter().any(|&x| r.constant(x) == Some(0.0));
    if constants < 2 && !(keeps_zero && r.read_once(choice)) {
        return None;
    }
    let mut push = |x: NodeId| {
        let operands = if on_left { [x, right] } else { [left, x] };
        r.g.push(op.clone(), &operands)
    };
    let (a, b) = (push(a), push(b));
    Some(r.g.select(mask, a, b))
}

/// `select(m, a, 0) + select(m, 0, b) = select(m, a, b)`: what a choice's gradient leaves
/// when both operands come from one.
pub fn join_choices(r: &mut Rewrite, id: NodeId) -> Option<NodeId> {
    let [x, y] = r.operands(id, &Op::Add)?;
    let [mask, a, zero_a] = r.operands(x, &Op::Select)?;
    let [other, b, c]: [NodeId; 3] = r.operands(y, &Op::Select)?;
    if mask != other {
        return None;
    }
    let is_zero = |x: NodeId| r.constant(x) == Some(0.0);
    match (is_zero(a), is_zero(zero_a), is_zero(b), is_zero(c)) {
        (_, true, true, _) => Some(r.g.select(mask, a, c)),
        (true, _, _, true) => Some(r.g.select(mask, b, zero_a)),
        _ => None,
    }
}

/// Where `y = max(x, c)` or `y = select(c < x, x, z)` with z not above c, others ask
/// `c < y` instead of `c < x`: y, an activation, lies in memory for the backward pass anyway,
/// x need not.
pub fn compare_result(r: &mut Rewrite, id: NodeId) -> Option<NodeId> {
    if let Some(about) = activation(r, id) {
        r.note_above_alike(about, id);
        return None;
    }
    let mut inputs = Vec::new();
    for (position, &input) in r.inputs(id).iter().enumerate() {
        if let Some([c, x]) = r.operands(input, &Op::Less)
            && let Some(y) = r.above_alike(c, x)
        {
            inputs.push((position, c, y));
        }
    }
    if inputs.is_empty() {
        return None;
    }
    let (op, mut operands) = r.parts(id);
    for (position, c, y) in inputs {
        operands[position] = r.g.less(c, y);
    }
    let ty = r.g.ty(id).clone();
    Some(r.g.push_as(op, &operands, ty))
}

/// The (c, x) of which a node is an activation.
fn activation(r: &Rewrite, id: NodeId) -> Option<(NodeId, NodeId)> {
    if let Some([x, c]) = r.operands(id, &Op::Max) {
        return r.constant(c).map(|_| (c, x));
    }
    let [mask, chosen, z] = r.operands(id, &Op::Select)?;
    let [c, x] = r.operands(mask, &Op::Less)?;
    let bound = r.constant(c)?;
    let below = match (r.constant(z), r.operands(z, &Op::Mul)) {
        (Some(z), _) => z <= bound,
        (None, Some([factor, k])) => factor == x && bound == 0.0 && r.constant(k)? >= 0.0,
        (None, None) => false,
    };
    (chosen == x && below).then_some((c, x))
}
