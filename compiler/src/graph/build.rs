//! Builds graphs node by node, inferring types and composing views as it goes.

use super::{
    Contract, DType, Graph, InputId, Node, NodeId, Op, Origin, Side, SlotId, Type, View, exact,
    merge_groups, reshape, view::digits,
};
use crate::bug::bug;
use crate::index::IndexExpr;
use crate::ops;
use crate::unique::Unique;
use rustc_hash::FxHashMap;

/// A graph under construction.
#[derive(Default)]
pub struct GraphBuilder {
    graph: Graph,
    known_origins: FxHashMap<Origin, u32>,
    origin: u32,
    /// Where equal nodes are to be one: those there are.
    shared: Option<Unique>,
}

impl GraphBuilder {
    /// An empty graph.
    pub fn new() -> GraphBuilder {
        GraphBuilder::default()
    }

    /// An empty graph with the origins of another, to be told by their positions.
    pub fn beside(origins: &[Origin]) -> GraphBuilder {
        let mut g = GraphBuilder::default();
        g.graph.origins = origins.to_vec();
        g
    }

    /// The same, in which equal nodes will be one.
    pub fn sharing(origins: &[Origin]) -> GraphBuilder {
        GraphBuilder {
            shared: Some(Unique::default()),
            ..GraphBuilder::beside(origins)
        }
    }

    /// Where the nodes that follow come from: a position in [`Graph::origins`].
    pub fn set_origin_at(&mut self, origin: u32) {
        self.origin = origin;
    }

    /// The finished graph.
    pub fn finish(self) -> Graph {
        self.graph
    }

    /// What was built so far.
    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    /// Where the nodes that follow come from.
    pub fn set_origin(&mut self, origin: Origin) {
        let next = self.known_origins.len() as u32;
        self.origin = *self
            .known_origins
            .entry(origin.clone())
            .or_insert_with(|| next);
        if self.origin == next {
            self.graph.origins.push(origin);
        }
    }

    /// The type of a node.
    pub fn ty(&self, id: NodeId) -> &Type {
        self.graph.ty(id)
    }

    /// The shape of a node.
    pub fn shape(&self, id: NodeId) -> &[usize] {
        &self.graph.ty(id).shape
    }

    /// Adds a node whose type follows from its operands.
    pub fn push(&mut self, op: Op, inputs: &[NodeId]) -> NodeId {
        let ty = self.infer(&op, inputs, None);
        self.append(op, inputs, ty)
    }

    /// Adds a node whose type is given, as leaves and reshapes need it.
    pub fn push_as(&mut self, op: Op, inputs: &[NodeId], ty: Type) -> NodeId {
        self.infer(&op, inputs, Some(&ty));
        self.append(op, inputs, ty)
    }

    /// The node that does this, if there is one already where equal nodes are one.
    pub fn known(&self, op: &Op, inputs: &[NodeId]) -> Option<NodeId> {
        let node = Node {
            op: op.clone(),
            inputs: inputs.to_vec(),
            ty: self.infer(op, inputs, None),
            origin: self.origin,
        };
        let (nodes, shared) = (&self.graph.nodes, self.shared.as_ref()?);
        let position = shared.find(nodes, &node, exact::hash, exact::same)?;
        Some(NodeId(position as u32))
    }

    /// Replaces what a node does; only for graphs in which equal nodes are not one.
    pub(super) fn set_op(&mut self, id: NodeId, op: Op) {
        if self.shared.is_some() {
            bug!("graph", "{id} may be shared");
        }
        self.graph.nodes[id.index()].op = op;
    }

    fn infer(&self, op: &Op, inputs: &[NodeId], given: Option<&Type>) -> Type {
        let types: Vec<&Type> = inputs.iter().map(|&id| self.ty(id)).collect();
        match ops::infer(op, &types, given) {
            Ok(ty) => ty,
            Err(fault) => bug!("graph", "{op:?} of {inputs:?} {types:?}: {fault}"),
        }
    }

    fn append(&mut self, op: Op, inputs: &[NodeId], ty: Type) -> NodeId {
        if self.graph.origins.is_empty() {
            self.set_origin(Origin {
                span: None,
                path: String::new(),
            });
        }
        let node = Node {
            op,
            inputs: inputs.to_vec(),
            ty,
            origin: self.origin,
        };
        let nodes = &mut self.graph.nodes;
        let position = match &mut self.shared {
            Some(shared) => shared.add(nodes, node, exact::hash, exact::same),
            None => {
                nodes.push(node);
                nodes.len() - 1
            }
        };
        NodeId(position as u32)
    }
}

/// Leaves.
impl GraphBuilder {
    /// A tensor handed in.
    pub fn input(&mut self, id: InputId, ty: Type) -> NodeId {
        self.push_as(Op::Input(id), &[], ty)
    }

    /// A persistent tensor.
    pub fn slot(&mut self, id: SlotId, ty: Type) -> NodeId {
        self.push_as(Op::Slot(id), &[], ty)
    }

