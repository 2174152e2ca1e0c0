//! Who plays: episodes side by side, and what is remembered of them. The actions come from
//! outside; everything else follows from the seed.

use super::Environment;
use super::memory::{Memory, Restore, Save, Visitor, fill};
use super::world::{Experience, World};
use crate::data::{Field, Split};
use crate::error::Result;
use crate::program::{InputKind, Program};
use crate::rng::{Random, Stream};
use crate::workspace::BatchShare;

/// Of how many of the last episodes the mean return is told.
pub const RECENT: usize = 100;

/// Episodes under way, and the memory of those before.
pub struct Player {
    world: World,
    fields: Vec<Field>,
    seats: Vec<Seat>,
    memory: Memory,
    /// The returns of the last episodes that ended.
    returns: Memory,
    /// What numbers are drawn from.
    seed: u64,
    stream: Stream,
    /// Episodes begun so far.
    episodes: u64,
    /// How often all seats have acted.
    rounds: u64,
    then: Then,
    /// The rows of the next training step.
    chosen: Vec<u32>,
}

/// Where one episode after the other is played.
struct Seat {
    environment: Box<dyn Environment>,
    random: Random,
    seen: Vec<f32>,
    next: Vec<f32>,
    /// The episode so far, where it is remembered as a whole.
    trail: Memory,
    actions: usize,
    total: f64,
    over: bool,
}

/// What follows on the end of an episode.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Then {
    Another,
    Rest,
}

/// The column of the return, behind those that are known at once.
const RETURN: usize = 5;
const REWARD: usize = 2;

impl Player {
    /// For training with batches of so many samples.
    pub fn learning(world: &World, batch: usize, seed: u64) -> Player {
        let capacity = match world.experience {
            Experience::Replay { capacity, .. } => capacity,
            // Less than a batch waits when all episodes end at once.
            Experience::Episodes { .. } => batch + world.environments * world.limit,
        };
        let seats = world.environments;
        Player::new(
            world,
            seats,
            capacity,
            RECENT,
            seed,
            Stream::Play,
            Then::Another,
        )
    }

    /// For the episodes of the test, all side by side, each once.
    pub fn tested(world: &World, seed: u64) -> Player {
        let seats = world.episodes;
        let capacity = seats * world.limit;
        Player::new(
            world,
            seats,
            capacity,
            seats,
            seed,
            Stream::PlayTest,
            Then::Rest,
        )
    }

    fn new(
        world: &World,
        seats: usize,
        capacity: usize,
        recent: usize,
        seed: u64,
        stream: Stream,
        then: Then,
    ) -> Player {
        let fields = world.fields();
        let whole = match world.experience {
            Experience::Episodes { .. } => world.limit,
            Experience::Replay { .. } => 0,
        };
        let size = fields[0].elements();
        let seat = |_| Seat {
            environment: world.environment(),
            random: Random::new(seed, stream, 0),
            seen: vec![0.0; size],
            next: vec![0.0; size],
            trail: Memory::new(fields.clone(), whole),
            actions: 0,
            total: 0.0,
            over: false,
        };
        let of_return = Field {
            name: "return".to_owned(),
            shape: Vec::new(),
            classes: None,
        };
        let mut player = Player {
            world: world.clone(),
            seats: (0..seats).map(seat).collect(),
            memory: Memory::new(fields.clone(), capacity),
            returns: Memory::new(vec![of_return], recent),
            fields,
            seed,
            stream,
            episodes: 0,
            rounds: 0,
            then,
            chosen: Vec::new(),
        };
        for seat in 0..seats {
            player.begin(seat);
        }
        player
    }

    fn begin(&mut self, seat: usize) {
        let seat = &mut self.seats[seat];
        seat.random = Random::new(self.seed, self.stream, self.episodes);
        self.episodes += 1;
        seat.environment.reset(&mut seat.random);
        seat.environment.observe(&mut seat.seen);
        seat.trail.forget(seat.trail.rows());
        seat.actions = 0;
        seat.total = 0.0;
    }

    /// How many play side by side.
    pub fn seats(&self) -> usize {
        self.seats.len()
    }

    /// How often all have acted: what the policy's random numbers are counted by.
    pub fn rounds(&self) -> u64 {
        self.rounds
    }

    /// Whether nobody plays any more.
    pub fn is_over(&self) -> bool {
        self.seats.iter().all(|seat| seat.over)
    }

    /// How many rounds are due before a training step, whatever is remembered.
    pub fn due(&self) -> usize {
        match self.world.experience {
            Experience::Replay { actions, .. } => actions,
            Experience::Episodes { .. } => 0,
        }
    }

    /// Whether enough is remembered for a training step.
    pub fn is_ready(&self, batch: usize) -> bool {
        match self.world.experience {
            Experience::Replay { warmup, .. } => self.memory.rows() >= warmup.max(1),
            Experience::Episodes { .. } => self.memory.rows() >= batch,
        }
    }

