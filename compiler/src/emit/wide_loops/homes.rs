//! Where movers and counters live: those that are needed most often in registers, the
//! others on the stack.

use super::program::{Item, MoverId, Op, Origin, Program, Rounds};
use iced_x86::code_asm::{AsmRegister64, registers::gpr64};
use std::cmp::Reverse;

/// Registers that no instruction here takes for itself.
const REGISTERS: [AsmRegister64; 10] = [
    gpr64::rbx,
    gpr64::rbp,
    gpr64::rcx,
    gpr64::rsi,
    gpr64::r8,
    gpr64::r9,
    gpr64::r12,
    gpr64::r13,
    gpr64::r14,
    gpr64::r15,
];

/// A place for an integer.
#[derive(Clone, Copy)]
pub(super) enum Home {
    Register(AsmRegister64),
    /// Bytes from the top of the stack.
    Stack(i32),
}

pub(super) struct Homes {
    pub movers: Vec<Home>,
    /// Of loops with a fixed number of rounds, by how many are around them.
    pub counters: Vec<Home>,
    /// Behind the last place on the stack.
    pub end: i32,
}

impl Homes {
    /// Places on the stack begin at `start`.
    pub fn of(program: &Program, start: i32) -> Homes {
        let mut needs = Needs {
            movers: vec![0.0; program.movers.len()],
            counters: Vec::new(),
        };
        needs.count(&program.items, 0, 1.0);
        let mut homes = Homes {
            movers: vec![Home::Stack(0); needs.movers.len()],
            counters: vec![Home::Stack(0); needs.counters.len()],
            end: start,
        };
        let movers = needs.movers.iter().enumerate();
        let movers = movers.map(|(id, &need)| (need, Some(id), 0));
        let counters = needs.counters.iter().enumerate();
        let counters = counters.map(|(depth, &need)| (need, None, depth));
        let mut all: Vec<(f64, Option<MoverId>, usize)> = movers.chain(counters).collect();
        all.sort_by(|a, b| b.0.total_cmp(&a.0).then(Reverse(a.1).cmp(&Reverse(b.1))));
        let mut registers = REGISTERS.into_iter();
        for (_, mover, depth) in all {
            // Numbers are read from memory into all lanes.
            let number = mover.is_some_and(|id| program.movers[id].origin == Origin::Number);
            let register = if number { None } else { registers.next() };
            let home = register.map_or_else(
                || {
                    homes.end += 8;
                    Home::Stack(homes.end - 8)
                },
                Home::Register,
            );
            match mover {
                Some(id) => homes.movers[id] = home,
                None => homes.counters[depth] = home,
            }
        }
        homes
    }
}

/// How often each is needed, in rough numbers.
struct Needs {
    movers: Vec<f64>,
    counters: Vec<f64>,
}

impl Needs {
    fn count(&mut self, items: &[Item], depth: usize, times: f64) {
        /// Of a task's share.
        const ROUNDS: f64 = 100.0;
        for item in items {
            match item {
                Item::Compute(_, Op::Load(spot, _) | Op::Index(spot, _))
                | Item::Store { to: spot, .. } => self.movers[spot.mover] += times,
                Item::Compute(..) | Item::Move(_) => {}
                Item::Loop(inner) => {
                    let (times, counted) = match inner.rounds {
                        Rounds::Fixed(rounds) => (times * rounds as f64, true),
                        Rounds::Share(_) => (times * ROUNDS, false),
                        Rounds::Tasks => (times, false),
                    };
                    if counted {
                        self.counters
                            .resize(self.counters.len().max(depth + 1), 0.0);
                        self.counters[depth] += times;
                    }
                    self.count(&inner.body, depth + usize::from(counted), times);
                }
            }
        }
    }
}
