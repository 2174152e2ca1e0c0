//! Checks kernels: what the later passes rely on without looking again.

use super::{Buffer, Kernel, Kernels, MOST_DIMS, MOST_REDUCTIONS, Role, Scalar, Stage};
use crate::graph::DType;
use crate::index::{Dim, IndexExpr};

/// What is wrong with some kernels, or nothing.
pub fn verify(kernels: &Kernels) -> Result<(), String> {
    for kernel in &kernels.kernels {
        verify_kernel(kernel, &kernels.buffers)
            .map_err(|fault| format!("{}: {fault}", kernel.name))?;
    }
    let mut written: Vec<bool> = kernels.buffers.iter().map(|b| is_given(b.role)).collect();
    for kernel in &kernels.kernels {
        if let Some(buffer) = kernel
            .reads()
            .into_iter()
            .find(|buffer| !written[buffer.index()])
        {
            return Err(format!(
                "{} reads {buffer} before it is written",
                kernel.name
            ));
        }
        for buffer in kernel.writes() {
            written[buffer.index()] = true;
        }
    }
    match kernels
        .outputs
        .iter()
        .find(|(_, buffer)| !written[buffer.index()])
    {
        Some((name, buffer)) => Err(format!("{buffer} ({name}) is never written")),
        None => Ok(()),
    }
}

fn is_given(role: Role) -> bool {
    matches!(role, Role::Input(_) | Role::Slot(_))
}

/// What is wrong with a kernel, or nothing.
pub fn verify_kernel(kernel: &Kernel, buffers: &[Buffer]) -> Result<(), String> {
    if kernel.outer > kernel.dims.len() || kernel.dims.contains(&0) {
        return Err(format!(
            "dimensions {:?}, {} outer",
            kernel.dims, kernel.outer
        ));
    }
    if let Some(repeat) = kernel.repeat() {
        repeat.verify(buffers)?;
    }
    if let Some(rows) = kernel.rows() {
        rows.verify(kernel, buffers)?;
    }
    if kernel.dims.len() > MOST_DIMS || kernel.reductions() > MOST_REDUCTIONS {
        return Err(format!(
            "{} dimensions and {} reductions",
            kernel.dims.len(),
            kernel.reductions()
        ));
    }
    for (id, scalar) in kernel.scalars.iter().enumerate() {
        verify_scalar(kernel, buffers, id, scalar).map_err(|fault| format!("s{id}: {fault}"))?;
    }
    let mut stored = false;
    for (position, stage) in kernel.stages.iter().enumerate() {
        verify_stage(kernel, buffers, position, stage)
            .map_err(|fault| format!("stage {position}: {fault}"))?;
        match stage {
            Stage::Store { .. } => stored = true,
            Stage::Reduce { .. } if stored => return Err("a reduction after a store".into()),
            Stage::Reduce { .. } => {}
        }
    }
    match stored {
        true => Ok(()),
        false => Err("nothing is stored".into()),
    }
}

fn verify_scalar(
    kernel: &Kernel,
    buffers: &[Buffer],
    id: usize,
    scalar: &Scalar,
) -> Result<(), String> {
    if scalar
        .operands()
        .iter()
        .any(|operand| operand.index() >= id)
    {
        return Err("an operand that comes later".into());
    }
    let dims = kernel.dims.len();
    for index in scalar.indices() {
        if index.terms.iter().any(|&(dim, _)| dim >= dims) || index.divisor < 1 {
            return Err(format!("index {index} with {dims} dimensions"));
        }
    }
    match scalar {
        Scalar::Index(index) if index.divisor != 1 => Err(format!("divided index {index}")),
        Scalar::Reduced(stage) => match kernel.stages.get(*stage) {
            Some(Stage::Reduce { .. }) => Ok(()),
            _ => Err(format!("stage {stage} is no reduction")),
        },
        Scalar::Load { buffer, at, fill } => {
            let buffer = &buffers[buffer.index()];
            accesses(buffer, at)?;
            match fill.is_some() || within(buffer, at, &kernel.dims) {
                true => Ok(()),
                false => Err("may read outside".into()),
            }
        }
        _ => Ok(()),
    }
}

fn accesses(buffer: &Buffer, at: &[IndexExpr]) -> Result<(), String> {
    if buffer.dtype == DType::Bool {
        return Err("a tensor of masks".into());
    }
    match buffer.extents.len() == at.len() {
        true => Ok(()),
        false => Err(format!("{} indices for {:?}", at.len(), buffer.extents)),
    }
}

fn within(buffer: &Buffer, at: &[IndexExpr], dims: &[usize]) -> bool {
    let mut axes = at.iter().zip(&buffer.extents);
    axes.all(|(index, &size)| index.always_within(dims, size))
}

fn verify_stage(
    kernel: &Kernel,
    buffers: &[Buffer],
    position: usize,
    stage: &Stage,
) -> Result<(), String> {
    let over = stage.over();
    if over
        .iter()
        .any(|&dim| dim < kernel.outer || dim >= kernel.dims.len())
    {
        return Err(format!("loops over {over:?}"));
    }
    let known = |dim: Dim| dim < kernel.outer || over.contains(&dim);
    let cone = kernel.cone(position);
    for (scalar, _) in kernel
        .scalars
        .iter()
        .zip(cone)
        .filter(|&(_, needed)| needed)
    {
        let mut terms = scalar.indices().iter().flat_map(|index| &index.terms);
        if let Some((dim, _)) = terms.find(|&&(dim, _)| !known(dim)) {
            return Err(format!(
                "depends on dimension {dim}, over which it does not loop"
            ));
        }
        if matches!(scalar, Scalar::Reduced(other) if *other >= position) {
            return Err("reads a later reduction".into());
        }
    }
    if let Stage::Store { buffer, at, .. } = stage {
        let buffer = &buffers[buffer.index()];
        accesses(buffer, at)?;
        let loops: Vec<Dim> = (0..kernel.outer).chain(over.iter().copied()).collect();
        if at
            .iter()
            .flat_map(|index| &index.terms)
            .any(|&(dim, _)| !known(dim))
        {
            return Err("stores along a dimension over which it does not loop".into());
        }
        if matches!(buffer.role, Role::Input(_)) {
            return Err("writes to an input".into());
        }
        if !within(buffer, at, &kernel.dims) {
            return Err("may write outside".into());
        }
        if !injective(buffer, at, &kernel.dims, &loops) {
            return Err("may write twice to one place".into());
        }
    }
    Ok(())
}

/// Whether different points lead to different places: in order of their steps
/// through the tensor, each dimension steps over all that the smaller ones reach.
fn injective(buffer: &Buffer, at: &[IndexExpr], dims: &[usize], loops: &[Dim]) -> bool {
    let mut steps: Vec<(i64, i64)> = Vec::new();
    for &dim in loops.iter().filter(|&&dim| dims[dim] > 1) {
        let axes = at.iter().zip(&buffer.extents);
        let step = axes.fold(0, |step, (index, &size)| {
            step * size as i64 + index.coefficient(dim)
        });
        steps.push((step.abs(), dims[dim] as i64 - 1));
    }
    steps.sort_unstable();
    let mut reach = 0;
    steps.iter().all(|&(step, last)| {
        let clear = step > reach;
        reach += step * last;
        clear
    })
}
