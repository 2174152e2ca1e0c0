//! pest's pairs to the syntax tree: items, and what all builders share.
//!
//! The builders follow the grammar rule by rule. What the grammar lets through and
//! the language does not is reported here, with a place holder in the tree; an item
//! with an error is dropped as a whole.

use std::iter::Peekable;

use pest::iterators::{Pair, Pairs};

use super::{ItemSource, Rule};
use crate::ast::{
    Const, Definition, DefinitionKind, Expr, ExprKind, Ident, Item, Parameter, Train, Use,
};
use crate::codes::Code;
use crate::diagnostic::Diagnostic;
use crate::source::{FileId, Span};

/// Nodes inside one another that later passes may have to descend, and the stack bear.
const MAX_DEPTH: usize = 256;

pub(super) struct Builder<'a> {
    file: FileId,
    /// Where the item lies in the text.
    start: usize,
    pub(super) diagnostics: &'a mut Vec<Diagnostic>,
    depth: usize,
}

impl<'a> Builder<'a> {
    pub(super) fn new(
        source: &ItemSource<'_>,
        diagnostics: &'a mut Vec<Diagnostic>,
    ) -> Builder<'a> {
        Builder {
            file: source.file,
            start: source.range.start,
            diagnostics,
            depth: 0,
        }
    }

    /// `item`
    pub(super) fn item(&mut self, pair: Pair<'_, Rule>) -> Item {
        let pair = Children::of(pair).any();
        match pair.as_rule() {
            Rule::use_item => Item::Use(self.use_item(pair)),
            Rule::const_item => Item::Const(self.const_item(pair)),
            Rule::train_item => Item::Train(self.train_item(pair)),
            _ => Item::Definition(self.definition(pair)),
        }
    }

    fn use_item(&mut self, pair: Pair<'_, Rule>) -> Use {
        let mut children = Children::of(pair);
        let start = self.span(&children.expect(Rule::use_word));
        let quoted = children.expect(Rule::string);
        let span = self.span(&quoted);
        Use {
            path: self.string(quoted.as_str(), span),
            span: start.to(span),
        }
    }

    fn const_item(&mut self, pair: Pair<'_, Rule>) -> Const {
        let mut children = Children::of(pair);
        let start = self.span(&children.expect(Rule::const_word));
        let name = self.ident(&children.expect(Rule::name));
        let ty = children.next_if(Rule::shape).map(|pair| self.shape(pair));
        let value = self.expression(children.expect(Rule::expression));
        Const {
            name,
            ty,
            span: start.to(value.span),
            value,
            doc: Vec::new(),
        }
    }

    fn train_item(&mut self, pair: Pair<'_, Rule>) -> Train {
        let mut children = Children::of(pair);
        let start = self.span(&children.expect(Rule::train_word));
        let body = self.block(children.expect(Rule::block));
        Train {
            span: start.to(body.span),
            body,
        }
    }

    fn definition(&mut self, pair: Pair<'_, Rule>) -> Definition {
        let mut children = Children::of(pair);
        let keyword = children.expect(Rule::kind);
        let start = self.span(&keyword);
        let kind = match keyword.as_str() {
            "fn" => DefinitionKind::Fn,
            "layer" => DefinitionKind::Layer,
            "net" => DefinitionKind::Net,
            _ => DefinitionKind::Optimizer,
        };
        let name = self.ident(&children.expect(Rule::name));
        let first = self.parameters(children.expect(Rule::parameters));
        let second = children.next_if(Rule::parameters);
        let (hyper, inputs) = match (kind, second) {
            (DefinitionKind::Layer, Some(second)) => (first, self.parameters(second)),
            (DefinitionKind::Optimizer, None) => (first, Vec::new()),
            (_, None) => (Vec::new(), first),
            (_, Some(second)) => {
                self.second_list(keyword.as_str(), &name, self.span(&second));
                (Vec::new(), first)
            }
        };
        let result = children.next_if(Rule::shape).map(|pair| self.shape(pair));
        let body = self.block(children.expect(Rule::block));
        Definition {
            kind,
            name,
            hyper,
            inputs,
            result,
            span: start.to(body.span),
            body,
            doc: Vec::new(),
        }
    }

    fn second_list(&mut self, keyword: &str, name: &Ident, span: Span) {
        let name = &name.name;
        self.diagnostics.push(
            Diagnostic::error(
                Code::Syntax,
                span,
                format!("a `{keyword}` has one list of parameters"),
            )
            .note("only a `layer` has two: its hyper-parameters, and the tensors it is applied to")
            .help(format!(
                "write `{keyword} {name}(...)` with one list, or make it a `layer`"
            )),
        );
    }

    fn parameters(&mut self, pair: Pair<'_, Rule>) -> Vec<Parameter> {
        let parameters = Children::of(pair).filter(|pair| pair.as_rule() == Rule::parameter);
        parameters.map(|pair| self.parameter(pair)).collect()
    }

    fn parameter(&mut self, pair: Pair<'_, Rule>) -> Parameter {
        let mut children = Children::of(pair);
        let name = self.ident(&children.expect(Rule::name));
        let ty = children.next_if(Rule::shape).map(|pair| self.shape(pair));
        let default = children
            .next_if(Rule::expression)
            .map(|pair| self.expression(pair));
        let mut span = name.span;
        span = ty.as_ref().map_or(span, |ty| span.to(ty.span));
        span = default.as_ref().map_or(span, |value| span.to(value.span));
        Parameter {
            name,
            ty,
            default,
            span,
        }
    }

    pub(super) fn ident(&self, pair: &Pair<'_, Rule>) -> Ident {
        Ident {
            name: pair.as_str().to_string(),
            span: self.span(pair),
        }
    }

    /// A token's place. A longer rule's would include the blanks that pest skipped
    /// while it looked for more.
    pub(super) fn span(&self, token: &Pair<'_, Rule>) -> Span {
        let span = token.as_span();
        Span {
            file: self.file,
            start: (self.start + span.start()) as u32,
            end: (self.start + span.end()) as u32,
        }
    }

    /// The place right before a pair.
    pub(super) fn start_of(&self, pair: &Pair<'_, Rule>) -> Span {
        let span = self.span(pair);
        Span {
            end: span.start,
            ..span
        }
    }

    pub(super) fn error(
        &mut self,
        span: Span,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.diagnostics
            .push(Diagnostic::error(Code::Syntax, span, message).help(help));
    }

    /// Builds something whose tree gets `levels` deeper, or reports that it is too deep.
    pub(super) fn deeper(
        &mut self,
        levels: usize,
        pair: Pair<'_, Rule>,
        build: impl FnOnce(&mut Self, Pair<'_, Rule>) -> Expr,
    ) -> Expr {
        self.depth += levels;
        let expr = if self.depth > MAX_DEPTH {
            let span = self.span(&pair);
            self.error(
                span,
                format!("this expression is more than {MAX_DEPTH} operations deep"),
                "name parts of it with `let`",
            );
            placeholder(span)
        } else {
            build(self, pair)
        };
        self.depth -= levels;
        expr
    }
}

