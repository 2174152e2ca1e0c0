//! One size of a contraction's tile: what the wide and the portable form both need.
//!
//! A tile is a function of one argument, its frame: for every place of the plan the
//! address (or the number) at the tile's first row and column, 8 bytes each; then how often
//! its outermost loop runs, if edges are left out of the sum.

use cranelift_codegen::ir::{AbiParam, Signature, types};
use cranelift_codegen::isa::CallConv;

use crate::bug::bug;
use crate::index::Dim;
use crate::schedule::tiles::{A, B, PlaceId, TilePlan};

/// A tile of a certain size.
pub(super) struct Tile<'a> {
    pub plan: &'a TilePlan,
    /// The steps that lead from the first row to each row.
    rows: Vec<Vec<(Dim, usize)>>,
    /// How many columns there are.
    pub columns: usize,
}

/// One of the loops that sum.
#[derive(Clone, Copy, Debug)]
pub(super) struct Summed {
    pub extent: i64,
    pub a_stride: i64,
    pub b_stride: i64,
}

/// Bytes of one entry of a frame.
pub(super) const FRAME_ENTRY: i64 = 8;

/// Where a frame says how often the outermost loop runs.
pub(super) fn trips_entry(plan: &TilePlan) -> i64 {
    plan.linear.places.len() as i64 * FRAME_ENTRY
}

/// Bytes of a frame.
pub(super) fn frame_bytes(plan: &TilePlan) -> i64 {
    trips_entry(plan) + if plan.edges.is_some() { FRAME_ENTRY } else { 0 }
}

/// Of `tile(frame)`. Machine code takes System V everywhere.
pub(super) fn tile_signature() -> Signature {
    let mut signature = Signature::new(CallConv::SystemV);
    signature.params.push(AbiParam::new(types::I64));
    signature
}

impl<'a> Tile<'a> {
    /// `count` indices of the dimension that is cut into rows.
    pub fn new(plan: &'a TilePlan, count: usize, columns: usize) -> Tile<'a> {
        let cut = plan.rows.dim.map(|dim| (dim, count));
        let whole = plan
            .rows
            .whole
            .iter()
            .map(|&dim| (dim, plan.linear.dims[dim]));
        let mut rows = vec![Vec::new()];
        for (dim, extent) in cut.into_iter().chain(whole) {
            rows = rows
                .into_iter()
                .flat_map(|row: Vec<(Dim, usize)>| {
                    (0..extent).map(move |step| row.iter().copied().chain([(dim, step)]).collect())
                })
                .collect();
        }
        Tile {
            plan,
            rows,
            columns,
        }
    }

    pub fn rows(&self) -> usize {
        self.rows.len()
    }

    /// What a place gains from the first row to `row`.
    pub fn row_offset(&self, place: PlaceId, row: usize) -> i64 {
        let strides = &self.plan.linear.places[place].strides;
        self.rows[row]
            .iter()
            .map(|&(dim, step)| strides[dim] * step as i64)
            .sum()
    }

    /// What a place gains from one column to the next.
    pub fn column_stride(&self, place: PlaceId) -> i64 {
        self.plan.linear.places[place].strides[self.plan.columns.dim]
    }

    /// The loops that sum, outermost first.
    pub fn summed(&self) -> Vec<Summed> {
        let linear = &self.plan.linear;
        self.plan
            .reduce
            .iter()
            .map(|&dim| Summed {
                extent: linear.dims[dim] as i64,
                a_stride: linear.places[A].strides[dim],
                b_stride: linear.places[B].strides[dim],
            })
            .collect()
    }
}

/// An offset inside a tile as instructions take it; plans that reach farther are refused.
pub(super) fn near(offset: i64) -> i32 {
    i32::try_from(offset).unwrap_or_else(|_| bug!("emit", "a tile that spans {offset} bytes"))
}
