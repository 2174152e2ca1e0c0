//! Planned memory: known before anything is allocated, so refused in time.

use crate::failure::{Failure, Outcome};
use crate::report::bytes;
use nnc_runtime::memory::available_memory;
use std::fmt;

/// Bytes that training holds, the data set apart.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Memory {
    /// Within a step.
    pub arena: usize,
    /// Parameters, states, the optimiser's states.
    pub slots: usize,
    /// A batch of samples.
    pub inputs: usize,
}

impl Memory {
    /// Refuses what this machine cannot hold.
    pub fn check(self) -> Outcome<Memory> {
        let available = available_memory();
        if self.total() as u64 <= available {
            return Ok(self);
        }
        let fault = format!(
            "a training step needs {self}, but this machine has {} available",
            bytes(available as usize)
        );
        let help = "use a smaller batch or a smaller model";
        Err(Failure::model("too-large", fault).help(help).into())
    }

    /// All of it.
    pub fn total(self) -> usize {
        self.arena
            .saturating_add(self.slots)
            .saturating_add(self.inputs)
    }
}

impl fmt::Display for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} ({} arena, {} slots, {} inputs)",
            bytes(self.total()),
            bytes(self.arena),
            bytes(self.slots),
            bytes(self.inputs)
        )
    }
}
