//! Takes out of loops over time what need not wait for the step before.
//!
//! What a step carries on has to be computed step by step. A product of slices alone is done
//! for all steps at once, before the loop: the projection of a recurrent layer's inputs becomes
//! one large product. What nothing carries on is done for all steps at once after it:
//! the gradients by weights become one product that sums over time. What all steps share
//! is computed once. Results that nobody reads are dropped.

use super::{Counts, simplify_counting};
use crate::graph::{
    Contract, DType, Graph, GraphBuilder, InputId, NodeId, Op, Scan, Step, Type, View, Way,
};
use crate::index::IndexExpr;
use crate::ops;
use std::collections::{BTreeMap, BTreeSet};

/// Whether a step has loops over time.
pub fn has_scans(step: &Step) -> bool {
    step.graph
        .nodes
        .iter()
        .any(|node| matches!(node.op, Op::Scan(_)))
}

/// Simplifies one step of each loop.
pub fn simplify_bodies(step: &mut Step, counts: &mut Counts) {
    for node in &mut step.graph.nodes {
        if let Op::Scan(scan) = &mut node.op {
            let (body, inner) = simplify_counting(&scan.body);
            scan.body = body;
            for (name, count) in inner {
                *counts.entry(name).or_default() += count;
            }
        }
    }
}

/// The same step, with loops that do no more than they must.
pub fn distribute(step: &Step) -> Step {
    let mut read: BTreeMap<NodeId, BTreeSet<usize>> = BTreeMap::new();
    for node in &step.graph.nodes {
        if let Op::Part(position) = node.op {
            read.entry(node.inputs[0]).or_default().insert(position);
        }
    }
    let mut parts: BTreeMap<NodeId, Vec<Option<NodeId>>> = BTreeMap::new();
    let g = GraphBuilder::sharing(&step.graph.origins);
    step.rebuilt(g, |g, id, node, new| match &node.op {
        Op::Scan(scan) => {
            let read = read.remove(&id).unwrap_or_default();
            let results = Loop::new(scan, &node.inputs_in(new), g).results(&read);
            parts.insert(id, results);
            // Nobody reads a scan but by its parts.
            NodeId(0)
        }
        Op::Part(position) => parts[&node.inputs[0]][*position].unwrap_or(NodeId(0)),
        _ => g.copy(node, new),
    })
}

/// Where a node of a body is computed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Place {
    /// Wherever it is read: it costs nothing.
    Anywhere,
    /// Once, outside: it is the same at each step.
    Once,
    /// For all steps at once, before the loop.
    Before,
    /// At each step.
    Inside,
    /// For all steps at once, after the loop.
    After,
}

/// A value outside of the loop.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Outside {
    /// The same at each step.
    Whole(NodeId),
    /// One for each step, along the leading axis.
    Timed(NodeId),
}

/// An operand of the new loop.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Leaf {
    Carried(usize),
    Sliced(NodeId),
    Whole(NodeId),
}

struct Loop<'a> {
    scan: &'a Scan,
    body: &'a Graph,
    operands: &'a [NodeId],
    g: &'a mut GraphBuilder,
    /// For each node, whether it differs from step to step, and whether it depends on what is carried.
    varies: Vec<bool>,
    waits: Vec<bool>,
    /// For each node, whether all it depends on can be computed outside.
    liftable: Vec<bool>,
    places: Vec<Place>,
    outside: BTreeMap<NodeId, Outside>,
    /// The new loop, and which of its results are which nodes.
    done: Option<(NodeId, Vec<NodeId>)>,
}