    /// A tensor of one number.
    pub fn constant(&mut self, value: f64, ty: Type) -> NodeId {
        self.push_as(Op::Constant(value), &[], ty)
    }

    /// A number.
    pub fn scalar(&mut self, value: f64) -> NodeId {
        self.constant(value, Type::f32([]))
    }

    /// A tensor of one number, of the type of `x`.
    pub fn constant_like(&mut self, value: f64, x: NodeId) -> NodeId {
        let ty = self.ty(x).clone();
        self.constant(value, ty)
    }

    /// Each element its own index along `axis`.
    pub fn iota(&mut self, axis: usize, shape: &[usize]) -> NodeId {
        let ty = Type {
            dtype: DType::I32,
            shape: shape.to_vec(),
        };
        self.push_as(Op::Iota { axis }, &[], ty)
    }

    /// Uniform random numbers in [0, 1).
    pub fn uniform(&mut self, seed: NodeId, stream: u32, shape: &[usize]) -> NodeId {
        self.push_as(Op::Uniform { stream }, &[seed], Type::f32(shape))
    }
}

macro_rules! pointwise {
    ($($name:ident: $op:ident($($x:ident),+);)+) => {
        /// Pointwise operations; operands have one shape.
        impl GraphBuilder {
            $(
                #[doc = concat!("[`Op::", stringify!($op), "`].")]
                pub fn $name(&mut self, $($x: NodeId),+) -> NodeId {
                    self.push(Op::$op, &[$($x),+])
                }
            )+
        }
    };
}

pointwise! {
    neg: Neg(x);
    abs: Abs(x);
    sqrt: Sqrt(x);
    exp: Exp(x);
    log: Log(x);
    sin: Sin(x);
    cos: Cos(x);
    tanh: Tanh(x);
    erf: Erf(x);
    floor: Floor(x);
    not: Not(x);
    stop_gradient: StopGradient(x);
    add: Add(a, b);
    sub: Sub(a, b);
    mul: Mul(a, b);
    div: Div(a, b);
    pow: Pow(a, b);
    max: Max(a, b);
    min: Min(a, b);
    less: Less(a, b);
    less_eq: LessEq(a, b);
    equal: Equal(a, b);
    and: And(a, b);
    or: Or(a, b);
    select: Select(mask, a, b);
}

impl GraphBuilder {
    /// [`Op::Cast`]; nothing where the type is right already.
    pub fn cast(&mut self, x: NodeId, to: DType) -> NodeId {
        if self.ty(x).dtype == to {
            return x;
        }
        self.push(Op::Cast(to), &[x])
    }

    /// Each element times one number.
    pub fn scale(&mut self, x: NodeId, factor: f64) -> NodeId {
        if factor == 1.0 {
            return x;
        }
        let factor = self.constant_like(factor, x);
        self.mul(x, factor)
    }
}

/// Movement. Views of views, of merged axes and of nothing at all come out as one
/// view or none, wherever that is exact.
impl GraphBuilder {
    /// Reads `x` through a map.
    pub fn view(&mut self, x: NodeId, view: View) -> NodeId {
        let view = View::new(view.shape, view.map, view.fill, self.shape(x));
        if view.is_identity(self.shape(x)) {
            return x;
        }
        if let Some((inner, composed)) = self.view_of_operand(x, &view) {
            return self.view(inner, composed);
        }
        self.push(Op::View(view), &[x])
    }

    /// The operand of `x` and the view of it that equals `view` of `x`, if `x` only
    /// moves elements and there is such a view.
    fn view_of_operand(&self, x: NodeId, view: &View) -> Option<(NodeId, View)> {
        let node = self.graph.node(x);
        let &operand = node.inputs.first()?;
        let shape = self.shape(operand);
        let composed = match &node.op {
            Op::View(inner) => view.after(inner, shape)?,
            Op::Reshape => view.through_merge(shape, &node.ty.shape)?,
            _ => return None,
        };
        Some((operand, composed))
    }

    /// Repeats `x` along new axes: its axis `i` becomes axis `axes[i]` of `shape`.
    pub fn broadcast(&mut self, x: NodeId, shape: &[usize], axes: &[usize]) -> NodeId {
        let map = axes.iter().map(|&axis| IndexExpr::dim(axis)).collect();
        let view = View::new(shape.to_vec(), map, 0.0, self.shape(x));
        if !view.stays_inside(self.shape(x)) {
            bug!(
                "graph",
                "{:?} cannot become axes {axes:?} of {shape:?}",
                self.ty(x)
            );
        }
        self.view(x, view)
    }

    /// Axis `i` of the result is axis `order[i]` of `x`.
    pub fn transpose(&mut self, x: NodeId, order: &[usize]) -> NodeId {
        let shape = order.iter().map(|&axis| self.shape(x)[axis]).collect();
        let mut map = vec![IndexExpr::constant(0); order.len()];
        for (position, &axis) in order.iter().enumerate() {
            map[axis] = IndexExpr::dim(position);
        }
        let view = View::new(shape, map, 0.0, self.shape(x));
        self.view(x, view)
    }

