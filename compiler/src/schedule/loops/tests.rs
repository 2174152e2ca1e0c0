#![allow(clippy::unwrap_used)]
use super::cost::can_be_vector;
use super::{StagePlan, Value, plan};
use crate::graph::{DType, Origin};
use crate::index::{Dim, IndexExpr};
use crate::nest::{
    BinaryOp, Buffer, BufferId, Combine, Kernel, Role, Scalar, ScalarId, ScalarPool, Stage,
};
use crate::schedule::{Layout, PlacedBuffer};
use crate::target::Isa;
use nnc_runtime::program::{Place, Region};

const X: BufferId = BufferId(0);
const Y: BufferId = BufferId(1);

fn placed(layout: Layout) -> PlacedBuffer {
    PlacedBuffer {
        buffer: Buffer {
            dtype: DType::F32,
            extents: layout.extents.clone(),
            role: Role::Temporary,
        },
        layout,
        place: Place {
            region: Region::Arena,
            offset: 0,
        },
    }
}

fn row_major(extents: &[usize]) -> PlacedBuffer {
    placed(Layout::row_major(extents.to_vec()))
}

/// Axes `[b, c, h, w]` with the channels innermost in memory.
fn channels_last(extents: [usize; 4], border: usize) -> PlacedBuffer {
    let around = (border, border);
    let borders = vec![(0, 0), (0, 0), around, around];
    placed(Layout::new(extents.to_vec(), vec![0, 2, 3, 1], borders))
}

fn indices(dims: &[Dim]) -> Vec<IndexExpr> {
    dims.iter().map(|&dim| IndexExpr::dim(dim)).collect()
}

fn load(pool: &mut ScalarPool, buffer: BufferId, at: Vec<IndexExpr>) -> ScalarId {
    let fill = None;
    pool.add(Scalar::Load { buffer, at, fill })
}

fn kernel(dims: &[usize], outer: usize, pool: ScalarPool, stages: Vec<Stage>) -> Kernel {
    Kernel {
        name: "kernel".to_owned(),
        dims: dims.to_vec(),
        outer,
        scalars: pool.finish(),
        stages,
        origin: Origin {
            span: None,
            path: String::new(),
        },
        instead: None,
    }
}

/// `y = max(x, 0)`
fn relu(extents: &[usize]) -> Kernel {
    let all: Vec<Dim> = (0..extents.len()).collect();
    let mut pool = ScalarPool::default();
    let x = load(&mut pool, X, indices(&all));
    let zero = pool.f32(0.0);
    let value = pool.binary(BinaryOp::Max, x, zero);
    let store = Stage::Store {
        over: Vec::new(),
        buffer: Y,
        at: indices(&all),
        value,
    };
    kernel(extents, extents.len(), pool, vec![store])
}

/// `y[i0] = sum of x over i1`
fn sums(extents: [usize; 2], at: Vec<IndexExpr>) -> Kernel {
    let mut pool = ScalarPool::default();
    let value = load(&mut pool, X, at);
    let sum = pool.add(Scalar::Reduced(0));
    let reduce = Stage::Reduce {
        over: vec![1],
        combine: Combine::Sum,
        value,
    };
    let store = Stage::Store {
        over: Vec::new(),
        buffer: Y,
        at: indices(&[0]),
        value: sum,
    };
    kernel(&extents, 1, pool, vec![reduce, store])
}

#[test]
fn equal_layouts_make_one_loop() {
    let extents = [2, 8, 5, 7];
    let buffers = [channels_last(extents, 0), channels_last(extents, 0)];
    let plan = plan(&relu(&extents), &buffers, Isa::Portable);
    assert_eq!(plan.flat.extents, [2 * 8 * 5 * 7]);
    assert_eq!(plan.outer_vector, Some(1));
}

#[test]
fn borders_leave_rows() {
    let extents = [2, 8, 5, 7];
    let buffers = [channels_last(extents, 0), channels_last(extents, 1)];
    let plan = plan(&relu(&extents), &buffers, Isa::Portable);
    assert_eq!(plan.flat.extents, [2, 5, 7 * 8]);
}

#[test]
fn a_long_loop_divides_into_whole_vectors() {
    let n = 1_000_000;
    let plan = plan(
        &relu(&[n]),
        &[row_major(&[n]), row_major(&[n])],
        Isa::Portable,
    );
    let chunk = plan.tasks.chunk.unwrap();
    assert!(chunk.is_multiple_of(Isa::Portable.lanes()), "{plan}");
    assert_eq!(plan.tasks.count, n.div_ceil(chunk) as u64);
    assert!(plan.tasks.parallel);
}

