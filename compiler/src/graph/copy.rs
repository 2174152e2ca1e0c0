//! Steps made from steps, node by node.

use super::{Graph, GraphBuilder, Node, NodeId, Step};

impl Step {
    /// A step with the same effects on another graph. `new` has for each node of this
    /// step's graph the one that stands for it there.
    pub fn moved_to(&self, graph: Graph, new: &[NodeId]) -> Step {
        let outputs = self.outputs.iter();
        let updates = self.updates.iter();
        Step {
            phase: self.phase,
            inputs: self.inputs.clone(),
            outputs: outputs
                .map(|(name, id)| (name.clone(), new[id.index()]))
                .collect(),
            updates: updates.map(|&(slot, id)| (slot, new[id.index()])).collect(),
            graph,
        }
    }

    /// A copy built in `g`: `copy` makes what stands for a node, given what stands for
    /// those before it.
    pub fn rebuilt(
        &self,
        mut g: GraphBuilder,
        mut copy: impl FnMut(&mut GraphBuilder, NodeId, &Node, &[NodeId]) -> NodeId,
    ) -> Step {
        let mut new: Vec<NodeId> = Vec::with_capacity(self.graph.nodes.len());
        for (id, node) in self.graph.iter() {
            g.set_origin_at(node.origin);
            let stands_for = copy(&mut g, id, node, &new);
            new.push(stands_for);
        }
        self.moved_to(g.finish(), &new)
    }
}

impl Node {
    /// What stands for its operands.
    pub fn inputs_in(&self, new: &[NodeId]) -> Vec<NodeId> {
        self.inputs.iter().map(|x| new[x.index()]).collect()
    }
}

impl GraphBuilder {
    /// The same operation on what stands for its operands.
    pub fn copy(&mut self, node: &Node, new: &[NodeId]) -> NodeId {
        self.push_as(node.op.clone(), &node.inputs_in(new), node.ty.clone())
    }
}
