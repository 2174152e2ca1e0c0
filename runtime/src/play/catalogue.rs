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
        parameters: &PLAYED,
    },
    Signature {
        name: "gridworld",
        doc: "Cells of a map, to be walked up (0), right (1), down (2), left (3): 1 at the goal, -1 in a hole. \
              Fields: observation class(cells), action class(4), reward, next_observation, terminated.",
        parameters: &OF_GRIDWORLD,
    },
];

/// How it is played in: the same for all environments.
const PLAYED: [Parameter; 8] = [
    optional("steps", Int, "1000", "training steps of an epoch"),
    optional(
        "environments",
        Int,
        "8",
        "how many episodes are played side by side",
    ),
    optional(
        REPLAY,
        Int,
        "0",
        "actions remembered, of which batches are drawn; 0: whole episodes, each once, with the field return",
    ),
    optional(
        "warmup",
        Int,
        "1000",
        "with replay: actions before the first training step",
    ),
    optional(
        "actions",
        Int,
        "1",
        "with replay: actions in each environment before a training step",
    ),
    optional(
        "discount",
        Float,
        "1.0",
        "without replay: what a reward one action later counts in return",
    ),
    optional("limit", Int, "500", "actions after which an episode is cut"),
    optional("episodes", Int, "100", "how many are played for the test"),
];

const OF_GRIDWORLD: [Parameter; 11] = and_played([
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
]);

/// What an environment takes besides, and then what all of them take.
const fn and_played<const OWN: usize, const ALL: usize>(own: [Parameter; OWN]) -> [Parameter; ALL] {
    assert!(ALL == OWN + PLAYED.len());
    let mut all = [PLAYED[0]; ALL];
    let mut i = 0;
    while i < ALL {
        all[i] = if i < OWN { own[i] } else { PLAYED[i - OWN] };
        i += 1;
    }
    all
}

/// The fields of what is remembered of an environment; `None` if it is none. The first is
/// what a policy sees, the second what it decides.
pub fn fields(source: &Call) -> Option<Result<Vec<Field>>> {
    let known = ENVIRONMENTS.iter().any(|entry| entry.name == source.name);
    known.then(|| Ok(World::of(source)?.fields()))
}

/// The fields that an environment would have if it were played otherwise, and how that is.
pub fn absent_fields(source: &Call) -> Vec<(&'static str, String)> {
    let remembers = source.int(REPLAY, 0, 0, i64::MAX);
    match fields(source) {
        Some(Ok(_)) if remembers.is_ok_and(|replay| replay > 0) => vec![(
            RETURN,
            format!(
                "what was rewarded to the end of an episode is known of whole episodes: \
                 leave out `{REPLAY}`, and batches are made of these"
            ),
        )],
        _ => Vec::new(),
    }
}

/// How many actions are remembered.
pub(super) const REPLAY: &str = "replay";
/// The field that whole episodes have besides.
pub(super) const RETURN: &str = "return";
