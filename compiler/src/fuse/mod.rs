//! Cuts a step into kernels, so that each pass over memory does as much as it can:
//! chains of pointwise operations vanish into the products and reductions before
//! them, views into the way memory is read, and what has the same loops runs as one.

mod access;
mod cluster;
mod cost;
mod demand;
mod merge;
mod name;
mod needs;
mod nest;
mod place;
mod divide;
mod regions;
mod forward;
mod instead;
mod repeat;
mod rows;
mod rewrite;
mod sink;
mod tensors;
mod update;
mod variance;
mod worth;

#[cfg(test)]
mod tests;

use crate::bug::bug;
use crate::graph::{DType, Graph, NodeId, Step};
use crate::nest::{Kernel, Kernels};
use cluster::Kind;
use nest::Force;
use place::Joining;
use std::collections::{BTreeMap, BTreeSet};
use tensors::{Forms, Tensors};

/// The kernels of a step, in an order in which they can run.
pub fn fuse(step: &Step) -> Kernels {
    let step = variance::by_rows(&rewrite::rewrite(step));
    let (tensors, kernels) = nests(step, Joining::Wherever);
    let kernels = kernels
        .into_iter()
        .flat_map(|kernel| regions::regions(kernel, &tensors.buffers))
        .collect();
    let kernels = forward::forward(kernels, &tensors.buffers);
    let kernels = kernels.into_iter().map(sink::sink).collect();
    let kernels = merge::merge(kernels, &tensors.buffers);
    settled(tensors, kernels)
}

/// The same with a kernel for each operation: each reads its operands from memory and writes
/// its result there, but for masks and moved elements, which are never tensors. It shows
/// what `fuse` is worth.
pub fn fuse_nothing(step: &Step) -> Kernels {
    let (tensors, kernels) = nests(step.clone(), Joining::Nowhere);
    settled(tensors, kernels)
}

fn settled(tensors: Tensors, kernels: Vec<Kernel>) -> Kernels {
    let kernels = Kernels {
        buffers: tensors.buffers,
        kernels,
        outputs: tensors.outputs,
    };
    name::number(update::settle(kernels))
}

/// One kernel per cluster. Where values turn out to be readable from memory only,
/// the cut is made anew with them stored: all at once, since deep networks have many alike.
fn nests(mut step: Step, joining: Joining) -> (Tensors, Vec<Kernel>) {
    let mut forced = operands(&step.graph);
    loop {
        let unreadable = match try_nests(&step, &forced, joining) {
            Ok(done) => return done,
            Err(unreadable) => unreadable,
        };
        let is_mask = |node: &NodeId| step.graph.ty(*node).dtype == DType::Bool;
        if unreadable.keys().any(is_mask) {
            step = rewrite::move_numbers(&step);
            forced = operands(&step.graph);
            continue;
        }
        for (node, forms) in unreadable {
            let known = forced.get(&node).copied();
            let wanted = forms.and(known.unwrap_or_default());
            if known == Some(wanted) {
                bug!(
                    "fuse",
                    "{node}, stored as {forms:?}, cannot be read in\n{}",
                    step.graph
                );
            }
            forced.insert(node, wanted);
        }
    }
}

/// What kernels read that are no loop nests: it is stored.
fn operands(graph: &Graph) -> BTreeMap<NodeId, Forms> {
    let mut forced = repeat::operands(graph);
    rows::operands(graph, &mut forced);
    forced
}

/// The kernels, or what must be stored besides, in which forms.
fn try_nests(
    step: &Step,
    forced: &BTreeMap<NodeId, Forms>,
    joining: Joining,
) -> Result<(Tensors, Vec<Kernel>), BTreeMap<NodeId, Forms>> {
    let needs = needs::needs(step);
    let forced_nodes: BTreeSet<NodeId> = forced.keys().copied().collect();
    let mut stored = match joining {
        Joining::Wherever => {
            let draft = place::place(&step.graph, &needs, &forced_nodes, joining);
            worth::worth_storing(&step.graph, &needs, &draft)
        }
        Joining::Nowhere => worth::all(&step.graph, &needs),
    };
    stored.extend(forced_nodes);
    let placement = place::place(&step.graph, &needs, &stored, joining);
    let cut = demand::demand(step, placement);
    let mut tensors = tensors::tensors(step, &cut, forced);
    let mut kernels = Vec::new();
    let mut unreadable: BTreeMap<NodeId, Forms> = BTreeMap::new();
    for (cluster, stores) in cut.stores.iter().enumerate() {
        let kind = cut
            .placement
            .clusters
            .get(cluster)
            .map(|cluster| cluster.kind);
        if stores.is_empty() {
            continue;
        }
        match kind {
            Some(Kind::Repeat) => {
                kernels.extend(repeat::kernels(&step.graph, &mut tensors, stores));
            }
            Some(Kind::Rows) => kernels.extend(rows::kernels(&step.graph, &tensors, stores)),
            _ => match nest::nest(&step.graph, &cut, &tensors, cluster) {
                Ok(kernel) => kernels.push(kernel),
                Err(Force { node, forms }) => {
                    let all = unreadable.entry(node).or_default();
                    *all = all.and(forms);
                }
            },
        }
    }
    match unreadable.is_empty() {
        true => Ok((tensors, kernels)),
        false => Err(unreadable),
    }
}
