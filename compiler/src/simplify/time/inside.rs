//! The new loop: what is left of its body, and what that reads.

use super::{Loop, Outside, Place, as_mask, as_number};
use crate::graph::{DType, GraphBuilder, InputId, NodeId, Op, Scan, Type};
use std::collections::BTreeMap;

/// An operand of the new loop.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Leaf {
    Carried(usize),
    Sliced(NodeId),
    Whole(NodeId),
}

/// A body under construction.
struct Inner {
    body: GraphBuilder,
    /// Its inputs, by their numbers.
    leaves: Vec<Leaf>,
    new: BTreeMap<NodeId, NodeId>,
}

impl Inner {
    fn leaf(&mut self, leaf: Leaf, ty: Type) -> NodeId {
        let known = self.leaves.iter().position(|&other| other == leaf);
        let position = known.unwrap_or_else(|| {
            self.leaves.push(leaf);
            self.leaves.len() - 1
        });
        self.body.input(InputId(position as u32), ty)
    }
}

impl Loop<'_> {
    /// The loop without what is computed outside. It leaves behind `stacked`, of which
    /// the first are carried.
    pub(super) fn rebuild(&mut self, stacked: &[NodeId]) {
        let mut inner = Inner {
            body: GraphBuilder::sharing(&self.body.origins),
            leaves: (0..self.scan.carried).map(Leaf::Carried).collect(),
            new: BTreeMap::new(),
        };
        let results: Vec<NodeId> = stacked
            .iter()
            .enumerate()
            .map(|(position, &id)| {
                let result = self.inside(&mut inner, id);
                // Masks are left behind as numbers.
                match position >= self.scan.carried {
                    true => as_number(&mut inner.body, result),
                    false => result,
                }
            })
            .collect();
        let Inner { body, leaves, .. } = inner;
        let mut order: Vec<usize> = (0..leaves.len()).collect();
        order.sort_by_key(|&leaf| match leaves[leaf] {
            Leaf::Carried(_) => 0,
            Leaf::Sliced(_) => 1,
            Leaf::Whole(_) => 2,
        });
        let mut body = body.finish();
        for node in &mut body.nodes {
            if let Op::Input(leaf) = &mut node.op {
                let position = order.iter().position(|&other| other == leaf.index());
                *leaf = InputId(position.unwrap_or_default() as u32);
            }
        }
        let operands: Vec<NodeId> = order
            .iter()
            .map(|&leaf| match leaves[leaf] {
                Leaf::Carried(position) => self.operands[position],
                Leaf::Sliced(x) | Leaf::Whole(x) => x,
            })
            .collect();
        let types: Vec<Type> = order
            .iter()
            .map(|&leaf| match leaves[leaf] {
                Leaf::Carried(position) => self.scan.body.inputs[position].ty.clone(),
                Leaf::Sliced(x) => slice_of(self.g.ty(x)),
                Leaf::Whole(x) => self.g.ty(x).clone(),
            })
            .collect();
        let sliced = leaves.iter().filter(|leaf| matches!(leaf, Leaf::Sliced(_)));
        let scan = Scan {
            length: self.scan.length,
            order: self.scan.order,
            carried: self.scan.carried,
            sliced: sliced.count(),
            body: Scan::body(&types, body, &results),
        };
        let scan = self.g.scan(scan, &operands);
        self.done = Some((scan, stacked.to_vec()));
    }

    /// A node within the new loop.
    fn inside(&mut self, inner: &mut Inner, id: NodeId) -> NodeId {
        if let Some(&known) = inner.new.get(&id) {
            return known;
        }
        let node = self.body.node(id);
        let is_mask = node.ty.dtype == DType::Bool;
        let new = match (&node.op, self.places[id.index()]) {
            (Op::Input(input), _) if input.index() < self.scan.carried => {
                inner.leaf(Leaf::Carried(input.index()), node.ty.clone())
            }
            (Op::Input(input), _) => {
                let operand = self.operands[input.index()];
                let is_sliced = input.index() < self.scan.carried + self.scan.sliced;
                let leaf = match is_sliced {
                    true => Leaf::Sliced(operand),
                    false => Leaf::Whole(operand),
                };
                inner.leaf(leaf, node.ty.clone())
            }
            (_, Place::Before | Place::Once) => {
                let (value, timed) = match self.value(id) {
                    Outside::Whole(x) => (x, false),
                    Outside::Timed(x) => (x, true),
                };
                let value = as_number(self.g, value);
                let ty = self.g.ty(value).clone();
                let leaf = match timed {
                    true => inner.leaf(Leaf::Sliced(value), slice_of(&ty)),
                    false => inner.leaf(Leaf::Whole(value), ty),
                };
                match is_mask {
                    true => as_mask(&mut inner.body, leaf),
                    false => leaf,
                }
            }
            (op, _) => {
                let mut inputs = Vec::new();
                for &x in &node.inputs {
                    inputs.push(self.inside(inner, x));
                }
                inner.body.set_origin_at(node.origin);
                inner.body.push_as(op.clone(), &inputs, node.ty.clone())
            }
        };
        inner.new.insert(id, new);
        new
    }
}

/// A slice of what is stacked along time.
fn slice_of(ty: &Type) -> Type {
    Type {
        dtype: ty.dtype,
        shape: ty.shape[1..].to_vec(),
    }
}
