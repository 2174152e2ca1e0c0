//! Checks what every pass may rely on.

use super::{Graph, NodeId, Op, Step, Type};
use crate::bug::bug;
use crate::ops;

/// Panics in the name of `pass` where a step is not well formed: operands come before
/// their users, every type is what its operation makes of its operands', and inputs, results and
/// updates fit.
pub fn verify(step: &Step, pass: &str) {
    if let Err(fault) = check(step) {
        bug!(
            "verify",
            "{pass} made a faulty {:?} step: {fault}",
            step.phase
        );
    }
}

fn check(step: &Step) -> Result<(), String> {
    let graph = &step.graph;
    for (id, node) in graph.iter() {
        check_node(graph, id)?;
        if let Op::Input(input) = node.op {
            match step.inputs.get(input.index()) {
                Some(bound) if bound.ty == node.ty => {}
                bound => return Err(format!("{id} is {:?} but reads {bound:?}", node.ty)),
            }
        }
    }
    let exists = |id: NodeId| match graph.nodes.get(id.index()) {
        Some(node) => Ok(node),
        None => Err(format!("{id} is a result but does not exist")),
    };
    for (name, id) in &step.outputs {
        exists(*id)?;
        if step
            .outputs
            .iter()
            .filter(|(other, _)| other == name)
            .count()
            > 1
        {
            return Err(format!("two results are named {name}"));
        }
    }
    for (slot, id) in &step.updates {
        let ty = &exists(*id)?.ty;
        if step
            .updates
            .iter()
            .filter(|(other, _)| other == slot)
            .count()
            > 1
        {
            return Err(format!("{slot} is updated twice"));
        }
        let mut reads = graph.nodes.iter().filter(|node| node.op == Op::Slot(*slot));
        if let Some(read) = reads.find(|read| read.ty != *ty) {
            return Err(format!("{slot} is {:?} but becomes {ty:?}", read.ty));
        }
    }
    Ok(())
}

fn check_node(graph: &Graph, id: NodeId) -> Result<(), String> {
    let node = graph.node(id);
    if let Some(late) = node.inputs.iter().find(|&&x| x >= id) {
        return Err(format!("{id} reads {late}, which does not come before it"));
    }
    if node.origin as usize >= graph.origins.len() {
        return Err(format!("{id} has no origin"));
    }
    match &node.op {
        Op::Scan(scan) => check(&scan.body).map_err(|fault| format!("in {id}: {fault}"))?,
        Op::Part(position) => match &graph.node(node.inputs[0]).op {
            Op::Scan(scan) if *position >= scan.body.outputs.len() => {
                return Err(format!("{id} is result {position} of too few"));
            }
            Op::Scan(scan) if scan.part(*position) != node.ty => {
                return Err(format!("{id} should be {}", scan.part(*position)));
            }
            Op::Scan(_) => {}
            op => return Err(format!("{id} is a part of {op:?}")),
        },
        _ => {}
    }
    let types: Vec<&Type> = node.inputs.iter().map(|&x| graph.ty(x)).collect();
    ops::infer(&node.op, &types, Some(&node.ty))
        .map(drop)
        .map_err(|fault| format!("{id} = {:?} of {types:?}: {fault}", node.op))
}
