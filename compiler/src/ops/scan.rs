//! `scan`: a loop over time; see [`Scan`].
//!
//! It has many results, so its own node has no value: `part` picks them. Its gradient is a
//! scan in the other direction, which `differentiate` makes; the oracle runs its body
//! step by step (`eval.rs`); `fuse` makes a kernel of it that repeats the body's kernels.

use super::operands::{Inferred, Operands};
use super::{Chain, Precision, Tensor};
use crate::bug::bug;
use crate::graph::{Scan, Type};

pub fn infer(scan: &Scan, x: &Operands) -> Inferred {
    let operands = x.all();
    if operands.len() != scan.body.inputs.len() {
        let wanted = scan.body.inputs.len();
        return Err(format!("{} operands, not {wanted}", operands.len()));
    }
    if scan.length == 0 || scan.carried + scan.sliced > operands.len() {
        return Err(format!("{} steps", scan.length));
    }
    for (position, ty) in operands.iter().enumerate() {
        let wanted = scan.operand(position);
        if **ty != wanted {
            return Err(format!("operand {position} should be {wanted}"));
        }
    }
    let results = scan.body.outputs.len();
    if results < scan.carried {
        return Err(format!("{results} results for {} carries", scan.carried));
    }
    for (position, next) in scan.next().into_iter().enumerate() {
        let (found, wanted) = (scan.body.graph.ty(next), &scan.body.inputs[position].ty);
        if found != wanted {
            return Err(format!("carries {found} on as {wanted}"));
        }
    }
    Ok(Type::f32([]))
}

pub fn grad(_: &Scan, c: &mut Chain) {
    bug!("differentiate", "{} has no gradient of its own", c.y)
}

pub fn eval(_: &Scan, _: &[&Tensor], ty: &Type, _: Precision) -> Tensor {
    bug!("eval", "a scan {ty} has no value of its own")
}
