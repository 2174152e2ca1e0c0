//! Steps that run, in the oracle or as compiled code.

use nnc_compiler::differentiate::differentiate;
use nnc_compiler::eval::eval;
use nnc_compiler::graph::{DType, Input, InputKind, Model, Phase, Step};
use nnc_compiler::ops::{Precision, Tensor};
use nnc_compiler::target::{Isa, Target};
use nnc_compiler::{compile, slot_table};
use nnc_runtime::program::InputKind as Filled;
use nnc_runtime::{Handle, Machine};
use std::sync::Arc;

/// Who performs steps.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum By {
    /// The interpreter, in double precision: what the library's text means.
    Oracle,
    /// Compiled code, on two threads: what users get.
    Code(Isa),
}

/// A phase of a model, with values in its slots.
pub enum Run {
    Oracle {
        step: Step,
        slots: Vec<Tensor>,
    },
    Code {
        step: Step,
        slots: Vec<Tensor>,
        machine: Machine,
        handle: Handle,
    },
}

impl Run {
    pub fn new(model: &Model, phase: Phase, slots: &[Tensor], by: By) -> Run {
        let step = model.steps[&phase].clone();
        let mut run = match by {
            By::Oracle => Run::Oracle {
                step: differentiate(&step),
                slots: Vec::new(),
            },
            By::Code(isa) => {
                let table = slot_table(&model.slots);
                let program = compile(&step, &table, &Target::host_with(isa), &mut |_| {});
                let mut machine = Machine::new(table, 2).unwrap();
                let handle = machine.load(Arc::new(program)).unwrap();
                Run::Code {
                    step,
                    slots: Vec::new(),
                    machine,
                    handle,
                }
            }
        };
        run.set_slots(slots);
        run
    }

    /// Gives the slots these values.
    pub fn set_slots(&mut self, values: &[Tensor]) {
        match self {
            Run::Oracle { slots, .. } => *slots = values.to_vec(),
            Run::Code { slots, machine, .. } => {
                *slots = values.to_vec();
                for (number, slot) in values.iter().enumerate() {
                    fill(machine.slot_mut(number), slot);
                }
            }
        }
    }

    /// Performs a step on what `input` gives; the first result.
    pub fn step(&mut self, input: &dyn Fn(&Input) -> Tensor) -> Vec<f64> {
        match self {
            Run::Oracle { step, slots } => {
                let inputs: Vec<Tensor> = step.inputs.iter().map(input).collect();
                let results = eval(step, &inputs, slots, Precision::F64);
                for (slot, next) in results.updates {
                    slots[slot.index()] = next;
                }
                results.outputs[0].1.elements.clone()
            }
            Run::Code {
                step,
                slots,
                machine,
                handle,
            } => {
                for of in &step.inputs {
                    let values = input(of);
                    let kind = match &of.kind {
                        InputKind::Field(name) => Filled::Field(name.clone()),
                        InputKind::Step => Filled::Step,
                        other => panic!("nothing fills {other:?}"),
                    };
                    match of.ty.dtype {
                        DType::I32 => {
                            let places = machine.input::<i32>(*handle, &kind).unwrap();
                            let values = places.iter_mut().zip(&values.elements);
                            values.for_each(|(place, &value)| *place = value as i32);
                        }
                        _ => fill(machine.input(*handle, &kind).unwrap(), &values),
                    }
                }
                machine.run(*handle);
                for (number, slot) in slots.iter_mut().enumerate() {
                    let values = machine.slot::<f32>(number).iter();
                    slot.elements = values.map(|&value| f64::from(value)).collect();
                }
                let result = machine.output::<f32>(*handle, &step.outputs[0].0).unwrap();
                result.iter().map(|&value| f64::from(value)).collect()
            }
        }
    }

    /// The slots after the last step.
    pub fn slots(&self) -> &[Tensor] {
        match self {
            Run::Oracle { slots, .. } | Run::Code { slots, .. } => slots,
        }
    }
}

fn fill(places: &mut [f32], values: &Tensor) {
    let pairs = places.iter_mut().zip(&values.elements);
    pairs.for_each(|(place, &value)| *place = value as f32);
}
