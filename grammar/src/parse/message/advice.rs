//! Frequent mistakes in the order of tokens, each with its remedy.

use super::super::Rule;
use super::super::layout::Token;
use super::super::slips::shortened;
use super::Fault;
use crate::nearest::nearest;
use crate::source::Span;

/// What to say instead of "expected this, found that".
pub(super) struct Advice {
    pub span: Span,
    pub message: String,
    pub help: String,
}

/// The first rule that knows the mistake.
pub(super) fn find(fault: &Fault<'_>) -> Option<Advice> {
    const RULES: &[fn(&Fault<'_>) -> Option<Advice>] = &[
        unknown_item,
        foreign_statement,
        else_if,
        assign_in_call,
        slice_by_colon,
        colon_in_select,
        select_without_axis,
        colon_in_setting,
        scan_without_in,
        carried_without_value,
        several_next,
        several_losses,
        operator_after_pipe,
        operator_at_line_start,
        reserved_name,
        missing_comma,
        second_statement,
    ];
    RULES.iter().find_map(|rule| rule(fault))
}

const ITEM_WORDS: &[&str] = &["use", "const", "fn", "layer", "net", "optimizer", "train"];

/// `lyer dense(...)`, `def f(x)`, a statement outside of everything.
fn unknown_item(fault: &Fault<'_>) -> Option<Advice> {
    if !fault.expects(Rule::item) {
        return None;
    }
    let word = fault.found_text();
    let meant = match word {
        "def" | "func" | "function" | "fun" | "loss" | "activation" => Some("fn"),
        "class" | "module" | "block" => Some("layer"),
        "model" | "network" => Some("net"),
        "optim" | "optimiser" => Some("optimizer"),
        "var" | "let" | "val" | "static" => Some("const"),
        "fit" | "training" => Some("train"),
        _ => nearest(word, ITEM_WORDS.iter().copied()),
    };
    let help = match meant {
        Some(meant) => format!("did you mean `{meant}`?"),
        None if matches!(word, "import" | "from" | "include") => {
            "the library is always there; another file's items come by `use \"file.nn\"`".into()
        }
        None => "statements stand inside a `net`, `layer`, `fn`, `optimizer` or `train`".into(),
    };
    let message = format!("expected {}, found {}", super::ITEM, fault.describe_found());
    Some(fault.advice(message, help))
}

/// `return y`, `for i in ...`, `def f`: words with which other languages begin a statement.
fn foreign_statement(fault: &Fault<'_>) -> Option<Advice> {
    let first = fault.first_of_statement()?;
    if first.start == fault.source.range.start {
        return None;
    }
    let word = first.text(fault.source.text);
    let followed = fault.found.is_some_and(|found| found.start > first.end);
    let (message, help) = match foreign_word(word) {
        Some(advice) => advice,
        None if ITEM_WORDS.contains(&word) && followed => NESTED,
        None => return None,
    };
    Some(Advice {
        span: fault.source.span(first.start, first.end),
        message: message.into(),
        help: help.into(),
    })
}

const NESTED: (&str, &str) = (
    "definitions stand side by side, not inside one another",
    "move it out of the braces around it",
);

/// What to say of a word with which other languages begin a statement.
pub(in super::super) fn foreign_word(word: &str) -> Option<(&'static str, &'static str)> {
    Some(match word {
        "return" => (
            "there is no `return`",
            "the last expression of a block is its value: write it alone",
        ),
        "for" | "while" | "loop" => (
            "there are no loops over statements",
            "repeat layers with `|> repeat n { ... }`",
        ),
        "var" | "val" | "mut" => ("names are bound with `let`", "write `let x = ...`"),
        "const" => (
            "a `const` stands outside of definitions",
            "bind it with `let`, or move it to the top of the file",
        ),
        "def" | "func" | "function" | "class" => NESTED,
        "elif" | "elseif" | "elsif" => {
            ("`elif` is written `else if`", "write `} else if c { ... }`")
        }
        _ => return None,
    })
}

/// `} elif c {`
fn else_if(fault: &Fault<'_>) -> Option<Advice> {
    let found = fault.found_text();
    let previous = fault.previous_text();
    let word = [found, previous]
        .into_iter()
        .find(|word| matches!(*word, "elif" | "elseif" | "elsif"))?;
    Some(fault.advice(
        format!("`{word}` is written `else if`"),
        "write `} else if c { ... }`",
    ))
}

/// `conv2d(32, kernel = 3)`
fn assign_in_call(fault: &Fault<'_>) -> Option<Advice> {
    let name = fault.previous.filter(|token| token.rule == Rule::word)?;
    if fault.found_text() != "=" || fault.innermost_bracket() != Some("(") {
        return None;
    }
    let name = shortened(name.text(fault.source.text));
    let value = fault.next_text().unwrap_or("...");
    Some(fault.advice(
        "a named argument is written with `:`, not `=`",
        format!("write `{name}: {}`", shortened(value)),
    ))
}

/// `x[t = 0:5]`, `x[:, 3]`
fn slice_by_colon(fault: &Fault<'_>) -> Option<Advice> {
    let text = fault.source.text;
    // In `x[0:5]` already the number is at fault.
    let colon = fault.index + usize::from(fault.found_text() != ":");
    let token = |index: usize| fault.source.tokens.get(index);
    let says = |token: Option<&Token>, signs: &[&str]| {
        token.is_some_and(|token| signs.contains(&token.text(text)))
    };
    if !says(token(colon), &[":"]) || fault.innermost_bracket() != Some("[") {
        return None;
    }
    let (mut written, base) = fault.within_bracket();
    written.extend(fault.source.tokens[fault.index..colon].iter().copied());
    let (axis, from) = match written.as_slice() {
        // `x[k: label]`
        [name] if name.rule == Rule::word => return None,
        [axis, equals, from @ ..] if says(Some(equals), &["="]) => (axis.text(text), from),
        from => ("axis", from),
    };
    let axis = shortened(axis);
    let all = says(token(colon + 1), &["]", ","]);
    if from.is_empty() && all {
        return Some(fault.advice(
            "what an index does not name stays whole",
            "leave it out, and say the others by name: `x[axis = 0]`, with the axis's name from \
             its shape `[axis, ...]`",
        ));
    }
    // What is longer than one word could end elsewhere than it seems to.
    let plain = |token: &Token| matches!(token.rule, Rule::word | Rule::int);
    let one = |token: &Token| shortened(token.text(text)).to_string();
    let base = base.map_or("...".to_owned(), |base| one(&base));
    let from = match from {
        [] => "0".to_owned(),
        [only] if plain(only) => one(only),
        _ => "...".to_owned(),
    };
    let to = match token(colon + 1) {
        _ if all && base == "..." => base.clone(),
        _ if all => format!("count({base}, over: {axis})"),
        Some(only) if plain(only) && says(token(colon + 2), &["]", ","]) => one(only),
        _ => "...".to_owned(),
    };
    Some(fault.advice(
        "a part of an axis is taken by `slice`, by the axis's name",
        format!("write `slice({base}, over: {axis}, from: {from}, to: {to})`"),
    ))
}

/// `x[k: label]`
fn colon_in_select(fault: &Fault<'_>) -> Option<Advice> {
    if fault.found_text() != ":" || fault.innermost_bracket() != Some("[") {
        return None;
    }
    let axis = shortened(fault.previous_text());
    Some(fault.advice(
        "an element is chosen with `=`, not `:`",
        format!(
            "write `[{axis} = {}]`",
            shortened(fault.next_text().unwrap_or("..."))
        ),
    ))
}

/// `x[0]`
fn select_without_axis(fault: &Fault<'_>) -> Option<Advice> {
    let at_axis = fault.previous_text() == "["
        && fault.expects(Rule::name)
        && !fault.expects(Rule::expression);
    let without_index = fault.expects(Rule::assign) && fault.innermost_bracket() == Some("[");
    if !at_axis && !without_index {
        return None;
    }
    Some(fault.advice(
        "an index says along which axis, by name",
        "write `x[axis = 0]`, with the axis's name from its shape `[axis, ...]`",
    ))
}

/// `batch: 64` in `train`
fn colon_in_setting(fault: &Fault<'_>) -> Option<Advice> {
    let name = fault
        .first_of_statement()
        .filter(|token| token.rule == Rule::word)?;
    if fault.found_text() != ":"
        || fault
            .previous
            .is_none_or(|previous| previous.start != name.start)
    {
        return None;
    }
    let name = shortened(name.text(fault.source.text));
    let value = shortened(fault.next_text().unwrap_or("..."));
    Some(fault.advice(
        "a setting is written with `=`, and a new name is bound with `let`",
        format!("write `{name} = {value}`, or `let {name}: ... = ...`"),
    ))
}

/// `scan xt of x`
fn scan_without_in(fault: &Fault<'_>) -> Option<Advice> {
    let mut head = fault.scan_head()?.into_iter().skip(1).peekable();
    head.next_if(|token| token.text(fault.source.text) == "reverse");
    let name = head.next().filter(|token| token.rule == Rule::word)?;
    let word = head.next()?;
    let found = word.text(fault.source.text);
    if found == "in" || fault.found.is_none_or(|found| found.start < word.start) {
        return None;
    }
    let name = shortened(name.text(fault.source.text));
    Some(Advice {
        span: fault.source.span(word.start, word.end),
        message: format!(
            "a `scan` goes through a tensor by `in`, found `{}`",
            shortened(found)
        ),
        help: format!("write `scan {name} in x with h: [n] = zeros {{ ... }}`"),
    })
}

/// `scan xt in x with h: [n] { ... }`
fn carried_without_value(fault: &Fault<'_>) -> Option<Advice> {
    fault.scan_head()?;
    if fault.found_text() != "{" || !fault.expects(Rule::assign) {
        return None;
    }
    Some(fault.advice(
        "what a `scan` carries has a value before the first step",
        "say it: `with h: [n] = zeros`",
    ))
}

/// `next h, c = a, b`
fn several_next(fault: &Fault<'_>) -> Option<Advice> {
    let first = fault.first_of_statement()?;
    if fault.found_text() != "," || first.text(fault.source.text) != "next" {
        return None;
    }
    Some(fault.advice(
        "`next` gives one name its value",
        "write one line for each: `next h = ...`",
    ))
}

/// `minimize a, b`
fn several_losses(fault: &Fault<'_>) -> Option<Advice> {
    let first = fault.first_of_statement()?;
    if fault.found_text() != "," || first.text(fault.source.text) != "minimize" {
        return None;
    }
    Some(fault.advice(
        "`minimize` takes one number",
        "add the losses, with weights if need be: `minimize a + 0.1 * b`",
    ))
}

/// `x |> f + y`
fn operator_after_pipe(fault: &Fault<'_>) -> Option<Advice> {
    let is_operator = matches!(
        fault.found_text(),
        "+" | "-"
            | "*"
            | "/"
            | "%"
            | "^"
            | "@"
            | "=="
            | "!="
            | "<"
            | "<="
            | ">"
            | ">="
            | "and"
            | "or"
    );
    if !is_operator || !fault.after_pipe() {
        return None;
    }
    let operator = fault.found_text();
    Some(fault.advice(
        format!("`{operator}` cannot follow a pipe: it could belong to either side"),
        format!("put the pipe in parentheses: `(x |> f) {operator} y`"),
    ))
}

/// A line that starts with an operator, other than `|>`.
fn operator_at_line_start(fault: &Fault<'_>) -> Option<Advice> {
    let operator = fault.found.filter(|token| token.rule == Rule::symbol)?;
    if !fault.line_ended() && !fault.starts_line(operator) {
        return None;
    }
    let operator = operator.text(fault.source.text);
    matches!(
        operator,
        "+" | "*" | "/" | "%" | "^" | "@" | "==" | "!=" | "<" | "<=" | ">" | ">="
    )
    .then(|| {
        fault.advice(
            format!("a line cannot start with `{operator}`: the statement above it has ended"),
            format!("end the line above with `{operator}`"),
        )
    })
}

/// `let if = 3`
fn reserved_name(fault: &Fault<'_>) -> Option<Advice> {
    let word = fault.found_text();
    let reserved = matches!(
        word,
        "let" | "if" | "else" | "repeat" | "and" | "or" | "not" | "true" | "false"
    );
    if !reserved
        || !(fault.expects(Rule::name) || fault.expects(Rule::parameter))
        || fault.expects(Rule::expression)
    {
        return None;
    }
    Some(fault.advice(
        format!("`{word}` is a word of the language and cannot be a name"),
        format!("choose another name, such as `{word}_`"),
    ))
}

/// `f(a b)`
fn missing_comma(fault: &Fault<'_>) -> Option<Advice> {
    let found = fault.found.filter(|token| {
        matches!(
            token.rule,
            Rule::word | Rule::int | Rule::float | Rule::string
        )
    })?;
    if !fault.expects(Rule::comma) || !matches!(fault.innermost_bracket(), Some("(" | "[")) {
        return None;
    }
    let found = shortened(found.text(fault.source.text));
    let previous = shortened(fault.previous_text());
    Some(fault.advice(
        format!("expected `,` between `{previous}` and `{found}`"),
        format!("write `{previous}, {found}`"),
    ))
}

/// `x 3`: something that could start a statement of its own.
fn second_statement(fault: &Fault<'_>) -> Option<Advice> {
    let found = fault.found.filter(|token| {
        matches!(
            token.rule,
            Rule::word | Rule::int | Rule::float | Rule::string | Rule::open
        )
    })?;
    let ends_here = fault.expects(Rule::separator) || fault.expects(Rule::EOI);
    if !ends_here || fault.line_ended() || !matches!(fault.innermost_bracket(), None | Some("{")) {
        return None;
    }
    let found = shortened(found.text(fault.source.text));
    Some(fault.advice(
        format!("expected an operator or the end of the line, found `{found}`"),
        "a statement ends with its line: put an operator between, or start a new line",
    ))
}

impl Fault<'_> {
    fn advice(&self, message: impl Into<String>, help: impl Into<String>) -> Advice {
        let span = match self.found {
            Some(found) if found.rule != Rule::newline => self.source.span(found.start, found.end),
            _ => self.span(),
        };
        Advice {
            span,
            message: message.into(),
            help: help.into(),
        }
    }

    /// The item's tokens before the one at fault, the nearest first.
    fn before(&self) -> impl Iterator<Item = Token> {
        let start = self.source.range.start;
        let before = self.source.tokens[..self.index].iter().rev().copied();
        before.take_while(move |token| token.start >= start)
    }

    /// The tokens from the `scan` of this line up to the one behind the fault.
    fn scan_head(&self) -> Option<Vec<Token>> {
        let mut head: Vec<Token> = self
            .source
            .tokens
            .get(self.index..(self.index + 2).min(self.source.tokens.len()))?
            .iter()
            .rev()
            .copied()
            .collect();
        for token in self.before() {
            if token.rule == Rule::newline {
                return None;
            }
            head.push(token);
            if token.text(self.source.text) == "scan" {
                head.reverse();
                return Some(head);
            }
        }
        None
    }

    fn next_text(&self) -> Option<&str> {
        let token = self.source.tokens.get(self.index + 1)?;
        (token.rule != Rule::newline).then(|| token.text(self.source.text))
    }

    fn starts_line(&self, token: Token) -> bool {
        let line = super::super::line_around(self.source.text, token.start);
        self.source.text[line.start..token.start].trim().is_empty()
    }

    /// The bracket that the fault lies in.
    fn innermost_bracket(&self) -> Option<&str> {
        let mut closed = 0;
        for token in self.before() {
            match token.rule {
                Rule::close => closed += 1,
                Rule::open if closed == 0 => return Some(token.text(self.source.text)),
                Rule::open => closed -= 1,
                _ => {}
            }
        }
        None
    }

    /// What stands between the fault and the bracket or comma before it; and the word in front
    /// of the bracket, if it is all that the bracket belongs to.
    fn within_bracket(&self) -> (Vec<Token>, Option<Token>) {
        let text = self.source.text;
        let (mut closed, mut separated) = (0, false);
        let mut within = Vec::new();
        let mut before = self.before();
        for token in before.by_ref() {
            match (token.rule, token.text(text)) {
                (Rule::open, _) if closed == 0 => break,
                (Rule::open, _) => closed -= 1,
                (Rule::close, _) => closed += 1,
                (_, ",") if closed == 0 => separated = true,
                _ => {}
            }
            if !separated {
                within.push(token);
            }
        }
        within.reverse();
        let word = before.next().filter(|token| token.rule == Rule::word);
        let joined = |token: Token| matches!(token.text(text), "." | "|>");
        let is_last = before.next().is_some_and(joined);
        (within, word.filter(|_| !is_last))
    }

    /// Whether a `|>` stands before the fault in the same statement, outside of brackets.
    fn after_pipe(&self) -> bool {
        let mut closed = 0;
        for token in self.before() {
            match (token.rule, token.text(self.source.text)) {
                (Rule::close, _) => closed += 1,
                (Rule::open, _) if closed == 0 => return false,
                (Rule::open, _) => closed -= 1,
                (Rule::symbol, "|>") if closed == 0 => return true,
                (Rule::symbol, "," | "=" | ":") | (Rule::newline, _) if closed == 0 => {
                    return false;
                }
                _ => {}
            }
        }
        false
    }

    /// The first token of the line at fault, behind any `{` or `}`.
    fn first_of_statement(&self) -> Option<Token> {
        let mut first = None;
        for token in self.before() {
            if matches!(token.rule, Rule::newline)
                || matches!(token.text(self.source.text), "{" | "}")
            {
                break;
            }
            if token.rule != Rule::comment {
                first = Some(token);
            }
        }
        first.or(self.found)
    }
}
