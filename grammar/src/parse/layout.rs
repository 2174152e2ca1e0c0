//! Which newlines end a statement, and where items begin and end.
//!
//! A statement ends with its line, except inside `(` and `[`, after a trailing
//! operator, and when the next line starts with `|>` (or with the `else` of a `}`).
//! The layout replaces comments and newlines that end nothing by blanks, byte for
//! byte, so that a place in the clean text is the same place in the user's.
//!
//! It also sees what would lead the grammar astray: unbalanced brackets, nesting
//! deeper than the parser's stack should bear, and slips such as `**` or `;`, for
//! which it puts something that parses.

use std::ops::Range;

use pest::Parser as _;

use super::brackets::{Brackets, Closed, MAX_NESTING, Open, closing_of, opening_of};
use super::{Grammar, MAX_ERRORS, Rule, slips};
use crate::ast::Comment;
use crate::codes::Code;
use crate::diagnostic::Diagnostic;
use crate::source::{FileId, Span};

/// The text as the grammar reads it.
pub(super) struct Layout {
    /// As long as the user's text.
    pub clean: String,
    /// In order; no blanks.
    pub tokens: Vec<Token>,
    /// In order.
    pub items: Vec<ItemRange>,
    /// In order.
    pub comments: Vec<Comment>,
    pub diagnostics: Vec<Diagnostic>,
}

/// One item's bytes.
pub(super) struct ItemRange {
    pub range: Range<usize>,
    /// Its brackets do not match, or nest too deeply; reported already.
    pub broken: bool,
}

/// A token of the first step of the grammar.
#[derive(Clone, Copy)]
pub(super) struct Token {
    pub rule: Rule,
    pub start: usize,
    pub end: usize,
}

impl Token {
    pub(super) fn text(self, text: &str) -> &str {
        &text[self.start..self.end]
    }
}

/// Lays out a part of a text.
pub(super) fn layout(file: FileId, text: &str, part: Range<usize>) -> Layout {
    let tokens = tokenize(text, part);
    let mut scanner = Scanner::new(file, text, &tokens);
    let mut at = 0;
    while at < tokens.len() {
        at = scanner.step(at);
    }
    scanner.finish_item();
    let Scanner {
        clean,
        items,
        comments,
        diagnostics,
        ..
    } = scanner;
    let clean = String::from_utf8(clean).unwrap_or_else(|error| {
        panic!("parse: the layout replaces whole characters only: {error}")
    });
    Layout {
        clean,
        tokens,
        items,
        comments,
        diagnostics,
    }
}

fn tokenize(text: &str, part: Range<usize>) -> Vec<Token> {
    let start = part.start;
    let parsed = Grammar::parse(Rule::tokens, &text[part]);
    let pairs = parsed.unwrap_or_else(|error| panic!("parse: any text has tokens: {error}"));
    pairs
        .flat_map(pest::iterators::Pair::into_inner)
        .filter(|pair| pair.as_rule() != Rule::EOI)
        .map(|pair| Token {
            rule: pair.as_rule(),
            start: start + pair.as_span().start(),
            end: start + pair.as_span().end(),
        })
        .collect()
}

struct Scanner<'a> {
    file: FileId,
    text: &'a str,
    tokens: &'a [Token],
    clean: Vec<u8>,
    items: Vec<ItemRange>,
    comments: Vec<Comment>,
    diagnostics: Vec<Diagnostic>,
    /// Start of the item being scanned.
    item: Option<usize>,
    broken: bool,
    /// Whether the item before it was.
    broken_above: bool,
    brackets: Brackets,
    /// The last token that is no newline and no comment.
    previous: Option<Token>,
    /// Newlines since then.
    newlines: Vec<usize>,
}

