//! A schedule as text: the kernels in order with what they read and write, then the
//! tensors with their layouts and places.

use super::tiles::{Axis, TilePlan};
use super::{PlacedBuffer, Plan, PlannedKernel, Schedule};
use crate::nest::BufferId;
use nnc_runtime::program::Region;
use std::fmt::{self, Display, Formatter};

impl Display for Schedule {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for planned in &self.kernels {
            writeln!(f, "{planned}")?;
        }
        writeln!(f)?;
        for (number, placed) in self.buffers.iter().enumerate() {
            writeln!(f, "b{number}: {placed}")?;
        }
        for (name, buffer) in &self.outputs {
            writeln!(f, "{name} = {buffer}")?;
        }
        writeln!(f, "arena: {} bytes", self.arena_bytes)
    }
}

impl Display for PlannedKernel {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let list = |buffers: Vec<BufferId>| {
            buffers
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join(" ")
        };
        let (reads, writes) = (list(self.kernel.reads()), list(self.kernel.writes()));
        let name = &self.kernel.name;
        write!(f, "{name}: {reads} -> {writes}")?;
        match &*self.plan {
            Plan::Loops(plan) => write!(f, "\n    {plan}"),
            Plan::Tiles(plan) => write!(f, "\n    {plan}"),
            Plan::Repeat(plan) => write!(f, "\n    {plan}"),
            Plan::Rows(plan) => write!(f, "\n    {plan}"),
        }
    }
}

impl Display for PlacedBuffer {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let region = match self.place.region {
            Region::Arena => "arena",
            Region::Slots => "slots",
            Region::Inputs => "inputs",
        };
        write!(f, "{} at {region} {}", self.buffer, self.place.offset)?;
        let layout = &self.layout;
        if layout.order.windows(2).any(|pair| pair[0] > pair[1]) {
            write!(f, ", order {:?}", layout.order)?;
        }
        if layout.border.iter().any(|&border| border != (0, 0)) {
            write!(f, ", border {:?}", layout.border)?;
        }
        Ok(())
    }
}

/// In one line: `96 tasks: avx512 tiles of 14x32 over [64, 64, 28, 28, 96, 3]: columns 2, i0 64 in 64`.
impl Display for TilePlan {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let walked = self.levels.iter().filter(|level| level.steps > 1);
        let levels = walked.map(|level| {
            let axis = match level.axis {
                Axis::Dim(dim) => format!("i{dim}"),
                Axis::Rows => "rows".into(),
                Axis::Columns => "columns".into(),
            };
            match level.runs {
                1 => format!("{axis} {}", level.steps),
                runs => format!("{axis} {} in {runs}", level.steps),
            }
        });
        let dims = &self.linear.dims;
        let whole = self.rows.whole.iter().map(|&dim| dims[dim]);
        write!(
            f,
            "{} tasks: {} tiles of {}x{} over {dims:?}: {}",
            self.tasks(),
            self.isa,
            self.rows.large * whole.product::<usize>(),
            self.columns.width,
            levels.collect::<Vec<_>>().join(", ")
        )
    }
}
