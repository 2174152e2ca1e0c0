//! Precedence: a flat list of operands and operators becomes a tree.

use std::iter::Peekable;
use std::vec::IntoIter;

use crate::ast::{BinaryOp, Expr, ExprKind, UnaryOp};
use crate::codes::Code;
use crate::diagnostic::Diagnostic;
use crate::source::Span;

/// One element of a flat operation.
pub(super) enum Part {
    Prefix(UnaryOp, Span),
    Infix(BinaryOp),
    Operand(Expr),
}

/// How tightly an operator binds; the table of the language, loosest first. (`|>` is
/// looser than all of these, calls and selections are tighter.)
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Precedence {
    Or,
    And,
    Not,
    /// Does not chain.
    Comparison,
    Sum,
    Product,
    Negation,
    /// Groups to the right.
    Power,
    /// Calls, fields, selections; no operator binds so tightly.
    Call,
}

impl Precedence {
    /// The least precedence of an operator in the right operand of another.
    pub(crate) fn right_operand(self) -> Precedence {
        match self {
            Precedence::Or => Precedence::And,
            Precedence::And => Precedence::Not,
            Precedence::Not | Precedence::Comparison => Precedence::Sum,
            Precedence::Sum => Precedence::Product,
            Precedence::Product => Precedence::Negation,
            Precedence::Negation | Precedence::Power => Precedence::Power,
            Precedence::Call => Precedence::Call,
        }
    }
}

/// The precedence of an operator with two operands.
pub(crate) fn precedence(op: BinaryOp) -> Precedence {
    match op {
        BinaryOp::Or => Precedence::Or,
        BinaryOp::And => Precedence::And,
        BinaryOp::Eq
        | BinaryOp::NotEq
        | BinaryOp::Less
        | BinaryOp::LessEq
        | BinaryOp::Greater
        | BinaryOp::GreaterEq => Precedence::Comparison,
        BinaryOp::Add | BinaryOp::Sub => Precedence::Sum,
        BinaryOp::Mul | BinaryOp::Div | BinaryOp::Rem | BinaryOp::MatMul => Precedence::Product,
        BinaryOp::Pow => Precedence::Power,
    }
}

/// The precedence of an operator with one operand.
pub(crate) fn precedence_of_unary(op: UnaryOp) -> Precedence {
    match op {
        UnaryOp::Neg => Precedence::Negation,
        UnaryOp::Not => Precedence::Not,
    }
}

/// `-` or `not`
pub(super) fn prefix(sign: &str, span: Span) -> Part {
    let op = if sign == "-" {
        UnaryOp::Neg
    } else {
        UnaryOp::Not
    };
    Part::Prefix(op, span)
}

/// An operator between two operands.
pub(super) fn infix(sign: &str) -> Part {
    let found = crate::ast::BinaryOp::ALL
        .iter()
        .find(|op| op.sign() == sign);
    let op = found.unwrap_or_else(|| {
        panic!("parse: the grammar knows an operator `{sign}` that the tree does not")
    });
    Part::Infix(*op)
}

/// The tree of a flat operation. Recursion goes as deep as there are parts, whose
/// number the caller has limited.
pub(super) fn tree(parts: Vec<Part>, diagnostics: &mut Vec<Diagnostic>) -> Expr {
    Climber {
        parts: parts.into_iter().peekable(),
        diagnostics,
    }
    .climb(Precedence::Or)
}

struct Climber<'a> {
    parts: Peekable<IntoIter<Part>>,
    diagnostics: &'a mut Vec<Diagnostic>,
}

impl Climber<'_> {
    /// Reads an operand and every operator after it that binds at least so tightly.
    fn climb(&mut self, least: Precedence) -> Expr {
        let mut left = match self.parts.next() {
            Some(Part::Prefix(op, span)) => {
                let operand = self.climb(precedence_of_unary(op));
                Expr {
                    span: span.to(operand.span),
                    kind: ExprKind::Unary(op, Box::new(operand)),
                }
            }
            Some(Part::Operand(operand)) => operand,
            _ => panic!("parse: the grammar ends an operation with an operand"),
        };
        let mut compared = false;
        while let Some(Part::Infix(op)) = self.parts.peek() {
            let op = *op;
            let precedence = precedence(op);
            if precedence < least {
                break;
            }
            self.parts.next();
            let right = self.climb(precedence.right_operand());
            let span = left.span.to(right.span);
            if precedence == Precedence::Comparison && std::mem::replace(&mut compared, true) {
                self.diagnostics.push(
                    Diagnostic::error(Code::Syntax, span, "comparisons do not chain")
                        .help("write `a < b and b < c`, or put one comparison in parentheses"),
                );
            }
            left = Expr {
                span,
                kind: ExprKind::Binary(op, Box::new(left), Box::new(right)),
            };
            compared &= precedence == Precedence::Comparison;
        }
        left
    }
}
