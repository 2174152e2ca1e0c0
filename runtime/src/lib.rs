//! What runs a compiled network: memory, threads, data, the training loop, checkpoints.

pub mod program;

pub mod error;
pub mod files;
pub mod memory;
mod denormals;
pub mod shares;
pub mod pool;
pub mod workspace;
pub mod machine;
pub mod rng;
pub mod data;
pub mod play;
pub mod checkpoint;
pub mod train;

pub use error::{Bytes, Error, Result};
pub use machine::{Busy, Machine, Session};
pub use workspace::{BatchShare, Handle, Workspace};
