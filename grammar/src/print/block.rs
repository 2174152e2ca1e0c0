//! Blocks and statements, with the comments and blank lines between them.

use super::Printer;
use super::doc::{Doc, concat, group, indent, text};
use crate::ast::{Argument, Block, Expr, ExprKind, Ident, Statement, StatementKind, UnaryOp};
use crate::parse::Precedence;

impl Printer<'_> {
    /// `{ ... }`, for a group of the caller's: a lone statement may stay on the line.
    pub(super) fn block(&mut self, block: &Block) -> Doc {
        let commented = self.comments.any_before(block.span.end);
        let mut docs = vec![text("{")];
        match block.statements.as_slice() {
            [] if !commented => {}
            [only] if !commented && !self.original.breaks(block.span.start, only.span.start) => {
                let statement = self.statement(only, None, 0);
                docs.push(indent(concat([Doc::Line, statement])));
                docs.push(Doc::Line);
            }
            _ => {
                docs.push(indent(self.statements(block)));
                docs.push(Doc::HardLine);
            }
        }
        docs.push(text("}"));
        concat(docs)
    }

    /// `{ ... }` over several lines, come what may.
    pub(super) fn tall_block(&mut self, block: &Block) -> Doc {
        if block.statements.is_empty() && !self.comments.any_before(block.span.end) {
            return text("{}");
        }
        let statements = indent(self.statements(block));
        concat([text("{"), statements, Doc::HardLine, text("}")])
    }

    fn statements(&mut self, block: &Block) -> Doc {
        let mut docs = Vec::new();
        let mut line = None;
        docs.extend(self.comment_behind(block.span.start + 1));
        let widths = setting_widths(&block.statements, |above, below| {
            !self.original.blank_line_between(above, below)
        });
        let mut above = None;
        for (statement, width) in block.statements.iter().zip(widths) {
            self.own_line_comments(statement.span.start, &mut line, &mut docs);
            self.begin_line(statement.span.start, &mut line, &mut docs);
            let doc = self.statement(statement, above, width);
            // Comments within it that found no place stand above it.
            docs.extend(self.comments_above(statement.span.end));
            docs.push(doc);
            docs.extend(self.comment_behind(statement.span.end));
            line = Some(self.original.line(statement.span.end));
            above = Some(statement);
        }
        self.own_line_comments(block.span.end, &mut line, &mut docs);
        concat(docs)
    }

    /// The comments before a place, each on a line of its own.
    fn own_line_comments(&mut self, place: u32, line: &mut Option<usize>, docs: &mut Vec<Doc>) {
        while let Some(comment) = self.comments.next_before(place) {
            self.begin_line(comment.span.start, line, docs);
            docs.push(text(&comment.text));
            *line = Some(self.original.line(comment.span.end));
        }
    }

    /// A new line, and a blank one above it where the user left some.
    fn begin_line(&self, start: u32, line: &mut Option<usize>, docs: &mut Vec<Doc>) {
        if line.is_some_and(|line| self.original.line(start) > line + 1) {
            docs.push(Doc::HardLine);
        }
        docs.push(Doc::HardLine);
    }

    /// A statement; a setting's name is padded to `width`.
    fn statement(&mut self, statement: &Statement, above: Option<&Statement>, width: usize) -> Doc {
        match &statement.kind {
            StatementKind::Let { names, ty, value } => {
                let names: Vec<&str> = names.iter().map(|name| name.name.as_str()).collect();
                let ty = self.annotation(ty.as_ref());
                concat([
                    text(format!("let {}", names.join(", "))),
                    ty,
                    self.assigned(value),
                ])
            }
            StatementKind::Param { name, ty, init } => concat([
                text(format!("param {}", name.name)),
                self.annotation(Some(ty)),
                self.assigned(init),
            ]),
            StatementKind::State { name, ty, init } => {
                let ty = self.annotation(ty.as_ref());
                concat([
                    text(format!("state {}", name.name)),
                    ty,
                    self.assigned(init),
                ])
            }
            StatementKind::Update { name, value } => {
                concat([text(format!("update {}", name.name)), self.assigned(value)])
            }
            StatementKind::Setting { name, value } => {
                concat([text(padded(name, width)), self.assigned(value)])
            }
            StatementKind::Next { name, value } => {
                concat([text(format!("next {}", name.name)), self.assigned(value)])
            }
            StatementKind::Yield(values) => self.yielded(values),
            StatementKind::Minimize(value) => concat([text("minimize "), self.value(value)]),
            StatementKind::Report(values) => self.listed("report ", values),
            StatementKind::Show(values) => self.listed("show ", values),
            StatementKind::Step {
                names,
                optimizer,
                body,
            } => {
                let names: Vec<&str> = names.iter().map(|name| name.name.as_str()).collect();
                concat([
                    text(format!("step {} with ", names.join(", "))),
                    self.operation(optimizer, Precedence::Or),
                    text(" "),
                    self.tall_block(body),
                ])
            }
            StatementKind::Expr(value)
                if misread(value, above) && !self.original.has_parentheses(value) =>
            {
                self.in_parentheses(value)
            }
            StatementKind::Expr(value) => self.expression(value),
        }
    }

    fn assigned(&mut self, value: &Expr) -> Doc {
        concat([text(" = "), self.value(value)])
    }

    /// What `yield` lists.
    fn yielded(&mut self, values: &[Expr]) -> Doc {
        let last = values.len().saturating_sub(1);
        let mut docs = vec![text("yield ")];
        for (index, value) in values.iter().enumerate() {
            let mut doc = vec![self.expression(value)];
            self.end_element(&mut doc, value.span.end, index < last);
            if index < last {
                let next = values[index + 1].span.start;
                let broken = self.original.breaks(value.span.end, next);
                doc.push(if broken { Doc::HardLine } else { Doc::Line });
            }
            docs.push(concat(doc));
        }
        group(indent(concat(docs)))
    }

    /// What `report` and `show` list.
    fn listed(&mut self, keyword: &str, values: &[Argument]) -> Doc {
        let last = values.len().saturating_sub(1);
        let mut docs = vec![text(keyword)];
        for (index, argument) in values.iter().enumerate() {
            let mut doc = Vec::new();
            if let Some(name) = &argument.name {
                doc.push(text(format!("{}: ", name.name)));
            }
            doc.push(self.expression(&argument.value));
            let end = argument.value.span.end;
            self.end_element(&mut doc, end, index < last);
            if index < last {
                let next = values[index + 1].span().start;
                let broken = self.original.breaks(end, next);
                doc.push(if broken { Doc::HardLine } else { Doc::Line });
            }
            docs.push(concat(doc));
        }
        group(indent(concat(docs)))
    }
}

