//! Which vector register holds which value of an epilogue: each one is kept until it
//! was read for the last time; when registers run out, the value needed last goes
//! to the stack.

use std::ops::Range;

use iced_x86::Register;

use super::wide_asm::{At, Vector, WideAsm};
use crate::bug::bug;
use crate::schedule::tiles::{Linear, Value, ValueId, Write};

/// What the epilogue does, in order. All reads come before all writes, so that
/// tensors may be updated in place.
pub(super) struct Program<'a> {
    values: &'a [Value],
    /// First every value, in order.
    pub actions: Vec<Action>,
    /// For every value, when it is read, in order.
    uses: Vec<Vec<usize>>,
}

#[derive(Clone, Copy)]
pub(super) enum Action {
    Compute(ValueId),
    Write(Write),
}

impl Program<'_> {
    pub fn of(linear: &Linear) -> Program<'_> {
        let computed = (0..linear.values.len()).map(Action::Compute);
        let writes = linear.writes.iter().copied().map(Action::Write);
        let actions: Vec<Action> = computed.chain(writes).collect();
        let mut uses = vec![Vec::new(); linear.values.len()];
        for (position, action) in actions.iter().enumerate() {
            for operand in action.reads(&linear.values) {
                uses[operand].push(position);
            }
        }
        Program {
            values: &linear.values,
            actions,
            uses,
        }
    }

    /// When a value is read next, from `position` on.
    fn next_use(&self, id: ValueId, position: usize) -> Option<usize> {
        let uses = &self.uses[id];
        let passed = uses.partition_point(|&used| used < position);
        uses.get(passed).copied()
    }
}

impl Action {
    fn reads(self, values: &[Value]) -> Vec<ValueId> {
        match self {
            Action::Compute(id) => values[id].operands().collect(),
            Action::Write(write) => vec![write.value],
        }
    }
}

/// The registers while a program runs.
pub(super) struct Registers<'a> {
    program: &'a Program<'a>,
    /// Which values stay from run to run: they are the same in every row of a tile.
    kept: Vec<bool>,
    /// Those that hold nothing.
    free: Vec<Vector>,
    /// Where each value is.
    homes: Vec<Home>,
    /// Those that the action in progress needs.
    pinned: Vec<Vector>,
    /// How far the program has run.
    position: usize,
}

/// Where a value is: a register, a stack slot, both, or nowhere yet.
#[derive(Clone, Copy, Default)]
struct Home {
    register: Option<Vector>,
    /// In the slot of its number.
    saved: bool,
}

impl<'a> Registers<'a> {
    pub fn new(program: &'a Program<'a>, kept: Vec<bool>, free: Range<usize>) -> Registers<'a> {
        Registers {
            program,
            kept,
            free: free.map(|number| Vector(number as u8)).collect(),
            homes: vec![Home::default(); program.values.len()],
            pinned: Vec::new(),
            position: 0,
        }
    }

    /// Begins the program anew, in the next row.
    pub fn start(&mut self) {
        let homes = self.homes.iter_mut().zip(&self.kept);
        homes
            .filter(|(_, kept)| !**kept)
            .for_each(|(home, _)| *home = Home::default());
        self.position = 0;
    }

    /// Forgets what was kept.
    pub fn forget(&mut self) {
        let held = self.homes.iter_mut();
        self.free
            .extend(held.filter_map(|home| std::mem::take(home).register));
    }

    /// Whether a value was kept from an earlier row.
    pub fn holds(&self, id: ValueId) -> bool {
        let Home { register, saved } = self.homes[id];
        self.kept[id] && (saved || register.is_some())
    }

    /// Ends the action in progress: frees the registers of what it was the last to read.
    pub fn step(&mut self) {
        self.pinned.clear();
        for id in self.program.actions[self.position].reads(self.program.values) {
            if self.dies(id)
                && let Some(register) = self.homes[id].register.take()
            {
                self.free.push(register);
            }
        }
        self.position += 1;
    }

    /// Whether the action in progress is the last to read a value.
    fn dies(&self, id: ValueId) -> bool {
        !self.kept[id] && self.program.next_use(id, self.position + 1).is_none()
    }

    /// The register that holds a value, brought back if need be, and kept for this action.
    pub fn fetch(&mut self, asm: &mut WideAsm, id: ValueId) -> Vector {
        let register = self.homes[id].register.unwrap_or_else(|| {
            let register = self.take(asm);
            asm.load(register, slot(asm, id));
            self.homes[id].register = Some(register);
            register
        });
        self.pinned.push(register);
        register
    }

    /// A register for a result: that of an operand which nobody reads later, or another.
    pub fn define(&mut self, asm: &mut WideAsm, id: ValueId) -> Vector {
        let dying = self.program.values[id]
            .operands()
            .find(|&operand| self.homes[operand].register.is_some() && self.dies(operand));
        let inherited = dying.and_then(|operand| self.homes[operand].register.take());
        let register = inherited.unwrap_or_else(|| self.take(asm));
        self.pinned.push(register);
        self.homes[id].register = Some(register);
        register
    }

    /// Says that a register that was taken holds a value.
    pub fn assign(&mut self, id: ValueId, register: Vector) {
        self.homes[id].register = Some(register);
    }

    /// Gives a register back that was taken.
    pub fn give(&mut self, register: Vector) {
        self.free.push(register);
    }

    /// An empty register: a free one, or that of the value needed last.
    pub fn take(&mut self, asm: &mut WideAsm) -> Vector {
        if let Some(register) = self.free.pop() {
            return register;
        }
        let held = self.homes.iter().enumerate().filter_map(|(id, home)| {
            let register = home.register?;
            (!self.pinned.contains(&register)).then_some((id, register))
        });
        // What is kept for the next row only is needed last.
        let needed = |id: ValueId| self.program.next_use(id, self.position);
        let victim = held.max_by_key(|&(id, _)| needed(id).unwrap_or(usize::MAX));
        let Some((victim, register)) = victim else {
            bug!("emit", "too few registers for the epilogue");
        };
        if !self.homes[victim].saved {
            asm.store(slot(asm, victim), register);
        }
        self.homes[victim] = Home {
            register: None,
            saved: true,
        };
        register
    }
}

/// The stack slot of a value.
fn slot(asm: &WideAsm, id: ValueId) -> At {
    stack_at(id as i64 * asm.vector_bytes())
}

/// Bytes from the top of the stack.
pub(super) fn stack_at(offset: i64) -> At {
    At {
        base: Register::RSP,
        offset,
    }
}
