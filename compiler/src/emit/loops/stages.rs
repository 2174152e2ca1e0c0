//! The stages of a kernel at a point: reductions and stores.

use super::iterate::{LoopBody, only};
use super::scope::Frame;
use super::{Emitter, Vector};
use crate::emit::scalar::{self, Lanes};
use crate::nest::Combine;
use crate::schedule::loops::{Kind, Sink, StagePlan, Turn};
use cranelift_codegen::ir::{self, InstBuilder};
use std::ops::Range;

impl<'a> Emitter<'a> {
    /// All stages at a point (or a block of points, one to a lane).
    pub fn point(&mut self) {
        let flat = &self.plan.flat;
        self.bind_known_quotients();
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
            let lanes = self.store_lanes(stage.value, access);
            for block in 0..self.blocks_of(lanes) {
                let value = self.operand(stage.value, block, lanes);
                writes.push((access, value, lanes, block));
            }
        }
        for (access, value, lanes, block) in writes {
            self.store(access, value, lanes, block);
        }
    }

    fn store_over(&mut self, stage: usize) {
        self.hoist_inputs(stage);
        let flat = &self.plan.flat;
        let over = &flat.stages[stage].over;
        let body: &mut LoopBody<'_, 'a> = &mut |e: &mut Emitter<'a>, _: &[ir::Value]| {
            e.store_at_point(stage..stage + 1);
            Vec::new()
        };
        self.stage_loops(stage, over, &[], body);
    }

    /// A store is as wide as the places it writes.
    fn store_lanes(&self, value: usize, access: &crate::schedule::loops::Access) -> Lanes {
        match self.vector {
            Some(vector) if access.address.coefficient(vector.dim) != 0 => Lanes::Four,
            _ => self.lanes(value),
        }
    }

    /// Runs a reduction and remembers its result in the innermost scope.
    pub fn reduce(&mut self, stage: usize) {
        let flat = &self.plan.flat;
        let Sink::Reduce(combine) = flat.stages[stage].sink else {
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
    fn reduce_points(&mut self, stage: usize, combine: Combine) -> Vec<ir::Value> {
        let flat = &self.plan.flat;
        let value = flat.stages[stage].value;
        let kind = self.kinds[value];
        let lanes = self.lanes(value);
        let start = (0..self.blocks_of(lanes))
            .map(|_| scalar::identity(&mut self.b, combine, kind, lanes))
            .collect::<Vec<_>>();
        self.stage_loops(stage, &flat.stages[stage].over, &start, &mut |e, so_far| {
            let blocks = so_far.iter().enumerate();
            blocks
                .map(|(block, &so_far)| {
                    let x = e.value(value, block);
                    if so_far == start[block] && combine != Combine::Sum {
                        return x;
                    }
                    scalar::combine(&mut e.b, combine, kind, lanes, so_far, x)
                })
                .collect()
        })
    }

    /// Vector accumulators along the last loop and one for single points; their lanes
    /// are combined at the end, in one fixed order.
    fn reduce_along(&mut self, stage: usize, combine: Combine, blocks: usize) -> ir::Value {
        let flat = &self.plan.flat;
        let value = flat.stages[stage].value;
        let kind = self.kinds[value];
        let mut start = vec![scalar::identity(&mut self.b, combine, kind, Lanes::One)];
        for _ in 0..blocks {
            start.push(scalar::identity(&mut self.b, combine, kind, Lanes::Four));
        }
        let sums = self.stage_loops(stage, &flat.stages[stage].over, &start, &mut |e, so_far| {
            let mut now = so_far.to_vec();
            if e.vector.is_some() {
                for (block, so_far) in now[1..].iter_mut().enumerate() {
                    let x = e.operand(value, block, Lanes::Four);
                    *so_far = scalar::combine(&mut e.b, combine, kind, Lanes::Four, *so_far, x);
                }
            } else {
                let x = e.value(value, 0);
                now[0] = scalar::combine(&mut e.b, combine, kind, Lanes::One, so_far[0], x);
            }
            now
        });
        let mut vectors = sums[1..].to_vec();
        while vectors.len() > 1 {
            vectors = vectors
                .chunks(2)
                .map(|pair| {
                    scalar::combine(&mut self.b, combine, kind, Lanes::Four, pair[0], pair[1])
                })
                .collect();
        }
        let across = self.across(vectors[0], combine, kind);
        scalar::combine(&mut self.b, combine, kind, Lanes::One, across, sums[0])
    }

    /// `(l0 + l1) + (l2 + l3)`
    fn across(&mut self, vector: ir::Value, combine: Combine, kind: Kind) -> ir::Value {
        let lanes = [0u8, 1, 2, 3].map(|lane| self.b.ins().extractlane(vector, lane));
        let [low, high] = [[0, 1], [2, 3]].map(|[a, b]| {
            scalar::combine(&mut self.b, combine, kind, Lanes::One, lanes[a], lanes[b])
        });
        scalar::combine(&mut self.b, combine, kind, Lanes::One, low, high)
    }

    /// The loops of a stage from `over` on.
    fn stage_loops(
        &mut self,
        stage: usize,
        over: &[usize],
        carried: &[ir::Value],
        body: &mut LoopBody<'_, 'a>,
    ) -> Vec<ir::Value> {
        let Some((&dim, further)) = over.split_first() else {
            return body(self, carried);
        };
        let mut inside = |e: &mut Emitter<'a>, carried: &[ir::Value]| {
            e.bind_known_quotients();
            e.gated(stage, carried, &mut |e, carried| {
                if !further.is_empty() {
                    e.hoist_inputs(stage);
                }
                e.stage_loops(stage, further, carried, body)
            })
        };
        let range = self.whole(dim);
        match self.plan.stages[stage] {
            StagePlan::Unrolled => self.written_out(dim, carried, &mut inside),
            StagePlan::Vector(blocks) if further.is_empty() => {
                let vector = Vector { dim, blocks };
                self.vectors(vector, range, &[stage], carried, &mut inside)
            }
            StagePlan::Vector(_) | StagePlan::Points => {
                self.each(dim, range, 1, &[stage], carried, &mut inside)
            }
        }
    }

    /// What only counts where some guards hold is skipped where one of them fails.
    fn gated(
        &mut self,
        stage: usize,
        carried: &[ir::Value],
        body: &mut LoopBody<'_, 'a>,
    ) -> Vec<ir::Value> {
        let mut gates = self.plan.flat.gates(stage);
        gates.retain(|&gate| self.all_bound(self.dependencies[gate]));
        let Some(mask) = self.all_of(&gates) else {
            return body(self, carried);
        };
        let then = self.b.create_block();
        let join = self.exit(carried);
        let unchanged = only(carried);
        self.b.ins().brif(mask, then, &[], join, &unchanged);
        self.b.switch_to_block(then);
        self.frames.push(Frame::default());
        for gate in gates {
            if self.lanes(gate) == Lanes::One {
                let holds = self.value(gate, 0);
                self.frame().assumed.push(holds);
            }
        }
        let carried = body(self, carried);
        self.leave();
        self.b.ins().jump(join, &only(&carried));
        self.b.switch_to_block(join);
        self.b.block_params(join).to_vec()
    }
}