fn padded(name: &Ident, width: usize) -> String {
    format!("{:width$}", name.name)
}

/// The width of each setting's name: that of the longest in its paragraph of
/// settings. 0 for other statements.
fn setting_widths(statements: &[Statement], adjacent: impl Fn(u32, u32) -> bool) -> Vec<usize> {
    let mut widths = vec![0; statements.len()];
    let mut start = 0;
    while start < statements.len() {
        let mut end = start;
        let mut longest = 0;
        while let Some(Statement {
            kind: StatementKind::Setting { name, .. },
            span,
        }) = statements.get(end)
        {
            if end > start && !adjacent(statements[end - 1].span.end, span.start) {
                break;
            }
            longest = longest.max(name.name.chars().count());
            end += 1;
        }
        end = end.max(start + 1);
        widths[start..end].fill(longest);
        start = end;
    }
    widths
}

/// Whether an expression, put at the start of a line, would be read as another
/// statement, or as a slip.
fn misread(expr: &Expr, above: Option<&Statement>) -> bool {
    match &leftmost(expr).kind {
        ExprKind::Name(name) => {
            matches!(name.as_str(), "minimize" | "report" | "show" | "yield")
        }
        ExprKind::Unary(UnaryOp::Neg, _) => {
            above.is_some_and(|above| matches!(above.kind, StatementKind::Expr(_)))
        }
        _ => false,
    }
}

fn leftmost(expr: &Expr) -> &Expr {
    match &expr.kind {
        ExprKind::Binary(_, left, _) | ExprKind::Pipe(left, _) | ExprKind::Field(left, _) => {
            leftmost(left)
        }
        ExprKind::Call(left, _) => leftmost(left),
        ExprKind::Select(left, _) => leftmost(left),
        _ => expr,
    }
}
