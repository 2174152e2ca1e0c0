//! pest's error in words.

use pest::error::{Error, ErrorVariant, InputLocation};

use super::layout::Token;
use super::slips::shortened;
use super::{ItemSource, Rule};
use crate::codes::Code;
use crate::diagnostic::Diagnostic;
use crate::source::Span;

mod advice;

pub(super) use advice::foreign_word;

/// Where in the item the error lies.
pub(super) fn place(error: &Error<Rule>) -> usize {
    match error.location {
        InputLocation::Pos(at) | InputLocation::Span((at, _)) => at,
    }
}

/// What the user should read.
pub(super) fn explain(source: &ItemSource<'_>, error: &Error<Rule>) -> Diagnostic {
    let fault = Fault::new(source, error);
    if let Some(advice) = advice::find(&fault) {
        return Diagnostic::error(Code::Syntax, advice.span, advice.message).help(advice.help);
    }
    let found = fault.describe_found();
    let message = match list(&fault.expected_words()) {
        Some(expected) if fault.line_ended() => match fault.previous {
            Some(previous) => format!(
                "expected {expected} after `{}`, found {found}",
                shortened(previous.text(source.text))
            ),
            None => format!("expected {expected}, found {found}"),
        },
        Some(expected) => format!("expected {expected}, found {found}"),
        None => format!("{found} cannot stand here"),
    };
    Diagnostic::error(Code::Syntax, fault.span(), message)
}

/// The surroundings of an error.
struct Fault<'a> {
    source: &'a ItemSource<'a>,
    expected: &'a [Rule],
    /// Byte in the whole text.
    at: usize,
    /// Index among the tokens of the one at fault, or of where it would be.
    index: usize,
    /// None at the end of the item.
    found: Option<Token>,
    /// The last token before it that is no newline or comment, within the item.
    previous: Option<Token>,
}

impl<'a> Fault<'a> {
    fn new(source: &'a ItemSource<'a>, error: &'a Error<Rule>) -> Fault<'a> {
        let at = source.range.start + place(error);
        let index = source.tokens.partition_point(|token| token.start < at);
        let found = source.tokens.get(index).copied();
        let previous = source.tokens[..index]
            .iter()
            .rfind(|token| !matches!(token.rule, Rule::newline | Rule::comment))
            .copied()
            .filter(|token| token.start >= source.range.start);
        let expected = match &error.variant {
            ErrorVariant::ParsingError { positives, .. } => positives.as_slice(),
            ErrorVariant::CustomError { .. } => &[],
        };
        Fault {
            source,
            expected,
            at,
            index,
            found: found.filter(|token| token.start < source.range.end),
            previous,
        }
    }

    fn found_text(&self) -> &'a str {
        self.found.map_or("", |token| token.text(self.source.text))
    }

    fn previous_text(&self) -> &'a str {
        self.previous
            .map_or("", |token| token.text(self.source.text))
    }

    /// Whether the token at fault stands in a later line than the one before it.
    fn line_ended(&self) -> bool {
        let between = self.previous.map_or(self.at, |token| token.end);
        self.found.is_none()
            || self.source.text[between..self.at.max(between)].contains('\n')
            || self.found.is_some_and(|token| token.rule == Rule::newline)
    }

    fn expects(&self, rule: Rule) -> bool {
        self.expected.contains(&rule)
    }

    /// The token at fault; at the end of a line, the one before.
    fn span(&self) -> Span {
        let (start, end) = match (self.found, self.previous) {
            (Some(found), _) if !self.line_ended() => (found.start, found.end),
            (_, Some(previous)) if self.line_ended() => (previous.start, previous.end),
            (Some(found), _) => (found.start, found.end),
            _ => (self.at, self.at),
        };
        self.source.span(start, end)
    }

    fn describe_found(&self) -> String {
        match self.found {
            None if self.source.range.end >= self.source.text.trim_end().len() => {
                "the end of the file".into()
            }
            None => "the end of the line".into(),
            Some(_) if self.line_ended() => "the end of the line".into(),
            Some(token) => format!("`{}`", shortened(token.text(self.source.text))),
        }
    }

    /// The expected things in words, without doubles.
    fn expected_words(&self) -> Vec<&'static str> {
        let mut words: Vec<&str> = Vec::new();
        for &rule in self.expected {
            let word = word_for(rule);
            if !word.is_empty() && !words.contains(&word) {
                words.push(word);
            }
        }
        // What could follow as well, yet is not what is missing.
        let obvious: &[(&str, &[&str])] = &[
            (OPERATOR, &["`(`", "`[`"]),
            (EXPRESSION, &["a name", "`[`", "`{`", "`(`", "`=`"]),
            (END_OF_LINE, &["`}`"]),
            ("`=`", &["a name"]),
        ];
        for (present, dropped) in obvious {
            if words.contains(present) {
                words.retain(|word| !dropped.contains(word));
            }
        }
        // An expression could always go on: that helps only when nothing else may follow.
        if words.len() > 1 {
            words.retain(|&word| word != OPERATOR);
        }
        words
    }
}

