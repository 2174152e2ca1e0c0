//! Where a run's samples come from.

use crate::data::{Dataset, Provenance};
use crate::play::World;

/// Samples that are there, or a world that is played in.
#[derive(Clone, Copy, Debug)]
pub enum Source<'a> {
    /// They are there.
    Samples(&'a Dataset),
    /// The model makes them by acting.
    World(&'a World),
}

impl Source<'_> {
    /// How many an epoch has.
    pub fn samples(&self, batch: usize) -> usize {
        match self {
            Source::Samples(data) => data.train.samples(),
            Source::World(world) => world.steps * batch,
        }
    }

    /// Where they came from.
    pub fn provenance(&self) -> Provenance {
        match self {
            Source::Samples(data) => data.provenance.clone(),
            Source::World(world) => world.provenance(),
        }
    }
}

impl<'a> From<&'a Dataset> for Source<'a> {
    fn from(data: &'a Dataset) -> Source<'a> {
        Source::Samples(data)
    }
}

impl<'a> From<&'a World> for Source<'a> {
    fn from(world: &'a World) -> Source<'a> {
        Source::World(world)
    }
}
