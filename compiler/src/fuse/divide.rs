//! Cuts the batch of a loop over time into parts that go through time by themselves: no
//! thread waits for another one at any step.
//!
//! The batch is the leading axis of all results. A body can be cut along it if each
//! element of a result depends on elements of the same index alone; weights and the like are whole
//! to every part. What the operands are is found by trying: whatever would have to be
//! cut but is taken as whole, or the other way, is taken differently, once.

use crate::graph::{
    Contract, DType, Graph, GraphBuilder, NodeId, Op, Scan, Side, Step, Type, View, Way,
    merge_groups,
};
use crate::index::IndexExpr;
use crate::ops;
use std::collections::BTreeMap;

/// Samples that a part has, at least: it reads all weights for them at each step.
const FEWEST_SAMPLES: usize = 32;
/// Parts that are enough for all threads.
const MOST_PARTS: usize = 16;

/// The body of a loop for a part of the batch.
pub struct Division {
    /// How many parts there are.
    pub parts: usize,
    /// One step of one part.
    pub step: Step,
    /// For each operand, whether a part sees only its own samples.
    pub divided: Vec<bool>,
}

/// Divides a loop as far as that is possible and pays.
pub fn divide(scan: &Scan) -> Division {
    let body = apart(scan);
    let batch = body
        .outputs
        .first()
        .and_then(|(_, id)| body.graph.ty(*id).shape.first().copied());
    let parts = batch.map_or(1, number_of_parts);
    if let Some(batch) = batch
        && parts > 1
        && let Some(divided) = find(scan, &body, batch)
    {
        return Division {
            parts,
            step: Cut::new(&body, batch, batch / parts, &divided).step(),
            divided,
        };
    }
    Division {
        parts: 1,
        divided: vec![false; scan.body.inputs.len()],
        step: body,
    }
}

/// As many equal parts of at least so many samples as there can be.
fn number_of_parts(batch: usize) -> usize {
    let most = MOST_PARTS.min(batch / FEWEST_SAMPLES).max(1);
    (1..=most)
        .rev()
        .find(|parts| batch.is_multiple_of(*parts))
        .unwrap_or(1)
}

/// The body with a node of its own for each result: each goes to a place of its own.
fn apart(scan: &Scan) -> Step {
    let mut body = scan.body.clone();
    let mut seen: Vec<NodeId> = Vec::new();
    for (_, id) in &mut body.outputs {
        if seen.contains(id) {
            let node = body.graph.node(*id).clone();
            let copy = crate::graph::Node {
                op: Op::StopGradient,
                inputs: vec![*id],
                ..node
            };
            body.graph.nodes.push(copy);
            *id = NodeId(body.graph.nodes.len() as u32 - 1);
        }
        seen.push(*id);
    }
    body
}

/// How a value lies to the batch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Form {
    /// The same for all samples, whatever its shape.
    Whole,
    /// Samples along the leading axis.
    Samples,
    /// The same along the leading axis, so that any number of samples can have it.
    Either,
}

/// Which operands are to be cut, if there is a way.
fn find(scan: &Scan, body: &Step, batch: usize) -> Option<Vec<bool>> {
    let can_be = |position: usize| body.inputs[position].ty.shape.first() == Some(&batch);
    let inputs = body.inputs.len();
    let mut divided: Vec<bool> = (0..inputs)
        .map(|position| position < scan.carried + scan.sliced && can_be(position))
        .collect();
    let mut changed = vec![false; inputs];
    if (0..scan.carried).any(|position| !divided[position]) {
        return None;
    }
    loop {
        let culprit = match forms(body, batch, &divided) {
            Ok(_) => return Some(divided),
            Err(culprits) => culprits.into_iter().find(|&position| {
                position >= scan.carried && can_be(position) && !changed[position]
            })?,
        };
        changed[culprit] = true;
        divided[culprit] = !divided[culprit];
    }
}

