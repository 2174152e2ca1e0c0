//! Values and stages of a point, or of a vector of points, one to a lane.

use super::build::{Body, Builder, Span};
use super::program::{Item, Op, Origin, Virtual, Width};
use crate::bug::bug;
use crate::nest::{BinaryOp, Combine};
use crate::schedule::loops::{Dims, Kind, Sink, StagePlan, Turn, Value, ValueId};
use std::ops::Range;

impl<'a> Builder<'a> {
    /// Computes here what the stages need and what does not depend on the loops further in.
    pub fn hoist_all(&mut self) {
        for stage in 0..self.plan.flat.stages.len() {
            self.hoist_inputs(stage);
            self.hoist_stage(stage);
        }
    }

    /// The same for one stage, which itself stays where it is.
    fn hoist_inputs(&mut self, stage: usize) {
        for id in self.plan.flat.cone(stage) {
            let later = self.plan.flat.values[id].is_constant()
                || !self.all_bound(self.dependencies[id])
                || self.awaits[id] & !self.done != 0;
            if !later {
                for block in 0..self.blocks_of(id) {
                    self.value(id, block);
                }
            }
        }
    }

    /// A reduction of what is known already need not wait for the loops further in.
    fn hoist_stage(&mut self, stage: usize) {
        let flat = &self.plan.flat;
        let only_reductions = flat.stages[..=stage].iter().all(|s| s.store().is_none());
        if !only_reductions || self.run.is_some() || self.done >> stage & 1 == 1 {
            return;
        }
        let value = flat.stages[stage].value;
        let over = Dims::of(flat.stages[stage].over.iter().copied());
        let ready = self.all_bound(self.dependencies[value].without(over))
            && self.awaits[value] & !self.done == 0;
        if ready {
            self.reduce(stage);
        }
    }

    /// How many vectors a value is here; what is the same in all lanes is one.
    fn blocks_of(&self, id: ValueId) -> usize {
        match self.run {
            Some(run) if self.dependencies[id].contains(run.dim) => run.blocks,
            _ => 1,
        }
    }

    /// A value, vector number `block` of it.
    pub fn value(&mut self, id: ValueId, block: usize) -> Virtual {
        let block = block.min(self.blocks_of(id) - 1);
        if let Some(known) = self.known_value(id, block) {
            return known;
        }
        let flat = &self.plan.flat;
        let value = match &flat.values[id] {
            Value::F32(bits) => return self.constant(*bits),
            Value::I32(number) => return self.constant(number.cast_unsigned()),
            Value::Mask(mask) => return self.constant(if *mask { u32::MAX } else { 0 }),
            Value::Reduced(stage) => {
                let key = (*stage, block);
                return self
                    .known(|frame| frame.reduced.get(&key))
                    .unwrap_or_else(|| bug!("emit", "stage {stage} is read before it has run"));
            }
            Value::Index(expr) => {
                let per_lane = self.run.map_or(0, |run| expr.coefficient(run.dim));
                let from = self.spot_of(Origin::Number, expr, block);
                self.compute(Op::Index(from, per_lane))
            }
            Value::Load { access, .. } => {
                let from = self.spot(access, block);
                let width = self.width(access);
                self.compute(Op::Load(from, width))
            }
            Value::Within(..) => bug!("emit", "a guard in a wide loop"),
            Value::Unary(op, x) => {
                let kind = self.kinds[*x];
                let x = self.value(*x, block);
                self.compute(Op::Unary(*op, kind, x))
            }
            Value::Binary(op @ (BinaryOp::ShiftLeft | BinaryOp::ShiftRight), x, y) => {
                let Value::I32(amount) = flat.values[*y] else {
                    bug!("emit", "a shift by no constant");
                };
                let x = self.value(*x, block);
                self.compute(Op::Shift(*op, x, amount.cast_unsigned()))
            }
            Value::Binary(op, x, y) => {
                let kind = self.kinds[*x];
                let [x, y] = [x, y].map(|&operand| self.value(operand, block));
                self.compute(Op::Binary(*op, kind, x, y))
            }
            Value::Fma(x, y, z) => {
                let [x, y, z] = [x, y, z].map(|&operand| self.value(operand, block));
                self.compute(Op::Fma(x, y, z))
            }
            Value::Select(mask, x, y) => {
                let [mask, x, y] = [mask, x, y].map(|&operand| self.value(operand, block));
                self.compute(Op::Select(mask, x, y))
            }
        };
        self.remember(id, block, value);
        value
    }

    /// All stages at a point.
    pub fn point(&mut self) {
        let flat = &self.plan.flat;
        for turn in flat.turns() {
            match turn {
                Turn::Reduce(stage) if self.done >> stage & 1 == 0 => self.reduce(stage),
                Turn::Reduce(_) => {}
                Turn::StoresAtPoint(stages) => self.store_at_point(stages),
                Turn::StoreOver(stage) => self.store_over(stage),
            }
        }
    }

    fn store_at_point(&mut self, stages: Range<usize>) {
        let flat = &self.plan.flat;
        let mut writes = Vec::new();
        for stage in &flat.stages[stages] {
            let Some(access) = stage.store() else {
                continue;
            };
            let width = self.width(access);
            let blocks = match (width, self.run) {
                (Width::Single, _) | (_, None) => 1,
                (_, Some(run)) => run.blocks,
            };
            for block in 0..blocks {
                let value = self.value(stage.value, block);
                let to = self.spot(access, block);
                writes.push(Item::Store { to, value, width });
            }
        }
        writes.into_iter().for_each(|write| self.add(write));
    }

