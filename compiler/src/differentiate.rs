//! Replaces every request for a gradient by the graph that computes it: reverse
//! mode, one sweep per loss for all that it is asked by.

mod scan;

use crate::graph::{DType, Graph, GraphBuilder, Node, NodeId, Op, Scan, Step, Type};
use crate::ops::{self, Chain};
use std::collections::{BTreeMap, BTreeSet};

/// The step with gradients in the place of requests for them.
///
/// Gradients of gradients work, since a sweep is made where its first request stands
/// and leaves nothing but ordinary nodes. What a loss does not depend on gets zeros.
pub fn differentiate(step: &Step) -> Step {
    let mut sweeps = Sweeps {
        old: &step.graph,
        g: GraphBuilder::beside(&step.graph.origins),
        new: Vec::with_capacity(step.graph.nodes.len()),
        swept: BTreeSet::new(),
        gradients: BTreeMap::new(),
    };
    for (id, node) in step.graph.iter() {
        sweeps.g.set_origin_at(node.origin);
        let copy = match node.op {
            Op::Grad => sweeps.gradient(id, node),
            _ => sweeps.copy(node),
        };
        sweeps.new.push(copy);
    }
    step.moved_to(sweeps.g.finish(), &sweeps.new)
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
        let op = match &node.op {
            Op::Scan(scan) => Op::Scan(Box::new(Scan {
                body: differentiate(&scan.body),
                ..(**scan).clone()
            })),
            op => op.clone(),
        };
        self.g
            .push_as(op, &node.inputs_in(&self.new), node.ty.clone())
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
        let one = self.g.constant(1.0, Type::f32([]));
        for (y, dy) in sweep(&mut self.g, &[(loss, one)], wrt) {
            self.gradients.insert((loss, y), dy);
        }
    }
}

/// The gradients by `wrt`, as far as there are any, where those of some nodes are given;
/// through such nodes alone as lie between.
fn sweep(
    g: &mut GraphBuilder,
    seeds: &[(NodeId, NodeId)],
    wrt: &[NodeId],
) -> BTreeMap<NodeId, NodeId> {
    let Some(&last) = seeds.iter().map(|(y, _)| y).max() else {
        return BTreeMap::new();
    };
    let mut sweep = Sweep {
        between: depending_on(g.graph(), wrt, last),
        gradient: vec![None; last.index() + 1],
        parts: BTreeMap::new(),
        g,
    };
    for &(y, dy) in seeds {
        sweep.add(y, dy);
    }
    let wrt: BTreeSet<NodeId> = wrt.iter().copied().collect();
    let mut found = BTreeMap::new();
    for y in (0..=last.0).rev().map(NodeId) {
        let dy = sweep.gradient[y.index()].filter(|_| sweep.between[y.index()]);
        let origin = sweep.g.graph().node(y).origin;
        sweep.g.set_origin_at(origin);
        match (&sweep.g.graph().node(y).op, dy) {
            (Op::Scan(_), _) => sweep.pass_back_in_time(y),
            (_, None) => continue,
            (&Op::Part(position), Some(dy)) => {
                let scan = sweep.g.graph().node(y).inputs[0];
                let parts = sweep.parts.entry(scan).or_default();
                let other = parts.get(&position).copied();
                let sum = other.map_or(dy, |other| sweep.g.add(other, dy));
                parts.insert(position, sum);
            }
            (_, Some(dy)) => sweep.pass_back(y, dy),
        }
        if let Some(dy) = dy
            && wrt.contains(&y)
        {
            found.insert(y, dy);
        }
    }
    found
}

/// One way back through a graph.
struct Sweep<'g> {
    g: &'g mut GraphBuilder,
    /// For each node, whether gradients pass through it.
    between: Vec<bool>,
    /// For each node, the gradient by it, as far as it is summed up.
    gradient: Vec<Option<NodeId>>,
    /// The gradients by the results of scans.
    parts: BTreeMap<NodeId, BTreeMap<usize, NodeId>>,
}

impl Sweep<'_> {
    fn add(&mut self, x: NodeId, dx: NodeId) {
        let sum = match self.gradient[x.index()] {
            Some(other) => self.g.add(other, dx),
            None => dx,
        };
        self.gradient[x.index()] = Some(sum);
    }

    /// Hands the operands of `y` that matter their share of its gradient.
    fn pass_back(&mut self, y: NodeId, dy: NodeId) {
        let Node { op, inputs, .. } = self.g.graph().node(y).clone();
        let wanted = self.wanted(&inputs);
        if !wanted.contains(&true) {
            return;
        }
        let mut chain = Chain {
            g: &mut *self.g,
            x: &inputs,
            y,
            dy,
            wanted: &wanted,
            dx: vec![None; inputs.len()],
        };
        ops::grad(&op, &mut chain);
        let dx = chain.dx;
        self.share(&inputs, &wanted, dx);
    }

    /// The same for a loop over time.
    fn pass_back_in_time(&mut self, scan: NodeId) {
        let Some(parts) = self.parts.remove(&scan) else {
            return;
        };
        let inputs = self.g.graph().node(scan).inputs.clone();
        let wanted = self.wanted(&inputs);
        let dx = scan::gradient(self.g, scan, &parts, &wanted);
        self.share(&inputs, &wanted, dx);
    }

    fn wanted(&self, inputs: &[NodeId]) -> Vec<bool> {
        inputs.iter().map(|x| self.between[x.index()]).collect()
    }

    fn share(&mut self, inputs: &[NodeId], wanted: &[bool], dx: Vec<Option<NodeId>>) {
        for ((&x, &wanted), dx) in inputs.iter().zip(wanted).zip(dx) {
            if let Some(dx) = dx.filter(|_| wanted) {
                self.add(x, dx);
            }
        }
    }
}

/// For each node up to the last one, whether it is real and a change of any of `wrt` reaches it.
fn depending_on(graph: &Graph, wrt: &[NodeId], last: NodeId) -> Vec<bool> {
    let wrt: BTreeSet<NodeId> = wrt.iter().copied().collect();
    let mut depends: Vec<bool> = Vec::with_capacity(last.index() + 1);
    for (id, node) in graph.iter().take(last.index() + 1) {
        let reached = node.inputs.iter().any(|x| depends[x.index()]);
        let real = node.ty.dtype == DType::F32 && node.op != Op::StopGradient;
        depends.push(wrt.contains(&id) || (reached && real));
    }
    depends
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod scan_tests;
