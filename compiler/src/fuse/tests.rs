#![allow(clippy::unwrap_used)]

use super::fuse;
use crate::differentiate::differentiate;
use crate::simplify::simplify;
use crate::graph::{
    Contract, DType, GraphBuilder, Input, InputId, InputKind, NodeId, Op, Phase, SlotId,
    Step, Type, View,
};
use crate::index::IndexExpr;
use crate::nest::{Elements, Kernels, Role, Value, interpret, unwritten, verify};
use crate::ops::{Precision, Tensor};
use crate::eval::eval;
use crate::testing::{Numbers, random_step};

/// A step under construction.
struct Bench {
    g: GraphBuilder,
    inputs: Vec<Input>,
    slots: u32,
    outputs: Vec<(String, NodeId)>,
    updates: Vec<(SlotId, NodeId)>,
}

impl Bench {
    fn new() -> Bench {
        Bench {
            g: GraphBuilder::new(),
            inputs: Vec::new(),
            slots: 0,
            outputs: Vec::new(),
            updates: Vec::new(),
        }
    }

    fn input(&mut self, ty: Type) -> NodeId {
        let id = InputId(self.inputs.len() as u32);
        self.inputs.push(Input {
            kind: InputKind::Field(format!("x{}", id.0)),
            ty: ty.clone(),
        });
        self.g.input(id, ty)
    }

    fn slot(&mut self, shape: &[usize]) -> (SlotId, NodeId) {
        let id = SlotId(self.slots);
        self.slots += 1;
        (id, self.g.slot(id, Type::f32(shape)))
    }

    fn output(&mut self, id: NodeId) {
        let name = format!("y{}", self.outputs.len());
        self.outputs.push((name, id));
    }

    fn step(self) -> Step {
        Step {
            phase: Phase::Train,
            graph: self.g.finish(),
            inputs: self.inputs,
            outputs: self.outputs,
            updates: self.updates,
        }
    }
}

/// Fuses, verifies, runs the kernels and the graph, and compares all results.
fn check(step: &Step) -> Kernels {
    let mut numbers = Numbers(1);
    let inputs: Vec<Tensor> = step.inputs.iter().map(|input| values(&mut numbers, &input.ty)).collect();
    check_with(step, &inputs)
}

fn check_with(step: &Step, inputs: &[Tensor]) -> Kernels {
    let mut numbers = Numbers(2);
    let mut slots: Vec<Tensor> = Vec::new();
    for (_, node) in step.graph.iter() {
        if let Op::Slot(id) = node.op
            && id.index() >= slots.len()
        {
            slots.resize(id.index() + 1, Tensor::from_fn(&Type::f32([]), |_| 0.0));
        }
    }
    for (_, node) in step.graph.iter() {
        if let Op::Slot(id) = node.op {
            slots[id.index()] = values(&mut numbers, &node.ty);
        }
    }
    let expected = eval(step, inputs, &slots, Precision::F32);
    let kernels = fuse(step);
    verify(&kernels).unwrap_or_else(|fault| panic!("{fault}\n{kernels}"));
    let memory = kernels.buffers.iter().map(|buffer| match buffer.role {
        Role::Input(id) => elements(&inputs[id.index()]),
        Role::Slot(id) => match slots.get(id.index()) {
            Some(slot) if slot.ty.shape == buffer.extents => elements(slot),
            _ => unwritten(buffer),
        },
        Role::Temporary | Role::Output => unwritten(buffer),
    });
    let memory = interpret(&kernels, memory.collect());
    for ((name, buffer), (_, tensor)) in kernels.outputs.iter().zip(&expected.outputs) {
        compare(name, &memory[buffer.index()], tensor, &kernels);
    }
    for (slot, tensor) in &expected.updates {
        let mut buffers = kernels.buffers.iter();
        let buffer = buffers.position(|b| b.role == Role::Slot(*slot)).unwrap();
        compare(&slot.to_string(), &memory[buffer], tensor, &kernels);
    }
    kernels
}

