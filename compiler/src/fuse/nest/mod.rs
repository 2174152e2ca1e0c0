//! Writes one cluster as a loop nest: every value is followed down to memory, and
//! views and merged axes vanish into the indices.

mod guards;
mod values;

use super::access::{self, Obstacle};
use super::demand::{Cut, Source};
use super::name;
use super::place::Level;
use super::tensors::{Forms, Tensors};
use crate::bug::bug;
use crate::graph::{Graph, NodeId, row_major};
use crate::index::{Dim, IndexExpr};
use crate::nest::{Kernel, ScalarId, ScalarPool, Stage};
use rustc_hash::FxHashMap;

/// A node that has to be kept in memory, though no rule said so: there is no other
/// way to read through it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Force {
    /// The node.
    pub node: NodeId,
    /// In which forms.
    pub forms: Forms,
}

/// The kernel of a cluster. A node that leaves the step goes to all of its tensors.
pub fn nest(graph: &Graph, cut: &Cut, tensors: &Tensors, cluster: usize) -> Result<Kernel, Force> {
    let (shape, mut factors) = natural_dims(graph, cut, cluster);
    loop {
        let mut nest = Nest::new(graph, cut, tensors, cluster, &shape, &factors);
        match nest.write() {
            Ok(()) => return Ok(nest.finish()),
            Err(Stuck::Force(force)) => return Err(force),
            Err(Stuck::Split { dim, by }) => split(&mut factors, dim, by),
        }
    }
}

/// The shape of a cluster, and its dimensions, outer ones and those of its rows, with the
/// factors that its nodes split them into.
fn natural_dims(graph: &Graph, cut: &Cut, cluster: usize) -> (Vec<usize>, Vec<Vec<usize>>) {
    match cut.placement.clusters.get(cluster) {
        Some(cluster) => {
            let mut factors = cluster.factors();
            factors.extend(cluster.row.iter().flatten().map(|&size| vec![size]));
            (cluster.shape.clone(), factors)
        }
        None => {
            let mut results = cut.stores[cluster].iter();
            let shape = results
                .next()
                .map(|&id| graph.ty(id).shape.clone())
                .unwrap_or_default();
            let factors = shape.iter().map(|&size| vec![size]).collect();
            (shape, factors)
        }
    }
}

/// Splits the kernel's dimension `dim`; dimensions of extent 1 have no number.
fn split(factors: &mut [Vec<usize>], dim: Dim, by: usize) {
    let mut number = 0;
    for natural in factors {
        for position in 0..natural.len() {
            if natural[position] == 1 {
                continue;
            }
            if number == dim {
                natural[position] /= by;
                natural.insert(position + 1, by);
                return;
            }
            number += 1;
        }
    }
    bug!("fuse", "there is no dimension {dim} to split by {by}");
}

enum Stuck {
    Force(Force),
    Split { dim: Dim, by: usize },
}

struct Nest<'a> {
    graph: &'a Graph,
    cut: &'a Cut,
    tensors: &'a Tensors,
    cluster: usize,
    /// Extents of the kernel's dimensions.
    dims: Vec<usize>,
    /// How many of them are outer ones.
    outer: usize,
    /// The cluster's shape, and its indices over `dims`.
    shape: &'a [usize],
    point: Vec<IndexExpr>,
    /// The indices of a row over `dims`, and the dimensions that they run over.
    row: Vec<IndexExpr>,
    row_dims: Vec<Dim>,
    pool: ScalarPool,
    stages: Vec<Stage>,
    here: FxHashMap<NodeId, ScalarId>,
    read: FxHashMap<(NodeId, Vec<IndexExpr>, Option<u64>), ScalarId>,
    /// What was computed, for the kernel's name.
    computed: Vec<NodeId>,
}

