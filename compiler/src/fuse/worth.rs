//! Which values are stored because computing them wherever they are read would cost more.

use super::cost;
use super::needs::{Needs, is_reduction};
use super::place::{Home, Placement};
use crate::graph::{DType, Graph, Node, NodeId, Op};
use std::collections::BTreeSet;

/// Nodes at home anywhere that are better computed once, by a placement in which
/// none of them is stored.
pub fn worth_storing(graph: &Graph, needs: &Needs, placement: &Placement) -> BTreeSet<NodeId> {
    let weights = weights(graph, placement);
    // How often an element of each node is computed if each kernel that needs it does so.
    let mut evaluations: Vec<u64> = vec![0; graph.nodes.len()];
    let mut stored = BTreeSet::new();
    for (id, node) in graph.iter().rev().filter(|(id, _)| needs.live[id.index()]) {
        let again = evaluations[id.index()].saturating_sub(1);
        let saved = weights[id.index()].saturating_sub(cost::LOAD);
        let pays = again.saturating_mul(saved) > cost::STORE;
        if pays && can_pay(placement, id, node) {
            stored.insert(id);
        }
        let once = is_reduction(node)
            || matches!(node.op, Op::Scan(_))
            || placement.cluster_of(id).is_some()
            || stored.contains(&id);
        let own = match once {
            true => 1,
            false => evaluations[id.index()].max(1),
        };
        for &input in &node.inputs {
            let more = own.saturating_mul(copies(graph, node, input));
            let of_input = &mut evaluations[input.index()];
            // All updates of a parameter run as one kernel.
            *of_input = match needs.update_only[id.index()] {
                true => more.max(*of_input),
                false => of_input.saturating_add(more),
            };
        }
    }
    stored
}

/// All that can be a tensor in memory and is computed at all.
pub fn all(graph: &Graph, needs: &Needs) -> BTreeSet<NodeId> {
    let computed = graph.iter().filter(|(id, node)| {
        let leaf = matches!(node.op, Op::Input(_) | Op::Slot(_) | Op::Constant(_));
        let moves = matches!(node.op, Op::View(_) | Op::Reshape);
        needs.live[id.index()] && !leaf && !moves && node.ty.dtype != DType::Bool
    });
    computed.map(|(id, _)| id).collect()
}

/// How often a node looks at each element of its operand.
fn copies(graph: &Graph, node: &Node, input: NodeId) -> u64 {
    match node.op {
        Op::View(_) => node.ty.elements().div_ceil(graph.ty(input).elements()) as u64,
        _ => 1,
    }
}

fn can_pay(placement: &Placement, id: NodeId, node: &Node) -> bool {
    let moves = matches!(node.op, Op::View(_) | Op::Reshape);
    let is_leaf = matches!(node.op, Op::Input(_) | Op::Slot(_) | Op::Constant(_));
    // What is reduced from windows is found once per window wherever it is read.
    let loops = matches!(placement.home_of(id), Home::Anywhere { reduces: true, .. });
    let here = placement.cluster_of(id).is_some();
    !moves && !is_leaf && !loops && !here && node.ty.dtype != DType::Bool
}

/// The cost of an element of each node if everything down to the nearest tensors and
/// reductions is computed for it alone.
fn weights(graph: &Graph, placement: &Placement) -> Vec<u64> {
    let mut weights: Vec<u64> = Vec::with_capacity(graph.nodes.len());
    for (id, node) in graph.iter() {
        let copies = cost::copies(graph, node) as u64;
        let operands = node.inputs.iter();
        let operands = operands.map(|input| weights[input.index()] / copies);
        let in_memory = is_reduction(node) || placement.cluster_of(id).is_some();
        weights.push(match in_memory {
            true => cost::LOAD,
            false => operands.fold(cost::operations(&node.op), u64::saturating_add),
        });
    }
    weights
}
