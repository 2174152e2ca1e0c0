//! What `simplify` makes of small graphs, and that it keeps the value of all.
#![allow(clippy::unwrap_used)]

use super::*;
use crate::differentiate::differentiate;
use crate::eval::eval;
use crate::graph::{Contract, DType, Op, Type, View, flops, verify};
use crate::index::IndexExpr;
use crate::ops::{Precision, Tensor};
use crate::testing::nets::normalized;
use crate::testing::{Numbers, random_step, step_of};

/// Simplifies a graph of one output and demands the same value.
fn simplified(
    inputs: &[Type],
    build: impl FnOnce(&mut GraphBuilder, &[NodeId]) -> NodeId,
) -> (Step, Counts) {
    let step = step_of(inputs, |g, x| vec![("y".to_string(), build(g, x))]);
    let (simple, counts) = simplify_counting(&step);
    verify(&simple, "simplify");
    let mut numbers = Numbers(1);
    let values: Vec<Tensor> = inputs
        .iter()
        .map(|ty| numbers.typed(ty.dtype, &ty.shape))
        .collect();
    assert_same(&step, &simple, &values, "");
    (simple, counts)
}

fn assert_same(before: &Step, after: &Step, inputs: &[Tensor], context: &str) {
    let expected = eval(before, inputs, &[], Precision::F64);
    let found = eval(after, inputs, &[], Precision::F64);
    for ((name, expected), (_, found)) in expected.outputs.iter().zip(&found.outputs) {
        assert_eq!(expected.ty, found.ty);
        for (i, (&a, &b)) in expected.elements.iter().zip(&found.elements).enumerate() {
            let close = (a - b).abs() <= 1e-9 * (1.0 + a.abs());
            assert!(
                close,
                "{context}: {name} at {i} is {b}, not {a}\n{before}\n{after}"
            );
        }
    }
}

/// The operations of a step in order, by name, without its inputs.
fn operations(step: &Step) -> Vec<&'static str> {
    let nodes = step.graph.nodes.iter();
    let computed = nodes.filter(|node| !matches!(node.op, Op::Input(_)));
    computed.map(|node| crate::ops::name(&node.op)).collect()
}

#[test]
fn the_value_of_random_graphs_stays() {
    let mut applied = Counts::new();
    for seed in 0..400 {
        let (step, inputs) = random_step(seed, 4 + seed as usize % 24);
        let step = differentiate(&step);
        verify(&step, "differentiate");
        let (simple, counts) = simplify_counting(&step);
        verify(&simple, "simplify");
        assert_same(&step, &simple, &inputs, &format!("seed {seed}, {counts:?}"));
        assert!(
            simple.graph.nodes.len() <= step.graph.nodes.len(),
            "seed {seed} grew"
        );
        counts
            .into_iter()
            .for_each(|(name, n)| *applied.entry(name).or_default() += n);
    }
    let unused: Vec<&str> = RULES
        .iter()
        .map(|(name, _)| *name)
        .filter(|name| !applied.contains_key(name))
        .collect();
    assert!(unused.is_empty(), "no random graph needs {unused:?}");
}

/// `x * a * a + b * x = x * (a * a + b)`.
#[test]
fn what_products_share_is_taken_out_of_their_sum() {
    let x = Type::f32([3]);
    let (step, _) = simplified(&[x.clone(), x.clone(), x], |g, x| {
        let a = g.mul(x[0], x[1]);
        let a = g.mul(a, x[1]);
        let b = g.mul(x[2], x[0]);
        g.add(a, b)
    });
    assert_eq!(operations(&step), ["mul", "add", "mul"]);
}

/// The gradient of a softmax is made of what came out of it: `y * (dy - sum(dy * y))`.
#[test]
fn the_gradient_of_a_softmax_divides_nothing() {
    let shape = [3, 4];
    let step = step_of(&[Type::f32(shape), Type::f32(shape)], |g, x| {
        let e = g.exp(x[0]);
        let s = g.sum(e, &[1]);
        let s = g.broadcast(s, &shape, &[0]);
        let y = g.div(e, s);
        let loss = g.mul(y, x[1]);
        let loss = g.sum(loss, &[0, 1]);
        let dx = g.grad(loss, x[0]);
        vec![("y".to_string(), y), ("dx".to_string(), dx)]
    });
    let (step, _) = simplify_counting(&differentiate(&step));
    let quotients = operations(&step).into_iter().filter(|op| *op == "div");
    assert_eq!(quotients.count(), 1, "{step}");
}

