//! Makes a scan of nodes that were built among all others.
//!
//! Whoever describes a step of time builds it in the surrounding graph, on leaves that
//! stand for what is carried and for slices. What hangs on those leaves is the body;
//! whatever else the body reads is found, not told: it is the same at each step, and the
//! scan reads it whole. Random numbers drawn within are new ones at each step.

use super::{Graph, GraphBuilder, InputId, NodeId, Op, Scan, TimeOrder, Type};
use crate::ops;
use std::collections::BTreeMap;

/// A scan under construction: the leaves on which a step is built.
#[derive(Clone, Debug)]
pub struct Recurrence {
    /// How many steps.
    pub length: usize,
    /// In which direction.
    pub order: TimeOrder,
    /// The first value of what is carried.
    pub first: Vec<NodeId>,
    /// What is sliced along its leading axis.
    pub sliced: Vec<NodeId>,
    /// The node after which the body begins.
    begin: usize,
    leaves: Vec<NodeId>,
}

/// What a scan left behind.
#[derive(Clone, Debug)]
pub struct Enclosed {
    /// The scan's node.
    pub scan: NodeId,
    /// What was yielded, each with time as its leading axis.
    pub yields: Vec<NodeId>,
}

impl Recurrence {
    /// Begins a body in `g`.
    pub fn begin(
        g: &mut GraphBuilder,
        length: usize,
        order: TimeOrder,
        first: Vec<NodeId>,
        sliced: Vec<NodeId>,
    ) -> Recurrence {
        let begin = g.graph().nodes.len();
        let mut types: Vec<Type> = first.iter().map(|&x| g.ty(x).clone()).collect();
        types.extend(sliced.iter().map(|&x| slice_of(g.ty(x))));
        let leaves = types.into_iter().enumerate();
        let leaves = leaves
            .map(|(position, ty)| g.input(InputId(position as u32), ty))
            .collect();
        Recurrence {
            length,
            order,
            first,
            sliced,
            begin,
            leaves,
        }
    }

    /// What is carried, as it is before a step.
    pub fn carried(&self) -> &[NodeId] {
        &self.leaves[..self.first.len()]
    }

    /// The slices of a step.
    pub fn slices(&self) -> &[NodeId] {
        &self.leaves[self.first.len()..]
    }

    /// Ends the body: the scan with these next values and yields.
    pub fn end(self, g: &mut GraphBuilder, next: &[NodeId], yields: &[NodeId]) -> Enclosed {
        let results: Vec<NodeId> = next.iter().chain(yields).copied().collect();
        let changes = self.changes(g.graph());
        let mut operands: Vec<NodeId> = self.first.iter().chain(&self.sliced).copied().collect();
        let mut inputs: BTreeMap<NodeId, usize> = BTreeMap::new();
        for (position, &leaf) in self.leaves.iter().enumerate() {
            inputs.insert(leaf, position);
        }
        let needed = needed(g.graph(), &results, |id| {
            !changes[id.index()] && !moves(g.graph(), id)
        });
        // Random numbers are drawn for all steps at once, and sliced.
        for &id in &needed {
            let node = g.graph().node(id).clone();
            if let Op::Uniform { stream } = node.op
                && changes[id.index()]
            {
                let shape = [&[self.length], node.ty.shape.as_slice()].concat();
                let all = g.uniform(node.inputs[0], stream, &shape);
                inputs.insert(id, operands.len());
                operands.push(all);
            }
        }
        let sliced = operands.len() - self.first.len();
        for &id in &needed {
            let whole = !changes[id.index()] && !moves(g.graph(), id);
            if whole && !inputs.contains_key(&id) {
                inputs.insert(id, operands.len());
                operands.push(id);
            }
        }
        let types: Vec<Type> = operands
            .iter()
            .enumerate()
            .map(|(position, &x)| {
                let ty = g.ty(x).clone();
                let slices = self.first.len()..self.first.len() + sliced;
                match slices.contains(&position) {
                    true => slice_of(&ty),
                    false => ty,
                }
            })
            .collect();
        let (body, results) = copy_of(g.graph(), &results, &mut |body, id| {
            let &position = inputs.get(&id)?;
            Some(body.input(InputId(position as u32), types[position].clone()))
        });
        let carried = self.first.len();
        // A yield that is a next value is part of its trail.
        let mut kept: Vec<NodeId> = results[..carried].to_vec();
        let mut places = Vec::new();
        for &id in &results[carried..] {
            let known = kept.iter().position(|&other| other == id);
            places.push(known.unwrap_or_else(|| {
                kept.push(id);
                kept.len() - 1
            }));
        }
        let order = self.order;
        let scan = Scan {
            length: self.length,
            order,
            carried,
            sliced,
            body: Scan::body(&types, body, &kept),
        };
        let scan = g.scan(scan, &operands);
        let yields = places.into_iter().map(|position| match position < carried {
            true => g.trail(scan, position, order.after()),
            false => g.part(scan, position),
        });
        Enclosed {
            yields: yields.collect(),
            scan,
        }
    }

