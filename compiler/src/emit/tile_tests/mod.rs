//! Compiled contractions against the oracle.
#![allow(clippy::unwrap_used)]

mod cases;
mod plans;
mod random;
mod rates;
mod run;

use cases::{Case, Conv, product};
use run::{compiled, interpreted, operands};

use crate::graph::DType;
use crate::index::IndexExpr;
use crate::nest::{BinaryOp, Scalar, UnaryOp, verify_kernel};
use crate::schedule::Layout;
use crate::target::{Isa, Target};

/// Compiles for every instruction set that this machine has, runs, and compares all memory.
fn check(case: &Case) {
    check_if_tiled(case, true);
}

fn check_if_tiled(case: &Case, must_tile: bool) {
    verify_kernel(&case.kernel, &case.buffers).unwrap();
    let expected = interpreted(case, operands(case));
    for isa in Isa::ALL {
        let target = Target::host_with(isa);
        if target.isa != isa {
            // This machine has no such instructions.
            continue;
        }
        for pieces in [1, 3] {
            let Some(actual) = compiled(case, &target, operands(case), pieces) else {
                assert!(!must_tile, "{isa}: no tiles");
                continue;
            };
            for (id, expected) in case.ids().zip(&expected) {
                let pairs = actual[id.index()].iter().zip(expected);
                for (place, (actual, expected)) in pairs.enumerate() {
                    let same = format!("{actual:?}") == format!("{expected:?}");
                    assert!(same, "{isa}: {id}[{place}]: {actual:?}, not {expected:?}");
                }
            }
        }
    }
}

#[test]
fn products_of_all_sizes() {
    for (m, n, k) in [
        (1, 2, 1),
        (1, 16, 5),
        (3, 10, 7),
        (14, 32, 9),
        (15, 33, 40),
        (29, 64, 17),
        (64, 128, 33),
        (5, 257, 100),
    ] {
        check(&product(m, n, k));
    }
}

#[test]
fn convolutions_forward() {
    for conv in convolutions() {
        check(&conv.forward());
    }
}

#[test]
fn convolutions_backward_to_weights() {
    for conv in convolutions() {
        check(&conv.backward_weights());
    }
}

#[test]
fn convolutions_backward_to_data() {
    for conv in convolutions() {
        // Small ones are not worth packing weights for: loops do it.
        check_if_tiled(&conv.backward_data(), conv.c == 4);
    }
}

/// Few results of long sums: in parts, with the epilogue behind.
#[test]
fn long_sums_in_parts() {
    let mut case = product(24, 32, 4096);
    let sum = case.sum();
    let negative = case.push(Scalar::Unary(UnaryOp::Neg, sum));
    case.set_result(negative);
    check(&case);
    let conv = Conv {
        b: 6,
        c: 8,
        h: 12,
        w: 12,
        k: 32,
        kernel: 3,
        stride: 1,
        padding: 1,
    };
    check(&conv.backward_weights());
}

/// Reads beyond the edge where the layout has no border.
#[test]
fn convolutions_without_borders() {
    for conv in convolutions() {
        let mut case = conv.forward();
        let extents = case.layouts[0].extents.clone();
        case.layouts[0] = Layout::new(extents, vec![0, 2, 3, 1], vec![(0, 0); 4]);
        check(&case);
    }
}

/// One product for each index that both operands and the result know.
#[test]
fn products_in_batches() {
    let dim = IndexExpr::dim;
    for (batch, m, n, k) in [(3, 7, 20, 5), (2, 16, 33, 4)] {
        check(&cases::contraction(
            &[batch, m, n, k],
            3,
            (
                Layout::row_major(vec![batch, m, k]),
                vec![dim(0), dim(1), dim(3)],
            ),
            (
                Layout::row_major(vec![batch, k, n]),
                vec![dim(0), dim(3), dim(2)],
            ),
            Layout::row_major(vec![batch, m, n]),
        ));
    }
}

/// Neither operand has its columns side by side.
#[test]
fn products_of_transposed_operands() {
    for (m, n, k) in [(20, 64, 33), (37, 30, 29), (70, 40, 16)] {
        let mut case = product(m, n, k);
        case.layouts[1] = Layout::new(vec![k, n], vec![1, 0], vec![(0, 0); 2]);
        check(&case);
        case.layouts[0] = Layout::new(vec![m, k], vec![1, 0], vec![(0, 0); 2]);
        check(&case);
        case.layouts[1] = Layout::row_major(vec![k, n]);
        check(&case);
    }
}

fn convolutions() -> Vec<Conv> {
    let conv = |b, c, size, k, kernel, stride, padding| Conv {
        b,
        c,
        h: size,
        w: size + 1,
        k,
        kernel,
        stride,
        padding,
    };
    vec![
        conv(2, 1, 6, 5, 3, 1, 1),
        conv(1, 3, 9, 33, 3, 2, 1),
        conv(2, 4, 13, 16, 3, 1, 0),
        conv(1, 2, 5, 20, 5, 1, 2),
        conv(2, 16, 4, 10, 1, 1, 0),
    ]
}

