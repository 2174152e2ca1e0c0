//! Into how many tasks the work of a launch divides. It follows from shapes and the target, never
//! from threads, so that results do not depend on these.

/// More tasks than this divide no better.
const MOST: usize = 128;

/// So many tasks, if that is within reason.
pub fn within_reason(wanted: usize) -> usize {
    wanted.clamp(1, MOST)
}

/// So many tasks or fewer: a power of two, so that the shares of two, four or eight threads are
/// equal work.
pub fn even(tasks: usize) -> usize {
    1 << tasks.max(1).ilog2()
}
