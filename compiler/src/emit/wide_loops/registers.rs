//! Which vector register holds which value. In a straight line each value is kept until it
//! was read for the last time, and when registers run out the one needed last goes to the
//! stack. Around a loop registers must look the same: what its body reads but does not define
//! gets a register for the whole loop as far as there are some, and else a place on the stack.

use super::lives::{Lives, Moment};
use super::program::{Carried, Virtual};
use crate::bug::bug;
use crate::emit::wide_asm::{At, Vector, WideAsm};
use crate::emit::wide_ops::Op2;
use iced_x86::Register;
use std::cmp::Reverse;

pub(super) struct Registers {
    lives: Lives,
    constants: Vec<Option<u32>>,
    homes: Vec<Home>,
    /// How many there are.
    count: usize,
    free: Vec<Vector>,
    /// Those that an open loop keeps for one value.
    kept: Vec<Vector>,
    /// Those that the item in progress needs.
    busy: Vec<Vector>,
    /// Places on the stack that nobody needs any more, and how many there are in all.
    free_slots: Vec<usize>,
    slots: usize,
    /// Bytes from the top of the stack to the first place.
    base: i64,
    now: Moment,
    /// What goes round in the open loops, in which registers, until when.
    turning: Vec<Turning>,
}

/// Where a value is: a register, a place on the stack, both, or nowhere yet.
#[derive(Clone, Copy, Default)]
struct Home {
    register: Option<Vector>,
    slot: Option<usize>,
}

#[derive(Clone, Copy)]
struct Turning {
    carried: Carried,
    register: Vector,
    end: Moment,
}

/// What an open loop keeps: values outside of it, and how much went round before it began.
pub(super) struct Kept {
    values: Vec<(Virtual, Vector)>,
    turning: usize,
}

impl Registers {
    /// Registers from 0 up to `count`; on the stack values lie from `base` on.
    pub fn new(lives: Lives, constants: &[Option<u32>], count: usize, base: i64) -> Registers {
        Registers {
            homes: vec![Home::default(); constants.len()],
            lives,
            constants: constants.to_vec(),
            count,
            free: (0..count as u8).rev().map(Vector).collect(),
            kept: Vec::new(),
            busy: Vec::new(),
            free_slots: Vec::new(),
            slots: 0,
            base,
            now: 1,
            turning: Vec::new(),
        }
    }

    /// The register that holds a value, brought back if need be, and kept for this item.
    pub fn fetch(&mut self, asm: &mut WideAsm, id: Virtual) -> Vector {
        let register = self.homes[id].register.unwrap_or_else(|| {
            let register = self.take(asm);
            self.bring(asm, id, register);
            self.homes[id].register = Some(register);
            register
        });
        self.busy.push(register);
        register
    }

    /// Puts a value that is in no register into this one.
    fn bring(&mut self, asm: &mut WideAsm, id: Virtual, register: Vector) {
        match (self.constants[id], self.homes[id].slot) {
            (Some(0), _) => asm.zero(register),
            (Some(bits), _) => {
                let at = asm.constant(&[bits]);
                asm.broadcast(register, at);
            }
            (None, Some(slot)) => {
                let from = self.place(asm, slot);
                asm.load(register, from);
            }
            (None, None) => bug!("emit", "v{id} is read before it is computed"),
        }
    }

    /// A register for what is computed now: the one in which it is to go round, or that of an
    /// operand which nobody reads later, or another. It is none of the operands' but of those
    /// that `may_be` names.
    pub fn define(&mut self, asm: &mut WideAsm, id: Virtual, may_be: &[Virtual]) -> Vector {
        let register = self
            .turning_register(id, may_be)
            .or_else(|| self.inherit(may_be))
            .unwrap_or_else(|| self.take(asm));
        self.busy.push(register);
        self.homes[id].register = Some(register);
        register
    }

    /// Where the value goes round, if this round's value is not read any more.
    fn turning_register(&self, id: Virtual, may_be: &[Virtual]) -> Option<Vector> {
        let turning = self.turning.iter().rev().find(|t| t.carried.next == id)?;
        let this_round = turning.carried.inside;
        let mut uses = self.lives.uses[this_round].iter();
        let free = uses.all(|&used| {
            used < self.now
                || used > turning.end
                || (used == self.now && may_be.contains(&this_round))
        });
        free.then_some(turning.register)
    }

    fn inherit(&mut self, may_be: &[Virtual]) -> Option<Vector> {
        let heir = may_be.iter().copied().find(|&operand| {
            let register = self.homes[operand].register;
            self.lives.last[operand] <= self.now
                && register.is_some_and(|register| !self.kept.contains(&register))
        })?;
        self.homes[heir].register.take()
    }

    /// An empty register, kept for this item: a free one, or that of the value needed last.
    fn take(&mut self, asm: &mut WideAsm) -> Vector {
        let register = self.free.pop().unwrap_or_else(|| {
            let held = self.homes.iter().enumerate().filter_map(|(id, home)| {
                let register = home.register?;
                let used = self.busy.contains(&register) || self.kept.contains(&register);
                (!used).then_some((id, register))
            });
            let needed = |id: Virtual| self.lives.next_use(id, self.now).unwrap_or(Moment::MAX);
            let Some((victim, register)) = held.max_by_key(|&(id, _)| needed(id)) else {
                bug!("emit", "too few registers for a loop");
            };
            self.save(asm, victim);
            self.homes[victim].register = None;
            register
        });
        self.busy.push(register);
        register
    }