impl<'a> Nest<'a> {
    fn new(
        graph: &'a Graph,
        cut: &'a Cut,
        tensors: &'a Tensors,
        cluster: usize,
        shape: &'a [usize],
        factors: &[Vec<usize>],
    ) -> Nest<'a> {
        let mut dims = Vec::new();
        let mut outer = 0;
        let mut indices = Vec::new();
        for (position, natural) in factors.iter().enumerate() {
            let first = dims.len();
            dims.extend(natural.iter().filter(|&&size| size != 1));
            indices.push(row_major(&dims[first..], first));
            if position < shape.len() {
                outer = dims.len();
            }
        }
        let row = indices.split_off(shape.len());
        Nest {
            graph,
            cut,
            tensors,
            cluster,
            row_dims: (outer..dims.len()).collect(),
            dims,
            outer,
            shape,
            point: indices,
            row,
            pool: ScalarPool::default(),
            stages: Vec::new(),
            here: FxHashMap::default(),
            read: FxHashMap::default(),
            computed: Vec::new(),
        }
    }

    fn write(&mut self) -> Result<(), Stuck> {
        let mut stores = Vec::new();
        for &id in &self.cut.stores[self.cluster] {
            let level = self.level(id);
            let at = self.place(id, &level)?;
            let value = match self.cut.source(self.graph, id, self.cluster) {
                Source::Here => self.value_here(id)?,
                Source::Memory | Source::Again => self.read(id, &at, None)?,
            };
            let over = match level {
                Level::Point => Vec::new(),
                Level::Row(_) => self.row_dims.clone(),
            };
            for &buffer in self.tensors.targets(id) {
                let at = self.tensor_place(buffer, id, &at);
                stores.push(Stage::Store {
                    over: over.clone(),
                    buffer,
                    at,
                    value,
                });
            }
        }
        self.stages.append(&mut stores);
        Ok(())
    }

    fn finish(self) -> Kernel {
        let clusters = &self.cut.placement.clusters;
        let seeds = clusters.get(self.cluster).map(|cluster| &cluster.seeds);
        let first = seeds
            .and_then(|seeds| seeds.first())
            .or(self.cut.stores[self.cluster].last());
        let Some(&main) = first else {
            bug!("fuse", "cluster {} stores nothing", self.cluster)
        };
        let origin = self.graph.node(main).origin as usize;
        let mut stores = self.cut.stores[self.cluster].iter();
        let updates =
            stores.all(|&id| self.tensors.is_update(id)) && seeds.is_none_or(Vec::is_empty);
        let kernel = Kernel {
            name: name::describe(self.graph, &self.computed, updates),
            dims: self.dims,
            outer: self.outer,
            scalars: self.pool.finish(),
            stages: self.stages,
            origin: self.graph.origins[origin].clone(),
            instead: None,
        };
        kernel.tidied()
    }

    fn level(&self, id: NodeId) -> Level {
        match self.cut.placement.cluster_of(id) {
            Some((home, level)) if home == self.cluster => level.clone(),
            _ => Level::Point,
        }
    }

    /// Which element of a node that is at home here belongs to the present point.
    fn place(&self, id: NodeId, level: &Level) -> Result<Vec<IndexExpr>, Stuck> {
        let shape = &self.graph.ty(id).shape;
        match level {
            Level::Point if shape == self.shape => Ok(self.point.clone()),
            Level::Point => {
                let Some(index) = access::linear(&self.point, self.shape) else {
                    bug!("fuse", "a point of {:?} is divided", self.shape)
                };
                access::digits(&index, &self.dims, shape).map_err(|obstacle| match obstacle {
                    Obstacle::Split { dim, by } => Stuck::Split { dim, by },
                    Obstacle::NotAffine => {
                        bug!(
                            "fuse",
                            "{id} {shape:?} does not fit points of {:?}",
                            self.shape
                        )
                    }
                })
            }
            Level::Row(outer) => {
                let (mut points, mut rows) = (self.point.iter(), self.row.iter());
                let indices = (0..shape.len()).map(|axis| match outer.contains(&axis) {
                    true => points.next(),
                    false => rows.next(),
                });
                let indices: Option<Vec<IndexExpr>> = indices.map(Option::<&_>::cloned).collect();
                match indices {
                    Some(indices) => Ok(indices),
                    None => bug!("fuse", "{id} is no row of cluster {}", self.cluster),
                }
            }
        }
    }
}
