//! The gradient of a loop over time: a loop in the other direction, which carries the
//! gradient by what the first one carried.
//!
//! Per step, with D the gradient by the value after it:
//!
//! ```text
//! D += gradient by that entry of the trail
//! D, dslice, dwhole = gradients of the step, those of its results being D and dyield
//! ```
//!
//! What is sliced has its gradient per step. What all steps read whole gets one from each of
//! them, summed after the loop; `simplify` makes one large product of that sum. Of the
//! first loop's values the second one reads what is dear to compute again (products,
//! reductions, exponentials), and computes the rest anew.

use super::sweep;
use crate::graph::{DType, Graph, GraphBuilder, InputId, NodeId, Op, Scan, Type, copy_of};
use std::collections::BTreeMap;

/// The gradients by a scan's operands, as far as they are wanted, from those by its results.
pub fn gradient(
    g: &mut GraphBuilder,
    scan: NodeId,
    parts: &BTreeMap<usize, NodeId>,
    wanted: &[bool],
) -> Vec<Option<NodeId>> {
    let mut first = g.scan_at(scan).clone();
    let operands = g.graph().node(scan).inputs.clone();
    let active = active(&first, wanted);

    // One step and its gradient, in one graph. The step's nodes keep their numbers.
    let mut step = GraphBuilder::new();
    for (_, node) in first.body.graph.iter() {
        step.set_origin(first.body.graph.origins[node.origin as usize].clone());
        step.push_as(node.op.clone(), &node.inputs, node.ty.clone());
    }
    let mut given = Given::default();
    let results = first.results();
    let mut seeds = Vec::new();
    for &position in &active {
        let leaf = given.leaf(
            &mut step,
            Source::Carried(position),
            &first,
            results[position],
        );
        seeds.push((results[position], leaf));
    }
    for &position in parts.keys() {
        let is_carried = position < first.carried;
        if is_carried && !active.contains(&position) {
            continue;
        }
        let leaf = given.leaf(&mut step, Source::Part(position), &first, results[position]);
        seeds.push((results[position], leaf));
    }
    let inputs: Vec<Option<NodeId>> = (0..operands.len())
        .map(|position| input_leaf(step.graph(), position))
        .collect();
    let asked = |position: &usize| match *position < first.carried {
        true => active.contains(position),
        false => wanted[*position],
    };
    let wrt: Vec<NodeId> = (0..operands.len())
        .filter(asked)
        .filter_map(|position| inputs[position])
        .collect();
    let found = sweep(&mut step, &seeds, &wrt);
    let by_operand = |position: usize| inputs[position].and_then(|leaf| found.get(&leaf).copied());

    // The second loop's results: D before the step, then the other gradients.
    let mut results = Vec::new();
    for &position in &active {
        results.push(match by_operand(position) {
            Some(dx) => dx,
            None => step.constant(0.0, first.body.inputs[position].ty.clone()),
        });
    }
    let others: Vec<usize> = (first.carried..operands.len())
        .filter(|&position| wanted[position] && by_operand(position).is_some())
        .collect();
    results.extend(others.iter().filter_map(|&position| by_operand(position)));

    // What it reads of the first loop.
    let forward = given.forward(step.graph());
    let reads = |id: NodeId| -> Option<Source> {
        if let Some(source) = given.source(id) {
            return Some(source);
        }
        if !forward[id.index()] {
            return None;
        }
        match step.graph().node(id).op {
            Op::Input(input) => Some(Source::Operand(input.index())),
            _ if is_dear(step.graph(), id) => Some(Source::Kept(id)),
            _ => None,
        }
    };
    let needed = sources(step.graph(), &results, &reads);
    let kept: Vec<NodeId> = needed
        .iter()
        .filter_map(|source| match source {
            Source::Kept(id) => Some(*id),
            _ => None,
        })
        .collect();
    let places = keep(g, scan, &mut first, step.graph(), &kept);

    // Its operands: carried, sliced, whole.
    let carried = active.iter().map(|&position| Source::Carried(position));
    let whole = |source: &Source| matches!(source, Source::Operand(position) if *position >= first.carried + first.sliced);
    let sliced = needed
        .iter()
        .filter(|source| !whole(source) && !matches!(source, Source::Carried(_)));
    let order: Vec<Source> = carried
        .chain(sliced.copied())
        .chain(needed.iter().filter(|source| whole(source)).copied())
        .collect();
    let mut second_operands = Vec::new();
    for &source in &order {
        second_operands.push(match source {
            Source::Carried(position) => g.constant(0.0, first.body.inputs[position].ty.clone()),
            Source::Part(position) if position < first.carried => {
                g.entries(parts[&position], first.order.after(), first.length)
            }
            Source::Part(position) => parts[&position],
            Source::Operand(position) if position < first.carried => {
                g.trail(scan, position, first.order.before())
            }
            Source::Operand(position) => operands[position],
            Source::Kept(id) => match places[&id] {
                position if position < first.carried => {
                    g.trail(scan, position, first.order.after())
                }
                position => g.part(scan, position),
            },
        });
    }
    let types: Vec<Type> = order
        .iter()
        .map(|&source| match source {
            Source::Carried(position) => first.body.inputs[position].ty.clone(),
            Source::Operand(position) => first.body.inputs[position].ty.clone(),
            Source::Part(position) => step.ty(given.at[&Source::Part(position)]).clone(),
            Source::Kept(id) => step.ty(id).clone(),
        })
        .collect();
    let (body, results) = copy_of(step.graph(), &results, &mut |body, id| {
        let source = reads(id)?;
        let position = order.iter().position(|&other| other == source)?;
        Some(body.input(InputId(position as u32), types[position].clone()))
    });
    let second = Scan {
        length: first.length,
        order: first.order.reversed(),
        carried: active.len(),
        sliced: order.len() - active.len() - order.iter().filter(|source| whole(source)).count(),
        body: Scan::body(&types, body, &results),
    };
    let second = g.scan(second, &second_operands);

    let mut dx = vec![None; operands.len()];
    for (position, &operand) in active.iter().enumerate() {
        let last = g.last(second, position);
        dx[operand] = Some(match parts.get(&operand) {
            Some(&trail) => {
                let entry = g.entry(trail, first.first_entry());
                g.add(last, entry)
            }
            None => last,
        });
    }
    for (number, &operand) in others.iter().enumerate() {
        let steps = g.part(second, active.len() + number);
        let is_sliced = operand < first.carried + first.sliced;
        dx[operand] = Some(match is_sliced {
            true => steps,
            false => g.sum(steps, &[0]),
        });
    }
    dx
}

