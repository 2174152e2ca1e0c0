//! Values: each computed once in the scope where it is first possible.

use super::Emitter;
use super::scope::{Index, Induction};
use crate::bug::bug;
use crate::emit::scalar::{self, Lanes};
use crate::index::{Dim, IndexExpr};
use crate::nest::{BinaryOp, MOST_REDUCTIONS};
use crate::schedule::loops::{Dims, Flat, Kind, StagePlan, Value, ValueId};
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{self, InstBuilder, types};

/// The stages whose results each value is computed from, as bits.
pub fn awaited_stages(flat: &Flat) -> Vec<u64> {
    if flat.stages.iter().filter(|s| s.store().is_none()).count() > MOST_REDUCTIONS {
        bug!("emit", "{} stages in a kernel", flat.stages.len());
    }
    let mut awaits: Vec<u64> = Vec::with_capacity(flat.values.len());
    for value in &flat.values {
        let own = match value {
            Value::Reduced(stage) => 1 << stage | awaits[flat.stages[*stage].value],
            _ => 0,
        };
        let of_operands = value.operands().map(|operand| awaits[operand]);
        let all = of_operands.fold(own, |bits, more| bits | more);
        awaits.push(all);
    }
    awaits
}

/// No bit set.
fn is_zero(value: &Value) -> bool {
    matches!(value, Value::F32(0) | Value::I32(0))
}

