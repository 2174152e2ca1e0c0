//! Expressions, from pipes down to literals.

use pest::iterators::Pair;

use super::Rule;
use super::build::{Builder, Children, placeholder};
use super::operators;
use super::slips::shortened;
use crate::ast::{Argument, Block, Carry, Expr, ExprKind, Ident, Scan, Statement, StatementKind};
use crate::source::Span;

impl Builder<'_> {
    /// `expression`
    pub(super) fn expression(&mut self, pair: Pair<'_, Rule>) -> Expr {
        let targets = Children::of(pair.clone()).count() - 1;
        self.deeper(targets, pair, |builder, pair| {
            let mut children = Children::of(pair);
            let mut value = builder.operation(children.expect(Rule::operation));
            for target in children {
                let target = builder.target(target);
                value = Expr {
                    span: value.span.to(target.span),
                    kind: ExprKind::Pipe(Box::new(value), Box::new(target)),
                };
            }
            value
        })
    }

    /// What a value is piped to. A block after it is its last argument.
    fn target(&mut self, pair: Pair<'_, Rule>) -> Expr {
        let mut children = Children::of(pair);
        let target = self.operand(children.expect(Rule::operand));
        let Some(block) = children.next_if(Rule::block) else {
            return target;
        };
        let block = self.block(block);
        let span = target.span.to(block.span);
        let argument = Argument {
            name: None,
            value: Expr {
                span: block.span,
                kind: ExprKind::Block(block),
            },
        };
        let kind = match target.kind {
            ExprKind::Call(callee, mut arguments) => {
                arguments.push(argument);
                ExprKind::Call(callee, arguments)
            }
            ExprKind::Name(_) | ExprKind::Field(..) => {
                ExprKind::Call(Box::new(target), vec![argument])
            }
            _ => {
                self.error(
                    argument.value.span,
                    "a block cannot follow here: only a name or a call takes one",
                    "write `|> f { ... }` or `|> f(a) { ... }`",
                );
                return target;
            }
        };
        Expr { kind, span }
    }

    pub(super) fn operation(&mut self, pair: Pair<'_, Rule>) -> Expr {
        let parts = Children::of(pair.clone()).count();
        self.deeper(parts, pair, |builder, pair| {
            let parts = Children::of(pair)
                .map(|part| match part.as_rule() {
                    Rule::prefix => operators::prefix(part.as_str(), builder.span(&part)),
                    Rule::infix => operators::infix(part.as_str()),
                    _ => operators::Part::Operand(builder.operand(part)),
                })
                .collect();
            operators::tree(parts, builder.diagnostics)
        })
    }

    /// A primary and what is applied to it.
    fn operand(&mut self, pair: Pair<'_, Rule>) -> Expr {
        let suffixes = Children::of(pair.clone()).count() - 1;
        self.deeper(suffixes, pair, |builder, pair| {
            let mut children = Children::of(pair);
            let mut value = builder.primary(children.any());
            for suffix in children {
                value = builder.suffix(value, suffix);
            }
            value
        })
    }

    fn suffix(&mut self, value: Expr, pair: Pair<'_, Rule>) -> Expr {
        let rule = pair.as_rule();
        let mut end = value.span;
        let mut arguments = Vec::new();
        let mut selectors = Vec::new();
        for pair in Children::of(pair) {
            match pair.as_rule() {
                Rule::close_paren | Rule::close_bracket => end = self.span(&pair),
                Rule::argument => arguments.push(self.argument(pair)),
                Rule::selector => selectors.push(self.selector(pair)),
                _ => {
                    let name = self.ident(&pair);
                    return Expr {
                        span: value.span.to(name.span),
                        kind: ExprKind::Field(Box::new(value), name),
                    };
                }
            }
        }
        let span = value.span.to(end);
        let value = Box::new(value);
        let kind = match rule {
            Rule::call => ExprKind::Call(value, arguments),
            _ => ExprKind::Select(value, selectors),
        };
        Expr { kind, span }
    }

    pub(super) fn argument(&mut self, pair: Pair<'_, Rule>) -> Argument {
        let mut children = Children::of(pair);
        Argument {
            name: children.next_if(Rule::name).map(|pair| self.ident(&pair)),
            value: self.expression(children.expect(Rule::expression)),
        }
    }

    fn selector(&mut self, pair: Pair<'_, Rule>) -> (Ident, Expr) {
        let mut children = Children::of(pair);
        let axis = self.ident(&children.expect(Rule::name));
        (axis, self.expression(children.expect(Rule::expression)))
    }

    fn primary(&mut self, pair: Pair<'_, Rule>) -> Expr {
        let span = self.span(&pair);
        let kind = match pair.as_rule() {
            Rule::int => self.int(pair.as_str(), span),
            Rule::float => self.float(pair.as_str(), span),
            Rule::bool => ExprKind::Bool(pair.as_str() == "true"),
            Rule::string => ExprKind::String(self.string(pair.as_str(), span)),
            Rule::name => ExprKind::Name(pair.as_str().to_string()),
            Rule::group => return self.group(pair),
            Rule::list => return self.list(pair),
            Rule::block => {
                let block = self.block(pair);
                return Expr {
                    span: block.span,
                    kind: ExprKind::Block(block),
                };
            }
            Rule::repeat_expression => return self.repeat(pair),
            Rule::scan_expression => return self.scan(pair),
            _ => return self.if_expression(pair),
        };
        Expr { kind, span }
    }

    /// Parentheses leave no node, but they widen the place of what they hold.
    fn group(&mut self, pair: Pair<'_, Rule>) -> Expr {
        let outer = self.span(&pair);
        let mut children = Children::of(pair);
        let mut expr = self.expression(children.expect(Rule::expression));
        let close = self.span(&children.expect(Rule::close_paren));
        expr.span = Span {
            end: close.end,
            ..outer
        };
        expr
    }

    fn list(&mut self, pair: Pair<'_, Rule>) -> Expr {
        let mut span = self.span(&pair);
        let mut elements = Vec::new();
        for pair in Children::of(pair) {
            match pair.as_rule() {
                Rule::rest => elements.push(Expr {
                    span: self.span(&pair),
                    kind: ExprKind::Rest,
                }),
                Rule::close_bracket => span.end = self.span(&pair).end,
                _ => elements.push(self.expression(pair)),
            }
        }
        Expr {
            kind: ExprKind::List(elements),
            span,
        }
    }

    fn repeat(&mut self, pair: Pair<'_, Rule>) -> Expr {
        let start = self.start_of(&pair);
        let mut children = Children::of(pair);
        let count = self.operation(children.expect(Rule::operation));
        let body = self.block(children.expect(Rule::block));
        Expr {
            span: start.to(body.span),
            kind: ExprKind::Repeat {
                count: Box::new(count),
                body,
            },
        }
    }

    fn scan(&mut self, pair: Pair<'_, Rule>) -> Expr {
        let start = self.start_of(&pair);
        let mut children = Children::of(pair);
        let backward = children.next_if(Rule::backward).is_some();
        let mut slices = Vec::new();
        while let Some(slice) = children.next_if(Rule::slice) {
            let mut children = Children::of(slice);
            let name = self.ident(&children.expect(Rule::name));
            slices.push((name, self.operation(children.expect(Rule::operation))));
        }
        let mut carries = Vec::new();
        while let Some(carry) = children.next_if(Rule::carry) {
            let mut children = Children::of(carry);
            carries.push(Carry {
                name: self.ident(&children.expect(Rule::name)),
                ty: children.next_if(Rule::shape).map(|pair| self.shape(pair)),
                first: self.operation(children.expect(Rule::operation)),
            });
        }
        let body = self.block(children.expect(Rule::block));
        Expr {
            span: start.to(body.span),
            kind: ExprKind::Scan(Box::new(Scan {
                backward,
                slices,
                carries,
                body,
            })),
        }
    }

    fn if_expression(&mut self, pair: Pair<'_, Rule>) -> Expr {
        let branches = Children::of(pair.clone())
            .filter(|pair| pair.as_rule() == Rule::block)
            .count();
        self.deeper(branches, pair, |builder, pair| {
            let start = builder.start_of(&pair);
            let mut conditions = Vec::new();
            let mut otherwise = None;
            let mut children = Children::of(pair);
            while let Some(child) = children.next() {
                match child.as_rule() {
                    Rule::operation => {
                        let condition = builder.operation(child);
                        conditions.push((condition, builder.block(children.expect(Rule::block))));
                    }
                    _ => otherwise = Some(builder.block(child)),
                }
            }
            chain(start, conditions, otherwise)
        })
    }

    fn int(&mut self, digits: &str, span: Span) -> ExprKind {
        let parsed = digits.replace('_', "").parse();
        let value = parsed.unwrap_or_else(|_| {
            let message = format!(
                "`{}` is larger than the largest integer, {}",
                shortened(digits),
                i64::MAX
            );
            self.error(span, message, "write it as a float, such as `1e20`");
            0
        });
        ExprKind::Int(value)
    }

    fn float(&mut self, digits: &str, span: Span) -> ExprKind {
        // Every float of the grammar parses; one too large becomes infinite.
        let value: f64 = digits.replace('_', "").parse().unwrap_or(f64::INFINITY);
        if value.is_infinite() {
            let message = format!("`{}` is larger than any float", shortened(digits));
            self.error(
                span,
                message,
                format!("the largest is about {:e}", f64::MAX),
            );
            return placeholder(span).kind;
        }
        ExprKind::Float(value)
    }

    pub(super) fn string(&mut self, quoted: &str, span: Span) -> String {
        let inner = &quoted[1..quoted.len() - 1];
        let mut text = String::with_capacity(inner.len());
        let mut characters = inner.char_indices();
        while let Some((_, character)) = characters.next() {
            if character != '\\' {
                text.push(character);
                continue;
            }
            match characters.next() {
                Some((_, '"')) => text.push('"'),
                Some((_, '\\')) => text.push('\\'),
                Some((_, 'n')) => text.push('\n'),
                Some((_, 't')) => text.push('\t'),
                Some((at, other)) => {
                    let start = span.start + at as u32;
                    let end = start + 1 + other.len_utf8() as u32;
                    self.error(
                        Span { start, end, ..span },
                        format!("`\\{}` means nothing", other.escape_debug()),
                        "a backslash is written `\\\\`; the others are `\\\"`, `\\n` and `\\t`",
                    );
                }
                None => {}
            }
        }
        text
    }
}

/// `if a { } else if b { } else { }` as `if a { } else { if b { } else { } }`.
fn chain(start: Span, mut conditions: Vec<(Expr, Block)>, mut otherwise: Option<Block>) -> Expr {
    while let Some((condition, then)) = conditions.pop() {
        let end = otherwise.as_ref().map_or(then.span, |block| block.span);
        let begin = if conditions.is_empty() {
            start
        } else {
            condition.span
        };
        let expr = Expr {
            span: begin.to(end),
            kind: ExprKind::If {
                condition: Box::new(condition),
                then,
                otherwise,
            },
        };
        if conditions.is_empty() {
            return expr;
        }
        otherwise = Some(Block {
            span: expr.span,
            statements: vec![Statement {
                span: expr.span,
                kind: StatementKind::Expr(expr),
            }],
        });
    }
    panic!("parse: the grammar gives `if` a condition")
}