    /// The same elements in row-major order under another shape of as many elements.
    pub fn reshape(&mut self, x: NodeId, shape: &[usize]) -> NodeId {
        reshape::reshape(self, x, shape)
    }
}

/// Reductions and products.
impl GraphBuilder {
    /// The sum over some axes.
    pub fn sum(&mut self, x: NodeId, axes: &[usize]) -> NodeId {
        if axes.is_empty() {
            return x;
        }
        let axes = sorted(axes);
        self.push(Op::Sum { axes }, &[x])
    }

    /// The greatest element over some axes.
    pub fn max_over(&mut self, x: NodeId, axes: &[usize]) -> NodeId {
        if axes.is_empty() {
            return x;
        }
        let axes = sorted(axes);
        self.push(Op::MaxOver { axes }, &[x])
    }

    /// Where along `axis` the greatest element stands first.
    pub fn argmax(&mut self, x: NodeId, axis: usize) -> NodeId {
        self.push(Op::ArgMax { axis }, &[x])
    }

    /// A sum of products. Operands that only move elements are read through.
    ///
    /// An operand with merged axes is read by its own, if the other operand does not mind: a
    /// result axis that runs along a merged axis is taken apart and merged again
    /// after, a summed one stays apart.
    pub fn contract(&mut self, a: NodeId, b: NodeId, contract: Contract) -> NodeId {
        let contract = contract.without_unit_sums();
        for (side, operand) in [(Side::A, a), (Side::B, b)] {
            let access = contract.access(side);
            if let Some((inner, view)) = self.view_of_operand(operand, &access)
                && (view.fill == 0.0)
            {
                let contract = contract.with_access(side, view.map);
                return match side {
                    Side::A => self.contract(inner, b, contract),
                    Side::B => self.contract(a, inner, contract),
                };
            }
            let other = contract.access(side.other());
            if let Some(dim) = self.dim_along_merge(operand, &access, &other) {
                return self.contract_apart(a, b, &contract, dim);
            }
        }
        self.push(Op::Contract(contract), &[a, b])
    }

    /// A dimension that runs along a merged axis of `operand` as a bare index, with
    /// the extents of the axes that were merged. Where the other operand slides along
    /// it, taking it apart would break up a plain convolution; and where another merged
    /// axis cannot be taken apart, nothing is won.
    fn dim_along_merge(
        &self,
        operand: NodeId,
        access: &View,
        other: &View,
    ) -> Option<(usize, Vec<usize>)> {
        let node = self.graph.node(operand);
        let Op::Reshape = node.op else { return None };
        let from = self.shape(node.inputs[0]);
        let groups = merge_groups(from, &node.ty.shape);
        let mut along = None;
        for ((expr, group), &size) in access.map.iter().zip(groups).zip(&node.ty.shape) {
            let sizes = &from[group];
            if sizes.len() == 1 || digits(expr, &access.shape, sizes).is_some() {
                continue;
            }
            let dim = expr.as_dim().filter(|&dim| access.shape[dim] == size)?;
            let slides = |e: &IndexExpr| e.coefficient(dim) != 0 && e.as_dim().is_none();
            if other.map.iter().any(slides) {
                return None;
            }
            along = Some((dim, sizes.to_vec()));
        }
        along
    }

    /// The same product with one dimension taken apart into several.
    fn contract_apart(
        &mut self,
        a: NodeId,
        b: NodeId,
        contract: &Contract,
        (dim, sizes): (usize, Vec<usize>),
    ) -> NodeId {
        let apart = contract.apart(dim, &sizes);
        let shape = contract.shape().to_vec();
        let y = self.contract(a, b, apart);
        self.reshape(y, &shape)
    }

    /// Rows of `x` along `axis`, read by their numbers; the first `shared` axes are those of both.
    pub fn gather(&mut self, x: NodeId, at: NodeId, (axis, shared): (usize, usize)) -> NodeId {
        self.push(Op::Gather { axis, shared }, &[x, at])
    }

    /// Rows of `x` added up by their numbers to `size` rows along `axis`.
    pub fn scatter(
        &mut self,
        x: NodeId,
        at: NodeId,
        (axis, shared): (usize, usize),
        size: usize,
    ) -> NodeId {
        self.push(Op::Scatter { axis, shared, size }, &[x, at])
    }

    /// The gradient of the scalar `loss` by `wrt`.
    pub fn grad(&mut self, loss: NodeId, wrt: NodeId) -> NodeId {
        self.push(Op::Grad, &[loss, wrt])
    }
}

fn sorted(axes: &[usize]) -> Vec<usize> {
    let mut axes = axes.to_vec();
    axes.sort_unstable();
    axes
}
