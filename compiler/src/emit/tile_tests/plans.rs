//! What is planned for shapes that matter.

use super::cases::{Case, Conv, product};
use crate::nest::{Combine, Kernel, Stage, verify_kernel};
use crate::schedule::Layout;
use crate::schedule::tiles::{Often, TilePlan, Tiled, TiledStep, plan};
use crate::target::{Isa, Target, Without};

fn tiled(case: &Case, isa: Isa) -> Tiled {
    let target = Target {
        isa,
        features: Vec::new(),
        without: Without::default(),
    };
    plan(
        &case.kernel,
        &case.buffers,
        &case.layouts,
        &target,
        Often::Once,
    )
    .unwrap()
}

/// The plan of a case that becomes tiles and nothing else.
fn alone(case: &Case, isa: Isa) -> TilePlan {
    let mut tiled = tiled(case, isa);
    assert!(tiled.buffers.is_empty());
    match (tiled.steps.pop(), tiled.steps.is_empty()) {
        (Some(TiledStep::Tiles(_, plan)), true) => plan,
        steps => panic!("not one contraction: {steps:?}"),
    }
}

fn mnist() -> Conv {
    Conv {
        b: 64,
        c: 32,
        h: 28,
        w: 28,
        k: 64,
        kernel: 3,
        stride: 1,
        padding: 1,
    }
}

#[test]
fn rows_divide_evenly_among_tiles() {
    for m in 1..200 {
        let plan = alone(&product(m, 64, 16), Isa::Avx512);
        let rows = &plan.rows;
        let small = rows.large - usize::from(rows.smalls > 0);
        assert_eq!(rows.larges * rows.large + rows.smalls * small, m.max(1));
        assert!(m < 28 || small > 4, "{m} rows in {rows:?}");
    }
}

#[test]
fn few_tasks_are_equal() {
    for (m, n, k) in [
        (128, 256, 64),
        (784, 128, 32),
        (64, 256, 128),
        (40, 640, 64),
    ] {
        let plan = alone(&product(m, n, k), Isa::Avx512);
        assert!(plan.tasks().is_power_of_two() && plan.tasks() > 1);
        for level in &plan.levels {
            let even = level.steps.is_multiple_of(level.runs);
            assert!(even || level.steps / level.runs >= 8, "{level:?}");
        }
    }
}

/// Operands much larger than the results: each thread reads its own part of both.
#[test]
fn long_sums_over_large_operands_are_taken_in_parts() {
    let tiled = tiled(&product(32, 128, 784), Isa::Avx512);
    let [TiledStep::Tiles(_, parts), TiledStep::Loops(sum)] = &tiled.steps[..] else {
        panic!("{:?}", tiled.steps);
    };
    assert_eq!((parts.levels[0].runs, sum.dims[2]), (4, 4));
}

#[test]
fn forward_convolutions_copy_nothing() {
    let plan = alone(&mnist().forward(), Isa::Avx512);
    assert_eq!((plan.rows.large, plan.columns.width), (28, 16));
    // Kernel rows, and in each three pixels of all channels side by side.
    let extents = plan.reduce.iter().map(|&dim| plan.linear.dims[dim]);
    assert_eq!(extents.collect::<Vec<_>>(), [3, 96]);
    // The first and the last row of pixels have two rows of taps over the image.
    let ranges = plan
        .edges
        .clone()
        .map(|edges| edges.ranges)
        .unwrap_or_default();
    assert_eq!(ranges.len(), 28);
    assert_eq!((ranges[0], ranges[1], ranges[27]), ((1, 3), (0, 3), (0, 2)));
    assert_eq!(plan.tasks(), 128);
}

/// Weights of 512 channels lie so far apart that they share a few sets of each cache.
#[test]
fn rows_far_apart_are_packed_into_panels() {
    let conv = Conv {
        b: 1,
        c: 512,
        k: 512,
        ..mnist()
    };
    for isa in [Isa::Avx2, Isa::Avx512] {
        let tiled = tiled(&conv.forward(), isa);
        let [TiledStep::Loops(pack), TiledStep::Tiles(_, plan), ..] = &tiled.steps[..] else {
            panic!("no copy: {:?}", tiled.steps);
        };
        assert_eq!(pack.dims.last(), Some(&plan.columns.width), "{plan}");
    }
}