/// Sums are added in another order than the oracle's, and functions are polynomials.
fn compare(name: &str, found: &Elements, expected: &Tensor, kernels: &Kernels) {
    let scale = expected.elements.iter().fold(1.0, |max: f64, x| max.max(x.abs()));
    for (i, (found, &expected)) in found.iter().zip(&expected.elements).enumerate() {
        let found = match found.unwrap() {
            Value::F32(x) => f64::from(x),
            Value::I32(x) => f64::from(x),
            Value::Mask(_) => panic!("a stored mask"),
        };
        let same = (found.is_nan() && expected.is_nan()) || found == expected;
        let close = (found - expected).abs() <= 1e-5 * scale;
        assert!(same || close, "{name}[{i}] is {found}, not {expected}\n{kernels}");
    }
}

fn elements(tensor: &Tensor) -> Elements {
    let values = tensor.elements.iter().map(|&x| match tensor.ty.dtype {
        DType::I32 => Value::I32(x as i32),
        _ => Value::F32(x as f32),
    });
    values.map(Some).collect()
}

fn values(numbers: &mut Numbers, ty: &Type) -> Tensor {
    match ty.dtype {
        DType::I32 => Tensor::from_fn(ty, |_| numbers.below(3) as f64),
        _ => numbers.f32(&ty.shape, -1.0, 1.0),
    }
}

/// `x @ w`, x: [n, k], w: [k, m].
fn matmul(g: &mut GraphBuilder, x: NodeId, w: NodeId) -> NodeId {
    let (n, k, m) = (g.shape(x)[0], g.shape(x)[1], g.shape(w)[1]);
    let contract = Contract {
        dims: vec![n, m, k],
        rank: 2,
        a: vec![IndexExpr::dim(0), IndexExpr::dim(2)],
        b: vec![IndexExpr::dim(2), IndexExpr::dim(1)],
    };
    g.contract(x, w, contract)
}

/// x: [n, c, h, w], f: [o, c, k, k] -> [n, o, h, w], padded.
fn conv(g: &mut GraphBuilder, x: NodeId, f: NodeId) -> NodeId {
    let (xs, fs) = (g.shape(x).to_vec(), g.shape(f).to_vec());
    let pad = (fs[2] / 2) as i64;
    let contract = Contract {
        dims: vec![xs[0], fs[0], xs[2], xs[3], xs[1], fs[2], fs[3]],
        rank: 4,
        a: vec![
            IndexExpr::dim(0),
            IndexExpr::dim(4),
            IndexExpr::affine([(2, 1), (5, 1)], -pad),
            IndexExpr::affine([(3, 1), (6, 1)], -pad),
        ],
        b: [1, 4, 5, 6].map(IndexExpr::dim).to_vec(),
    };
    g.contract(x, f, contract)
}

/// Windows of 2 x 2 and their maxima.
fn pool(g: &mut GraphBuilder, x: NodeId) -> NodeId {
    let s = g.shape(x).to_vec();
    let view = View {
        shape: vec![s[0], s[1], s[2] / 2, s[3] / 2, 2, 2],
        map: vec![
            IndexExpr::dim(0),
            IndexExpr::dim(1),
            IndexExpr::affine([(2, 2), (4, 1)], 0),
            IndexExpr::affine([(3, 2), (5, 1)], 0),
        ],
        fill: 0.0,
    };
    let windows = g.view(x, view);
    g.max_over(windows, &[4, 5])
}

fn relu(g: &mut GraphBuilder, x: NodeId) -> NodeId {
    let zero = g.constant_like(0.0, x);
    g.max(x, zero)
}

/// Adds `b` along an axis.
fn add_bias(g: &mut GraphBuilder, x: NodeId, b: NodeId, axis: usize) -> NodeId {
    let shape = g.shape(x).to_vec();
    let b = g.broadcast(b, &shape, &[axis]);
    g.add(x, b)
}

