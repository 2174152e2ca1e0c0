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
            buffers.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
        };
        let (reads, writes) = (list(self.kernel.reads()), list(self.kernel.writes()));
        let name = &self.kernel.name;
        write!(f, "{name}: {reads} -> {writes}")?;
        match &self.plan {
            Plan::Loops(plan) => write!(f, "\n    {plan}"),
            Plan::Tiles(plan) => write!(f, "\n    {}", tiles(plan)),
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

/// A tile plan in one line: `avx512 tiles of 6x32, levels Columns/4 Dim(0)`.
fn tiles(plan: &TilePlan) -> String {
    let levels = plan.levels.iter().filter(|level| level.steps > 1).map(|level| {
        let axis = match level.axis {
            Axis::Dim(dim) => format!("i{dim}"),
            Axis::Rows => "rows".into(),
            Axis::Columns => "columns".into(),
        };
        match level.runs() {
            1 => format!("{axis} {}", level.steps),
            runs => format!("{axis} {} in {runs}", level.steps),
        }
    });
    let whole = plan.rows.whole.iter().map(|&dim| plan.linear.dims[dim]).product::<usize>();
    format!(
        "{} tasks: {} tiles of {}x{} over {:?}: {}",
        plan.tasks(),
        plan.isa,
        plan.rows.large * whole,
        plan.columns.width,
        plan.linear.dims,
        levels.collect::<Vec<_>>().join(", ")
    )
}
