//! Small networks by hand, as elaboration would build them.

use crate::differentiate::differentiate;
use crate::graph::{
    Contract, DType, GraphBuilder, Input, InputId, InputKind, NodeId, Phase, SlotId, Step, Type,
    View,
};
use crate::index::IndexExpr;

/// A step under construction.
pub struct Bench {
    pub g: GraphBuilder,
    inputs: Vec<Input>,
    slots: u32,
    outputs: Vec<(String, NodeId)>,
    updates: Vec<(SlotId, NodeId)>,
}

impl Bench {
    pub fn new() -> Bench {
        Bench {
            g: GraphBuilder::new(),
            inputs: Vec::new(),
            slots: 0,
            outputs: Vec::new(),
            updates: Vec::new(),
        }
    }

    pub fn input(&mut self, ty: Type) -> NodeId {
        let id = InputId(self.inputs.len() as u32);
        self.inputs.push(Input {
            kind: InputKind::Field(format!("x{}", id.0)),
            ty: ty.clone(),
        });
        self.g.input(id, ty)
    }

    pub fn slot(&mut self, shape: &[usize]) -> (SlotId, NodeId) {
        let id = SlotId(self.slots);
        self.slots += 1;
        (id, self.g.slot(id, Type::f32(shape)))
    }

    pub fn output(&mut self, id: NodeId) {
        let name = format!("y{}", self.outputs.len());
        self.outputs.push((name, id));
    }

    pub fn step(self) -> Step {
        Step {
            phase: Phase::Train,
            graph: self.g.finish(),
            inputs: self.inputs,
            outputs: self.outputs,
            updates: self.updates,
        }
    }
}

/// `x @ w`, x: [n, k], w: [k, m].
pub fn matmul(g: &mut GraphBuilder, x: NodeId, w: NodeId) -> NodeId {
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
pub fn conv(g: &mut GraphBuilder, x: NodeId, f: NodeId) -> NodeId {
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
pub fn pool(g: &mut GraphBuilder, x: NodeId) -> NodeId {
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

pub fn relu(g: &mut GraphBuilder, x: NodeId) -> NodeId {
    let zero = g.constant_like(0.0, x);
    g.max(x, zero)
}

/// Adds `b` along an axis.
pub fn add_bias(g: &mut GraphBuilder, x: NodeId, b: NodeId, axis: usize) -> NodeId {
    let shape = g.shape(x).to_vec();
    let b = g.broadcast(b, &shape, &[axis]);
    g.add(x, b)
}

/// `(x - mean) / sqrt(variance + eps)` over some axes.
pub fn normalized(g: &mut GraphBuilder, x: NodeId, axes: &[usize], eps: f64) -> NodeId {
    let shape = g.shape(x).to_vec();
    let points: usize = axes.iter().map(|&axis| shape[axis]).product();
    let kept: Vec<usize> = (0..shape.len()).filter(|a| !axes.contains(a)).collect();
    let sum = g.sum(x, axes);
    let mean = g.scale(sum, 1.0 / points as f64);
    let mean = g.broadcast(mean, &shape, &kept);
    let distance = g.sub(x, mean);
    let square = g.mul(distance, distance);
    let squares = g.sum(square, axes);
    let variance = g.scale(squares, 1.0 / points as f64);
    let eps = g.constant_like(eps, variance);
    let variance = g.add(variance, eps);
    let spread = g.sqrt(variance);
    let one = g.constant_like(1.0, spread);
    let inverse = g.div(one, spread);
    let inverse = g.broadcast(inverse, &shape, &kept);
    g.mul(distance, inverse)
}

/// The mean over the batch of the cross-entropy of logits [n, k] and classes [n].
pub fn cross_entropy(g: &mut GraphBuilder, logits: NodeId, label: NodeId) -> NodeId {
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
pub fn cnn(batch: usize, side: usize, channels: [usize; 2], hidden: usize, classes: usize) -> Step {
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

/// Equal dense layers one after the other, trained.
pub fn deep(layers: usize) -> Step {
    const WIDTH: usize = 16;
    let mut b = Bench::new();
    let x = b.input(Type::f32([8, WIDTH]));
    let label = b.input(Type {
        dtype: DType::I32,
        shape: vec![8],
    });
    let mut weights = Vec::new();
    let mut y = x;
    for _ in 0..layers {
        let (w, bias) = (b.slot(&[WIDTH, WIDTH]), b.slot(&[WIDTH]));
        y = matmul(&mut b.g, y, w.1);
        y = add_bias(&mut b.g, y, bias.1, 1);
        y = relu(&mut b.g, y);
        weights.extend([w, bias]);
    }
    let loss = cross_entropy(&mut b.g, y, label);
    b.output(loss);
    adam(&mut b, loss, &weights);
    differentiate(&b.step())
}
