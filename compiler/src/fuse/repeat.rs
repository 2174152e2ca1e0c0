//! Loops over time as kernels: the body is cut into kernels as any step is, and runs on
//! windows of the tensors around it.

use super::divide::{Division, divide};
use super::instead::{copy, copy_to_others, names_only};
use super::tensors::{Forms, Tensors};
use crate::bug::bug;
use crate::graph::{Graph, InputId, NodeId, Op, Scan, SlotId};
use crate::index::IndexExpr;
use crate::nest::{Buffer, BufferId, Instead, Kernel, Repeat, Role, Window};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What loops read: it must lie in memory, in its own shape.
pub fn operands(graph: &Graph) -> BTreeMap<NodeId, Forms> {
    let mut forced = BTreeMap::new();
    for node in &graph.nodes {
        let Op::Scan(scan) = &node.op else { continue };
        for (position, &x) in node.inputs.iter().enumerate() {
            let (base, _) = base(graph, scan, position, x);
            if !matches!(graph.node(base).op, Op::Input(_) | Op::Slot(_)) {
                let forms = Forms {
                    own: true,
                    row: false,
                };
                forced.insert(base, forms);
            }
        }
    }
    forced
}

/// The tensor behind an operand, and the entry at which the operand begins: slices may
/// be those of a longer tensor.
fn base(graph: &Graph, scan: &Scan, position: usize, x: NodeId) -> (NodeId, usize) {
    let is_sliced = (scan.carried..scan.carried + scan.sliced).contains(&position);
    let Op::View(view) = &graph.node(x).op else {
        return (x, 0);
    };
    let behind = graph.node(x).inputs[0];
    let shape = &graph.ty(behind).shape;
    let rest = view.map.iter().enumerate().skip(1);
    let plain = view.shape.len() == shape.len()
        && view.stays_inside(shape)
        && view.shape[1..] == shape[1..]
        && view
            .map
            .first()
            .is_some_and(|first| first.shifted(-first.offset).as_dim() == Some(0))
        && rest
            .into_iter()
            .all(|(axis, index)| index.as_dim() == Some(axis));
    match is_sliced && plain {
        true => (behind, view.map[0].offset as usize),
        false => (x, 0),
    }
}

/// The kernels of a scan, of which `parts` are the results that someone reads: first
/// those that write the first values of what is carried, then the loop.
pub fn kernels(graph: &Graph, tensors: &mut Tensors, parts: &BTreeSet<NodeId>) -> Vec<Kernel> {
    let id = match parts.first().map(|part| graph.node(*part)) {
        Some(part) => part.inputs[0],
        None => return Vec::new(),
    };
    let node = graph.node(id);
    let Op::Scan(scan) = &node.op else {
        bug!("fuse", "{id} is no scan")
    };
    let origin = graph.origins[node.origin as usize].clone();
    let results = results(graph, tensors, scan, parts);
    let mut kernels = Vec::new();
    for (&trail, &first) in results.iter().zip(&node.inputs[..scan.carried]) {
        kernels.push(Kernel {
            origin: origin.clone(),
            ..first_value(scan, trail, tensors.memory(graph, first), tensors)
        });
    }
    let sources: Vec<(BufferId, usize)> = node
        .inputs
        .iter()
        .enumerate()
        .map(|(position, &x)| {
            let (base, entry) = base(graph, scan, position, x);
            (tensors.memory(graph, base), entry)
        })
        .collect();
    let repeat = repeat(scan, &results, &sources);
    let mut reads: Vec<BufferId> = results[..scan.carried].to_vec();
    reads.extend(sources[scan.carried..].iter().map(|&(buffer, _)| buffer));
    kernels.push(Kernel {
        name: "scan".into(),
        dims: Vec::new(),
        outer: 0,
        origin: origin.clone(),
        instead: Some(Instead::Repeat(Arc::new(repeat))),
        ..names_only(&reads, &results, tensors)
    });
    // What goes to several places is copied from the first.
    for &part in parts {
        let Op::Part(position) = graph.node(part).op else {
            bug!("fuse", "{part} is no result of a scan")
        };
        kernels.extend(copy_to_others(graph, tensors, part, results[position]));
    }
    kernels
}

/// A tensor for each result, read or not.
fn results(
    graph: &Graph,
    tensors: &mut Tensors,
    scan: &Scan,
    parts: &BTreeSet<NodeId>,
) -> Vec<BufferId> {
    let mut results = Vec::new();
    for position in 0..scan.body.outputs.len() {
        let mut parts = parts.iter();
        let part = parts.find(|&&part| graph.node(part).op == Op::Part(position));
        results.push(match part {
            Some(&part) => tensors.memory(graph, part),
            None => {
                let ty = scan.part(position);
                tensors.buffers.push(Buffer {
                    dtype: ty.dtype,
                    extents: ty.shape,
                    role: Role::Temporary,
                });
                BufferId(tensors.buffers.len() as u32 - 1)
            }
        });
    }
    results
}

/// Writes the first entry of a trail.
fn first_value(scan: &Scan, trail: BufferId, first: BufferId, tensors: &Tensors) -> Kernel {
    let dims = tensors.shape(first).to_vec();
    let mut at = vec![IndexExpr::constant(scan.first_entry() as i64)];
    at.extend((0..dims.len()).map(IndexExpr::dim));
    let source = (0..dims.len()).map(IndexExpr::dim).collect();
    copy((first, source), trail, dims, at)
}

/// The loop, its body cut into kernels for one part of the batch.
fn repeat(scan: &Scan, results: &[BufferId], sources: &[(BufferId, usize)]) -> Repeat {
    let Division {
        parts,
        mut step,
        divided,
    } = divide(scan);
    // What is the same at each step is to the body what weights are to a step.
    for node in &mut step.graph.nodes {
        if let Op::Input(InputId(position)) = node.op
            && position as usize >= scan.carried + scan.sliced
        {
            node.op = Op::Slot(SlotId(position));
        }
    }
    let body = super::fuse(&step);
    let size = |shape: &[usize]| shape.iter().product::<usize>();
    let whole = |position: usize| size(&scan.body.inputs[position].ty.shape);
    let mut windows = vec![None; body.buffers.len()];
    for (number, buffer) in body.buffers.iter().enumerate() {
        let position = match buffer.role {
            Role::Input(input) => input.index(),
            Role::Slot(whole) => whole.index(),
            Role::Temporary | Role::Output => continue,
        };
        let entry = whole(position);
        let per_part = match divided[position] {
            true => entry / parts,
            false => 0,
        };
        windows[number] = Some(if position < scan.carried {
            Window {
                buffer: results[position],
                start: scan.order.before() * entry,
                per_step: entry,
                per_part,
            }
        } else {
            let (buffer, first) = sources[position];
            let is_sliced = position < scan.carried + scan.sliced;
            Window {
                buffer,
                start: first * entry,
                per_step: if is_sliced { entry } else { 0 },
                per_part,
            }
        });
    }
    for (position, (_, buffer)) in body.outputs.iter().enumerate() {
        let part = size(&body.buffers[buffer.index()].extents);
        let entry = part * parts;
        let is_carried = position < scan.carried;
        windows[buffer.index()] = Some(Window {
            buffer: results[position],
            start: if is_carried {
                scan.order.after() * entry
            } else {
                0
            },
            per_step: entry,
            per_part: part,
        });
    }
    Repeat {
        length: scan.length,
        order: scan.order,
        parts,
        body,
        windows,
    }
}