#[test]
fn epilogue_of_bias_and_relu() {
    let mut case = product(19, 45, 8);
    let bias = case.buffer(DType::F32, Layout::row_major(vec![45]));
    let bias = case.load(bias, &[1]);
    let sum = case.sum();
    let biased = case.binary(BinaryOp::Add, sum, bias);
    let zero = case.push(Scalar::F32(0.0));
    let positive = case.binary(BinaryOp::Max, biased, zero);
    case.set_result(positive);
    check(&case);
}

/// Everything at once: more values at a time than there are registers to spare.
#[test]
fn epilogue_of_the_whole_language() {
    let mut case = product(9, 37, 6);
    let rows = case.buffer(DType::F32, Layout::row_major(vec![9]));
    let labels = case.buffer(DType::I32, Layout::row_major(vec![9, 37]));
    let strided = case.buffer(
        DType::F32,
        Layout::new(vec![9, 37], vec![1, 0], vec![(0, 0); 2]),
    );
    let sum = case.sum();
    let row = case.load(rows, &[0]);
    let label = case.load(labels, &[0, 1]);
    let other = case.load(strided, &[0, 1]);
    let index = case.push(Scalar::Index(IndexExpr::affine([(0, 37), (1, 1)], 3)));
    let numbers = [row, other, sum];
    let integers = [label, index];
    let mut results = Vec::new();
    for op in [UnaryOp::Neg, UnaryOp::Abs, UnaryOp::Floor, UnaryOp::Nearest] {
        let third = case.push(Scalar::F32(1.0 / 3.0));
        let x = case.binary(BinaryOp::Mul, numbers[results.len() % 3], third);
        results.push(case.push(Scalar::Unary(op, x)));
    }
    let positive = case.push(Scalar::Unary(UnaryOp::Abs, other));
    results.push(case.push(Scalar::Unary(UnaryOp::Sqrt, positive)));
    for op in [
        BinaryOp::Add,
        BinaryOp::Sub,
        BinaryOp::Mul,
        BinaryOp::Div,
        BinaryOp::Max,
        BinaryOp::Min,
    ] {
        results.push(case.binary(op, numbers[results.len() % 3], sum));
    }
    let mut words = Vec::new();
    for op in [
        BinaryOp::Add,
        BinaryOp::Sub,
        BinaryOp::Mul,
        BinaryOp::Max,
        BinaryOp::Min,
        BinaryOp::And,
        BinaryOp::Or,
        BinaryOp::Xor,
    ] {
        words.push(case.binary(op, integers[words.len() % 2], integers[1]));
    }
    for op in [BinaryOp::ShiftLeft, BinaryOp::ShiftRight] {
        let amount = case.push(Scalar::I32(7));
        words.push(case.binary(op, label, amount));
    }
    for op in [UnaryOp::Neg, UnaryOp::Abs] {
        words.push(case.push(Scalar::Unary(op, label)));
    }
    let scale = case.push(Scalar::F32(3.0e9));
    for x in [sum, row, results[8]] {
        // Far out of range, infinite or NaN for some.
        let x = case.binary(BinaryOp::Mul, x, scale);
        words.push(case.push(Scalar::Unary(UnaryOp::ToI32, x)));
    }
    words.push(case.push(Scalar::Unary(UnaryOp::BitsToI32, row)));
    let mut masks = Vec::new();
    for op in [BinaryOp::Less, BinaryOp::LessEq, BinaryOp::Equal] {
        masks.push(case.binary(op, sum, row));
        masks.push(case.binary(op, label, integers[1]));
        masks.push(case.binary(op, label, label));
        masks.push(case.binary(op, results[8], sum));
    }
    for op in [BinaryOp::And, BinaryOp::Or, BinaryOp::Xor] {
        masks.push(case.binary(op, masks[0], masks[1]));
    }
    masks.push(case.push(Scalar::Unary(UnaryOp::Not, masks[2])));
    masks.push(case.push(Scalar::Mask(true)));
    for mask in masks {
        results.push(case.push(Scalar::Select(mask, sum, row)));
        results.push(case.push(Scalar::Unary(UnaryOp::MaskToF32, mask)));
    }
    for word in words {
        results.push(case.push(Scalar::Unary(UnaryOp::ToF32, word)));
    }
    let bits = case.push(Scalar::Unary(UnaryOp::BitsToI32, sum));
    let back = case.push(Scalar::Unary(UnaryOp::BitsToF32, bits));
    results.push(case.push(Scalar::Fma(back, row, other)));
    results.push(case.push(Scalar::Fma(row, row, other)));
    // Each into its own tensor, one of them not along its columns, one of integers.
    let layout = |turned: bool| {
        let order = if turned { vec![1, 0] } else { vec![0, 1] };
        Layout::new(vec![9, 37], order, vec![(0, 0); 2])
    };
    for (number, &result) in results.iter().enumerate() {
        let buffer = case.buffer(DType::F32, layout(number == 5));
        case.store(buffer, result);
    }
    let buffer = case.buffer(DType::I32, layout(false));
    case.store(buffer, index);
    check(&case);
}

/// A weight updated where it lies.
#[test]
fn epilogue_in_place() {
    let mut case = product(30, 20, 12);
    let weight = case.buffer(DType::F32, Layout::row_major(vec![30, 20]));
    let old = case.load(weight, &[0, 1]);
    let rate = case.push(Scalar::F32(-0.5));
    let sum = case.sum();
    let new = case.push(Scalar::Fma(sum, rate, old));
    case.store(weight, new);
    check(&case);
}
