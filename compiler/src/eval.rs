//! The oracle: a step computed node by node, straight from the operations'
//! definitions. Slow, and right; compiled code is tested against it.

use crate::bug::bug;
use crate::graph::{Graph, NodeId, Op, Scan, SlotId, Step};
use crate::ops::{self, Precision, Tensor};
use std::collections::BTreeMap;

/// What a step makes.
#[derive(Clone, PartialEq, Debug)]
pub struct Results {
    /// Named results.
    pub outputs: Vec<(String, Tensor)>,
    /// Next values of slots.
    pub updates: Vec<(SlotId, Tensor)>,
}

/// Runs a step on inputs and slots, in the order of their handles.
pub fn eval(step: &Step, inputs: &[Tensor], slots: &[Tensor], precision: Precision) -> Results {
    let values = eval_graph(&step.graph, inputs, slots, precision);
    let outputs = step.outputs.iter();
    let updates = step.updates.iter();
    Results {
        outputs: outputs
            .map(|(name, id)| (name.clone(), values[id.index()].clone()))
            .collect(),
        updates: updates
            .map(|(slot, id)| (*slot, values[id.index()].clone()))
            .collect(),
    }
}

/// The value of every node.
pub fn eval_graph(
    graph: &Graph,
    inputs: &[Tensor],
    slots: &[Tensor],
    precision: Precision,
) -> Vec<Tensor> {
    let mut values: Vec<Tensor> = Vec::with_capacity(graph.nodes.len());
    let mut parts: BTreeMap<NodeId, Vec<Tensor>> = BTreeMap::new();
    for (id, node) in graph.iter() {
        let operands = || node.inputs.iter().map(|x| &values[x.index()]);
        match &node.op {
            Op::Scan(scan) => {
                parts.insert(
                    id,
                    eval_scan(scan, &operands().collect::<Vec<_>>(), precision),
                );
                values.push(Tensor::from_fn(&node.ty, |_| 0.0));
                continue;
            }
            Op::Part(position) => {
                values.push(parts[&node.inputs[0]][*position].clone());
                continue;
            }
            _ => {}
        }
        let bound = match node.op {
            Op::Input(input) => Some(&inputs[input.index()]),
            Op::Slot(slot) => Some(&slots[slot.index()]),
            _ => None,
        };
        let value = match bound {
            Some(tensor) if tensor.ty != node.ty => {
                bug!("eval", "{id} is {:?} but given {:?}", node.ty, tensor.ty)
            }
            Some(tensor) => tensor.clone(),
            None => {
                let operands: Vec<&Tensor> = operands().collect();
                ops::eval(&node.op, &operands, &node.ty, precision)
            }
        };
        values.push(value);
    }
    values
}

/// The results of a loop, step by step.
fn eval_scan(scan: &Scan, operands: &[&Tensor], precision: Precision) -> Vec<Tensor> {
    let results = scan.body.outputs.len();
    let mut parts: Vec<Tensor> = (0..results)
        .map(|position| Tensor::from_fn(&scan.part(position), |_| 0.0))
        .collect();
    let mut carried: Vec<Tensor> = operands[..scan.carried]
        .iter()
        .map(|&x| x.clone())
        .collect();
    for (part, value) in parts.iter_mut().zip(&carried) {
        put(part, scan.first_entry(), value);
    }
    for time in scan.order.steps(scan.length) {
        let mut inputs = carried.clone();
        for (position, operand) in operands.iter().enumerate().skip(scan.carried) {
            let ty = &scan.body.inputs[position].ty;
            inputs.push(match position < scan.carried + scan.sliced {
                true => {
                    let from = time * ty.elements();
                    Tensor {
                        ty: ty.clone(),
                        elements: operand.elements[from..from + ty.elements()].to_vec(),
                    }
                }
                false => (*operand).clone(),
            });
        }
        let values = eval_graph(&scan.body.graph, &inputs, &[], precision);
        for (position, id) in scan.results().into_iter().enumerate() {
            let value = &values[id.index()];
            let entry = match position < scan.carried {
                true => time + scan.order.after(),
                false => time,
            };
            put(&mut parts[position], entry, value);
            if let Some(next) = carried.get_mut(position) {
                next.clone_from(value);
            }
        }
    }
    parts
}

/// Writes a slice along the leading axis.
fn put(stack: &mut Tensor, entry: usize, value: &Tensor) {
    let size = value.elements.len();
    stack.elements[entry * size..(entry + 1) * size].copy_from_slice(&value.elements);
}
