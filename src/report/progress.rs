//! How a run goes on: bars that move on a terminal, lines elsewhere, one table row per pass.

use super::numbers::{duration, measure, plural};
use super::table::{Align, Table};
use super::{Report, bytes};
use crate::failure::{Outcome, Stop};
use indicatif::{ProgressBar, ProgressStyle};
use nnc_runtime::data::{self, Provenance};
use nnc_runtime::train::{Event, Measures, Observer, SplitName};
use serde_json::{Map, Value, json};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How often a bar's text changes.
const REFRESH: Duration = Duration::from_millis(100);
/// How often a pass is mentioned where there is no terminal.
const MENTION: Duration = Duration::from_secs(10);
/// The weight of the newest loss in the one that the bar shows.
const SMOOTHING: f32 = 0.05;

/// Tells of a run's events.
pub struct Progress<'a> {
    report: Report,
    form: Form,
    epochs: usize,
    /// Set when nobody reads any more, so that the run ends with its weights saved.
    stop: &'a AtomicBool,
    pass: Option<PassProgress>,
    headings_shown: bool,
    trouble: Option<Stop>,
    /// What stands in for the data that the model names.
    substitute: Option<String>,
}

/// The forms of a pass's result.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Form {
    /// A row of a table, as news on the way.
    News,
    /// A row of a table, because it is what was asked for.
    Answer,
    /// A line of JSON.
    Json,
}

/// Where a pass stands.
struct PassProgress {
    bar: Option<ProgressBar>,
    name: String,
    steps: usize,
    done: usize,
    begun_at: usize,
    clock: Instant,
    told: Instant,
    loss: Option<f32>,
}

impl<'a> Progress<'a> {
    /// Before the first event.
    pub fn new(report: Report, form: Form, epochs: usize, stop: &'a AtomicBool) -> Progress<'a> {
        Progress {
            report,
            form,
            epochs,
            stop,
            pass: None,
            headings_shown: false,
            trouble: None,
            substitute: None,
        }
    }

    /// The same for these data: that they stand in for others is to be read in every line
    /// of JSON.
    pub fn on(mut self, data: &Provenance) -> Progress<'a> {
        self.substitute = data.is_substitute().then(|| data.to_string());
        self
    }

    /// Whether everything could be told.
    pub fn finish(mut self) -> Outcome {
        match self.trouble.take() {
            Some(stop) => Err(stop),
            None => Ok(()),
        }
    }

    fn begin(&mut self, split: SplitName, epoch: usize, steps: usize, done: usize) {
        let name = match split {
            SplitName::Train => format!("epoch {epoch}/{}", self.epochs),
            SplitName::Valid | SplitName::Test => split.to_string(),
        };
        let bar = self.report.is_live().then(|| {
            let bar = ProgressBar::new(steps as u64).with_position(done as u64);
            bar.set_style(bar_style("{prefix:>12} {bar:32} {pos:>5}/{len} {msg}"));
            bar.set_prefix(name.clone());
            bar
        });
        let now = Instant::now();
        self.pass = Some(PassProgress {
            bar,
            name,
            steps,
            done,
            begun_at: done,
            clock: now,
            told: now,
            loss: None,
        });
    }

    fn step(&mut self, loss: f32, mean_return: Option<f32>) -> Outcome {
        let Some(pass) = &mut self.pass else {
            return Ok(());
        };
        pass.done += 1;
        pass.loss = Some(
            pass.loss
                .map_or(loss, |mean| mean + SMOOTHING * (loss - mean)),
        );
        let interval = if pass.bar.is_some() { REFRESH } else { MENTION };
        if pass.told.elapsed() < interval {
            return Ok(());
        }
        pass.told = Instant::now();
        let played =
            mean_return.map_or(String::new(), |mean| format!("  return {}", measure(mean)));
        let news = format!(
            "loss {}{played}  {}",
            measure(loss_of(pass)),
            rate(pass.steps_done(), pass.clock.elapsed())
        );
        match &pass.bar {
            Some(bar) => {
                bar.set_position(pass.done as u64);
                bar.set_message(news);
                Ok(())
            }
            None if self.form == Form::News => {
                let line = format!("{}: step {}/{}  {news}", pass.name, pass.done, pass.steps);
                self.report.say(line)
            }
            // Nothing may stand between the answers.
            None => Ok(()),
        }
    }

    fn end(&mut self, row: &Row<'_>) -> Outcome {
        let steps = self.pass.take().map_or(0, |pass| {
            if let Some(bar) = &pass.bar {
                bar.finish_and_clear();
            }
            pass.steps_done()
        });
        match self.form {
            Form::Json => self.report.result(row.json(self.substitute.as_deref())),
            Form::News => {
                self.headings(row, Report::say)?;
                self.report.say(row.text(steps))
            }
            Form::Answer => {
                self.headings(row, Report::result)?;
                self.report.result(row.text(steps))
            }
        }
    }

    fn headings(&mut self, row: &Row<'_>, print: impl Fn(&Report, String) -> Outcome) -> Outcome {
        if std::mem::replace(&mut self.headings_shown, true) {
            return Ok(());
        }
        print(&self.report, self.report.dim(row.headings()))
    }
}

