//! Takes out of loops over time what need not wait for the step before.
//!
//! What a step carries on has to be computed step by step. A product of slices alone is done
//! for all steps at once, before the loop: the projection of a recurrent layer's inputs becomes
//! one large product. What nothing carries on is done for all steps at once after it:
//! the gradients by weights become one product that sums over time. What all steps share
//! is computed once. Results that nobody reads are dropped.

mod inside;
mod outside;

use super::{Counts, simplify_counting};
use crate::graph::{DType, Graph, GraphBuilder, NodeId, Op, Scan, Step};
use crate::ops;
use std::collections::{BTreeMap, BTreeSet};

/// Whether a step has loops over time.
pub fn has_scans(step: &Step) -> bool {
    step.graph
        .nodes
        .iter()
        .any(|node| matches!(node.op, Op::Scan(_)))
}

/// Simplifies one step of each loop.
pub fn simplify_bodies(step: &mut Step, counts: &mut Counts) {
    for node in &mut step.graph.nodes {
        if let Op::Scan(scan) = &mut node.op {
            let (body, inner) = simplify_counting(&scan.body);
            scan.body = body;
            for (name, count) in inner {
                *counts.entry(name).or_default() += count;
            }
        }
    }
}

/// The same step, with loops that do no more than they must.
pub fn distribute(step: &Step) -> Step {
    let mut read: BTreeMap<NodeId, BTreeSet<usize>> = BTreeMap::new();
    for node in &step.graph.nodes {
        if let Op::Part(position) = node.op {
            read.entry(node.inputs[0]).or_default().insert(position);
        }
    }
    let mut parts: BTreeMap<NodeId, Vec<Option<NodeId>>> = BTreeMap::new();
    let g = GraphBuilder::sharing(&step.graph.origins);
    step.rebuilt(g, |g, id, node, new| match &node.op {
        Op::Scan(scan) => {
            let read = read.remove(&id).unwrap_or_default();
            let results = Loop::new(scan, &node.inputs_in(new), g).results(&read);
            parts.insert(id, results);
            // Nobody reads a scan but by its parts.
            NodeId(0)
        }
        Op::Part(position) => parts[&node.inputs[0]][*position].unwrap_or(NodeId(0)),
        _ => g.copy(node, new),
    })
}

/// Where a node of a body is computed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Place {
    /// Wherever it is read: it costs nothing.
    Anywhere,
    /// Once, outside: it is the same at each step.
    Once,
    /// For all steps at once, before the loop.
    Before,
    /// At each step.
    Inside,
    /// For all steps at once, after the loop.
    After,
}

/// A value outside of the loop.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Outside {
    /// The same at each step.
    Whole(NodeId),
    /// One for each step, along the leading axis.
    Timed(NodeId),
}

struct Loop<'a> {
    scan: &'a Scan,
    body: &'a Graph,
    operands: &'a [NodeId],
    g: &'a mut GraphBuilder,
    /// For each node, whether it differs from step to step, and whether it depends on what is carried.
    varies: Vec<bool>,
    waits: Vec<bool>,
    /// For each node, whether all it depends on can be computed outside.
    liftable: Vec<bool>,
    places: Vec<Place>,
    outside: BTreeMap<NodeId, Outside>,
    /// The new loop, and which of its results are which nodes.
    done: Option<(NodeId, Vec<NodeId>)>,
}