/// Where a leaf of the second loop's body comes from.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Source {
    /// The gradient by what was carried, on its way back.
    Carried(usize),
    /// The gradient by a result of the first loop.
    Part(usize),
    /// An operand of the first loop; of what it carried, the value before the step.
    Operand(usize),
    /// A value of the first loop.
    Kept(NodeId),
}

/// The leaves that the gradients come in by.
#[derive(Default)]
struct Given {
    at: BTreeMap<Source, NodeId>,
}

impl Given {
    fn leaf(
        &mut self,
        step: &mut GraphBuilder,
        source: Source,
        scan: &Scan,
        like: NodeId,
    ) -> NodeId {
        let ty = scan.body.graph.ty(like).clone();
        let number = scan.body.inputs.len() + self.at.len();
        let leaf = step.input(InputId(number as u32), ty);
        self.at.insert(source, leaf);
        leaf
    }

    fn source(&self, id: NodeId) -> Option<Source> {
        let mut leaves = self.at.iter();
        leaves
            .find(|&(_, &leaf)| leaf == id)
            .map(|(&source, _)| source)
    }

    /// For each node, whether the first loop could have computed it.
    fn forward(&self, graph: &Graph) -> Vec<bool> {
        let mut forward: Vec<bool> = Vec::with_capacity(graph.nodes.len());
        for (id, node) in graph.iter() {
            let own = node.inputs.iter().all(|x| forward[x.index()]);
            forward.push(own && self.source(id).is_none());
        }
        forward
    }
}