/// The form of each node, or the operands one of which must be taken differently.
fn forms(body: &Step, batch: usize, divided: &[bool]) -> Result<Vec<Form>, Vec<usize>> {
    let graph = &body.graph;
    let mut forms: Vec<Form> = Vec::with_capacity(graph.nodes.len());
    for (id, node) in graph.iter() {
        let form = match form(graph, id, &forms, batch, divided) {
            Some(form) => form,
            None => return Err(operands_behind(graph, &node.inputs)),
        };
        forms.push(form);
    }
    for (_, id) in &body.outputs {
        let fits = graph.ty(*id).shape.first() == Some(&batch);
        if !fits || forms[id.index()] == Form::Whole {
            return Err(operands_behind(graph, &[*id]));
        }
    }
    Ok(forms)
}

/// The operands that some nodes depend on.
fn operands_behind(graph: &Graph, nodes: &[NodeId]) -> Vec<usize> {
    let mut behind = vec![false; graph.nodes.len()];
    nodes.iter().for_each(|id| behind[id.index()] = true);
    let mut operands = Vec::new();
    for (id, node) in graph.iter().rev() {
        if !behind[id.index()] {
            continue;
        }
        if let Op::Input(input) = node.op {
            operands.push(input.index());
        }
        node.inputs.iter().for_each(|x| behind[x.index()] = true);
    }
    operands
}

/// The form of a node from those of its operands, unless they are at odds.
fn form(graph: &Graph, id: NodeId, forms: &[Form], batch: usize, divided: &[bool]) -> Option<Form> {
    let node = graph.node(id);
    let leads = node.ty.shape.first() == Some(&batch);
    let of = |position: usize| forms[node.inputs[position].index()];
    let kept = |fits: bool| match (of(0), fits && leads) {
        (Form::Samples, true) => Some(Form::Samples),
        (Form::Samples, false) => None,
        (Form::Either, true) => Some(Form::Either),
        _ => Some(Form::Whole),
    };
    match &node.op {
        Op::Input(input) => Some(match divided[input.index()] {
            true => Form::Samples,
            false => Form::Whole,
        }),
        Op::Constant(_) if leads => Some(Form::Either),
        Op::Iota { axis } if leads && *axis > 0 => Some(Form::Either),
        Op::Slot(_) | Op::Constant(_) | Op::Iota { .. } | Op::Uniform { .. } => Some(Form::Whole),
        Op::View(view) => view_form(view, of(0), leads),
        Op::Reshape => {
            let groups = merge_groups(&graph.ty(node.inputs[0]).shape, &node.ty.shape);
            kept(groups.first().is_some_and(|group| group.len() == 1))
        }
        Op::Sum { axes } | Op::MaxOver { axes } => kept(!axes.contains(&0)),
        Op::ArgMax { axis } => kept(*axis != 0),
        Op::Contract(contract) => contract_form(contract, of(0), of(1), leads),
        Op::Gather { axis, shared } => rows_form(of(0), of(1), (*axis, *shared), Way::Gather),
        Op::Scatter { axis, shared, .. } => rows_form(of(0), of(1), (*axis, *shared), Way::Scatter),
        Op::Scan(_) | Op::Part(_) | Op::Grad => None,
        op => {
            debug_assert!(ops::is_pointwise(op), "fuse: {op:?} has no form");
            let mut form = Form::Either;
            for position in 0..node.inputs.len() {
                form = match (form, of(position)) {
                    (a, Form::Either) => a,
                    (Form::Either, b) => b,
                    (a, b) if a == b => a,
                    _ => return None,
                };
            }
            Some(form)
        }
    }
}

/// Whether a map reads the leading axis along the leading dimension, and nothing else along it.
fn follows(map: &[IndexExpr]) -> bool {
    map.first().and_then(IndexExpr::as_dim) == Some(0)
        && map[1..].iter().all(|index| index.coefficient(0) == 0)
}

fn ignores(map: &[IndexExpr]) -> bool {
    map.iter().all(|index| index.coefficient(0) == 0)
}

fn view_form(view: &View, of: Form, leads: bool) -> Option<Form> {
    match of {
        Form::Samples => (leads && follows(&view.map)).then_some(Form::Samples),
        _ if leads && ignores(&view.map) => Some(Form::Either),
        Form::Either if leads && follows(&view.map) => Some(Form::Either),
        _ => Some(Form::Whole),
    }
}

