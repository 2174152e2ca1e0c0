//! What the graph asks for, before anything is placed: which nodes matter, and which
//! must be tensors in memory whatever the costs.

use super::cost;
use crate::graph::{Graph, Node, NodeId, Op, Step};
use crate::ops;
use std::collections::BTreeSet;

/// Facts about each node that follow from its uses.
pub struct Needs {
    /// Whether any result depends on the node.
    pub live: Vec<bool>,
    /// Whether nothing but next values of slots depends on it, and those element by
    /// element: parameter updates, which run after everything else.
    pub update_only: Vec<bool>,
    /// Operands of products that are not numbers: they must lie in memory.
    pub operands: BTreeSet<NodeId>,
}

/// The facts about a step.
pub fn needs(step: &Step) -> Needs {
    let graph = &step.graph;
    let count = graph.nodes.len();
    let mut needs = Needs {
        live: vec![false; count],
        update_only: vec![true; count],
        operands: BTreeSet::new(),
    };
    for &(_, node) in &step.updates {
        needs.live[node.index()] = true;
    }
    for &(_, node) in &step.outputs {
        needs.live[node.index()] = true;
        needs.update_only[node.index()] = false;
    }
    for (id, node) in graph.iter().rev() {
        if needs.live[id.index()] {
            needs.propagate(graph, id, node);
        }
    }
    needs
}

impl Needs {
    fn propagate(&mut self, graph: &Graph, id: NodeId, node: &Node) {
        let passes_on = self.update_only[id.index()] && !is_seed(graph, node);
        for &input in &node.inputs {
            self.live[input.index()] = true;
            self.update_only[input.index()] &= passes_on;
            if is_product(node) {
                self.operands.extend(memory_behind(graph, input));
            }
        }
    }
}

/// Whether the node is the sum of products that starts a kernel. A product without
/// a sum is pointwise.
pub fn is_product(node: &Node) -> bool {
    matches!(&node.op, Op::Contract(contract) if contract.rank < contract.dims.len())
}

/// Whether the node is a product or a reduction of any size.
pub fn is_reduction(node: &Node) -> bool {
    is_product(node)
        || matches!(
            node.op,
            Op::Sum { .. } | Op::MaxOver { .. } | Op::ArgMax { .. }
        )
}

/// Over how many points a node reduces: 1 for all that does not.
fn reduced_points(graph: &Graph, node: &Node) -> usize {
    match &node.op {
        Op::Sum { axes } | Op::MaxOver { axes } => {
            let shape = &graph.ty(node.inputs[0]).shape;
            axes.iter().map(|&axis| shape[axis]).product()
        }
        Op::ArgMax { axis } => graph.ty(node.inputs[0]).shape[*axis],
        _ => 1,
    }
}

/// Whether the node starts a loop of its own: products, and reductions unless they
/// are of windows.
pub fn is_seed(graph: &Graph, node: &Node) -> bool {
    match &node.op {
        Op::Contract(_) => is_product(node),
        Op::ArgMax { .. } | Op::Scan(_) | Op::Gather { .. } | Op::Scatter { .. } => true,
        Op::Sum { axes } | Op::MaxOver { axes } => {
            reduced_points(graph, node) > cost::TINY_REDUCTION
                || !reads_windows(graph, node.inputs[0], axes, WINDOW_DEPTH)
        }
        _ => false,
    }
}

/// How many pointwise operations there may be between a window and its reduction.
const WINDOW_DEPTH: usize = 6;

/// Whether some tensor is read along windows: along `axes` together with others.
fn reads_windows(graph: &Graph, id: NodeId, axes: &[usize], depth: usize) -> bool {
    let node = graph.node(id);
    match &node.op {
        Op::View(view) => view.map.iter().any(|index| {
            index.terms.len() > 1 && axes.iter().any(|&axis| index.coefficient(axis) != 0)
        }),
        op if ops::is_pointwise(op) && depth > 0 => {
            let mut operands = node.inputs.iter();
            operands.any(|&input| reads_windows(graph, input, axes, depth - 1))
        }
        _ => false,
    }
}

/// The node whose elements an operand of a product only moves, unless it is a number.
fn memory_behind(graph: &Graph, mut id: NodeId) -> Option<NodeId> {
    loop {
        let node = graph.node(id);
        match node.op {
            Op::View(_) | Op::Reshape => id = node.inputs[0],
            Op::Constant(_) => return None,
            _ => return Some(id),
        }
    }
}
