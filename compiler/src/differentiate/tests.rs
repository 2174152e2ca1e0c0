//! Gradients of whole graphs.
#![allow(clippy::unwrap_used)]

use super::*;
use crate::eval::eval;
use crate::graph::verify;
use crate::ops::{Precision, Tensor};
use crate::testing::{Numbers, random_step, step_of};

/// The outputs of a step that reads vectors of three.
fn outputs(
    inputs: usize,
    build: impl FnOnce(&mut GraphBuilder, &[NodeId]) -> Vec<NodeId>,
) -> (Step, Vec<Tensor>) {
    let ty = Type::f32([3]);
    let step = step_of(&vec![ty.clone(); inputs], |g, x| {
        let results = build(g, x).into_iter().enumerate();
        results.map(|(i, id)| (i.to_string(), id)).collect()
    });
    let step = differentiate(&step);
    verify(&step, "differentiate");
    let mut numbers = Numbers(3);
    let mut values: Vec<Tensor> = (0..inputs).map(|_| numbers.f32(&[3], 0.5, 2.0)).collect();
    let results = eval(&step, &values, &[], Precision::F64);
    values.extend(results.outputs.into_iter().map(|(_, tensor)| tensor));
    (step, values)
}

fn total(g: &mut GraphBuilder, x: NodeId) -> NodeId {
    g.sum(x, &[0])
}

#[test]
fn one_sweep_serves_all_requests_of_a_loss() {
    let (step, values) = outputs(2, |g, x| {
        let product = g.mul(x[0], x[1]);
        let loss = total(g, product);
        vec![g.grad(loss, x[0]), g.grad(loss, x[1]), g.grad(loss, x[0])]
    });
    let [x, y, dx, dy, again] = &values[..] else {
        panic!()
    };
    assert_eq!((dx, dy), (y, x));
    assert_eq!(again, dx);
    assert_eq!(step.outputs[0].1, step.outputs[2].1);
}

#[test]
fn several_ways_to_an_operand_add_up() {
    let (_, values) = outputs(1, |g, x| {
        let square = g.mul(x[0], x[0]);
        let both = g.add(square, x[0]);
        let loss = total(g, both);
        vec![g.grad(loss, x[0])]
    });
    for (x, dx) in values[0].elements.iter().zip(&values[1].elements) {
        assert_eq!(*dx, 2.0 * x + 1.0);
    }
}

#[test]
fn what_a_loss_does_not_know_gets_zeros() {
    let (_, values) = outputs(2, |g, x| {
        let loss = total(g, x[0]);
        let later = g.exp(x[0]);
        vec![g.grad(loss, x[1]), g.grad(loss, later)]
    });
    assert_eq!(values[2].elements, [0.0; 3]);
    assert_eq!(values[3].elements, [0.0; 3]);
}

/// Each gets its zeros and nothing else.
#[test]
fn what_a_loss_does_not_know_costs_no_sweep() {
    let nodes = |unrelated: usize| {
        let (step, _) = outputs(1 + unrelated, |g, x| {
            let slopes = g.exp(x[0]);
            let loss = total(g, slopes);
            x.iter().map(|&x| g.grad(loss, x)).collect()
        });
        step.graph.nodes.len() - unrelated
    };
    assert_eq!(nodes(1), nodes(0) + 1);
    assert_eq!(nodes(20), nodes(0) + 20);
}

#[test]
fn a_stopped_gradient_counts_as_a_constant() {
    let (_, values) = outputs(1, |g, x| {
        let stopped = g.stop_gradient(x[0]);
        let product = g.mul(stopped, x[0]);
        let loss = total(g, product);
        vec![g.grad(loss, x[0])]
    });
    assert_eq!(values[1].elements, values[0].elements);
}

