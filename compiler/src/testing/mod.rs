//! Random numbers, tensors and graphs for tests.

pub mod nets;
mod random_step;
mod scans;
mod steps;
mod random_view;

pub use random_step::random_step;
pub use scans::{recurrences, unrolled};
pub use steps::{elements, expected, values_for};

use crate::graph::{
    DType, GraphBuilder, Input, InputId, InputKind, NodeId, Phase, Step, Type, verify,
};
use crate::ops::Tensor;

/// Numbers for tests.
pub struct Numbers(pub u64);

impl Numbers {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// In 0..n.
    pub fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }

    pub fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    pub fn shape(&mut self, rank: usize) -> Vec<usize> {
        (0..rank).map(|_| 1 + self.below(4)).collect()
    }

    /// A random shape of so many elements.
    pub fn shape_of(&mut self, count: usize) -> Vec<usize> {
        let mut left = count;
        let mut shape = Vec::new();
        while left > 1 {
            let divisors: Vec<usize> = (2..=left).filter(|&d| left.is_multiple_of(d)).collect();
            let size = divisors[self.below(divisors.len())];
            shape.push(size);
            left /= size;
        }
        if self.below(4) == 0 {
            shape.insert(self.below(shape.len() + 1), 1);
        }
        shape
    }

    /// The shape with some neighbouring axes made one.
    pub fn merge_of(&mut self, shape: &[usize]) -> Vec<usize> {
        let mut merged: Vec<usize> = Vec::new();
        for &size in shape {
            match merged.last_mut() {
                Some(last) if *last > 1 && size > 1 && self.below(2) == 0 => *last *= size,
                _ => merged.push(size),
            }
        }
        merged
    }

    pub fn f32(&mut self, shape: &[usize], low: f64, high: f64) -> Tensor {
        Tensor::from_fn(&Type::f32(shape), |_| self.between(low, high))
    }

    /// Multiples of 1/16 off by 1/32, no two the same: away from each other and from 0.
    pub fn apart(&mut self, shape: &[usize]) -> Tensor {
        let ty = Type::f32(shape);
        let count = ty.elements();
        let mut order: Vec<usize> = (0..count).collect();
        for i in (1..count).rev() {
            order.swap(i, self.below(i + 1));
        }
        let middle = (count / 2) as f64;
        let elements = order
            .iter()
            .map(|&i| (i as f64 - middle) / 16.0 + 1.0 / 32.0);
        Tensor {
            elements: elements.collect(),
            ty,
        }
    }

    pub fn typed(&mut self, dtype: DType, shape: &[usize]) -> Tensor {
        let ty = Type {
            dtype,
            shape: shape.to_vec(),
        };
        Tensor::from_fn(&ty, |_| match dtype {
            DType::F32 => self.between(-2.0, 2.0),
            DType::I32 => self.below(7) as f64 - 3.0,
            DType::Bool => self.below(2) as f64,
        })
    }
}

/// A step that reads its tensors as inputs.
pub fn step_of(
    inputs: &[Type],
    build: impl FnOnce(&mut GraphBuilder, &[NodeId]) -> Vec<(String, NodeId)>,
) -> Step {
    let mut g = GraphBuilder::new();
    let x: Vec<NodeId> = inputs
        .iter()
        .enumerate()
        .map(|(i, ty)| g.input(InputId(i as u32), ty.clone()))
        .collect();
    let outputs = build(&mut g, &x);
    let inputs = inputs.iter().enumerate().map(|(i, ty)| Input {
        kind: InputKind::Field(format!("x{i}")),
        ty: ty.clone(),
    });
    let step = Step {
        phase: Phase::Train,
        graph: g.finish(),
        inputs: inputs.collect(),
        outputs,
        updates: Vec::new(),
    };
    verify(&step, "the test");
    step
}
