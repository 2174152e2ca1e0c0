//! Which values become tensors in memory: what a cluster needs of an earlier one is
//! stored by that one, unless it is cheap to compute again from what is stored anyway.

use super::cost;
use super::needs::is_seed;
use super::place::Placement;
use crate::bug::bug;
use crate::graph::{DType, Graph, NodeId, Op, Step};
use std::collections::{BTreeMap, BTreeSet};

/// A cut graph: clusters, and the nodes that each of them stores.
pub struct Cut {
    /// Who computes what.
    pub placement: Placement,
    /// Per cluster, the nodes whose values it computes for a result of the step or
    /// for other clusters. Clusters beyond those of the placement store results
    /// that are at home anywhere.
    pub stores: Vec<BTreeSet<NodeId>>,
}

/// How a cluster gets at a node's value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Source {
    /// It is at home there.
    Here,
    /// From memory.
    Memory,
    /// Computed on the spot from its operands.
    Again,
}

impl Cut {
    /// How a cluster gets at a node's value.
    pub fn source(&self, graph: &Graph, id: NodeId, reader: usize) -> Source {
        source(graph, &self.placement, id, reader)
    }
}

/// Decides what is stored of a step.
pub fn demand(step: &Step, placement: Placement) -> Cut {
    let graph = &step.graph;
    let mut demand = Demand {
        graph,
        stores: vec![BTreeSet::new(); placement.clusters.len()],
        placement,
        costs: BTreeMap::new(),
    };
    for id in demand.placement.stored.clone() {
        demand.store(id);
    }
    let outputs = step.outputs.iter().map(|&(_, id)| id);
    let updates = step.updates.iter().map(|&(_, id)| id);
    for id in outputs.clone() {
        if demand.placement.cluster_of(id).is_some() {
            demand.store(id);
        }
    }
    let results: BTreeSet<NodeId> = outputs.chain(updates).collect();
    let must = demand.placement.stored.clone();
    for &id in &results {
        match demand.placement.cluster_of(id) {
            Some((cluster, _)) => {
                demand.stores[cluster].insert(id);
            }
            None => demand.stores.push(BTreeSet::from([id])),
        }
    }
    demand.store_what_is_read();
    // Only later clusters ask anything of a cluster, so that from the last to the
    // first each one's stores are known when its turn comes.
    for cluster in (0..demand.stores.len()).rev() {
        let mut seen = BTreeSet::new();
        for id in demand.stores[cluster].clone() {
            demand.visit(cluster, id, &mut seen);
        }
    }
    demand.forget_cheap(&must, &results);
    Cut {
        placement: demand.placement,
        stores: demand.stores,
    }
}

struct Demand<'a> {
    graph: &'a Graph,
    placement: Placement,
    stores: Vec<BTreeSet<NodeId>>,
    /// What it costs to compute a node again for so many points; forgotten when memory grows.
    costs: BTreeMap<(NodeId, usize), Option<u64>>,
}

impl Demand<'_> {
    fn store(&mut self, id: NodeId) {
        let Some((cluster, _)) = self.placement.cluster_of(id) else {
            bug!("fuse", "{id} is stored but at home nowhere")
        };
        self.placement.stored.insert(id);
        self.stores[cluster].insert(id);
        self.costs.clear();
    }

    /// What cannot be computed again and is read where another cluster is at home will be stored in
    /// any case. Known early, what is cheap to compute from it is not stored beside it.
    fn store_what_is_read(&mut self) {
        let graph = self.graph;
        for (id, node) in graph.iter() {
            let Some((reader, _)) = self.placement.cluster_of(id) else {
                continue;
            };
            for &input in &node.inputs {
                let read = moved(graph, input);
                let home = self.placement.cluster_of(read);
                if home.is_some_and(|(home, _)| home != reader) && is_seed(graph, graph.node(read))
                {
                    self.store(read);
                }
            }
        }
    }

    /// Sees to it that `cluster` can get at everything that `id` is made of.
    fn visit(&mut self, cluster: usize, id: NodeId, seen: &mut BTreeSet<NodeId>) {
        if !seen.insert(id) {
            return;
        }
        if source(self.graph, &self.placement, id, cluster) == Source::Memory {
            return;
        }
        if let Some((home, _)) = self.placement.cluster_of(id)
            && home != cluster
            && self.graph.ty(id).dtype != DType::Bool
            && !self.is_cheap(id, self.graph.ty(id).elements())
        {
            return self.store(id);
        }
        for &input in &self.graph.node(id).inputs {
            self.visit(cluster, input, seen);
        }
    }

    fn is_cheap(&mut self, id: NodeId, points: usize) -> bool {
        self.cost_again(id, points)
            .is_some_and(|cost| cost <= cost::CHEAP)
    }

    /// The cost of computing an element again from memory alone, if that is possible. What
    /// there is little of beside so many points is as good as stored: it will be, if need be.
    fn cost_again(&mut self, id: NodeId, points: usize) -> Option<u64> {
        if let Some(&known) = self.costs.get(&(id, points)) {
            return known;
        }
        let node = self.graph.node(id);
        let is_leaf = matches!(node.op, Op::Input(_) | Op::Slot(_));
        let is_little = node.ty.elements().saturating_mul(cost::LITTLE) <= points
            && node.ty.dtype != DType::Bool;
        let cost = if is_leaf || is_little || self.placement.stored.contains(&id) {
            Some(cost::LOAD)
        } else if is_seed(self.graph, node) {
            None
        } else {
            let mut cost = Some(cost::operations(&node.op));
            for &input in &node.inputs {
                let more = self.cost_again(input, points);
                cost = cost.zip(more).map(|(cost, more)| cost.saturating_add(more));
            }
            cost
        };
        self.costs.insert((id, points), cost);
        cost
    }

    /// What was stored before that was asked for from which it is cheap to compute is not
    /// stored after all, unless it must be.
    fn forget_cheap(&mut self, must: &BTreeSet<NodeId>, results: &BTreeSet<NodeId>) {
        let asked: Vec<NodeId> = self.placement.stored.difference(must).copied().collect();
        for id in asked {
            self.placement.stored.remove(&id);
            self.costs.clear();
            // Beside no points nothing is little: all that is read is stored by now.
            if !self.is_cheap(id, 0) {
                self.placement.stored.insert(id);
            } else if let Some((cluster, _)) = self.placement.cluster_of(id)
                && !results.contains(&id)
            {
                self.stores[cluster].remove(&id);
            }
        }
        self.costs.clear();
    }
}

/// What a node reads elements of, if it only moves them.
fn moved(graph: &Graph, mut id: NodeId) -> NodeId {
    while let Op::View(_) | Op::Reshape = graph.node(id).op {
        id = graph.node(id).inputs[0];
    }
    id
}

fn source(graph: &Graph, placement: &Placement, id: NodeId, reader: usize) -> Source {
    if placement
        .cluster_of(id)
        .is_some_and(|(home, _)| home == reader)
    {
        return Source::Here;
    }
    let is_leaf = matches!(graph.node(id).op, Op::Input(_) | Op::Slot(_));
    match is_leaf || placement.stored.contains(&id) {
        true => Source::Memory,
        false => Source::Again,
    }
}
