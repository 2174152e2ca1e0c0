//! Lets results be written where they are wanted: a tensor that is only copied into another
//! one is never made. What stands one behind the other, such as the gradients of the parts of
//! a tensor, is written into the whole by those who compute it.

use crate::index::{Dim, IndexExpr};
use crate::nest::{Buffer, BufferId, Kernel, Role, Scalar, Stage};

/// The same kernels without those that copy a temporary which nobody else reads.
pub fn forward(mut kernels: Vec<Kernel>, buffers: &[Buffer]) -> Vec<Kernel> {
    let mut position = 0;
    while position < kernels.len() {
        match copied(&kernels[position], buffers) {
            Some(copy) if redirect(&mut kernels[..], position, &copy) => {
                kernels.remove(position);
            }
            _ => position += 1,
        }
    }
    kernels
}

/// All of a temporary goes to another tensor as it is.
struct Copied {
    from: BufferId,
    to: BufferId,
    /// Where an element goes, by its indices in the temporary.
    at: Vec<IndexExpr>,
}

/// What a kernel copies, if that is all that it does.
fn copied(kernel: &Kernel, buffers: &[Buffer]) -> Option<Copied> {
    let [
        Stage::Store {
            over,
            buffer: to,
            at,
            value,
        },
    ] = kernel.stages.as_slice()
    else {
        return None;
    };
    let Scalar::Load {
        buffer: from,
        at: source,
        fill: None,
    } = &kernel.scalars[value.index()]
    else {
        return None;
    };
    let given = matches!(buffers[to.index()].role, Role::Slot(_) | Role::Input(_));
    let temporary = buffers[from.index()].role == Role::Temporary;
    if kernel.instead.is_some() || !over.is_empty() || given || !temporary || from == to {
        return None;
    }
    // Each dimension of the kernel walks along all of one axis of the temporary.
    let mut axis_of: Vec<Option<usize>> = vec![None; kernel.dims.len()];
    for (axis, (index, &size)) in source
        .iter()
        .zip(&buffers[from.index()].extents)
        .enumerate()
    {
        match index.as_dim() {
            Some(dim) if kernel.dims[dim] == size && axis_of[dim].is_none() => {
                axis_of[dim] = Some(axis);
            }
            None if size == 1 && *index == IndexExpr::constant(0) => {}
            _ => return None,
        }
    }
    let axis_of: Vec<usize> = axis_of.into_iter().collect::<Option<_>>()?;
    let at = at.iter().map(|index| index.rename(|dim: Dim| axis_of[dim]));
    Some(Copied {
        from: *from,
        to: *to,
        at: at.collect(),
    })
}

/// Has those who write the temporary write where it would be copied to, unless it is
/// read elsewhere or some of them cannot.
fn redirect(kernels: &mut [Kernel], copying: usize, copy: &Copied) -> bool {
    let others = kernels.iter().enumerate().filter(|&(at, _)| at != copying);
    let mut others = others.map(|(_, kernel)| kernel);
    let in_the_way = others.any(|kernel| {
        let writes = kernel.writes().contains(&copy.from);
        kernel.reads().contains(&copy.from) || (writes && redirected(kernel, copy).is_none())
    });
    if in_the_way {
        return false;
    }
    for kernel in kernels {
        if kernel.writes().contains(&copy.from)
            && let Some(redirected) = redirected(kernel, copy)
        {
            *kernel = redirected;
        }
    }
    true
}

/// A kernel with its stores into the temporary going to where they are copied.
fn redirected(kernel: &Kernel, copy: &Copied) -> Option<Kernel> {
    if kernel.instead.is_some() || kernel.reads().contains(&copy.to) {
        return None;
    }
    let mut kernel = kernel.clone();
    for stage in &mut kernel.stages {
        if let Stage::Store { buffer, at, .. } = stage
            && *buffer == copy.from
        {
            let places = copy.at.iter().map(|index| index.substitute(at));
            *at = places.collect::<Option<_>>()?;
            *buffer = copy.to;
        }
    }
    Some(kernel)
}
