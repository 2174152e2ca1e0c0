//! Environments: data that a model makes by acting. One narrow interface, the worlds that
//! fulfil it, and who plays in them and remembers.

mod catalogue;
mod world;
mod cartpole;
mod gridworld;
mod memory;
mod player;

pub use catalogue::{ENVIRONMENTS, absent_fields, fields};
pub use player::Player;
pub use world::World;

use crate::rng::Random;

/// What is acted in, one episode after the other. All that happens follows from its state,
/// the action, and the numbers drawn.
pub trait Environment: Send + Sync {
    /// Begins an episode.
    fn reset(&mut self, random: &mut Random);

    /// Writes what is to be seen now; of a class, its number.
    fn observe(&self, seen: &mut [f32]);

    /// Acts, by the number of an action.
    fn act(&mut self, action: usize, random: &mut Random) -> Outcome;

    /// Everything that changes in an episode, to be saved and to be restored.
    fn state(&mut self) -> &mut [f64];
}

/// What an action has led to.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Outcome {
    /// How good that was.
    pub reward: f32,
    /// Whether nothing comes after it: the world ends here, not the patience of who looks on.
    pub terminated: bool,
}

#[cfg(test)]
mod tests;
