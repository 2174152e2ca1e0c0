//! Ctrl-C: once to end in order, twice to end at once.

use crate::failure::{Failure, Outcome};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// What a shell reports of a process that Ctrl-C ended.
const KILLED_BY_INTERRUPT: i32 = 130;

/// A flag that Ctrl-C (or a request to terminate) sets; the second one ends the process.
pub fn stop_flag(announce: impl Fn() + Send + 'static) -> Outcome<Arc<AtomicBool>> {
    let flag = Arc::new(AtomicBool::new(false));
    let set = Arc::clone(&flag);
    let handler = move || {
        if set.swap(true, Ordering::Relaxed) {
            std::process::exit(KILLED_BY_INTERRUPT);
        }
        announce();
    };
    ctrlc::set_handler(handler)
        .map_err(|error| Failure::world("io", format!("cannot listen for Ctrl-C: {error}")))?;
    Ok(flag)
}
