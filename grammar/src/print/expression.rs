//! Expressions, with the parentheses they need.

use super::Printer;
use super::doc::{Doc, concat, group, indent, list, text};
use crate::ast::{Argument, BinaryOp, Block, Expr, ExprKind, Ident, Scan, UnaryOp};
use crate::parse::{Precedence, precedence, precedence_of_unary};

impl Printer<'_> {
    /// An expression where any may stand.
    pub(super) fn expression(&mut self, expr: &Expr) -> Doc {
        if self.original.has_parentheses(expr) {
            return self.in_parentheses(expr);
        }
        match &expr.kind {
            ExprKind::Pipe(..) => self.pipe(expr),
            _ => self.operation(expr, Precedence::Or),
        }
    }

    /// The value of a statement: pipes that begin lines of their own are indented.
    pub(super) fn value(&mut self, expr: &Expr) -> Doc {
        match expr.kind {
            ExprKind::Pipe(..) => indent(self.expression(expr)),
            _ => self.expression(expr),
        }
    }

    /// An expression in parentheses, whatever it is.
    pub(super) fn in_parentheses(&mut self, expr: &Expr) -> Doc {
        let inner = match &expr.kind {
            ExprKind::Pipe(..) => self.pipe(expr),
            _ => self.bare(expr),
        };
        concat([text("("), inner, text(")")])
    }

    /// A condition, a count, or an operand of an operator that binds so tightly.
    pub(super) fn operation(&mut self, expr: &Expr, least: Precedence) -> Doc {
        let loose = match &expr.kind {
            ExprKind::Pipe(..) => true,
            ExprKind::Binary(op, ..) => precedence(*op) < least,
            ExprKind::Unary(op, _) => precedence_of_unary(*op) < least,
            ExprKind::If { .. } | ExprKind::Repeat { .. } | ExprKind::Scan(_) => {
                least > Precedence::Or
            }
            _ => false,
        };
        if loose || self.original.has_parentheses(expr) {
            self.in_parentheses(expr)
        } else {
            self.bare(expr)
        }
    }

    fn bare(&mut self, expr: &Expr) -> Doc {
        match &expr.kind {
            ExprKind::Int(value) => self.literal(expr, value.to_string()),
            ExprKind::Float(value) => self.literal(expr, format!("{value:?}")),
            ExprKind::Bool(value) => text(value.to_string()),
            ExprKind::String(value) => text(quoted(value)),
            ExprKind::Name(name) => text(name),
            ExprKind::Rest => text(".."),
            ExprKind::List(elements) => self.list(elements),
            ExprKind::Field(base, name) => {
                concat([self.base(base), text(format!(".{}", name.name))])
            }
            ExprKind::Call(callee, arguments) => {
                concat([self.base(callee), self.arguments(arguments)])
            }
            ExprKind::Select(base, selectors) => {
                concat([self.base(base), self.selectors(selectors)])
            }
            ExprKind::Unary(op, operand) => {
                let sign = match op {
                    UnaryOp::Neg => "-",
                    UnaryOp::Not => "not ",
                };
                concat([
                    text(sign),
                    self.operation(operand, precedence_of_unary(*op)),
                ])
            }
            ExprKind::Binary(BinaryOp::Pow, base, exponent) => concat([
                self.operation(base, Precedence::Call),
                text("^"),
                self.operation(exponent, Precedence::Negation),
            ]),
            ExprKind::Binary(op, ..) => self.chain(expr, precedence(*op)),
            ExprKind::If { .. } => group(self.if_expression(expr)),
            ExprKind::Repeat { count, body } => group(concat([
                text("repeat "),
                self.operation(count, Precedence::Or),
                text(" "),
                self.block(body),
            ])),
            ExprKind::Scan(scan) => group(self.scan(scan)),
            ExprKind::Block(block) => group(self.block(block)),
            ExprKind::Pipe(..) => self.in_parentheses(expr),
        }
    }

    fn literal(&self, expr: &Expr, canonical: String) -> Doc {
        // Parentheses around a number belong to its place, but not to it.
        let written = self.original.literal(expr.span);
        let written = written.map(|text| text.trim_matches(['(', ')', ' ']));
        match written {
            Some(written)
                if written
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b"._+-".contains(&b)) =>
            {
                text(written)
            }
            _ => text(canonical),
        }
    }

    /// What is called, or whose field or element is meant.
    fn base(&mut self, expr: &Expr) -> Doc {
        match &expr.kind {
            ExprKind::Name(_)
            | ExprKind::Call(..)
            | ExprKind::Field(..)
            | ExprKind::Select(..)
            | ExprKind::List(_)
            | ExprKind::String(_)
            | ExprKind::Bool(_) => self.bare(expr),
            _ => self.in_parentheses(expr),
        }
    }

    /// `a + b - c`: operators of one precedence, which group to the left. Lines end
    /// with the operator.
    fn chain(&mut self, expr: &Expr, level: Precedence) -> Doc {
        let mut steps = Vec::new();
        let mut first = expr;
        while let ExprKind::Binary(op, left, right) = &first.kind {
            let inside = !steps.is_empty() && self.original.has_parentheses(first);
            let chains = level != Precedence::Comparison || steps.is_empty();
            if precedence(*op) != level || inside || !chains {
                break;
            }
            steps.push((*op, left, right));
            first = left;
        }
        let tighter = level.right_operand();
        let mut docs = vec![match level {
            Precedence::Comparison => self.operation(first, tighter),
            _ => self.operation(first, level),
        }];
        for (op, left, right) in steps.into_iter().rev() {
            docs.push(text(format!(" {}", op.sign())));
            docs.extend(self.comment_behind_operator(left, right));
            let line = self.line_between(left, right);
            let operand = self.operation(right, tighter);
            docs.push(group(indent(concat([line, operand]))));
        }
        group(concat(docs))
    }

    /// A comment between an operator and its right operand.
    fn comment_behind_operator(&mut self, left: &Expr, right: &Expr) -> Option<Doc> {
        let comment = self
            .comments
            .next_between(left.span.end, right.span.start)?;
        Some(Doc::Suffix(comment.text.clone()))
    }

    /// A line that breaks where the user broke it, or where it must.
    fn line_between(&self, left: &Expr, right: &Expr) -> Doc {
        if self.original.breaks(left.span.end, right.span.start) {
            Doc::HardLine
        } else {
            Doc::Line
        }
    }

    /// `x |> f |> g(1)`. Between two line breaks of the user's, either all pipes are on
    /// one line, or each begins its own.
    fn pipe(&mut self, expr: &Expr) -> Doc {
        let mut steps = Vec::new();
        let mut first = expr;
        while let ExprKind::Pipe(left, right) = &first.kind {
            if !steps.is_empty() && self.original.has_parentheses(first) {
                break;
            }
            steps.push((left, right));
            first = left;
        }
        let mut rows = Vec::new();
        let mut row = vec![self.operation(first, Precedence::Or)];
        row.extend(self.comment_behind(first.span.end));
        for (left, right) in steps.into_iter().rev() {
            let above = self.comments_above(right.span.start);
            if !above.is_empty() || self.original.breaks(left.span.end, right.span.start) {
                rows.push(group(concat(std::mem::take(&mut row))));
                rows.push(Doc::HardLine);
            } else {
                row.push(Doc::Line);
            }
            row.extend(above);
            row.extend([text("|> "), self.target(right)]);
            row.extend(self.comment_behind(right.span.end));
        }
        rows.push(group(concat(row)));
        concat(rows)
    }

    fn target(&mut self, expr: &Expr) -> Doc {
        if let Some((operand, block)) = self.with_trailing_block(expr) {
            return group(concat([operand, text(" "), self.block(block)]));
        }
        match &expr.kind {
            ExprKind::If { .. } | ExprKind::Repeat { .. } | ExprKind::Scan(_) => self.bare(expr),
            _ => self.operation(expr, Precedence::Call),
        }
    }

    /// `f(a) { ... }` for a call whose last argument is a block.
    fn with_trailing_block<'e>(&mut self, expr: &'e Expr) -> Option<(Doc, &'e Block)> {
        let ExprKind::Call(callee, arguments) = &expr.kind else {
            return None;
        };
        let (Argument { name: None, value }, others) = arguments.split_last()? else {
            return None;
        };
        let ExprKind::Block(block) = &value.kind else {
            return None;
        };
        let named = matches!(callee.kind, ExprKind::Name(_) | ExprKind::Field(..));
        match others {
            [] if !named => None,
            [] => Some((self.base(callee), block)),
            others => Some((concat([self.base(callee), self.arguments(others)]), block)),
        }
    }

    fn arguments(&mut self, arguments: &[Argument]) -> Doc {
        let first = arguments.first().map(argument_start);
        let broken = first.is_some_and(|first| self.original.breaks_before(first));
        let last = arguments.len().saturating_sub(1);
        let mut docs = Vec::new();
        for (index, argument) in arguments.iter().enumerate() {
            let mut doc = self.comments_above(argument_start(argument));
            if let Some(name) = &argument.name {
                doc.push(text(format!("{}: ", name.name)));
            }
            doc.push(self.expression(&argument.value));
            self.end_element(&mut doc, argument.value.span.end, index < last);
            docs.push(concat(doc));
        }
        list("(", docs, ")", broken)
    }

    fn list(&mut self, elements: &[Expr]) -> Doc {
        let broken = elements
            .first()
            .is_some_and(|first| self.original.breaks_before(first.span.start));
        let last = elements.len().saturating_sub(1);
        let mut docs = Vec::new();
        for (index, element) in elements.iter().enumerate() {
            let mut doc = self.comments_above(element.span.start);
            doc.push(self.expression(element));
            self.end_element(&mut doc, element.span.end, index < last);
            docs.push(concat(doc));
        }
        list("[", docs, "]", broken)
    }

    fn selectors(&mut self, selectors: &[(Ident, Expr)]) -> Doc {
        let last = selectors.len().saturating_sub(1);
        let mut docs = Vec::new();
        for (index, (axis, place)) in selectors.iter().enumerate() {
            let comma = if index < last { "," } else { "" };
            docs.push(concat([
                text(format!("{} = ", axis.name)),
                self.expression(place),
                text(comma),
            ]));
        }
        list("[", docs, "]", false)
    }

    /// The comma after an element, and the comment behind it.
    pub(super) fn end_element(&mut self, doc: &mut Vec<Doc>, end: u32, more: bool) {
        if more {
            doc.push(text(","));
        }
        doc.extend(self.comment_behind(end));
    }

    /// `scan reverse xt in x with h: [n] = zeros { ... }`
    fn scan(&mut self, scan: &Scan) -> Doc {
        let mut docs = vec![text(if scan.backward {
            "scan reverse "
        } else {
            "scan "
        })];
        for (index, (name, x)) in scan.slices.iter().enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            docs.push(text(format!("{comma}{} in ", name.name)));
            docs.push(self.operation(x, Precedence::Or));
        }
        for (index, carry) in scan.carries.iter().enumerate() {
            let before = if index == 0 { " with " } else { ", " };
            docs.push(text(format!("{before}{}", carry.name.name)));
            docs.push(self.annotation(carry.ty.as_ref()));
            docs.push(text(" = "));
            docs.push(self.operation(&carry.first, Precedence::Or));
        }
        docs.push(text(" "));
        docs.push(self.block(&scan.body));
        concat(docs)
    }

    /// `if c { a } else if d { b } else { e }`: all its blocks on one line, or none.
    fn if_expression(&mut self, expr: &Expr) -> Doc {
        let mut docs = Vec::new();
        let mut next = Some(expr);
        while let Some(Expr {
            kind:
                ExprKind::If {
                    condition,
                    then,
                    otherwise,
                },
            ..
        }) = next
        {
            docs.push(text("if "));
            docs.push(self.operation(condition, Precedence::Or));
            docs.push(text(" "));
            docs.push(self.block(then));
            next = None;
            if let Some(otherwise) = otherwise {
                docs.push(text(" else "));
                next = otherwise.only_if();
                if next.is_none() {
                    docs.push(self.block(otherwise));
                }
            }
        }
        concat(docs)
    }
}

fn argument_start(argument: &Argument) -> u32 {
    argument
        .name
        .as_ref()
        .map_or(argument.value.span.start, |name| name.span.start)
}

pub(super) fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for character in text.chars() {
        match character {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            other => quoted.push(other),
        }
    }
    quoted.push('"');
    quoted
}
