//! What a model says of the environment that it plays in.

use super::Environment;
use super::cartpole::CartPole;
use super::catalogue::{ENVIRONMENTS, REPLAY, RETURN};
use super::gridworld::{GridWorld, Map};
use crate::data::{Call, Field, Provenance, known};
use crate::error::Result;

/// An environment, and how it is played in.
#[derive(Clone, Debug)]
pub struct World {
    kind: Kind,
    /// Actions after which an episode is cut.
    pub limit: usize,
    /// How many episodes are played side by side.
    pub environments: usize,
    /// Training steps of an epoch.
    pub steps: usize,
    /// What is learnt from.
    pub experience: Experience,
    /// Episodes of the test.
    pub episodes: usize,
}

/// What is remembered, and which of it a training step sees.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Experience {
    /// The last actions, drawn at random, whether their episodes have ended or not.
    Replay {
        /// How many are remembered.
        capacity: usize,
        /// How many are made before the first training step.
        warmup: usize,
        /// How many are made in each environment before any training step.
        actions: usize,
    },
    /// Those of whole episodes, each once, in the order in which the episodes ended.
    Episodes {
        /// What a reward one action later counts in the return.
        discount: f32,
    },
}

#[derive(Clone, Debug)]
enum Kind {
    CartPole,
    GridWorld { map: Map, slip: f32, cost: f32 },
}

/// More of anything is a mistake.
const MOST: i64 = 1 << 24;

/// Episodes side by side: each is a sample of a compiled step.
const MOST_ENVIRONMENTS: i64 = 1 << 16;

impl World {
    /// What a call of [`ENVIRONMENTS`] describes.
    pub fn of(source: &Call) -> Result<World> {
        known(source, ENVIRONMENTS, "environment")?;
        let count = |name: &str, default, most| {
            source
                .int(name, default, 1, most)
                .map(|count| count as usize)
        };
        let replay = source.int(REPLAY, 0, 0, MOST)? as usize;
        let warmup = source.int("warmup", 1000, 0, MOST)? as usize;
        let discount = source.float("discount", 1.0)?;
        if !(0.0..=1.0).contains(&discount) {
            return Err(source.wrong("discount", "must lie between 0 and 1"));
        }
        let experience = match replay {
            0 => Experience::Episodes {
                discount: discount as f32,
            },
            capacity if warmup > capacity => {
                let fault = format!("is {warmup}, but only {capacity} actions are remembered");
                return Err(source.wrong("warmup", fault));
            }
            capacity => Experience::Replay {
                capacity,
                warmup,
                actions: count("actions", 1, MOST)?,
            },
        };
        let world = World {
            kind: Kind::of(source)?,
            limit: count("limit", 500, MOST)?,
            environments: count("environments", 8, MOST_ENVIRONMENTS)?,
            steps: count("steps", 1000, MOST)?,
            experience,
            episodes: count("episodes", 100, MOST_ENVIRONMENTS)?,
        };
        for (name, times) in [
            ("environments", world.environments),
            ("episodes", world.episodes),
        ] {
            if times.saturating_mul(world.limit) > MOST as usize {
                let fault = format!("`{name}` times `limit` must not exceed {MOST}");
                return Err(source.fault(fault));
            }
        }
        Ok(world)
    }

    /// The world of a model's data, if it is played.
    pub fn of_pipeline(pipeline: &[Call]) -> Result<Option<World>> {
        let is_known = |source: &&Call| ENVIRONMENTS.iter().any(|e| e.name == source.name);
        let source = pipeline.first().filter(is_known);
        source.map(World::of).transpose()
    }

    /// One more of it.
    pub(super) fn environment(&self) -> Box<dyn Environment> {
        match &self.kind {
            Kind::CartPole => Box::new(CartPole::default()),
            Kind::GridWorld { map, slip, cost } => {
                Box::new(GridWorld::new(map.clone(), *slip, *cost))
            }
        }
    }

    /// How many actions there are.
    pub fn actions(&self) -> usize {
        match self.kind {
            Kind::CartPole => 2,
            Kind::GridWorld { .. } => 4,
        }
    }

    /// What is remembered of an action: the first is what is seen before it, the second
    /// the action.
    pub fn fields(&self) -> Vec<Field> {
        let field = |name: &str, shape: &[usize], classes| Field {
            name: name.to_owned(),
            shape: shape.to_vec(),
            classes,
        };
        let (shape, classes): (&[usize], _) = match &self.kind {
            Kind::CartPole => (&[4], None),
            Kind::GridWorld { map, .. } => (&[], Some(map.cells())),
        };
        let mut fields = vec![
            field("observation", shape, classes),
            field("action", &[], Some(self.actions())),
            field("reward", &[], None),
            field("next_observation", shape, classes),
            field("terminated", &[], None),
        ];
        if let Experience::Episodes { .. } = self.experience {
            fields.push(field(RETURN, &[], None));
        }
        fields
    }

    /// Where what is learnt from comes from.
    pub fn provenance(&self) -> Provenance {
        let name = match self.kind {
            Kind::CartPole => "cartpole",
            Kind::GridWorld { .. } => "gridworld",
        };
        let times = match self.environments {
            1 => String::new(),
            n => format!("{n} times "),
        };
        Provenance::Generated(format!("playing {times}{name}"))
    }
}

impl Kind {
    fn of(source: &Call) -> Result<Kind> {
        if source.name == "cartpole" {
            return Ok(Kind::CartPole);
        }
        let map = match source.argument("map") {
            None => Map::standard(),
            Some(_) => {
                Map::of(source.string("map")?).map_err(|fault| source.wrong("map", fault))?
            }
        };
        let slip = source.float("slip", 0.2)?;
        if !(0.0..=1.0).contains(&slip) {
            return Err(source.wrong("slip", "must lie between 0 and 1"));
        }
        Ok(Kind::GridWorld {
            map,
            slip: slip as f32,
            cost: source.float("cost", 0.04)? as f32,
        })
    }
}
