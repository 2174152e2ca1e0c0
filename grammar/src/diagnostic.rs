//! What the compiler tells the user: one type feeds the terminal, JSON and the tests.

use crate::codes::Code;
use crate::source::Span;

/// How bad it is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Severity {
    /// The model is wrong; nothing runs.
    Error,
    /// The model runs, yet something is suspicious.
    Warning,
}

/// A remark about one place in a source text.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Label {
    /// The place.
    pub span: Span,
    /// What is to be said of it; may be empty on the primary label.
    pub text: String,
    /// Whether this is where the fault lies (underlined `^^^`) or context (`---`).
    pub primary: bool,
}

/// One error or warning. The headline stands alone, labels add places, notes are
/// facts, helps are edits that could be pasted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Diagnostic {
    /// Error or warning.
    pub severity: Severity,
    /// Names the fault; see [`Code`].
    pub code: Code,
    /// The headline.
    pub message: String,
    /// Places, the primary one first.
    pub labels: Vec<Label>,
    /// Facts.
    pub notes: Vec<String>,
    /// Edits.
    pub helps: Vec<String>,
}

impl Diagnostic {
    /// An error at a place.
    pub fn error(code: Code, span: Span, message: impl Into<String>) -> Diagnostic {
        Diagnostic::new(Severity::Error, code, span, message)
    }

    /// A warning at a place.
    pub fn warning(code: Code, span: Span, message: impl Into<String>) -> Diagnostic {
        Diagnostic::new(Severity::Warning, code, span, message)
    }

    fn new(severity: Severity, code: Code, span: Span, message: impl Into<String>) -> Diagnostic {
        Diagnostic {
            severity,
            code,
            message: message.into(),
            labels: vec![Label {
                span,
                text: String::new(),
                primary: true,
            }],
            notes: Vec::new(),
            helps: Vec::new(),
        }
    }

    /// Says something of the primary place.
    pub fn here(mut self, text: impl Into<String>) -> Diagnostic {
        self.labels[0].text = text.into();
        self
    }

    /// Adds a second place.
    pub fn label(mut self, span: Span, text: impl Into<String>) -> Diagnostic {
        self.labels.push(Label {
            span,
            text: text.into(),
            primary: false,
        });
        self
    }

    /// Adds a fact.
    pub fn note(mut self, text: impl Into<String>) -> Diagnostic {
        self.notes.push(text.into());
        self
    }

    /// Adds an edit.
    pub fn help(mut self, text: impl Into<String>) -> Diagnostic {
        self.helps.push(text.into());
        self
    }

    /// Where the fault lies.
    pub fn span(&self) -> Span {
        self.labels[0].span
    }
}
