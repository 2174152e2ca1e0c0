//! Loops over time: the same kernels at each step, on windows of larger tensors.

use super::interpret::{Address, Elements, interpret, unwritten};
use super::{Buffer, BufferId, Kernels, Role, verify};
use crate::graph::TimeOrder;
use std::fmt::{self, Display, Formatter};

/// What is done at each step of time, by each part.
#[derive(Clone, PartialEq, Debug)]
pub struct Repeat {
    /// How many steps.
    pub length: usize,
    /// In which direction.
    pub order: TimeOrder,
    /// Into how many parts the batch is cut. They are independent of each other: each goes
    /// through all of time by itself.
    pub parts: usize,
    /// One step of one part. Its inputs and outputs are windows, its temporaries live
    /// within the step.
    pub body: Kernels,
    /// For each tensor of the body where it lies, unless it is a temporary.
    pub windows: Vec<Option<Window>>,
}

/// A tensor of the body within a row-major one around the loop. Distances are in elements.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Window {
    /// The tensor around the loop.
    pub buffer: BufferId,
    /// Where the window of the first part begins at time 0.
    pub start: usize,
    /// How much later that of the next point in time begins.
    pub per_step: usize,
    /// How much later that of the next part begins.
    pub per_part: usize,
}

impl Window {
    /// Where the window begins.
    pub fn at(&self, time: usize, part: usize) -> usize {
        self.start + time * self.per_step + part * self.per_part
    }
}

impl Repeat {
    /// What is wrong with a loop, or nothing.
    pub fn verify(&self, buffers: &[Buffer]) -> Result<(), String> {
        verify(&self.body)?;
        if self.windows.len() != self.body.buffers.len() || self.length == 0 || self.parts == 0 {
            return Err(format!("{} steps of {} parts", self.length, self.parts));
        }
        for (inner, window) in self.body.buffers.iter().zip(&self.windows) {
            let is_temporary = inner.role == Role::Temporary;
            let Some(window) = window else {
                match is_temporary {
                    true => continue,
                    false => return Err("a tensor of the body lies nowhere".into()),
                }
            };
            let outer: usize = buffers[window.buffer.index()].extents.iter().product();
            let size: usize = inner.extents.iter().product();
            if is_temporary || window.at(self.length - 1, self.parts - 1) + size > outer {
                return Err(format!("a window {window:?} sticks out"));
            }
        }
        Ok(())
    }

    /// Runs the loop on tensors at some addresses.
    pub fn interpret(&self, addresses: &[Address], memory: &mut [Elements]) {
        for part in 0..self.parts {
            for time in self.order.steps(self.length) {
                let mut inner: Vec<Elements> = self.body.buffers.iter().map(unwritten).collect();
                for (own, window) in inner.iter_mut().zip(&self.windows) {
                    if let Some(window) = window {
                        let address = &addresses[window.buffer.index()];
                        let from = address.base + window.at(time, part);
                        let size = own.len();
                        own.copy_from_slice(&memory[address.memory][from..from + size]);
                    }
                }
                let after = interpret(&self.body, inner);
                for ((own, window), buffer) in
                    after.iter().zip(&self.windows).zip(&self.body.buffers)
                {
                    if let (Some(window), Role::Output) = (window, buffer.role) {
                        let address = &addresses[window.buffer.index()];
                        let from = address.base + window.at(time, part);
                        memory[address.memory][from..from + own.len()].copy_from_slice(own);
                    }
                }
            }
        }
    }
}

impl Display for Repeat {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let order = match self.order {
            TimeOrder::Forward => "",
            TimeOrder::Backward => " backward",
        };
        writeln!(
            f,
            "for each of {} parts, for {} steps{order}:",
            self.parts, self.length
        )?;
        for (number, (buffer, window)) in self.body.buffers.iter().zip(&self.windows).enumerate() {
            write!(f, "    b{number}: {buffer}")?;
            match window {
                Some(Window {
                    buffer,
                    start,
                    per_step,
                    per_part,
                }) => writeln!(
                    f,
                    " = {buffer} from {start} + {per_step} time + {per_part} part"
                )?,
                None => writeln!(f)?,
            }
        }
        for kernel in &self.body.kernels {
            writeln!(f)?;
            for line in kernel.to_string().lines() {
                writeln!(f, "    {line}")?;
            }
        }
        Ok(())
    }
}