impl<'a> Loop<'a> {
    fn new(scan: &'a Scan, operands: &'a [NodeId], g: &'a mut GraphBuilder) -> Loop<'a> {
        let body = &scan.body.graph;
        let mut new = Loop {
            scan,
            body,
            operands,
            g,
            varies: Vec::new(),
            waits: Vec::new(),
            liftable: Vec::new(),
            places: Vec::new(),
            outside: BTreeMap::new(),
            done: None,
        };
        let feeds = new.feeds();
        for (id, _) in body.iter() {
            new.look_at(id, feeds[id.index()]);
        }
        new
    }

    /// For each node, whether what is carried on depends on it.
    fn feeds(&self) -> Vec<bool> {
        let mut feeds = vec![false; self.body.nodes.len()];
        self.scan
            .next()
            .iter()
            .for_each(|id| feeds[id.index()] = true);
        for (id, node) in self.body.iter().rev() {
            if feeds[id.index()] {
                node.inputs.iter().for_each(|x| feeds[x.index()] = true);
            }
        }
        feeds
    }

    fn look_at(&mut self, id: NodeId, feeds: bool) {
        let node = self.body.node(id);
        let any = |of: &[bool]| node.inputs.iter().any(|x| of[x.index()]);
        let (carried, sliced) = (self.scan.carried, self.scan.carried + self.scan.sliced);
        let (varies, waits) = match node.op {
            Op::Input(input) => (input.index() < sliced, input.index() < carried),
            _ => (any(&self.varies), any(&self.waits)),
        };
        let stuck = matches!(node.op, Op::Scan(_) | Op::Part(_));
        let liftable = !waits && !stuck && node.inputs.iter().all(|x| self.liftable[x.index()]);
        let behind = node
            .inputs
            .iter()
            .any(|x| self.places[x.index()] == Place::After);
        let free = node
            .inputs
            .iter()
            .all(|x| self.places[x.index()] == Place::Anywhere && !self.varies[x.index()]);
        let place = match &node.op {
            Op::Input(_) => Place::Anywhere,
            Op::View(_) | Op::Reshape if !varies => Place::Anywhere,
            Op::Constant(_) | Op::Iota { .. } => Place::Anywhere,
            op if !varies && liftable => match ops::is_pointwise(op) && free && self.is_numbers(id)
            {
                true => Place::Anywhere,
                false => Place::Once,
            },
            _ if liftable && varies && (is_heavy(self.body, id) || carried == 0) => Place::Before,
            _ if waits && !feeds && !stuck && (behind || is_heavy(self.body, id)) => Place::After,
            _ => Place::Inside,
        };
        self.varies.push(varies);
        self.waits.push(waits);
        self.liftable.push(liftable);
        self.places.push(place);
    }

    /// Whether a node is made of nothing but numbers.
    fn is_numbers(&self, id: NodeId) -> bool {
        let mut operands = self.body.node(id).inputs.iter();
        operands.all(|&x| matches!(self.body.node(x).op, Op::Constant(_) | Op::Iota { .. }))
    }

    /// The results of the loop that someone reads, as values outside.
    fn results(mut self, read: &BTreeSet<usize>) -> Vec<Option<NodeId>> {
        let results = self.scan.results();
        let carried = self.scan.carried;
        let yields: Vec<NodeId> = (carried..results.len())
            .filter(|position| read.contains(position))
            .map(|position| results[position])
            .collect();
        let mut stacked: Vec<NodeId> = results[..carried].to_vec();
        for &id in &yields {
            self.stack(id, &mut stacked, &mut BTreeSet::new());
        }
        if !stacked.is_empty() {
            self.rebuild(&stacked);
        }
        (0..results.len())
            .map(|position| {
                let id = results[position];
                match (&self.done, position < carried) {
                    _ if !read.contains(&position) => None,
                    (Some((scan, _)), true) => Some(self.g.part(*scan, position)),
                    _ => {
                        let value = self.value(id);
                        Some(self.timed(value))
                    }
                }
            })
            .collect()
    }

    /// Notes which nodes the loop has to leave behind for a value outside.
    fn stack(&self, id: NodeId, stacked: &mut Vec<NodeId>, seen: &mut BTreeSet<NodeId>) {
        if !seen.insert(id) || self.liftable[id.index()] || self.is_carried(id) {
            return;
        }
        if self.is_left_behind(id) {
            if !stacked.contains(&id) {
                stacked.push(id);
            }
            return;
        }
        for &x in &self.body.node(id).inputs {
            self.stack(x, stacked, seen);
        }
    }

    fn is_carried(&self, id: NodeId) -> bool {
        matches!(self.body.node(id).op, Op::Input(input) if input.index() < self.scan.carried)
    }

    /// Whether a value is read outside as the loop leaves it, not computed from such.
    fn is_left_behind(&self, id: NodeId) -> bool {
        let moves = matches!(self.body.node(id).op, Op::View(_) | Op::Reshape);
        self.places[id.index()] == Place::Inside && !moves
    }
}

/// Whether a node is worth a pass of its own.
fn is_heavy(graph: &Graph, id: NodeId) -> bool {
    match &graph.node(id).op {
        Op::Contract(contract) => contract.rank < contract.dims.len(),
        Op::Sum { .. } | Op::MaxOver { .. } | Op::ArgMax { .. } => true,
        Op::Gather { .. } | Op::Scatter { .. } => true,
        _ => false,
    }
}

/// A mask as numbers, which can lie in memory.
fn as_number(g: &mut GraphBuilder, x: NodeId) -> NodeId {
    match g.ty(x).dtype {
        DType::Bool => g.cast(x, DType::F32),
        _ => x,
    }
}

/// A mask from its numbers.
fn as_mask(g: &mut GraphBuilder, x: NodeId) -> NodeId {
    let half = g.constant_like(0.5, x);
    g.less(half, x)
}
