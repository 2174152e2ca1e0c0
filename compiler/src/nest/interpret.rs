//! Runs kernels point by point, as their definition says: the oracle of everything
//! after `fuse`. It also minds what no code would notice: reads of elements that
//! nobody wrote, and elements written twice.

use super::{Buffer, BufferId, Combine, Kernel, Kernels, Stage, Surroundings, Value, eval_scalar};
use crate::bug::bug;
use crate::graph::DType;
use crate::index::{Dim, IndexExpr};
use std::collections::HashSet;

/// Some memory; `None` where nothing was written yet.
pub type Elements = Vec<Option<Value>>;

/// How a tensor lies in memory.
#[derive(Clone, Debug)]
pub struct Address {
    /// In which memory.
    pub memory: usize,
    /// Where its first element is.
    pub base: usize,
    /// Distance between neighbours along each axis.
    pub strides: Vec<usize>,
}

/// Runs all kernels, each tensor being a row-major memory of its own. `memory` holds
/// what is there before, what comes back is there after.
pub fn interpret(kernels: &Kernels, mut memory: Vec<Elements>) -> Vec<Elements> {
    for kernel in &kernels.kernels {
        interpret_kernel(kernel, &kernels.buffers, &mut memory);
    }
    memory
}

/// Runs one kernel, each tensor being a row-major memory of its own.
pub fn interpret_kernel(kernel: &Kernel, buffers: &[Buffer], memory: &mut [Elements]) {
    let rows = buffers.iter().enumerate().map(|(memory, buffer)| {
        let axes = 0..buffer.extents.len();
        Address {
            memory,
            base: 0,
            strides: axes
                .map(|axis| buffer.extents[axis + 1..].iter().product())
                .collect(),
        }
    });
    interpret_at(kernel, buffers, &rows.collect::<Vec<Address>>(), memory);
}

/// Elements that nobody wrote yet.
pub fn unwritten(buffer: &Buffer) -> Elements {
    vec![None; buffer.extents.iter().product()]
}

/// Runs one kernel on tensors at some addresses.
pub fn interpret_at(
    kernel: &Kernel,
    buffers: &[Buffer],
    addresses: &[Address],
    memory: &mut [Elements],
) {
    if let Some(repeat) = kernel.repeat() {
        return repeat.interpret(addresses, memory);
    }
    if let Some(rows) = kernel.rows() {
        return rows.interpret(kernel, addresses, memory);
    }
    let cones: Vec<Vec<bool>> = (0..kernel.stages.len()).map(|s| kernel.cone(s)).collect();
    let outer: Vec<Dim> = (0..kernel.outer).collect();
    let mut run = Run {
        kernel,
        buffers,
        addresses,
        memory,
        written: HashSet::new(),
        point: vec![0; kernel.dims.len()],
        reduced: Vec::new(),
    };
    for_each_point(&outer, &kernel.dims, &mut |outer_point| {
        run.reduced.clear();
        for (position, stage) in kernel.stages.iter().enumerate() {
            run.point[..kernel.outer].copy_from_slice(outer_point);
            run.stage(stage, &cones[position]);
        }
    });
}

struct Run<'a> {
    kernel: &'a Kernel,
    buffers: &'a [Buffer],
    addresses: &'a [Address],
    memory: &'a mut [Elements],
    written: HashSet<(BufferId, usize)>,
    point: Vec<usize>,
    reduced: Vec<Value>,
}