impl ItemSource<'_> {
    fn span(&self, start: usize, end: usize) -> Span {
        Span {
            file: self.file,
            start: start as u32,
            end: end as u32,
        }
    }
}

const EXPRESSION: &str = "an expression";
const OPERATOR: &str = "an operator";
const END_OF_LINE: &str = "the end of the line";
const ITEM: &str = "`use`, `const`, `fn`, `layer`, `net`, `optimizer` or `train`";

/// A rule as people call it; empty where saying it would help nobody.
fn word_for(rule: Rule) -> &'static str {
    match rule {
        Rule::item
        | Rule::use_item
        | Rule::const_item
        | Rule::train_item
        | Rule::definition
        | Rule::use_word
        | Rule::const_word
        | Rule::train_word
        | Rule::kind => ITEM,
        Rule::name | Rule::word => "a name",
        Rule::parameters => "`(`",
        Rule::parameter => "a parameter",
        Rule::shape | Rule::axes => "a type, such as `[c, h, w]` or `int`",
        Rule::element => "a type of elements, such as `class(10)`",
        Rule::block | Rule::open_brace => "`{`",
        Rule::statement
        | Rule::let_statement
        | Rule::param_statement
        | Rule::state_statement
        | Rule::update_statement
        | Rule::minimize_statement
        | Rule::report_statement
        | Rule::show_statement
        | Rule::step_statement
        | Rule::next_statement
        | Rule::yield_statement
        | Rule::setting => "a statement",
        Rule::separator | Rule::newline | Rule::EOI => END_OF_LINE,
        Rule::expression
        | Rule::operation
        | Rule::operand
        | Rule::list
        | Rule::group
        | Rule::float
        | Rule::int
        | Rule::string
        | Rule::bool
        | Rule::if_expression
        | Rule::repeat_expression
        | Rule::scan_expression
        | Rule::prefix
        | Rule::argument => EXPRESSION,
        Rule::target => "what the value is piped to, such as `relu` or `dense(10)`",
        Rule::infix | Rule::pipe | Rule::call | Rule::field | Rule::select | Rule::dot => OPERATOR,
        Rule::selector => "an axis and an index, such as `k = 0`",
        Rule::assign => "`=`",
        Rule::arrow => "`->`",
        Rule::colon => "`:`",
        Rule::comma => "`,`",
        Rule::rest => "`..`",
        Rule::open_paren => "`(`",
        Rule::close_paren => "`)`",
        Rule::open_bracket => "`[`",
        Rule::close_bracket => "`]`",
        Rule::close_brace => "`}`",
        Rule::if_word => "`if`",
        Rule::else_word => "`else`",
        Rule::in_word => "`in`",
        Rule::with_word => "`with`",
        Rule::slice => "a name, `in` and a tensor",
        Rule::carry => "a carried value, such as `h: [n] = zeros`",
        _ => "",
    }
}

/// `a, b or c`.
fn list(words: &[&str]) -> Option<String> {
    match words {
        [] => None,
        [only] => Some((*only).to_string()),
        [first @ .., last] => Some(format!("{} or {last}", first.join(", "))),
    }
}