fn contract_form(contract: &Contract, a: Form, b: Form, leads: bool) -> Option<Form> {
    let leads = leads && contract.rank > 0;
    let fits = |side: Side, form: Form| {
        let map = contract.access(side).map;
        match form {
            Form::Samples => follows(&map),
            Form::Whole => ignores(&map),
            Form::Either => follows(&map) || ignores(&map),
        }
    };
    let samples = a == Form::Samples || b == Form::Samples;
    match samples {
        true => (leads && fits(Side::A, a) && fits(Side::B, b)).then_some(Form::Samples),
        false => Some(Form::Whole),
    }
}

/// The form of rows `x` that are moved by the numbers `at`: their leading axis is one that both have,
/// or else one in front of the rows of `x`, or else one of the numbers, which `scatter` sums over.
fn rows_form(x: Form, at: Form, (axis, shared): (usize, usize), way: Way) -> Option<Form> {
    let samples = |form: Form| form == Form::Samples;
    if !samples(x) && !samples(at) {
        return Some(Form::Whole);
    }
    let leads = match (shared, axis, way) {
        (1.., ..) => x != Form::Whole && at != Form::Whole,
        (0, 1.., _) => !samples(at),
        (0, 0, Way::Gather) => !samples(x),
        (0, 0, Way::Scatter) => false,
    };
    leads.then_some(Form::Samples)
}

/// A step being rewritten for fewer samples.
struct Cut<'a> {
    body: &'a Step,
    forms: Vec<Form>,
    samples: usize,
    g: GraphBuilder,
    /// By node, and whether for one part.
    new: BTreeMap<(NodeId, bool), NodeId>,
}

impl Cut<'_> {
    fn new<'a>(body: &'a Step, batch: usize, samples: usize, divided: &[bool]) -> Cut<'a> {
        Cut {
            forms: forms(body, batch, divided).unwrap_or_default(),
            body,
            samples,
            g: GraphBuilder::new(),
            new: BTreeMap::new(),
        }
    }

    fn step(mut self) -> Step {
        let mut results = Vec::new();
        for position in 0..self.body.outputs.len() {
            let id = self.body.outputs[position].1;
            results.push(self.node(id, true));
        }
        let mut types: Vec<Type> = self
            .body
            .inputs
            .iter()
            .map(|input| input.ty.clone())
            .collect();
        let graph = self.g.finish();
        for node in &graph.nodes {
            if let Op::Input(input) = node.op {
                types[input.index()].clone_from(&node.ty);
            }
        }
        Scan::body(&types, graph, &results)
    }

    /// A node as a part needs it, or as it is.
    fn node(&mut self, id: NodeId, cut: bool) -> NodeId {
        let cut = cut && self.forms[id.index()] != Form::Whole;
        if let Some(&known) = self.new.get(&(id, cut)) {
            return known;
        }
        let node = self.body.graph.node(id).clone();
        let mut op = node.op.clone();
        let mut ty = node.ty.clone();
        let mut follow = vec![cut; node.inputs.len()];
        if cut {
            ty.shape[0] = self.samples;
        }
        match &mut op {
            Op::View(view) if cut => {
                view.shape[0] = self.samples;
                follow[0] = follows(&view.map);
            }
            Op::Contract(contract) if cut => {
                contract.dims[0] = self.samples;
                follow = vec![follows(&contract.a), follows(&contract.b)];
            }
            Op::Gather { axis, shared } | Op::Scatter { axis, shared, .. } if *shared == 0 => {
                // The rows or their numbers have the leading axis, not both.
                follow = vec![cut && *axis > 0, cut && *axis == 0];
            }
            _ => {}
        }
        let mut inputs = Vec::new();
        for (&x, follow) in node.inputs.iter().zip(follow) {
            inputs.push(self.node(x, follow));
        }
        let origin = self.body.graph.origins[node.origin as usize].clone();
        self.g.set_origin(origin);
        debug_assert!(ty.dtype != DType::Bool || !matches!(op, Op::Input(_)));
        let new = self.g.push_as(op, &inputs, ty);
        self.new.insert((id, cut), new);
        new
    }
}
