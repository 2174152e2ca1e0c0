//! Rows moved by their numbers as kernels of their own: what is read, the numbers, and what
//! comes of it lie in memory.

use super::instead::{copy_to_others, names_only};
use super::tensors::{Forms, Tensors};
use crate::bug::bug;
use crate::graph::{Graph, NodeId, NumberedRows, Op, Way};
use crate::nest::{BufferId, Instead, Kernel, RowsByNumber};
use std::collections::{BTreeMap, BTreeSet};

/// What such kernels read, which must lie in memory in its own shape, is added to `forced`.
pub fn operands(graph: &Graph, forced: &mut BTreeMap<NodeId, Forms>) {
    let moves = graph
        .nodes
        .iter()
        .filter(|node| matches!(node.op, Op::Gather { .. } | Op::Scatter { .. }));
    for &x in moves.flat_map(|node| &node.inputs) {
        if !matches!(graph.node(x).op, Op::Input(_) | Op::Slot(_)) {
            let own = Forms {
                own: true,
                row: false,
            };
            let forms = forced.entry(x).or_default();
            *forms = forms.and(own);
        }
    }
}

/// The kernels of nodes that move rows, and of what is copied from their results.
pub fn kernels(graph: &Graph, tensors: &Tensors, moves: &BTreeSet<NodeId>) -> Vec<Kernel> {
    let mut kernels = Vec::new();
    for &id in moves {
        let node = graph.node(id);
        let shape = |x: NodeId| graph.ty(x).shape.as_slice();
        let numbers = shape(node.inputs[1]);
        let (way, rows) = match node.op {
            Op::Gather { axis, shared } => {
                let table = shape(node.inputs[0]);
                (Way::Gather, NumberedRows::new(table, numbers, axis, shared))
            }
            Op::Scatter { axis, shared, .. } => (
                Way::Scatter,
                NumberedRows::new(shape(id), numbers, axis, shared),
            ),
            _ => bug!("fuse", "{id} moves no rows"),
        };
        let origin = graph.origins[node.origin as usize].clone();
        let reads: Vec<BufferId> = node
            .inputs
            .iter()
            .map(|&x| tensors.memory(graph, x))
            .collect();
        let to = tensors.memory(graph, id);
        kernels.push(Kernel {
            name: crate::ops::name(&node.op).into(),
            origin: origin.clone(),
            instead: Some(Instead::Rows(RowsByNumber { way, rows })),
            ..names_only(&reads, &[to], tensors)
        });
        kernels.extend(copy_to_others(graph, tensors, id, to));
    }
    kernels
}
