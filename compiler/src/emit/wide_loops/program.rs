//! A loop nest as a program of vectors: what is computed where, in virtual registers, with
//! no word about real ones. Every value is a vector; what is the same for all lanes is a
//! vector of equal lanes, so there is one form for numbers of any width.

use crate::index::Dim;
use crate::nest::{BinaryOp, UnaryOp};
use crate::schedule::loops::Kind;

/// A virtual vector register; each is defined once.
pub(super) type Virtual = usize;

/// Position of a [`Mover`].
pub(super) type MoverId = usize;

/// A whole kernel.
pub(super) struct Program {
    pub movers: Vec<Mover>,
    /// Of each virtual register; constants are defined by nobody.
    pub constants: Vec<Option<u32>>,
    pub items: Vec<Item>,
}

/// An address or a number that follows the loops: at any place it stands where the indices
/// of the open loops lead, those of all others being 0.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Mover {
    pub origin: Origin,
    /// Elements (or units) that one step of each loop adds.
    pub terms: Vec<(Dim, i64)>,
    /// Elements (or units) at index 0.
    pub base: i64,
}

/// What a mover starts from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Origin {
    /// The address of an argument.
    Argument(usize),
    /// Zero: it is a number itself.
    Number,
}

impl Mover {
    /// What one step of a loop adds: bytes, or units.
    pub fn step(&self, dim: Dim) -> i64 {
        let terms = self.terms.iter();
        let step: i64 = terms.filter(|term| term.0 == dim).map(|term| term.1).sum();
        step * self.scale()
    }

    /// Bytes of an element, or 1.
    pub fn scale(&self) -> i64 {
        match self.origin {
            Origin::Argument(_) => ELEMENT,
            Origin::Number => 1,
        }
    }
}

/// Bytes of an element of any type.
pub(super) const ELEMENT: i64 = 4;

/// A mover and what is added to it: bytes, or units.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Spot {
    pub mover: MoverId,
    pub offset: i64,
}

/// One thing that is done.
pub(super) enum Item {
    Compute(Virtual, Op),
    Store {
        to: Spot,
        value: Virtual,
        width: Width,
    },
    Loop(Loop),
    /// Movers that go somewhere without a loop.
    Move(Vec<(MoverId, i64)>),
}

/// How lanes lie in memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Width {
    /// One element for all lanes.
    Single,
    /// So many neighbours; lanes beyond are zero, or not written.
    Neighbours(usize),
    /// So many, each so many elements from the last.
    Apart { lanes: usize, step: i64 },
}

/// How a virtual register comes about.
pub(super) enum Op {
    Load(Spot, Width),
    /// A number and what each lane adds to it, as i32.
    Index(Spot, i64),
    /// All ones in the first lanes.
    FirstLanes(usize),
    Unary(UnaryOp, Kind, Virtual),
    Binary(BinaryOp, Kind, Virtual, Virtual),
    Shift(BinaryOp, Virtual, u32),
    Fma(Virtual, Virtual, Virtual),
    Select(Virtual, Virtual, Virtual),
    /// Each lane takes that of the one so many (a power of two) up or down.
    Swap(Virtual, usize),
}

/// A loop. What its body defines nobody outside knows but for what it carries.
pub(super) struct Loop {
    pub rounds: Rounds,
    /// By how much each mover goes on after a round.
    pub steps: Vec<(MoverId, i64)>,
    pub carried: Vec<Carried>,
    pub body: Vec<Item>,
}

/// How often a loop goes round.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Rounds {
    /// Always so often, twice at least.
    Fixed(usize),
    /// As long as so many elements of the task's share are left.
    Share(usize),
    /// Once for each task.
    Tasks,
}

/// A value that goes round with a loop, and is known after it under the name it has inside.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Carried {
    /// What the first round starts from.
    pub first: Virtual,
    /// Its name in each round, and after the last one.
    pub inside: Virtual,
    /// What the next round starts from.
    pub next: Virtual,
}

impl Op {
    /// What it reads.
    pub fn operands(&self) -> impl Iterator<Item = Virtual> + use<> {
        let (operands, count) = match *self {
            Op::Load(..) | Op::Index(..) | Op::FirstLanes(_) => ([0; 3], 0),
            Op::Unary(_, _, x) | Op::Shift(_, x, _) | Op::Swap(x, _) => ([x, 0, 0], 1),
            Op::Binary(_, _, x, y) => ([x, y, 0], 2),
            Op::Fma(x, y, z) | Op::Select(x, y, z) => ([x, y, z], 3),
        };
        operands.into_iter().take(count)
    }
}

/// The movers that some items read through, each once.
pub(super) fn movers_in(items: &[Item]) -> Vec<MoverId> {
    let mut found = Vec::new();
    collect_movers(items, &mut found);
    found.sort_unstable();
    found.dedup();
    found
}

fn collect_movers(items: &[Item], found: &mut Vec<MoverId>) {
    for item in items {
        match item {
            Item::Compute(_, Op::Load(spot, _) | Op::Index(spot, _))
            | Item::Store { to: spot, .. } => found.push(spot.mover),
            Item::Compute(..) | Item::Move(_) => {}
            Item::Loop(inner) => collect_movers(&inner.body, found),
        }
    }
}