    fn store_over(&mut self, stage: usize) {
        self.hoist_inputs(stage);
        let over = &self.plan.flat.stages[stage].over;
        self.stage_loops(stage, over, &[], &mut |b, _| {
            b.store_at_point(stage..stage + 1);
            Vec::new()
        });
    }

    /// Runs a reduction and remembers its result in the innermost scope.
    fn reduce(&mut self, stage: usize) {
        let Sink::Reduce(combine) = self.plan.flat.stages[stage].sink else {
            return;
        };
        self.hoist_inputs(stage);
        let results = match self.plan.stages[stage] {
            StagePlan::Vector(blocks) => vec![self.reduce_along(stage, combine, blocks)],
            StagePlan::Points | StagePlan::Unrolled => self.reduce_points(stage, combine),
        };
        for (block, result) in results.into_iter().enumerate() {
            self.frame().reduced.insert((stage, block), result);
        }
        self.done |= 1 << stage;
    }

    /// One accumulator for each vector of points.
    fn reduce_points(&mut self, stage: usize, combine: Combine) -> Vec<Virtual> {
        let flat = &self.plan.flat;
        let value = flat.stages[stage].value;
        let kind = self.kinds[value];
        let neutral = self.constant(combine.neutral(kind.dtype()));
        let start = vec![neutral; self.blocks_of(value)];
        self.stage_loops(stage, &flat.stages[stage].over, &start, &mut |b, so_far| {
            let blocks = so_far.iter().enumerate();
            blocks
                .map(|(block, &so_far)| {
                    let x = b.value(value, block);
                    b.combine(combine, kind, so_far, x)
                })
                .collect()
        })
    }

    /// Accumulators along the last loop, whose lanes are combined at the end in one fixed order.
    fn reduce_along(&mut self, stage: usize, combine: Combine, blocks: usize) -> Virtual {
        let flat = &self.plan.flat;
        let value = flat.stages[stage].value;
        let kind = self.kinds[value];
        let neutral = self.constant(combine.neutral(kind.dtype()));
        let start = vec![neutral; blocks];
        let lanes = self.lanes();
        let over = &flat.stages[stage].over;
        let mut sums = self.stage_loops(stage, over, &start, &mut |b, so_far| {
            let mut now = so_far.to_vec();
            let Some(run) = b.run else {
                bug!("emit", "a reduction along no vector");
            };
            for (block, so_far) in now[..run.blocks].iter_mut().enumerate() {
                let x = b.value(value, block);
                let combined = b.combine(combine, kind, *so_far, x);
                *so_far = if run.lanes < lanes {
                    let first = b.compute(Op::FirstLanes(run.lanes));
                    b.compute(Op::Select(first, combined, *so_far))
                } else {
                    combined
                };
            }
            now
        });
        while sums.len() > 1 {
            sums = sums
                .chunks(2)
                .map(|pair| match *pair {
                    [one, other] => self.combine(combine, kind, one, other),
                    _ => pair[0],
                })
                .collect();
        }
        let mut sum = sums[0];
        let mut distance = lanes / 2;
        while distance > 0 {
            let other = self.compute(Op::Swap(sum, distance));
            sum = self.combine(combine, kind, sum, other);
            distance /= 2;
        }
        sum
    }

    /// One more element into a reduction. Of floats the greatest is the second where one is
    /// NaN; a NaN that comes first must be kept.
    fn combine(&mut self, combine: Combine, kind: Kind, so_far: Virtual, x: Virtual) -> Virtual {
        let neutral = self.constant(combine.neutral(kind.dtype()));
        let op = match combine {
            Combine::Sum => BinaryOp::Add,
            Combine::Max => BinaryOp::Max,
            Combine::Min => BinaryOp::Min,
        };
        if combine != Combine::Sum && so_far == neutral {
            return x;
        }
        let combined = self.compute(Op::Binary(op, kind, so_far, x));
        if combine == Combine::Sum || kind != Kind::F32 {
            return combined;
        }
        let is_number = self.compute(Op::Binary(BinaryOp::Equal, kind, so_far, so_far));
        self.compute(Op::Select(is_number, combined, so_far))
    }

    /// The loops of a stage from `over` on.
    fn stage_loops(
        &mut self,
        stage: usize,
        over: &[usize],
        carried: &[Virtual],
        body: &mut Body<'_, 'a>,
    ) -> Vec<Virtual> {
        let Some((&dim, further)) = over.split_first() else {
            return body(self, carried);
        };
        let mut inside = |b: &mut Builder<'a>, carried: &[Virtual]| {
            if !further.is_empty() {
                b.hoist_inputs(stage);
            }
            b.stage_loops(stage, further, carried, body)
        };
        match self.plan.stages[stage] {
            StagePlan::Unrolled => self.written_out(dim, carried, &mut inside),
            StagePlan::Vector(blocks) if further.is_empty() => {
                self.vectors(dim, blocks, Span::Whole, carried, &mut inside)
            }
            StagePlan::Vector(_) | StagePlan::Points => {
                self.each(dim, Span::Whole, carried, &mut inside)
            }
        }
    }
}
