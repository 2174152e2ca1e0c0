//! What the builder makes of views, merges and products equals what was asked for.
#![allow(clippy::unwrap_used)]

use super::*;
use crate::eval::eval;
use crate::index::IndexExpr;
use crate::ops::{Precision, Tensor};
use crate::testing::{Numbers, step_of};

/// Two graphs of the same inputs must come to the same.
fn assert_equal(
    inputs: &[Tensor],
    plain: impl FnOnce(&mut GraphBuilder, &[NodeId]) -> NodeId,
    built: impl FnOnce(&mut GraphBuilder, &[NodeId]) -> NodeId,
) {
    let types: Vec<Type> = inputs.iter().map(|x| x.ty.clone()).collect();
    let step = step_of(&types, |g, x| {
        vec![
            ("plain".to_string(), plain(g, x)),
            ("built".to_string(), built(g, x)),
        ]
    });
    let results = eval(&step, inputs, &[], Precision::F64);
    let (plain, built) = (&results.outputs[0].1, &results.outputs[1].1);
    assert_eq!(plain.ty, built.ty);
    for (a, b) in plain.elements.iter().zip(&built.elements) {
        assert!((a - b).abs() < 1e-12, "{a} became {b}\n{step}");
    }
}

/// A random chain of views, each of what the one before makes.
fn chain(numbers: &mut Numbers, shape: &[usize], length: usize) -> Vec<View> {
    let mut views: Vec<View> = Vec::new();
    for _ in 0..length {
        let shape = views.last().map_or(shape, |view| &view.shape);
        if shape.iter().product::<usize>() > 300 {
            break;
        }
        let view = numbers.view(shape);
        views.push(view);
    }
    views
}

fn tensor(numbers: &mut Numbers) -> Tensor {
    let rank = 1 + numbers.below(3);
    let shape = numbers.shape(rank);
    numbers.f32(&shape, -1.0, 1.0)
}

#[test]
fn composed_views_read_what_the_views_read() {
    let mut merged = 0;
    for seed in 0..2000 {
        let numbers = &mut Numbers(seed);
        let x = tensor(numbers);
        let views = chain(numbers, &x.ty.shape, 4);
        let mut g = GraphBuilder::new();
        let input = g.input(InputId(0), x.ty.clone());
        views.iter().fold(input, |x, view| g.view(x, view.clone()));
        merged += usize::from(g.graph().nodes.last().unwrap().inputs == [input]);
        assert_equal(
            &[x],
            |g, x| {
                views
                    .iter()
                    .fold(x[0], |x, view| g.push(Op::View(view.clone()), &[x]))
            },
            |g, x| views.iter().fold(x[0], |x, view| g.view(x, view.clone())),
        );
    }
    assert!(merged > 500, "only {merged} chains became one view");
}

#[test]
fn cropping_and_padding_back_is_not_the_identity() {
    let x = Tensor {
        ty: Type::f32([4]),
        elements: vec![1.0, 2.0, 3.0, 4.0],
    };
    let crop = View::new(vec![2], vec![IndexExpr::dim(0).shifted(1)], 0.0, &[4]);
    let pad = View::new(vec![4], vec![IndexExpr::dim(0).shifted(-1)], 0.0, &[2]);
    let step = step_of(std::slice::from_ref(&x.ty), |g, x| {
        let cropped = g.view(x[0], crop);
        vec![("y".to_string(), g.view(cropped, pad))]
    });
    let y = eval(&step, &[x], &[], Precision::F64);
    assert_eq!(y.outputs[0].1.elements, [0.0, 2.0, 3.0, 0.0]);
}

/// Random changes of shape, some split, some merge, some both, some go all the way
/// through one axis: the elements and their order stay.
#[test]
fn reshapes_keep_elements_in_order() {
    for seed in 0..1000 {
        let numbers = &mut Numbers(seed);
        let count = [1, 6, 12, 24, 36, 60][numbers.below(6)];
        let shapes: Vec<Vec<usize>> = (0..4).map(|_| numbers.shape_of(count)).collect();
        let x = numbers.f32(&shapes[0], -1.0, 1.0);
        let expected = x.elements.clone();
        let step = step_of(std::slice::from_ref(&x.ty), |g, x| {
            let y = shapes.iter().fold(x[0], |x, shape| g.reshape(x, shape));
            vec![("y".to_string(), y)]
        });
        let results = eval(&step, &[x], &[], Precision::F64);
        assert_eq!(results.outputs[0].1.ty.shape, shapes[3]);
        assert_eq!(
            results.outputs[0].1.elements, expected,
            "{shapes:?}\n{step}"
        );
    }
}

#[test]
fn splitting_what_was_merged_is_nothing() {
    let step = step_of(&[Type::f32([2, 3, 4, 5])], |g, x| {
        let flat = g.reshape(x[0], &[2, 60]);
        let y = g.reshape(flat, &[2, 3, 4, 5]);
        assert_eq!(y, x[0]);
        vec![("y".to_string(), y)]
    });
    assert_eq!(step.outputs[0].1, NodeId(0));
}

