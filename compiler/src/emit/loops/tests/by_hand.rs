//! Kernels as networks have them.

use super::{Case, f32s, placed};
use crate::graph::DType;
use crate::index::IndexExpr;
use crate::nest::{BinaryOp, BufferId, Combine, Scalar, ScalarId, ScalarPool, Stage, UnaryOp};
use crate::schedule::Layout;

const X: BufferId = BufferId(0);
const Y: BufferId = BufferId(1);
const Z: BufferId = BufferId(2);

fn dims(dims: &[usize]) -> Vec<IndexExpr> {
    dims.iter().map(|&dim| IndexExpr::dim(dim)).collect()
}

fn load(
    pool: &mut ScalarPool,
    buffer: BufferId,
    at: Vec<IndexExpr>,
    fill: Option<f32>,
) -> ScalarId {
    pool.add(Scalar::Load { buffer, at, fill })
}

fn store(over: &[usize], buffer: BufferId, at: Vec<IndexExpr>, value: ScalarId) -> Stage {
    Stage::Store {
        over: over.to_vec(),
        buffer,
        at,
        value,
    }
}

fn reduce(over: &[usize], combine: Combine, value: ScalarId) -> Stage {
    Stage::Reduce {
        over: over.to_vec(),
        combine,
        value,
    }
}

/// Activations `[b, c, h, w]` that lie as NHWC with a border around h and w.
fn nhwc(extents: &[usize; 4], border: usize) -> Layout {
    let around = (border, border);
    Layout::new(
        extents.to_vec(),
        vec![0, 2, 3, 1],
        vec![(0, 0), (0, 0), around, around],
    )
}

#[test]
fn relu_from_one_layout_to_another() {
    for extents in [[2, 8, 3, 5], [1, 1, 7, 9], [3, 5, 1, 1]] {
        let mut pool = ScalarPool::default();
        let x = load(&mut pool, X, dims(&[0, 1, 2, 3]), None);
        let zero = pool.f32(0.0);
        let relu = pool.binary(BinaryOp::Max, x, zero);
        let stages = vec![store(&[], Y, dims(&[0, 1, 2, 3]), relu)];
        let buffers = vec![f32s(&extents), placed(DType::F32, nhwc(&extents, 1))];
        Case::new(&extents, 4, pool, stages, buffers).check();
    }
}

#[test]
fn bias_gradient_over_the_outer_axes() {
    for channels in [1, 3, 4, 10, 32, 50] {
        let extents = [2, channels, 3, 4];
        let mut pool = ScalarPool::default();
        let dy = load(&mut pool, X, dims(&[1, 0, 2, 3]), None);
        let sum = pool.add(Scalar::Reduced(0));
        let stages = vec![
            reduce(&[1, 2, 3], Combine::Sum, dy),
            store(&[], Y, dims(&[0]), sum),
        ];
        for layout in [nhwc(&extents, 1), Layout::row_major(extents.to_vec())] {
            let buffers = vec![placed(DType::F32, layout), f32s(&[channels])];
            let case = Case::new(
                &[channels, 2, 3, 4],
                1,
                pool.clone(),
                stages.clone(),
                buffers,
            );
            case.check();
        }
    }
}

#[test]
fn total_of_everything() {
    for n in [1, 2, 4, 7, 64, 65, 83] {
        let mut pool = ScalarPool::default();
        let x = load(&mut pool, X, dims(&[0, 1]), None);
        let square = pool.binary(BinaryOp::Mul, x, x);
        let sum = pool.add(Scalar::Reduced(0));
        let stages = vec![
            reduce(&[0, 1], Combine::Sum, square),
            store(&[], Y, vec![], sum),
        ];
        Case::new(&[3, n], 0, pool, stages, vec![f32s(&[3, n]), f32s(&[])]).check();
    }
}

/// A softmax without its exponential: maximum, sum of the differences, their ratio.
#[test]
fn rows_in_three_stages() {
    for n in [1, 3, 4, 10, 33, 128] {
        let mut pool = ScalarPool::default();
        let x = load(&mut pool, X, dims(&[0, 1]), None);
        let max = pool.add(Scalar::Reduced(0));
        let below = pool.binary(BinaryOp::Sub, x, max);
        let sum = pool.add(Scalar::Reduced(1));
        let x = load(&mut pool, X, dims(&[0, 2]), None);
        let difference = pool.binary(BinaryOp::Sub, x, max);
        let ratio = pool.binary(BinaryOp::Div, difference, sum);
        let stages = vec![
            reduce(
                &[1],
                Combine::Max,
                pool.add(Scalar::Load {
                    buffer: X,
                    at: dims(&[0, 1]),
                    fill: None,
                }),
            ),
            reduce(&[1], Combine::Sum, below),
            store(&[2], Y, dims(&[0, 2]), ratio),
        ];
        Case::new(
            &[5, n, n],
            1,
            pool,
            stages,
            vec![f32s(&[5, n]), f32s(&[5, n])],
        )
        .check();
    }
}

