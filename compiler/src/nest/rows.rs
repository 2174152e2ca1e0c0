//! Kernels that move rows by their numbers: what is read, or where it is added, stands in memory.

use super::interpret::{Address, Elements};
use super::{Buffer, Kernel, Value};
use crate::bug::bug;
use crate::graph::{DType, NumberedRows, Way};
use std::fmt;

/// Reads rows of tables into lists, or adds rows of lists up in tables. The kernel's tensors are
/// what is read, the numbers, and what is written; all of them lie row-major.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct RowsByNumber {
    /// Which of both.
    pub way: Way,
    /// How they lie.
    pub rows: NumberedRows,
}

impl RowsByNumber {
    /// What is wrong with a kernel that moves these rows, or nothing.
    pub fn verify(&self, kernel: &Kernel, buffers: &[Buffer]) -> Result<(), String> {
        let tensors = kernel.arguments().into_iter();
        let tensors = tensors.map(|id| &buffers[id.index()]);
        let found: Vec<(DType, usize)> = tensors
            .map(|buffer| (buffer.dtype, buffer.extents.iter().product()))
            .collect();
        let [tables, lists, numbers] = self.rows.elements();
        let (read, written) = match self.way {
            Way::Gather => (tables, lists),
            Way::Scatter => (lists, tables),
        };
        let wanted = [
            (DType::F32, read),
            (DType::I32, numbers),
            (DType::F32, written),
        ];
        match found == wanted {
            true => Ok(()),
            false => Err(format!("moves {self} of {found:?}")),
        }
    }

    /// Moves the rows of tensors at some addresses.
    pub fn interpret(&self, kernel: &Kernel, addresses: &[Address], memory: &mut [Elements]) {
        let [read, numbers, written] = kernel.arguments()[..] else {
            bug!("interpret", "{} has too few tensors", kernel.name)
        };
        let place = |id: super::BufferId| &addresses[id.index()];
        let (read, numbers, written) = (place(read), place(numbers), place(written));
        let [tables, lists, _] = self.rows.elements();
        let size = match self.way {
            Way::Gather => lists,
            Way::Scatter => tables,
        };
        let mut result = vec![0.0; size];
        let known = |memory: &[Elements], address: &Address, at: usize| {
            let value = memory[address.memory][address.base + at];
            value.unwrap_or_else(|| bug!("interpret", "{} reads too early", kernel.name))
        };
        for entry in self.rows.entries() {
            let Value::I32(number) = known(memory, numbers, entry.number) else {
                bug!("interpret", "{}: numbers are integers", kernel.name)
            };
            let Some(start) = self.rows.start(i64::from(number)) else {
                continue;
            };
            let row = entry.table + start;
            let (from, to) = match self.way {
                Way::Gather => (row, entry.listed),
                Way::Scatter => (entry.listed, row),
            };
            for element in 0..self.rows.row {
                let Value::F32(x) = known(memory, read, from + element) else {
                    bug!("interpret", "{}: rows are of f32", kernel.name)
                };
                match self.way {
                    Way::Gather => result[to + element] = x,
                    Way::Scatter => result[to + element] += x,
                }
            }
        }
        let target = &mut memory[written.memory][written.base..][..size];
        for (element, value) in target.iter_mut().zip(result) {
            *element = Some(Value::F32(value));
        }
    }
}

/// `gather [2, 1]: 768 of 65 rows of 128`
impl fmt::Display for RowsByNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let NumberedRows {
            shared,
            outer,
            count,
            listed,
            row,
        } = self.rows;
        let way = match self.way {
            Way::Gather => "gather",
            Way::Scatter => "scatter",
        };
        write!(
            f,
            "{way} [{shared}, {outer}]: {listed} by number of {count} rows of {row}"
        )
    }
}