/// A matrix product of what random views and merges leave of two tensors.
#[test]
fn composed_products_equal_plain_ones() {
    for seed in 0..2000 {
        let numbers = &mut Numbers(seed);
        let tensors = [tensor(numbers), tensor(numbers)];
        let chains = [0, 1].map(|side| {
            let views = chain(numbers, &tensors[side].ty.shape, 2);
            let shape = views
                .last()
                .map_or(&tensors[side].ty.shape, |view| &view.shape);
            let merged = numbers.merge_of(&shape.clone());
            (views, merged)
        });
        // Every axis of a times every axis of b, one of each running together if they agree.
        let shapes = [0, 1].map(|side: usize| chains[side].1.clone());
        let shared = (0..shapes[0].len())
            .flat_map(|i| (0..shapes[1].len()).map(move |j| (i, j)))
            .find(|&(i, j)| shapes[0][i] == shapes[1][j]);
        let mut dims = shapes[0].clone();
        let a: Vec<IndexExpr> = (0..dims.len()).map(IndexExpr::dim).collect();
        let mut b = Vec::new();
        for (axis, &size) in shapes[1].iter().enumerate() {
            match shared {
                Some((i, j)) if j == axis => b.push(IndexExpr::dim(i)),
                _ => {
                    b.push(IndexExpr::dim(dims.len()));
                    dims.push(size);
                }
            }
        }
        if dims.iter().product::<usize>() > 20_000 {
            continue;
        }
        let rank = numbers.below(dims.len() + 1);
        let contract = Contract { dims, rank, a, b };
        let operands = |g: &mut GraphBuilder, x: &[NodeId], composed: bool| {
            [0, 1].map(|side: usize| {
                let (views, merged) = &chains[side];
                let y = views.iter().fold(x[side], |x, view| match composed {
                    true => g.view(x, view.clone()),
                    false => g.push(Op::View(view.clone()), &[x]),
                });
                match composed || g.shape(y) == merged.as_slice() {
                    true => g.reshape(y, merged),
                    false => g.push_as(Op::Reshape, &[y], Type::f32(merged.clone())),
                }
            })
        };
        assert_equal(
            &tensors,
            |g, x| {
                let x = operands(g, x, false);
                g.push(Op::Contract(contract.clone()), &x)
            },
            |g, x| {
                let [a, b] = operands(g, x, true);
                g.contract(a, b, contract.clone())
            },
        );
    }
}

#[test]
fn the_verifier_finds_what_is_wrong() {
    let good = step_of(&[Type::f32([2])], |g, x| {
        vec![("y".to_string(), g.exp(x[0]))]
    });
    type Spoil = fn(&mut Step);
    let spoilt: [(&str, Spoil); 6] = [
        ("does not come before", |step| {
            step.graph.nodes[1].inputs[0] = NodeId(1);
        }),
        ("not Type", |step| step.graph.nodes[1].ty = Type::f32([3])),
        ("operand", |step| step.graph.nodes[1].inputs.clear()),
        ("does not exist", |step| step.outputs[0].1 = NodeId(7)),
        ("reads", |step| step.inputs.clear()),
        ("updated twice", |step| {
            step.updates = vec![(SlotId(0), NodeId(1)); 2];
        }),
    ];
    for (what, spoil) in spoilt {
        let mut step = good.clone();
        spoil(&mut step);
        let fault = std::panic::catch_unwind(|| verify(&step, "the test")).unwrap_err();
        let message = fault.downcast_ref::<String>().unwrap();
        assert!(
            message.contains(what) && message.contains("the test"),
            "{message}"
        );
    }
}

#[test]
fn a_dump_reads_well() {
    let step = step_of(&[Type::f32([2, 3, 8]), Type::f32([5])], |g, x| {
        let pad = View::new(
            vec![2, 3, 10],
            vec![
                IndexExpr::dim(0),
                IndexExpr::dim(1),
                IndexExpr::dim(2).shifted(-1),
            ],
            f64::NEG_INFINITY,
            &[2, 3, 8],
        );
        let padded = g.view(x[0], pad);
        let flat = g.reshape(padded, &[6, 10]);
        let greatest = g.max_over(flat, &[1]);
        let zero = g.constant_like(0.0, greatest);
        let positive = g.less(zero, greatest);
        let count = g.cast(positive, DType::I32);
        let outer = Contract {
            dims: vec![6, 5],
            rank: 2,
            a: vec![IndexExpr::dim(0)],
            b: vec![IndexExpr::dim(1)],
        };
        let product = g.contract(greatest, x[1], outer);
        vec![
            ("count".to_string(), count),
            ("product".to_string(), product),
        ]
    });
    let expected = "\
step train
  in0: f32[2, 3, 8] = Field(\"x0\")
  in1: f32[5] = Field(\"x1\")
  # train
  %0: f32[2, 3, 8] = in0
  %1: f32[5] = in1
  %2: f32[2, 3, 10] = view[i0, i1, i2-1] else -inf %0
  %3: f32[6, 10] = reshape %2
  %4: f32[6] = max_over[1] %3
  %5: f32[6] = 0.0
  %6: bool[6] = less %5, %4
  %7: i32[6] = cast %6
  %8: f32[6, 5] = contract[a[i0] * b[i1]] %4, %1
  output count = %7
  output product = %8
";
    assert_eq!(step.to_string(), expected);
    let dot = step.dot();
    assert!(
        dot.starts_with("digraph") && dot.contains("n4 -> n6;") && dot.ends_with("}\n"),
        "{dot}"
    );
}