impl<'a> Loop<'a> {
    fn new(scan: &'a Scan, operands: &'a [NodeId], g: &'a mut GraphBuilder) -> Loop<'a> {
        let body = &scan.body.graph;
        let mut new = Loop {
            scan,
            body,
            operands,
            g,
            varies: Vec::new(),
            waits: Vec::new(),
            liftable: Vec::new(),
            places: Vec::new(),
            outside: BTreeMap::new(),
            done: None,
        };
        let feeds = new.feeds();
        for (id, _) in body.iter() {
            new.look_at(id, feeds[id.index()]);
        }
        new
    }

    /// For each node, whether what is carried on depends on it.
    fn feeds(&self) -> Vec<bool> {
        let mut feeds = vec![false; self.body.nodes.len()];
        self.scan
            .next()
            .iter()
            .for_each(|id| feeds[id.index()] = true);
        for (id, node) in self.body.iter().rev() {
            if feeds[id.index()] {
                node.inputs.iter().for_each(|x| feeds[x.index()] = true);
            }
        }
        feeds
    }

    fn look_at(&mut self, id: NodeId, feeds: bool) {
        let node = self.body.node(id);
        let any = |of: &[bool]| node.inputs.iter().any(|x| of[x.index()]);
        let (carried, sliced) = (self.scan.carried, self.scan.carried + self.scan.sliced);
        let (varies, waits) = match node.op {
            Op::Input(input) => (input.index() < sliced, input.index() < carried),
            _ => (any(&self.varies), any(&self.waits)),
        };
        let stuck = matches!(node.op, Op::Scan(_) | Op::Part(_));
        let liftable = !waits && !stuck && node.inputs.iter().all(|x| self.liftable[x.index()]);
        let behind = node
            .inputs
            .iter()
            .any(|x| self.places[x.index()] == Place::After);
        let free = node
            .inputs
            .iter()
            .all(|x| self.places[x.index()] == Place::Anywhere && !self.varies[x.index()]);
        let place = match &node.op {
            Op::Input(_) => Place::Anywhere,
            Op::View(_) | Op::Reshape if !varies => Place::Anywhere,
            Op::Constant(_) | Op::Iota { .. } => Place::Anywhere,
            op if !varies && liftable => match ops::is_pointwise(op) && free && self.is_numbers(id)
            {
                true => Place::Anywhere,
                false => Place::Once,
            },
            _ if liftable && varies && (is_heavy(self.body, id) || carried == 0) => Place::Before,
            _ if waits && !feeds && !stuck && (behind || is_heavy(self.body, id)) => Place::After,
            _ => Place::Inside,
        };
        self.varies.push(varies);
        self.waits.push(waits);
        self.liftable.push(liftable);
        self.places.push(place);
    }

    /// Whether a node is made of nothing but numbers.
    fn is_numbers(&self, id: NodeId) -> bool {
        let mut operands = self.body.node(id).inputs.iter();
        operands.all(|&x| matches!(self.body.node(x).op, Op::Constant(_) | Op::Iota { .. }))
    }

    /// The results of the loop that someone reads, as values outside.
    fn results(mut self, read: &BTreeSet<usize>) -> Vec<Option<NodeId>> {
        let results = self.scan.results();
        let carried = self.scan.carried;
        let yields: Vec<NodeId> = (carried..results.len())
            .filter(|position| read.contains(position))
            .map(|position| results[position])
            .collect();
        let mut stacked: Vec<NodeId> = results[..carried].to_vec();
        for &id in &yields {
            self.stack(id, &mut stacked, &mut BTreeSet::new());
        }
        if !stacked.is_empty() {
            self.rebuild(&stacked);
        }
        (0..results.len())
            .map(|position| {
                let id = results[position];
                match (&self.done, position < carried) {
                    _ if !read.contains(&position) => None,
                    (Some((scan, _)), true) => Some(self.g.part(*scan, position)),
                    _ => {
                        let value = self.value(id);
                        Some(self.timed(value))
                    }
                }
            })
            .collect()
    }

    /// Notes which nodes the loop has to leave behind for a value outside.
    fn stack(&self, id: NodeId, stacked: &mut Vec<NodeId>, seen: &mut BTreeSet<NodeId>) {
        if !seen.insert(id) || self.liftable[id.index()] || self.is_carried(id) {
            return;
        }
        if self.is_left_behind(id) {
            if !stacked.contains(&id) {
                stacked.push(id);
            }
            return;
        }
        for &x in &self.body.node(id).inputs {
            self.stack(x, stacked, seen);
        }
    }

    fn is_carried(&self, id: NodeId) -> bool {
        matches!(self.body.node(id).op, Op::Input(input) if input.index() < self.scan.carried)
    }

    /// Whether a value is read outside as the loop leaves it, not computed from such.
    fn is_left_behind(&self, id: NodeId) -> bool {
        let moves = matches!(self.body.node(id).op, Op::View(_) | Op::Reshape);
        self.places[id.index()] == Place::Inside && !moves
    }

    /// The loop without what is computed outside. It leaves behind `stacked`, of which
    /// the first are carried.
    fn rebuild(&mut self, stacked: &[NodeId]) {
        let mut inner = Inner {
            body: GraphBuilder::sharing(&self.body.origins),
            leaves: (0..self.scan.carried).map(Leaf::Carried).collect(),
            new: BTreeMap::new(),
        };
        let results: Vec<NodeId> = stacked
            .iter()
            .enumerate()
            .map(|(position, &id)| {
                let result = self.inside(&mut inner, id);
                // Masks are left behind as numbers.
                match position >= self.scan.carried {
                    true => as_number(&mut inner.body, result),
                    false => result,
                }
            })
            .collect();
        let Inner { body, leaves, .. } = inner;
        let mut order: Vec<usize> = (0..leaves.len()).collect();
        order.sort_by_key(|&leaf| match leaves[leaf] {
            Leaf::Carried(_) => 0,
            Leaf::Sliced(_) => 1,
            Leaf::Whole(_) => 2,
        });
        let mut body = body.finish();
        for node in &mut body.nodes {
            if let Op::Input(leaf) = &mut node.op {
                let position = order.iter().position(|&other| other == leaf.index());
                *leaf = InputId(position.unwrap_or_default() as u32);
            }
        }
        let operands: Vec<NodeId> = order
            .iter()
            .map(|&leaf| match leaves[leaf] {
                Leaf::Carried(position) => self.operands[position],
                Leaf::Sliced(x) | Leaf::Whole(x) => x,
            })
            .collect();
        let types: Vec<Type> = order
            .iter()
            .map(|&leaf| match leaves[leaf] {
                Leaf::Carried(position) => self.scan.body.inputs[position].ty.clone(),
                Leaf::Sliced(x) => slice_of(self.g.ty(x)),
                Leaf::Whole(x) => self.g.ty(x).clone(),
            })
            .collect();
        let sliced = leaves.iter().filter(|leaf| matches!(leaf, Leaf::Sliced(_)));
        let scan = Scan {
            length: self.scan.length,
            order: self.scan.order,
            carried: self.scan.carried,
            sliced: sliced.count(),
            body: Scan::body(&types, body, &results),
        };
        let scan = self.g.scan(scan, &operands);
        self.done = Some((scan, stacked.to_vec()));
    }

    /// A node within the new loop.
    fn inside(&mut self, inner: &mut Inner, id: NodeId) -> NodeId {
        if let Some(&known) = inner.new.get(&id) {
            return known;
        }
        let node = self.body.node(id);
        let is_mask = node.ty.dtype == DType::Bool;
        let new = match (&node.op, self.places[id.index()]) {
            (Op::Input(input), _) if input.index() < self.scan.carried => {
                inner.leaf(Leaf::Carried(input.index()), node.ty.clone())
            }
            (Op::Input(input), _) => {
                let operand = self.operands[input.index()];
                let is_sliced = input.index() < self.scan.carried + self.scan.sliced;
                let leaf = match is_sliced {
                    true => Leaf::Sliced(operand),
                    false => Leaf::Whole(operand),
                };
                inner.leaf(leaf, node.ty.clone())
            }
            (_, Place::Before | Place::Once) => {
                let (value, timed) = match self.value(id) {
                    Outside::Whole(x) => (x, false),
                    Outside::Timed(x) => (x, true),
                };
                let value = as_number(self.g, value);
                let ty = self.g.ty(value).clone();
                let leaf = match timed {
                    true => inner.leaf(Leaf::Sliced(value), slice_of(&ty)),
                    false => inner.leaf(Leaf::Whole(value), ty),
                };
                match is_mask {
                    true => as_mask(&mut inner.body, leaf),
                    false => leaf,
                }
            }
            (op, _) => {
                let mut inputs = Vec::new();
                for &x in &node.inputs {
                    inputs.push(self.inside(inner, x));
                }
                inner.body.set_origin_at(node.origin);
                inner.body.push_as(op.clone(), &inputs, node.ty.clone())
            }
        };
        inner.new.insert(id, new);
        new
    }

    /// A node outside of the loop: for all steps at once, or once.
    fn value(&mut self, id: NodeId) -> Outside {
        if let Some(&known) = self.outside.get(&id) {
            return known;
        }
        let node = self.body.node(id);
        let value = match &node.op {
            Op::Input(input) => {
                let position = input.index();
                if position < self.scan.carried {
                    let before = self.scan.order.before();
                    let scan = self.loop_done(id);
                    Outside::Timed(self.g.trail(scan, position, before))
                } else if position < self.scan.carried + self.scan.sliced {
                    Outside::Timed(self.operands[position])
                } else {
                    Outside::Whole(self.operands[position])
                }
            }
            _ if self.is_left_behind(id) && !self.liftable[id.index()] => {
                let scan = self.loop_done(id);
                let stacked = self.done.iter().flat_map(|(_, stacked)| stacked);
                let position = stacked.into_iter().position(|&other| other == id);
                let position = position.unwrap_or_default();
                Outside::Timed(match position < self.scan.carried {
                    true => self.g.trail(scan, position, self.scan.order.after()),
                    false => {
                        let part = self.g.part(scan, position);
                        match node.ty.dtype {
                            DType::Bool => as_mask(self.g, part),
                            _ => part,
                        }
                    }
                })
            }
            op => {
                let mut inputs = Vec::new();
                for &x in &node.inputs {
                    inputs.push(self.value(x));
                }
                self.lift(op, &node.ty, &inputs)
            }
        };
        self.outside.insert(id, value);
        value
    }

    fn loop_done(&self, id: NodeId) -> NodeId {
        match self.done {
            Some((scan, _)) => scan,
            None => crate::bug::bug!("simplify", "{id} is read before its loop"),
        }
    }

    /// An operation for all steps at once.
    fn lift(&mut self, op: &Op, ty: &Type, inputs: &[Outside]) -> Outside {
        let nodes: Vec<NodeId> = inputs
            .iter()
            .map(|input| match input {
                Outside::Whole(x) | Outside::Timed(x) => *x,
            })
            .collect();
        let timed = |position: usize| matches!(inputs[position], Outside::Timed(_));
        if !(0..inputs.len()).any(timed) {
            return Outside::Whole(self.g.push_as(op.clone(), &nodes, ty.clone()));
        }
        let shape = [&[self.scan.length], ty.shape.as_slice()].concat();
        let later = |axis: &usize| axis + 1;
        let moved = |map: &[IndexExpr], timed: bool| -> Vec<IndexExpr> {
            let time = timed.then(|| IndexExpr::dim(0));
            let rest = map.iter().map(|index| index.rename(|dim| dim + 1));
            time.into_iter().chain(rest).collect()
        };
        Outside::Timed(match op {
            Op::View(view) => {
                let operand = self.g.shape(nodes[0]).to_vec();
                let view = View::new(shape, moved(&view.map, true), view.fill, &operand);
                self.g.view(nodes[0], view)
            }
            Op::Reshape => self.g.reshape(nodes[0], &shape),
            Op::Sum { axes } => {
                let axes: Vec<usize> = axes.iter().map(later).collect();
                self.g.sum(nodes[0], &axes)
            }
            Op::MaxOver { axes } => {
                let axes: Vec<usize> = axes.iter().map(later).collect();
                self.g.max_over(nodes[0], &axes)
            }
            Op::ArgMax { axis } => self.g.argmax(nodes[0], axis + 1),
            Op::Contract(contract) => {
                let mut dims = vec![self.scan.length];
                dims.extend(&contract.dims);
                let contract = Contract {
                    dims,
                    rank: contract.rank + 1,
                    a: moved(&contract.a, timed(0)),
                    b: moved(&contract.b, timed(1)),
                };
                self.g.contract(nodes[0], nodes[1], contract)
            }
            Op::Gather { axis, shared } => {
                let places = (*axis, *shared);
                return self.lift_rows(Way::Gather, inputs, places, |g, x, at, places| {
                    g.gather(x, at, places)
                });
            }
            &Op::Scatter { axis, shared, size } => {
                return self.lift_rows(Way::Scatter, inputs, (axis, shared), |g, x, at, places| {
                    g.scatter(x, at, places, size)
                });
            }
            op => {
                let mut operands = Vec::new();
                for &input in inputs {
                    operands.push(self.timed(input));
                }
                self.g.push(op.clone(), &operands)
            }
        })
    }

    /// Rows moved by their numbers for all steps at once. Time is an axis that both operands have,
    /// unless one table is the same at each step, or the numbers are.
    fn lift_rows(
        &mut self,
        way: Way,
        inputs: &[Outside],
        (axis, shared): (usize, usize),
        moved: impl Fn(&mut GraphBuilder, NodeId, NodeId, (usize, usize)) -> NodeId,
    ) -> Outside {
        let leads = way == Way::Gather && shared == 0 && axis == 0;
        Outside::Timed(match (inputs[0], inputs[1]) {
            (Outside::Whole(x), Outside::Timed(at)) if leads => moved(self.g, x, at, (0, 0)),
            (Outside::Timed(x), Outside::Whole(at)) if shared == 0 => {
                moved(self.g, x, at, (axis + 1, 0))
            }
            (x, at) => {
                let (x, at) = (self.timed(x), self.timed(at));
                moved(self.g, x, at, (axis + 1, shared + 1))
            }
        })
    }

    /// A value for each step, even if it is always the same.
    fn timed(&mut self, value: Outside) -> NodeId {
        match value {
            Outside::Timed(x) => x,
            Outside::Whole(x) => {
                let shape = [&[self.scan.length], self.g.shape(x)].concat();
                let axes: Vec<usize> = (1..shape.len()).collect();
                self.g.broadcast(x, &shape, &axes)
            }
        }
    }
}

/// A body under construction.
struct Inner {
    body: GraphBuilder,
    /// Its inputs, by their numbers.
    leaves: Vec<Leaf>,
    new: BTreeMap<NodeId, NodeId>,
}

impl Inner {
    fn leaf(&mut self, leaf: Leaf, ty: Type) -> NodeId {
        let known = self.leaves.iter().position(|&other| other == leaf);
        let position = known.unwrap_or_else(|| {
            self.leaves.push(leaf);
            self.leaves.len() - 1
        });
        self.body.input(InputId(position as u32), ty)
    }
}

/// Whether a node is worth a pass of its own.
fn is_heavy(graph: &Graph, id: NodeId) -> bool {
    match &graph.node(id).op {
        Op::Contract(contract) => contract.rank < contract.dims.len(),
        Op::Sum { .. } | Op::MaxOver { .. } | Op::ArgMax { .. } => true,
        Op::Gather { .. } | Op::Scatter { .. } => true,
        _ => false,
    }
}

fn slice_of(ty: &Type) -> Type {
    Type {
        dtype: ty.dtype,
        shape: ty.shape[1..].to_vec(),
    }
}

/// A mask as numbers, which can lie in memory.
fn as_number(g: &mut GraphBuilder, x: NodeId) -> NodeId {
    match g.ty(x).dtype {
        DType::Bool => g.cast(x, DType::F32),
        _ => x,
    }
}

/// A mask from its numbers.
fn as_mask(g: &mut GraphBuilder, x: NodeId) -> NodeId {
    let half = g.constant_like(0.5, x);
    g.less(half, x)
}
