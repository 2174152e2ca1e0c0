//! Documentation: the comment lines right above an item.

use crate::ast::{Comment, Item};
use crate::source::Span;

/// Gives each item the comments above it, without their `#`.
pub(super) fn attach(text: &str, comments: &[Comment], items: &mut [Item]) {
    for item in items {
        let (doc, span) = match item {
            Item::Const(item) => (&mut item.doc, item.span),
            Item::Definition(item) => (&mut item.doc, item.span),
            Item::Use(_) | Item::Train(_) => continue,
        };
        *doc = above(text, comments, span);
    }
}

fn above(text: &str, comments: &[Comment], item: Span) -> Vec<String> {
    let mut lines = Vec::new();
    let mut start = item.start as usize;
    let before = comments.partition_point(|comment| comment.span.start < item.start);
    for comment in comments[..before].iter().rev() {
        let between = &text[comment.span.end as usize..start];
        let line_start = text[..comment.span.start as usize]
            .rfind('\n')
            .map_or(0, |n| n + 1);
        let alone = text[line_start..comment.span.start as usize]
            .trim()
            .is_empty();
        let adjacent = between.trim().is_empty() && between.matches('\n').count() == 1;
        if !alone || !adjacent {
            break;
        }
        let line = comment.text.trim_start_matches('#');
        lines.push(line.strip_prefix(' ').unwrap_or(line).to_string());
        start = comment.span.start as usize;
    }
    lines.reverse();
    lines
}
