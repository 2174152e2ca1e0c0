//! Denormal numbers, counted as zero while kernels run. A decaying average (a momentum,
//! Adam's moments) passes through them on its way to zero, and there each operation
//! takes a hundred times as long.

/// While this lives, its thread's f32 operations read denormal operands as zero and
/// round denormal results to zero. Only kernels may run meanwhile: Rust's own
/// arithmetic assumes the default.
#[derive(Debug)]
pub(crate) struct FlushToZero {
    before: Control,
}

impl FlushToZero {
    pub(crate) fn new() -> FlushToZero {
        let before = control();
        set_control(before | FLUSH);
        FlushToZero { before }
    }
}

impl Drop for FlushToZero {
    fn drop(&mut self) {
        set_control(self.before);
    }
}

#[cfg(target_arch = "x86_64")]
use x86_64::{Control, FLUSH, control, set_control};

#[cfg(target_arch = "x86_64")]
mod x86_64 {
    use std::arch::asm;

    pub type Control = u32;

    /// MXCSR's flush-to-zero (results) and denormals-are-zero (operands).
    pub const FLUSH: Control = (1 << 15) | (1 << 6);

    pub fn control() -> Control {
        let mut control: Control = 0;
        // SAFETY: stores MXCSR, which every x86-64 has, to a place of its size.
        unsafe {
            asm!("stmxcsr [{}]", in(reg) &raw mut control, options(nostack, preserves_flags));
        };
        control
    }

    pub fn set_control(control: Control) {
        // SAFETY: the value is one read from MXCSR, with defined bits added; no Rust
        // arithmetic runs until it is put back (see `FlushToZero`).
        unsafe {
            asm!("ldmxcsr [{}]", in(reg) &raw const control, options(nostack, preserves_flags));
        };
    }
}

#[cfg(target_arch = "aarch64")]
use aarch64::{Control, FLUSH, control, set_control};

#[cfg(target_arch = "aarch64")]
mod aarch64 {
    use std::arch::asm;

    pub type Control = u64;

    /// FPCR's flush-to-zero, for operands and results.
    pub const FLUSH: Control = 1 << 24;

    pub fn control() -> Control {
        let control: Control;
        // SAFETY: reads FPCR, which every aarch64 has.
        unsafe { asm!("mrs {}, fpcr", out(reg) control, options(nomem, nostack, preserves_flags)) };
        control
    }

    pub fn set_control(control: Control) {
        // SAFETY: the value is one read from FPCR, with a defined bit added; no Rust
        // arithmetic runs until it is put back (see `FlushToZero`).
        unsafe { asm!("msr fpcr, {}", in(reg) control, options(nomem, nostack, preserves_flags)) };
    }
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
use other::{Control, FLUSH, control, set_control};

/// Other processors keep their denormals.
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
mod other {
    pub type Control = u32;
    pub const FLUSH: Control = 0;

    pub fn control() -> Control {
        0
    }

    pub fn set_control(_: Control) {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::hint::black_box;

    #[test]
    fn denormals_are_zero_while_it_lives_and_not_after() {
        let halved = || black_box(f32::MIN_POSITIVE) * black_box(0.5);
        assert!(halved() > 0.0);
        let flush = FlushToZero::new();
        let flushed = halved();
        drop(flush);
        let expected = if FLUSH == 0 {
            f32::MIN_POSITIVE / 2.0
        } else {
            0.0
        };
        assert_eq!(flushed.to_bits(), expected.to_bits());
        assert!(halved() > 0.0);
    }
}