    /// Whether a program's fields are those that are remembered.
    pub fn check(&self, program: &Program) -> Result<()> {
        self.memory.check(program)
    }

    /// Fills in what each one sees.
    pub fn observe(&self, share: &mut BatchShare<'_>) {
        let field = &self.fields[0];
        let of_field =
            |kind: &InputKind| matches!(kind, InputKind::Field(name) if *name == field.name);
        // A policy that looks at nothing is one too.
        if let Some(input) = share.inputs().iter().position(|i| of_field(&i.kind)) {
            let seats = self.seats[share.samples()].iter();
            fill(share, input, field, seats.map(|seat| &*seat.seen));
        }
    }

    /// Everybody acts.
    pub fn act(&mut self, actions: &[i32]) {
        self.rounds += 1;
        for (seat, &action) in actions.iter().enumerate() {
            if !self.seats[seat].over && self.act_one(seat, action as usize) {
                self.end(seat);
            }
        }
    }

    /// Whether the episode ends with it.
    fn act_one(&mut self, seat: usize, action: usize) -> bool {
        let whole = self.is_whole();
        let seat = &mut self.seats[seat];
        let outcome = seat.environment.act(action, &mut seat.random);
        seat.environment.observe(&mut seat.next);
        seat.actions += 1;
        seat.total += f64::from(outcome.reward);
        let memory = match whole {
            true => &mut seat.trail,
            false => &mut self.memory,
        };
        let row: [&[f32]; 6] = [
            &seat.seen,
            &[action as f32],
            &[outcome.reward],
            &seat.next,
            &[f32::from(u8::from(outcome.terminated))],
            // Not known before the end.
            &[0.0],
        ];
        memory.push(&row[..self.fields.len()]);
        std::mem::swap(&mut seat.seen, &mut seat.next);
        outcome.terminated || seat.actions == self.world.limit
    }

    fn is_whole(&self) -> bool {
        matches!(self.world.experience, Experience::Episodes { .. })
    }

    fn end(&mut self, number: usize) {
        let seat = &mut self.seats[number];
        self.returns.push(&[&[seat.total as f32]]);
        if let Experience::Episodes { discount } = self.world.experience {
            let mut rest = 0.0;
            for row in (0..seat.trail.rows()).rev() {
                rest = seat.trail.value(REWARD, row)[0] + discount * rest;
                *seat.trail.number_mut(RETURN, row) = rest;
            }
            self.memory.append(&seat.trail);
        }
        match self.then {
            Then::Another => self.begin(number),
            Then::Rest => seat.over = true,
        }
    }

    /// Chooses what the training step of this number learns from.
    pub fn choose(&mut self, batch: usize, step: u64) {
        self.chosen.clear();
        match self.world.experience {
            Experience::Replay { .. } => {
                let mut random = Random::new(self.seed, Stream::Replay, step);
                let rows = self.memory.rows() as u32;
                self.chosen.extend((0..batch).map(|_| random.below(rows)));
            }
            Experience::Episodes { .. } => self.chosen.extend(0..batch as u32),
        }
    }

    /// Fills in what was chosen.
    pub fn gather(&self, share: &mut BatchShare<'_>) {
        self.memory.gather(&self.chosen, share);
    }

    /// The training step is made.
    pub fn learnt(&mut self) {
        if self.is_whole() {
            self.memory.forget(self.chosen.len());
        }
    }

    /// The mean return of the last episodes, if any has ended.
    pub fn mean_return(&self) -> Option<f32> {
        let returns = (0..self.returns.rows()).map(|row| f64::from(self.returns.value(0, row)[0]));
        let count = self.returns.rows();
        (count > 0).then(|| (returns.sum::<f64>() / count as f64) as f32)
    }

    /// All that is remembered, as samples.
    pub fn split(&self) -> Split {
        self.memory.split()
    }

    /// Where everything stands, to go on from there; always as many bytes.
    pub fn save(&mut self) -> Vec<u8> {
        let mut save = Save::default();
        self.visit(&mut save);
        save.0
    }

    /// Goes on from where another one stood.
    pub fn restore(&mut self, saved: &[u8]) {
        self.visit(&mut Restore(saved));
    }

    fn visit(&mut self, visitor: &mut dyn Visitor) {
        visitor.bits(&mut self.episodes);
        visitor.bits(&mut self.rounds);
        self.memory.visit(visitor);
        self.returns.visit(visitor);
        for seat in &mut self.seats {
            visitor.bits(seat.random.state_mut());
            visitor.count(&mut seat.actions);
            visitor.double(&mut seat.total);
            seat.trail.visit(visitor);
            seat.environment
                .state()
                .iter_mut()
                .for_each(|value| visitor.double(value));
            seat.environment.observe(&mut seat.seen);
        }
    }
}
