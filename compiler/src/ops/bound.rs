//! `input`, `slot`: tensors that the step finds, not makes.
//!
//! An input is handed in by the caller, a slot is read as it was before the step.
//! Their gradient ends here; their values are the surroundings' business.

use super::operands::{Inferred, Operands};
use super::{Chain, Precision, Tensor};
use crate::bug::bug;
use crate::graph::Type;

pub fn infer(x: &Operands) -> Inferred {
    x.leaf()
}

pub fn grad(_: &mut Chain) {
    // A leaf: nothing to pass it on to.
}

pub fn eval(_: &[&Tensor], ty: &Type, _: Precision) -> Tensor {
    bug!("eval", "a bound tensor {ty:?} has no value of its own")
}
