#![allow(clippy::unwrap_used)]

use super::{ELEMENT_BYTES, Schedule, schedule, slot_table};
use crate::differentiate::differentiate;
use crate::fuse::fuse;
use crate::graph::{Slot, SlotKind, Step, Type};
use crate::nest::{Address, Elements, Role, Scalar, Value, interpret_at, verify_kernel};
use crate::ops::Tensor;
use crate::simplify::simplify;
use crate::target::{Isa, Target, Without};
use crate::testing::nets::{Bench, cnn, deep};
use crate::testing::{elements, expected, random_step, values_for};
use nnc_runtime::program::{Region, SlotTable};

/// Schedules a step and runs it twice in the memory that it was given, on the same
/// numbers: places are shared rightly, borders stay zero, nothing lasts from the step before.
fn check(step: &Step, inputs: &[Tensor], slots: &[Tensor], target: &Target) -> Schedule {
    let table = slot_table(&slots.iter().map(slot).collect::<Vec<Slot>>());
    let scheduled = schedule(fuse(step), &table, target);
    let text = scheduled.to_string();
    let expected = expected(step, inputs, slots);
    let mut memory = [
        vec![Some(Value::F32(0.0)); scheduled.arena_bytes / ELEMENT_BYTES],
        vec![None; table.bytes / ELEMENT_BYTES],
        vec![None; scheduled.input_bytes() / ELEMENT_BYTES],
    ];
    for _ in 0..2 {
        fill(&scheduled, &table, &mut memory, inputs, slots);
        run(&scheduled, &mut memory);
        expected.compare(
            |output| {
                let placed = &scheduled.buffers[scheduled.outputs[output].1.index()];
                let start = placed.place.offset / ELEMENT_BYTES;
                memory[0][start..start + placed.layout.elements].to_vec()
            },
            |slot| {
                let start = table.slots[slot.index()].offset / ELEMENT_BYTES;
                let count = slots[slot.index()].elements.len();
                memory[1][start..start + count].to_vec()
            },
            &text,
        );
        borders_are_zero(&scheduled, &memory[0]);
    }
    scheduled
}

fn slot(tensor: &Tensor) -> Slot {
    Slot {
        path: String::new(),
        ty: tensor.ty.clone(),
        kind: SlotKind::Param,
    }
}

fn fill(
    scheduled: &Schedule,
    table: &SlotTable,
    memory: &mut [Elements; 3],
    inputs: &[Tensor],
    slots: &[Tensor],
) {
    for (tensor, binding) in slots.iter().zip(&table.slots) {
        let start = binding.offset / ELEMENT_BYTES;
        memory[1][start..start + tensor.elements.len()].copy_from_slice(&elements(tensor));
    }
    for placed in &scheduled.buffers {
        if let Role::Input(id) = placed.buffer.role {
            let start = placed.place.offset / ELEMENT_BYTES;
            let values = elements(&inputs[id.index()]);
            memory[2][start..start + values.len()].copy_from_slice(&values);
        }
    }
}

fn run(scheduled: &Schedule, memory: &mut [Elements; 3]) {
    let buffers: Vec<_> = scheduled
        .buffers
        .iter()
        .map(|placed| placed.buffer.clone())
        .collect();
    let addresses = scheduled.buffers.iter().map(|placed| Address {
        memory: match placed.place.region {
            Region::Arena => 0,
            Region::Slots => 1,
            Region::Inputs => 2,
        },
        base: placed.place.offset / ELEMENT_BYTES + placed.layout.base,
        strides: placed.layout.strides.clone(),
    });
    let addresses: Vec<Address> = addresses.collect();
    for planned in &scheduled.kernels {
        verify_kernel(&planned.kernel, &buffers)
            .unwrap_or_else(|fault| panic!("{fault}\n{}", planned.kernel));
        interpret_at(&planned.kernel, &buffers, &addresses, memory);
    }
}

/// Elements of the arena that belong to a border.
fn borders_are_zero(scheduled: &Schedule, arena: &Elements) {
    for placed in &scheduled.buffers {
        let layout = &placed.layout;
        if layout.border.iter().all(|&border| border == (0, 0)) {
            continue;
        }
        let start = placed.place.offset / ELEMENT_BYTES;
        for (offset, value) in arena[start..start + layout.elements].iter().enumerate() {
            let is_border = layout.order.iter().any(|&axis| {
                let (before, after) = layout.border[axis];
                let index = offset / layout.strides[axis] % (before + layout.extents[axis] + after);
                index < before || index >= before + layout.extents[axis]
            });
            assert!(!is_border || *value == Some(Value::F32(0.0)), "{placed}");
        }
    }
}