/// The mean over the batch of the cross-entropy of logits [n, k] and classes [n].
fn cross_entropy(g: &mut GraphBuilder, logits: NodeId, label: NodeId) -> NodeId {
    let shape = g.shape(logits).to_vec();
    let greatest = g.max_over(logits, &[1]);
    let greatest = g.broadcast(greatest, &shape, &[0]);
    let shifted = g.sub(logits, greatest);
    let e = g.exp(shifted);
    let sum = g.sum(e, &[1]);
    let log = g.log(sum);
    let log = g.broadcast(log, &shape, &[0]);
    let log_softmax = g.sub(shifted, log);
    let class = g.iota(1, &shape);
    let label = g.broadcast(label, &shape, &[0]);
    let is_label = g.equal(class, label);
    let zero = g.constant_like(0.0, logits);
    let picked = g.select(is_label, log_softmax, zero);
    let picked = g.sum(picked, &[1]);
    let total = g.sum(picked, &[0]);
    g.scale(total, -1.0 / shape[0] as f64)
}

#[test]
fn a_dense_layer_is_one_kernel() {
    let mut b = Bench::new();
    let x = b.input(Type::f32([3, 5]));
    let (_, w) = b.slot(&[5, 4]);
    let (_, bias) = b.slot(&[4]);
    let y = matmul(&mut b.g, x, w);
    let y = add_bias(&mut b.g, y, bias, 1);
    let y = relu(&mut b.g, y);
    b.output(y);
    let kernels = check(&b.step());
    assert_eq!(kernels.kernels.len(), 1, "{kernels}");
}

#[test]
fn a_small_network_runs_as_few_kernels() {
    let mut b = Bench::new();
    let x = b.input(Type::f32([2, 1, 4, 4]));
    let label = b.input(Type {
        dtype: DType::I32,
        shape: vec![2],
    });
    let (_, f) = b.slot(&[3, 1, 3, 3]);
    let (_, bias) = b.slot(&[3]);
    let (_, w) = b.slot(&[12, 5]);
    let y = conv(&mut b.g, x, f);
    let y = add_bias(&mut b.g, y, bias, 1);
    let y = relu(&mut b.g, y);
    let y = pool(&mut b.g, y);
    let y = b.g.reshape(y, &[2, 12]);
    let logits = matmul(&mut b.g, y, w);
    let loss = cross_entropy(&mut b.g, logits, label);
    b.output(loss);
    let kernels = check(&b.step());
    println!("{kernels}");
    assert_eq!(kernels.kernels.len(), 5, "{kernels}");
}

/// `x - lr * dx`, in the manner of Adam: with two moments and a correction by the step.
fn adam(b: &mut Bench, loss: NodeId, weights: &[(SlotId, NodeId)]) {
    let step = b.input(Type::f32([]));
    for &(slot, w) in weights {
        let shape = b.g.shape(w).to_vec();
        let grad = b.g.grad(loss, w);
        let (m_slot, m) = b.slot(&shape);
        let (v_slot, v) = b.slot(&shape);
        let g = &mut b.g;
        let lerp = |g: &mut GraphBuilder, a: NodeId, x: NodeId, rate: f64| {
            let (a, x) = (g.scale(a, rate), g.scale(x, 1.0 - rate));
            g.add(a, x)
        };
        let square = g.mul(grad, grad);
        let m = lerp(g, m, grad, 0.9);
        let v = lerp(g, v, square, 0.999);
        let corrected = |g: &mut GraphBuilder, x: NodeId, rate: f64| {
            let rate = g.scalar(rate);
            let power = g.pow(rate, step);
            let one = g.scalar(1.0);
            let correction = g.sub(one, power);
            let correction = g.broadcast(correction, &shape, &[]);
            g.div(x, correction)
        };
        let m_hat = corrected(g, m, 0.9);
        let v_hat = corrected(g, v, 0.999);
        // The oracle's second moments may be negative here.
        let v_hat = g.abs(v_hat);
        let root = g.sqrt(v_hat);
        let eps = g.constant_like(1e-3, root);
        let root = g.add(root, eps);
        let change = g.div(m_hat, root);
        let change = g.scale(change, 1e-3);
        let new = g.sub(w, change);
        b.updates.extend([(slot, new), (m_slot, m), (v_slot, v)]);
    }
}

