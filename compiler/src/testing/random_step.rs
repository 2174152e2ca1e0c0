//! Random graphs: whatever the builder accepts, with numbers that stay in bounds.

use super::Numbers;
use crate::graph::{
    Contract, DType, GraphBuilder, Input, InputId, InputKind, NodeId, Phase, Step, Type, View,
    verify,
};
use crate::index::IndexExpr;
use crate::ops::Tensor;

/// A step of some `size` operations, with values for its inputs: tensors and, last, a seed.
/// Outputs are a loss and its gradients by the tensors.
pub fn random_step(seed: u64, size: usize) -> (Step, Vec<Tensor>) {
    let mut numbers = Numbers(seed);
    let shapes: Vec<Vec<usize>> = (0..3)
        .map(|_| {
            let rank = 1 + numbers.below(3);
            numbers.shape(rank)
        })
        .collect();
    let mut values: Vec<Tensor> = shapes
        .iter()
        .map(|shape| numbers.f32(shape, -1.5, 1.5))
        .collect();
    values.push(numbers.typed(DType::I32, &[]));
    let mut g = GraphBuilder::new();
    let inputs: Vec<NodeId> = values
        .iter()
        .enumerate()
        .map(|(i, x)| g.input(InputId(i as u32), x.ty.clone()))
        .collect();
    let tensors = inputs[..3].to_vec();
    let mut random = RandomGraph {
        g,
        numbers,
        reals: tensors.clone(),
        seed: inputs[3],
    };
    for _ in 0..size {
        random.grow();
    }
    if seed.is_multiple_of(4) {
        random.softmax();
    }
    if seed.is_multiple_of(3) {
        random.rows();
    }
    let loss = random.loss();
    let mut g = random.g;
    let mut outputs = vec![("loss".to_string(), loss)];
    for (i, &x) in tensors.iter().enumerate() {
        outputs.push((format!("gradient_{i}"), g.grad(loss, x)));
    }
    let inputs = values.iter().enumerate().map(|(i, x)| Input {
        kind: InputKind::Field(format!("x{i}")),
        ty: x.ty.clone(),
    });
    let step = Step {
        phase: Phase::Train,
        inputs: inputs.collect(),
        graph: g.finish(),
        outputs,
        updates: Vec::new(),
    };
    verify(&step, "random_step");
    (step, values)
}

struct RandomGraph {
    g: GraphBuilder,
    numbers: Numbers,
    reals: Vec<NodeId>,
    seed: NodeId,
}

impl RandomGraph {
    fn grow(&mut self) {
        // Recent nodes more often, so that chains grow.
        let n = self.reals.len();
        let back = self.numbers.below(n).min(self.numbers.below(n));
        let x = self.reals[n - 1 - back];
        let y = match self.numbers.below(14) {
            0 | 1 => self.unary(x),
            2..=4 => self.binary(x),
            5 => self.choice(x),
            6 | 7 => self.view(x),
            8 => self.reshape(x),
            9 => self.reduction(x),
            10 => self.norm(x),
            _ => self.product(x),
        };
        if self.g.ty(y).elements() <= 400 {
            self.reals.push(y);
        }
    }

    fn unary(&mut self, x: NodeId) -> NodeId {
        let g = &mut self.g;
        match self.numbers.below(8) {
            0 => g.neg(x),
            1 => g.abs(x),
            2 => {
                let x = g.tanh(x);
                g.exp(x)
            }
            3 => g.sin(x),
            4 => g.tanh(x),
            5 => {
                let square = g.mul(x, x);
                let one = g.constant_like(1.0, x);
                let sum = g.add(square, one);
                g.sqrt(sum)
            }
            6 => g.stop_gradient(x),
            _ => g.erf(x),
        }
    }

    fn binary(&mut self, x: NodeId) -> NodeId {
        let y = self.partner(x);
        let swap = self.numbers.below(2) == 0;
        let (a, b) = if swap { (y, x) } else { (x, y) };
        let g = &mut self.g;
        match self.numbers.below(7) {
            0 => g.add(a, b),
            1 => g.sub(a, b),
            2 | 3 => g.mul(a, b),
            4 => {
                let size = g.abs(b);
                let one = g.constant_like(1.0, b);
                let divisor = g.add(size, one);
                g.div(a, divisor)
            }
            5 => g.max(a, b),
            _ => {
                let exponent = self.numbers.below(4) as f64;
                let exponent = self.g.constant_like(exponent, a);
                let bounded = self.g.tanh(a);
                self.g.pow(bounded, exponent)
            }
        }
    }

