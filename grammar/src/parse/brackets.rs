//! The brackets that are open at a place, and how deep that is.

/// Brackets (and conditions, whose `{` is still to come) inside one another: what the
/// parser's recursion may need without overflowing a thread's stack.
pub(super) const MAX_NESTING: usize = 64;

/// An open bracket.
pub(super) struct Open {
    /// `(`, `[` or `{`.
    pub bracket: u8,
    /// Its byte in the text.
    pub at: usize,
    /// `if`s and `repeat`s since, whose `{` has not come yet: the parser is inside of
    /// each, as it is inside of a bracket.
    pending: usize,
}

/// What a closing bracket does.
pub(super) enum Closed {
    /// It closes the innermost bracket.
    Matching,
    /// It closes an outer one; this one, the innermost, was left open.
    Crossing(Open),
    /// It closes nothing.
    Stray,
}

/// The brackets that are open, the innermost last.
#[derive(Default)]
pub(super) struct Brackets {
    open: Vec<Open>,
    /// `pending` outside of all brackets.
    pending: usize,
    total_pending: usize,
}

impl Brackets {
    pub(super) fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// Whether the innermost is one within which newlines mean nothing.
    pub(super) fn in_list(&self) -> bool {
        self.open.last().is_some_and(|open| open.bracket != b'{')
    }

    pub(super) fn too_deep(&self) -> bool {
        self.open.len() + self.total_pending > MAX_NESTING
    }

    /// A word after which a `{` must come (`if`, `repeat`) or may come (`scan`).
    pub(super) fn expect_block(&mut self) {
        *self.innermost_pending() += 1;
        self.total_pending += 1;
    }

    pub(super) fn open(&mut self, bracket: u8, at: usize) {
        if bracket == b'{' && *self.innermost_pending() > 0 {
            *self.innermost_pending() -= 1;
            self.total_pending -= 1;
        }
        self.open.push(Open {
            bracket,
            at,
            pending: 0,
        });
    }

    /// The end of a statement, whose conditions wait for their blocks no longer.
    pub(super) fn end_statement(&mut self) {
        self.total_pending -= std::mem::take(self.innermost_pending());
    }

    pub(super) fn close(&mut self, bracket: u8) -> Closed {
        let opening = opening_of(bracket);
        // Further out than this no program is; looking there would take quadratic time.
        let nearby = self.open.iter().rev().take(2 * MAX_NESTING);
        let Some(above) = nearby
            .map(|open| open.bracket)
            .position(|open| open == opening)
        else {
            return Closed::Stray;
        };
        let innermost = self.pop();
        for _ in 0..above {
            self.pop();
        }
        match innermost {
            Some(open) if above > 0 => Closed::Crossing(open),
            _ => Closed::Matching,
        }
    }

    /// Forgets all brackets and gives back the innermost.
    pub(super) fn abandon(&mut self) -> Option<Open> {
        let innermost = self.open.pop();
        *self = Brackets::default();
        innermost
    }

    fn pop(&mut self) -> Option<Open> {
        let open = self.open.pop()?;
        self.total_pending -= open.pending;
        Some(open)
    }

    fn innermost_pending(&mut self) -> &mut usize {
        match self.open.last_mut() {
            Some(open) => &mut open.pending,
            None => &mut self.pending,
        }
    }
}

/// The bracket that a closing one closes.
pub(super) fn opening_of(close: u8) -> u8 {
    match close {
        b')' => b'(',
        b']' => b'[',
        _ => b'{',
    }
}

/// The bracket that closes an opening one.
pub(super) fn closing_of(open: u8) -> u8 {
    match open {
        b'(' => b')',
        b'[' => b']',
        _ => b'}',
    }
}
