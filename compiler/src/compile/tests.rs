//! The whole way: what compiled code makes of random graphs equals what the oracle does.
#![allow(clippy::unwrap_used)]

use super::*;
use crate::eval::eval;
use crate::graph::{Input, InputId, InputKind, Op, Slot, SlotId, SlotKind};
use crate::ops::{Precision, Tensor};
use crate::target::Isa;
use crate::testing::random_step;
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

/// Compiles and runs a step on values for its inputs.
fn run(step: &Step, inputs: &[Tensor], target: &Target) -> Vec<(String, Vec<f64>)> {
    let (step, table) = on_slots(step);
    let program = compile(&step, &table, target, &mut |_| {});
    let mut runner = Runner::new(table, 2).unwrap();
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

#[test]
fn compiled_random_graphs_equal_the_oracle() {
    for seed in 0..150 {
        let isa = [Isa::Portable, Isa::Avx2, Isa::Avx512][seed as usize % 3];
        let (step, mut inputs) = random_step(seed, 3 + seed as usize % 20);
        for input in &mut inputs {
            let dtype = input.ty.dtype;
            let elements = input.elements.iter_mut();
            elements.for_each(|x| *x = Precision::F32.round(*x, dtype));
        }
        let reference = differentiate(&step);
        let exact = eval(&reference, &inputs, &[], Precision::F64);
        let rounded = eval(&reference, &inputs, &[], Precision::F32);
        let found = run(&step, &inputs, &Target::host_with(isa));
        let oracles = exact.outputs.iter().zip(&rounded.outputs);
        for ((name, found), ((_, exact), (_, rounded))) in found.iter().zip(oracles) {
            assert_eq!(found.len(), exact.elements.len());
            for (i, found) in found.iter().enumerate() {
                let (exact, rounded) = (exact.elements[i], rounded.elements[i]);
                let tolerance = 1e-4 * (1.0 + exact.abs()) + 30.0 * (exact - rounded).abs();
                assert!(
                    (found - exact).abs() <= tolerance,
                    "seed {seed}, {isa:?}: {name} at {i} is {found}, not {exact}\n{}",
                    simplify(&reference)
                );
            }
        }
    }
}
