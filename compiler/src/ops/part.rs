//! `part(scan)`: one of the results of a scan.
//!
//! Its gradient is handed on to the scan; its value is what the scan left there.

use super::operands::{Inferred, Operands};
use super::{Chain, Precision, Tensor};
use crate::bug::bug;
use crate::graph::Type;

pub fn infer(_: &usize, x: &Operands) -> Inferred {
    // Which type a result has, the scan alone knows: `verify` looks.
    let [_scan] = x.get()?;
    x.given()
}

pub fn grad(_: &usize, c: &mut Chain) {
    bug!("differentiate", "{} belongs to its scan", c.y)
}

pub fn eval(_: &usize, _: &[&Tensor], ty: &Type, _: Precision) -> Tensor {
    bug!("eval", "a part {ty} of nothing")
}
