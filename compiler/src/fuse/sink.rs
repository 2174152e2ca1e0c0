//! Moves dimensions into the stores where the reductions of a kernel do not depend on
//! them: the maximum of a pooling window is found once, not at each of its points.

use super::cost;
use crate::index::{Dim, IndexExpr};
use crate::nest::{Kernel, Stage};

/// The same kernel with fewer outer dimensions, if its reductions ask for that.
pub fn sink(kernel: Kernel) -> Kernel {
    let used = dims_of_reductions(&kernel);
    let sunk: Vec<Dim> = (0..kernel.outer).filter(|&dim| !used[dim]).collect();
    let points: usize = sunk.iter().map(|&dim| kernel.dims[dim]).product();
    let reduces = kernel.stages.iter().any(is_reduction);
    let stores_at_points = kernel.stages.iter().all(|stage| match stage {
        Stage::Store { over, .. } => over.is_empty(),
        Stage::Reduce { .. } => true,
    });
    if !reduces || !stores_at_points || sunk.is_empty() || points > cost::TINY_REDUCTION {
        return kernel;
    }
    let kept = (0..kernel.outer).filter(|&dim| used[dim]);
    let inner = kernel.outer..kernel.dims.len();
    let order: Vec<Dim> = kept.chain(sunk.iter().copied()).chain(inner).collect();
    let mut kernel = reorder(kernel, &order);
    kernel.outer -= sunk.len();
    let sunk: Vec<Dim> = (kernel.outer..kernel.outer + sunk.len()).collect();
    for stage in &mut kernel.stages {
        if let Stage::Store { over, .. } = stage {
            over.clone_from(&sunk);
        }
    }
    kernel
}

fn is_reduction(stage: &Stage) -> bool {
    matches!(stage, Stage::Reduce { .. })
}

/// Which dimensions the values of reductions depend on.
fn dims_of_reductions(kernel: &Kernel) -> Vec<bool> {
    let mut used = vec![false; kernel.dims.len()];
    let mut needed = vec![false; kernel.scalars.len()];
    for stage in &kernel.stages {
        if let Stage::Reduce { value, .. } = stage {
            needed[value.index()] = true;
        }
    }
    for (id, scalar) in kernel.scalars.iter().enumerate().rev() {
        if !needed[id] {
            continue;
        }
        for operand in scalar.operands() {
            needed[operand.index()] = true;
        }
        for index in scalar.indices() {
            index.terms.iter().for_each(|&(dim, _)| used[dim] = true);
        }
    }
    used
}

/// The same kernel, its dimension `order[i]` being number `i`.
fn reorder(mut kernel: Kernel, order: &[Dim]) -> Kernel {
    let mut position = vec![0; order.len()];
    for (new, &old) in order.iter().enumerate() {
        position[old] = new;
    }
    kernel.dims = order.iter().map(|&dim| kernel.dims[dim]).collect();
    kernel.map_indices(|index: &IndexExpr| index.rename(|dim| position[dim]));
    for stage in &mut kernel.stages {
        let (Stage::Reduce { over, .. } | Stage::Store { over, .. }) = stage;
        over.iter_mut().for_each(|dim| *dim = position[*dim]);
    }
    kernel
}
