//! Loops over time for tests, and the same without a loop.

#![allow(clippy::unwrap_used)]

use super::nets::matmul;
use super::{Numbers, step_of};
use crate::graph::{
    DType, GraphBuilder, InputId, NodeId, Op, Recurrence, Scan, Step, TimeOrder, Type, View,
    copy_of, verify,
};
use crate::index::IndexExpr;
use std::collections::BTreeMap;

const INPUTS: usize = 3;
const HIDDEN: usize = 4;

/// Some loops with losses, and the gradients by all their inputs.
pub fn recurrences(seed: u64) -> Vec<(&'static str, Step)> {
    let mut n = Numbers(seed);
    let length = 1 + n.below(5);
    let order = [TimeOrder::Forward, TimeOrder::Backward][n.below(2)];
    // The large one is cut into parts.
    let batch = [5, 64][n.below(2)];
    vec![
        ("rnn", rnn(length, order, batch)),
        ("lstm", lstm(length, order, batch)),
        ("products", products(length, order, batch)),
        ("map", map(length, order, batch)),
        ("attention", attention(length, order, batch)),
        ("nested", nested(length, order, batch)),
        ("rows", rows(length, order, batch)),
    ]
}

/// Outputs: a loss, some values, and the loss's gradients by all inputs.
fn with_gradients(
    types: &[Type],
    build: impl FnOnce(&mut GraphBuilder, &[NodeId]) -> Vec<NodeId>,
) -> Step {
    let g = &mut GraphBuilder::new();
    let inputs = types.iter().enumerate();
    let x: Vec<NodeId> = inputs
        .map(|(i, ty)| g.input(InputId(i as u32), ty.clone()))
        .collect();
    let values = build(g, &x);
    let mut loss = g.scalar(0.0);
    for (position, &value) in values.iter().enumerate() {
        let axes: Vec<usize> = (0..g.shape(value).len()).collect();
        let sum = match position % 2 {
            0 => g.mul(value, value),
            _ => g.sin(value),
        };
        let sum = g.sum(sum, &axes);
        loss = g.add(loss, sum);
    }
    let mut results = vec![loss];
    results.extend(values);
    results.extend(x.iter().map(|&x| g.grad(loss, x)).collect::<Vec<_>>());
    // Without the leaves on which bodies were built.
    let (graph, results) = copy_of(g.graph(), &results, &mut |_, _| None);
    let step = Scan::body(types, graph, &results);
    verify(&step, "the test");
    step
}

fn bias(g: &mut GraphBuilder, x: NodeId, b: NodeId) -> NodeId {
    let shape = g.shape(x).to_vec();
    let b = g.broadcast(b, &shape, &[shape.len() - 1]);
    g.add(x, b)
}

/// h' = tanh(x w + h u + b)
fn rnn(length: usize, order: TimeOrder, batch: usize) -> Step {
    let types = [
        Type::f32([length, batch, INPUTS]),
        Type::f32([batch, HIDDEN]),
        Type::f32([INPUTS, HIDDEN]),
        Type::f32([HIDDEN, HIDDEN]),
        Type::f32([HIDDEN]),
    ];
    with_gradients(&types, |g, x| {
        let r = Recurrence::begin(g, length, order, vec![x[1]], vec![x[0]]);
        let (h, xt) = (r.carried()[0], r.slices()[0]);
        let (a, b) = (matmul(g, xt, x[2]), matmul(g, h, x[3]));
        let sum = g.add(a, b);
        let sum = bias(g, sum, x[4]);
        let next = g.tanh(sum);
        let end = r.end(g, &[next], &[next]);
        let last = g.last(end.scan, 0);
        vec![end.yields[0], last]
    })
}

/// h' = tanh(rows of w by numbers that x makes + rows of v by numbers that h makes), with rows added
/// up by numbers on the way.
fn rows(length: usize, order: TimeOrder, batch: usize) -> Step {
    let types = [
        Type::f32([length, batch, INPUTS]),
        Type::f32([batch, HIDDEN]),
        Type::f32([3, HIDDEN]),
        Type::f32([2]),
    ];
    with_gradients(&types, |g, x| {
        let r = Recurrence::begin(g, length, order, vec![x[1]], vec![x[0]]);
        let (h, xt) = (r.carried()[0], r.slices()[0]);
        // No h that tanh makes is near to where numbers change.
        let [of_x, of_h] = [(xt, 2.0), (h, 1.5)].map(|(x, factor)| {
            let scaled = g.scale(x, factor);
            g.cast(scaled, DType::I32)
        });
        let read = g.gather(x[2], of_x, (0, 0));
        let own = g.scatter(read, of_x, (1, 1), 4);
        let again = g.gather(own, of_x, (1, 1));
        let (a, b) = (g.sum(again, &[1]), g.gather(x[3], of_h, (0, 0)));
        let sum = g.add(a, b);
        let sum = g.add(sum, h);
        let next = g.tanh(sum);
        let end = r.end(g, &[next], &[next]);
        let last = g.last(end.scan, 0);
        vec![end.yields[0], last]
    })
}

