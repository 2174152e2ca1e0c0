//! `nnc completions`

use crate::cli::Cli;
use crate::failure::Outcome;
use crate::report::Report;
use clap::CommandFactory;
use clap_complete::Shell;

/// Prints a completion script.
pub fn completions(shell: Shell, report: &Report) -> Outcome {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "nnc", &mut script);
    report.result(String::from_utf8_lossy(&script).trim_end())
}
