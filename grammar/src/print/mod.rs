//! Syntax tree to text, in the one canonical form.
//!
//! The law: what is printed parses to the same tree, and formatting twice changes
//! nothing more.

mod original;
mod comments;
mod file;
mod block;
mod expression;
mod shape;
mod doc;

use crate::ast::File;

use comments::Comments;
use original::Original;

/// Columns of a line.
const WIDTH: usize = 100;

/// The canonical text of a tree, as a program has it that no person has laid out:
/// documentation is kept, other comments are not.
pub fn print(file: &File) -> String {
    Printer {
        original: Original::none(),
        comments: Comments::new(&[]),
    }
    .file(file)
}

/// The canonical text of a tree that was parsed from `text`: keeps its comments,
/// its single blank lines, the way its numbers are written, redundant parentheses,
/// and line breaks at pipes, operators and opening brackets.
pub fn format(file: &File, text: &str) -> String {
    Printer {
        original: Original::of(text),
        comments: Comments::new(&file.comments),
    }
    .file(file)
}

/// What printing a node may look at.
struct Printer<'a> {
    /// How the user laid it out.
    original: Original<'a>,
    /// Those not printed yet.
    comments: Comments<'a>,
}
