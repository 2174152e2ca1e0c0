//! A kernel to be: what it is built around, and the points that it runs over.

use crate::graph::{Graph, Node, NodeId, Op};
use crate::nest::MOST_REDUCTIONS;
use std::collections::BTreeSet;

/// A kernel to be.
#[derive(Clone, PartialEq, Debug)]
pub struct Cluster {
    /// What it is built around.
    pub kind: Kind,
    /// Its outer dimensions before any is split.
    pub shape: Vec<usize>,
    /// The dimensions of a row, if there are loops inside a point.
    pub row: Option<Vec<usize>>,
    /// The reductions, in order.
    pub seeds: Vec<NodeId>,
    /// Where its points, counted row-major, are cut into axes by some node at home there.
    cuts: BTreeSet<usize>,
}

impl Cluster {
    /// Around nothing yet.
    pub fn new(kind: Kind, shape: &[usize], row: Option<Vec<usize>>) -> Cluster {
        Cluster {
            kind,
            shape: shape.to_vec(),
            row,
            seeds: Vec::new(),
            cuts: cuts(shape).collect(),
        }
    }

    /// The outer dimensions, each split as all nodes at home here need it.
    pub fn factors(&self) -> Vec<Vec<usize>> {
        let mut behind: usize = self.shape.iter().product();
        let split = self.shape.iter().map(|&size| {
            let whole = behind;
            behind /= size;
            let inside = self
                .cuts
                .iter()
                .rev()
                .filter(|&&cut| cut < whole && cut > behind);
            let edges: Vec<usize> = std::iter::once(&whole)
                .chain(inside)
                .chain([&behind])
                .copied()
                .collect();
            edges.windows(2).map(|pair| pair[0] / pair[1]).collect()
        });
        split.collect()
    }

    /// How many stages its reductions take.
    pub fn reductions(&self, graph: &Graph) -> usize {
        let seeds = self.seeds.iter().map(|&seed| graph.node(seed));
        seeds.map(stages).sum()
    }

    /// Whether one more reduction may join.
    pub fn has_room(&self, graph: &Graph, seed: &Node) -> bool {
        self.reductions(graph) + stages(seed) <= MOST_REDUCTIONS
    }

    /// Makes room for a tensor of a shape, point by point, that [`fits`](Self::fits).
    pub fn take(&mut self, shape: &[usize]) {
        self.cuts.extend(cuts(shape));
    }

    /// Whether tensors of a shape can be indexed along with all others at home here:
    /// whether all their axes are made of the same, finer ones.
    pub fn fits(&self, shape: &[usize]) -> bool {
        let all: BTreeSet<usize> = self.cuts.iter().copied().chain(cuts(shape)).collect();
        let all: Vec<usize> = all.into_iter().collect();
        all.windows(2).all(|pair| pair[1] % pair[0] == 0)
    }
}

/// How many stages a reduction takes: one that looks for the greatest finds it first.
fn stages(seed: &Node) -> usize {
    match seed.op {
        Op::ArgMax { .. } => 2,
        _ => 1,
    }
}

/// How many elements there are behind each axis of a tensor.
fn cuts(shape: &[usize]) -> impl Iterator<Item = usize> {
    shape.iter().rev().scan(1, |elements, size| {
        *elements *= size;
        Some(*elements)
    })
}

/// What a cluster is built around.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// A sum of products.
    Product,
    /// One or more reductions of rows.
    Reduction,
    /// Nothing but stores.
    Map,
    /// A loop over time, which runs as a kernel of its own.
    Repeat,
    /// Rows read or added up by their numbers, in a kernel of its own.
    Rows,
}

impl Kind {
    /// Whether other nodes may be computed beside what it is built around.
    pub fn takes_others(self) -> bool {
        !matches!(self, Kind::Repeat | Kind::Rows)
    }
}
