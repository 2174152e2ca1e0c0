//! Diagnostics for people (the terminal) and for programs (JSON).

mod terminal;
mod json;

use crate::diagnostic::{Diagnostic, Severity};

pub use json::json;
pub use terminal::{terminal, terminal_within};

/// Whether the terminal's text may carry colours.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Color {
    /// ANSI escapes.
    Always,
    /// Plain text.
    Never,
}

/// Sorts diagnostics by place, errors before warnings of the same place, and drops
/// those said twice.
pub fn sort(diagnostics: &mut Vec<Diagnostic>) {
    let key = |d: &Diagnostic| {
        (
            d.span(),
            d.severity != Severity::Error,
            d.code,
            d.message.clone(),
        )
    };
    diagnostics.sort_by_cached_key(key);
    diagnostics.dedup();
}

/// `3 errors and 1 warning`: the last line of a run that found some; none otherwise.
pub fn summary(diagnostics: &[Diagnostic]) -> Option<String> {
    let errors = diagnostics
        .iter()
        .filter(|d| d.severity == Severity::Error)
        .count();
    let warnings = diagnostics.len() - errors;
    match (errors, warnings) {
        (0, 0) => None,
        (errors, 0) => Some(counted(errors, "error")),
        (0, warnings) => Some(counted(warnings, "warning")),
        (errors, warnings) => Some(format!(
            "{} and {}",
            counted(errors, "error"),
            counted(warnings, "warning")
        )),
    }
}

fn counted(count: usize, what: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {what}{plural}")
}

/// The name a severity has in both forms.
fn severity_name(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    }
}
