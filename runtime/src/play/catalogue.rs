//! What can stand in a model's `data = ...` and is played.

use super::world::World;
use crate::data::ParameterKind::{Float, Int, Text};
use crate::data::{Call, Field, Parameter, Signature, optional};
use crate::error::Result;

/// All environments.
pub const ENVIRONMENTS: &[Signature] = &[
    Signature {
        name: "cartpole",
        doc: "A pole on a cart, to be kept upright by pushing left (0) or right (1): 1 for each action. \
              Fields: observation [4], action class(2), reward, next_observation, terminated.",
        parameters: &[
            STEPS,
            SIDE_BY_SIDE,
            REPLAY,
            WARMUP,
            ACTIONS,
            DISCOUNT,
            LIMIT,
            EPISODES,
        ],
    },
    Signature {
        name: "gridworld",
        doc: "Cells of a map, to be walked up (0), right (1), down (2), left (3): 1 at the goal, -1 in a hole. \
              Fields: observation class(cells), action class(4), reward, next_observation, terminated.",
        parameters: &[
            optional(
                "map",
                Text,
                "...G/.#.H/S...",
                "rows of cells: S start, G goal, H hole, # wall, . free",
            ),
            optional(
                "slip",
                Float,
                "0.2",
                "how likely a move goes to one of the sides instead",
            ),
            optional("cost", Float, "0.04", "what each action costs"),
            STEPS,
            SIDE_BY_SIDE,
            REPLAY,
            WARMUP,
            ACTIONS,
            DISCOUNT,
            LIMIT,
            EPISODES,
        ],
    },
];

const LIMIT: Parameter = optional("limit", Int, "500", "actions after which an episode is cut");
const SIDE_BY_SIDE: Parameter = optional(
    "environments",
    Int,
    "8",
    "how many episodes are played side by side",
);
const STEPS: Parameter = optional("steps", Int, "1000", "training steps of an epoch");
const REPLAY: Parameter = optional(
    "replay",
    Int,
    "0",
    "actions remembered, of which batches are drawn; 0: whole episodes, each once, with the field return",
);
const WARMUP: Parameter = optional(
    "warmup",
    Int,
    "1000",
    "with replay: actions before the first training step",
);
const ACTIONS: Parameter = optional(
    "actions",
    Int,
    "1",
    "with replay: actions in each environment before a training step",
);
const DISCOUNT: Parameter = optional(
    "discount",
    Float,
    "1.0",
    "without replay: what a reward one action later counts in return",
);
const EPISODES: Parameter = optional("episodes", Int, "100", "how many are played for the test");

/// The fields of what is remembered of an environment; `None` if it is none. The first is
/// what a policy sees, the second what it decides.
pub fn fields(source: &Call) -> Option<Result<Vec<Field>>> {
    let known = ENVIRONMENTS.iter().any(|entry| entry.name == source.name);
    known.then(|| Ok(World::of(source)?.fields()))
}
