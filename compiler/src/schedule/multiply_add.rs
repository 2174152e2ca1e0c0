//! Products that are only added to something are multiplied and added at once, rounded once,
//! where the machine has an instruction for it: an optimiser's update is a fifth shorter.
//!
//! Only where slots are updated and nothing is compared. A value that several kernels compute,
//! each for itself, is to be the same in all of them: a maximum's gradient looks for the element
//! that equals it.

use crate::graph::DType;
use crate::nest::{BinaryOp, Buffer, Kernel, Kernels, Role, Scalar, Stage};

/// The same kernels, each `x * y + z` of floats as one operation if nothing else reads `x * y`.
pub fn multiply_add(kernels: Kernels) -> Kernels {
    let of = |kernel: Kernel| match kernel.instead {
        None if is_update(&kernel, &kernels.buffers) => fused(kernel, &kernels.buffers),
        _ => kernel,
    };
    Kernels {
        kernels: kernels.kernels.into_iter().map(of).collect(),
        ..kernels
    }
}

fn is_update(kernel: &Kernel, buffers: &[Buffer]) -> bool {
    let writes_slot = |stage: &Stage| match stage {
        Stage::Store { buffer, .. } => matches!(buffers[buffer.index()].role, Role::Slot(_)),
        Stage::Reduce { .. } => false,
    };
    let compares = |scalar: &Scalar| {
        use BinaryOp::{Equal, Less, LessEq};
        matches!(scalar, Scalar::Binary(Less | LessEq | Equal, ..))
    };
    kernel.stages.iter().any(writes_slot) && !kernel.scalars.iter().any(compares)
}

fn fused(kernel: Kernel, buffers: &[Buffer]) -> Kernel {
    let types = kernel.types(|buffer| buffers[buffer.index()].dtype);
    let mut reads = vec![0; kernel.scalars.len()];
    let operands = kernel.scalars.iter().flat_map(Scalar::operands);
    let results = kernel.stages.iter().map(Stage::value);
    operands
        .chain(results)
        .for_each(|id| reads[id.index()] += 1);
    let added = |scalar: &Scalar| {
        let Scalar::Binary(BinaryOp::Add, x, y) = *scalar else {
            return None;
        };
        let mut ways = [(x, y), (y, x)].into_iter();
        ways.find_map(|(product, other)| match kernel.scalars[product.index()] {
            Scalar::Binary(BinaryOp::Mul, a, b)
                if reads[product.index()] == 1 && types[product.index()] == DType::F32 =>
            {
                Some(Scalar::Fma(a, b, other))
            }
            _ => None,
        })
    };
    let scalars = kernel.scalars.iter();
    let scalars = scalars
        .map(|scalar| added(scalar).unwrap_or_else(|| scalar.clone()))
        .collect();
    Kernel { scalars, ..kernel }.tidied()
}