fn targets() -> impl Iterator<Item = Target> {
    let isas = Isa::ALL.into_iter().map(|isa| Target {
        isa,
        ..Target::host()
    });
    let without = Without {
        direct_convolution: true,
        sharing: true,
        ..Without::default()
    };
    isas.chain([Target {
        without,
        ..Target::host()
    }])
}

#[test]
fn a_training_step_of_mnist_cnn() {
    for target in targets() {
        for sizes in [(2, 4, [3, 4], 5, 3), (3, 6, [2, 5], 17, 4)] {
            let (batch, side, channels, hidden, classes) = sizes;
            let step = simplify(&cnn(batch, side, channels, hidden, classes));
            let (inputs, slots) = values_for(&step);
            check(&step, &inputs, &slots, &target);
        }
    }
}

#[test]
fn random_graphs_run_in_their_memory() {
    for seed in 0..100 {
        let (step, inputs) = random_step(seed, 4 + seed as usize % 20);
        let step = simplify(&differentiate(&step));
        for target in targets() {
            check(&step, &inputs, &[], &target);
        }
    }
}

#[test]
fn loops_over_time_run_in_their_memory() {
    for seed in 0..4 {
        for (_, step) in crate::testing::recurrences(seed) {
            let step = simplify(&differentiate(&step));
            let (inputs, slots) = values_for(&step);
            for target in targets() {
                check(&step, &inputs, &slots, &target);
            }
        }
    }
}

/// Work is counted, not time: of a network ten times as deep no more kernels are planned,
/// and no more code is made.
#[test]
fn a_deep_network_has_few_distinct_kernels() {
    let distinct = |layers: usize| {
        let step = simplify(&deep(layers));
        let (_, slots) = values_for(&step);
        let table = slot_table(&slots.iter().map(slot).collect::<Vec<Slot>>());
        let target = Target::host();
        let kernels = fuse(&step);
        let layouts = super::layouts::layouts(&kernels, super::LARGEST_BORDERED, &target);
        let alone = kernels.kernels.iter();
        let alone = alone.map(|kernel| super::Alone::new(kernel, &kernels.buffers, &layouts));
        let (planned, which) = super::distinct(alone);
        let scheduled = schedule(fuse(&step), &table, &target);
        let plans = scheduled.kernels.iter().map(|kernel| &*kernel.plan);
        let plans: std::collections::HashSet<&super::Plan> = plans.collect();
        assert!(which.len() > 2 * layers, "{}", which.len());
        (planned.len(), plans.len())
    };
    assert_eq!(distinct(10), distinct(50));
}

/// In updates that compare nothing; what is no update, or is added to itself, stays as it is.
#[test]
fn products_that_are_only_added_are_rounded_once() {
    let cases = [
        // (added to itself, an update, compared), and how many are rounded once.
        ((false, true, false), 1),
        ((true, true, false), 0),
        ((false, false, false), 0),
        ((false, true, true), 0),
    ];
    for ((twice, update, compared), fused) in cases {
        let mut b = Bench::new();
        let (slot, w) = b.slot(&[40]);
        let [x, y, z] = [(); 3].map(|()| b.input(Type::f32([40])));
        let product = b.g.mul(x, y);
        let sum = b.g.add(product, if twice { product } else { z });
        let new = match compared {
            true => {
                let mask = b.g.less(w, sum);
                b.g.select(mask, w, sum)
            }
            false => sum,
        };
        if !update {
            b.output(new);
        }
        let mut step = b.step();
        if update {
            step.updates.push((slot, new));
        }
        let (inputs, slots) = values_for(&step);
        for target in targets() {
            let scheduled = check(&step, &inputs, &slots, &target);
            let scalars = scheduled
                .kernels
                .iter()
                .flat_map(|planned| &planned.kernel.scalars);
            let found = scalars
                .filter(|scalar| matches!(scalar, Scalar::Fma(..)))
                .count();
            let expected = if target.isa == Isa::Portable {
                0
            } else {
                fused
            };
            assert_eq!(found, expected, "{scheduled}");
        }
    }
}