#[test]
fn arithmetic_with_constants_vanishes() {
    let x = Type::f32([3]);
    let (step, _) = simplified(&[x], |g, x| {
        let x = x[0];
        let c = |g: &mut GraphBuilder, value| g.constant_like(value, x);
        let (zero, one, two) = (c(g, 0.0), c(g, 1.0), c(g, 2.0));
        let y = g.add(zero, x);
        let y = g.mul(y, one);
        let y = g.div(y, two);
        let y = g.neg(y);
        let y = g.mul(two, y);
        let nothing = g.mul(x, zero);
        let y = g.sub(y, nothing);
        let power = g.pow(y, one);
        g.neg(power)
    });
    assert_eq!(operations(&step), Vec::<&str>::new());
}

#[test]
fn powers_become_products() {
    let (step, _) = simplified(&[Type::f32([3])], |g, x| {
        let exponent = g.constant_like(3.0, x[0]);
        g.pow(x[0], exponent)
    });
    assert_eq!(operations(&step), ["mul", "mul"]);
}

/// `x * mask / keep`: one choice and one product.
#[test]
fn dropout_is_a_choice() {
    let mask = Type {
        dtype: DType::Bool,
        shape: vec![4],
    };
    let (step, _) = simplified(&[Type::f32([4]), mask], |g, x| {
        let ones = g.cast(x[1], DType::F32);
        let kept = g.mul(x[0], ones);
        let keep = g.constant_like(0.75, x[0]);
        g.div(kept, keep)
    });
    assert_eq!(operations(&step), ["constant", "constant", "mul", "select"]);
}

#[test]
fn broadcasts_come_last() {
    let vector = Type::f32([3]);
    let (step, _) = simplified(&[vector.clone(), vector, Type::f32([])], |g, x| {
        let wide: Vec<NodeId> = [(x[0], vec![1]), (x[1], vec![1]), (x[2], vec![])]
            .map(|(x, axes)| g.broadcast(x, &[5, 3, 2], &axes))
            .to_vec();
        let y = g.mul(wide[0], wide[2]);
        let y = g.add(y, wide[1]);
        g.exp(y)
    });
    assert_eq!(operations(&step), ["view", "mul", "add", "exp", "view"]);
    let small = step
        .graph
        .nodes
        .iter()
        .rev()
        .skip(1)
        .all(|node| node.ty.elements() <= 3);
    assert!(small, "{step}");
}

#[test]
fn the_sum_of_copies_is_a_multiple() {
    let (step, _) = simplified(&[Type::f32([3])], |g, x| {
        let wide = g.broadcast(x[0], &[3, 7], &[0]);
        g.sum(wide, &[1])
    });
    assert_eq!(operations(&step), ["constant", "mul"]);
}

#[test]
fn a_sum_of_products_is_a_product() {
    let (step, counts) = simplified(&[Type::f32([3, 4]), Type::f32([4, 2])], |g, x| {
        let a = g.broadcast(x[0], &[3, 4, 2], &[0, 1]);
        let b = g.broadcast(x[1], &[3, 4, 2], &[1, 2]);
        let product = g.mul(a, b);
        g.sum(product, &[1])
    });
    assert_eq!(operations(&step), ["contract"]);
    assert_eq!(counts["sum_of_products"], 1);
}

/// The gradient by what a norm reads takes two sums of it, as the forward pass does: by
/// hand as in Ioffe and Szegedy 2015, though what is differentiated is a mean of squares.
#[test]
fn the_gradient_of_a_norm_is_two_sums() {
    let shape = [4, 3, 5, 2];
    let types = [Type::f32(shape), Type::f32(shape), Type::f32([3])];
    let step = step_of(&types, |g, x| {
        let y = normalized(g, x[0], &[0, 2, 3], 1e-3);
        let scale = g.broadcast(x[2], &shape, &[1]);
        let y = g.mul(y, scale);
        let weighted = g.mul(y, x[1]);
        let loss = g.sum(weighted, &[0, 1, 2, 3]);
        let (dx, dscale) = (g.grad(loss, x[0]), g.grad(loss, x[2]));
        vec![("dx".to_string(), dx), ("dscale".to_string(), dscale)]
    });
    let step = differentiate(&step);
    let (simple, counts) = simplify_counting(&step);
    let mut numbers = Numbers(1);
    let values: Vec<Tensor> = types
        .iter()
        .map(|ty| numbers.typed(ty.dtype, &ty.shape))
        .collect();
    assert_same(&step, &simple, &values, "");
    let sums = simple.graph.nodes.iter().filter(|node| {
        matches!(node.op, Op::Sum { .. }) && simple.graph.ty(node.inputs[0]).shape == shape
    });
    assert_eq!(sums.count(), 4, "{simple}");
    assert!(counts.contains_key("sum_of_centred"), "{simple}");
}

