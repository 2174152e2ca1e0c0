//! Loop nests in CLIF, with vectors of 128 bits: on machines that have no wider ones, and for
//! what wide vectors cannot do. Every value, pointer and guard is computed in the outermost
//! loop in which all that it needs is known, and once; so the code is good as it
//! stands, and little.

mod scope;
mod memory;
mod values;
mod iterate;
mod stages;

use super::count::Count;
use super::unit::{
    Body, CodeFunction, CodeUnit, Effort, begin_kernel, end_kernel, kernel_function,
};
use crate::index::Dim;
use crate::schedule::loops::{Dims, Kind, LoopPlan};
use cranelift_codegen::ir::{self, InstBuilder, types};
use cranelift_codegen::isa::TargetFrontendConfig;
use cranelift_frontend::{FunctionBuilder, FunctionBuilderContext};
use iterate::Range;
use scope::{Frame, Index, Induction};
use std::collections::BTreeMap;

pub(super) use values::awaited_stages;

/// The code of a kernel that runs as loops.
pub fn emit(plan: &LoopPlan, name: &str, config: TargetFrontendConfig) -> CodeUnit {
    let mut function = kernel_function(config);
    let mut context = FunctionBuilderContext::new();
    let (b, [table, begin, end]) = begin_kernel(&mut function, &mut context);
    let mut emitter = Emitter::new(b, plan);
    emitter.load_args(table);
    emitter.task_loop(begin, end);
    end_kernel(emitter.b, config);
    CodeUnit {
        functions: vec![CodeFunction {
            name: name.to_owned(),
            body: Body::Clif(Box::new(function), Effort::Verbatim),
        }],
    }
}

/// What is known at the place where code is being emitted.
struct Emitter<'a> {
    b: FunctionBuilder<'a>,
    plan: &'a LoopPlan,
    /// Of each value.
    kinds: Vec<Kind>,
    /// The loops within which each value changes.
    dependencies: Vec<Dims>,
    /// The stages whose results each value needs, as bits.
    awaits: Vec<u64>,
    /// The addresses of the arguments.
    args: Vec<ir::Value>,
    /// Of each loop, then of each quotient.
    indices: Vec<Index>,
    /// Within how many scopes each index became known.
    depths: BTreeMap<ir::Value, usize>,
    /// The stages whose results are known, as bits.
    done: u64,
    /// The loop along which vectors run here, if any.
    vector: Option<Vector>,
    /// What has been computed, innermost loop last.
    frames: Vec<Frame>,
}

/// Vectors along a loop: `blocks` of them, one behind the other.
#[derive(Clone, Copy)]
struct Vector {
    dim: usize,
    blocks: usize,
}

impl<'a> Emitter<'a> {
    fn new(b: FunctionBuilder<'a>, plan: &'a LoopPlan) -> Emitter<'a> {
        let flat = &plan.flat;
        Emitter {
            b,
            plan,
            kinds: flat.kinds(),
            dependencies: flat.dependencies(),
            awaits: values::awaited_stages(flat),
            args: Vec::new(),
            indices: vec![Index::Unknown; flat.extents.len() + flat.quotients.len()],
            depths: BTreeMap::new(),
            done: 0,
            vector: None,
            frames: vec![Frame::default()],
        }
    }

    fn all_stages(&self) -> Vec<usize> {
        (0..self.plan.flat.stages.len()).collect()
    }

    /// `for task in begin..end`
    fn task_loop(&mut self, begin: ir::Value, end: ir::Value) {
        self.hoist(&self.all_stages());
        let tasks = Count::begin(&mut self.b, begin, end);
        self.task(tasks.index);
        tasks.end(&mut self.b);
    }

    /// A task is an index of each whole task loop and a chunk of the next.
    fn task(&mut self, task: ir::Value) {
        let extents = &self.plan.flat.extents;
        let tasks = self.plan.tasks;
        let mut rest = task;
        let mut chunk = None;
        if let Some(rounds) = tasks.chunk {
            let extent = extents[tasks.loops];
            let position = self.peel(&mut rest, tasks.loops, extent.div_ceil(rounds));
            let start = self.b.ins().imul_imm_u(position, rounds as i64);
            let end = self.b.ins().iadd_imm_u(start, rounds as i64);
            let end = if extent.is_multiple_of(rounds) {
                end
            } else {
                let extent = self.b.ins().iconst(types::I64, extent as i64);
                self.b.ins().umin(end, extent)
            };
            chunk = Some((start, end));
        }
        self.frames.push(Frame::default());
        for dim in (0..tasks.loops).rev() {
            let index = self.peel(&mut rest, dim, extents[dim]);
            self.bind(dim, Index::Variable(Induction::new(index)));
        }
        self.hoist(&self.all_stages());
        self.outer_loops(tasks.loops, chunk);
        self.leave();
    }

    /// Takes the index of loop `dim` out of what is `rest` of a task's number; that of the outermost
    /// loop is all of it.
    fn peel(&mut self, rest: &mut ir::Value, dim: Dim, indices: usize) -> ir::Value {
        if dim == 0 {
            return *rest;
        }
        let indices = self.b.ins().iconst(types::I64, indices as i64);
        let task = std::mem::replace(rest, self.b.ins().udiv(*rest, indices));
        self.b.ins().urem(task, indices)
    }

    /// The outer loops from `dim` on, and what happens at their points.
    fn outer_loops(&mut self, dim: usize, chunk: Option<(ir::Value, ir::Value)>) {
        let flat = &self.plan.flat;
        if dim == flat.outer {
            return self.point();
        }
        let stages = self.all_stages();
        let range = match chunk {
            Some((start, end)) => Range::Share {
                start,
                end,
                multiple: self
                    .plan
                    .tasks
                    .chunk
                    .map_or(1, |rounds| gcd(rounds, flat.extents[dim])),
            },
            None => self.whole(dim),
        };
        match self.plan.outer_vector {
            Some(blocks) if dim + 1 == flat.outer => {
                let vector = Vector { dim, blocks };
                self.vectors(vector, range, &stages, &[], &mut |e, _| {
                    e.point();
                    Vec::new()
                });
            }
            _ => {
                self.each(dim, range, 1, &stages, &[], &mut |e, _| {
                    e.hoist(&stages);
                    e.outer_loops(dim + 1, None);
                    Vec::new()
                });
            }
        }
    }
}

fn gcd(a: usize, b: usize) -> usize {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests;
