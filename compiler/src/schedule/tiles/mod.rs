//! Contractions as register tiles: which operand is broadcast and which is read in
//! vectors, how large a tile is, in which order tiles are walked and by whom.
//!
//! There is one tile: `acc[r][c] += sum over k of A[r, k] * B[k, c]`, where every
//! address is affine in the tile's place. Matrix products and all three passes of a
//! convolution are this tile with different strides; nothing is copied into columns.

mod choose;
mod consider;
mod edges;
mod footprint;
mod linear;
mod parts;
mod rewrite;
mod walk;

pub use consider::plan;
pub use edges::Edges;
pub use linear::{
    A, B, ELEMENT_BYTES, Element, Linear, LinearPlace, PlaceId, Value, ValueId, Write,
};

use crate::index::Dim;
use crate::nest::{Buffer, Kernel};
use crate::schedule::Layout;
use crate::target::Isa;

/// How often a contraction runs in a step.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Often {
    /// Once, divided among threads.
    Once,
    /// In a loop over time, each time by one thread: what is packed of slots is packed once
    /// for all of them.
    Repeated,
}

/// How one contraction runs: everything that its code is made of.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct TilePlan {
    /// The instruction set of the tile.
    pub isa: Isa,
    /// How products are added.
    pub multiply: Multiply,
    /// The kernel, its accesses as addresses; dimensions here are those of this form.
    pub linear: Linear,
    /// Rows of a tile.
    pub rows: Rows,
    /// Columns of a tile.
    pub columns: Columns,
    /// Dimensions summed inside a tile, outermost first.
    pub reduce: Vec<Dim>,
    /// Loops around the tile, outermost first.
    pub levels: Vec<Level>,
    /// What the outermost loop of the sum leaves out, by the index of one of the levels.
    pub edges: Option<Edges>,
}

/// How a product is added to a sum.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Multiply {
    /// Rounded once.
    Fused,
    /// Rounded twice: the machine has no instruction for the above.
    Separate,
}

/// The rows of a tile: some indices of `dim`, times all of `whole`.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Rows {
    /// The dimension cut into tiles; none when there is a single row.
    pub dim: Option<Dim>,
    /// Dimensions that lie in each tile as a whole, outermost first.
    pub whole: Vec<Dim>,
    /// How many indices of `dim` the first tiles hold.
    pub large: usize,
    /// How many tiles hold `large`.
    pub larges: usize,
    /// How many tiles hold one less.
    pub smalls: usize,
}

/// The columns of a tile: consecutive indices of `dim`, in vectors.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Columns {
    /// The dimension cut into tiles.
    pub dim: Dim,
    /// How many columns a tile holds; the last one may hold fewer.
    pub width: usize,
}

/// A loop around the tile. Its steps are divided into runs as equal as can be: one task takes one.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Level {
    /// What it walks over.
    pub axis: Axis,
    /// How many steps there are.
    pub steps: usize,
    /// How many tasks share them.
    pub runs: usize,
}

/// What a level walks over.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Axis {
    /// One index after the other.
    Dim(Dim),
    /// Tiles of [`Rows`].
    Rows,
    /// Tiles of [`Columns`].
    Columns,
}

/// A contraction made ready: kernels to run in order, in place of the given one.
#[derive(Clone, Debug)]
pub struct Tiled {
    /// Tensors that the kernels below need besides those given; they follow those in number.
    pub buffers: Vec<(Buffer, Layout)>,
    /// What to run.
    pub steps: Vec<TiledStep>,
}

/// One of the kernels that a contraction became.
#[derive(Clone, Debug)]
#[allow(
    clippy::large_enum_variant,
    reason = "there are three of them at a time"
)]
pub enum TiledStep {
    /// An ordinary loop nest: packs an operand, or combines partial sums.
    Loops(Kernel),
    /// The contraction itself.
    Tiles(Kernel, TilePlan),
}

impl TilePlan {
    /// Into how many tasks the tiles divide.
    pub fn tasks(&self) -> usize {
        self.levels.iter().map(|level| level.runs).product()
    }
}