    /// Sees to it that a value is not in its register alone.
    fn save(&mut self, asm: &mut WideAsm, id: Virtual) {
        let Home { register, slot } = self.homes[id];
        let (Some(register), None, None) = (register, slot, self.constants[id]) else {
            return;
        };
        let slot = self.free_slots.pop().unwrap_or_else(|| {
            self.slots += 1;
            self.slots - 1
        });
        self.homes[id].slot = Some(slot);
        let to = self.place(asm, slot);
        asm.store(to, register);
    }

    fn place(&self, asm: &WideAsm, slot: usize) -> At {
        At {
            base: Register::RSP,
            offset: self.base + slot as i64 * asm.vector_bytes(),
        }
    }

    /// Ends the item in progress: what it was the last to read is nowhere any more.
    pub fn step(&mut self) {
        self.busy.clear();
        for id in 0..self.homes.len() {
            if self.lives.last[id] <= self.now && self.lives.defined[id] <= self.now {
                self.forget(id);
            }
        }
        self.now += 1;
    }

    fn forget(&mut self, id: Virtual) {
        if let Some(register) = self.homes[id].register {
            if self.kept.contains(&register) {
                return;
            }
            self.release(id, register);
        }
        if let Some(slot) = self.homes[id].slot.take() {
            self.free_slots.push(slot);
        }
    }

    fn release(&mut self, id: Virtual, register: Vector) {
        self.homes[id].register = None;
        if !self.free.contains(&register) {
            self.free.push(register);
        }
    }

    /// Begins a loop: what goes round gets registers, what is read inside as many as the body
    /// leaves, and all else goes to the stack.
    pub fn enter(&mut self, asm: &mut WideAsm, carried: &[Carried]) -> Kept {
        let start = self.now;
        let end = self.lives.end_of(start);
        let mut kept = Kept {
            values: Vec::new(),
            turning: self.turning.len(),
        };
        for &carried in carried {
            let register = self.start_turning(asm, carried.first);
            self.kept.push(register);
            self.homes[carried.inside].register = Some(register);
            self.turning.push(Turning {
                carried,
                register,
                end,
            });
        }
        self.busy.clear();
        let body = self.lives.pressure(start, end).max(LEAST);
        let room = (self.count - self.kept.len()).saturating_sub(body);
        for id in self.read_inside(start, end).into_iter().take(room) {
            let register = self.fetch(asm, id);
            self.busy.clear();
            self.kept.push(register);
            kept.values.push((id, register));
        }
        for id in 0..self.homes.len() {
            if let Some(register) = self.homes[id].register
                && !self.kept.contains(&register)
            {
                if self.lives.last[id] > start {
                    self.save(asm, id);
                }
                self.release(id, register);
            }
        }
        self.step();
        kept
    }

    /// A register of its own with the value that goes round first.
    fn start_turning(&mut self, asm: &mut WideAsm, first: Virtual) -> Vector {
        let last = self.lives.last[first] <= self.now;
        match self.homes[first].register {
            Some(register) if last && !self.kept.contains(&register) => {
                self.homes[first].register = None;
                register
            }
            Some(other) => {
                self.busy.push(other);
                let register = self.take(asm);
                asm.op2(Op2::Move, register, other);
                register
            }
            None => {
                let register = self.take(asm);
                self.bring(asm, first, register);
                register
            }
        }
    }

    /// What a loop reads but does not define and that no loop keeps yet, the most read first.
    /// A constant costs no more than what is on the stack, but that has to be saved before.
    fn read_inside(&self, start: Moment, end: Moment) -> Vec<Virtual> {
        let is_kept = |id: Virtual| {
            let register = self.homes[id].register;
            register.is_some_and(|register| self.kept.contains(&register))
        };
        let reads = |id: Virtual| self.lives.reads_within(id, start, end);
        let mut found: Vec<Virtual> = (0..self.homes.len())
            .filter(|&id| self.lives.defined[id] < start && reads(id) > 0 && !is_kept(id))
            .collect();
        found.sort_by_key(|&id| (Reverse(reads(id)), self.constants[id].is_some()));
        found
    }

    /// Ends the body of a loop: what goes round next goes to where it is expected.
    pub fn turn(&mut self, asm: &mut WideAsm, kept: &Kept) {
        for index in kept.turning..self.turning.len() {
            let Turning {
                carried, register, ..
            } = self.turning[index];
            let from = self.fetch(asm, carried.next);
            if from != register {
                asm.op2(Op2::Move, register, from);
            }
        }
    }

    /// Behind a loop: its registers are for others, and what went round stays where it was.
    pub fn leave(&mut self, kept: Kept) {
        for id in 0..self.homes.len() {
            // What the body brought into registers may be there or not.
            if let Some(register) = self.homes[id].register
                && !self.kept.contains(&register)
            {
                self.release(id, register);
            }
        }
        for turning in self.turning.split_off(kept.turning) {
            let Carried { inside, next, .. } = turning.carried;
            self.kept.retain(|&other| other != turning.register);
            if next != inside && self.homes[next].register == Some(turning.register) {
                self.homes[next].register = None;
            }
            self.homes[inside].register = Some(turning.register);
        }
        for (_, register) in kept.values {
            self.kept.retain(|&other| other != register);
        }
        self.step();
    }
}

/// Registers that a body of any size works with: operands, a result.
const LEAST: usize = 5;
