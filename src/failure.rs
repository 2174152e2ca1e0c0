//! Why a command ends before it is done, and with which exit code.

use nnc_runtime::Error;
use std::fmt;

/// Ends a command early.
#[derive(Debug)]
pub enum Stop {
    /// Something is wrong that has not been told yet.
    Failure(Failure),
    /// Something is wrong, and diagnostics that say so have been printed.
    Told(Blame),
    /// Whoever read our output has gone; there is nobody to tell.
    ReaderLeft,
}

/// A fault outside the text of the model.
#[derive(Debug)]
pub struct Failure {
    /// Who has to act.
    pub blame: Blame,
    /// Names the fault, as a diagnostic's code does.
    pub code: &'static str,
    /// The headline.
    pub message: String,
    /// What could be done.
    pub helps: Vec<String>,
}

/// Who has to act.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Blame {
    /// The model is wrong: exit code 1.
    Model,
    /// The command or the world is wrong: exit code 2.
    World,
}

/// What every command returns.
pub type Outcome<T = ()> = Result<T, Stop>;

impl Failure {
    /// The command or the world is wrong.
    pub fn world(code: &'static str, message: impl fmt::Display) -> Failure {
        Failure {
            blame: Blame::World,
            code,
            message: message.to_string(),
            helps: Vec::new(),
        }
    }

    /// The model is wrong, though not at one place of its text.
    pub fn model(code: &'static str, message: impl fmt::Display) -> Failure {
        Failure {
            blame: Blame::Model,
            ..Failure::world(code, message)
        }
    }

    /// Adds what could be done.
    pub fn help(mut self, help: impl Into<String>) -> Failure {
        self.helps.push(help.into());
        self
    }
}

impl Stop {
    /// The process's exit code.
    pub fn exit_code(&self) -> u8 {
        match self {
            Stop::ReaderLeft => 0,
            Stop::Told(blame) => blame.exit_code(),
            Stop::Failure(failure) => failure.blame.exit_code(),
        }
    }
}

impl Blame {
    fn exit_code(self) -> u8 {
        match self {
            Blame::Model => 1,
            Blame::World => 2,
        }
    }
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Stop {
        Stop::Failure(failure)
    }
}

impl From<Error> for Stop {
    fn from(error: Error) -> Stop {
        let (blame, code) = match &error {
            Error::BadArgument { .. } => (Blame::Model, "bad-argument"),
            Error::DataMismatch(_) => (Blame::Model, "data-mismatch"),
            Error::Diverged { .. } => (Blame::Model, "diverged"),
            Error::Program(_) => (Blame::Model, "not-compiled"),
            Error::TooLarge { .. } => (Blame::Model, "too-large"),
            Error::BadCheckpoint { .. } => (Blame::World, "bad-weights"),
            Error::BadFile { .. } => (Blame::World, "bad-file"),
            Error::NoData(_) => (Blame::World, "no-data"),
            _ => (Blame::World, "io"),
        };
        Stop::Failure(Failure {
            blame,
            ..Failure::world(code, error)
        })
    }
}
