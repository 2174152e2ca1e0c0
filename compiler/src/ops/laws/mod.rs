//! What holds for every operation of the table.
#![allow(clippy::unwrap_used)]

mod lowering;
mod samples;

use super::*;
use crate::differentiate::differentiate;
use crate::eval::eval;
use crate::graph::{Op, Step, View, flops, verify};
use crate::index::IndexExpr;
use crate::testing::{Numbers, step_of};
use samples::{Sample, contracts, samples};
use std::collections::BTreeSet;

/// The nearest tensor that can be stored.
fn as_f32(x: &Tensor) -> Tensor {
    Tensor::pointwise(&[x], &x.ty, Precision::F32, |x, _| x[0])
}

fn rounds() -> impl Iterator<Item = Sample> {
    (0..10).flat_map(|seed| samples(&mut Numbers(seed)))
}

#[test]
fn every_operation_is_documented_and_tried() {
    let tried: BTreeSet<&str> = rounds().map(|sample| name(&sample.op)).collect();
    for (name, source) in SOURCES {
        let doc: Vec<&str> = source
            .lines()
            .take_while(|line| line.starts_with("//!"))
            .collect();
        assert!(
            source.starts_with("//! ") && doc[0].contains('`'),
            "{name} says too little"
        );
        let says = |word: &str| doc.iter().any(|line| line.contains(word));
        assert!(
            says("radient") || source.contains("A leaf"),
            "{name}: what of its gradient?"
        );
        let bound = ["bound", "gradient", "scan", "part"].contains(name);
        assert!(bound || tried.contains(name), "{name} is never tried");
    }
}

#[test]
fn infer_agrees_with_eval() {
    for Sample { op, x, given } in rounds() {
        let x: Vec<Tensor> = x.iter().map(as_f32).collect();
        let operands: Vec<&Tensor> = x.iter().collect();
        let types: Vec<&Type> = x.iter().map(|x| &x.ty).collect();
        let ty = infer(&op, &types, given.as_ref()).unwrap();
        for precision in [Precision::F32, Precision::F64] {
            let y = super::eval(&op, &operands, &ty, precision);
            assert_eq!((&y.ty, y.elements.len()), (&ty, ty.elements()), "{op:?}");
            let stored = |&e: &f64| precision.round(e, ty.dtype).to_bits() == e.to_bits();
            assert!(y.elements.iter().all(stored), "{op:?} is not rounded");
        }
    }
}

#[test]
fn infer_rejects_what_does_not_fit() {
    let (x, i, mask) = (
        Type::f32([2, 3]),
        Type {
            dtype: DType::I32,
            shape: vec![2, 3],
        },
        Type {
            dtype: DType::Bool,
            shape: vec![2, 3],
        },
    );
    let other = Type::f32([3, 2]);
    let cases: Vec<(Op, Vec<&Type>)> = vec![
        (Op::Add, vec![&x]),
        (Op::Add, vec![&x, &other]),
        (Op::Add, vec![&x, &i]),
        (Op::Exp, vec![&i]),
        (Op::Not, vec![&x]),
        (Op::Select, vec![&x, &x, &x]),
        (Op::Select, vec![&mask, &x, &other]),
        (Op::Cast(DType::F32), vec![&x]),
        (Op::Sum { axes: vec![2] }, vec![&x]),
        (Op::Sum { axes: vec![1, 0] }, vec![&x]),
        (Op::Sum { axes: vec![] }, vec![&x]),
        (Op::Constant(0.0), vec![]),
        (Op::Reshape, vec![&x]),
        (Op::Grad, vec![&x, &x]),
        (Op::Uniform { stream: 0 }, vec![&x]),
        (
            Op::View(View {
                shape: vec![2],
                map: vec![IndexExpr::dim(0)],
                fill: 0.0,
            }),
            vec![&x],
        ),
        (
            Op::View(View {
                shape: vec![2],
                map: vec![IndexExpr::dim(0), IndexExpr::dim(1)],
                fill: 0.0,
            }),
            vec![&x],
        ),
    ];
    for (op, types) in cases {
        assert!(infer(&op, &types, None).is_err(), "{op:?} of {types:?}");
    }
}

