//! Comments find their places again by where they stood.

use super::Printer;
use super::doc::Doc;
use crate::ast::Comment;

/// The comments not printed yet, in order.
pub(super) struct Comments<'a> {
    left: &'a [Comment],
}

impl<'a> Comments<'a> {
    pub(super) fn new(comments: &'a [Comment]) -> Comments<'a> {
        Comments { left: comments }
    }

    /// The next one, if it begins before a place.
    pub(super) fn next_before(&mut self, place: u32) -> Option<&'a Comment> {
        let (first, rest) = self.left.split_first()?;
        (first.span.start < place).then(|| {
            self.left = rest;
            first
        })
    }

    /// The next one, if it lies between two places.
    pub(super) fn next_between(&mut self, start: u32, end: u32) -> Option<&'a Comment> {
        let first = self.left.first()?;
        if first.span.start < start {
            return None;
        }
        self.next_before(end)
    }

    /// Whether one begins before a place.
    pub(super) fn any_before(&self, place: u32) -> bool {
        self.left
            .first()
            .is_some_and(|comment| comment.span.start < place)
    }
}

impl Printer<'_> {
    /// Comments on lines of their own before an element of a list or a chain.
    pub(super) fn comments_above(&mut self, start: u32) -> Vec<Doc> {
        let mut docs = Vec::new();
        while let Some(comment) = self.comments.next_before(start) {
            docs.push(Doc::Text(comment.text.clone()));
            docs.push(Doc::HardLine);
        }
        docs
    }

    /// The comment in the same line right behind something.
    pub(super) fn comment_behind(&mut self, end: u32) -> Option<Doc> {
        let first = self.comments.left.first()?;
        let start = first.span.start;
        if start < end || self.original.breaks(end, start) {
            return None;
        }
        let between = self.original.between(end, start);
        if !between.chars().all(|c| c == ',' || c.is_whitespace()) {
            return None;
        }
        let comment = self.comments.next_before(start + 1)?;
        Some(Doc::Suffix(comment.text.clone()))
    }
}
