//! `metrics.jsonl`: one object a line.
//!
//! Every training step has a line `{"split":"train","epoch":1,"step":7,"loss":2.25}`;
//! where a model has several objectives, with the loss of each, and where it plays, with
//! the mean `return` of the last episodes.
//! Every pass has a line with the metrics by their names and, unlike a step's,
//! `samples`: how many it went over. Numbers are written so that they read back as the
//! same bits; there are no times, so equal runs write equal files. When generated
//! samples stand in for the data that the model names, every line says so in `data`.

use super::RETURN;
use super::observer::{Event, Measures, Observer, SplitName};
use crate::checkpoint::Position;
use crate::error::{Error, Result};
use crate::files::write_atomically;
use serde_json::{Map, Value, json};
use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

/// What of an earlier run's records stays.
pub(super) struct Kept<'a> {
    /// Where that run stood.
    pub position: &'a Position,
    /// The epoch that is validated again.
    pub undecided: Option<usize>,
}

/// Writes `metrics.jsonl`.
#[derive(Debug)]
pub(super) struct Records {
    path: PathBuf,
    file: BufWriter<File>,
    substitute: Option<String>,
    /// Lines of the earlier run that were left out: this one writes them again.
    pub cut: usize,
}

impl Records {
    /// Starts a file, or goes on with that of the run that is resumed.
    pub fn open(
        path: &Path,
        resumed: Option<Kept<'_>>,
        substitute: Option<String>,
    ) -> Result<Records> {
        let (kept, cut) = match resumed {
            Some(resumed) if path.exists() => {
                let text = std::fs::read_to_string(path).map_err(Error::io("read", path))?;
                let kept = lines_up_to(&text, &resumed);
                let cut = text.lines().count() - kept.lines().count();
                (kept, cut)
            }
            _ => (String::new(), 0),
        };
        write_atomically(path, kept.as_bytes())?;
        let file = OpenOptions::new().append(true).open(path);
        Ok(Records {
            path: path.to_path_buf(),
            file: BufWriter::new(file.map_err(Error::io("write", path))?),
            substitute,
            cut,
        })
    }

    /// Where they are written.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn line(
        &mut self,
        split: SplitName,
        epoch: usize,
        step: u64,
        rest: &Measures,
        samples: Option<usize>,
    ) -> Result<()> {
        let mut line = Map::new();
        line.insert("split".into(), json!(split.to_string()));
        line.insert("epoch".into(), json!(epoch));
        line.insert("step".into(), json!(step));
        // JSON has no NaN: it becomes null.
        line.extend(
            rest.iter()
                .map(|(name, value)| (name.clone(), json!(value))),
        );
        if let Some(samples) = samples {
            line.insert("samples".into(), json!(samples));
        }
        if let Some(substitute) = &self.substitute {
            line.insert("data".into(), json!(substitute));
        }
        writeln!(self.file, "{}", Value::Object(line)).map_err(Error::io("write", &self.path))
    }
}

impl Observer for Records {
    fn notice(&mut self, event: &Event<'_>) -> Result<()> {
        match *event {
            Event::Step {
                split: SplitName::Train,
                epoch,
                step,
                loss,
                parts,
                mean_return,
                ..
            } => {
                let mut measures = vec![("loss".into(), loss)];
                measures.extend_from_slice(parts);
                measures.extend(mean_return.map(|mean| (RETURN.into(), mean)));
                self.line(SplitName::Train, epoch, step, &measures, None)
            }
            Event::PassEnded {
                split,
                epoch,
                step,
                measures,
                samples,
                ..
            } => {
                self.line(split, epoch, step, measures, Some(samples))?;
                self.file.flush().map_err(Error::io("write", &self.path))
            }
            Event::Step { .. }
            | Event::Cut { .. }
            | Event::PassBegan { .. }
            | Event::Drawn { .. }
            | Event::Saved { .. } => Ok(()),
        }
    }
}

/// What an interrupted run had written when it stood there: without the steps after its last
/// checkpoint, the pass that it had not completed, its test, and what is validated again.
fn lines_up_to(text: &str, resumed: &Kept<'_>) -> String {
    let &Kept {
        position,
        undecided,
    } = resumed;
    let keep = |line: &&str| {
        let Ok(line) = serde_json::from_str::<Value>(line) else {
            return false;
        };
        let number = |key: &str| line.get(key).and_then(Value::as_u64);
        let (epoch, split) = (number("epoch"), &line["split"]);
        let made = number("step").is_some_and(|step| step <= position.step);
        let complete = epoch.is_some_and(|epoch| epoch <= position.epochs as u64);
        let again = split == "valid" && epoch == undecided.map(|epoch| epoch as u64);
        made && (complete || line.get("samples").is_none()) && split != "test" && !again
    };
    let lines = text.lines().filter(keep);
    lines.flat_map(|line| [line, "\n"]).collect()
}
