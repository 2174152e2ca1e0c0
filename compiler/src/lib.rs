//! From a syntax tree to a native training step, one pass after the other. Only
//! `elaborate` can find fault with the user; after it every fault is ours.

mod bug;
mod compile;
mod unique;

pub mod ids;
pub mod index;
pub mod target;

pub mod graph;
pub mod ops;
pub mod eval;

pub mod elaborate;
pub mod differentiate;
pub mod simplify;

pub mod nest;
pub mod fuse;
pub mod schedule;

pub mod emit;
pub mod link;
pub mod peak;

#[cfg(test)]
mod testing;

pub use compile::{Product, Watch, compile, plan};
pub use schedule::slot_table;
