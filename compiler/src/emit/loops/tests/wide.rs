//! What is special to wide vectors: tails behind masks, shares that end with the loop, more
//! values than registers, lanes that lie apart.

use super::{Case, f32s};
use crate::index::IndexExpr;
use crate::nest::{BinaryOp, BufferId, Combine, Scalar, ScalarId, ScalarPool, Stage, UnaryOp};
use crate::schedule::loops::{StagePlan, plan};
use crate::target::{Isa, Target};

const X: BufferId = BufferId(0);
const Y: BufferId = BufferId(1);

fn dims(dims: &[usize]) -> Vec<IndexExpr> {
    dims.iter().map(|&dim| IndexExpr::dim(dim)).collect()
}

fn load(pool: &mut ScalarPool, at: &[usize]) -> ScalarId {
    pool.add(Scalar::Load {
        buffer: X,
        at: dims(at),
        fill: None,
    })
}

fn store(at: &[usize], value: ScalarId) -> Stage {
    Stage::Store {
        over: Vec::new(),
        buffer: Y,
        at: dims(at),
        value,
    }
}

/// Checks a case, and that its vectors are as wide as asked for.
fn check_wide(case: &Case) {
    for isa in Isa::ALL {
        let isa = Target::host_with(isa).isa;
        assert_eq!(plan(&case.kernel, &case.buffers, isa).isa, isa);
    }
    case.check();
}

/// Shares of whole vectors, the last of which ends somewhere.
#[test]
fn a_long_loop_in_shares_with_an_end_of_any_length() {
    for n in [200_000, 200_001, 199_993, 16 * 12_345 + 15] {
        let mut pool = ScalarPool::default();
        let x = load(&mut pool, &[0]);
        let square = pool.times(x, x);
        let sum = pool.plus(square, x);
        let buffers = vec![f32s(&[n]), f32s(&[n])];
        let case = Case::new(&[n], 1, pool, vec![store(&[0], sum)], buffers);
        let plan = plan(&case.kernel, &case.buffers, Target::host().isa);
        assert!(plan.tasks.count > 1, "{plan}");
        check_wide(&case);
    }
}

/// Sixty values that are all needed at the end, in the order of their making and back.
#[test]
fn more_values_than_registers() {
    for n in [5, 16, 100] {
        let mut pool = ScalarPool::default();
        let x = load(&mut pool, &[0]);
        let mut values = vec![x];
        for number in 0..60 {
            let number = pool.f32((number % 7) as f32 - 3.0);
            let last = values[values.len() - 1];
            let scaled = pool.times(x, number);
            let kept = pool.max(scaled, number);
            values.push(pool.min(kept, last));
        }
        let sum = values.iter().rev().copied().reduce(|a, b| pool.plus(a, b));
        let stages = vec![store(&[0], sum.unwrap())];
        check_wide(&Case::new(
            &[n],
            1,
            pool,
            stages,
            vec![f32s(&[n]), f32s(&[n])],
        ));
    }
}

/// Along a row, and of many rows at once; a zero becomes NaN, which wins.
#[test]
fn reductions_of_rows_with_nan() {
    for combine in [Combine::Sum, Combine::Max, Combine::Min] {
        for (rows, columns) in [(1, 37), (40, 4), (3, 300), (19, 16), (128, 33)] {
            let mut pool = ScalarPool::default();
            let x = load(&mut pool, &[0, 1]);
            let one_or_nan = pool.over(x, x);
            let value = pool.times(one_or_nan, x);
            let stages = vec![
                Stage::Reduce {
                    over: vec![1],
                    combine,
                    value,
                },
                store(&[0], pool.add(Scalar::Reduced(0))),
            ];
            let buffers = vec![f32s(&[rows, columns]), f32s(&[rows])];
            check_wide(&Case::new(&[rows, columns], 1, pool, stages, buffers));
        }
    }
}

