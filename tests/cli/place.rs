//! A folder of one's own, and `nnc` run in it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use tempfile::TempDir;

/// A classifier on synthetic digits that is quick to compile and to train.
pub const DIGITS: &str = "\
const lr = 3e-3

net digits_mlp(image: [1, 28, 28]) -> [10] {
    image |> flatten |> dense(32) |> relu |> dense(10)
}

train {
    data      = digits(train: 600, test: 150)
    batch     = 64
    epochs    = 2
    optimizer = adam(lr)
    let logits = digits_mlp(image)
    minimize cross_entropy(logits, label)
    report   accuracy(logits, label)
}
";

/// A folder with a model in it, away from everything else.
pub struct Place {
    pub folder: TempDir,
}

impl Place {
    pub fn new() -> Place {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("digits.nn"), DIGITS).unwrap();
        Place { folder }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap()
    }

    pub fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        fs::write(self.path(name), bytes).unwrap();
    }

    pub fn command(&self, words: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_nnc"));
        command
            .args(words.split_whitespace())
            .current_dir(self.folder.path())
            // Nobody's data, nobody's cache, no colours.
            .env_remove("NNC_DATA")
            .env("HOME", self.folder.path())
            .env("XDG_CACHE_HOME", self.folder.path().join("cache"))
            .env("NO_COLOR", "1");
        command
    }

    pub fn nnc(&self, words: &str) -> Done {
        Done::from(self.command(words).output().unwrap())
    }
}

pub struct Done {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl From<Output> for Done {
    fn from(output: Output) -> Done {
        Done {
            code: output.status.code(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

impl Done {
    /// It ended with this exit code.
    #[track_caller]
    pub fn exits(self, code: i32) -> Done {
        assert_eq!(
            self.code,
            Some(code),
            "out:\n{}\nerr:\n{}",
            self.out,
            self.err
        );
        self
    }

    /// The only object on the standard output, or the lines of them.
    pub fn objects(&self) -> Vec<serde_json::Value> {
        self.out
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }
}

/// The path of a model of the repository.
pub fn model(name: &str) -> String {
    let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("models");
    models.join(name).display().to_string()
}