/// The carried values through which gradients pass: real ones that depend on something wanted.
fn active(scan: &Scan, wanted: &[bool]) -> Vec<usize> {
    let graph = &scan.body.graph;
    let real = |position: usize| scan.body.inputs[position].ty.dtype == DType::F32;
    let mut changed: Vec<bool> = wanted.to_vec();
    loop {
        let wrt: Vec<NodeId> = (0..changed.len())
            .filter(|&position| changed[position])
            .filter_map(|position| input_leaf(graph, position))
            .collect();
        let last = NodeId(graph.nodes.len() as u32 - 1);
        let depends = super::depending_on(graph, &wrt, last);
        let next = scan.next();
        let more: Vec<usize> = (0..scan.carried)
            .filter(|&position| {
                !changed[position] && real(position) && depends[next[position].index()]
            })
            .collect();
        if more.is_empty() {
            return (0..scan.carried)
                .filter(|&position| changed[position] && real(position))
                .collect();
        }
        more.into_iter()
            .for_each(|position| changed[position] = true);
    }
}

/// The leaf of a body that is an operand.
fn input_leaf(graph: &Graph, position: usize) -> Option<NodeId> {
    let wanted = Op::Input(InputId(position as u32));
    graph
        .iter()
        .find(|(_, node)| node.op == wanted)
        .map(|(id, _)| id)
}

/// Whether a value is better kept than computed again.
fn is_dear(graph: &Graph, id: NodeId) -> bool {
    let node = graph.node(id);
    match &node.op {
        Op::Exp | Op::Log | Op::Sin | Op::Cos | Op::Tanh | Op::Erf | Op::Pow | Op::Sqrt => true,
        Op::Contract(contract) => contract.rank < contract.dims.len(),
        Op::Sum { .. } | Op::MaxOver { .. } | Op::ArgMax { .. } | Op::Part(_) => true,
        Op::Gather { .. } | Op::Scatter { .. } => true,
        _ => false,
    }
}

/// The leaves that some results need.
fn sources(
    graph: &Graph,
    results: &[NodeId],
    reads: &impl Fn(NodeId) -> Option<Source>,
) -> Vec<Source> {
    let mut seen = vec![false; graph.nodes.len()];
    let mut waiting = results.to_vec();
    let mut found = Vec::new();
    while let Some(id) = waiting.pop() {
        if std::mem::replace(&mut seen[id.index()], true) {
            continue;
        }
        match reads(id) {
            Some(source) => found.push(source),
            None => waiting.extend(&graph.node(id).inputs),
        }
    }
    found.sort_unstable();
    found.dedup();
    found
}

/// Lets the first loop leave behind what the second one reads of it: for each value, which
/// result it is. A step may have learned to compute more since it was first built.
fn keep(
    g: &mut GraphBuilder,
    scan: NodeId,
    first: &mut Scan,
    step: &Graph,
    kept: &[NodeId],
) -> BTreeMap<NodeId, usize> {
    let mut results = first.results();
    let mut places = BTreeMap::new();
    for &id in kept {
        let known = results.iter().position(|&other| other == id);
        places.insert(
            id,
            known.unwrap_or_else(|| {
                results.push(id);
                results.len() - 1
            }),
        );
    }
    let types: Vec<Type> = first
        .body
        .inputs
        .iter()
        .map(|input| input.ty.clone())
        .collect();
    let (body, results) = copy_of(step, &results, &mut |_, _| None);
    first.body = Scan::body(&types, body, &results);
    g.set_scan(scan, first.clone());
    places
}
