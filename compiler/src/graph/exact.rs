//! When two nodes are one: when all bits of their constants are equal, wherever they come from.

use super::{Node, Op};
use std::hash::{Hash, Hasher};

/// Whether two nodes are one.
pub fn same(a: &Node, b: &Node) -> bool {
    let same_op = match (&a.op, &b.op) {
        (Op::Constant(a), Op::Constant(b)) => a.to_bits() == b.to_bits(),
        (Op::View(a), Op::View(b)) => a.map == b.map && a.fill.to_bits() == b.fill.to_bits(),
        (a, b) => a == b,
    };
    same_op && a.inputs == b.inputs && a.ty == b.ty
}

/// Hashes what nodes that are one have in common.
pub fn hash(node: &Node, state: &mut impl Hasher) {
    let Node { op, inputs, ty, .. } = node;
    std::mem::discriminant(op).hash(state);
    (inputs, ty).hash(state);
    match op {
        Op::Constant(value) => value.to_bits().hash(state),
        Op::View(view) => view.map.hash(state),
        Op::Contract(contract) => (&contract.a, &contract.b).hash(state),
        _ => {}
    }
}
