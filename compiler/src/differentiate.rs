//! Replaces every request for a gradient by the graph that computes it: reverse
//! mode, one sweep per loss for all that it is asked by.

use crate::graph::{DType, Type};
use crate::graph::{Graph, GraphBuilder, Node, NodeId, Op, Step};
use crate::ops::{self, Chain};
use std::collections::{BTreeMap, BTreeSet};

/// The step with gradients in the place of requests for them.
///
/// Gradients of gradients work, since a sweep is made where its first request stands
/// and leaves nothing but ordinary nodes. What a loss does not depend on gets zeros.
pub fn differentiate(step: &Step) -> Step {
    let mut sweeps = Sweeps {
        old: &step.graph,
        g: GraphBuilder::new(),
        new: Vec::with_capacity(step.graph.nodes.len()),
        swept: BTreeSet::new(),
        gradients: BTreeMap::new(),
    };
    for (id, node) in step.graph.iter() {
        sweeps
            .g
            .set_origin(step.graph.origins[node.origin as usize].clone());
        let copy = match node.op {
            Op::Grad => sweeps.gradient(id, node),
            _ => sweeps.copy(node),
        };
        sweeps.new.push(copy);
    }
    let new = sweeps.new;
    let outputs = step.outputs.iter();
    let updates = step.updates.iter();
    Step {
        phase: step.phase,
        inputs: step.inputs.clone(),
        outputs: outputs
            .map(|(name, id)| (name.clone(), new[id.index()]))
            .collect(),
        updates: updates.map(|&(slot, id)| (slot, new[id.index()])).collect(),
        graph: sweeps.g.finish(),
    }
}

struct Sweeps<'a> {
    old: &'a Graph,
    g: GraphBuilder,
    /// The new node of each old one so far.
    new: Vec<NodeId>,
    /// The losses (old nodes) whose sweep is made, also if it found nothing.
    swept: BTreeSet<NodeId>,
    /// What the sweeps found, by loss and operand (new nodes).
    gradients: BTreeMap<(NodeId, NodeId), NodeId>,
}

impl Sweeps<'_> {
    fn copy(&mut self, node: &Node) -> NodeId {
        let inputs: Vec<NodeId> = node.inputs.iter().map(|x| self.new[x.index()]).collect();
        self.g.push_as(node.op.clone(), &inputs, node.ty.clone())
    }

    fn gradient(&mut self, id: NodeId, node: &Node) -> NodeId {
        let [old_loss, old_wrt] = node.inputs[..] else {
            crate::bug::bug!("differentiate", "{id} has {:?}", node.inputs);
        };
        let (loss, wrt) = (self.new[old_loss.index()], self.new[old_wrt.index()]);
        if self.swept.insert(old_loss) {
            // All that this loss will ever be asked by; what comes after it cannot be among its operands.
            let asked = self
                .old
                .iter()
                .filter_map(|(_, other)| match other.inputs[..] {
                    [other_loss, wrt] if other.op == Op::Grad && other_loss == old_loss => {
                        Some(wrt)
                    }
                    _ => None,
                });
            let before = asked.filter(|wrt| *wrt <= old_loss);
            let wrt: Vec<NodeId> = before.map(|wrt| self.new[wrt.index()]).collect();
            self.sweep(loss, &wrt);
        }
        match self.gradients.get(&(loss, wrt)) {
            Some(&gradient) => gradient,
            None => self.g.constant(0.0, node.ty.clone()),
        }
    }

    /// From the loss back to all of `wrt`, through such nodes alone as lie between.
    fn sweep(&mut self, loss: NodeId, wrt: &[NodeId]) {
        let between = self.depending_on(wrt, loss);
        let mut gradient: Vec<Option<NodeId>> = vec![None; loss.index() + 1];
        gradient[loss.index()] = Some(self.g.constant(1.0, Type::f32([])));
        for y in (0..=loss.0).rev().map(NodeId) {
            let Some(dy) = gradient[y.index()].filter(|_| between[y.index()]) else {
                continue;
            };
            if wrt.contains(&y) {
                self.gradients.insert((loss, y), dy);
            }
            let origin = self.g.graph().node(y).origin;
            self.g
                .set_origin(self.g.graph().origins[origin as usize].clone());
            for (x, dx) in self.pass_back(y, dy, &between) {
                let sum = match gradient[x.index()] {
                    Some(other) => self.g.add(other, dx),
                    None => dx,
                };
                gradient[x.index()] = Some(sum);
            }
        }
    }

    /// The operands of `y` that matter, with their share of its gradient.
    fn pass_back(&mut self, y: NodeId, dy: NodeId, between: &[bool]) -> Vec<(NodeId, NodeId)> {
        let Node { op, inputs, .. } = self.g.graph().node(y).clone();
        let wanted: Vec<bool> = inputs.iter().map(|x| between[x.index()]).collect();
        if !wanted.contains(&true) {
            return Vec::new();
        }
        let mut chain = Chain {
            g: &mut self.g,
            x: &inputs,
            y,
            dy,
            wanted: &wanted,
            dx: vec![None; inputs.len()],
        };
        ops::grad(&op, &mut chain);
        let dx = chain.dx;
        let shares = inputs.iter().zip(dx).zip(&wanted);
        shares
            .filter_map(|((&x, dx), &wanted)| dx.filter(|_| wanted).map(|dx| (x, dx)))
            .collect()
    }

    /// For each node up to the loss, whether it is real and a change of any of `wrt` reaches it.
    fn depending_on(&self, wrt: &[NodeId], loss: NodeId) -> Vec<bool> {
        let mut depends: Vec<bool> = Vec::with_capacity(loss.index() + 1);
        for (id, node) in self.g.graph().iter().take(loss.index() + 1) {
            let reached = node.inputs.iter().any(|x| depends[x.index()]);
            let real = node.ty.dtype == DType::F32 && node.op != Op::StopGradient;
            depends.push(wrt.contains(&id) || (reached && real));
        }
        depends
    }
}

#[cfg(test)]
mod tests;