fn sigmoid(g: &mut GraphBuilder, x: NodeId) -> NodeId {
    let one = g.constant_like(1.0, x);
    let minus = g.neg(x);
    let e = g.exp(minus);
    let sum = g.add(one, e);
    g.div(one, sum)
}

/// A part of the columns.
fn columns(g: &mut GraphBuilder, x: NodeId, from: usize, count: usize) -> NodeId {
    let operand = g.shape(x).to_vec();
    let map = vec![
        IndexExpr::dim(0),
        IndexExpr::dim(1).shifted((from * count) as i64),
    ];
    let view = View::new(vec![operand[0], count], map, 0.0, &operand);
    g.view(x, view)
}

fn lstm(length: usize, order: TimeOrder, batch: usize) -> Step {
    let types = [
        Type::f32([batch, length, INPUTS]),
        Type::f32([INPUTS, 4 * HIDDEN]),
        Type::f32([HIDDEN, 4 * HIDDEN]),
        Type::f32([4 * HIDDEN]),
    ];
    with_gradients(&types, |g, x| {
        let xs = g.transpose(x[0], &[1, 0, 2]);
        let zero = g.constant(0.0, Type::f32([batch, HIDDEN]));
        let r = Recurrence::begin(g, length, order, vec![zero, zero], vec![xs]);
        let (h, c, xt) = (r.carried()[0], r.carried()[1], r.slices()[0]);
        let (a, b) = (matmul(g, xt, x[1]), matmul(g, h, x[2]));
        let sum = g.add(a, b);
        let z = bias(g, sum, x[3]);
        let gate = |g: &mut GraphBuilder, number| columns(g, z, number, HIDDEN);
        let (i, f, u, o) = (gate(g, 0), gate(g, 1), gate(g, 2), gate(g, 3));
        let (i, f, o) = (sigmoid(g, i), sigmoid(g, f), sigmoid(g, o));
        let u = g.tanh(u);
        let (kept, new) = (g.mul(f, c), g.mul(i, u));
        let c = g.add(kept, new);
        let t = g.tanh(c);
        let h = g.mul(o, t);
        let end = r.end(g, &[h, c], &[h]);
        let last = g.last(end.scan, 1);
        vec![end.yields[0], last]
    })
}

/// What is yielded is a product of what is carried, and one factor is made of weights alone.
fn products(length: usize, order: TimeOrder, batch: usize) -> Step {
    let types = [
        Type::f32([length, batch, HIDDEN]),
        Type::f32([HIDDEN, HIDDEN]),
        Type::f32([HIDDEN, INPUTS]),
    ];
    with_gradients(&types, |g, x| {
        let first = g.entry(x[0], 0);
        let r = Recurrence::begin(g, length, order, vec![first], vec![x[0]]);
        let (h, xt) = (r.carried()[0], r.slices()[0]);
        let w = g.sin(x[1]);
        let a = matmul(g, h, w);
        let mean = g.sum(a, &[1]);
        let mean = g.broadcast(mean, &[batch, HIDDEN], &[0]);
        let a = g.sub(a, mean);
        let next = g.mul(a, xt);
        let next = g.scale(next, 0.3);
        let y = matmul(g, next, x[2]);
        let y = g.tanh(y);
        let end = r.end(g, &[next], &[y, xt]);
        end.yields
    })
}

/// Nothing is carried.
fn map(length: usize, order: TimeOrder, batch: usize) -> Step {
    let types = [
        Type::f32([length, batch, INPUTS]),
        Type::f32([INPUTS, HIDDEN]),
    ];
    with_gradients(&types, |g, x| {
        let r = Recurrence::begin(g, length, order, vec![], vec![x[0]]);
        let y = matmul(g, r.slices()[0], x[1]);
        let y = g.sin(y);
        let end = r.end(g, &[], &[y]);
        end.yields
    })
}

/// Each step reads a whole tensor of each sample.
fn attention(length: usize, order: TimeOrder, batch: usize) -> Step {
    let types = [
        Type::f32([length, batch, HIDDEN]),
        Type::f32([batch, 5, HIDDEN]),
        Type::f32([batch, HIDDEN]),
    ];
    with_gradients(&types, |g, x| {
        let r = Recurrence::begin(g, length, order, vec![x[2]], vec![x[0]]);
        let (h, xt) = (r.carried()[0], r.slices()[0]);
        let shape = [batch, 5, HIDDEN];
        let query = g.broadcast(h, &shape, &[0, 2]);
        let scores = g.mul(query, x[1]);
        let scores = g.sum(scores, &[2]);
        let top = g.max_over(scores, &[1]);
        let top = g.broadcast(top, &[batch, 5], &[0]);
        let scores = g.sub(scores, top);
        let e = g.exp(scores);
        let sum = g.sum(e, &[1]);
        let sum = g.broadcast(sum, &[batch, 5], &[0]);
        let weights = g.div(e, sum);
        let weights = g.broadcast(weights, &shape, &[0, 1]);
        let seen = g.mul(weights, x[1]);
        let seen = g.sum(seen, &[1]);
        let sum = g.add(seen, xt);
        let next = g.tanh(sum);
        let end = r.end(g, &[next], &[next, seen]);
        end.yields
    })
}

