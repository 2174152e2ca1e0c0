//! Stages that loop over the same ranges do so with the same indices: what they read in
//! common is then seen to be the same.

use crate::index::Dim;
use crate::nest::{Kernel, Stage};

/// Gives later stages the indices of earlier ones.
pub fn unify(mut kernel: Kernel) -> Kernel {
    for later in 1..kernel.stages.len() {
        for dim in kernel.stages[later].over().to_vec() {
            let earlier = kernel.stages[..later].iter();
            let candidates: Vec<Dim> = earlier.flat_map(|stage| stage.over().to_vec()).collect();
            let partner = candidates
                .into_iter()
                .find(|&other| can_replace(&kernel, dim, other));
            if let Some(other) = partner {
                rename(&mut kernel, dim, other);
            }
        }
    }
    kernel
}

/// Of the same extent, and never open at the same time.
fn can_replace(kernel: &Kernel, dim: Dim, other: Dim) -> bool {
    let both = |stage: &Stage| stage.over().contains(&dim) && stage.over().contains(&other);
    dim != other && kernel.dims[dim] == kernel.dims[other] && !kernel.stages.iter().any(both)
}

fn rename(kernel: &mut Kernel, from: Dim, to: Dim) {
    let new = |dim: Dim| if dim == from { to } else { dim };
    kernel.map_indices(|expr| expr.rename(new));
    for stage in &mut kernel.stages {
        let (Stage::Reduce { over, .. } | Stage::Store { over, .. }) = stage;
        over.iter_mut().for_each(|dim| *dim = new(*dim));
    }
}
