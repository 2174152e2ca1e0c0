//! Names of kernels: what they do, in a few words.

use crate::graph::{Graph, NodeId, Op};
use crate::nest::{BufferId, Kernel, Kernels, Role};
use crate::ops;

/// More words than that tell nothing.
const WORDS: usize = 4;

/// The name of a kernel that computes these nodes, without its number.
pub fn describe(graph: &Graph, nodes: &[NodeId], updates: bool) -> String {
    if updates {
        return "update".into();
    }
    let mut words: Vec<&str> = Vec::new();
    let (first, rest): (Vec<NodeId>, Vec<NodeId>) = nodes
        .iter()
        .partition(|&&id| is_reduction(&graph.node(id).op));
    for id in first.into_iter().chain(rest) {
        if let Some(word) = word(graph, id)
            && !words.contains(&word)
        {
            words.push(word);
        }
    }
    words.truncate(WORDS);
    match words.is_empty() {
        true => "copy".into(),
        false => words.join("_"),
    }
}

fn is_reduction(op: &Op) -> bool {
    matches!(
        op,
        Op::Contract(_) | Op::Sum { .. } | Op::MaxOver { .. } | Op::ArgMax { .. }
    )
}

/// A node's word, unless it does next to nothing.
fn word(graph: &Graph, id: NodeId) -> Option<&'static str> {
    let node = graph.node(id);
    let is_zero = |&input: &NodeId| graph.node(input).op == Op::Constant(0.0);
    match node.op {
        Op::Input(_) | Op::Slot(_) | Op::Constant(_) | Op::Iota { .. } => None,
        Op::View(_) | Op::Reshape | Op::Cast(_) | Op::StopGradient | Op::Not => None,
        Op::MaxOver { .. } => Some("max"),
        Op::Mul | Op::Neg | Op::Less | Op::LessEq | Op::Equal => None,
        Op::Max if node.inputs.iter().any(is_zero) => Some("relu"),
        _ => Some(ops::name(&node.op)),
    }
}

/// The name of two kernels in one.
pub fn joined(first: &str, second: &str) -> String {
    let mut words: Vec<&str> = first.split('_').collect();
    for word in second.split('_') {
        if !words.contains(&word) {
            words.push(word);
        }
    }
    words.truncate(WORDS);
    words.join("_")
}

/// Numbers the kernels, and the tensors that they use in the order in which they do.
pub fn number(mut kernels: Kernels) -> Kernels {
    let digits = kernels.kernels.len().saturating_sub(1).to_string().len();
    for (number, kernel) in kernels.kernels.iter_mut().enumerate() {
        kernel.name = format!("k{number:0digits$}_{}", kernel.name);
    }
    let mut order: Vec<BufferId> = Vec::new();
    let mut seen = vec![false; kernels.buffers.len()];
    let used = kernels.kernels.iter().flat_map(Kernel::arguments);
    for buffer in used.chain(kernels.outputs.iter().map(|&(_, buffer)| buffer)) {
        if !std::mem::replace(&mut seen[buffer.index()], true) {
            order.push(buffer);
        }
    }
    // Those that others own come first.
    order.sort_by_key(|buffer| match kernels.buffers[buffer.index()].role {
        Role::Input(id) => (0, id.0),
        Role::Slot(id) => (1, id.0),
        Role::Temporary => (2, 0),
        Role::Output => (3, 0),
    });
    let mut positions = vec![BufferId(u32::MAX); kernels.buffers.len()];
    for (new, old) in order.iter().enumerate() {
        positions[old.index()] = BufferId(new as u32);
    }
    let position = |old: BufferId| positions[old.index()];
    for kernel in &mut kernels.kernels {
        kernel.map_buffers(position);
    }
    for (_, buffer) in &mut kernels.outputs {
        *buffer = position(*buffer);
    }
    kernels.buffers = order
        .iter()
        .map(|b| kernels.buffers[b.index()].clone())
        .collect();
    kernels
}
