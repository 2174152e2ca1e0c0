//! Cuts a step into kernels, so that each pass over memory does as much as it can:
//! chains of pointwise operations vanish into the products and reductions before
//! them, views into the way memory is read, and what has the same loops runs as one.

mod access;
mod cost;
mod demand;
mod merge;
mod name;
mod needs;
mod nest;
mod place;
mod rewrite;
mod sink;
mod tensors;
mod update;
mod worth;

#[cfg(test)]
mod tests;

use crate::bug::bug;
use crate::graph::{NodeId, Step};
use crate::nest::{Kernel, Kernels};
use nest::Force;
use std::collections::BTreeSet;
use tensors::Tensors;

/// The kernels of a step, in an order in which they can run.
pub fn fuse(step: &Step) -> Kernels {
    let step = rewrite::rewrite(step);
    let (tensors, kernels) = nests(&step);
    let kernels = kernels.into_iter().map(sink::sink).collect();
    let kernels = merge::merge(kernels, &tensors.buffers);
    let kernels = Kernels {
        buffers: tensors.buffers,
        kernels,
        outputs: tensors.outputs,
    };
    name::number(update::settle(kernels))
}

/// One kernel per cluster. Where a value turns out to be readable from memory only,
/// the cut is made anew with that value stored.
fn nests(step: &Step) -> (Tensors, Vec<Kernel>) {
    let mut forced = BTreeSet::new();
    let mut flat = BTreeSet::new();
    loop {
        match try_nests(step, &forced, &flat) {
            Ok(done) => return done,
            Err(force) => {
                let news = forced.insert(force.node) | (force.flat && flat.insert(force.node));
                if !news {
                    bug!("fuse", "{:?} is no way to read {}", force, force.node);
                }
            }
        }
    }
}

fn try_nests(
    step: &Step,
    forced: &BTreeSet<NodeId>,
    flat: &BTreeSet<NodeId>,
) -> Result<(Tensors, Vec<Kernel>), Force> {
    let needs = needs::needs(step);
    let draft = place::place(&step.graph, &needs, forced);
    let mut stored = worth::worth_storing(&step.graph, &needs, &draft);
    stored.extend(forced);
    let placement = place::place(&step.graph, &needs, &stored);
    let cut = demand::demand(step, placement);
    let tensors = tensors::tensors(step, &cut, flat);
    let mut kernels = Vec::new();
    for (cluster, stores) in cut.stores.iter().enumerate() {
        if !stores.is_empty() {
            kernels.push(nest::nest(&step.graph, &cut, &tensors, cluster)?);
        }
    }
    Ok((tensors, kernels))
}