#[test]
fn small_images_lie_in_a_tile_as_rows_of_rows() {
    let conv = Conv {
        h: 7,
        w: 7,
        ..mnist()
    };
    let plan = alone(&conv.forward(), Isa::Avx512);
    let whole: usize = plan
        .rows
        .whole
        .iter()
        .map(|&dim| plan.linear.dims[dim])
        .product();
    assert!(plan.rows.large * whole > 7, "{plan}");
}

#[test]
fn gradients_of_weights_sum_in_parts() {
    let case = mnist().backward_weights();
    let tiled = tiled(&case, Isa::Avx512);
    let [TiledStep::Tiles(parts, _), TiledStep::Loops(combine)] = &tiled.steps[..] else {
        panic!("{:?}", tiled.steps);
    };
    let (buffer, _) = &tiled.buffers[0];
    assert_eq!(buffer.extents, [16, 3, 3, 32, 64]);
    assert_eq!(parts.outer, case.kernel.outer + 1);
    assert!(sums_over(combine, 16));
    let buffers = [&case.buffers[..], std::slice::from_ref(buffer)].concat();
    verify_kernel(parts, &buffers).unwrap();
    verify_kernel(combine, &buffers).unwrap();
}

/// What is much larger than its product is read in parts, of which a thread has made its own.
#[test]
fn large_operands_of_small_results_are_read_in_parts() {
    let steps = |m, n, k| tiled(&product(m, n, k), Isa::Avx512).steps;
    assert!(matches!(
        &steps(64, 128, 2048)[..],
        [TiledStep::Tiles(..), TiledStep::Loops(combine)] if sums_over(combine, 4)
    ));
    assert!(matches!(&steps(768, 128, 512)[..], [TiledStep::Tiles(..)]));
}

/// Whether the first stage sums over one dimension of this extent.
fn sums_over(kernel: &Kernel, extent: usize) -> bool {
    matches!(
        &kernel.stages[0],
        Stage::Reduce { over, combine: Combine::Sum, .. }
            if over.iter().map(|&dim| kernel.dims[dim]).eq([extent])
    )
}

#[test]
fn weights_the_other_way_round_are_packed_in_panels() {
    let tiled = tiled(&mnist().backward_data(), Isa::Avx2);
    let [TiledStep::Loops(_), TiledStep::Tiles(_, plan)] = &tiled.steps[..] else {
        panic!("{:?}", tiled.steps);
    };
    let (panels, _) = &tiled.buffers[0];
    assert_eq!(panels.extents.last(), Some(&plan.columns.width));
}

/// Plans depend on shapes and target, so that results do not depend on threads; and equal
/// kernels on equal layouts are equal code.
#[test]
fn plans_are_reproducible() {
    for isa in Isa::ALL {
        assert_eq!(
            alone(&mnist().forward(), isa),
            alone(&mnist().forward(), isa)
        );
    }
}

#[test]
fn without_columns_there_are_no_tiles() {
    let target = Target {
        isa: Isa::Avx512,
        features: Vec::new(),
        without: Without::default(),
    };
    let case = product(100, 1, 100);
    assert!(
        plan(
            &case.kernel,
            &case.buffers,
            &case.layouts,
            &target,
            Often::Once
        )
        .is_none()
    );
    let mut reads_only = product(8, 16, 8);
    reads_only.kernel.stages.remove(0);
    assert!(
        plan(
            &reads_only.kernel,
            &reads_only.buffers,
            &reads_only.layouts,
            &target,
            Often::Once
        )
        .is_none()
    );
}

#[test]
fn results_along_rows_need_no_packed_weights() {
    // The gradient of a dense layer's input, with weights [in, out].
    let mut case = product(64, 12544, 128);
    case.layouts[1] = Layout::new(vec![128, 12544], vec![1, 0], vec![(0, 0); 2]);
    let tiled = tiled(&case, Isa::Avx512);
    let packed: usize = tiled
        .buffers
        .iter()
        .map(|(_, layout)| layout.elements)
        .sum();
    assert_eq!(packed, 64 * 128);
}