impl<'a> Scanner<'a> {
    fn new(file: FileId, text: &'a str, tokens: &'a [Token]) -> Scanner<'a> {
        Scanner {
            file,
            text,
            tokens,
            clean: text.as_bytes().to_vec(),
            items: Vec::new(),
            comments: Vec::new(),
            diagnostics: Vec::new(),
            item: None,
            broken: false,
            broken_above: false,
            brackets: Brackets::default(),
            previous: None,
            newlines: Vec::new(),
        }
    }

    /// Handles the token at an index and returns the index to go on from.
    fn step(&mut self, at: usize) -> usize {
        let token = self.tokens[at];
        match token.rule {
            Rule::newline => self.newlines.push(token.start),
            Rule::comment => self.comment(token),
            _ => {
                self.end_line(at);
                if let Some(slip) = slips::find(self.text, self.tokens, at) {
                    return self.patch(at, slip);
                }
                self.item.get_or_insert(token.start);
                match token.rule {
                    Rule::open => self.open(token),
                    Rule::close => self.close(token),
                    Rule::word => self.word(token),
                    _ => {}
                }
                self.previous = Some(token);
            }
        }
        at + 1
    }

    fn comment(&mut self, token: Token) {
        let text = token.text(self.text).trim_end();
        let end = token.start + text.len();
        self.comments.push(Comment {
            text: text.to_string(),
            span: self.span(token.start..end),
        });
        self.blank(token.start..token.end);
    }

    /// Decides what the newlines before a token mean.
    fn end_line(&mut self, at: usize) {
        if self.newlines.is_empty() {
            return;
        }
        let next = self.tokens[at];
        if self.starts_next_item(at) {
            if let Some(open) = self.brackets.abandon() {
                self.unclosed(&open, next.start, "the next item starts here");
            }
            self.finish_item();
        } else if self.continues(next) || self.brace_below(next) {
            for newline in self.newlines.drain(..) {
                self.clean[newline] = b' ';
            }
        } else if self.brackets.is_empty() {
            self.finish_item();
        } else {
            self.brackets.end_statement();
        }
        self.newlines.clear();
    }

    fn continues(&self, next: Token) -> bool {
        let Some(previous) = self.previous else {
            return false;
        };
        let previous_text = previous.text(self.text);
        let trailing =
            previous.rule == Rule::symbol || matches!(previous_text, "and" | "or" | "not");
        let next_text = next.text(self.text);
        self.brackets.in_list()
            || trailing
            || next_text == "|>"
            || (next_text == "else" && previous_text == "}")
    }

    /// A `{` that C programmers put below its head. No item starts with one.
    fn brace_below(&mut self, next: Token) -> bool {
        let below =
            self.brackets.is_empty() && self.previous.is_some() && next.text(self.text) == "{";
        if below {
            let span = self.span(next.start..next.end);
            self.report(
                Diagnostic::error(
                    Code::Syntax,
                    span,
                    "a `{` stands on the line that it belongs to",
                )
                .help("write it at the end of the line above"),
            );
        }
        below
    }

    /// Whether, brackets or not, the user has clearly begun another item: an item's
    /// keyword and its name at the very start of a line.
    fn starts_next_item(&self, at: usize) -> bool {
        let token = self.tokens[at];
        let at_line_start = token.start == 0 || self.text.as_bytes()[token.start - 1] == b'\n';
        let next = self.tokens.get(at + 1);
        !self.brackets.is_empty()
            && at_line_start
            && match token.text(self.text) {
                "use" => next.is_some_and(|next| next.rule == Rule::string),
                "train" => next.is_some_and(|next| next.text(self.text) == "{"),
                "const" | "fn" | "layer" | "net" | "optimizer" => {
                    next.is_some_and(|next| {
                        // `const and x` is an operation on a value of that name.
                        next.rule == Rule::word && !matches!(next.text(self.text), "and" | "or")
                    })
                }
                _ => false,
            }
    }

    fn finish_item(&mut self) {
        if let Some(open) = self.brackets.abandon() {
            self.unclosed(&open, self.text.len(), "the file ends here");
        }
        if let (Some(start), Some(last)) = (self.item.take(), self.previous.take()) {
            self.items.push(ItemRange {
                range: start..last.end.max(start),
                broken: self.broken,
            });
        }
        self.broken_above = std::mem::take(&mut self.broken);
    }

    fn open(&mut self, token: Token) {
        let bracket = self.text.as_bytes()[token.start];
        self.brackets.open(bracket, token.start);
        self.check_depth(token);
    }

    fn word(&mut self, token: Token) {
        if matches!(token.text(self.text), "if" | "repeat" | "scan") {
            self.brackets.expect_block();
            self.check_depth(token);
        }
    }

    fn check_depth(&mut self, token: Token) {
        if self.brackets.too_deep() {
            let span = self.span(token.start..token.end);
            let message = format!("more than {MAX_NESTING} brackets inside one another");
            self.break_item(
                Diagnostic::error(Code::Syntax, span, message)
                    .help("name parts of it with `let`, or make them a `fn` or a `layer`"),
            );
        }
    }

    fn close(&mut self, token: Token) {
        let bracket = self.text.as_bytes()[token.start];
        match self.brackets.close(bracket) {
            Closed::Matching => {}
            Closed::Crossing(open) => self.unclosed(&open, token.start, "expected before this"),
            // What is left of an item whose brackets were crossed.
            Closed::Stray if self.broken_above && self.item == Some(token.start) => {
                self.broken = true;
            }
            Closed::Stray => {
                let (close, open) = (bracket as char, opening_of(bracket) as char);
                let span = self.span(token.start..token.end);
                self.break_item(
                    Diagnostic::error(Code::Syntax, span, format!("this `{close}` closes nothing"))
                        .help(format!("remove it, or write the `{open}` it belongs to")),
                );
            }
        }
    }

    fn unclosed(&mut self, open: &Open, end: usize, end_label: &str) {
        let (bracket, closing) = (open.bracket as char, closing_of(open.bracket) as char);
        let at = self.span(open.at..open.at + 1);
        let end = self.span(end..self.text.len().min(end + 1));
        self.break_item(
            Diagnostic::error(
                Code::Syntax,
                at,
                format!("this `{bracket}` is never closed"),
            )
            .label(end, end_label)
            .help(format!("write the missing `{closing}`")),
        );
    }

    /// Reports the first reason why an item's brackets cannot be trusted.
    fn break_item(&mut self, diagnostic: Diagnostic) {
        if !self.broken {
            self.report(diagnostic);
        }
        self.broken = true;
    }

    /// Reports a slip, and puts what was probably meant into the clean text.
    fn patch(&mut self, at: usize, slip: slips::Slip) -> usize {
        let range = self.tokens[at].start..slip.end;
        if let Some(message) = slip.message {
            let span = self.span(range.clone());
            let mut diagnostic = Diagnostic::error(Code::Syntax, span, message);
            diagnostic.helps.extend(slip.help);
            self.report(diagnostic);
        }
        self.blank(range.clone());
        self.clean[range.start..range.start + slip.patch.len()]
            .copy_from_slice(slip.patch.as_bytes());
        if !slip.patch.is_empty() {
            self.item.get_or_insert(range.start);
            self.previous = Some(Token {
                rule: slip.rule,
                start: range.start,
                end: range.end,
            });
        }
        at + self.tokens[at..].partition_point(|token| token.start < range.end)
    }

    fn report(&mut self, diagnostic: Diagnostic) {
        if self.diagnostics.len() < MAX_ERRORS {
            self.diagnostics.push(diagnostic);
        }
    }

    fn blank(&mut self, range: Range<usize>) {
        for byte in &mut self.clean[range] {
            if *byte != b'\n' {
                *byte = b' ';
            }
        }
    }

    fn span(&self, range: Range<usize>) -> Span {
        Span {
            file: self.file,
            start: range.start as u32,
            end: range.end as u32,
        }
    }
}
