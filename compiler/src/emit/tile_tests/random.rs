//! Random contractions: any roles of dimensions, sizes, orders in memory and borders.

use proptest::prelude::*;

use super::cases::{Case, contraction};
use super::check_if_tiled;
use crate::graph::DType;
use crate::index::{Dim, IndexExpr};
use crate::nest::{BinaryOp, Scalar};
use crate::schedule::Layout;

/// Who knows a dimension.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Knows {
    A,
    B,
    Both,
}

/// A dimension of the kernel.
#[derive(Clone, Copy, Debug)]
struct Axis {
    extent: usize,
    knows: Knows,
    summed: bool,
}

fn axes() -> impl Strategy<Value = Vec<Axis>> {
    let extent = prop_oneof![1usize..5, 5usize..20, Just(16), Just(33)];
    let kind = prop_oneof![
        3 => Just((Knows::A, false)),
        3 => Just((Knows::B, false)),
        1 => Just((Knows::Both, false)),
        3 => Just((Knows::Both, true)),
    ];
    let axis = (extent, kind).prop_map(|(extent, (knows, summed))| Axis {
        extent,
        knows,
        summed,
    });
    proptest::collection::vec(axis, 2..6).prop_map(|mut axes| {
        axes.sort_by_key(|axis| axis.summed);
        // The interpreter takes its time.
        while axes.iter().map(|axis| axis.extent).product::<usize>() > 60_000 {
            for axis in &mut axes {
                axis.extent = axis.extent.div_ceil(2);
            }
        }
        axes
    })
}

/// A tensor of these dimensions, in some order, with some border.
fn tensor(dims: &[Dim], axes: &[Axis], seed: u32) -> (Layout, Vec<IndexExpr>) {
    let mut order: Vec<usize> = (0..dims.len()).collect();
    if seed.is_multiple_of(3) {
        order.rotate_left(seed as usize / 3 % dims.len().max(1));
    }
    let border = |axis: usize| {
        if seed >> axis & 4 == 4 {
            (1, 2)
        } else {
            (0, 0)
        }
    };
    let extents = dims.iter().map(|&dim| axes[dim].extent).collect();
    let borders = (0..dims.len()).map(border).collect();
    let at = dims.iter().map(|&dim| IndexExpr::dim(dim)).collect();
    (Layout::new(extents, order, borders), at)
}

fn case(axes: &[Axis], seeds: [u32; 3], epilogue: u32) -> Case {
    let dims: Vec<usize> = axes.iter().map(|axis| axis.extent).collect();
    let outer = axes.iter().filter(|axis| !axis.summed).count();
    let known = |by: Knows| -> Vec<Dim> {
        (0..axes.len())
            .filter(|&dim| [by, Knows::Both].contains(&axes[dim].knows))
            .collect()
    };
    let result: Vec<Dim> = (0..outer).collect();
    let mut case = contraction(
        &dims,
        outer,
        tensor(&known(Knows::A), axes, seeds[0]),
        tensor(&known(Knows::B), axes, seeds[1]),
        tensor(&result, axes, seeds[2]).0,
    );
    let sum = case.sum();
    let value = match epilogue {
        0 => sum,
        1 => {
            let (layout, _) = tensor(&result, axes, seeds[1]);
            let saved = case.buffer(DType::F32, layout);
            let saved = case.load(saved, &result);
            let zero = case.push(Scalar::F32(0.0));
            let mask = case.binary(BinaryOp::Less, zero, saved);
            case.push(Scalar::Select(mask, sum, zero))
        }
        _ => {
            // A hash of the element's number, as dropout draws it.
            let terms = (0..outer).map(|dim| {
                let inside: usize = dims[dim + 1..outer].iter().product();
                (dim, inside as i64)
            });
            let number = case.push(Scalar::Index(IndexExpr::affine(terms, 5)));
            let odd = case.push(Scalar::I32(0x9e37_79b1u32.cast_signed()));
            let shift = case.push(Scalar::I32(15));
            let product = case.binary(BinaryOp::Mul, number, odd);
            let high = case.binary(BinaryOp::ShiftRight, product, shift);
            let hash = case.binary(BinaryOp::Xor, product, high);
            let zero = case.push(Scalar::I32(0));
            let keep = case.binary(BinaryOp::Less, zero, hash);
            let nothing = case.push(Scalar::F32(0.0));
            case.push(Scalar::Select(keep, sum, nothing))
        }
    };
    case.set_result(value);
    case
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn random_contractions(axes in axes(), seeds: [u32; 3], epilogue in 0u32..3) {
        // Some have no columns.
        check_if_tiled(&case(&axes, seeds, epilogue), false);
    }
}
