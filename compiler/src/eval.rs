//! The oracle: a step computed node by node, straight from the operations'
//! definitions. Slow, and right; compiled code is tested against it.

use crate::bug::bug;
use crate::graph::{Graph, Op, SlotId, Step};
use crate::ops::{self, Precision, Tensor};

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
    for (id, node) in graph.iter() {
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
                let operands: Vec<&Tensor> =
                    node.inputs.iter().map(|x| &values[x.index()]).collect();
                ops::eval(&node.op, &operands, &node.ty, precision)
            }
        };
        values.push(value);
    }
    values
}
