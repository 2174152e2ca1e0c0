//! How long the values of a program live, in the order of its text.

use super::program::{Item, Loop, Program, Virtual};

/// A moment of the program: items are numbered as they stand, and so are the ends of loops.
pub(super) type Moment = usize;

/// When each value is read.
pub(super) struct Lives {
    /// When each is defined; what is constant, before everything else.
    pub defined: Vec<Moment>,
    /// When it is read for the last time. What a loop reads but does not define lives until
    /// the loop's end.
    pub last: Vec<Moment>,
    /// All readings in order.
    pub uses: Vec<Vec<Moment>>,
    /// Within which loops each is defined, by the moments of their starts, outermost first.
    homes: Vec<Vec<Moment>>,
    /// When each loop ends, by the moment of its start.
    ends: Vec<(Moment, Moment)>,
    /// The loops that are open while all this is found out.
    open: Vec<Moment>,
    next: Moment,
}

impl Lives {
    pub fn of(program: &Program) -> Lives {
        let count = program.constants.len();
        let mut lives = Lives {
            defined: vec![0; count],
            last: vec![0; count],
            uses: vec![Vec::new(); count],
            homes: vec![Vec::new(); count],
            ends: Vec::new(),
            open: Vec::new(),
            next: 1,
        };
        lives.number(&program.items);
        lives.next = 1;
        lives.read_all(&program.items);
        lives
    }

    /// Moments of definitions and of loops' ends.
    fn number(&mut self, items: &[Item]) {
        for item in items {
            let now = self.next;
            self.next += 1;
            match item {
                Item::Compute(id, _) => self.define(*id, now),
                Item::Store { .. } | Item::Move(_) => {}
                Item::Loop(inner) => {
                    // What goes round is known after the loop too.
                    for carried in &inner.carried {
                        self.define(carried.inside, now);
                    }
                    self.open.push(now);
                    self.number(&inner.body);
                    self.open.pop();
                    self.ends.push((now, self.next));
                    self.next += 1;
                }
            }
        }
    }

    fn define(&mut self, id: Virtual, now: Moment) {
        self.defined[id] = now;
        self.homes[id].clone_from(&self.open);
    }

    fn read_all(&mut self, items: &[Item]) {
        for item in items {
            let now = self.next;
            self.next += 1;
            match item {
                Item::Compute(_, op) => op.operands().for_each(|operand| self.read(operand, now)),
                Item::Store { value, .. } => self.read(*value, now),
                Item::Move(_) => {}
                Item::Loop(inner) => self.read_loop(inner, now),
            }
        }
    }

    fn read_loop(&mut self, inner: &Loop, start: Moment) {
        for carried in &inner.carried {
            self.read(carried.first, start);
        }
        self.open.push(start);
        self.read_all(&inner.body);
        let end = self.next;
        self.next += 1;
        for carried in &inner.carried {
            self.read(carried.next, end);
        }
        self.open.pop();
        // Its register is the loop's until the end.
        for carried in &inner.carried {
            self.last[carried.inside] = self.last[carried.inside].max(end);
        }
    }

    fn read(&mut self, id: Virtual, now: Moment) {
        self.uses[id].push(now);
        let own = self.homes[id].len();
        let until = match self.open.get(own) {
            Some(&outermost) => self.end_of(outermost),
            None => now,
        };
        self.last[id] = self.last[id].max(until);
    }

    /// When a loop ends.
    pub fn end_of(&self, start: Moment) -> Moment {
        let found = self.ends.iter().find(|&&(known, _)| known == start);
        found.map_or(start, |&(_, end)| end)
    }

    /// When a value is read next, after `now`.
    pub fn next_use(&self, id: Virtual, now: Moment) -> Option<Moment> {
        let passed = self.uses[id].partition_point(|&used| used <= now);
        self.uses[id].get(passed).copied()
    }

    /// How often a value is read in a span of the text.
    pub fn reads_within(&self, id: Virtual, start: Moment, end: Moment) -> usize {
        let uses = self.uses[id].iter();
        uses.filter(|&&used| used > start && used <= end).count()
    }

    /// The most values that live at one moment.
    pub fn most(&self) -> usize {
        self.pressure(0, self.next)
    }

    /// The most values defined in a span of the text that live at one moment of it.
    pub fn pressure(&self, start: Moment, end: Moment) -> usize {
        let inside: Vec<Virtual> = (0..self.defined.len())
            .filter(|&id| self.defined[id] > start && self.defined[id] <= end)
            .collect();
        (start..=end)
            .map(|now| {
                let alive = |id: &&Virtual| self.defined[**id] <= now && now <= self.last[**id];
                inside.iter().filter(alive).count()
            })
            .max()
            .unwrap_or(0)
    }
}
