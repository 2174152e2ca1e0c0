//! What a rewrite sees of the graph, and builds in.

use crate::graph::{Contract, GraphBuilder, Node, NodeId, Op, View};
use crate::ops;
use rustc_hash::FxHashMap;

/// The graph under construction, with what is known of each node's readers.
pub struct Rewrite {
    /// Where new nodes are built; equal ones are one.
    pub g: GraphBuilder,
    /// Readers of each node in the graph that is being copied. Nodes that a rewrite just made have none yet.
    uses: Vec<u32>,
    /// Results above c exactly where x is above c, by (c, x).
    above_alike: FxHashMap<(NodeId, NodeId), NodeId>,
}

impl Rewrite {
    /// Nothing yet.
    pub fn new(g: GraphBuilder) -> Rewrite {
        Rewrite {
            g,
            uses: Vec::new(),
            above_alike: FxHashMap::default(),
        }
    }

    /// A copy of a node, moved elements being read through where that is exact.
    pub fn copy(&mut self, node: &Node, inputs: &[NodeId]) -> NodeId {
        match &node.op {
            Op::View(view) => self.g.view(inputs[0], view.clone()),
            Op::Reshape => self.g.reshape(inputs[0], &node.ty.shape),
            Op::Contract(contract) => self.g.contract(inputs[0], inputs[1], contract.clone()),
            op => self.g.push_as(op.clone(), inputs, node.ty.clone()),
        }
    }

    /// Notes that y lies above c exactly where x does.
    pub fn note_above_alike(&mut self, (c, x): (NodeId, NodeId), y: NodeId) {
        self.above_alike.entry((c, x)).or_insert(y);
    }

    /// A result that lies above c exactly where x does.
    pub fn above_alike(&self, c: NodeId, x: NodeId) -> Option<NodeId> {
        self.above_alike.get(&(c, x)).copied()
    }

    /// Notes that a node has (more) readers.
    pub fn used(&mut self, id: NodeId, times: u32) {
        if self.uses.len() <= id.index() {
            self.uses.resize(id.index() + 1, 0);
        }
        self.uses[id.index()] += times;
    }

    /// Whether a node is known to have one reader, so that changing it for that reader
    /// duplicates nothing.
    pub fn read_once(&self, id: NodeId) -> bool {
        self.uses.get(id.index()) == Some(&1)
    }

    /// Whether a node is known to have several readers.
    pub fn read_often(&self, id: NodeId) -> bool {
        self.uses.get(id.index()).is_some_and(|&uses| uses > 1)
    }

    /// The operation and operands of a node.
    pub fn parts(&self, id: NodeId) -> (Op, Vec<NodeId>) {
        let node = self.g.graph().node(id);
        (node.op.clone(), node.inputs.clone())
    }

    /// The operation of a node.
    pub fn op(&self, id: NodeId) -> &Op {
        &self.g.graph().node(id).op
    }

    /// The operands of a node.
    pub fn inputs(&self, id: NodeId) -> &[NodeId] {
        &self.g.graph().node(id).inputs
    }

    /// The operands of a node, if it is this operation.
    pub fn operands<const N: usize>(&self, id: NodeId, op: &Op) -> Option<[NodeId; N]> {
        let node = self.g.graph().node(id);
        match node.op == *op {
            true => node.inputs.as_slice().try_into().ok(),
            false => None,
        }
    }

    /// The contraction that a node is, and its operands.
    pub fn product(&self, id: NodeId) -> Option<(Contract, [NodeId; 2])> {
        let node = self.g.graph().node(id);
        match &node.op {
            Op::Contract(contract) => {
                Some((contract.clone(), node.inputs.as_slice().try_into().ok()?))
            }
            _ => None,
        }
    }

    /// The number of which a node consists.
    pub fn constant(&self, id: NodeId) -> Option<f64> {
        match self.op(id) {
            Op::Constant(value) => Some(*value),
            _ => None,
        }
    }

    /// The operand and the map of a view.
    pub fn view(&self, id: NodeId) -> Option<(NodeId, &View)> {
        let node = self.g.graph().node(id);
        match &node.op {
            Op::View(view) => Some((node.inputs[0], view)),
            _ => None,
        }
    }

    /// How many elements a node has.
    pub fn elements(&self, id: NodeId) -> usize {
        self.g.ty(id).elements()
    }

    /// Whether a node acts on each element alone, and on at least one operand.
    pub fn is_pointwise(&self, id: NodeId) -> bool {
        ops::is_pointwise(self.op(id))
    }

    /// A node of one operation like another, on other operands.
    pub fn like(&mut self, id: NodeId, inputs: &[NodeId]) -> NodeId {
        let op = self.op(id).clone();
        self.g.push(op, inputs)
    }
}
