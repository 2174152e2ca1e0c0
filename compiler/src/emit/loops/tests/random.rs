//! Random kernels: extents around the width of vectors, strides, offsets, guards,
//! divisions, borders, any order of axes in memory, several stages.

use super::{Case, placed};
use crate::graph::DType;
use crate::index::{Dim, IndexExpr};
use crate::nest::{BinaryOp, BufferId, Combine, Scalar, ScalarId, ScalarPool, Stage, UnaryOp};
use crate::schedule::{Layout, PlacedBuffer};
use proptest::prelude::*;
use proptest::test_runner::{RngAlgorithm, TestRng};

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..Default::default() })]

    #[test]
    fn compiled_as_interpreted(seed in any::<u64>()) {
        Draw::new(seed).case().check();
    }
}

/// Draws the parts of a kernel.
struct Draw {
    rng: TestRng,
    dims: Vec<usize>,
    outer: usize,
    pool: ScalarPool,
    buffers: Vec<PlacedBuffer>,
}

impl Draw {
    fn new(seed: u64) -> Draw {
        let bytes = [seed.to_le_bytes(); 4].concat();
        Draw {
            rng: TestRng::from_seed(RngAlgorithm::ChaCha, &bytes),
            dims: Vec::new(),
            outer: 0,
            pool: ScalarPool::default(),
            buffers: Vec::new(),
        }
    }

    fn below(&mut self, end: usize) -> usize {
        self.rng.random_range(0..end)
    }

    fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    fn extent(&mut self) -> usize {
        [1, 2, 3, 4, 5, 7, 8, 9, 13, 16, 18][self.below(11)]
    }

    fn case(mut self) -> Case {
        self.outer = self.below(4);
        for _ in 0..self.outer {
            let extent = self.extent();
            self.dims.push(extent);
        }
        let mut stages = Vec::new();
        let mut known = Vec::new();
        for _ in 0..self.below(3) {
            let over = self.inner_loops();
            let value = self.expression(&over, &known, 4);
            let value = self.small_integer(value);
            let combine = [Combine::Sum, Combine::Max, Combine::Min][self.below(3)];
            known.push(self.pool.add(Scalar::Reduced(stages.len())));
            stages.push(Stage::Reduce {
                over,
                combine,
                value,
            });
        }
        for _ in 0..1 + self.below(2) {
            let over = if self.chance(30) {
                self.inner_loops()
            } else {
                Vec::new()
            };
            let value = self.expression(&over, &known, 6);
            let (buffer, at) = self.place_to_store(&over);
            stages.push(Stage::Store {
                over,
                buffer,
                at,
                value,
            });
        }
        Case::new(&self.dims, self.outer, self.pool, stages, self.buffers)
    }

    fn inner_loops(&mut self) -> Vec<Dim> {
        (0..1 + self.below(2))
            .map(|_| {
                let extent = self.extent();
                self.dims.push(extent);
                self.dims.len() - 1
            })
            .collect()
    }

    /// An f32 of loads and what was reduced before.
    fn expression(&mut self, over: &[Dim], known: &[ScalarId], size: usize) -> ScalarId {
        let mut numbers = known.to_vec();
        numbers.push(self.pool.f32(1.5));
        for _ in 0..1 + self.below(3) {
            numbers.push(self.load(over));
        }
        if self.chance(30) {
            let at = self.index(over);
            let index = self.pool.add(Scalar::Index(at));
            numbers.push(self.pool.unary(UnaryOp::ToF32, index));
        }
        for _ in 0..size {
            let next = self.operator(&numbers);
            numbers.push(next);
        }
        numbers[numbers.len() - 1]
    }

