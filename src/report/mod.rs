//! All that people and scripts get to see: the only place that prints. What a command
//! was asked for goes to the standard output, everything said about it to the
//! standard error.

mod numbers;
mod progress;
mod table;

pub use numbers::{bytes, count, duration, flop, measure, milliseconds, plural, shape};
pub use progress::{DownloadBar, Form, Progress};
pub use table::{Align, Table, Within};

use crate::cli::{ErrorFormat, OutputOptions, When};
use crate::failure::{Failure, Outcome, Stop};
use anstyle::{AnsiColor, Style};
use nnc_grammar::render::{self, Color};
use nnc_grammar::{Diagnostic, Sources};
use std::fmt::Display;
use std::io::{self, ErrorKind, IsTerminal, Write};

/// Where a fault of ours should be told.
const ISSUES: &str = concat!(env!("CARGO_PKG_REPOSITORY"), "/issues");

const BOLD: Style = Style::new().bold();
const DIM: Style = Style::new().dimmed();
const ERROR: Style = AnsiColor::BrightRed.on_default().bold();
const WARNING: Style = AnsiColor::Yellow.on_default().bold();

/// How to talk to the user.
#[derive(Clone, Copy, Debug)]
pub struct Report {
    color_out: bool,
    color_err: bool,
    quiet: bool,
    error_format: ErrorFormat,
}

impl Report {
    /// As the options say.
    pub fn new(options: &OutputOptions) -> Report {
        let color = |terminal: bool| match options.color {
            When::Always => true,
            When::Never => false,
            When::Auto => terminal && environment_allows_color(),
        };
        Report {
            color_out: color(io::stdout().is_terminal()),
            color_err: color(io::stderr().is_terminal()),
            quiet: options.quiet,
            error_format: options.error_format,
        }
    }

    /// The same, yet silent but for results: they are JSON and nothing may stand between.
    pub fn quiet_if(self, json: bool) -> Report {
        Report {
            quiet: self.quiet || json,
            ..self
        }
    }

    /// Something that the user asked for.
    pub fn result(&self, text: impl Display) -> Outcome {
        write_out(&text.to_string())
    }

    /// News on the way; not with `--quiet`.
    pub fn say(&self, text: impl Display) -> Outcome {
        if self.quiet {
            return Ok(());
        }
        write_out(&text.to_string())
    }

    /// Something to know about what was asked for; not with `--quiet`.
    pub fn note(&self, text: impl Display) {
        if !self.quiet {
            write_err(&format!("{} {text}", self.tag("note:", BOLD)));
        }
    }

    /// Something that changes what the results mean; even with `--quiet`.
    pub fn warn(&self, text: impl Display) {
        write_err(&format!("{} {text}", self.tag("warning:", WARNING)));
    }

    /// What the compiler has to say of the model.
    pub fn diagnostics(&self, diagnostics: &[Diagnostic], sources: &Sources) {
        let color = match self.color_err {
            true => Color::Always,
            false => Color::Never,
        };
        for diagnostic in diagnostics {
            match self.error_format {
                ErrorFormat::Human => {
                    let text = match columns(io::stderr()) {
                        Some(columns) => {
                            render::terminal_within(diagnostic, sources, color, columns)
                        }
                        None => render::terminal(diagnostic, sources, color),
                    };
                    write_err(&text);
                    write_err("");
                }
                ErrorFormat::Json => write_err(&render::json(diagnostic, sources)),
            }
        }
        if let (ErrorFormat::Human, Some(summary)) =
            (self.error_format, render::summary(diagnostics))
        {
            write_err(&summary);
        }
    }

    /// Why the command ends.
    pub fn failure(&self, failure: &Failure) {
        if self.error_format == ErrorFormat::Json {
            return write_err(&failure_as_json(failure));
        }
        let headline = self.tag(&format!("error[{}]", failure.code), ERROR);
        write_err(&format!("{headline}: {}", failure.message));
        for help in &failure.helps {
            write_err(&format!("  {} {help}", self.tag("help:", BOLD)));
        }
    }

    /// Something for where results go: no wider than the terminal, if it is one.
    pub fn within<'a, T>(&self, it: &'a T) -> Within<'a, T> {
        Within {
            it,
            columns: columns(io::stdout()),
        }
    }

    /// Dims text on the standard output.
    pub fn dim(&self, text: impl Display) -> String {
        paint(text, DIM, self.color_out)
    }

    /// Stresses text on the standard output.
    pub fn bold(&self, text: impl Display) -> String {
        paint(text, BOLD, self.color_out)
    }

    /// Whether to draw bars that move.
    pub fn is_live(&self) -> bool {
        !self.quiet && io::stderr().is_terminal() && io::stdout().is_terminal()
    }

    fn tag(&self, text: &str, style: Style) -> String {
        paint(text, style, self.color_err)
    }
}

/// Tells of a fault of ours, from a panic hook: whatever state the program is in.
pub fn bug(message: &str, place: &str) {
    write_err(&format!("error: {message}\n  at {place}"));
    write_err(&format!(
        "\nThis is a fault of nnc {}, not of your model. Please report it at\n  {ISSUES}\nwith the model and these lines.",
        env!("CARGO_PKG_VERSION")
    ));
}

fn failure_as_json(failure: &Failure) -> String {
    // The form of a diagnostic, so that one reader does for both.
    serde_json::json!({
        "severity": "error",
        "code": failure.code,
        "message": failure.message,
        "labels": [],
        "notes": [],
        "helps": failure.helps,
    })
    .to_string()
}

fn write_out(text: &str) -> Outcome {
    let mut out = io::stdout().lock();
    let written = writeln!(out, "{text}").and_then(|()| out.flush());
    written.map_err(|error| match error.kind() {
        ErrorKind::BrokenPipe => Stop::ReaderLeft,
        _ => Failure::world(
            "io",
            format!("cannot write to the standard output: {error}"),
        )
        .into(),
    })
}

fn write_err(text: &str) {
    // When the standard error is gone, there is nobody left to tell.
    let _ = writeln!(io::stderr().lock(), "{text}");
}

fn paint(text: impl Display, style: Style, color: bool) -> String {
    match color {
        true => format!("{style}{text}{style:#}"),
        false => text.to_string(),
    }
}

#[cfg(unix)]
fn columns(stream: impl std::os::fd::AsFd) -> Option<usize> {
    terminal_size::terminal_size_of(stream).map(|(columns, _)| columns.0.into())
}

#[cfg(windows)]
fn columns(stream: impl std::os::windows::io::AsHandle) -> Option<usize> {
    terminal_size::terminal_size_of(stream).map(|(columns, _)| columns.0.into())
}

/// The usual agreements: `NO_COLOR` (no-color.org), and terminals that have none.
fn environment_allows_color() -> bool {
    let unset = |name: &str| std::env::var_os(name).is_none_or(|value| value.is_empty());
    unset("NO_COLOR") && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}