/// What one stage computes along a row of a few whole vectors, the next ones find; longer rows and
/// those with an end are computed anew.
#[test]
fn rows_that_stay_in_registers() {
    for (rows, columns) in [(7, 16), (5, 32), (40, 64), (9, 128), (3, 65), (3, 192)] {
        let mut pool = ScalarPool::default();
        let x = load(&mut pool, &[0, 1]);
        let greatest = pool.add(Scalar::Reduced(0));
        let below = pool.minus(greatest, x);
        let sum = pool.add(Scalar::Reduced(1));
        let result = pool.plus(below, sum);
        let reduce = |combine, value| Stage::Reduce {
            over: vec![1],
            combine,
            value,
        };
        let stages = vec![
            reduce(Combine::Max, x),
            reduce(Combine::Sum, below),
            Stage::Store {
                over: vec![1],
                buffer: Y,
                at: dims(&[0, 1]),
                value: result,
            },
        ];
        let buffers = vec![f32s(&[rows, columns]), f32s(&[rows, columns])];
        let case = Case::new(&[rows, columns], 1, pool, stages, buffers);
        for isa in Isa::ALL {
            let isa = Target::host_with(isa).isa;
            if isa == Isa::Portable || !columns.is_multiple_of(isa.lanes()) {
                continue;
            }
            let plan = plan(&case.kernel, &case.buffers, isa);
            let vectors = columns / isa.lanes();
            let kept = StagePlan::Vector(vectors);
            let is_kept = plan.stages.iter().all(|stage| *stage == kept);
            // The operand and its distance from the greatest, in half of the registers.
            assert_eq!(is_kept, 2 * vectors <= isa.registers() / 2, "{plan}");
        }
        case.check();
    }
}

/// A transposition reads or writes lanes that lie apart; in short loops one by one.
#[test]
fn lanes_apart() {
    for (rows, columns) in [(5, 7), (16, 33), (40, 17), (61, 64)] {
        let mut pool = ScalarPool::default();
        let x = load(&mut pool, &[1, 0]);
        let two = pool.f32(2.0);
        let twice = pool.binary(BinaryOp::Mul, x, two);
        let stages = vec![store(&[0, 1], twice)];
        let buffers = vec![f32s(&[columns, rows]), f32s(&[rows, columns])];
        Case::new(&[rows, columns], 2, pool, stages, buffers).check();
    }
}

/// A comparison that chooses, of the index itself too.
#[test]
fn choices_by_lane() {
    for n in [11, 64, 203] {
        let mut pool = ScalarPool::default();
        let x = load(&mut pool, &[0]);
        let index = pool.add(Scalar::Index(IndexExpr::affine([(0, 3)], -40)));
        let index = pool.to_f32(index);
        let less = pool.less(x, index);
        let equal = pool.equal(x, x);
        let both = pool.and(less, equal);
        let truncated = pool.to_i32(x);
        let back = pool.to_f32(truncated);
        let chosen = pool.select(both, back, index);
        let chosen = pool.select(less, chosen, x);
        let stages = vec![store(&[0], chosen)];
        check_wide(&Case::new(
            &[n],
            1,
            pool,
            stages,
            vec![f32s(&[n]), f32s(&[n])],
        ));
    }
}

/// Each bit as the machine's instruction has it: of all kinds of numbers, of those in two octaves
/// (roots of all others are these, scaled), and where roots begin to leave denormals over.
#[test]
fn roots_are_correctly_rounded() {
    const N: usize = 100_000;
    let all = u32::MAX / N as u32;
    let octaves = (2 << 23) / N as u32;
    let small = (127 - 78) << 23;
    for (first, step) in [(0, all), (1.0f32.to_bits(), octaves), (small - 50_000, 1)] {
        let mut pool = ScalarPool::default();
        let index = pool.add(Scalar::Index(IndexExpr::dim(0)));
        let step = pool.add(Scalar::I32(step as i32));
        let first = pool.add(Scalar::I32(first as i32));
        let bits = pool.binary(BinaryOp::Mul, index, step);
        let bits = pool.binary(BinaryOp::Add, bits, first);
        let x = pool.add(Scalar::Unary(UnaryOp::BitsToF32, bits));
        let root = pool.add(Scalar::Unary(UnaryOp::Sqrt, x));
        let stages = vec![store(&[0], root)];
        check_wide(&Case::new(
            &[N],
            1,
            pool,
            stages,
            vec![f32s(&[1]), f32s(&[N])],
        ));
    }
}