    fn operator(&mut self, numbers: &[ScalarId]) -> ScalarId {
        let [a, b, c] = std::array::from_fn(|_| numbers[self.below(numbers.len())]);
        let pool = &mut self.pool;
        match self.rng.random_range(0..14) {
            0 => pool.binary(BinaryOp::Add, a, b),
            1 => pool.binary(BinaryOp::Sub, a, b),
            2 => pool.binary(BinaryOp::Mul, a, b),
            3 => pool.binary(BinaryOp::Div, a, b),
            4 => pool.binary(BinaryOp::Max, a, b),
            5 => pool.binary(BinaryOp::Min, a, b),
            6 => pool.add(Scalar::Fma(a, b, c)),
            7 => {
                let less = pool.binary(BinaryOp::Less, a, b);
                pool.add(Scalar::Select(less, b, c))
            }
            8 => {
                let [less, equal] =
                    [BinaryOp::LessEq, BinaryOp::Equal].map(|op| pool.binary(op, a, c));
                let not = pool.unary(UnaryOp::Not, equal);
                let both = pool.binary(BinaryOp::And, less, not);
                pool.unary(UnaryOp::MaskToF32, both)
            }
            9 => pool.unary(UnaryOp::Neg, a),
            10 => pool.unary(UnaryOp::Abs, a),
            11 => pool.unary(UnaryOp::Nearest, a),
            12 => {
                let integer = pool.unary(UnaryOp::ToI32, a);
                let factor = pool.i32(3);
                let product = pool.binary(BinaryOp::Mul, integer, factor);
                pool.unary(UnaryOp::ToF32, product)
            }
            _ => pool.unary(UnaryOp::Floor, a),
        }
    }

    /// Sums of these are exact in any order, and zeros have one sign.
    fn small_integer(&mut self, value: ScalarId) -> ScalarId {
        let (low, high) = (self.pool.f32(-8.0), self.pool.f32(8.0));
        let value = self.pool.binary(BinaryOp::Max, value, low);
        let value = self.pool.binary(BinaryOp::Min, value, high);
        let value = self.pool.unary(UnaryOp::Floor, value);
        let zero = self.pool.f32(0.0);
        self.pool.binary(BinaryOp::Add, value, zero)
    }

    /// An index expression in a few of the loops that are open.
    fn index(&mut self, over: &[Dim]) -> IndexExpr {
        let open: Vec<Dim> = (0..self.outer).chain(over.iter().copied()).collect();
        let mut terms = Vec::new();
        for &dim in &open {
            if self.chance(45) {
                terms.push((dim, [1, 1, 1, 2, 3, -1][self.below(6)]));
            }
        }
        let offset = self.below(4) as i64 - 1;
        IndexExpr::affine(terms, offset)
    }

    /// A read, guarded or surely inside.
    fn load(&mut self, over: &[Dim]) -> ScalarId {
        let guarded = self.chance(40);
        let mut at = Vec::new();
        let mut extents = Vec::new();
        for _ in 0..self.below(4) {
            let mut expr = self.index(over);
            let (low, high) = expr.numerator_range(&self.dims);
            if guarded {
                if self.chance(25) {
                    expr.divisor = 2 + self.below(2) as i64;
                }
                extents.push(1 + self.below(high.max(1) as usize + 2));
            } else {
                expr.offset -= low;
                extents.push((high - low + 1) as usize + self.below(3));
            }
            at.push(expr);
        }
        let fill = guarded.then(|| [0.0, 3.0][self.below(2)]);
        let buffer = self.buffer(extents);
        self.pool.add(Scalar::Load { buffer, at, fill })
    }

    /// Each open loop is an axis, in any order; some axes are strided.
    fn place_to_store(&mut self, over: &[Dim]) -> (BufferId, Vec<IndexExpr>) {
        let mut open: Vec<Dim> = (0..self.outer).chain(over.iter().copied()).collect();
        for i in (1..open.len()).rev() {
            let other = self.below(i + 1);
            open.swap(i, other);
        }
        let mut at = Vec::new();
        let mut extents = Vec::new();
        for dim in open {
            let step = if self.chance(15) { 2 } else { 1 };
            let offset = self.below(2) as i64;
            let expr = IndexExpr::affine([(dim, step)], offset);
            extents.push(expr.numerator_range(&self.dims).1 as usize + 1);
            at.push(expr);
        }
        (self.buffer(extents), at)
    }

    fn buffer(&mut self, extents: Vec<usize>) -> BufferId {
        let rank = extents.len();
        let mut order: Vec<usize> = (0..rank).collect();
        let mut border = vec![(0, 0); rank];
        if self.chance(50) {
            order.rotate_left(usize::from(rank > 1));
        }
        for border in &mut border {
            if self.chance(25) {
                *border = (self.below(3), self.below(3));
            }
        }
        let layout = Layout::new(extents, order, border);
        self.buffers.push(placed(DType::F32, layout));
        BufferId(self.buffers.len() as u32 - 1)
    }
}
