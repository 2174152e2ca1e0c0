//! What can go wrong while running: every message names the place and the way out.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// A fault of the world or of the command, never of this crate (those panic).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// More memory is asked for than the machine has.
    #[error(
        "{what} needs {}, but this machine has {} available; use a smaller batch or model",
        Bytes(*needed),
        Bytes(*available)
    )]
    TooLarge {
        /// `the training step`
        what: String,
        /// Bytes.
        needed: u64,
        /// Bytes.
        available: u64,
    },

    /// The operating system refused.
    #[error("cannot {action} `{}`: {source}", path.display())]
    Io {
        /// `read`, `create`
        action: &'static str,
        /// What.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },

    /// A file that is not what it should be.
    #[error("`{}` is damaged or of another kind: {fault}", path.display())]
    BadFile {
        /// Which.
        path: PathBuf,
        /// What was expected and what was found.
        fault: String,
    },

    /// A data set that is neither there nor obtainable.
    #[error("{0}")]
    NoData(String),

    /// A data source or loader step with arguments that make no sense.
    #[error("`{call}`: {fault}")]
    BadArgument {
        /// `split(valid: 2)`
        call: String,
        /// The argument that is to blame, if it is one alone.
        argument: Option<String>,
        /// What is wrong with it.
        fault: String,
    },

    /// What the program asks for and what the data offer differ.
    #[error("the data do not fit the model: {0}")]
    DataMismatch(String),

    /// Saved tensors that do not fit the model.
    #[error("`{}` does not fit the model:{}", path.display(), bullets(faults))]
    BadCheckpoint {
        /// The file.
        path: PathBuf,
        /// One line per tensor.
        faults: Vec<String>,
    },

    /// The loss left the real numbers.
    #[error("the loss became {loss} at step {step} (epoch {epoch}): {}", advice(*step))]
    Diverged {
        /// NaN or infinite.
        loss: f32,
        /// From 1.
        step: u64,
        /// From 1.
        epoch: usize,
    },

    /// Whatever supplies programs could not compile one.
    #[error("{0}")]
    Program(String),
}

/// What every fallible function of this crate returns.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// For `map_err`: the operating system refused `action` on `path`.
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error {
        let path = path.to_path_buf();
        move |source| Error::Io {
            action,
            path,
            source,
        }
    }

    /// A file that is not what it should be.
    pub(crate) fn bad_file(path: &Path, fault: impl Into<String>) -> Error {
        Error::BadFile {
            path: path.to_path_buf(),
            fault: fault.into(),
        }
    }
}

/// A number of bytes for people: `1.5 GiB`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Bytes(pub u64);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
        if self.0 < 1024 {
            return write!(f, "{} B", self.0);
        }
        let mut value = self.0 as f64 / 1024.0;
        let mut unit = 0;
        while value >= 1024.0 {
            value /= 1024.0;
            unit += 1;
        }
        write!(f, "{value:.1} {}", UNITS[unit])
    }
}

/// No learning rate spoils the first loss.
fn advice(step: u64) -> &'static str {
    match step {
        1 => {
            "no step has been taken yet, so look for a division or logarithm of zero in the loss, \
             and for saved weights or data that are no numbers"
        }
        _ => {
            "training has diverged; try a smaller learning rate, `clip_norm`, or look for a \
             division or logarithm of zero in the loss"
        }
    }
}

fn bullets(lines: &[String]) -> String {
    lines.iter().map(|line| format!("\n  - {line}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_read_well() {
        let shown = [0, 1023, 1024, 1536, 5 << 20, u64::MAX].map(|n| Bytes(n).to_string());
        assert_eq!(
            shown,
            ["0 B", "1023 B", "1.0 KiB", "1.5 KiB", "5.0 MiB", "16.0 EiB"]
        );
    }
}
