//! The machine's arithmetic limit, as something to run and time. The clock is the
//! caller's: the compiler has none.

use std::any::Any;
use std::sync::Arc;

use crate::emit::{self, Machine};
use crate::link;
use crate::target::Target;
use nnc_runtime::program::KernelFn;

/// Multiply-adds and nothing else, as wide as the target's tiles.
pub struct Peak {
    kernel: KernelFn,
    _code: Arc<dyn Any + Send + Sync>,
    /// Floating-point operations of one task; it takes some tens of microseconds.
    pub flop_per_task: u64,
}

impl Peak {
    /// Compiles it.
    pub fn new(target: &Target) -> Peak {
        let machine = Machine::new(target);
        let unit = emit::peak(target.isa, machine.isa().frontend_config());
        let (code, entries) = link::load(&machine, &machine.compile(vec![unit]));
        Peak {
            kernel: entries[0],
            _code: code,
            flop_per_task: emit::peak_flop(target.isa),
        }
    }

    /// Performs so many tasks on this thread.
    pub fn run(&self, tasks: u64) {
        // SAFETY: the kernel touches no memory, and its code lives as long as `self`.
        unsafe { (self.kernel)(std::ptr::null(), 0, tasks) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::target::Isa;

    #[test]
    fn runs_on_every_isa_of_this_machine() {
        for isa in Isa::ALL {
            let target = Target::host_with(isa);
            let peak = Peak::new(&target);
            peak.run(2);
            assert_eq!(peak.flop_per_task, emit::peak_flop(target.isa));
        }
    }
}
