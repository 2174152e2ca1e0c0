//! Values at a point: from memory, from their operands, through views and merges.

use super::super::access::{self, Obstacle};
use super::super::demand::Source;
use super::super::needs::is_product;
use super::super::place::{Level, reduced_axes};
use super::super::tensors::Forms;
use super::{Force, Nest, Stuck};
use crate::bug::bug;
use crate::graph::{Node, NodeId, Op, View, merge_groups};
use crate::index::{Dim, IndexExpr};
use crate::nest::{
    BinaryOp, BufferId, Combine, MOST_DIMS, MOST_REDUCTIONS, Scalar, ScalarId, Stage, UnaryOp,
};
use crate::ops;

impl Nest<'_> {
    /// The value of a node that is at home here, at the present point.
    pub(super) fn value_here(&mut self, id: NodeId) -> Result<ScalarId, Stuck> {
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
        let stage = Stage::Reduce {
            over,
            combine,
            value,
        };
        let known = self.stages.iter().position(|other| *other == stage);
        let number = known.unwrap_or_else(|| {
            self.stages.push(stage);
            self.stages.len() - 1
        });
        self.pool.add(Scalar::Reduced(number))
    }

    /// The value of any node at a place; `fill` where that is outside of it, which
    /// may be left out when it never is.
    pub(super) fn read(
        &mut self,
        id: NodeId,
        at: &[IndexExpr],
        fill: Option<f64>,
    ) -> Result<ScalarId, Stuck> {
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
            false => self.guarded(id, at, value, fill),
        }
    }

    /// Where in its tensor an element of a node is written.
    pub(super) fn tensor_place(
        &self,
        buffer: BufferId,
        id: NodeId,
        at: &[IndexExpr],
    ) -> Vec<IndexExpr> {
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
        self.guarded(id, at, value, fill)
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
            false => self.guarded(id, at, value, fill),
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
        if self.cut.source(self.graph, id, self.cluster) != Source::Here
            && !self.has_room(reduced.len())
        {
            return Err(force(id, Forms::default()));
        }
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

    /// Whether one more reduction fits, over so many dimensions, besides those of this
    /// cluster and a small one that is at home here.
    fn has_room(&self, dims: usize) -> bool {
        let cluster = self.cut.placement.clusters.get(self.cluster);
        let seeds = cluster.map_or(0, |cluster| cluster.reductions(self.graph));
        self.stages.len() + seeds + 1 < MOST_REDUCTIONS && self.dims.len() + 2 * dims <= MOST_DIMS
    }

    fn index(&mut self, id: NodeId, index: IndexExpr) -> Result<ScalarId, Stuck> {
        match index.divisor {
            1 => Ok(self.pool.add(Scalar::Index(index))),
            _ => Err(force(id, Forms::default())),
        }
    }
}

fn force(node: NodeId, forms: Forms) -> Stuck {
    Stuck::Force(Force { node, forms })
}

/// A map at a place; `None` when there is no such expression.
fn substitute(map: &[IndexExpr], at: &[IndexExpr]) -> Option<Vec<IndexExpr>> {
    map.iter().map(|index| index.substitute(at)).collect()
}
