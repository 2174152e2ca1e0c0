//! From a plan to a program of vectors: every value is computed in the outermost loop in
//! which all that it needs is known, and once.

use super::program::{
    Carried, ELEMENT, Item, Loop, Mover, MoverId, Op, Origin, Program, Rounds, Spot, Virtual,
    Width, movers_in,
};
use crate::bug::bug;
use crate::emit::loops::awaited_stages;
use crate::index::{Dim, IndexExpr};
use crate::schedule::loops::{Access, Dims, Kind, LoopPlan, ValueId};
use std::collections::BTreeMap;

/// The program of a plan.
pub(super) fn build(plan: &LoopPlan) -> Program {
    let mut builder = Builder::new(plan);
    builder.hoist_all();
    let tasks = builder.open(|b| {
        b.frames.push(Frame::default());
        (0..plan.tasks.loops).for_each(|dim| b.bind(dim, Index::Variable));
        b.hoist_all();
        b.outer_loops(
            plan.tasks.loops,
            plan.tasks.chunk.map_or(Span::Whole, |_| Span::Share),
        );
        b.leave();
    });
    builder.add(Item::Loop(Loop {
        rounds: Rounds::Tasks,
        steps: Vec::new(),
        carried: Vec::new(),
        body: tasks,
    }));
    Program {
        movers: builder.movers,
        constants: builder.constants,
        items: builder.lists.pop().unwrap_or_default(),
    }
}

/// What is known at the place where the program grows.
pub(super) struct Builder<'a> {
    pub plan: &'a LoopPlan,
    /// Of each value.
    pub kinds: Vec<Kind>,
    /// The loops within which each value changes.
    pub dependencies: Vec<Dims>,
    /// The stages whose results each value needs, as bits.
    pub awaits: Vec<u64>,
    /// The stages whose results are known, as bits.
    pub done: u64,
    /// The vectors that run here, if any.
    pub run: Option<Run>,
    pub frames: Vec<Frame>,
    pub indices: Vec<Index>,
    movers: Vec<Mover>,
    constants: Vec<Option<u32>>,
    known_constants: BTreeMap<u32, Virtual>,
    /// Items of the lists being made, innermost last.
    lists: Vec<Vec<Item>>,
}

/// Vectors along a loop: `blocks` of them side by side, of which the last has `lanes` that count.
#[derive(Clone, Copy)]
pub(super) struct Run {
    pub dim: Dim,
    pub blocks: usize,
    pub lanes: usize,
    /// Whether they are all there is along the loop: what they hold stays known after it.
    pub whole: bool,
}

/// The index of a loop.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Index {
    /// Its loop is not open.
    Unknown,
    /// The loop is written out, and this is the round.
    Constant(i64),
    /// Movers follow it.
    Variable,
}

/// Which rounds of a loop.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Span {
    /// All of them.
    Whole,
    /// The task's.
    Share,
}

/// A value, the number of its vector (0 for what is the same in all lanes), and the rounds of
/// the written-out loops within which it changes, [`WHOLE`] for one that is a few vectors.
type Key = (ValueId, usize, Vec<i64>);

/// The round of a loop that is written out as vectors side by side.
const WHOLE: i64 = -1;

/// What has been computed in a loop.
#[derive(Default)]
pub(super) struct Frame {
    bound: Vec<Dim>,
    values: BTreeMap<Key, Virtual>,
    pub reduced: BTreeMap<(usize, usize), Virtual>,
}