/// `flatten |> dense` reads its operand as it is; so do all three passes.
#[test]
fn flattening_before_a_product_costs_nothing() {
    let shapes = [Type::f32([2, 3, 4, 4]), Type::f32([48, 5])];
    let step = step_of(&shapes, |g, x| {
        let flat = g.reshape(x[0], &[2, 48]);
        let y = g.contract(flat, x[1], matrix_product(2, 5, 48));
        let square = g.mul(y, y);
        let loss = g.sum(square, &[0, 1]);
        let (dx, dw) = (g.grad(loss, x[0]), g.grad(loss, x[1]));
        vec![
            ("loss".to_string(), loss),
            ("dx".to_string(), dx),
            ("dw".to_string(), dw),
        ]
    });
    let step = differentiate(&step);
    let simple = simplify(&step);
    verify(&simple, "simplify");
    let mut moves = simple
        .graph
        .nodes
        .iter()
        .filter(|node| matches!(node.op, Op::View(_) | Op::Reshape));
    // Only dw, whose own axes are split, is merged: where it is stored.
    let merge = moves.next().unwrap();
    assert_eq!((&merge.op, &merge.ty.shape), (&Op::Reshape, &vec![48, 5]));
    assert_eq!(moves.next(), None, "{simple}");
    assert_eq!(flops(&simple), 3 * 2 * 2 * 5 * 48);
}

/// A division stays where the inverse would have lost digits or be infinite.
#[test]
fn a_division_becomes_a_product_only_with_a_good_inverse() {
    for (divisor, expected) in [
        (3.0, "mul"),
        (-1e37, "mul"),
        (3e38, "div"),
        (1e-39, "div"),
        (-1e-39, "div"),
    ] {
        let (step, _) = simplified(&[Type::f32([3])], |g, x| {
            let c = g.constant_like(divisor, x[0]);
            g.div(x[0], c)
        });
        assert_eq!(operations(&step).last(), Some(&expected), "{step}");
    }
}

fn matrix_product(m: usize, n: usize, k: usize) -> Contract {
    let d = IndexExpr::dim;
    Contract {
        dims: vec![m, n, k],
        rank: 2,
        a: vec![d(0), d(2)],
        b: vec![d(2), d(1)],
    }
}

/// The backward pass of `max_pool2d(2)` divides no index.
#[test]
fn pooling_backwards_divides_no_index() {
    for (size, pooled) in [(6, 3), (7, 3)] {
        let step = step_of(&[Type::f32([2, 1, size, size])], |g, x| {
            let d = IndexExpr::dim;
            let windows = View::new(
                vec![2, 1, pooled, pooled, 2, 2],
                vec![
                    d(0),
                    d(1),
                    IndexExpr::affine([(2, 2), (4, 1)], 0),
                    IndexExpr::affine([(3, 2), (5, 1)], 0),
                ],
                f64::NEG_INFINITY,
                g.shape(x[0]),
            );
            let windows = g.view(x[0], windows);
            let y = g.max_over(windows, &[4, 5]);
            let square = g.mul(y, y);
            let loss = g.sum(square, &[0, 1, 2, 3]);
            let dx = g.grad(loss, x[0]);
            vec![("dx".to_string(), dx)]
        });
        let simple = simplify(&differentiate(&step));
        let divided = |e: &IndexExpr| e.divisor != 1;
        let views = simple.graph.nodes.iter().filter_map(|node| match &node.op {
            Op::View(view) => Some(view),
            _ => None,
        });
        assert!(!views.flat_map(|view| &view.map).any(divided), "{simple}");
        let merges = simple
            .graph
            .nodes
            .iter()
            .filter(|node| node.op == Op::Reshape)
            .count();
        assert_eq!(merges, 1, "{simple}");
    }
}