    /// Something of the same shape: another node, a number, random numbers, a broadcast.
    fn partner(&mut self, x: NodeId) -> NodeId {
        let shape = self.g.shape(x).to_vec();
        match self.numbers.below(4) {
            0 => {
                let value = [0.0, 1.0, -1.0, 0.5, 2.0, -0.75][self.numbers.below(6)];
                self.g.constant_like(value, x)
            }
            1 => {
                let stream = self.numbers.below(100) as u32;
                self.g.uniform(self.seed, stream, &shape)
            }
            2 => self.broadcast_to(&shape).unwrap_or(x),
            _ => {
                let same = |y: &&NodeId| self.g.shape(**y) == shape;
                self.reals.iter().rev().find(same).copied().unwrap_or(x)
            }
        }
    }

    /// A node repeated so as to have the shape, or a sum of one.
    fn broadcast_to(&mut self, shape: &[usize]) -> Option<NodeId> {
        for &x in self.reals.iter().rev() {
            let small = self.g.shape(x).to_vec();
            let mut axes = Vec::new();
            for size in &small {
                let from = axes.last().map_or(0, |last| last + 1);
                let axis = (from..shape.len()).find(|&axis| shape[axis] == *size);
                axes.extend(axis);
            }
            if axes.len() == small.len() && small.len() < shape.len() {
                return Some(self.g.broadcast(x, shape, &axes));
            }
        }
        None
    }

    fn choice(&mut self, x: NodeId) -> NodeId {
        let (y, limit) = (self.partner(x), self.partner(x));
        // Off the grid, so that no two sides are equal but for rounding.
        let offset = self.g.constant_like(0.123_456_7, x);
        let limit = self.g.add(limit, offset);
        let mask = self.g.less(x, limit);
        match self.numbers.below(4) {
            0 => {
                let ones = self.g.cast(mask, DType::F32);
                self.g.mul(x, ones)
            }
            2 => {
                let inner = self.g.select(mask, x, y);
                self.g.select(mask, inner, limit)
            }
            1 => {
                let mask = self.g.not(mask);
                self.g.select(mask, x, y)
            }
            _ => self.g.select(mask, x, y),
        }
    }

    fn view(&mut self, x: NodeId) -> NodeId {
        let view = self.numbers.view(self.g.shape(x));
        self.g.view(x, view)
    }

    fn reshape(&mut self, x: NodeId) -> NodeId {
        let count = self.g.ty(x).elements();
        let shape = self.numbers.shape_of(count);
        self.g.reshape(x, &shape)
    }

    fn reduction(&mut self, x: NodeId) -> NodeId {
        let rank = self.g.shape(x).len();
        let axes: Vec<usize> = (0..rank).filter(|_| self.numbers.below(2) == 0).collect();
        let y = match self.numbers.below(3) {
            0 => self.g.max_over(x, &axes),
            _ => self.g.sum(x, &axes),
        };
        self.g.tanh(y)
    }

    /// What is left of x without its mean over some axes, in units of its spread.
    fn norm(&mut self, x: NodeId) -> NodeId {
        let rank = self.g.shape(x).len();
        let axes: Vec<usize> = (0..rank).filter(|_| self.numbers.below(2) == 0).collect();
        super::nets::normalized(&mut self.g, x, &axes, 1.0)
    }

