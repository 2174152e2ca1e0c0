//! Convolutions by way of matrices into which every window of an operand is copied: what
//! others do, and what the tiles here do without. It is made only to be compared with.

use crate::index::{Dim, IndexExpr};
use crate::nest::{Buffer, BufferId, Kernel, Kernels, Role, Scalar, ScalarId, Stage};

/// The same kernels; what products read through windows is spelt out before.
pub fn im2col(kernels: Kernels) -> Kernels {
    let mut spelt = Kernels {
        kernels: Vec::with_capacity(kernels.kernels.len()),
        ..kernels
    };
    for mut kernel in kernels.kernels {
        if let Some((a, b)) = kernel.factors() {
            for operand in [a, b] {
                let copy = spell_out(&mut kernel, operand, &mut spelt.buffers);
                spelt.kernels.extend(copy);
            }
        }
        spelt.kernels.push(kernel);
    }
    spelt
}

/// Lets a kernel read an operand from a tensor with one axis for each dimension that the
/// operand knows; what comes back fills that tensor in. Nothing where no windows overlap.
fn spell_out(kernel: &mut Kernel, operand: ScalarId, buffers: &mut Vec<Buffer>) -> Option<Kernel> {
    let Scalar::Load { buffer, at, fill } = &kernel.scalars[operand.index()] else {
        return None;
    };
    let knows = |dim: &Dim| at.iter().any(|index| index.coefficient(*dim) != 0);
    let dims: Vec<Dim> = (0..kernel.dims.len()).filter(knows).collect();
    let extents: Vec<usize> = dims.iter().map(|&dim| kernel.dims[dim]).collect();
    let elements = &buffers[buffer.index()].extents;
    let overlap = extents.iter().product::<usize>() > elements.iter().product();
    if !overlap || at.iter().all(|index| index.terms.len() < 2) {
        return None;
    }
    let axis = |dim: Dim| dims.iter().position(|&known| known == dim).unwrap_or(0);
    let load = Scalar::Load {
        buffer: *buffer,
        at: at.iter().map(|index| index.rename(axis)).collect(),
        fill: *fill,
    };
    let matrix = BufferId(buffers.len() as u32);
    buffers.push(Buffer {
        dtype: buffers[buffer.index()].dtype,
        extents: extents.clone(),
        role: Role::Temporary,
    });
    kernel.scalars[operand.index()] = Scalar::Load {
        buffer: matrix,
        at: dims.into_iter().map(IndexExpr::dim).collect(),
        fill: None,
    };
    Some(Kernel {
        name: format!("{}_im2col", kernel.name),
        outer: extents.len(),
        scalars: vec![load],
        stages: vec![Stage::Store {
            over: Vec::new(),
            buffer: matrix,
            at: (0..extents.len()).map(IndexExpr::dim).collect(),
            value: ScalarId(0),
        }],
        dims: extents,
        origin: kernel.origin.clone(),
        instead: None,
    })
}