/// A convolution over padded windows is one product, forwards and backwards.
#[test]
fn a_convolution_is_three_products() {
    let shapes = [Type::f32([2, 3, 6, 6]), Type::f32([4, 3, 3, 3])];
    let step = step_of(&shapes, |g, x| {
        let d = IndexExpr::dim;
        let pad = View::new(
            vec![2, 3, 8, 8],
            vec![d(0), d(1), d(2).shifted(-1), d(3).shifted(-1)],
            0.0,
            g.shape(x[0]),
        );
        let padded = g.view(x[0], pad);
        let windows = View::new(
            vec![2, 3, 6, 6, 3, 3],
            vec![
                d(0),
                d(1),
                IndexExpr::affine([(2, 1), (4, 1)], 0),
                IndexExpr::affine([(3, 1), (5, 1)], 0),
            ],
            0.0,
            g.shape(padded),
        );
        let windows = g.view(padded, windows);
        let einsum = Contract {
            dims: vec![2, 4, 6, 6, 3, 3, 3],
            rank: 4,
            a: vec![d(0), d(4), d(2), d(3), d(5), d(6)],
            b: vec![d(1), d(4), d(5), d(6)],
        };
        let y = g.contract(windows, x[1], einsum);
        let square = g.mul(y, y);
        let loss = g.sum(square, &[0, 1, 2, 3]);
        let (dx, dw) = (g.grad(loss, x[0]), g.grad(loss, x[1]));
        vec![
            ("loss".to_string(), loss),
            ("dx".to_string(), dx),
            ("dw".to_string(), dw),
        ]
    });
    let simple = simplify(&differentiate(&step));
    assert_eq!(
        simple
            .graph
            .nodes
            .iter()
            .filter(|node| matches!(node.op, Op::Contract(_)))
            .count(),
        3
    );
    assert!(
        !simple
            .graph
            .nodes
            .iter()
            .any(|node| matches!(node.op, Op::View(_) | Op::Reshape)),
        "{simple}"
    );
    assert_eq!(flops(&simple), 2 * (2 * 4 * 6 * 6 * 27) * 3);
}

#[test]
fn a_transposed_product_is_a_product() {
    let (step, _) = simplified(&[Type::f32([3, 4]), Type::f32([4, 2])], |g, x| {
        let y = g.contract(x[0], x[1], matrix_product(3, 2, 4));
        g.transpose(y, &[1, 0])
    });
    assert_eq!(operations(&step), ["contract"]);
}

/// The backward pass of `relu`, spelled either way, looks at its result alone.
#[test]
fn relu_is_undone_by_its_result() {
    for spelled_as_max in [true, false] {
        let step = step_of(&[Type::f32([4]), Type::f32([4])], |g, x| {
            let sum = g.add(x[0], x[1]);
            let zero = g.constant_like(0.0, sum);
            let y = match spelled_as_max {
                true => g.max(sum, zero),
                false => {
                    let positive = g.less(zero, sum);
                    g.select(positive, sum, zero)
                }
            };
            let square = g.mul(y, y);
            let loss = g.sum(square, &[0]);
            let dx = g.grad(loss, x[0]);
            vec![("y".to_string(), y), ("dx".to_string(), dx)]
        });
        let before = differentiate(&step);
        let simple = simplify(&before);
        let mut numbers = Numbers(2);
        let values = [numbers.f32(&[4], -1.0, 1.0), numbers.f32(&[4], -1.0, 1.0)];
        assert_same(&before, &simple, &values, "");
        let y = simple.outputs[0].1;
        let masks = simple.graph.nodes.iter().filter(|node| node.op == Op::Less);
        let of_result = masks.filter(|mask| mask.inputs[1] == y).count();
        assert_eq!(of_result, 1, "{simple}");
        let sum = simple
            .graph
            .nodes
            .iter()
            .position(|node| node.op == Op::Add)
            .unwrap();
        let after = simple.graph.nodes.iter().skip(y.index() + 1);
        assert!(
            after
                .flat_map(|node| &node.inputs)
                .all(|x| x.index() != sum),
            "{simple}"
        );
    }
}
