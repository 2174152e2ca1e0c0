//! How the user laid the text out.

use crate::ast::{Expr, ExprKind};
use crate::source::Span;

/// The text that a tree was parsed from, if any.
pub(super) struct Original<'a> {
    text: Option<&'a str>,
    /// Where each newline is.
    newlines: Vec<u32>,
}

impl<'a> Original<'a> {
    pub(super) fn none() -> Original<'a> {
        Original {
            text: None,
            newlines: Vec::new(),
        }
    }

    pub(super) fn of(text: &'a str) -> Original<'a> {
        let newlines = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
        Original {
            text: Some(text),
            newlines: newlines.map(|(at, _)| at as u32).collect(),
        }
    }

    /// Whether there is none.
    pub(super) fn is_none(&self) -> bool {
        self.text.is_none()
    }

    /// The line of a byte, from 0.
    pub(super) fn line(&self, at: u32) -> usize {
        self.newlines.partition_point(|&newline| newline < at)
    }

    /// Whether the user began a new line between two places.
    pub(super) fn breaks(&self, from: u32, to: u32) -> bool {
        self.line(from) < self.line(to)
    }

    /// Whether the user began a new line right after the opening bracket before `first`.
    pub(super) fn breaks_before(&self, first: u32) -> bool {
        let Some(text) = self.text else {
            return false;
        };
        text[..first as usize]
            .trim_end_matches([' ', '\t', '\r'])
            .ends_with('\n')
    }

    /// Whether a line between two places is empty.
    pub(super) fn blank_line_between(&self, from: u32, to: u32) -> bool {
        let mut lines = self.between(from, to).split('\n').skip(1).peekable();
        while let Some(line) = lines.next() {
            if lines.peek().is_some() && line.trim().is_empty() {
                return true;
            }
        }
        false
    }

    /// The characters between two places.
    pub(super) fn between(&self, from: u32, to: u32) -> &'a str {
        let text = self.text.unwrap_or("");
        text.get(from as usize..to as usize).unwrap_or("")
    }

    /// A literal as the user wrote it.
    pub(super) fn literal(&self, span: Span) -> Option<&'a str> {
        self.text.map(|_| self.between(span.start, span.end))
    }

    /// Whether the user put an operation into parentheses.
    pub(super) fn has_parentheses(&self, expr: &Expr) -> bool {
        let operation = matches!(
            expr.kind,
            ExprKind::Binary(..) | ExprKind::Unary(..) | ExprKind::Pipe(..)
        );
        operation && encloses(self.between(expr.span.start, expr.span.end))
    }
}

/// Whether a text is one pair of parentheses and what is between.
fn encloses(text: &str) -> bool {
    if !text.starts_with('(') {
        return false;
    }
    let mut depth = 0;
    let mut bytes = text.bytes().enumerate();
    while let Some((at, byte)) = bytes.next() {
        match byte {
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => depth -= 1,
            b'"' => skip_string(&mut bytes),
            b'#' => while bytes.next().is_some_and(|(_, byte)| byte != b'\n') {},
            _ => {}
        }
        if depth == 0 {
            return at + 1 == text.len();
        }
    }
    false
}

fn skip_string(bytes: &mut impl Iterator<Item = (usize, u8)>) {
    while let Some((_, byte)) = bytes.next() {
        match byte {
            b'\\' => {
                bytes.next();
            }
            b'"' => return,
            _ => {}
        }
    }
}
