//! `scatter(x, at)[a.., n, b..]` is the sum of all `x[a.., i.., b..]` with `at[i..] = n`: rows of x,
//! added up by their numbers, the first ones first.
//!
//! The first `shared` axes are those of both, as `gather` has it. Edges: a row whose number is none of
//! `0..size` is added nowhere. Gradient: `gather(dy, at)`.

use super::gather::numbered;
use super::operands::{Inferred, Operands};
use super::{Chain, Precision, Tensor};
use crate::graph::{NumberedRows, Type};

pub fn infer(axis: &usize, shared: &usize, size: &usize, x: &Operands) -> Inferred {
    let [x, at] = x.get()?;
    numbered(x, at)?;
    let numbers = at.shape.get(*shared..).unwrap_or_default();
    let fits = shared <= axis
        && *size > 0
        && at.shape.get(..*shared) == x.shape.get(..*shared)
        && x.shape.get(*axis..axis + numbers.len()) == Some(numbers);
    if !fits {
        return Err(format!(
            "adds up {:?} along axis {axis} by {:?}, of which {shared} axes are shared",
            x.shape, at.shape
        ));
    }
    let behind = &x.shape[axis + numbers.len()..];
    Ok(Type::f32([&x.shape[..*axis], &[*size], behind].concat()))
}

pub fn grad(axis: &usize, shared: &usize, _: &usize, c: &mut Chain) {
    let dx = c.g.gather(c.dy, c.x[1], (*axis, *shared));
    c.pass(0, dx);
}

pub fn eval(
    axis: &usize,
    shared: &usize,
    _: &usize,
    x: &[&Tensor],
    ty: &Type,
    precision: Precision,
) -> Tensor {
    let (x, at) = (x[0], x[1]);
    let rows = NumberedRows::new(&ty.shape, &at.ty.shape, *axis, *shared);
    let mut elements = vec![0.0; ty.elements()];
    for entry in rows.entries() {
        if let Some(start) = rows.start(at.elements[entry.number] as i64) {
            let sums = &mut elements[entry.table + start..][..rows.row];
            for (sum, more) in sums.iter_mut().zip(&x.elements[entry.listed..]) {
                *sum = precision.round(*sum + more, ty.dtype);
            }
        }
    }
    Tensor {
        ty: ty.clone(),
        elements,
    }
}