#[test]
fn max_pool_and_its_gradient() {
    let (x, y) = ([2, 6, 8, 8], [2, 6, 4, 4]);
    let window = |h, p| IndexExpr::affine([(h, 2), (p, 1)], 0);
    let mut pool = ScalarPool::default();
    let at = vec![
        IndexExpr::dim(0),
        IndexExpr::dim(1),
        window(2, 4),
        window(3, 5),
    ];
    let value = load(&mut pool, X, at, None);
    let max = pool.add(Scalar::Reduced(0));
    let stages = vec![
        reduce(&[4, 5], Combine::Max, value),
        store(&[], Y, dims(&[0, 1, 2, 3]), max),
    ];
    let dims_of = [2, 6, 4, 4, 2, 2];
    for layout in [nhwc(&x, 1), Layout::row_major(x.to_vec())] {
        let buffers = vec![placed(DType::F32, layout), placed(DType::F32, nhwc(&y, 0))];
        Case::new(&dims_of, 4, pool.clone(), stages.clone(), buffers).check();
    }

    // dx[h] = sum over p of y[(h - p) / 2] where x[h] == y[(h - p) / 2]
    let half = |h, p| {
        let mut expr = IndexExpr::affine([(h, 1), (p, -1)], 0);
        expr.divisor = 2;
        expr
    };
    let mut pool = ScalarPool::default();
    let at = vec![IndexExpr::dim(0), IndexExpr::dim(1), half(2, 4), half(3, 5)];
    let top = load(&mut pool, Y, at.clone(), Some(1e9));
    let dy = load(&mut pool, Z, at, Some(0.0));
    let value = load(&mut pool, X, dims(&[0, 1, 2, 3]), None);
    let won = pool.binary(BinaryOp::Equal, value, top);
    let zero = pool.f32(0.0);
    let share = pool.add(Scalar::Select(won, dy, zero));
    let sum = pool.add(Scalar::Reduced(0));
    let to = BufferId(3);
    let stages = vec![
        reduce(&[4, 5], Combine::Sum, share),
        store(&[], to, dims(&[0, 1, 2, 3]), sum),
    ];
    let dims_of = [2, 6, 8, 8, 2, 2];
    for border in [0, 1] {
        let layout = |extents: &[usize; 4]| placed(DType::F32, nhwc(extents, border));
        let buffers = vec![layout(&x), layout(&y), layout(&y), layout(&x)];
        Case::new(&dims_of, 4, pool.clone(), stages.clone(), buffers).check();
        let row_major = |extents: &[usize; 4]| f32s(extents);
        let buffers = vec![row_major(&x), row_major(&y), row_major(&y), row_major(&x)];
        Case::new(&dims_of, 4, pool.clone(), stages.clone(), buffers).check();
    }
}

/// Padding that no border provides: guards along the vector and across it.
#[test]
fn guarded_convolution() {
    for (width, stride, dilation) in [(5, 1, 1), (17, 1, 1), (17, 2, 1), (12, 1, 3)] {
        let tap = |i, p| IndexExpr::affine([(i, stride), (p, dilation)], -dilation);
        let out = (width - 1) / stride as usize + 1;
        let mut pool = ScalarPool::default();
        let x = load(&mut pool, X, vec![tap(0, 2), tap(1, 3)], Some(0.0));
        let w = load(&mut pool, Z, dims(&[2, 3]), None);
        let product = pool.binary(BinaryOp::Mul, x, w);
        let sum = pool.add(Scalar::Reduced(0));
        let stages = vec![
            reduce(&[2, 3], Combine::Sum, product),
            store(&[], Y, dims(&[0, 1]), sum),
        ];
        let buffers = vec![f32s(&[width, width]), f32s(&[out, out]), f32s(&[3, 3])];
        Case::new(&[out, out, 3, 3], 2, pool, stages, buffers).check();
    }
}