fn dropout(b: &mut Bench, x: NodeId, seed: NodeId, stream: u32, keep: f64) -> NodeId {
    let shape = b.g.shape(x).to_vec();
    let u = b.g.uniform(seed, stream, &shape);
    let keep_all = b.g.constant_like(keep, u);
    let kept = b.g.less(u, keep_all);
    let scaled = b.g.scale(x, 1.0 / keep);
    let zero = b.g.constant_like(0.0, x);
    b.g.select(kept, scaled, zero)
}

/// The network of `models/mnist_cnn.nn` with other sizes.
fn cnn(batch: usize, side: usize, channels: [usize; 2], hidden: usize, classes: usize) -> Step {
    let mut b = Bench::new();
    let [c1, c2] = channels;
    let x = b.input(Type::f32([batch, 1, side, side]));
    let label = b.input(Type {
        dtype: DType::I32,
        shape: vec![batch],
    });
    let seed = b.input(Type {
        dtype: DType::I32,
        shape: vec![],
    });
    let features = c2 * (side / 2) * (side / 2);
    let shapes: [&[usize]; 8] = [
        &[c1, 1, 3, 3],
        &[c1],
        &[c2, c1, 3, 3],
        &[c2],
        &[features, hidden],
        &[hidden],
        &[hidden, classes],
        &[classes],
    ];
    let weights: Vec<(SlotId, NodeId)> = shapes.iter().map(|shape| b.slot(shape)).collect();
    let w: Vec<NodeId> = weights.iter().map(|&(_, id)| id).collect();
    let mut y = x;
    for layer in 0..2 {
        y = conv(&mut b.g, y, w[2 * layer]);
        y = add_bias(&mut b.g, y, w[2 * layer + 1], 1);
        y = relu(&mut b.g, y);
    }
    y = pool(&mut b.g, y);
    y = dropout(&mut b, y, seed, 0, 0.75);
    y = b.g.reshape(y, &[batch, features]);
    y = matmul(&mut b.g, y, w[4]);
    y = add_bias(&mut b.g, y, w[5], 1);
    y = relu(&mut b.g, y);
    y = dropout(&mut b, y, seed, 1, 0.5);
    y = matmul(&mut b.g, y, w[6]);
    y = add_bias(&mut b.g, y, w[7], 1);
    let loss = cross_entropy(&mut b.g, y, label);
    b.output(loss);
    adam(&mut b, loss, &weights);
    differentiate(&b.step())
}

#[test]
fn a_training_step_of_mnist_cnn() {
    let kernels = check(&cnn(2, 4, [3, 4], 5, 3));
    std::fs::write("/tmp/kernels.txt", kernels.to_string()).unwrap();
    let step = crate::simplify::simplify(&cnn(64, 28, [32, 64], 128, 10));
    let large = fuse(&step);
    std::fs::write("/tmp/large.txt", large.to_string()).unwrap();
    let slots: Vec<crate::graph::Slot> = (0..24).map(|i| crate::graph::Slot {
        path: format!("s{i}"),
        ty: large.buffers.iter().find(|b| b.role == Role::Slot(SlotId(i))).map(|b| Type::f32(b.extents.clone())).unwrap(),
        kind: crate::graph::SlotKind::Param,
    }).collect();
    let schedule = crate::schedule::schedule(large, &crate::schedule::slot_table(&slots), &crate::target::Target::host());
    std::fs::write("/tmp/schedule.txt", schedule.to_string()).unwrap();
}

/// Whatever the builder accepts, with gradients: the kernels compute what the graph does.
#[test]
fn random_graphs_are_cut_right() {
    for seed in 0..400 {
        let (step, inputs) = random_step(seed, 4 + seed as usize % 20);
        let step = differentiate(&step);
        check_with(&step, &inputs);
        check_with(&simplify(&step), &inputs);
    }
}
