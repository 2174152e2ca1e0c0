//! The folder of a run: made, and found to be writable, before anything is computed.

use super::record::Record;
use crate::failure::{Failure, Outcome, Stop};
use nnc_runtime::files::{plain, write_atomically};
use nnc_runtime::train::{CHECKPOINT, METRICS, WEIGHTS};
use serde_json::Value;
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
    /// Folders that were made for it, outermost first; they go again unless it is kept.
    made: Vec<PathBuf>,
}

impl RunDirectory {
    /// Makes the folder, or `runs/<net>-<n>`. One that holds a run already is only
    /// taken to go on with it.
    pub fn open(out: Option<&Path>, net: &str, resume: bool) -> Outcome<RunDirectory> {
        let place = out.unwrap_or(Path::new(RUNS));
        let missing = place.ancestors().take_while(|path| !path.exists());
        let mut made: Vec<PathBuf> = missing
            .filter(|path| !path.as_os_str().is_empty())
            .map(Path::to_path_buf)
            .collect();
        made.reverse();
        let path = match out {
            None => {
                let path = next_free(net)?;
                made.push(path.clone());
                path
            }
            Some(path) => {
                fs::create_dir_all(path).map_err(|error| unwritable(path, &error))?;
                path.to_path_buf()
            }
        };
        let directory = RunDirectory { path, made };
        let path = &directory.path;
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
        let probe = tempfile::Builder::new().prefix(".nnc-").tempfile_in(path);
        probe.map_err(|error| unwritable(path, &plain(&error)))?;
        Ok(directory)
    }

    /// The run has begun: its folder stays, whatever comes.
    pub fn keep(&mut self) {
        self.made.clear();
    }

    /// Refuses to go on with a run whose constants were others.
    pub fn check_constants(&self, constants: &[(String, String)]) -> Outcome {
        // Runs were resumed before they had records, and people move files.
        let Ok(text) = fs::read_to_string(self.path.join(RECORD)) else {
            return Ok(());
        };
        let record: Value = serde_json::from_str(&text).unwrap_or_default();
        let changed = constants.iter().filter_map(|(name, now)| {
            let before = record["constants"][name].as_str()?;
            (before != now).then(|| format!("`{name}` was {before} and is {now}"))
        });
        let changed: Vec<String> = changed.collect();
        if changed.is_empty() {
            return Ok(());
        }
        let fault = format!(
            "the run in `{}` had other constants: {}",
            self.path.display(),
            changed.join(", ")
        );
        Err(Failure::world("other-run", fault)
            .help("give the old values by `--set`, or start from its weights by `--weights`")
            .into())
    }

    /// Writes `run.json`.
    pub fn write(&self, record: &Record) -> Outcome {
        Ok(write_atomically(
            &self.path.join(RECORD),
            record.to_json().as_bytes(),
        )?)
    }
}

impl Drop for RunDirectory {
    fn drop(&mut self) {
        for path in self.made.iter().rev() {
            // One that is not empty stays: somebody else's files are in it.
            let _ = fs::remove_dir(path);
        }
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
        open(false).unwrap();
        assert!(
            !base.path().join("a").exists(),
            "a failed start leaves nothing"
        );
        let mut directory = open(false).unwrap();
        assert_eq!(directory.path, out);
        directory.keep();
        drop(directory);
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
    fn a_run_goes_on_with_its_own_constants_only() {
        let out = tempfile::tempdir().unwrap();
        fs::write(out.path().join(CHECKPOINT), "").unwrap();
        let record = r#"{"constants": {"lr": "0.001", "hidden": "128"}}"#;
        fs::write(out.path().join(RECORD), record).unwrap();
        let directory = RunDirectory::open(Some(out.path()), "net", true).unwrap();
        let check = |lr: &str| {
            let constants = [("lr", lr), ("hidden", "128"), ("new", "1")];
            let constants = constants.map(|(name, value)| (name.to_owned(), value.to_owned()));
            directory.check_constants(&constants)
        };
        assert!(check("0.001").is_ok());
        assert_eq!(check("0.01").unwrap_err().exit_code(), 2);
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
