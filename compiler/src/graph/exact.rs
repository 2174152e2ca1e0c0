//! When two nodes are one.

use super::{Node, Op};
use std::hash::{Hash, Hasher};

/// A node that equals another when all bits of its constants do, wherever it comes from.
#[derive(Clone)]
pub struct Exact(pub Node);

impl PartialEq for Exact {
    fn eq(&self, other: &Exact) -> bool {
        let (a, b) = (&self.0, &other.0);
        let same_op = match (&a.op, &b.op) {
            (Op::Constant(a), Op::Constant(b)) => a.to_bits() == b.to_bits(),
            (Op::View(a), Op::View(b)) => a.map == b.map && a.fill.to_bits() == b.fill.to_bits(),
            (a, b) => a == b,
        };
        same_op && a.inputs == b.inputs && a.ty == b.ty
    }
}

impl Eq for Exact {}

impl Hash for Exact {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let Node { op, inputs, ty, .. } = &self.0;
        std::mem::discriminant(op).hash(state);
        (inputs, ty).hash(state);
        match op {
            Op::Constant(value) => value.to_bits().hash(state),
            Op::View(view) => view.map.hash(state),
            Op::Contract(contract) => (&contract.a, &contract.b).hash(state),
            _ => {}
        }
    }
}