    /// A product over an axis that two nodes share in size, or a convolution along one.
    fn product(&mut self, x: NodeId) -> NodeId {
        let shape = self.g.shape(x).to_vec();
        if shape.is_empty() {
            return x;
        }
        let axis = self.numbers.below(shape.len());
        let convolves = self.numbers.below(3) == 0;
        let candidates = self.reals.iter().rev().find_map(|&w| {
            let w_shape = self.g.shape(w);
            let shared = w_shape
                .iter()
                .position(|&size| convolves || size == shape[axis]);
            shared.map(|shared| (w, shared))
        });
        let Some((w, shared)) = candidates else {
            return x;
        };
        let w_shape = self.g.shape(w).to_vec();
        // Result: the axes of x (one of them gone or slid over), then the others of w.
        let kept: Vec<usize> = (0..shape.len())
            .filter(|&a| convolves || a != axis)
            .collect();
        let others: Vec<usize> = (0..w_shape.len()).filter(|&a| a != shared).collect();
        let rank = kept.len() + others.len();
        let mut dims: Vec<usize> = kept.iter().map(|&a| shape[a]).collect();
        dims.extend(others.iter().map(|&a| w_shape[a]));
        dims.push(w_shape[shared]);
        let mut a = vec![IndexExpr::dim(rank); shape.len()];
        for (position, &axis) in kept.iter().enumerate() {
            a[axis] = IndexExpr::dim(position);
        }
        if convolves {
            let stride = 1 + self.numbers.below(2);
            dims[axis] = shape[axis].div_ceil(stride);
            a[axis] = IndexExpr::affine([(axis, stride as i64), (rank, 1)], -1);
        }
        let mut b = vec![IndexExpr::dim(rank); w_shape.len()];
        for (position, &axis) in others.iter().enumerate() {
            b[axis] = IndexExpr::dim(kept.len() + position);
        }
        let y = match self.numbers.below(4) {
            0 if !convolves => self.spelled_out(x, w, (&dims, rank), [&a, &b]),
            1 => {
                let scaled = self.g.scale(x, -0.5);
                self.g.contract(scaled, w, Contract { dims, rank, a, b })
            }
            _ => self.g.contract(x, w, Contract { dims, rank, a, b }),
        };
        let mut order: Vec<usize> = (0..rank).collect();
        order.rotate_left(self.numbers.below(rank.max(1)));
        let y = self.g.transpose(y, &order);
        self.g.tanh(y)
    }

    /// The same product as a sum of a pointwise one.
    fn spelled_out(
        &mut self,
        x: NodeId,
        w: NodeId,
        (dims, rank): (&[usize], usize),
        maps: [&[IndexExpr]; 2],
    ) -> NodeId {
        let [x, w] = [(x, maps[0]), (w, maps[1])].map(|(x, map)| {
            let view = View::new(dims.to_vec(), map.to_vec(), 0.0, self.g.shape(x));
            self.g.view(x, view)
        });
        let product = self.g.mul(x, w);
        let summed: Vec<usize> = (rank..dims.len()).collect();
        self.g.sum(product, &summed)
    }

    /// Parts of the whole along the last axis.
    fn softmax(&mut self) {
        let Some(&x) = self.reals.last() else { return };
        let shape = self.g.shape(x).to_vec();
        let Some((_, rows)) = shape.split_last() else {
            return;
        };
        let rows: Vec<usize> = (0..rows.len()).collect();
        let x = self.g.tanh(x);
        let e = self.g.exp(x);
        let sum = self.g.sum(e, &[shape.len() - 1]);
        let sum = self.g.broadcast(sum, &shape, &rows);
        let y = self.g.div(e, sum);
        self.reals.push(y);
    }

    /// Rows of the last node, read by random numbers, and added up by them again or not.
    fn rows(&mut self) {
        let Some(&x) = self.reals.last() else { return };
        let shape = self.g.shape(x).to_vec();
        let Some(last) = shape.len().checked_sub(1) else {
            return;
        };
        let axis = self.numbers.below(last + 1);
        let shared = self.numbers.below(axis + 1);
        let numbers = [&shape[..shared], &[1 + self.numbers.below(5)]].concat();
        // Some of them name no row: casts go towards zero, so from -1 to one too many.
        let places = self.g.uniform(self.seed, 2000, &numbers);
        let places = self.g.scale(places, shape[axis] as f64 + 3.0);
        let two = self.g.constant_like(2.0, places);
        let places = self.g.sub(places, two);
        let at = self.g.cast(places, DType::I32);
        let rows = self.g.gather(x, at, (axis, shared));
        let rows = self.g.tanh(rows);
        if self.numbers.below(2) == 0 {
            return self.reals.push(rows);
        }
        let sums = self.g.scatter(rows, at, (axis, shared), shape[axis]);
        let of_all: Vec<usize> = (0..self.numbers.below(shared + 1)).collect();
        self.reals.push(self.g.sum(sums, &of_all));
    }

    /// The sum of the last nodes, each summed up with weights.
    fn loss(&mut self) -> NodeId {
        let mut loss = self.g.scalar(0.0);
        let last: Vec<NodeId> = self.reals.iter().rev().take(4).copied().collect();
        for (i, x) in last.into_iter().enumerate() {
            let ty: Type = self.g.ty(x).clone();
            let weights = self.g.uniform(self.seed, 1000 + i as u32, &ty.shape);
            let weighted = self.g.mul(x, weights);
            let axes: Vec<usize> = (0..ty.shape.len()).collect();
            let sum = self.g.sum(weighted, &axes);
            loss = self.g.add(loss, sum);
        }
        loss
    }
}
