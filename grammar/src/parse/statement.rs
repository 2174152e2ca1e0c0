//! Blocks and statements.

use pest::iterators::Pair;

use super::Rule;
use super::build::{Builder, Children};
use super::message::foreign_word;
use crate::ast::{Argument, Block, Expr, ExprKind, Statement, StatementKind};
use crate::nearest::nearest;
use crate::source::Span;

/// The words that statements begin with.
const WORDS: [&str; 10] = [
    "let", "param", "state", "update", "minimize", "report", "show", "step", "next", "yield",
];

impl Builder<'_> {
    /// `block`
    pub(super) fn block(&mut self, pair: Pair<'_, Rule>) -> Block {
        let mut span = self.span(&pair);
        let mut block = Block {
            statements: Vec::new(),
            span,
        };
        let mut joined = Vec::new();
        let mut same_line = false;
        for pair in pair.into_inner() {
            match pair.as_rule() {
                Rule::separator => same_line = !pair.as_str().contains('\n'),
                Rule::statement => {
                    if pair.as_str().starts_with('-') {
                        self.check_line(block.statements.last(), self.start_of(&pair));
                    }
                    let statement = self.statement(pair);
                    if std::mem::take(&mut same_line) {
                        joined.push(block.statements.len());
                    }
                    block.statements.push(statement);
                }
                Rule::close_brace => span.end = self.span(&pair).end,
                _ => {}
            }
        }
        if !block.statements.iter().all(is_step) {
            for second in joined {
                self.second_statement(&block.statements[second - 1], &block.statements[second]);
            }
        }
        block.span = span;
        block
    }

    fn second_statement(&mut self, first: &Statement, second: &Statement) {
        let word = match &first.kind {
            StatementKind::Expr(Expr {
                kind: ExprKind::Name(name),
                ..
            }) => Some(name.as_str()),
            _ => None,
        };
        if let Some((message, help)) = word.and_then(foreign_word) {
            return self.error(first.span, message, help);
        }
        if let Some((word, meant)) = word.and_then(|word| Some((word, nearest(word, WORDS)?))) {
            let message = format!("no statement begins with `{word}`");
            return self.error(first.span, message, format!("did you mean `{meant}`?"));
        }
        self.error(
            second.span,
            "a second statement on one line",
            "a statement ends with its line: put an operator or a `,` between, or start a new line",
        );
    }

    /// A value that nothing uses, above a line that looks like its continuation.
    fn check_line(&mut self, above: Option<&Statement>, start: Span) {
        if above.is_some_and(|above| matches!(above.kind, StatementKind::Expr(_))) {
            self.error(
                Span {
                    end: start.start + 1,
                    ..start
                },
                "a line cannot start with `-` to go on: the statement above it has ended",
                "end the line above with `-`",
            );
        }
    }

    fn statement(&mut self, pair: Pair<'_, Rule>) -> Statement {
        let pair = Children::of(pair).any();
        if pair.as_rule() == Rule::expression {
            let value = self.expression(pair);
            return Statement {
                span: value.span,
                kind: StatementKind::Expr(value),
            };
        }
        let rule = pair.as_rule();
        let mut children = Children::of(pair);
        // A setting begins with its name, all others with a keyword.
        let start = match rule {
            Rule::setting => None,
            _ => Some(self.span(&children.any())),
        };
        let kind = match rule {
            Rule::let_statement => self.let_statement(&mut children),
            Rule::param_statement => StatementKind::Param {
                name: self.ident(&children.expect(Rule::name)),
                ty: self.shape(children.expect(Rule::shape)),
                init: self.expression(children.expect(Rule::expression)),
            },
            Rule::state_statement => StatementKind::State {
                name: self.ident(&children.expect(Rule::name)),
                ty: children.next_if(Rule::shape).map(|pair| self.shape(pair)),
                init: self.expression(children.expect(Rule::expression)),
            },
            Rule::update_statement => StatementKind::Update {
                name: self.ident(&children.expect(Rule::name)),
                value: self.expression(children.expect(Rule::expression)),
            },
            Rule::minimize_statement => {
                StatementKind::Minimize(self.expression(children.expect(Rule::expression)))
            }
            Rule::report_statement => StatementKind::Report(self.named_values(&mut children)),
            Rule::show_statement => StatementKind::Show(self.named_values(&mut children)),
            Rule::step_statement => self.step_statement(&mut children),
            Rule::next_statement => StatementKind::Next {
                name: self.ident(&children.expect(Rule::name)),
                value: self.expression(children.expect(Rule::expression)),
            },
            Rule::yield_statement => StatementKind::Yield(
                children
                    .by_ref()
                    .map(|pair| self.expression(pair))
                    .collect(),
            ),
            _ => StatementKind::Setting {
                name: self.ident(&children.expect(Rule::name)),
                value: self.expression(children.expect(Rule::expression)),
            },
        };
        Statement {
            span: statement_span(start, &kind),
            kind,
        }
    }

    fn named_values(&mut self, children: &mut Children<'_>) -> Vec<Argument> {
        let arguments = children.by_ref();
        arguments.map(|pair| self.argument(pair)).collect()
    }

    fn step_statement(&mut self, children: &mut Children<'_>) -> StatementKind {
        let mut names = Vec::new();
        while let Some(name) = children.next_if(Rule::name) {
            names.push(self.ident(&name));
        }
        StatementKind::Step {
            names,
            optimizer: self.operation(children.expect(Rule::operation)),
            body: self.block(children.expect(Rule::block)),
        }
    }

    fn let_statement(&mut self, children: &mut Children<'_>) -> StatementKind {
        let mut names = Vec::new();
        while let Some(name) = children.next_if(Rule::name) {
            names.push(self.ident(&name));
        }
        StatementKind::Let {
            names,
            ty: children.next_if(Rule::shape).map(|pair| self.shape(pair)),
            value: self.expression(children.expect(Rule::expression)),
        }
    }
}

/// From the keyword, or the setting's name, to the end of the value.
fn statement_span(keyword: Option<Span>, kind: &StatementKind) -> Span {
    let (start, end) = match kind {
        StatementKind::Let { value, .. }
        | StatementKind::Minimize(value)
        | StatementKind::Expr(value) => (value.span, value.span),
        StatementKind::Param { name, init, .. } | StatementKind::State { name, init, .. } => {
            (name.span, init.span)
        }
        StatementKind::Update { name, value }
        | StatementKind::Next { name, value }
        | StatementKind::Setting { name, value } => (name.span, value.span),
        StatementKind::Yield(values) => match (values.first(), values.last()) {
            (Some(first), Some(last)) => (first.span, last.span),
            _ => panic!("parse: the grammar gives `yield` a value"),
        },
        StatementKind::Step {
            optimizer, body, ..
        } => (optimizer.span, body.span),
        StatementKind::Report(values) | StatementKind::Show(values) => {
            match (values.first(), values.last()) {
                (Some(first), Some(last)) => (first.span(), last.span()),
                _ => panic!("parse: the grammar gives `report` and `show` a value"),
            }
        }
    };
    keyword.unwrap_or(start).to(end)
}

/// Whether a statement can stand beside others on one line: a list of plain calls,
/// such as `augment { random_crop(32) flip }`.
fn is_step(statement: &Statement) -> bool {
    match &statement.kind {
        StatementKind::Expr(expr) => match &expr.kind {
            ExprKind::Name(_) => true,
            ExprKind::Call(callee, _) => matches!(callee.kind, ExprKind::Name(_)),
            _ => false,
        },
        _ => false,
    }
}