/// `loss = sum of y * weight` and its gradients by all real operands.
fn gradient_step(Sample { op, x, given }: &Sample) -> (Step, Vec<Tensor>) {
    let types: Vec<&Type> = x.iter().map(|x| &x.ty).collect();
    let ty = infer(op, &types, given.as_ref()).unwrap();
    let mut weights = Numbers(77);
    let mut inputs = x.clone();
    inputs.push(weights.f32(&ty.shape, 0.5, 1.5));
    let types: Vec<Type> = inputs.iter().map(|x| x.ty.clone()).collect();
    let step = step_of(&types, |g, nodes| {
        let (&weight, operands) = nodes.split_last().unwrap();
        let y = g.push_as(op.clone(), operands, ty.clone());
        let weighted = g.mul(y, weight);
        let axes: Vec<usize> = (0..ty.shape.len()).collect();
        let loss = g.sum(weighted, &axes);
        let mut outputs = vec![("loss".to_string(), loss)];
        for (i, &operand) in operands.iter().enumerate() {
            if g.ty(operand).dtype == DType::F32 {
                let gradient = g.grad(loss, operand);
                outputs.push((format!("{i}"), gradient));
            }
        }
        outputs
    });
    (step, inputs)
}

#[test]
fn grad_agrees_with_central_differences() {
    const H: f64 = 1e-5;
    for sample in rounds() {
        let types: Vec<&Type> = sample.x.iter().map(|x| &x.ty).collect();
        let ty = infer(&sample.op, &types, sample.given.as_ref()).unwrap();
        if ty.dtype != DType::F32 {
            continue;
        }
        let (step, mut inputs) = gradient_step(&sample);
        let step = differentiate(&step);
        verify(&step, "differentiate");
        let stopped = matches!(sample.op, Op::StopGradient);
        let results = eval(&step, &inputs, &[], Precision::F64);
        let loss = |inputs: &[Tensor]| {
            eval(&step, inputs, &[], Precision::F64).outputs[0]
                .1
                .elements[0]
        };
        for (name, gradient) in &results.outputs[1..] {
            let operand: usize = name.parse().unwrap();
            for (i, &slope) in gradient.elements.iter().enumerate() {
                let at = inputs[operand].elements[i];
                inputs[operand].elements[i] = at + H;
                let above = loss(&inputs);
                inputs[operand].elements[i] = at - H;
                let below = loss(&inputs);
                inputs[operand].elements[i] = at;
                let expected = if stopped {
                    0.0
                } else {
                    (above - below) / (2.0 * H)
                };
                let error = (slope - expected).abs();
                assert!(
                    error <= 1e-6 * (1.0 + expected.abs()),
                    "{:?} by operand {operand} at {i}: {slope}, not {expected}\n{step}",
                    sample.op
                );
            }
        }
    }
}

/// Each of the two backward products costs what the forward one does.
#[test]
fn gradients_of_products_are_as_cheap_as_the_product() {
    let mut numbers = Numbers(5);
    for (a, b, contract) in contracts(&mut numbers) {
        let sample = Sample {
            x: vec![numbers.f32(&a, -1.0, 1.0), numbers.f32(&b, -1.0, 1.0)],
            op: Op::Contract(contract.clone()),
            given: None,
        };
        let (step, _) = gradient_step(&sample);
        let total = flops(&differentiate(&step));
        assert!(total <= 3 * contract.flops(&a, &b), "{contract:?}: {total}");
    }
}

#[test]
fn greatest_elements_share_the_gradient() {
    let sample = Sample {
        op: Op::MaxOver { axes: vec![0] },
        x: vec![Tensor {
            ty: Type::f32([4]),
            elements: vec![1.0, 3.0, 2.0, 3.0],
        }],
        given: None,
    };
    let (step, inputs) = gradient_step(&sample);
    let results = eval(&differentiate(&step), &inputs, &[], Precision::F64);
    let dy = inputs[1].elements[0];
    assert_eq!(
        results.outputs[1].1.elements,
        [0.0, dy / 2.0, 0.0, dy / 2.0]
    );
}

/// At a tie of `max(x, 0)` nothing passes to x.
#[test]
fn relu_has_slope_zero_at_zero() {
    let ty = Type::f32([3]);
    let sample = Sample {
        op: Op::Max,
        x: vec![
            Tensor {
                ty: ty.clone(),
                elements: vec![-1.0, 0.0, 1.0],
            },
            Tensor {
                ty,
                elements: vec![0.0; 3],
            },
        ],
        given: None,
    };
    let (step, inputs) = gradient_step(&sample);
    let results = eval(&differentiate(&step), &inputs, &[], Precision::F64);
    assert_eq!(results.outputs[1].1.elements[..2], [0.0, 0.0]);
    assert!(results.outputs[1].1.elements[2] > 0.0);
}
