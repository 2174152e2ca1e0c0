//! Loops over time: what a scan carries, reads and leaves behind.

use super::{GraphBuilder, Input, InputKind, NodeId, Op, Phase, Step, Type, View};
use crate::bug::bug;
use crate::index::IndexExpr;

/// The same graph for each step of time, from one carried state to the next.
///
/// Its node's operands are, in this order, the first values of what is carried, tensors of
/// which each step reads its slice along the leading axis, and tensors that all steps read
/// whole. The body sees them as inputs of the same numbers. A scan has many results, which
/// [`Op::Part`] picks; the type of its own node says nothing.
#[derive(Clone, PartialEq, Debug)]
pub struct Scan {
    /// How many steps.
    pub length: usize,
    /// In which direction.
    pub order: TimeOrder,
    /// How many of the operands are carried.
    pub carried: usize,
    /// How many of them, after those, are sliced.
    pub sliced: usize,
    /// One step: its results are the next values of what is carried, then what is yielded.
    pub body: Step,
}

/// Which step comes first. What is sliced and what is yielded belongs to its step of
/// time, whichever way time runs.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[allow(missing_docs, reason = "the names say it")]
pub enum TimeOrder {
    Forward,
    Backward,
}

impl TimeOrder {
    /// The other one.
    pub fn reversed(self) -> TimeOrder {
        match self {
            TimeOrder::Forward => TimeOrder::Backward,
            TimeOrder::Backward => TimeOrder::Forward,
        }
    }

    /// By how much the entry of a trail that holds the value before a step is later than the step.
    pub fn before(self) -> usize {
        match self {
            TimeOrder::Forward => 0,
            TimeOrder::Backward => 1,
        }
    }

    /// The same for the value after a step.
    pub fn after(self) -> usize {
        1 - self.before()
    }

    /// The steps in the order in which they run.
    pub fn steps(self, length: usize) -> Box<dyn Iterator<Item = usize>> {
        match self {
            TimeOrder::Forward => Box::new(0..length),
            TimeOrder::Backward => Box::new((0..length).rev()),
        }
    }
}

impl Scan {
    /// A body's results under the names that its step gives them.
    pub fn body(inputs: &[Type], graph: super::Graph, results: &[NodeId]) -> Step {
        let inputs = inputs.iter().enumerate().map(|(position, ty)| Input {
            kind: InputKind::Field(format!("operand {position}")),
            ty: ty.clone(),
        });
        Step {
            phase: Phase::Train,
            graph,
            inputs: inputs.collect(),
            outputs: results
                .iter()
                .enumerate()
                .map(|(position, &id)| (format!("result {position}"), id))
                .collect(),
            updates: Vec::new(),
        }
    }

    /// The body's nodes that are its results.
    pub fn results(&self) -> Vec<NodeId> {
        self.body.outputs.iter().map(|&(_, id)| id).collect()
    }

    /// The next values of what is carried.
    pub fn next(&self) -> Vec<NodeId> {
        self.results()[..self.carried].to_vec()
    }

    /// What each step leaves behind.
    pub fn yields(&self) -> Vec<NodeId> {
        self.results()[self.carried..].to_vec()
    }

    /// The type of a result. For what is carried it is the trail of its values: one before
    /// each step, and the one after the last. The first value is the first entry, or the
    /// last one where time runs backward.
    pub fn part(&self, position: usize) -> Type {
        let ty = self.body.graph.ty(self.results()[position]);
        let entries = self.length + usize::from(position < self.carried);
        Type {
            dtype: ty.dtype,
            shape: [&[entries], ty.shape.as_slice()].concat(),
        }
    }

    /// The type that an operand must have.
    pub fn operand(&self, position: usize) -> Type {
        let ty = self.body.inputs[position].ty.clone();
        let is_sliced = (self.carried..self.carried + self.sliced).contains(&position);
        match is_sliced {
            true => Type {
                dtype: ty.dtype,
                shape: [&[self.length], ty.shape.as_slice()].concat(),
            },
            false => ty,
        }
    }

    /// The entry of a trail that holds the first value.
    pub fn first_entry(&self) -> usize {
        match self.order {
            TimeOrder::Forward => 0,
            TimeOrder::Backward => self.length,
        }
    }

    /// The entry of a trail that holds the last value.
    pub fn last_entry(&self) -> usize {
        self.length - self.first_entry()
    }
}

impl GraphBuilder {
    /// A loop over time.
    pub fn scan(&mut self, scan: Scan, operands: &[NodeId]) -> NodeId {
        self.push_as(Op::Scan(Box::new(scan)), operands, Type::f32([]))
    }

    /// The scan behind a node.
    pub fn scan_at(&self, id: NodeId) -> &Scan {
        match &self.graph().node(id).op {
            Op::Scan(scan) => scan,
            op => bug!("graph", "{id} is {op:?}, no scan"),
        }
    }

    /// Lets a scan leave more behind; what it left before keeps its number.
    pub fn set_scan(&mut self, id: NodeId, scan: Scan) {
        self.set_op(id, Op::Scan(Box::new(scan)));
    }

    /// A result of a scan.
    pub fn part(&mut self, scan: NodeId, position: usize) -> NodeId {
        let ty = self.scan_at(scan).part(position);
        self.push_as(Op::Part(position), &[scan], ty)
    }

    /// The values that a scan carried, each as it was before (or after) the step.
    pub fn trail(&mut self, scan: NodeId, position: usize, shift: usize) -> NodeId {
        let length = self.scan_at(scan).length;
        let trail = self.part(scan, position);
        self.entries(trail, shift, length)
    }

    /// The last value of what a scan carried.
    pub fn last(&mut self, scan: NodeId, position: usize) -> NodeId {
        let entry = self.scan_at(scan).last_entry();
        let trail = self.part(scan, position);
        self.entry(trail, entry)
    }

    /// So many slices along the leading axis.
    pub fn entries(&mut self, x: NodeId, from: usize, count: usize) -> NodeId {
        let operand = self.shape(x).to_vec();
        let mut shape = operand.clone();
        shape[0] = count;
        let mut map: Vec<IndexExpr> = (0..shape.len()).map(IndexExpr::dim).collect();
        map[0] = map[0].shifted(from as i64);
        self.view(x, View::new(shape, map, 0.0, &operand))
    }

    /// One slice along the leading axis.
    pub fn entry(&mut self, x: NodeId, at: usize) -> NodeId {
        let operand = self.shape(x).to_vec();
        let shape = operand[1..].to_vec();
        let mut map = vec![IndexExpr::constant(at as i64)];
        map.extend((0..shape.len()).map(IndexExpr::dim));
        self.view(x, View::new(shape, map, 0.0, &operand))
    }
}
