//! `gather(x, at)[a.., i.., b..] = x[a.., at[i..], b..]`: rows of x, read by their numbers along an axis.
//!
//! The first `shared` axes are those of both: `x[s.., a.., at[s.., i..], b..]`. Edges: a number that
//! names no row gives zeros. Gradient: `scatter(dy, at)`, the sum of `dy` over all places at which
//! a row was read.

use super::operands::{Inferred, Operands};
use super::{Chain, Precision, Tensor};
use crate::graph::{DType, NumberedRows, Type};

pub fn infer(axis: &usize, shared: &usize, x: &Operands) -> Inferred {
    let [x, at] = x.get()?;
    numbered(x, at)?;
    let fits = shared <= axis
        && *axis < x.shape.len()
        && at.shape.get(..*shared) == Some(&x.shape[..*shared]);
    if !fits {
        return Err(format!(
            "reads axis {axis} of {:?} at {:?}, of which {shared} axes are shared",
            x.shape, at.shape
        ));
    }
    let parts = [&x.shape[..*axis], &at.shape[*shared..], &x.shape[axis + 1..]];
    Ok(Type::f32(parts.concat()))
}

/// Whether the operands are numbers, and the numbers of rows.
pub(super) fn numbered(x: &Type, at: &Type) -> Result<(), String> {
    match (x.dtype, at.dtype) {
        (DType::F32, DType::I32) => Ok(()),
        (x, at) => Err(format!("is not defined for rows of {x:?} numbered by {at:?}")),
    }
}

pub fn grad(axis: &usize, shared: &usize, c: &mut Chain) {
    let size = c.g.shape(c.x[0])[*axis];
    let dx = c.g.scatter(c.dy, c.x[1], (*axis, *shared), size);
    c.pass(0, dx);
}

pub fn eval(axis: &usize, shared: &usize, x: &[&Tensor], ty: &Type, _: Precision) -> Tensor {
    let (x, at) = (x[0], x[1]);
    let rows = NumberedRows::new(&x.ty.shape, &at.ty.shape, *axis, *shared);
    let mut elements = vec![0.0; ty.elements()];
    for entry in rows.entries() {
        if let Some(start) = rows.start(at.elements[entry.number] as i64) {
            let from = entry.table + start;
            elements[entry.listed..][..rows.row].copy_from_slice(&x.elements[from..][..rows.row]);
        }
    }
    Tensor {
        ty: ty.clone(),
        elements,
    }
}
