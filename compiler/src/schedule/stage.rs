//! Copies of what products read beyond its edges but others own: those tensors lie
//! as they lie, a copy can have borders and the best order of axes.

use crate::graph::DType;
use crate::index::IndexExpr;
use crate::nest::{Buffer, BufferId, Kernel, Kernels, Role, Scalar, ScalarId, Stage};
use std::collections::BTreeMap;

/// The same kernels, in which products read such tensors through copies.
pub fn stage(kernels: Kernels) -> Kernels {
    let mut staged = Kernels {
        kernels: Vec::with_capacity(kernels.kernels.len()),
        ..kernels
    };
    let mut copies: BTreeMap<BufferId, BufferId> = BTreeMap::new();
    for mut kernel in kernels.kernels {
        for original in read_beyond(&kernel, &staged.buffers) {
            let copy = *copies.entry(original).or_insert_with(|| {
                let (copy, kernel) = copy(original, &mut staged.buffers, &kernel);
                staged.kernels.push(kernel);
                copy
            });
            kernel.redirect_loads(original, copy);
        }
        staged.kernels.push(kernel);
    }
    staged
}

/// The tensors of others that a product reads outside, with zeros there.
fn read_beyond(kernel: &Kernel, buffers: &[Buffer]) -> Vec<BufferId> {
    let mut found = Vec::new();
    for scalar in kernel.scalars.iter().filter(|_| kernel.is_product()) {
        if let Scalar::Load {
            buffer: id,
            at,
            fill: Some(_),
        } = scalar
        {
            let buffer = &buffers[id.index()];
            let given = buffer.role != Role::Temporary && buffer.dtype == DType::F32;
            let whole = at.iter().all(|index| index.divisor == 1);
            if given && whole && !found.contains(id) {
                found.push(*id);
            }
        }
    }
    found
}

fn copy(original: BufferId, buffers: &mut Vec<Buffer>, reader: &Kernel) -> (BufferId, Kernel) {
    let copy = BufferId(buffers.len() as u32);
    let buffer = Buffer {
        role: Role::Temporary,
        ..buffers[original.index()].clone()
    };
    let dims = buffer.extents.clone();
    buffers.push(buffer);
    let at: Vec<IndexExpr> = (0..dims.len()).map(IndexExpr::dim).collect();
    let kernel = Kernel {
        name: format!("{}_copy", reader.name),
        outer: dims.len(),
        dims,
        scalars: vec![Scalar::Load {
            buffer: original,
            at: at.clone(),
            fill: None,
        }],
        stages: vec![Stage::Store {
            over: Vec::new(),
            buffer: copy,
            at,
            value: ScalarId(0),
        }],
        origin: reader.origin.clone(),
        instead: None,
    };
    (copy, kernel)
}

impl Kernel {
    fn redirect_loads(&mut self, from: BufferId, to: BufferId) {
        for scalar in &mut self.scalars {
            if let Scalar::Load { buffer, .. } = scalar
                && *buffer == from
            {
                *buffer = to;
            }
        }
    }
}
