//! What `nnc bench` found, for people and for programs.

use super::measure::Times;
use super::profile::Profile;
use crate::model::Memory;
use crate::report::{Align, Table, flop, milliseconds};
use serde_json::{Map, Value, json};
use std::fmt;
use std::time::Duration;

/// Everything measured in one run.
#[derive(Clone, Debug)]
pub struct Figures {
    /// Which net.
    pub net: String,
    /// How many.
    pub threads: usize,
    /// `avx512`
    pub isa: String,
    /// The training step.
    pub training: Work,
    /// The net alone: at the model's batch, and at 1.
    pub inference: Vec<Work>,
    /// Fused multiply-adds that the machine can do with the same threads, as FLOP per
    /// second; the better of two measurements around that of the step.
    pub peak: f64,
    /// From the model's text to the code of the initial values and the training step.
    pub compile: Duration,
    /// From the start of the process to the end of the first training step, the
    /// generating of samples apart.
    pub first_step: Duration,
    /// Planned memory of the training step.
    pub memory: Memory,
    /// Of the training step's kernels, if asked for.
    pub profile: Option<Profile>,
    /// How its work divides among more threads, if asked for.
    pub scaling: Option<String>,
}

/// A program and how long it takes.
#[derive(Clone, Copy, Debug)]
pub struct Work {
    /// Samples.
    pub batch: usize,
    /// Of one run.
    pub times: Times,
    /// Two for each multiply-accumulate of its products, nothing for element-wise work.
    pub flop: u64,
}

impl Work {
    /// FLOP per second.
    fn rate(&self) -> f64 {
        self.flop as f64 / self.times.median.as_secs_f64()
    }
}

impl Figures {
    /// One object; its keys are a promise to scripts.
    pub fn json(&self) -> String {
        let step = &self.training;
        let mut members = Map::new();
        let mut add = |key: &str, value: Value| members.insert(key.to_string(), value);
        add("net", json!(self.net));
        add("batch", json!(step.batch));
        add("threads", json!(self.threads));
        add("isa", json!(self.isa));
        add("step_ms", json!(in_ms(step.times.median)));
        add("step_ms_min", json!(in_ms(step.times.least)));
        add("steps", json!(step.times.steps));
        add("flop_per_step", json!(step.flop));
        add("gflops", json!(step.rate() / 1e9));
        add("peak_gflops", json!(self.peak / 1e9));
        add("fraction_of_peak", json!(step.rate() / self.peak));
        for work in &self.inference {
            let key = if work.batch == 1 {
                "inference_1"
            } else {
                "inference"
            };
            add(&format!("{key}_ms"), json!(in_ms(work.times.median)));
            add(&format!("{key}_ms_min"), json!(in_ms(work.times.least)));
        }
        add("compile_ms", json!(in_ms(self.compile)));
        add("first_step_ms", json!(in_ms(self.first_step)));
        add("arena_bytes", json!(self.memory.arena));
        add("slot_bytes", json!(self.memory.slots));
        add("input_bytes", json!(self.memory.inputs));
        if let Some(profile) = &self.profile {
            add("kernels", profile.json());
        }
        Value::Object(members).to_string()
    }

    fn row(&self, what: &str, work: &Work) -> Vec<String> {
        vec![
            what.to_string(),
            work.batch.to_string(),
            milliseconds(work.times.median),
            milliseconds(work.times.least),
            flop(work.flop),
            format!("{:.1}", work.rate() / 1e9),
            format!("{:.1} %", 100.0 * work.rate() / self.peak),
        ]
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{}  {} threads, {}, FMA peak {:.1} GFLOP/s\n",
            self.net,
            self.threads,
            self.isa,
            self.peak / 1e9
        )?;
        let mut table = Table::new(&[
            ("", Align::Left),
            ("batch", Align::Right),
            ("median ms", Align::Right),
            ("min ms", Align::Right),
            ("work", Align::Right),
            ("GFLOP/s", Align::Right),
            ("of peak", Align::Right),
        ]);
        table.row(self.row("training step", &self.training));
        for work in &self.inference {
            table.row(self.row("inference", work));
        }
        writeln!(f, "{table}\n")?;
        writeln!(f, "compile     {} ms", milliseconds(self.compile))?;
        writeln!(
            f,
            "first step  {} ms after the start of the process",
            milliseconds(self.first_step)
        )?;
        write!(f, "memory      {}", self.memory)?;
        if let Some(profile) = &self.profile {
            write!(f, "\n\n{profile}")?;
        }
        match &self.scaling {
            Some(scaling) => write!(f, "\n\n{scaling}"),
            None => Ok(()),
        }
    }
}

fn in_ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
