//! What kernels share that have something `instead` of stages: how they name their tensors, and
//! how what they write gets to all who hold it.

use super::access::merge;
use super::tensors::Tensors;
use crate::bug::bug;
use crate::graph::{Graph, NodeId, Origin};
use crate::index::IndexExpr;
use crate::nest::{BufferId, Kernel, Scalar, ScalarId, Stage};

/// A kernel that reads and writes these tensors, somewhere.
pub fn names_only(reads: &[BufferId], writes: &[BufferId], tensors: &Tensors) -> Kernel {
    let somewhere = |buffer: BufferId| vec![IndexExpr::constant(0); tensors.shape(buffer).len()];
    let mut scalars: Vec<Scalar> = vec![Scalar::F32(0.0)];
    for &buffer in reads {
        let load = Scalar::Load {
            buffer,
            at: somewhere(buffer),
            fill: None,
        };
        if !scalars.contains(&load) {
            scalars.push(load);
        }
    }
    let stores = writes.iter().map(|&buffer| Stage::Store {
        over: Vec::new(),
        buffer,
        at: somewhere(buffer),
        value: ScalarId(0),
    });
    Kernel {
        scalars,
        stages: stores.collect(),
        ..copy(
            (BufferId(0), Vec::new()),
            BufferId(0),
            Vec::new(),
            Vec::new(),
        )
    }
}

/// Copies a node's value from the tensor to which it was written to all others that hold it.
pub fn copy_to_others(graph: &Graph, tensors: &Tensors, id: NodeId, from: BufferId) -> Vec<Kernel> {
    let node = graph.node(id);
    let dims = node.ty.shape.clone();
    let at: Vec<IndexExpr> = (0..dims.len()).map(IndexExpr::dim).collect();
    // A tensor may have some of the axes merged.
    let place = |buffer: BufferId| match merge(&at, &dims, tensors.shape(buffer)) {
        Some(place) => place,
        None => bug!("fuse", "{id} cannot be copied to {buffer}"),
    };
    let others = tensors.targets(id).iter().filter(|&&to| to != from);
    others
        .map(|&to| Kernel {
            origin: graph.origins[node.origin as usize].clone(),
            ..copy((from, place(from)), to, dims.clone(), place(to))
        })
        .collect()
}

/// Copies one tensor, read at `source`, to `at` in another one.
pub fn copy(
    (from, source): (BufferId, Vec<IndexExpr>),
    to: BufferId,
    dims: Vec<usize>,
    at: Vec<IndexExpr>,
) -> Kernel {
    Kernel {
        name: "copy".into(),
        outer: dims.len(),
        scalars: vec![Scalar::Load {
            buffer: from,
            at: source,
            fill: None,
        }],
        stages: vec![Stage::Store {
            over: Vec::new(),
            buffer: to,
            at,
            value: ScalarId(0),
        }],
        dims,
        origin: Origin {
            span: None,
            path: String::new(),
        },
        instead: None,
    }
}
