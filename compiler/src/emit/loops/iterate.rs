//! Loops: over single points, and over vectors with single points at the ends.

use super::scope::{Index, Induction};
use super::{Emitter, Vector};
use crate::index::IndexExpr;
use crate::schedule::loops::Value;
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{self, Block, BlockArg, InstBuilder, types};

/// Elements of a vector here.
const LANES: usize = 4;

/// The rounds of a loop, at least one.
#[derive(Clone, Copy)]
pub enum Range {
    /// Always the same.
    Fixed {
        /// The first.
        start: usize,
        /// Behind the last.
        end: usize,
    },
    /// A task's share.
    Share {
        /// The first.
        start: ir::Value,
        /// Behind the last.
        end: ir::Value,
        /// Every share has a multiple of this many.
        multiple: usize,
    },
}

/// Emits the body of a loop: takes and gives the values that go round with it.
pub type LoopBody<'f, 'a> = dyn FnMut(&mut Emitter<'a>, &[ir::Value]) -> Vec<ir::Value> + 'f;

/// What goes round with a loop: an index, kept multiples of it, what the body carries.
struct Round {
    block: Block,
    index: ir::Value,
    scaled: Vec<(i64, ir::Value)>,
    carried: Vec<ir::Value>,
}

impl<'a> Emitter<'a> {
    /// All rounds of a loop.
    pub fn whole(&self, dim: usize) -> Range {
        Range::Fixed {
            start: 0,
            end: self.plan.flat.extents[dim],
        }
    }

    /// `for dim in range by step`; gives what the last round gave.
    pub fn each(
        &mut self,
        dim: usize,
        range: Range,
        step: usize,
        stages: &[usize],
        carried: &[ir::Value],
        body: &mut LoopBody<'_, 'a>,
    ) -> Vec<ir::Value> {
        if let Range::Fixed { start, end } = range
            && end - start == step
        {
            return self.once(dim, start, carried, body);
        }
        let (start, end) = self.bounds(range);
        let multiples = self.kept_multiples(dim, stages);
        let round = self.round(&multiples, carried);
        let exit = self.exit(carried);
        let first = self.first_args(start, &multiples, carried);
        self.b.ins().jump(round.block, &first);

        self.b.switch_to_block(round.block);
        let (next, scaled, carried) = self.run(dim, &round, step, body);
        let more = self.b.ins().icmp(IntCC::UnsignedLessThan, next, end);
        let again = block_args(next, &scaled, &carried);
        let done = only(&carried);
        self.b.ins().brif(more, round.block, &again, exit, &done);
        self.b.switch_to_block(exit);
        self.b.block_params(exit).to_vec()
    }

    /// A single round is no loop.
    fn once(
        &mut self,
        dim: usize,
        index: usize,
        carried: &[ir::Value],
        body: &mut LoopBody<'_, 'a>,
    ) -> Vec<ir::Value> {
        self.enter(dim, Index::Constant(index as i64));
        let carried = body(self, carried);
        self.leave();
        carried
    }

    /// A loop written out. What its rounds compute stays known after it: nothing branches.
    pub fn written_out(
        &mut self,
        dim: usize,
        carried: &[ir::Value],
        body: &mut LoopBody<'_, 'a>,
    ) -> Vec<ir::Value> {
        let rounds = 0..self.plan.flat.extents[dim];
        rounds.fold(carried.to_vec(), |carried, round| {
            let indices = self.indices.clone();
            self.indices[dim] = Index::Constant(round as i64);
            let carried = body(self, &carried);
            self.indices = indices;
            carried
        })
    }

    /// `for dim in range`, in vectors where whole blocks of them fit and no guard that
    /// depends on `dim` fails, else point by point. The body sees in
    /// `self.vector` which it is to do.
    pub fn vectors(
        &mut self,
        vector: Vector,
        range: Range,
        stages: &[usize],
        carried: &[ir::Value],
        body: &mut LoopBody<'_, 'a>,
    ) -> Vec<ir::Value> {
        let step = vector.blocks * LANES;
        let guards = self.guards_along(vector.dim, stages);
        match range {
            Range::Fixed { start, end } if guards.is_empty() => {
                let middle = end - (end - start) % step;
                let mut carried = carried.to_vec();
                if start < middle {
                    let range = Range::Fixed { start, end: middle };
                    carried = self.only_vectors(vector, range, stages, &carried, body);
                }
                if middle < end {
                    let range = Range::Fixed { start: middle, end };
                    carried = self.each(vector.dim, range, 1, stages, &carried, body);
                }
                carried
            }
            Range::Share { multiple, .. } if guards.is_empty() && multiple.is_multiple_of(step) => {
                self.only_vectors(vector, range, stages, carried, body)
            }
            _ => self.vectors_within(vector, range, &guards, stages, carried, body),
        }
    }

    fn only_vectors(
        &mut self,
        vector: Vector,
        range: Range,
        stages: &[usize],
        carried: &[ir::Value],
        body: &mut LoopBody<'_, 'a>,
    ) -> Vec<ir::Value> {
        let step = vector.blocks * LANES;
        self.each(
            vector.dim,
            range,
            step,
            stages,
            carried,
            &mut |e, carried| e.as_vectors(vector, carried, body),
        )
    }

    /// The general case: each round decides, and vectors go on as long as they can.
    fn vectors_within(
        &mut self,
        vector: Vector,
        range: Range,
        guards: &[(IndexExpr, usize)],
        stages: &[usize],
        carried: &[ir::Value],
        body: &mut LoopBody<'_, 'a>,
    ) -> Vec<ir::Value> {
        let Vector { dim, blocks } = vector;
        let step = blocks * LANES;
        let (start, end) = self.bounds(range);
        let (low, high) = self.interior(dim, end, guards);
        let last = self.b.ins().iadd_imm_s(high, -(step as i64));

        let multiples = self.kept_multiples(dim, stages);
        let [decide, many, one, next] = std::array::from_fn(|_| self.round(&multiples, carried));
        let exit = self.exit(carried);
        let first = self.first_args(start, &multiples, carried);
        self.b.ins().jump(decide.block, &first);

        self.b.switch_to_block(decide.block);
        let mut fits = self.at_most(decide.index, last);
        if let Some(low) = low {
            let inside = self.at_most(low, decide.index);
            fits = self.b.ins().band(fits, inside);
        }
        let args = decide.args();
        self.b.ins().brif(fits, many.block, &args, one.block, &args);

        self.b.switch_to_block(many.block);
        let (index, scaled, carried) = self.run(dim, &many, step, &mut |e, carried| {
            e.as_vectors(vector, carried, body)
        });
        let more = self.at_most(index, last);
        let args = block_args(index, &scaled, &carried);
        self.b
            .ins()
            .brif(more, many.block, &args, next.block, &args);

        self.b.switch_to_block(one.block);
        let (index, scaled, carried) = self.run(dim, &one, 1, body);
        let args = block_args(index, &scaled, &carried);
        self.b.ins().jump(next.block, &args);

        self.b.switch_to_block(next.block);
        let more = self.b.ins().icmp(IntCC::UnsignedLessThan, next.index, end);
        let args = next.args();
        let done = only(&next.carried);
        self.b.ins().brif(more, decide.block, &args, exit, &done);
        self.b.switch_to_block(exit);
        self.b.block_params(exit).to_vec()
    }

    fn at_most(&mut self, a: ir::Value, b: ir::Value) -> ir::Value {
        self.b.ins().icmp(IntCC::SignedLessThanOrEqual, a, b)
    }

    fn bounds(&mut self, range: Range) -> (ir::Value, ir::Value) {
        match range {
            Range::Share { start, end, .. } => (start, end),
            Range::Fixed { start, end } => (
                self.b.ins().iconst(types::I64, start as i64),
                self.b.ins().iconst(types::I64, end as i64),
            ),
        }
    }

    /// What the first round starts from.
    fn first_args(
        &mut self,
        start: ir::Value,
        multiples: &[i64],
        carried: &[ir::Value],
    ) -> Vec<BlockArg> {
        let scaled = self.multiples(start, multiples);
        block_args(start, &scaled, carried)
    }

    fn as_vectors(
        &mut self,
        vector: Vector,
        carried: &[ir::Value],
        body: &mut LoopBody<'_, 'a>,
    ) -> Vec<ir::Value> {
        let outside = self.vector.replace(vector);
        let carried = body(self, carried);
        self.vector = outside;
        carried
    }

    /// A block that takes what goes round.
    fn round(&mut self, multiples: &[i64], carried: &[ir::Value]) -> Round {
        let block = self.b.create_block();
        let index = self.b.append_block_param(block, types::I64);
        let scaled = multiples
            .iter()
            .map(|&c| (c, self.b.append_block_param(block, types::I64)))
            .collect();
        let carried = self.params_like(block, carried);
        Round {
            block,
            index,
            scaled,
            carried,
        }
    }

    /// A block that takes what a loop carried.
    pub fn exit(&mut self, carried: &[ir::Value]) -> Block {
        let block = self.b.create_block();
        self.params_like(block, carried);
        block
    }

    fn params_like(&mut self, block: Block, carried: &[ir::Value]) -> Vec<ir::Value> {
        carried
            .iter()
            .map(|&value| {
                let ty = self.b.func.dfg.value_type(value);
                self.b.append_block_param(block, ty)
            })
            .collect()
    }

    /// The body with the index of a round; gives what the next round starts from.
    fn run(
        &mut self,
        dim: usize,
        round: &Round,
        step: usize,
        body: &mut LoopBody<'_, 'a>,
    ) -> (ir::Value, Vec<ir::Value>, Vec<ir::Value>) {
        let induction = Induction {
            index: round.index,
            scaled: round.scaled.clone(),
        };
        self.enter(dim, Index::Variable(induction));
        let carried = body(self, &round.carried);
        self.leave();
        let next = self.b.ins().iadd_imm_u(round.index, step as i64);
        let scaled = self.later_multiples(&round.scaled, step as i64);
        (next, scaled, carried)
    }

    /// Guards of these stages that depend on a loop.
    fn guards_along(&self, dim: usize, stages: &[usize]) -> Vec<(IndexExpr, usize)> {
        let flat = &self.plan.flat;
        let ids = stages.iter().flat_map(|&stage| flat.cone(stage));
        let mut guards: Vec<(IndexExpr, usize)> = Vec::new();
        for id in ids {
            if let Value::Within(expr, size) = &flat.values[id]
                && expr.coefficient(dim) != 0
                && !guards.iter().any(|known| known == &(expr.clone(), *size))
            {
                guards.push((expr.clone(), *size));
            }
        }
        guards
    }

    /// The rounds in which all guards hold, whatever the loops inside: at least
    /// the first, where given, and below the second.
    fn interior(
        &mut self,
        dim: usize,
        end: ir::Value,
        guards: &[(IndexExpr, usize)],
    ) -> (Option<ir::Value>, ir::Value) {
        let mut low: Option<ir::Value> = None;
        let mut high = end;
        for (expr, size) in guards {
            let slope = expr.coefficient(dim);
            let (least, greatest) = self.others(expr, dim);
            // 0 <= slope * i + least and slope * i + greatest < size
            let size = *size as i64;
            let (from, to) = if slope > 0 {
                let above = self.b.ins().ineg(least);
                let negative = self.b.ins().ineg(greatest);
                let below = self.b.ins().iadd_imm_s(negative, size);
                (self.ceil_div(above, slope), self.ceil_div(below, slope))
            } else {
                let above = self.b.ins().iadd_imm_s(greatest, 1 - size);
                let below = self.b.ins().iadd_imm_s(least, 1);
                (self.ceil_div(above, -slope), self.ceil_div(below, -slope))
            };
            low = Some(match low {
                None => from,
                Some(low) => self.b.ins().smax(low, from),
            });
            high = self.b.ins().smin(high, to);
        }
        (low, high)
    }

    /// The least and greatest value of the other terms of an expression: open loops
    /// have an index, loops further in take all of theirs.
    fn others(&mut self, expr: &IndexExpr, dim: usize) -> (ir::Value, ir::Value) {
        let (mut open, mut inner) = (expr.clone(), expr.clone());
        open.terms
            .retain(|&(other, _)| other != dim && !matches!(self.indices[other], Index::Unknown));
        inner
            .terms
            .retain(|&(other, _)| other != dim && matches!(self.indices[other], Index::Unknown));
        inner.offset = 0;
        let (low, high) = inner.numerator_range(&self.plan.flat.extents);
        let open = self.numerator(&open);
        let least = self.b.ins().iadd_imm_s(open, low);
        let greatest = self.b.ins().iadd_imm_s(open, high);
        (least, greatest)
    }

    /// `max(a, 0) / by`, rounded up.
    fn ceil_div(&mut self, a: ir::Value, by: i64) -> ir::Value {
        let zero = self.b.ins().iconst(types::I64, 0);
        let a = self.b.ins().smax(a, zero);
        if by == 1 {
            return a;
        }
        let a = self.b.ins().iadd_imm_s(a, by - 1);
        self.b.ins().udiv_imm_u(a, by)
    }
}

impl Round {
    fn args(&self) -> Vec<BlockArg> {
        let scaled: Vec<ir::Value> = self.scaled.iter().map(|&(_, bytes)| bytes).collect();
        block_args(self.index, &scaled, &self.carried)
    }
}

fn block_args(index: ir::Value, scaled: &[ir::Value], carried: &[ir::Value]) -> Vec<BlockArg> {
    let values = std::iter::once(&index).chain(scaled).chain(carried);
    values.map(|&value| value.into()).collect()
}

/// As arguments of a block.
pub fn only(carried: &[ir::Value]) -> Vec<BlockArg> {
    carried.iter().map(|&value| value.into()).collect()
}
