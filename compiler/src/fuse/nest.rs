//! Writes one cluster as a loop nest: every value is followed down to memory, and
//! views and merged axes vanish into the indices.

use super::access::{self, Obstacle};
use super::demand::{Cut, Source};
use super::name;
use super::needs::is_product;
use super::place::{Level, reduced_axes};
use super::tensors::{Forms, Tensors};
use crate::bug::bug;
use crate::graph::{DType, Graph, Node, NodeId, Op, View, merge_groups};
use crate::index::{Dim, IndexExpr};
use crate::nest::{
    BinaryOp, BufferId, Combine, Kernel, Scalar, ScalarId, ScalarPool, Stage, UnaryOp,
};
use crate::ops;
use std::collections::HashMap;

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
    here: HashMap<NodeId, ScalarId>,
    read: HashMap<(NodeId, Vec<IndexExpr>, Option<u64>), ScalarId>,
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
            indices.push(crate::graph::row_major(&dims[first..], first));
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
            here: HashMap::new(),
            read: HashMap::new(),
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
        Kernel {
            name: name::describe(self.graph, &self.computed, updates),
            dims: self.dims,
            outer: self.outer,
            scalars: self.pool.finish(),
            stages: self.stages,
            origin: self.graph.origins[origin].clone(),
        }
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

