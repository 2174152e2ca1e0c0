//! Types and shape patterns.

use pest::iterators::Pair;

use super::Rule;
use super::build::{Builder, Children};
use crate::ast::{AxisPattern, Element, Type, TypeKind};
use crate::source::Span;

impl Builder<'_> {
    /// `shape`
    pub(super) fn shape(&mut self, pair: Pair<'_, Rule>) -> Type {
        let mut children = Children::of(pair);
        let axes = children.next_if(Rule::axes).map(|pair| self.axes(pair));
        let element = children
            .next_if(Rule::element)
            .map(|pair| self.element(pair));
        match (axes, element) {
            (Some((axes, span)), element) => Type {
                span: element
                    .as_ref()
                    .map_or(span, |element| span.to(element.span)),
                kind: TypeKind::Tensor { axes, element },
            },
            (
                None,
                Some(Element {
                    name,
                    argument: None,
                    span,
                }),
            ) => Type {
                kind: TypeKind::Named(name),
                span,
            },
            (None, element) => Type {
                span: element.as_ref().map_or_else(
                    || panic!("parse: the grammar gives a type axes or an element"),
                    |element| element.span,
                ),
                kind: TypeKind::Tensor {
                    axes: Vec::new(),
                    element,
                },
            },
        }
    }

    fn axes(&mut self, pair: Pair<'_, Rule>) -> (Vec<AxisPattern>, Span) {
        let mut axes = Vec::new();
        let mut span = self.span(&pair);
        let mut rest: Option<Span> = None;
        for pair in Children::of(pair) {
            match pair.as_rule() {
                Rule::rest => {
                    let here = self.span(&pair);
                    if rest.replace(here).is_some() {
                        self.error(
                            here,
                            "a shape has at most one `..`",
                            "name the other axes, such as `[a, b, ..]`",
                        );
                    }
                    axes.push(AxisPattern::Rest(here));
                }
                Rule::close_bracket => span.end = self.span(&pair).end,
                _ => axes.push(AxisPattern::Size(self.expression(pair))),
            }
        }
        (axes, span)
    }

    fn element(&mut self, pair: Pair<'_, Rule>) -> Element {
        let mut children = Children::of(pair);
        let name = self.ident(&children.expect(Rule::name));
        let argument = children
            .next_if(Rule::expression)
            .map(|pair| self.expression(pair));
        let close = children
            .next_if(Rule::close_paren)
            .map(|pair| self.span(&pair));
        Element {
            span: close.map_or(name.span, |close| name.span.to(close)),
            name,
            argument: argument.map(Box::new),
        }
    }
}