    /// For each node, whether it may differ from step to step.
    fn changes(&self, graph: &Graph) -> Vec<bool> {
        let mut changes = vec![false; graph.nodes.len()];
        for (id, node) in graph.iter().skip(self.begin) {
            changes[id.index()] = self.leaves.contains(&id)
                || matches!(node.op, Op::Uniform { .. })
                || node.inputs.iter().any(|x| changes[x.index()]);
        }
        changes
    }
}

/// A slice along the leading axis.
fn slice_of(ty: &Type) -> Type {
    Type {
        dtype: ty.dtype,
        shape: ty.shape[1..].to_vec(),
    }
}

/// Whether a node is no more than a number, or another way to read its operand: not worth
/// a tensor of its own.
fn moves(graph: &Graph, id: NodeId) -> bool {
    match graph.node(id).op {
        Op::Constant(_) | Op::Iota { .. } | Op::View(_) | Op::Reshape | Op::Cast(_) => true,
        // Made of numbers alone.
        ref op if ops::is_pointwise(op) => {
            let mut operands = graph.node(id).inputs.iter();
            operands.all(|&x| moves(graph, x) && graph.node(x).inputs.is_empty())
        }
        _ => false,
    }
}

/// The nodes that some results need, ascending, as far as `stop` lets through.
fn needed(graph: &Graph, results: &[NodeId], stop: impl Fn(NodeId) -> bool) -> Vec<NodeId> {
    let mut found = vec![false; graph.nodes.len()];
    results.iter().for_each(|id| found[id.index()] = true);
    for (id, node) in graph.iter().rev() {
        if found[id.index()] && !stop(id) {
            node.inputs.iter().for_each(|x| found[x.index()] = true);
        }
    }
    let ids = graph.iter().map(|(id, _)| id);
    ids.filter(|id| found[id.index()]).collect()
}

/// A graph of what some results need, and those results in it. Where `leaf` makes something
/// of a node, that stands for it and for all that it needed.
pub fn copy_of(
    graph: &Graph,
    results: &[NodeId],
    leaf: &mut dyn FnMut(&mut GraphBuilder, NodeId) -> Option<NodeId>,
) -> (Graph, Vec<NodeId>) {
    let mut copy = GraphBuilder::sharing(&graph.origins);
    let mut new: BTreeMap<NodeId, NodeId> = BTreeMap::new();
    let mut waiting: Vec<NodeId> = results.iter().rev().copied().collect();
    while let Some(&id) = waiting.last() {
        if new.contains_key(&id) {
            waiting.pop();
            continue;
        }
        let node = graph.node(id);
        copy.set_origin_at(node.origin);
        if let Some(replacement) = leaf(&mut copy, id) {
            new.insert(id, replacement);
            continue;
        }
        let missing: Vec<NodeId> = node
            .inputs
            .iter()
            .filter(|x| !new.contains_key(x))
            .copied()
            .collect();
        if !missing.is_empty() {
            waiting.extend(missing.into_iter().rev());
            continue;
        }
        let inputs: Vec<NodeId> = node.inputs.iter().map(|x| new[x]).collect();
        copy.set_origin_at(node.origin);
        let id_in_copy = copy.push_as(node.op.clone(), &inputs, node.ty.clone());
        new.insert(id, id_in_copy);
    }
    let results = results.iter().map(|id| new[id]).collect();
    (copy.finish(), results)
}