impl Observer for Progress<'_> {
    fn notice(&mut self, event: &Event<'_>) -> nnc_runtime::Result<()> {
        let told = match *event {
            Event::Cut { path, lines } => {
                let lines = plural(lines as u64, "line");
                let path = path.display();
                self.report.note(format!(
                    "left {lines} out of {path}, since the checkpoint: they are written again"
                ));
                Ok(())
            }
            Event::PassBegan {
                split,
                epoch,
                steps,
                done,
            } => {
                self.begin(split, epoch, steps, done);
                Ok(())
            }
            Event::Step {
                loss, mean_return, ..
            } => self.step(loss, mean_return),
            Event::PassEnded {
                split,
                epoch,
                step,
                measures,
                samples,
                elapsed,
            } => self.end(&Row {
                split,
                epoch,
                step,
                measures,
                samples,
                elapsed,
            }),
            Event::Drawn { .. } | Event::Saved { .. } => Ok(()),
        };
        if let Err(stop) = told {
            self.stop.store(true, Ordering::Relaxed);
            self.trouble.get_or_insert(stop);
        }
        Ok(())
    }
}

impl Drop for Progress<'_> {
    fn drop(&mut self) {
        // A pass that ended early must not leave half a bar behind.
        if let Some(bar) = self.pass.take().and_then(|pass| pass.bar) {
            bar.finish_and_clear();
        }
    }
}

impl PassProgress {
    fn steps_done(&self) -> usize {
        self.done - self.begun_at
    }
}

fn loss_of(pass: &PassProgress) -> f32 {
    pass.loss.unwrap_or(f32::NAN)
}

fn rate(steps: usize, time: Duration) -> String {
    format!("{:.0} steps/s", steps as f64 / time.as_secs_f64().max(1e-9))
}

/// What came out of a pass.
struct Row<'a> {
    split: SplitName,
    epoch: usize,
    step: u64,
    measures: &'a Measures,
    samples: usize,
    elapsed: Duration,
}

impl Row<'_> {
    fn headings(&self) -> String {
        let names = self.measures.iter().map(|(name, _)| name.clone());
        self.line("epoch", "split", names.collect(), "steps/s", "time")
    }

    fn text(&self, steps: usize) -> String {
        let values = self.measures.iter().map(|(_, value)| measure(*value));
        let rate = format!("{:.0}", steps as f64 / self.elapsed.as_secs_f64().max(1e-9));
        let epoch = self.epoch.to_string();
        self.line(
            &epoch,
            &self.split.to_string(),
            values.collect(),
            &rate,
            &duration(self.elapsed),
        )
    }

    fn line(
        &self,
        epoch: &str,
        split: &str,
        values: Vec<String>,
        rate: &str,
        time: &str,
    ) -> String {
        let mut cells = vec![
            (epoch.to_string(), Align::Right, "epoch".len()),
            (split.to_string(), Align::Left, "split".len()),
        ];
        let widths = self
            .measures
            .iter()
            .map(|(name, _)| name.chars().count().max("0.9912".len()));
        cells.extend(
            values
                .into_iter()
                .zip(widths)
                .map(|(value, width)| (value, Align::Right, width)),
        );
        cells.push((rate.to_string(), Align::Right, "steps/s".len()));
        cells.push((time.to_string(), Align::Right, "4 min 07 s".len()));
        Table::line(&cells)
    }

    /// The same keys as in `metrics.jsonl`, and how long it took.
    fn json(&self, substitute: Option<&str>) -> String {
        let mut line = Map::new();
        line.insert("split".into(), json!(self.split.to_string()));
        line.insert("epoch".into(), json!(self.epoch));
        line.insert("step".into(), json!(self.step));
        line.extend(
            self.measures
                .iter()
                .map(|(name, value)| (name.clone(), json!(value))),
        );
        line.insert("samples".into(), json!(self.samples));
        line.insert("seconds".into(), json!(self.elapsed.as_secs_f64()));
        if let Some(substitute) = substitute {
            line.insert("data".into(), json!(substitute));
        }
        Value::Object(line).to_string()
    }
}

/// Tells of files being fetched.
pub struct DownloadBar {
    report: Report,
    file: String,
    bar: Option<ProgressBar>,
}

impl DownloadBar {
    /// Before the first file.
    pub fn new(report: Report) -> DownloadBar {
        DownloadBar {
            report,
            file: String::new(),
            bar: None,
        }
    }

    /// Some bytes have come.
    pub fn notice(&mut self, progress: &data::Progress) {
        if progress.file != self.file {
            self.file.clone_from(&progress.file);
            self.begin(progress);
        }
        if let Some(bar) = &self.bar {
            bar.set_position(progress.done);
            if progress.total == Some(progress.done) {
                bar.finish_and_clear();
            }
        }
    }

    fn begin(&mut self, progress: &data::Progress) {
        let size = progress
            .total
            .map_or_else(String::new, |n| format!(" ({})", bytes(n as usize)));
        self.report
            .note(format!("downloading {}{size}", progress.file));
        self.bar = self.report.is_live().then(|| {
            let bar = ProgressBar::new(progress.total.unwrap_or(0));
            bar.set_style(bar_style("{bar:32} {bytes}/{total_bytes} {bytes_per_sec}"));
            bar
        });
    }
}

fn bar_style(template: &str) -> ProgressStyle {
    match ProgressStyle::with_template(template) {
        Ok(style) => style.progress_chars("━╸─"),
        Err(error) => panic!("bug in `report`: bar template: {error}"),
    }
}
