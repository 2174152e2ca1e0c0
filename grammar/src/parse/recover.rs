//! Going on after a syntax error: the item without the statement at fault.

use std::ops::Range;

use super::Rule;
use super::layout::Token;

/// The item's text with the statement around `at` made blank, or `None` when that
/// would take an opening or closing brace with it, or everything.
///
/// `tokens` are the whole file's, `start` is where `chunk` lies in it.
pub(super) fn without_statement(
    tokens: &[Token],
    start: usize,
    chunk: &str,
    at: usize,
) -> Option<String> {
    let line = line_around(chunk, at);
    let in_line = tokens_within(tokens, start + line.start..start + line.end);
    let statement = narrow(in_line, start, line, at)?;
    let whole = statement.start == 0 && statement.end == chunk.len();
    if whole || chunk[statement.clone()].trim().is_empty() {
        return None;
    }
    let blanks = " ".repeat(statement.len());
    let mut shorter = chunk.to_string();
    shorter.replace_range(statement, &blanks);
    Some(shorter)
}

/// In the clean text a line is a statement, and perhaps a brace around it.
fn line_around(chunk: &str, at: usize) -> Range<usize> {
    let start = chunk[..at].rfind('\n').map_or(0, |n| n + 1);
    let end = chunk[at..].find('\n').map_or(chunk.len(), |n| at + n);
    start..end
}

fn tokens_within(tokens: &[Token], range: Range<usize>) -> &[Token] {
    let from = tokens.partition_point(|token| token.start < range.start);
    let to = tokens.partition_point(|token| token.start < range.end);
    &tokens[from..to]
}

/// The part of a line within the innermost braces around `at`, if its brackets match.
fn narrow(tokens: &[Token], start: usize, line: Range<usize>, at: usize) -> Option<Range<usize>> {
    let Range {
        start: mut from,
        end: mut to,
    } = line;
    let mut open: Vec<Range<usize>> = Vec::new();
    for token in tokens {
        let here = token.start - start..token.end - start;
        match token.rule {
            Rule::open => open.push(here),
            Rule::close => match open.pop() {
                Some(opening) if opening.end <= at && at <= here.start => {
                    from = opening.end;
                    to = here.start;
                    open.clear();
                    break;
                }
                Some(_) => {}
                None if here.end <= at => from = here.end,
                None => {
                    to = here.start;
                    break;
                }
            },
            _ => {}
        }
    }
    for opening in open {
        if opening.end > at {
            return None;
        }
        from = from.max(opening.end);
    }
    Some(from..to)
}
