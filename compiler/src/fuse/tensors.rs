//! The tensors in memory of a step, and which node's value each of them holds.

use super::demand::Cut;
use crate::bug::bug;
use crate::graph::{DType, Graph, InputId, NodeId, Op, SlotId, Step};
use crate::nest::{Buffer, BufferId, Role};
use std::collections::{BTreeMap, BTreeSet};

/// In which forms a node is kept in memory, besides one or the other in any case.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Forms {
    /// Its own shape, even if one in which axes are merged is kept in memory too.
    pub own: bool,
    /// One row of all its elements.
    pub row: bool,
}

impl Forms {
    /// All of both.
    pub fn and(self, other: Forms) -> Forms {
        Forms {
            own: self.own || other.own,
            row: self.row || other.row,
        }
    }
}

/// The tensors of a step.
pub struct Tensors {
    /// All of them.
    pub buffers: Vec<Buffer>,
    /// The named results.
    pub outputs: Vec<(String, BufferId)>,
    inputs: BTreeMap<InputId, BufferId>,
    slots: BTreeMap<SlotId, BufferId>,
    /// From where a stored node is read. The tensor has its shape, or one in which some
    /// of its axes are merged.
    memory: BTreeMap<NodeId, BufferId>,
    /// The rows that stored nodes are read from through merges.
    rows: BTreeMap<NodeId, BufferId>,
    /// Where a node's value is to be written.
    targets: BTreeMap<NodeId, Vec<BufferId>>,
}

/// Gives every leaf, every stored node and every result its tensors.
pub fn tensors(step: &Step, cut: &Cut, forced: &BTreeMap<NodeId, Forms>) -> Tensors {
    let mut tensors = Tensors {
        buffers: Vec::new(),
        outputs: Vec::new(),
        inputs: BTreeMap::new(),
        slots: BTreeMap::new(),
        memory: BTreeMap::new(),
        rows: BTreeMap::new(),
        targets: BTreeMap::new(),
    };
    let graph = &step.graph;
    for (id, node) in graph.iter() {
        match node.op {
            Op::Input(input) if !tensors.inputs.contains_key(&input) => {
                let buffer = tensors.add(graph, id, Role::Input(input), false);
                tensors.inputs.insert(input, buffer);
            }
            Op::Slot(slot) if !tensors.slots.contains_key(&slot) => {
                let buffer = tensors.add(graph, id, Role::Slot(slot), false);
                tensors.slots.insert(slot, buffer);
            }
            _ => {}
        }
    }
    let outputs: BTreeSet<NodeId> = step.outputs.iter().map(|&(_, id)| id).collect();
    let forms = |id: NodeId| forced.get(&id).copied().unwrap_or_default();
    let stored = &cut.placement.stored;
    let merged = merged(graph, cut, &forms, &outputs);
    for &id in stored {
        let Forms { own, row } = forms(id);
        if row {
            let buffer = tensors.add(graph, id, Role::Temporary, true);
            tensors.rows.insert(id, buffer);
            tensors.targets.entry(id).or_default().push(buffer);
        }
        let has_other = row || outputs.contains(&id) || merged.contains_key(&id);
        if !has_other || (own && !outputs.contains(&id)) {
            let buffer = tensors.add(graph, id, Role::Temporary, false);
            tensors.memory.insert(id, buffer);
            tensors.targets.entry(id).or_default().push(buffer);
        }
    }
    for id in outputs {
        let buffer = tensors.add(graph, id, Role::Output, false);
        // What the last clusters store is read by nobody.
        if stored.contains(&id) {
            tensors.memory.entry(id).or_insert(buffer);
        }
        tensors.targets.entry(id).or_default().push(buffer);
    }
    for (id, merge) in merged {
        let buffer = tensors.memory[&merge];
        tensors.memory.insert(id, buffer);
    }
    for (&id, &buffer) in &tensors.rows {
        tensors.memory.entry(id).or_insert(buffer);
    }
    for (name, id) in &step.outputs {
        let output = tensors.targets[id].last().copied();
        tensors
            .outputs
            .extend(output.map(|buffer| (name.clone(), buffer)));
    }
    for &(slot, id) in &step.updates {
        let buffer = match tensors.slots.get(&slot) {
            Some(&buffer) => buffer,
            None => tensors.add(graph, id, Role::Slot(slot), false),
        };
        tensors.slots.insert(slot, buffer);
        tensors.targets.entry(id).or_default().push(buffer);
    }
    tensors
}

impl Tensors {
    fn add(&mut self, graph: &Graph, id: NodeId, role: Role, row: bool) -> BufferId {
        let ty = graph.ty(id);
        if ty.dtype == DType::Bool {
            bug!("fuse", "{id} is a mask and cannot be a tensor in memory");
        }
        let buffer = BufferId(self.buffers.len() as u32);
        self.buffers.push(Buffer {
            dtype: ty.dtype,
            extents: match row {
                true => vec![ty.elements()],
                false => ty.shape.clone(),
            },
            role,
        });
        buffer
    }

    /// From where a node is read that lies in memory.
    pub fn memory(&self, graph: &Graph, id: NodeId) -> BufferId {
        match self.memory.get(&id) {
            Some(&buffer) => buffer,
            None => self.leaf(graph, id),
        }
    }

    /// The tensor that an input or slot is.
    pub fn leaf(&self, graph: &Graph, id: NodeId) -> BufferId {
        match graph.node(id).op {
            Op::Input(input) => self.inputs[&input],
            Op::Slot(slot) => self.slots[&slot],
            _ => bug!("fuse", "{id} is read but not in memory"),
        }
    }

    /// Where a node's value is to be written.
    pub fn targets(&self, id: NodeId) -> &[BufferId] {
        self.targets.get(&id).map_or(&[], Vec::as_slice)
    }

    /// Whether a node's value goes to slots and nowhere else.
    pub fn is_update(&self, id: NodeId) -> bool {
        let mut targets = self.targets(id).iter();
        targets.all(|target| matches!(self.buffers[target.index()].role, Role::Slot(_)))
    }

    /// The shape of a tensor: that of a node it holds, or one with some axes merged.
    pub fn shape(&self, buffer: BufferId) -> &[usize] {
        &self.buffers[buffer.index()].extents
    }

    /// The row of all elements of a node, if it is kept as one.
    pub fn row(&self, id: NodeId) -> Option<BufferId> {
        self.rows.get(&id).copied()
    }
}

/// Stored nodes that need no tensor of their own, since the cluster that computes them
/// stores them with some axes merged too; and that merge.
fn merged(
    graph: &Graph,
    cut: &Cut,
    forms: &impl Fn(NodeId) -> Forms,
    outputs: &BTreeSet<NodeId>,
) -> BTreeMap<NodeId, NodeId> {
    let cluster = |id| cut.placement.cluster_of(id).map(|(cluster, _)| cluster);
    let stored = &cut.placement.stored;
    let mut merged = BTreeMap::new();
    for &merge in stored
        .iter()
        .filter(|&&id| graph.node(id).op == Op::Reshape)
    {
        let id = graph.node(merge).inputs[0];
        let can_do = forms(id) == Forms::default() && !forms(merge).row;
        let together = stored.contains(&id) && cluster(id) == cluster(merge);
        // A merge of a merge would have no tensor to lie in.
        let has_own = !merged.contains_key(&id) && !merged.contains_key(&merge);
        if can_do
            && together
            && has_own
            && !outputs.contains(&id)
            && graph.node(id).op != Op::Reshape
        {
            merged.insert(id, merge);
        }
    }
    merged
}
