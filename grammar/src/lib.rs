//! The `.nn` language up to its syntax tree: one pest grammar, sources and spans,
//! diagnostics and their table of codes, the parser (pest stops here) and the printer.

pub mod source;
pub mod diagnostic;
pub mod codes;
pub mod ast;
mod parse;
mod print;
mod nearest;
pub mod render;

pub use codes::Code;
pub use diagnostic::{Diagnostic, Label, Severity};
pub use nearest::nearest;
pub use parse::{parse, parse_part};
pub use print::{format, print};
pub use source::{FileId, SourceFile, Sources, Span};
