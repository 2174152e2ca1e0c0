//! One JSON object a line, for editors and scripts.

use serde::Serialize;

use super::severity_name;
use crate::diagnostic::{Diagnostic, Label};
use crate::source::{Sources, Span};

#[derive(Serialize)]
struct JsonDiagnostic<'a> {
    severity: &'a str,
    code: &'a str,
    message: &'a str,
    labels: Vec<JsonLabel<'a>>,
    notes: &'a [String],
    helps: &'a [String],
}

/// Lines and columns count from 1, columns in characters; `end` is one past the last.
#[derive(Serialize)]
struct JsonLabel<'a> {
    file: &'a str,
    line: usize,
    column: usize,
    end_line: usize,
    end_column: usize,
    text: &'a str,
    primary: bool,
}

/// One diagnostic as one line, without a newline at its end.
pub fn json(diagnostic: &Diagnostic, sources: &Sources) -> String {
    let object = JsonDiagnostic {
        severity: severity_name(diagnostic.severity),
        code: diagnostic.code.name(),
        message: &diagnostic.message,
        labels: diagnostic
            .labels
            .iter()
            .map(|label| json_label(label, sources))
            .collect(),
        notes: &diagnostic.notes,
        helps: &diagnostic.helps,
    };
    serde_json::to_string(&object).unwrap_or_else(|error| {
        panic!("render: plain strings and numbers have a JSON form: {error}")
    })
}

fn json_label<'a>(label: &'a Label, sources: &'a Sources) -> JsonLabel<'a> {
    let (line, column) = sources.line_column(label.span);
    let end = Span {
        start: label.span.end,
        ..label.span
    };
    let (end_line, end_column) = sources.line_column(end);
    JsonLabel {
        file: &sources.file(label.span.file).name,
        line,
        column,
        end_line,
        end_column,
        text: &label.text,
        primary: label.primary,
    }
}