/// A loop in each step of a loop.
fn nested(length: usize, order: TimeOrder, batch: usize) -> Step {
    let types = [
        Type::f32([length, 3, batch, HIDDEN]),
        Type::f32([HIDDEN, HIDDEN]),
        Type::f32([batch, HIDDEN]),
    ];
    with_gradients(&types, |g, x| {
        let outer = Recurrence::begin(g, length, order, vec![x[2]], vec![x[0]]);
        let (h, rows) = (outer.carried()[0], outer.slices()[0]);
        let inner = Recurrence::begin(g, 3, TimeOrder::Forward, vec![h], vec![rows]);
        let product = matmul(g, inner.carried()[0], x[1]);
        let sum = g.add(product, inner.slices()[0]);
        let next = g.tanh(sum);
        let inner = inner.end(g, &[next], &[next]);
        let last = g.last(inner.scan, 0);
        let all = g.sum(inner.yields[0], &[0]);
        let end = outer.end(g, &[last], &[all]);
        end.yields
    })
}

/// The same step without loops: their bodies, once for each step of time.
pub fn unrolled(step: &Step) -> Step {
    let types: Vec<Type> = step.inputs.iter().map(|input| input.ty.clone()).collect();
    step_of(&types, |g, x| {
        let new = unroll(g, step, x);
        let outputs = step.outputs.iter();
        outputs
            .map(|(name, id)| (name.clone(), new[id.index()]))
            .collect()
    })
}

fn unroll(g: &mut GraphBuilder, step: &Step, x: &[NodeId]) -> Vec<NodeId> {
    let mut new: Vec<NodeId> = Vec::new();
    let mut parts: BTreeMap<NodeId, Vec<NodeId>> = BTreeMap::new();
    for (id, node) in step.graph.iter() {
        let copy = match &node.op {
            Op::Input(input) => x[input.index()],
            Op::Scan(scan) => {
                parts.insert(id, unroll_scan(g, scan, &node.inputs_in(&new)));
                NodeId(0)
            }
            Op::Part(position) => parts[&node.inputs[0]][*position],
            _ => g.copy(node, &new),
        };
        new.push(copy);
    }
    new
}

fn unroll_scan(g: &mut GraphBuilder, scan: &Scan, operands: &[NodeId]) -> Vec<NodeId> {
    let results = scan.results();
    let mut entries: Vec<BTreeMap<usize, NodeId>> = vec![BTreeMap::new(); results.len()];
    let mut carried = operands[..scan.carried].to_vec();
    for (entries, &first) in entries.iter_mut().zip(&carried) {
        entries.insert(scan.first_entry(), first);
    }
    for time in scan.order.steps(scan.length) {
        let mut x = carried.clone();
        for (position, &operand) in operands.iter().enumerate().skip(scan.carried) {
            x.push(match position < scan.carried + scan.sliced {
                true => g.entry(operand, time),
                false => operand,
            });
        }
        let new = unroll(g, &scan.body, &x);
        for (position, id) in results.iter().enumerate() {
            let value = new[id.index()];
            if position < scan.carried {
                carried[position] = value;
                entries[position].insert(time + scan.order.after(), value);
            } else {
                entries[position].insert(time, value);
            }
        }
    }
    entries.iter().map(|entries| stack(g, entries)).collect()
}

/// Tensors one behind the other along a new leading axis.
fn stack(g: &mut GraphBuilder, entries: &BTreeMap<usize, NodeId>) -> NodeId {
    let count = entries.len();
    let mut sum = None;
    for (&entry, &x) in entries {
        let operand = g.shape(x).to_vec();
        let shape = [&[count], operand.as_slice()].concat();
        let unit = g.reshape(x, &[&[1], operand.as_slice()].concat());
        let mut map: Vec<IndexExpr> = (0..shape.len()).map(IndexExpr::dim).collect();
        map[0] = map[0].shifted(-(entry as i64));
        let inner = [&[1], operand.as_slice()].concat();
        let padded = g.view(unit, View::new(shape, map, 0.0, &inner));
        sum = Some(match sum {
            Some(sum) => g.add(sum, padded),
            None => padded,
        });
    }
    sum.unwrap()
}