/// Values.
impl Nest<'_> {
    /// The value of a node that is at home here, at the present point.
    fn value_here(&mut self, id: NodeId) -> Result<ScalarId, Stuck> {
        if let Some(&known) = self.here.get(&id) {
            return Ok(known);
        }
        let node = self.graph.node(id);
        let seeds = self.cut.placement.clusters[self.cluster]
            .seeds
            .contains(&id);
        let value = if !seeds {
            let at = self.place(id, &self.level(id))?;
            self.compute(id, &at, None)?
        } else if is_product(node) {
            self.product(node)?
        } else {
            self.row_reduction(node)?
        };
        if seeds {
            self.computed.push(id);
        }
        self.here.insert(id, value);
        Ok(value)
    }

    /// The first stage of a product's cluster.
    fn product(&mut self, node: &Node) -> Result<ScalarId, Stuck> {
        let Op::Contract(contract) = &node.op else {
            bug!("fuse", "{:?} is no product", node.op)
        };
        let indices: Vec<IndexExpr> = self.point.iter().chain(&self.row).cloned().collect();
        let a = self.factor(node.inputs[0], &contract.a, &indices)?;
        let b = self.factor(node.inputs[1], &contract.b, &indices)?;
        let value = self.pool.binary(BinaryOp::Mul, a, b);
        Ok(self.reduce(self.row_dims.clone(), Combine::Sum, value))
    }

    /// A factor of a product: a load or a number.
    fn factor(
        &mut self,
        operand: NodeId,
        map: &[IndexExpr],
        indices: &[IndexExpr],
    ) -> Result<ScalarId, Stuck> {
        let in_memory = self.cut.source(self.graph, operand, self.cluster) == Source::Memory;
        let own = Forms {
            own: in_memory,
            row: false,
        };
        let Some(at) = substitute(map, indices) else {
            return Err(force(operand, own));
        };
        let value = self.read(operand, &at, Some(0.0))?;
        match self.pool.get(value) {
            Scalar::Load { .. } | Scalar::F32(_) => Ok(value),
            _ => Err(force(operand, own)),
        }
    }

    /// A reduction over this cluster's rows.
    fn row_reduction(&mut self, node: &Node) -> Result<ScalarId, Stuck> {
        let operand = node.inputs[0];
        let reduced = reduced_axes(node);
        let rank = self.graph.ty(operand).shape.len();
        let outer = (0..rank).filter(|axis| !reduced.contains(axis)).collect();
        let at = self.place(operand, &Level::Row(outer))?;
        let value = self.read(operand, &at, None)?;
        let index = reduced.first().map(|&axis| at[axis].clone());
        Ok(self.reduction(node, self.row_dims.clone(), value, index))
    }

    /// The stages of a reduction of `value`. `index` is what [`Op::ArgMax`] looks for.
    fn reduction(
        &mut self,
        node: &Node,
        over: Vec<Dim>,
        value: ScalarId,
        index: Option<IndexExpr>,
    ) -> ScalarId {
        match (&node.op, index) {
            (Op::Sum { .. }, _) => self.reduce(over, Combine::Sum, value),
            (Op::MaxOver { .. }, _) => self.reduce(over, Combine::Max, value),
            (Op::ArgMax { .. }, Some(index)) => {
                let greatest = self.reduce(over.clone(), Combine::Max, value);
                // NaN is the greatest, and equals nothing.
                let equal = self.pool.equal(value, greatest);
                let number = self.pool.equal(value, value);
                let nan = self.pool.unary(UnaryOp::Not, number);
                let is_greatest = self.pool.or(equal, nan);
                let index = self.pool.add(Scalar::Index(index));
                let none = self.pool.i32(i32::MAX);
                let candidate = self.pool.add(Scalar::Select(is_greatest, index, none));
                self.reduce(over, Combine::Min, candidate)
            }
            (op, _) => bug!("fuse", "{op:?} is no reduction"),
        }
    }

    fn reduce(&mut self, over: Vec<Dim>, combine: Combine, value: ScalarId) -> ScalarId {
        self.stages.push(Stage::Reduce {
            over,
            combine,
            value,
        });
        self.pool.add(Scalar::Reduced(self.stages.len() - 1))
    }

    /// The value of any node at a place; `fill` where that is outside of it, which
    /// may be left out when it never is.
    fn read(&mut self, id: NodeId, at: &[IndexExpr], fill: Option<f64>) -> Result<ScalarId, Stuck> {
        let node = self.graph.node(id);
        let mut axes = at.iter().zip(&node.ty.shape);
        let inside = axes.all(|(index, &size)| index.always_within(&self.dims, size));
        let fill = if inside { None } else { fill };
        if !inside && fill.is_none() {
            bug!("fuse", "{id} {:?} is read outside, at {at:?}", node.ty);
        }
        let source = self.cut.source(self.graph, id, self.cluster);
        if source == Source::Here {
            return self.value_here(id);
        }
        let key = (id, at.to_vec(), fill.map(f64::to_bits));
        if let Some(&known) = self.read.get(&key) {
            return Ok(known);
        }
        let value = match source {
            Source::Memory => self.load(id, at, fill)?,
            _ => self.compute(id, at, fill)?,
        };
        self.read.insert(key, value);
        Ok(value)
    }

    fn load(&mut self, id: NodeId, at: &[IndexExpr], fill: Option<f64>) -> Result<ScalarId, Stuck> {
        let buffer = self.tensors.memory(self.graph, id);
        let shape = &self.graph.ty(id).shape;
        let Some(place) = access::merge(at, shape, self.tensors.shape(buffer)) else {
            return Err(force(
                id,
                Forms {
                    own: true,
                    row: false,
                },
            ));
        };
        let value = self.pool.add(Scalar::Load {
            buffer,
            at: place,
            fill: fill.map(|fill| fill as f32),
        });
        // Outside one axis may be inside of what it is merged into.
        let groups = merge_groups(shape, self.tensors.shape(buffer)).into_iter();
        let mut merged = groups.filter(|group| group.len() > 1).flatten();
        match merged.all(|axis| at[axis].always_within(&self.dims, shape[axis])) {
            true => Ok(value),
            false => Ok(self.guarded(id, at, value, fill)),
        }
    }

    /// Where in its tensor an element of a node is written.
    fn tensor_place(&self, buffer: BufferId, id: NodeId, at: &[IndexExpr]) -> Vec<IndexExpr> {
        match access::merge(at, &self.graph.ty(id).shape, self.tensors.shape(buffer)) {
            Some(place) => place,
            None => bug!("fuse", "{id} is written at {at:?}"),
        }
    }

    /// The value of a node from its operands.
    fn compute(
        &mut self,
        id: NodeId,
        at: &[IndexExpr],
        fill: Option<f64>,
    ) -> Result<ScalarId, Stuck> {
        let node = self.graph.node(id);
        // Where the place is outside, operands may be anything, but must not be read outside.
        let anything = fill.map(|_| 0.0);
        let value = match &node.op {
            Op::View(view) => return self.through_view(id, view, at, fill),
            Op::Reshape => self.through_merge(id, at, fill)?,
            Op::Input(_) | Op::Slot(_) => self.load_leaf(id, at, fill),
            Op::Contract(contract) => {
                let a = self.through(id, node.inputs[0], &contract.a, at, 0.0)?;
                let b = self.through(id, node.inputs[1], &contract.b, at, 0.0)?;
                self.pool.binary(BinaryOp::Mul, a, b)
            }
            Op::Sum { .. } | Op::MaxOver { .. } => self.tiny_reduction(id, at, anything)?,
            Op::Constant(value) => self.constant(*value, node.ty.dtype),
            Op::Iota { axis } => self.index(id, at[*axis].clone())?,
            Op::Uniform { stream } => {
                let Some(index) = access::linear(at, &node.ty.shape) else {
                    return Err(force(id, Forms::default()));
                };
                let index = self.index(id, index)?;
                let seed = self.read(node.inputs[0], &[], None)?;
                ops::lower_uniform(&mut self.pool, *stream, seed, index)
            }
            _ => {
                let mut operands = Vec::with_capacity(node.inputs.len());
                for &input in &node.inputs {
                    operands.push(self.read(input, at, anything)?);
                }
                let of = node
                    .inputs
                    .last()
                    .map_or(node.ty.dtype, |&last| self.graph.ty(last).dtype);
                ops::lower(&node.op, &mut self.pool, &operands, of)
            }
        };
        self.computed.push(id);
        Ok(self.guarded(id, at, value, fill))
    }

    fn constant(&mut self, value: f64, dtype: DType) -> ScalarId {
        match dtype {
            DType::F32 => self.pool.f32(value as f32),
            DType::I32 => self.pool.i32(value as i64 as i32),
            DType::Bool => self.pool.add(Scalar::Mask(value != 0.0)),
        }
    }

    fn load_leaf(&mut self, id: NodeId, at: &[IndexExpr], fill: Option<f64>) -> ScalarId {
        let buffer = self.tensors.leaf(self.graph, id);
        self.pool.add(Scalar::Load {
            buffer,
            at: at.to_vec(),
            fill: fill.map(|fill| fill as f32),
        })
    }

    fn through_view(
        &mut self,
        id: NodeId,
        view: &View,
        at: &[IndexExpr],
        fill: Option<f64>,
    ) -> Result<ScalarId, Stuck> {
        let operand = self.graph.node(id).inputs[0];
        let operand_shape = &self.graph.ty(operand).shape;
        let same_fill = view.stays_inside(operand_shape)
            || fill.is_none_or(|fill| fill.to_bits() == view.fill.to_bits());
        let together = access::leaves_together(view, operand_shape, at, &self.dims);
        let inner_fill = match fill {
            Some(fill) if same_fill && together => fill,
            _ => view.fill,
        };
        let value = self.through(id, operand, &view.map, at, inner_fill)?;
        match same_fill && together {
            true => Ok(value),
            false => Ok(self.guarded(id, at, value, fill)),
        }
    }

    /// What `reader` finds at `map` in its operand.
    fn through(
        &mut self,
        reader: NodeId,
        operand: NodeId,
        map: &[IndexExpr],
        at: &[IndexExpr],
        fill: f64,
    ) -> Result<ScalarId, Stuck> {
        match substitute(map, at) {
            Some(at) => self.read(operand, &at, Some(fill)),
            None => Err(force(reader, Forms::default())),
        }
    }

    fn through_merge(
        &mut self,
        id: NodeId,
        at: &[IndexExpr],
        fill: Option<f64>,
    ) -> Result<ScalarId, Stuck> {
        let node = self.graph.node(id);
        let operand = node.inputs[0];
        if self.cut.source(self.graph, operand, self.cluster) == Source::Here {
            return self.value_here(operand);
        }
        let from = &self.graph.ty(operand).shape;
        if let Some(buffer) = self.tensors.row(operand) {
            let whole = access::linear(at, &node.ty.shape);
            return match whole {
                Some(index) => Ok(self.pool.add(Scalar::Load {
                    buffer,
                    at: vec![index],
                    fill: fill.map(|fill| fill as f32),
                })),
                None => Err(force(id, Forms::default())),
            };
        }
        match access::unmerge(at, &self.dims, from, &node.ty.shape) {
            Ok(inner) => self.read(operand, &inner, fill),
            Err(Obstacle::Split { dim, by }) if dim < self.outer + self.row_dims.len() => {
                Err(Stuck::Split { dim, by })
            }
            // A guarded read of merged axes has no digits: let the merge be a tensor.
            Err(_) if fill.is_some() => Err(force(id, Forms::default())),
            Err(_) => Err(force(
                operand,
                Forms {
                    own: false,
                    row: true,
                },
            )),
        }
    }

    /// A reduction over a few points, inside the present one.
    fn tiny_reduction(
        &mut self,
        id: NodeId,
        at: &[IndexExpr],
        fill: Option<f64>,
    ) -> Result<ScalarId, Stuck> {
        let node = self.graph.node(id);
        let inner = |index: &IndexExpr| index.terms.iter().any(|&(dim, _)| dim >= self.outer);
        if at.iter().any(inner) {
            // It would have to be reduced anew at every point of a row.
            return Err(force(id, Forms::default()));
        }
        let operand = node.inputs[0];
        let reduced = reduced_axes(node);
        let mut outer = at.iter().cloned();
        let mut over = Vec::new();
        let mut indices = Vec::new();
        for (axis, &size) in self.graph.ty(operand).shape.iter().enumerate() {
            if reduced.contains(&axis) {
                let dim = self.dims.len();
                self.dims.push(size);
                over.push(dim);
                indices.push(IndexExpr::dim(dim));
            } else {
                indices.extend(outer.next());
            }
        }
        let value = self.read(operand, &indices, fill)?;
        Ok(self.reduction(node, over, value, None))
    }

    fn index(&mut self, id: NodeId, index: IndexExpr) -> Result<ScalarId, Stuck> {
        match index.divisor {
            1 => Ok(self.pool.add(Scalar::Index(index))),
            _ => Err(force(id, Forms::default())),
        }
    }

    /// `value` where the place is inside the node, else `fill`.
    fn guarded(
        &mut self,
        id: NodeId,
        at: &[IndexExpr],
        value: ScalarId,
        fill: Option<f64>,
    ) -> ScalarId {
        let Some(fill) = fill else { return value };
        let ty = &self.graph.ty(id);
        let Some(inside) = self.inside(at, &ty.shape) else {
            return value;
        };
        let fill = self.constant(fill, ty.dtype);
        if value == fill {
            return value;
        }
        match ty.dtype {
            DType::F32 | DType::I32 => self.pool.add(Scalar::Select(inside, value, fill)),
            DType::Bool => {
                let outside = self.pool.unary(UnaryOp::Not, inside);
                let kept = self.pool.binary(BinaryOp::And, inside, value);
                let other = self.pool.binary(BinaryOp::And, outside, fill);
                self.pool.binary(BinaryOp::Or, kept, other)
            }
        }
    }

    /// The mask of being inside a tensor; `None` when that is always so.
    fn inside(&mut self, at: &[IndexExpr], shape: &[usize]) -> Option<ScalarId> {
        let mut all = None;
        for (index, &size) in at.iter().zip(shape) {
            let (low, high) = index.numerator_range(&self.dims);
            let divisor = index.divisor;
            let numerator = IndexExpr::affine(index.terms.iter().copied(), index.offset);
            let numerator = self.pool.add(Scalar::Index(numerator));
            let mut conditions = Vec::new();
            if low < 0 {
                let zero = self.pool.i32(0);
                conditions.push(self.pool.binary(BinaryOp::LessEq, zero, numerator));
            }
            if high >= size as i64 * divisor {
                let end = self.pool.i32((size as i64 * divisor) as i32);
                conditions.push(self.pool.binary(BinaryOp::Less, numerator, end));
            }
            if divisor != 1 {
                conditions.push(self.divides(divisor, numerator));
            }
            for condition in conditions {
                all = Some(match all {
                    Some(others) => self.pool.binary(BinaryOp::And, others, condition),
                    None => condition,
                });
            }
        }
        all
    }

    /// Whether a divisor divides an integer below 2^24: whether its quotient is whole
    /// in f32. A quotient that rounds up to a whole number fails when multiplied back.
    fn divides(&mut self, divisor: i64, numerator: ScalarId) -> ScalarId {
        let x = self.pool.unary(UnaryOp::ToF32, numerator);
        let divisor = self.pool.f32(divisor as f32);
        let quotient = self.pool.binary(BinaryOp::Div, x, divisor);
        let whole = self.pool.unary(UnaryOp::Floor, quotient);
        let back = self.pool.binary(BinaryOp::Mul, whole, divisor);
        self.pool.binary(BinaryOp::Equal, back, x)
    }
}

fn force(node: NodeId, forms: Forms) -> Stuck {
    Stuck::Force(Force { node, forms })
}

/// A map at a place; `None` when there is no such expression.
fn substitute(map: &[IndexExpr], at: &[IndexExpr]) -> Option<Vec<IndexExpr>> {
    map.iter().map(|index| index.substitute(at)).collect()
}
