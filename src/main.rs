//! `nnc`: reads the command line, runs one command, and says how it went.

mod cli;
mod failure;
mod report;
mod interrupt;
mod data;
mod model;
mod run;
mod check;
mod dump;
mod eval;
mod predict;
mod generate;
mod bench;
mod format;
mod doc;
mod completions;

use clap::Parser;
use cli::{Cli, Command, ErrorFormat};
use failure::{Failure, Outcome, Stop};
use report::Report;
use std::panic::{self, PanicHookInfo};
use std::process::ExitCode;
use std::time::Instant;

/// The exit code of a fault of ours, as Rust's own.
const BUG: u8 = 101;

fn main() -> ExitCode {
    let start = Instant::now();
    panic::set_hook(Box::new(tell_bug));
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return refuse(&error),
    };
    let report = Report::new(&cli.output);
    match panic::catch_unwind(|| perform(cli.command, report, start)) {
        Ok(Ok(())) => ExitCode::SUCCESS,
        Ok(Err(stop)) => {
            if let Stop::Failure(failure) = &stop {
                report.failure(failure);
            }
            ExitCode::from(stop.exit_code())
        }
        Err(_) => ExitCode::from(BUG),
    }
}

fn perform(command: Command, report: Report, start: Instant) -> Outcome {
    match command {
        Command::Run(args) => run::run(&args, report),
        Command::Check(args) => check::check(&args, report),
        Command::Dump(args) => dump::dump(&args, report),
        Command::Eval(args) => eval::eval(&args, report),
        Command::Predict(args) => predict::predict(&args, report),
        Command::Generate(args) => generate::generate(&args, report),
        Command::Bench(args) => bench::bench(&args, report, start),
        Command::Fmt(args) => format::fmt(&args, report),
        Command::Doc(args) => doc::doc(&args, &report),
        Command::Completions { shell } => completions::completions(shell, &report),
    }
}

/// Help was asked for, or the command makes no sense.
fn refuse(error: &clap::Error) -> ExitCode {
    if error.use_stderr() && wants_json() {
        let text = error.to_string();
        let mut lines = text.lines().map(|line| line.trim_start_matches("error: "));
        let failure = Failure::world("usage", lines.next().unwrap_or_default());
        let report = Report::new(&cli::OutputOptions {
            color: cli::When::Never,
            quiet: false,
            error_format: ErrorFormat::Json,
        });
        report.failure(&failure);
    } else {
        // Nobody reads the help: then nobody needs it.
        let _ = error.print();
    }
    ExitCode::from(error.exit_code() as u8)
}

/// Whether errors shall be JSON, on a command line that could not be parsed.
fn wants_json() -> bool {
    let words: Vec<String> = std::env::args().collect();
    let pair = |pair: &[String]| pair[0] == "--error-format" && pair[1] == "json";
    words.windows(2).any(pair) || words.iter().any(|word| word == "--error-format=json")
}

fn tell_bug(info: &PanicHookInfo<'_>) {
    let message = info.payload_as_str().unwrap_or("a panic without words");
    let place = info
        .location()
        .map_or_else(String::new, ToString::to_string);
    report::bug(message, &place);
}
