//! Running steps on numbers and comparing what comes out.

#![allow(clippy::unwrap_used)]

use super::Numbers;
use crate::eval::{Results, eval};
use crate::graph::{DType, Op, SlotId, Step, Type};
use crate::nest::{Elements, Value};
use crate::ops::{Precision, Tensor};

/// Inputs and slots for a step.
pub fn values_for(step: &Step) -> (Vec<Tensor>, Vec<Tensor>) {
    let mut numbers = Numbers(1);
    let inputs = step
        .inputs
        .iter()
        .map(|input| values(&mut numbers, &input.ty))
        .collect();
    let mut slots: Vec<Tensor> = Vec::new();
    for (_, node) in step.graph.iter() {
        if let Op::Slot(id) = node.op {
            let none = Tensor::from_fn(&Type::f32([]), |_| 0.0);
            slots.resize(slots.len().max(id.index() + 1), none);
            slots[id.index()] = values(&mut numbers, &node.ty);
        }
    }
    (inputs, slots)
}

fn values(numbers: &mut Numbers, ty: &Type) -> Tensor {
    match ty.dtype {
        DType::I32 => Tensor::from_fn(ty, |_| numbers.below(3) as f64),
        _ => numbers.f32(&ty.shape, -1.0, 1.0),
    }
}

/// A tensor's elements as an interpreter's memory.
pub fn elements(tensor: &Tensor) -> Elements {
    let values = tensor.elements.iter().map(|&x| match tensor.ty.dtype {
        DType::I32 => Value::I32(x as i32),
        _ => Value::F32(x as f32),
    });
    values.map(Some).collect()
}

/// What a step makes, by the oracle.
pub struct Expected {
    rounded: Results,
    exact: Results,
}

/// What a step makes of these numbers.
pub fn expected(step: &Step, inputs: &[Tensor], slots: &[Tensor]) -> Expected {
    Expected {
        rounded: eval(step, inputs, slots, Precision::F32),
        exact: eval(step, inputs, slots, Precision::F64),
    }
}

impl Expected {
    /// Compares the results found with those of the oracle.
    pub fn compare(
        &self,
        output: impl Fn(usize) -> Elements,
        slot: impl Fn(SlotId) -> Elements,
        context: &str,
    ) {
        let outputs = self.rounded.outputs.iter().zip(&self.exact.outputs);
        for (position, ((name, rounded), (_, exact))) in outputs.enumerate() {
            compare(name, &output(position), rounded, exact, context);
        }
        let updates = self.rounded.updates.iter().zip(&self.exact.updates);
        for ((id, rounded), (_, exact)) in updates {
            compare(&id.to_string(), &slot(*id), rounded, exact, context);
        }
    }
}

/// Sums are added in another order than the oracle's. Functions are polynomials, up to
/// five units in the last place off where the oracle's are half a unit off: what half a
/// unit does to the oracle's result may be done to this one tenfold.
fn compare(name: &str, found: &[Option<Value>], rounded: &Tensor, exact: &Tensor, context: &str) {
    let pairs = || rounded.elements.iter().zip(&exact.elements);
    let scale = pairs().fold(1.0, |max: f64, (x, _)| max.max(x.abs()));
    let rounding = pairs().fold(0.0, |max: f64, (x, y)| max.max((x - y).abs()));
    let tolerance = 1e-5 * scale + 10.0 * rounding;
    assert_eq!(found.len(), rounded.elements.len(), "{name}");
    for (i, (found, &expected)) in found.iter().zip(&rounded.elements).enumerate() {
        let found = match found.unwrap() {
            Value::F32(x) => f64::from(x),
            Value::I32(x) => f64::from(x),
            Value::Mask(_) => panic!("a stored mask"),
        };
        let same = (found.is_nan() && expected.is_nan()) || found == expected;
        let close = (found - expected).abs() <= tolerance;
        assert!(
            same || close,
            "{name}[{i}] is {found}, not {expected}\n{context}"
        );
    }
}