#[test]
fn reversed_and_shifted_with_fill() {
    let mut pool = ScalarPool::default();
    let reversed = IndexExpr::affine([(1, -2)], 20);
    let x = load(&mut pool, X, vec![IndexExpr::dim(0), reversed], Some(7.0));
    let stages = vec![store(&[], Y, dims(&[0, 1]), x)];
    Case::new(
        &[3, 30],
        2,
        pool,
        stages,
        vec![f32s(&[3, 15]), f32s(&[3, 30])],
    )
    .check();
}

/// Rows that lie outside, read backwards: what is loaded for them lies nowhere before
/// the tensor.
#[cfg(unix)]
#[test]
fn reversed_rows_outside_are_read_inside() {
    let (rows, columns) = (5, 64);
    let mut pool = ScalarPool::default();
    let shifted = IndexExpr::affine([(0, 1)], -2);
    let reversed = IndexExpr::affine([(1, -1)], columns as i64 - 1);
    let x = load(&mut pool, X, vec![shifted, reversed], Some(7.0));
    let stages = vec![store(&[], Y, dims(&[0, 1]), x)];
    let buffers = vec![f32s(&[3, columns]), f32s(&[rows, columns])];
    let case = Case::new(&[rows, columns], 2, pool, stages, buffers);
    case.check();
    case.run_behind_closed_pages();
}

/// Fills of integers whose bits are those of an infinity: they count like any number.
#[test]
fn integers_that_look_like_infinities() {
    let ends = [f32::NEG_INFINITY, f32::INFINITY];
    for (combine, end) in [Combine::Max, Combine::Min].into_iter().zip(ends) {
        let fill = end.to_bits().cast_signed() as f32;
        let mut pool = ScalarPool::default();
        let at = vec![IndexExpr::affine([(0, 1), (1, 1)], -6)];
        let x = load(&mut pool, X, at, Some(fill));
        let best = pool.add(Scalar::Reduced(0));
        let stages = vec![reduce(&[1], combine, x), store(&[], Y, dims(&[0]), best)];
        let integers = |n: usize| placed(DType::I32, Layout::row_major(vec![n]));
        Case::new(&[8, 3], 1, pool, stages, vec![integers(4), integers(8)]).check();
    }
}

/// Two tensors updated in place; the second store needs the old value of neither.
#[test]
fn update_in_place_with_scalars() {
    for n in [1, 5, 8, 10_007, 100_000] {
        let mut pool = ScalarPool::default();
        let rate = load(&mut pool, Z, vec![], None);
        let half = pool.f32(0.5);
        let rate = pool.binary(BinaryOp::Mul, rate, half);
        let (w, m) = (
            load(&mut pool, X, dims(&[0]), None),
            load(&mut pool, Y, dims(&[0]), None),
        );
        let next_m = pool.add(Scalar::Fma(rate, w, m));
        let next_w = pool.binary(BinaryOp::Sub, w, next_m);
        let stages = vec![
            store(&[], X, dims(&[0]), next_w),
            store(&[], Y, dims(&[0]), m),
        ];
        Case::new(
            &[n],
            1,
            pool,
            stages,
            vec![f32s(&[n]), f32s(&[n]), f32s(&[])],
        )
        .check();
    }
}

/// Counter-based numbers: integer arithmetic on the element's index.
#[test]
fn integers_of_the_index() {
    let mut pool = ScalarPool::default();
    let index = pool.add(Scalar::Index(IndexExpr::affine(
        [(0, 70), (1, 7), (2, 1)],
        3,
    )));
    let factor = pool.i32(0x2c1b_3c6d);
    let amount = pool.i32(13);
    let product = pool.binary(BinaryOp::Mul, index, factor);
    let high = pool.binary(BinaryOp::ShiftRight, product, amount);
    let mixed = pool.binary(BinaryOp::Xor, product, high);
    let left = pool.binary(BinaryOp::ShiftLeft, mixed, amount);
    let bits = pool.binary(BinaryOp::And, left, factor);
    let number = pool.unary(UnaryOp::ToF32, bits);
    let stages = vec![
        store(&[], X, dims(&[0, 1, 2]), number),
        store(&[], Y, dims(&[0, 1, 2]), mixed),
    ];
    let extents = [3, 10, 7];
    let buffers = vec![
        f32s(&extents),
        placed(DType::I32, Layout::row_major(extents.to_vec())),
    ];
    Case::new(&extents, 3, pool, stages, buffers).check();
}