impl Emitter<'_> {
    /// Computes here what these stages need and what does not depend on the loops
    /// further in.
    pub fn hoist(&mut self, stages: &[usize]) {
        for &stage in stages {
            self.hoist_inputs(stage);
            self.hoist_stage(stage);
        }
    }

    /// The same for one stage, which itself stays where it is.
    pub fn hoist_inputs(&mut self, stage: usize) {
        self.bind_known_quotients();
        for id in self.plan.flat.cone(stage) {
            self.hoist_value(id);
        }
        if let Some(access) = self.plan.flat.stages[stage].store() {
            self.known_pointer(access);
        }
        if self.plan.stages[stage] == StagePlan::Unrolled {
            self.hoist_rounds(stage, &self.plan.flat.stages[stage].over);
        }
    }

    /// Guards and addresses of a loop that is going to be written out, for each round.
    fn hoist_rounds(&mut self, stage: usize, over: &[Dim]) {
        let flat = &self.plan.flat;
        if let Some((&dim, further)) = over.split_first() {
            if !matches!(self.indices[dim], Index::Unknown) {
                return self.hoist_rounds(stage, further);
            }
            for round in 0..flat.extents[dim] {
                let indices = self.indices.clone();
                self.indices[dim] = Index::Constant(round as i64);
                self.hoist_rounds(stage, further);
                self.indices = indices;
            }
            return;
        }
        self.bind_known_quotients();
        for id in flat.cone(stage) {
            match &flat.values[id] {
                Value::Within(expr, size)
                    if self.lanes(id) == Lanes::One && self.all_bound(self.dependencies[id]) =>
                {
                    self.within(expr, *size);
                }
                Value::Load { access, .. } => {
                    self.known_pointer(access);
                }
                _ => {}
            }
        }
    }

    fn hoist_value(&mut self, id: ValueId) {
        let flat = &self.plan.flat;
        let value = &flat.values[id];
        if let Value::Load { access, .. } = value {
            self.known_pointer(access);
        }
        let later = value.is_constant()
            || matches!(value, Value::Within(..) if self.lanes(id) == Lanes::Four)
            || !self.all_bound(self.dependencies[id])
            || self.awaits[id] & !self.done != 0;
        if !later {
            for block in 0..self.blocks_of(self.lanes(id)) {
                self.value(id, block);
            }
        }
    }

    /// A reduction of what is known already need not wait for the loops further in.
    fn hoist_stage(&mut self, stage: usize) {
        let flat = &self.plan.flat;
        let value = flat.stages[stage].value;
        let over = Dims::of(flat.stages[stage].over.iter().copied());
        let first = flat.stages[..stage].iter().all(|s| s.store().is_none());
        let ready = self.all_bound(self.dependencies[value].without(over))
            && self.awaits[value] & !self.done == 0;
        if first && ready && flat.stages[stage].store().is_none() && self.vector.is_none() {
            self.reduce(stage);
        }
    }

    /// Divisions whose numerators are known.
    pub fn bind_known_quotients(&mut self) {
        let flat = &self.plan.flat;
        for (position, expr) in flat.quotients.iter().enumerate() {
            let index = flat.extents.len() + position;
            let unknown = matches!(self.indices[index], Index::Unknown);
            if unknown && self.all_bound(flat.dims_of(expr)) {
                let quotient = self.quotient(expr);
                self.bind(index, Index::Variable(Induction::new(quotient)));
            }
        }
    }

    fn quotient(&mut self, expr: &IndexExpr) -> ir::Value {
        let expr = self.substitute(expr);
        if let Some(known) = self.known(|frame| frame.quotients.get(&expr)) {
            return known;
        }
        let numerator = self.numerator(&expr);
        let quotient = match expr.divisor {
            d if d & (d - 1) == 0 => {
                let bits = i64::from(d.trailing_zeros());
                self.b.ins().sshr_imm_u(numerator, bits)
            }
            d => self.b.ins().sdiv_imm_s(numerator, d),
        };
        self.frame().quotients.insert(expr, quotient);
        quotient
    }

    /// How wide a value is here.
    pub fn lanes(&self, id: ValueId) -> Lanes {
        match self.vector {
            Some(vector) if self.dependencies[id].contains(vector.dim) => Lanes::Four,
            _ => Lanes::One,
        }
    }

    /// How many vectors stand side by side.
    pub fn blocks_of(&self, lanes: Lanes) -> usize {
        match (lanes, self.vector) {
            (Lanes::Four, Some(vector)) => vector.blocks,
            _ => 1,
        }
    }

    /// A value as wide as asked for.
    pub fn operand(&mut self, id: ValueId, block: usize, lanes: Lanes) -> ir::Value {
        if self.lanes(id) == lanes {
            return self.value(id, block);
        }
        if lanes == Lanes::One {
            bug!("emit", "a vector where one element is needed");
        }
        let key = self.key(id, 0);
        if let Some(known) = self.known(|frame| frame.splats.get(&key)) {
            return known;
        }
        let kind = self.kinds[id];
        let splat = match self.plan.flat.values[id] {
            Value::F32(bits) => scalar::constant(&mut self.b, kind, lanes, bits),
            Value::I32(number) => {
                scalar::constant(&mut self.b, kind, lanes, number.cast_unsigned())
            }
            Value::Mask(mask) => {
                let bits = if mask { u32::MAX } else { 0 };
                scalar::constant(&mut self.b, kind, lanes, bits)
            }
            _ => {
                let one = self.value(id, 0);
                scalar::splat(&mut self.b, kind, one)
            }
        };
        self.frame().splats.insert(key, splat);
        splat
    }

    /// A value, as wide as it is here.
    pub fn value(&mut self, id: ValueId, block: usize) -> ir::Value {
        let lanes = self.lanes(id);
        let block = if lanes == Lanes::Four { block } else { 0 };
        let key = self.key(id, block);
        if let Some(known) = self.known(|frame| frame.values.get(&key)) {
            return known;
        }
        let value = self.compute(id, block, lanes);
        self.frame().values.insert(key, value);
        value
    }

    fn compute(&mut self, id: ValueId, block: usize, lanes: Lanes) -> ir::Value {
        let flat = &self.plan.flat;
        let kind = self.kinds[id];
        match &flat.values[id] {
            Value::F32(bits) => scalar::constant(&mut self.b, kind, lanes, *bits),
            Value::I32(number) => {
                scalar::constant(&mut self.b, kind, lanes, number.cast_unsigned())
            }
            Value::Mask(mask) => scalar::constant(&mut self.b, kind, lanes, u32::from(*mask)),
            Value::Index(expr) => self.index(expr, block, lanes),
            Value::Within(expr, size) => self.within(expr, *size),
            Value::Load {
                access,
                guards,
                fill,
            } => {
                let mask = self.all_of(guards);
                let value = self.load(access, mask, kind, lanes, block);
                let Some(mut mask) = mask else { return value };
                if lanes == Lanes::Four {
                    mask = scalar::splat(&mut self.b, Kind::Mask, mask);
                }
                let outside = scalar::constant(&mut self.b, kind, lanes, *fill);
                scalar::select(&mut self.b, kind, lanes, mask, value, outside)
            }
            Value::Reduced(stage) => {
                let key = (*stage, block);
                self.known(|frame| frame.reduced.get(&key))
                    .unwrap_or_else(|| bug!("emit", "stage {stage} is read before it has run"))
            }
            Value::Unary(op, a) => {
                let of = self.kinds[*a];
                let a = self.operand(*a, block, lanes);
                scalar::unary(&mut self.b, *op, of, lanes, a)
            }
            Value::Binary(op, x, y) => {
                let of = self.kinds[*x];
                let shift = matches!(op, BinaryOp::ShiftLeft | BinaryOp::ShiftRight);
                let x = self.operand(*x, block, lanes);
                let y = self.operand(*y, block, if shift { Lanes::One } else { lanes });
                scalar::binary(&mut self.b, *op, of, lanes, x, y)
            }
            Value::Fma(x, y, z) => {
                let [x, y, z] = [x, y, z].map(|&operand| self.operand(operand, block, lanes));
                self.b.ins().fma(x, y, z)
            }
            Value::Select(mask, x, y) if lanes == Lanes::Four && is_zero(&flat.values[*y]) => {
                let [mask, x] = [mask, x].map(|&o| self.operand(o, block, lanes));
                scalar::select_or_zero(&mut self.b, kind, mask, x)
            }
            Value::Select(mask, x, y) => {
                let [mask, x, y] = [mask, x, y].map(|&o| self.operand(o, block, lanes));
                scalar::select(&mut self.b, kind, lanes, mask, x, y)
            }
        }
    }

    /// An index expression as i32.
    fn index(&mut self, expr: &IndexExpr, block: usize, lanes: Lanes) -> ir::Value {
        let first = self.numerator(expr);
        let first = self.b.ins().ireduce(types::I32, first);
        let Some(vector) = self.vector.filter(|_| lanes == Lanes::Four) else {
            return first;
        };
        let step = expr.coefficient(vector.dim) as i32;
        let first = scalar::splat(&mut self.b, Kind::I32, first);
        let steps = std::array::from_fn(|lane| {
            step.wrapping_mul((4 * block + lane) as i32).cast_unsigned()
        });
        let steps = scalar::vector(&mut self.b, Kind::I32, steps);
        self.b.ins().iadd(first, steps)
    }

    /// Whether an expression is an integer in `0..size`, for one element.
    fn within(&mut self, expr: &IndexExpr, size: usize) -> ir::Value {
        let key = (self.substitute(expr), size);
        if let Some(known) = self.known(|frame| frame.guards.get(&key)) {
            return known;
        }
        let inside = self.check_within(&key.0, size);
        self.frame().guards.insert(key, inside);
        inside
    }

    fn check_within(&mut self, expr: &IndexExpr, size: usize) -> ir::Value {
        let numerator = self.numerator(expr);
        let divisor = expr.divisor;
        let end = self.b.ins().iconst(types::I64, size as i64 * divisor);
        // Negative ones are very large when seen as unsigned.
        let inside = self.b.ins().icmp(IntCC::UnsignedLessThan, numerator, end);
        if divisor == 1 {
            return inside;
        }
        let rest = if divisor & (divisor - 1) == 0 {
            self.b.ins().band_imm_u(numerator, divisor - 1)
        } else {
            self.b.ins().urem_imm_u(numerator, divisor)
        };
        let zero = self.b.ins().iconst(types::I64, 0);
        let exact = self.b.ins().icmp(IntCC::Equal, rest, zero);
        self.b.ins().band(inside, exact)
    }

    /// The conjunction of guards, as far as it is open here. Those along the vector
    /// hold: the loop sees to it.
    pub fn all_of(&mut self, guards: &[ValueId]) -> Option<ir::Value> {
        let mut open: Vec<ir::Value> = Vec::new();
        for &guard in guards {
            if self.lanes(guard) == Lanes::One {
                open.push(self.value(guard, 0));
            }
        }
        open.retain(|guard| {
            !self
                .frames
                .iter()
                .any(|frame| frame.assumed.contains(guard))
        });
        if let Some(known) = self.known(|frame| frame.masks.get(&open)) {
            return Some(known);
        }
        let all = open
            .iter()
            .copied()
            .reduce(|all, mask| self.b.ins().band(all, mask))?;
        self.frame().masks.insert(open, all);
        Some(all)
    }
}