/// Emits the body of a loop: takes and gives the values that go round with it.
pub(super) type Body<'f, 'a> = dyn FnMut(&mut Builder<'a>, &[Virtual]) -> Vec<Virtual> + 'f;

impl<'a> Builder<'a> {
    fn new(plan: &'a LoopPlan) -> Builder<'a> {
        let flat = &plan.flat;
        Builder {
            plan,
            kinds: flat.kinds(),
            dependencies: flat.dependencies(),
            awaits: awaited_stages(flat),
            done: 0,
            run: None,
            frames: vec![Frame::default()],
            indices: vec![Index::Unknown; flat.extents.len()],
            movers: Vec::new(),
            constants: Vec::new(),
            known_constants: BTreeMap::new(),
            lists: vec![Vec::new()],
        }
    }

    /// Lanes of a whole vector.
    pub fn lanes(&self) -> usize {
        self.plan.isa.lanes()
    }

    /// The outer loops from `dim` on, and what happens at their points.
    fn outer_loops(&mut self, dim: Dim, span: Span) {
        if dim == self.plan.flat.outer {
            return self.point();
        }
        match self.plan.outer_vector {
            Some(blocks) if dim + 1 == self.plan.flat.outer => {
                self.vectors(dim, blocks, span, &[], &mut |b, _| {
                    b.point();
                    Vec::new()
                });
            }
            _ => {
                self.each(dim, span, &[], &mut |b, _| {
                    b.hoist_all();
                    b.outer_loops(dim + 1, Span::Whole);
                    Vec::new()
                });
            }
        }
    }

    /// A loop over single points.
    pub fn each(
        &mut self,
        dim: Dim,
        span: Span,
        carried: &[Virtual],
        body: &mut Body<'_, 'a>,
    ) -> Vec<Virtual> {
        let mut moved = BTreeMap::new();
        let rounds = match span {
            Span::Whole => Rounds::Fixed(self.plan.flat.extents[dim]),
            Span::Share => Rounds::Share(1),
        };
        let carried = self.rounds(dim, rounds, 1, None, carried, &mut moved, body);
        self.rewind(moved);
        carried
    }

    /// A loop in vectors: many at once, then one by one, then what is less than one.
    pub fn vectors(
        &mut self,
        dim: Dim,
        blocks: usize,
        span: Span,
        carried: &[Virtual],
        body: &mut Body<'_, 'a>,
    ) -> Vec<Virtual> {
        let (extent, lanes) = (self.plan.flat.extents[dim], self.lanes());
        let step = blocks * lanes;
        let parts = [
            (extent / step, step, blocks, lanes),
            (extent % step / lanes, lanes, 1, lanes),
            (
                usize::from(!extent.is_multiple_of(lanes)),
                extent % lanes,
                1,
                extent % lanes,
            ),
        ];
        let mut carried = carried.to_vec();
        let mut moved = BTreeMap::new();
        for (count, step, blocks, lanes) in parts {
            let rounds = match span {
                // A share that ends with the loop may have rests that the whole has not.
                Span::Share if step > 0 => Rounds::Share(step),
                _ if count > 0 => Rounds::Fixed(count),
                _ => continue,
            };
            let whole = span == Span::Whole && blocks * lanes == extent;
            let run = Run {
                dim,
                blocks,
                lanes,
                whole,
            };
            carried = self.rounds(dim, rounds, step, Some(run), &carried, &mut moved, body);
        }
        self.rewind(moved);
        carried
    }

    #[allow(
        clippy::too_many_arguments,
        reason = "all of them say what the loop is"
    )]
    fn rounds(
        &mut self,
        dim: Dim,
        rounds: Rounds,
        step: usize,
        run: Option<Run>,
        carried: &[Virtual],
        moved: &mut BTreeMap<MoverId, i64>,
        body: &mut Body<'_, 'a>,
    ) -> Vec<Virtual> {
        let once = rounds == Rounds::Fixed(1);
        let inside: Vec<Virtual> = match once {
            true => carried.to_vec(),
            false => carried.iter().map(|_| self.fresh()).collect(),
        };
        let mut next = Vec::new();
        let items = self.open(|b| {
            b.frames.push(Frame::default());
            b.bind(dim, Index::Variable);
            let outside = match run {
                Some(run) => b.run.replace(run),
                None => b.run,
            };
            next = body(b, &inside);
            b.run = outside;
            let values = b.leave();
            if run.is_some_and(|run| run.whole) {
                b.frame().values.extend(values);
            }
        });
        let steps: Vec<(MoverId, i64)> = movers_in(&items)
            .into_iter()
            .map(|id| (id, self.movers[id].step(dim) * step as i64))
            .filter(|&(_, bytes)| bytes != 0)
            .collect();
        if let Rounds::Fixed(count) = rounds {
            for &(id, bytes) in &steps {
                *moved.entry(id).or_default() += bytes * count as i64;
            }
        }
        if once {
            for item in items {
                self.add(item);
            }
            self.add(Item::Move(steps));
            return next;
        }
        if rounds != Rounds::Tasks && matches!(rounds, Rounds::Share(_)) && !carried.is_empty() {
            bug!("emit", "a share of a reduction");
        }
        let all = carried.iter().zip(&inside).zip(&next);
        let carried = all
            .map(|((&first, &inside), &next)| Carried {
                first,
                inside,
                next,
            })
            .collect();
        self.add(Item::Loop(Loop {
            rounds,
            steps,
            carried,
            body: items,
        }));
        inside
    }

    /// Movers go back to where a loop began; after a task's share nobody needs them.
    fn rewind(&mut self, moved: BTreeMap<MoverId, i64>) {
        let back = moved.into_iter().map(|(id, bytes)| (id, -bytes));
        let back: Vec<(MoverId, i64)> = back.filter(|&(_, bytes)| bytes != 0).collect();
        self.add(Item::Move(back));
    }

    /// A loop written out. What its rounds compute stays known after it.
    pub fn written_out(
        &mut self,
        dim: Dim,
        carried: &[Virtual],
        body: &mut Body<'_, 'a>,
    ) -> Vec<Virtual> {
        (0..self.plan.flat.extents[dim]).fold(carried.to_vec(), |carried, round| {
            let outside = std::mem::replace(&mut self.indices[dim], Index::Constant(round as i64));
            let carried = body(self, &carried);
            self.indices[dim] = outside;
            carried
        })
    }

    /// The items that `grow` adds.
    fn open(&mut self, grow: impl FnOnce(&mut Builder<'a>)) -> Vec<Item> {
        self.lists.push(Vec::new());
        grow(self);
        self.lists.pop().unwrap_or_default()
    }

    /// One more item; of moves that follow each other the sum.
    pub fn add(&mut self, item: Item) {
        let Some(list) = self.lists.last_mut() else {
            bug!("emit", "an item of no list");
        };
        match (list.last_mut(), item) {
            (Some(Item::Move(before)), Item::Move(more)) => {
                for (id, bytes) in more {
                    match before.iter_mut().find(|(known, _)| *known == id) {
                        Some((_, sum)) => *sum += bytes,
                        None => before.push((id, bytes)),
                    }
                }
            }
            (_, item) => list.push(item),
        }
    }

    /// A register that nothing has defined yet.
    pub fn fresh(&mut self) -> Virtual {
        self.constants.push(None);
        self.constants.len() - 1
    }

    /// A register that this defines here.
    pub fn compute(&mut self, op: Op) -> Virtual {
        let id = self.fresh();
        self.add(Item::Compute(id, op));
        id
    }

    /// The same bits in every lane.
    pub fn constant(&mut self, bits: u32) -> Virtual {
        if let Some(&known) = self.known_constants.get(&bits) {
            return known;
        }
        self.constants.push(Some(bits));
        self.known_constants.insert(bits, self.constants.len() - 1);
        self.constants.len() - 1
    }

    /// Where an access leads, for vector number `block`.
    pub fn spot(&mut self, access: &Access, block: usize) -> Spot {
        self.spot_of(Origin::Argument(access.arg), &access.address, block)
    }

    /// Where an expression is at hand.
    pub fn spot_of(&mut self, origin: Origin, expr: &IndexExpr, block: usize) -> Spot {
        /// Larger offsets count among the mover's: instructions hold 32 bits.
        const NEAR: i64 = 1 << 24;
        let mut offset = expr.offset;
        let mut terms = Vec::new();
        for &(dim, coefficient) in &expr.terms {
            match self.indices[dim] {
                Index::Constant(round) => offset += round * coefficient,
                Index::Variable => terms.push((dim, coefficient)),
                Index::Unknown => bug!("emit", "an access outside the loop of i{dim}"),
            }
        }
        if let Some(run) = self.run {
            offset += expr.coefficient(run.dim) * (block * self.lanes()) as i64;
        }
        let base = offset.div_euclid(NEAR) * NEAR;
        let mover = Mover {
            origin,
            terms,
            base,
        };
        let scale = mover.scale();
        let known = self.movers.iter().position(|known| *known == mover);
        let id = known.unwrap_or_else(|| {
            self.movers.push(mover);
            self.movers.len() - 1
        });
        Spot {
            mover: id,
            offset: (offset - base) * scale,
        }
    }

    /// How the lanes of an access lie in a vector here.
    pub fn width(&self, access: &Access) -> Width {
        let Some(run) = self.run else {
            return Width::Single;
        };
        match access.address.coefficient(run.dim) {
            0 => Width::Single,
            1 => Width::Neighbours(run.lanes),
            step => Width::Apart {
                lanes: run.lanes,
                step,
            },
        }
    }

    /// Closes the innermost scope: what was known only there is forgotten, and comes back.
    fn leave(&mut self) -> BTreeMap<Key, Virtual> {
        let Some(frame) = self.frames.pop() else {
            bug!("emit", "more loops end than began");
        };
        for dim in frame.bound {
            self.indices[dim] = Index::Unknown;
        }
        for &(stage, _) in frame.reduced.keys() {
            self.done &= !(1 << stage);
        }
        frame.values
    }

    fn bind(&mut self, dim: Dim, index: Index) {
        self.indices[dim] = index;
        self.frame().bound.push(dim);
    }

    /// The innermost scope.
    pub fn frame(&mut self) -> &mut Frame {
        let last = self.frames.len() - 1;
        &mut self.frames[last]
    }

    /// Something computed in any open scope.
    pub fn known(&self, look: impl Fn(&Frame) -> Option<&Virtual>) -> Option<Virtual> {
        self.frames.iter().rev().find_map(look).copied()
    }

    /// A value that was computed before, by its key here.
    pub fn known_value(&self, id: ValueId, block: usize) -> Option<Virtual> {
        let key = self.key(id, block);
        self.known(|frame| frame.values.get(&key))
    }

    /// Remembers a value until the innermost scope closes.
    pub fn remember(&mut self, id: ValueId, block: usize, value: Virtual) {
        let key = self.key(id, block);
        self.frame().values.insert(key, value);
    }

    fn key(&self, id: ValueId, block: usize) -> Key {
        let rounds = self.dependencies[id]
            .iter()
            .filter_map(|dim| match self.indices[dim] {
                Index::Constant(round) => Some(round),
                Index::Variable | Index::Unknown => None,
            });
        let run = self.run.filter(|run| run.whole);
        let whole = run.filter(|run| self.dependencies[id].contains(run.dim));
        (id, block, rounds.chain(whole.map(|_| WHOLE)).collect())
    }

    /// Whether all these loops are open.
    pub fn all_bound(&self, dims: Dims) -> bool {
        dims.iter().all(|dim| self.indices[dim] != Index::Unknown)
    }
}

const _: () = assert!(ELEMENT == 4, "lanes are 32 bits wide");
