//! The whole way: what compiled code makes of random graphs equals what the oracle does.
#![allow(clippy::unwrap_used)]

use super::*;
use crate::eval::eval;
use crate::graph::{DType, Input, InputId, InputKind, NodeId, Op, Slot, SlotId, SlotKind, Type};
use crate::ops::{Precision, Tensor};
use crate::target::Isa;
use crate::testing::nets::{Bench, pool};
use crate::testing::{Numbers, random_step, recurrences};
use nnc_runtime::Machine as Runner;
use nnc_runtime::program::InputKind as RunnerInput;
use std::sync::Arc;

/// The step with its tensors in slots, as parameters are; the seed stays an input.
fn on_slots(step: &Step) -> (Step, SlotTable) {
    let mut step = step.clone();
    let (seed, tensors) = step.inputs.split_last().unwrap();
    let slots: Vec<Slot> = tensors
        .iter()
        .enumerate()
        .map(|(i, input)| Slot {
            path: format!("x{i}"),
            ty: input.ty.clone(),
            kind: SlotKind::Param,
        })
        .collect();
    for node in &mut step.graph.nodes {
        if let Op::Input(id) = node.op {
            node.op = match id.index() < slots.len() {
                true => Op::Slot(SlotId(id.0)),
                false => Op::Input(InputId(0)),
            };
        }
    }
    step.inputs = vec![Input {
        kind: InputKind::Seed,
        ty: seed.ty.clone(),
    }];
    (step, crate::slot_table(&slots))
}

/// Compiles and runs a step on values for its inputs, on so many threads.
fn run(step: &Step, inputs: &[Tensor], target: &Target, threads: usize) -> Vec<(String, Vec<f64>)> {
    let (step, table) = on_slots(step);
    let program = compile(&step, &table, target, &mut |_| {});
    let mut runner = Runner::new(table, threads).unwrap();
    let handle = runner.load(Arc::new(program)).unwrap();
    let (seed, tensors) = inputs.split_last().unwrap();
    runner.set(handle, &RunnerInput::Seed, seed.elements[0] as i32);
    for (i, value) in tensors.iter().enumerate() {
        let slot = runner.slot_mut::<f32>(i).iter_mut();
        slot.zip(&value.elements).for_each(|(x, v)| *x = *v as f32);
    }
    runner.run(handle);
    let names = step.outputs.iter().map(|(name, _)| name.clone());
    names
        .map(|name| {
            let values = runner.output::<f32>(handle, &name).unwrap();
            let values = values.iter().map(|&x| f64::from(x)).collect();
            (name, values)
        })
        .collect()
}

/// Whether compiled code makes of a step what the oracle does.
fn check(what: &str, step: &Step, inputs: &[Tensor], isa: Isa) {
    let mut inputs = inputs.to_vec();
    for input in &mut inputs {
        let dtype = input.ty.dtype;
        let elements = input.elements.iter_mut();
        elements.for_each(|x| *x = Precision::F32.round(*x, dtype));
    }
    let reference = differentiate(step);
    let exact = eval(&reference, &inputs, &[], Precision::F64);
    let rounded = eval(&reference, &inputs, &[], Precision::F32);
    let found = run(step, &inputs, &Target::host_with(isa), 2);
    let oracles = exact.outputs.iter().zip(&rounded.outputs);
    for ((name, found), ((_, exact), (_, rounded))) in found.iter().zip(oracles) {
        assert_eq!(found.len(), exact.elements.len());
        for (i, found) in found.iter().enumerate() {
            let (exact, rounded) = (exact.elements[i], rounded.elements[i]);
            let tolerance = 1e-4 * (1.0 + exact.abs()) + 30.0 * (exact - rounded).abs();
            assert!(
                (found - exact).abs() <= tolerance,
                "{what}, {isa:?}: {name} at {i} is {found}, not {exact}\n{}",
                simplify(&reference)
            );
        }
    }
}

#[test]
fn compiled_random_graphs_equal_the_oracle() {
    for seed in 0..150 {
        let isa = [Isa::Portable, Isa::Avx2, Isa::Avx512][seed as usize % 3];
        let (step, inputs) = random_step(seed, 3 + seed as usize % 20);
        check(&format!("seed {seed}"), &step, &inputs, isa);
    }
}

/// More tensors of one shape than a kernel can have reductions: the norm of many equal
/// layers, and the sum of as many pooled images.
#[test]
fn many_equal_reductions_equal_the_oracle() {
    const MANY: usize = 70;
    let mut numbers = Numbers(1);
    for shape in [vec![4, 6], vec![2, 3, 4, 4]] {
        let mut b = Bench::new();
        let tensors: Vec<NodeId> = (0..MANY)
            .map(|_| b.input(Type::f32(shape.clone())))
            .collect();
        b.input(Type {
            dtype: DType::I32,
            shape: Vec::new(),
        });
        let parts = tensors.iter().map(|&x| match shape.len() {
            2 => {
                let square = b.g.mul(x, x);
                b.g.sum(square, &[0, 1])
            }
            _ => pool(&mut b.g, x),
        });
        let parts: Vec<NodeId> = parts.collect();
        let total = parts.iter().copied().reduce(|sum, part| b.g.add(sum, part));
        let norm = b.g.sqrt(total.unwrap());
        b.output(norm);
        for &part in &parts {
            let share = b.g.div(part, norm);
            b.output(share);
        }
        let mut inputs: Vec<Tensor> = (0..MANY).map(|_| numbers.f32(&shape, 0.5, 1.5)).collect();
        inputs.push(numbers.typed(DType::I32, &[]));
        check("many reductions", &b.step(), &inputs, Target::host().isa);
    }
}

/// Loops over time with a batch that is cut into parts, and with one that is not; and each
/// the same, bit for bit, on any number of threads.
#[test]
fn loops_over_time_equal_the_oracle() {
    for seed in 0..6 {
        for (what, mut step) in recurrences(seed) {
            let mut inputs: Vec<Tensor> = step
                .inputs
                .iter()
                .map(|input| Numbers(seed).f32(&input.ty.shape, -1.0, 1.0))
                .collect();
            let ty = Type {
                dtype: DType::I32,
                shape: Vec::new(),
            };
            step.inputs.push(Input {
                kind: InputKind::Seed,
                ty: ty.clone(),
            });
            inputs.push(Numbers(seed).typed(DType::I32, &ty.shape));
            for isa in Isa::ALL {
                check(&format!("{what}, seed {seed}"), &step, &inputs, isa);
            }
            let on = |threads| run(&step, &inputs, &Target::host(), threads);
            assert_eq!(on(1), on(5), "{what}, seed {seed}");
        }
    }
}
