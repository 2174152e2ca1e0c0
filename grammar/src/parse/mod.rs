//! Text to syntax tree. pest stays inside this module.

mod layout;
mod brackets;
mod slips;
mod build;
mod shape;
mod statement;
mod expression;
mod operators;
mod doc;
mod message;
mod recover;

use std::ops::Range;

use pest::Parser as _;
use pest_derive::Parser;

use crate::ast;
use crate::codes::Code;
use crate::diagnostic::Diagnostic;
use crate::source::{FileId, Span};

pub(crate) use operators::{Precedence, precedence, precedence_of_unary};

use build::Builder;
use layout::Layout;

/// A text longer than this is no model; offsets fit `u32` with room to spare.
const MAX_BYTES: usize = 16 << 20;
/// Enough errors for one run.
const MAX_ERRORS: usize = 100;
/// Enough errors for one item: what follows many is mostly their echo.
const MAX_ERRORS_PER_ITEM: usize = 8;

#[derive(Parser)]
#[grammar = "../nn.pest"]
struct Grammar;

/// Parses one `.nn` text.
///
/// The file holds every item that was free of faults. With errors among the
/// diagnostics it is not the user's program, so nothing but an editor should go on
/// with it.
pub fn parse(file: FileId, text: &str) -> (ast::File, Vec<Diagnostic>) {
    parse_part(file, text, 0..text.len())
}

/// Parses a part of a text that holds whole items; places are those in the whole text.
pub fn parse_part(file: FileId, text: &str, part: Range<usize>) -> (ast::File, Vec<Diagnostic>) {
    if text.len() > MAX_BYTES {
        return (ast::File::default(), vec![too_long(file, text)]);
    }
    let Layout {
        clean,
        tokens,
        items: ranges,
        comments,
        mut diagnostics,
    } = layout::layout(file, text, part);
    let mut items = Vec::new();
    for item in ranges {
        if diagnostics.len() >= MAX_ERRORS {
            break;
        }
        if item.broken {
            continue;
        }
        let source = ItemSource {
            file,
            text,
            tokens: &tokens,
            range: item.range,
        };
        items.extend(parse_item(&source, &clean, &mut diagnostics));
    }
    doc::attach(text, &comments, &mut items);
    diagnostics.truncate(MAX_ERRORS);
    diagnostics.sort_by_key(|d| (d.span().start, d.span().end));
    (ast::File { items, comments }, diagnostics)
}

/// What messages about one item need to know.
struct ItemSource<'a> {
    file: FileId,
    /// The whole text as the user wrote it.
    text: &'a str,
    /// The whole text's tokens.
    tokens: &'a [layout::Token],
    /// The item's bytes.
    range: Range<usize>,
}

/// Parses one item; after an error, again without the statement at fault, so that
/// the next fault shows too.
fn parse_item(
    source: &ItemSource<'_>,
    clean: &str,
    diagnostics: &mut Vec<Diagnostic>,
) -> Option<ast::Item> {
    let mut chunk = clean[source.range.clone()].to_string();
    let errors_before = diagnostics.len();
    for _ in 0..MAX_ERRORS_PER_ITEM {
        match Grammar::parse(Rule::item, &chunk) {
            Ok(mut pairs) => {
                let mut builder = Builder::new(source, diagnostics);
                let item = builder.item(pairs.next()?);
                return (diagnostics.len() == errors_before).then_some(item);
            }
            Err(error) => {
                let at = message::place(&error);
                let diagnostic = message::explain(source, &error);
                let start = source.range.start;
                if !already_reported(source, diagnostics, diagnostic.span()) {
                    diagnostics.push(diagnostic);
                }
                match recover::without_statement(source.tokens, start, &chunk, at) {
                    Some(shorter) => chunk = shorter,
                    None => return None,
                }
            }
        }
    }
    None
}

/// A slip that the layout reported has been patched over; a second error in its
/// line would only be about the patch.
fn already_reported(source: &ItemSource<'_>, diagnostics: &[Diagnostic], span: Span) -> bool {
    let line = line_around(source.text, span.start as usize);
    diagnostics
        .iter()
        .any(|d| line.contains(&(d.span().start as usize)))
}

/// The bytes of the line that holds a position, its newline included.
fn line_around(text: &str, at: usize) -> Range<usize> {
    let bytes = text.as_bytes();
    let at = at.min(bytes.len());
    let start = bytes[..at]
        .iter()
        .rposition(|&b| b == b'\n')
        .map_or(0, |n| n + 1);
    let end = bytes[at..]
        .iter()
        .position(|&b| b == b'\n')
        .map_or(bytes.len(), |n| at + n + 1);
    start..end
}

fn too_long(file: FileId, text: &str) -> Diagnostic {
    let span = Span {
        file,
        start: 0,
        end: 0,
    };
    let megabytes = text.len() >> 20;
    Diagnostic::error(
        Code::Syntax,
        span,
        format!(
            "the file has {megabytes} MiB; a model file has at most {} MiB",
            MAX_BYTES >> 20
        ),
    )
    .help("keep numbers in a data file and read them with a data source")
}