/// What stands in the tree where an error was reported.
pub(super) fn placeholder(span: Span) -> Expr {
    Expr {
        kind: ExprKind::Int(0),
        span,
    }
}

/// The pairs within a pair that mean something: all but signs.
pub(super) struct Children<'i>(Peekable<Pairs<'i, Rule>>);

impl<'i> Children<'i> {
    pub(super) fn of(pair: Pair<'i, Rule>) -> Children<'i> {
        Children(pair.into_inner().peekable())
    }

    fn skip_signs(&mut self) {
        while self.0.next_if(|pair| is_sign(pair.as_rule())).is_some() {}
    }

    /// The next one, which the grammar says is there.
    pub(super) fn any(&mut self) -> Pair<'i, Rule> {
        self.next()
            .unwrap_or_else(|| panic!("parse: the grammar promises one more child"))
    }

    /// The next one, which the grammar says is of this rule.
    pub(super) fn expect(&mut self, rule: Rule) -> Pair<'i, Rule> {
        let pair = self.any();
        assert_eq!(
            pair.as_rule(),
            rule,
            "parse: the grammar and its builder differ"
        );
        pair
    }

    /// The next one, if it is of this rule.
    pub(super) fn next_if(&mut self, rule: Rule) -> Option<Pair<'i, Rule>> {
        self.skip_signs();
        self.0.next_if(|pair| pair.as_rule() == rule)
    }
}

impl<'i> Iterator for Children<'i> {
    type Item = Pair<'i, Rule>;

    fn next(&mut self) -> Option<Pair<'i, Rule>> {
        self.skip_signs();
        self.0.next()
    }
}

fn is_sign(rule: Rule) -> bool {
    matches!(
        rule,
        Rule::assign
            | Rule::arrow
            | Rule::pipe
            | Rule::colon
            | Rule::comma
            | Rule::dot
            | Rule::newline
            | Rule::separator
            | Rule::open_paren
            | Rule::open_brace
            | Rule::open_bracket
            | Rule::if_word
            | Rule::else_word
            | Rule::repeat_word
            | Rule::scan_word
            | Rule::in_word
            | Rule::with_word
            | Rule::EOI
    )
}
