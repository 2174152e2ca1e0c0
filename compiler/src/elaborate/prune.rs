//! Cuts a step down to what its outputs and updates need.

use crate::graph::{Graph, Input, InputId, NodeId, Op, Origin, Phase, SlotId, Step};
use std::collections::BTreeMap;

/// A graph under construction with everything that hangs on it.
pub(super) struct Draft<'g> {
    pub phase: Phase,
    pub graph: &'g Graph,
    pub inputs: &'g [Input],
    pub outputs: Vec<(String, NodeId)>,
    pub updates: Vec<(SlotId, NodeId)>,
}

/// The step without nodes, inputs and origins that nothing needs.
pub(super) fn prune(draft: Draft<'_>) -> Step {
    let graph = draft.graph;
    let mut needed = vec![false; graph.nodes.len()];
    let roots = draft.outputs.iter().map(|(_, node)| node);
    for root in roots.chain(draft.updates.iter().map(|(_, node)| node)) {
        needed[root.index()] = true;
    }
    for (id, node) in graph.iter().rev() {
        if needed[id.index()] {
            for input in &node.inputs {
                needed[input.index()] = true;
            }
        }
    }
    let mut step = Step {
        phase: draft.phase,
        graph: Graph::default(),
        inputs: Vec::new(),
        outputs: Vec::new(),
        updates: Vec::new(),
    };
    let mut renamed = vec![NodeId(u32::MAX); graph.nodes.len()];
    let mut inputs: BTreeMap<InputId, InputId> = BTreeMap::new();
    let mut origins: BTreeMap<u32, u32> = BTreeMap::new();
    for (id, node) in graph.iter().filter(|(id, _)| needed[id.index()]) {
        let mut node = node.clone();
        for input in &mut node.inputs {
            *input = renamed[input.index()];
        }
        if let Op::Input(old) = node.op {
            let new = *inputs.entry(old).or_insert_with(|| {
                step.inputs.push(draft.inputs[old.index()].clone());
                InputId(step.inputs.len() as u32 - 1)
            });
            node.op = Op::Input(new);
        }
        node.origin = *origins.entry(node.origin).or_insert_with(|| {
            let origin: &Origin = &graph.origins[node.origin as usize];
            step.graph.origins.push(origin.clone());
            step.graph.origins.len() as u32 - 1
        });
        renamed[id.index()] = NodeId(step.graph.nodes.len() as u32);
        step.graph.nodes.push(node);
    }
    let outputs = draft.outputs.into_iter();
    step.outputs = outputs
        .map(|(name, node)| (name, renamed[node.index()]))
        .collect();
    let updates = draft.updates.into_iter();
    step.updates = updates
        .map(|(slot, node)| (slot, renamed[node.index()]))
        .collect();
    step
}