/// The gradient by a value in the middle of the graph.
#[test]
fn gradients_by_intermediate_values() {
    let (_, values) = outputs(1, |g, x| {
        let middle = g.exp(x[0]);
        let square = g.mul(middle, middle);
        let loss = total(g, square);
        vec![middle, g.grad(loss, middle), g.grad(loss, x[0])]
    });
    for i in 0..3 {
        let middle = values[1].elements[i];
        assert_eq!(values[2].elements[i], 2.0 * middle);
        assert_eq!(values[3].elements[i], 2.0 * middle * middle);
    }
}

/// `d/dx of sum of (d/dx of sum of x^3)^2 = 2 * 3x^2 * 6x`
#[test]
fn gradients_of_gradients() {
    let (_, values) = outputs(1, |g, x| {
        let square = g.mul(x[0], x[0]);
        let cube = g.mul(square, x[0]);
        let loss = total(g, cube);
        let slope = g.grad(loss, x[0]);
        let size = g.mul(slope, slope);
        let penalty = total(g, size);
        vec![g.grad(penalty, x[0])]
    });
    for (x, dx) in values[0].elements.iter().zip(&values[1].elements) {
        let expected = 36.0 * x.powi(3);
        assert!((dx - expected).abs() < 1e-9, "{dx}, not {expected}");
    }
}

/// Nothing is computed for data that nobody trains.
#[test]
fn no_gradient_flows_where_none_is_asked_for() {
    let (step, _) = outputs(2, |g, x| {
        let product = g.mul(x[0], x[1]);
        let loss = total(g, product);
        vec![g.grad(loss, x[1])]
    });
    let slope = &step.graph.node(step.outputs[0].1).inputs;
    assert_eq!(
        step.graph.node(slope[1]).op,
        Op::Input(crate::graph::InputId(0))
    );
}

/// Along a random direction, the gradient of a random graph is the slope of its loss.
#[test]
fn gradients_of_random_graphs_are_slopes() {
    let (mut checked, mut kinks) = (0, 0);
    for seed in 0..300 {
        let (step, inputs) = random_step(seed, 3 + seed as usize % 15);
        if step
            .graph
            .nodes
            .iter()
            .any(|node| node.op == Op::StopGradient)
        {
            continue;
        }
        let step = differentiate(&step);
        let loss = |inputs: &[Tensor]| {
            eval(&step, inputs, &[], Precision::F64).outputs[0]
                .1
                .elements[0]
        };
        let mut numbers = Numbers(seed);
        let direction: Vec<Tensor> = inputs[..3]
            .iter()
            .map(|x| numbers.f32(&x.ty.shape, -1.0, 1.0))
            .collect();
        let moved = |distance: f64| {
            let mut moved = inputs.clone();
            for (x, d) in moved.iter_mut().zip(&direction) {
                x.elements
                    .iter_mut()
                    .zip(&d.elements)
                    .for_each(|(x, d)| *x += distance * d);
            }
            loss(&moved)
        };
        let slope = |h: f64| (moved(h) - moved(-h)) / (2.0 * h);
        let results = eval(&step, &inputs, &[], Precision::F64);
        let gradients = results.outputs[1..].iter().zip(&direction);
        let found: f64 = gradients
            .flat_map(|((_, dx), d)| dx.elements.iter().zip(&d.elements))
            .map(|(dx, d)| dx * d)
            .sum();
        // Where a kink lies in between, slopes over two distances differ, or those to both sides.
        let (near, far) = (slope(1e-6), slope(1e-5));
        let (right, left) = (
            (moved(1e-6) - moved(0.0)) * 1e6,
            (moved(0.0) - moved(-1e-6)) * 1e6,
        );
        let tolerance = 1e-4 * (1.0 + near.abs());
        if (near - far).abs() > tolerance || (right - left).abs() > 10.0 * tolerance {
            kinks += 1;
            continue;
        }
        checked += 1;
        assert!(
            (found - near).abs() <= tolerance,
            "seed {seed}: {found}, not {near}\n{step}"
        );
    }
    assert!(
        checked > 150 && kinks < checked / 4,
        "{checked} checked, {kinks} kinks"
    );
}
