//! Source lines with underlines, as rustc draws them.

use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};

use super::{Color, severity_name};
use crate::diagnostic::{Diagnostic, Label, Severity};
use crate::source::{FileId, Sources};

/// Columns where nobody says how many there are; a longer source line is cut around its labels.
const WIDTH: usize = 140;

/// Fewer leave no room for a label beside what it points at.
const NARROWEST: usize = 40;

/// Draws one diagnostic, without a newline at its end.
pub fn terminal(diagnostic: &Diagnostic, sources: &Sources, color: Color) -> String {
    terminal_within(diagnostic, sources, color, WIDTH)
}

/// The same for a terminal of so many columns: a longer source line is cut around its labels.
pub fn terminal_within(
    diagnostic: &Diagnostic,
    sources: &Sources,
    color: Color,
    columns: usize,
) -> String {
    let renderer = match color {
        Color::Always => Renderer::styled(),
        Color::Never => Renderer::plain(),
    };
    let columns = columns.max(NARROWEST);
    let renderer = renderer.decor_style(DecorStyle::Ascii).term_width(columns);
    renderer.render(&[group(diagnostic, sources)])
}

fn group<'a>(diagnostic: &'a Diagnostic, sources: &'a Sources) -> Group<'a> {
    let level = match diagnostic.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let title = level
        .with_name(severity_name(diagnostic.severity))
        .primary_title(&diagnostic.message)
        .id(diagnostic.code.name());
    let mut group = Group::with_title(title);
    for (file, labels) in by_file(&diagnostic.labels) {
        group = group.element(snippet(file, &labels, sources));
    }
    for note in &diagnostic.notes {
        group = group.element(Level::NOTE.message(note));
    }
    for help in &diagnostic.helps {
        group = group.element(Level::HELP.message(help));
    }
    group
}

/// One picture per text, the primary label's first.
fn by_file(labels: &[Label]) -> Vec<(FileId, Vec<&Label>)> {
    let mut files: Vec<(FileId, Vec<&Label>)> = Vec::new();
    for label in labels {
        match files.iter_mut().find(|(file, _)| *file == label.span.file) {
            Some((_, known)) => known.push(label),
            None => files.push((label.span.file, vec![label])),
        }
    }
    files
}

fn snippet<'a>(
    file: FileId,
    labels: &[&'a Label],
    sources: &'a Sources,
) -> Snippet<'a, annotate_snippets::Annotation<'a>> {
    let source = sources.file(file);
    let annotations = labels.iter().map(|label| {
        let kind = match label.primary {
            true => AnnotationKind::Primary,
            false => AnnotationKind::Context,
        };
        let annotation = kind.span(label.span.start as usize..label.span.end as usize);
        match label.text.as_str() {
            "" => annotation,
            text => annotation.label(text),
        }
    });
    Snippet::source(&source.text)
        .path(&source.name)
        .annotations(annotations)
}
