//! Addresses, loads and stores. A pointer is built up loop by loop, so that the
//! innermost one adds at most its own index.

use super::Emitter;
use super::scope::Index;
use crate::bug::bug;
use crate::emit::scalar::{Lanes, clif_type};
use crate::index::IndexExpr;
use crate::schedule::loops::{Access, Kind, Sink, Value};
use cranelift_codegen::ir::{self, InstBuilder, MemFlagsData, types};

/// Bytes of an element of any type.
const ELEMENT: i64 = 4;

impl Emitter<'_> {
    /// Loads the addresses of the arguments.
    pub fn load_args(&mut self, table: ir::Value) {
        let flags = MemFlagsData::trusted().with_readonly().with_can_move();
        self.args = (0..self.plan.flat.args.len())
            .map(|arg| self.b.ins().load(types::I64, flags, table, arg as i32 * 8))
            .collect();
    }

    /// Loads one element or a vector (number `block`). Where `mask` is false the lanes
    /// start so far into the argument's memory that none of them lies before it.
    pub fn load(
        &mut self,
        access: &Access,
        mask: Option<ir::Value>,
        kind: Kind,
        lanes: Lanes,
        block: usize,
    ) -> ir::Value {
        let (mut pointer, mut offset) = self.address(access);
        if let Some(mask) = mask {
            let inside = self.b.ins().iadd_imm_s(pointer, i64::from(offset));
            let safe = self.harmless(access, lanes, block);
            pointer = self.b.ins().select(mask, inside, safe);
            offset = 0;
        }
        let ty = clif_type(kind, lanes);
        match (lanes, self.vector_step(access)) {
            (Lanes::One, _) => self.b.ins().load(ty, scalar_flags(), pointer, offset),
            (Lanes::Four, 1) => {
                let offset = offset + lane_offset(1, block, 0);
                self.b.ins().load(ty, vector_flags(), pointer, offset)
            }
            (Lanes::Four, step) => {
                let element = clif_type(kind, Lanes::One);
                let first = offset + lane_offset(step, block, 0);
                let first = self.b.ins().load(element, scalar_flags(), pointer, first);
                let first = self.b.ins().scalar_to_vector(ty, first);
                (1..4).fold(first, |vector, lane| {
                    let offset = offset + lane_offset(step, block, lane);
                    let next = self.b.ins().load(element, scalar_flags(), pointer, offset);
                    self.b.ins().insertlane(vector, next, lane as u8)
                })
            }
        }
    }

    /// Where a load that does not count may read: all its lanes span no more than the
    /// tensor, in which they run backwards where the step is negative.
    fn harmless(&mut self, access: &Access, lanes: Lanes, block: usize) -> ir::Value {
        let start = self.args[access.arg];
        match (lanes, self.vector_step(access)) {
            (Lanes::Four, step) if step < 0 => {
                let last = lane_offset(step, block, 3);
                self.b.ins().iadd_imm_s(start, -i64::from(last))
            }
            _ => start,
        }
    }

    /// Stores one element or a vector (number `block`).
    pub fn store(&mut self, access: &Access, value: ir::Value, lanes: Lanes, block: usize) {
        let (pointer, offset) = self.address(access);
        match (lanes, self.vector_step(access)) {
            (Lanes::One, _) => {
                self.b.ins().store(scalar_flags(), value, pointer, offset);
            }
            (Lanes::Four, 1) => {
                let offset = offset + lane_offset(1, block, 0);
                self.b.ins().store(vector_flags(), value, pointer, offset);
            }
            (Lanes::Four, step) => {
                for lane in 0..4 {
                    let element = self.b.ins().extractlane(value, lane as u8);
                    let offset = offset + lane_offset(step, block, lane);
                    self.b.ins().store(scalar_flags(), element, pointer, offset);
                }
            }
        }
    }

    /// Elements from one lane to the next.
    fn vector_step(&self, access: &Access) -> i64 {
        self.vector
            .map_or(0, |vector| access.address.coefficient(vector.dim))
    }

    /// Where an access leads: a pointer and bytes to add.
    fn address(&mut self, access: &Access) -> (ir::Value, i32) {
        let mut offset = access.address.offset;
        for &(dim, coefficient) in &access.address.terms {
            match self.indices[dim] {
                Index::Constant(index) => offset += index * coefficient,
                Index::Variable(_) => {}
                Index::Unknown => bug!("emit", "an access outside the loop of i{dim}"),
            }
        }
        let pointer = self.known_pointer(access);
        match i32::try_from(offset * ELEMENT) {
            // Leaves room for the lanes of a vector.
            Ok(bytes) if bytes.abs() < i32::MAX / 2 => (pointer, bytes),
            _ => (self.b.ins().iadd_imm_s(pointer, offset * ELEMENT), 0),
        }
    }

    /// The part of an access's address that is known here.
    pub fn known_pointer(&mut self, access: &Access) -> ir::Value {
        let mut terms = Vec::new();
        for &(dim, coefficient) in &access.address.terms {
            if let Index::Variable(induction) = &self.indices[dim] {
                let kept = induction.scaled.iter().find(|(c, _)| *c == coefficient);
                let index = induction.index;
                if let Some(&(_, bytes)) = kept {
                    self.frame().scaled.insert((index, coefficient), bytes);
                }
                terms.push((index, coefficient));
            }
        }
        // Outer loops first, so that the innermost adds to a pointer that is at hand.
        terms.sort_by_key(|&(index, _)| (self.depths.get(&index).copied(), index));
        self.pointer(access.arg, terms)
    }

    fn pointer(&mut self, arg: usize, terms: Vec<(ir::Value, i64)>) -> ir::Value {
        let Some((&(index, coefficient), outer)) = terms.split_last() else {
            return self.args[arg];
        };
        let outer = outer.to_vec();
        let key = (arg, terms);
        if let Some(pointer) = self.known(|frame| frame.pointers.get(&key)) {
            return pointer;
        }
        let base = self.pointer(arg, outer);
        let bytes = self.index_bytes(index, coefficient);
        let pointer = self.b.ins().iadd(base, bytes);
        self.frame().pointers.insert(key, pointer);
        pointer
    }

    /// An index times a coefficient, in bytes.
    fn index_bytes(&mut self, index: ir::Value, coefficient: i64) -> ir::Value {
        let key = (index, coefficient);
        self.known(|frame| frame.scaled.get(&key))
            .unwrap_or_else(|| {
                let bytes = self.times(index, coefficient * ELEMENT);
                self.frame().scaled.insert(key, bytes);
                bytes
            })
    }

    /// `a * by`, as a shift where that does.
    fn times(&mut self, a: ir::Value, by: i64) -> ir::Value {
        match by {
            1 => a,
            _ if by > 0 && by & (by - 1) == 0 => {
                self.b.ins().ishl_imm_u(a, i64::from(by.trailing_zeros()))
            }
            _ => self.b.ins().imul_imm_s(a, by),
        }
    }

    /// The numerator of an index expression, as i64.
    pub fn numerator(&mut self, expr: &IndexExpr) -> ir::Value {
        let mut offset = expr.offset;
        let mut sum: Option<ir::Value> = None;
        for &(dim, coefficient) in &expr.terms {
            let index = match &self.indices[dim] {
                Index::Constant(index) => {
                    offset += index * coefficient;
                    continue;
                }
                Index::Variable(induction) => induction.index,
                Index::Unknown => bug!("emit", "an index outside the loop of i{dim}"),
            };
            let term = self.times(index, coefficient);
            sum = Some(match sum {
                None => term,
                Some(sum) => self.b.ins().iadd(sum, term),
            });
        }
        match sum {
            None => self.b.ins().iconst(types::I64, offset),
            Some(sum) if offset == 0 => sum,
            Some(sum) => self.b.ins().iadd_imm_s(sum, offset),
        }
    }

    /// The steps of a loop that accesses of these stages take and that no
    /// addressing mode does for free.
    pub fn kept_multiples(&self, dim: usize, stages: &[usize]) -> Vec<i64> {
        let flat = &self.plan.flat;
        let mut kept = Vec::new();
        let mut keep = |access: &Access| {
            let c = access.address.coefficient(dim);
            if !matches!(c, 0..=2) && !kept.contains(&c) {
                kept.push(c);
            }
        };
        for &stage in stages {
            for id in flat.cone(stage) {
                if let Value::Load { access, .. } = &flat.values[id] {
                    keep(access);
                }
            }
            if let Sink::Store(access) = &flat.stages[stage].sink {
                keep(access);
            }
        }
        kept
    }

    /// Multiplies an index by each of the coefficients, in bytes.
    pub fn multiples(&mut self, index: ir::Value, coefficients: &[i64]) -> Vec<ir::Value> {
        coefficients
            .iter()
            .map(|c| self.times(index, c * ELEMENT))
            .collect()
    }

    /// The same multiples some rounds later.
    pub fn later_multiples(&mut self, scaled: &[(i64, ir::Value)], rounds: i64) -> Vec<ir::Value> {
        scaled
            .iter()
            .map(|&(c, bytes)| self.b.ins().iadd_imm_s(bytes, c * ELEMENT * rounds))
            .collect()
    }
}

/// Bytes from the first lane of the first vector to a lane of vector `block`.
fn lane_offset(step: i64, block: usize, lane: usize) -> i32 {
    let bytes = (4 * block + lane) as i64 * step * ELEMENT;
    i32::try_from(bytes).unwrap_or_else(|_| bug!("emit", "a vector that spans {bytes} bytes"))
}

/// Elements are aligned to their size, and every address is valid.
fn scalar_flags() -> MemFlagsData {
    MemFlagsData::trusted()
}

/// Vectors start at any element.
fn vector_flags() -> MemFlagsData {
    MemFlagsData::new().with_notrap()
}