impl Run<'_> {
    fn stage(&mut self, stage: &Stage, cone: &[bool]) {
        let mut total: Option<Value> = None;
        let (over, dims) = (stage.over(), &self.kernel.dims);
        for_each_point(over, dims, &mut |inner| {
            for (&dim, &index) in over.iter().zip(inner) {
                self.point[dim] = index;
            }
            let value = self.value(stage, cone);
            match stage {
                Stage::Reduce { combine: how, .. } => {
                    let so_far = total.unwrap_or(neutral(*how, value));
                    total = Some(combine(*how, so_far, value));
                }
                Stage::Store { buffer, at, .. } => {
                    let Some(offset) = self.offset(*buffer, at) else {
                        bug!("interpret", "{} writes outside {buffer}", self.kernel.name)
                    };
                    if !self.written.insert((*buffer, offset)) {
                        bug!("interpret", "{} writes twice to {buffer}", self.kernel.name);
                    }
                    self.memory[self.addresses[buffer.index()].memory][offset] = Some(value);
                }
            }
        });
        // A store leaves a value behind too, so that positions agree.
        self.reduced.push(total.unwrap_or(Value::I32(0)));
    }

    fn value(&self, stage: &Stage, cone: &[bool]) -> Value {
        let mut known: Vec<Value> = Vec::with_capacity(cone.len());
        for (scalar, &needed) in self.kernel.scalars.iter().zip(cone) {
            known.push(match needed {
                true => eval_scalar(scalar, &known, self),
                false => Value::I32(0),
            });
        }
        known[stage.value().index()]
    }

    /// Where in its memory an element is, if the place is within the tensor.
    fn offset(&self, buffer: BufferId, at: &[IndexExpr]) -> Option<usize> {
        let address = &self.addresses[buffer.index()];
        let axes = at.iter().zip(&self.buffers[buffer.index()].extents);
        let mut offset = address.base;
        for ((expr, &size), &stride) in axes.zip(&address.strides) {
            let index = usize::try_from(expr.at(&self.point)?).ok();
            offset += stride * index.filter(|&index| index < size)?;
        }
        Some(offset)
    }
}

impl Surroundings for Run<'_> {
    fn index(&self, index: &IndexExpr) -> i32 {
        match index.at(&self.point) {
            Some(value) => value as i32,
            None => bug!("interpret", "{} asks for {index}", self.kernel.name),
        }
    }

    fn load(&self, buffer: BufferId, at: &[IndexExpr], fill: Option<f32>) -> Value {
        match (self.offset(buffer, at), fill) {
            (Some(offset), _) => match self.memory[self.addresses[buffer.index()].memory][offset] {
                Some(value) => value,
                None => bug!("interpret", "{} reads {buffer} too early", self.kernel.name),
            },
            (None, Some(fill)) => match self.buffers[buffer.index()].dtype {
                DType::I32 => Value::I32(fill as i32),
                DType::F32 | DType::Bool => Value::F32(fill),
            },
            (None, None) => bug!("interpret", "{} reads outside {buffer}", self.kernel.name),
        }
    }

    fn reduced(&self, stage: usize) -> Value {
        self.reduced[stage]
    }
}

/// What a reduction starts from.
fn neutral(how: Combine, like: Value) -> Value {
    match like {
        Value::F32(_) => Value::F32(f32::from_bits(how.neutral(DType::F32))),
        Value::I32(_) => Value::I32(how.neutral(DType::I32).cast_signed()),
        Value::Mask(_) => bug!("interpret", "a reduction of masks"),
    }
}

fn combine(how: Combine, a: Value, b: Value) -> Value {
    match (how, a, b) {
        (Combine::Sum, Value::F32(a), Value::F32(b)) => Value::F32(a + b),
        (Combine::Sum, Value::I32(a), Value::I32(b)) => Value::I32(a.wrapping_add(b)),
        (Combine::Max, Value::F32(a), Value::F32(b)) => {
            Value::F32(if a > b || a.is_nan() { a } else { b })
        }
        (Combine::Min, Value::F32(a), Value::F32(b)) => {
            Value::F32(if a < b || a.is_nan() { a } else { b })
        }
        (Combine::Max, Value::I32(a), Value::I32(b)) => Value::I32(a.max(b)),
        (Combine::Min, Value::I32(a), Value::I32(b)) => Value::I32(a.min(b)),
        _ => bug!("interpret", "{how:?} of {a:?} and {b:?}"),
    }
}

/// Calls `f` with the indices of some dimensions, the last one running fastest.
fn for_each_point(over: &[Dim], dims: &[usize], f: &mut impl FnMut(&[usize])) {
    let mut point = vec![0; over.len()];
    loop {
        f(&point);
        let mut axis = over.len();
        loop {
            if axis == 0 {
                return;
            }
            axis -= 1;
            point[axis] += 1;
            if point[axis] < dims[over[axis]] {
                break;
            }
            point[axis] = 0;
        }
    }
}
