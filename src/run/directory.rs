//! The folder of a run: made, and found to be writable, before anything is computed.

use super::record::Record;
use crate::failure::{Failure, Outcome, Stop};
use nnc_runtime::files::write_atomically;
use nnc_runtime::train::{CHECKPOINT, METRICS, WEIGHTS};
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// What the run was and how it ended.
const RECORD: &str = "run.json";
/// Where runs go that have no place of their own.
const RUNS: &str = "runs";

/// A folder that is there and can be written to.
#[derive(Debug)]
pub struct RunDirectory {
    /// Where.
    pub path: PathBuf,
}

impl RunDirectory {
    /// Makes the folder, or `runs/<net>-<n>`. One that holds a run already is only
    /// taken to go on with it.
    pub fn open(out: Option<&Path>, net: &str, resume: bool) -> Outcome<RunDirectory> {
        let path = match out {
            None => next_free(net)?,
            Some(path) => {
                fs::create_dir_all(path).map_err(|error| unwritable(path, &error))?;
                path.to_path_buf()
            }
        };
        let holds = |name: &str| path.join(name).exists();
        if resume && !holds(CHECKPOINT) {
            let fault = format!("`{}` holds no {CHECKPOINT} to go on from", path.display());
            return Err(Failure::world("no-run", fault).into());
        }
        if !resume && [WEIGHTS, CHECKPOINT, METRICS].into_iter().any(holds) {
            let fault = format!(
                "`{}` holds a run already, which would be lost",
                path.display()
            );
            return Err(Failure::world("run-exists", fault)
                .help("go on with it by `--resume`, or give another `--out`")
                .into());
        }
        let probe = tempfile::Builder::new().prefix(".nnc-").tempfile_in(&path);
        probe.map_err(|error| unwritable(&path, &error))?;
        Ok(RunDirectory { path })
    }

    /// Writes `run.json`.
    pub fn write(&self, record: &Record) -> Outcome {
        Ok(write_atomically(
            &self.path.join(RECORD),
            record.to_json().as_bytes(),
        )?)
    }
}

/// Makes the first of `runs/<net>-1`, `-2`, ... that is not there; two runs that
/// start at once get two folders.
fn next_free(net: &str) -> Outcome<PathBuf> {
    let runs = Path::new(RUNS);
    fs::create_dir_all(runs).map_err(|error| unwritable(runs, &error))?;
    for number in 1_u64.. {
        let path = runs.join(format!("{net}-{number}"));
        match fs::create_dir(&path) {
            Ok(()) => return Ok(path),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => return Err(unwritable(&path, &error)),
        }
    }
    unreachable!("there are fewer than 2^64 folders")
}

fn unwritable(path: &Path, error: &std::io::Error) -> Stop {
    Failure::world(
        "io",
        format!("cannot write to `{}`: {error}", path.display()),
    )
    .help("give another folder with `--out DIR`")
    .into()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_folder_is_made_and_an_old_run_is_not_overwritten() {
        let base = tempfile::tempdir().unwrap();
        let out = base.path().join("a/b");
        let open = |resume| RunDirectory::open(Some(&out), "net", resume);
        assert_eq!(open(false).unwrap().path, out);
        assert!(open(true).is_err(), "nothing to resume");
        fs::write(out.join(CHECKPOINT), "").unwrap();
        assert!(open(false).is_err(), "a run is there");
        assert!(open(true).is_ok());
        assert_eq!(
            fs::read_dir(&out).unwrap().count(),
            1,
            "probes leave nothing"
        );
    }

    #[test]
    fn a_file_is_no_folder() {
        let file = tempfile::NamedTempFile::new().unwrap();
        assert_eq!(
            RunDirectory::open(Some(file.path()), "net", false)
                .unwrap_err()
                .exit_code(),
            2
        );
    }
}