#[test]
fn little_work_is_one_task() {
    let plan = plan(
        &relu(&[100]),
        &[row_major(&[100]), row_major(&[100])],
        Isa::Portable,
    );
    assert_eq!((plan.tasks.count, plan.tasks.parallel), (1, false));
}

#[test]
fn rows_are_summed_along_and_columns_across() {
    let rows = sums([64, 128], indices(&[0, 1]));
    let plan_of_rows = plan(
        &rows,
        &[row_major(&[64, 128]), row_major(&[64])],
        Isa::Portable,
    );
    assert_eq!(plan_of_rows.outer_vector, None);
    assert!(matches!(plan_of_rows.stages[0], StagePlan::Vector(_)));

    let columns = sums([64, 128], indices(&[1, 0]));
    let plan_of_columns = plan(
        &columns,
        &[row_major(&[128, 64]), row_major(&[64])],
        Isa::Portable,
    );
    assert_eq!(plan_of_columns.outer_vector, Some(4));
    assert_eq!(plan_of_columns.stages[0], StagePlan::Points);
}

/// Sums `x[(i0 - i1) / 2]` over both `i1`: only one of them lies on an element.
#[test]
fn a_determined_index_leaves_no_division() {
    let half = IndexExpr::affine([(0, 1), (1, -1)], 0).over(2);
    let mut pool = ScalarPool::default();
    let value = pool.add(Scalar::Load {
        buffer: X,
        at: vec![half],
        fill: Some(0.0),
    });
    let sum = pool.add(Scalar::Reduced(0));
    let reduce = Stage::Reduce {
        over: vec![1],
        combine: Combine::Sum,
        value,
    };
    let store = Stage::Store {
        over: Vec::new(),
        buffer: Y,
        at: indices(&[0]),
        value: sum,
    };
    let kernel = kernel(&[16, 2], 1, pool, vec![reduce, store]);
    let plan = plan(&kernel, &[row_major(&[8]), row_major(&[16])], Isa::Portable);
    assert!(plan.flat.stages[0].over.is_empty(), "{plan}");
    assert!(plan.flat.quotients.is_empty());
    let guarded = |value: &Value| matches!(value, Value::Within(..));
    assert!(!plan.flat.values.iter().any(guarded));
}

#[test]
fn a_border_of_zeros_needs_no_guard() {
    for (border, guards) in [(0, 2), (1, 0)] {
        let tap = |i, p| IndexExpr::affine([(i, 1), (p, 1)], -1);
        let mut pool = ScalarPool::default();
        let value = pool.add(Scalar::Load {
            buffer: X,
            at: vec![IndexExpr::dim(0), IndexExpr::dim(1), tap(2, 4), tap(3, 5)],
            fill: Some(0.0),
        });
        let sum = pool.add(Scalar::Reduced(0));
        let reduce = Stage::Reduce {
            over: vec![4, 5],
            combine: Combine::Sum,
            value,
        };
        let store = Stage::Store {
            over: Vec::new(),
            buffer: Y,
            at: indices(&[0, 1, 2, 3]),
            value: sum,
        };
        let kernel = kernel(&[2, 8, 5, 5, 3, 3], 4, pool, vec![reduce, store]);
        let buffers = [
            channels_last([2, 8, 5, 5], border),
            channels_last([2, 8, 5, 5], 0),
        ];
        let values = plan(&kernel, &buffers, Isa::Portable).flat.values;
        let found = values.iter().filter(|v| matches!(v, Value::Within(..)));
        assert_eq!(found.count(), guards);
    }
}

/// Lanes that are farther apart than one instruction reaches.
#[test]
fn no_vector_runs_along_a_loop_of_very_long_steps() {
    for (columns, near) in [(1 << 10, true), (1 << 26, false)] {
        let mut pool = ScalarPool::default();
        let value = load(
            &mut pool,
            X,
            vec![IndexExpr::dim(0), IndexExpr::constant(0)],
        );
        let store = Stage::Store {
            over: Vec::new(),
            buffer: Y,
            at: indices(&[0]),
            value,
        };
        let buffers = [row_major(&[8, columns]), row_major(&[8])];
        let flat = plan(&kernel(&[8], 1, pool, vec![store]), &buffers, Isa::Portable).flat;
        assert_eq!(can_be_vector(&flat, 0, Isa::Portable), near, "{columns}");
    }
}
