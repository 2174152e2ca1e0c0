//! What `nnc bench` found, for people and for programs.

use super::ablation::{self, Ablation};
use super::measure::Times;
use super::profile::Profile;
use crate::cli::Choice;
use crate::model::{Compiled, Memory};
use crate::report::{Align, Table, Within, bytes, flop, milliseconds, plural};
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
    /// What was left out.
    pub without: Vec<Choice>,
    /// The training step.
    pub training: Work,
    /// The net alone: at the model's batch, and at 1.
    pub inference: Vec<Work>,
    /// The training step with other batches, if asked for.
    pub other_batches: Vec<Work>,
    /// Fused multiply-adds that the machine can do with the same threads, as FLOP per
    /// second: the most that was seen between the rounds of steps.
    pub peak: f64,
    /// From the model's text to the code of the initial values and the training step.
    pub compile: Duration,
    /// From the start of the process to the end of the first training step, the
    /// generating of samples apart.
    pub first_step: Duration,
    /// Planned memory of the training step.
    pub memory: Memory,
    /// What the process held at most when the training step had been measured.
    pub resident: Option<Resident>,
    /// Of the training step's kernels, if asked for.
    pub profile: Option<Profile>,
    /// How its work divides among more threads, if asked for.
    pub scaling: Option<String>,
    /// What each of the large choices is worth, if asked for.
    pub ablation: Option<Ablation>,
}

/// Memory of the process.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Resident {
    /// Bytes that were resident at once.
    pub peak: u64,
    /// Bytes of the samples among them.
    pub samples: u64,
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
    /// What was measured of a program.
    pub fn new(batch: usize, times: Times, compiled: &Compiled) -> Work {
        Work {
            batch,
            times,
            flop: compiled.flop,
        }
    }

    /// FLOP per second.
    fn rate(&self) -> f64 {
        self.flop as f64 / self.times.median.as_secs_f64()
    }

    /// Of what the machine could have done meanwhile.
    fn fraction(&self) -> f64 {
        self.flop as f64 / self.times.possible
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
        let without = self.without.iter().map(|&choice| ablation::name(choice));
        add("without", without.collect());
        add("step_ms", json!(in_ms(step.times.median)));
        add("step_ms_min", json!(in_ms(step.times.least)));
        add("steps", json!(step.times.steps));
        add("flop_per_step", json!(step.flop));
        add("gflops", json!(step.rate() / 1e9));
        add("peak_gflops", json!(self.peak / 1e9));
        add("fraction_of_peak", json!(step.fraction()));
        add("times_the_limit", json!(1.0 / step.fraction()));
        for work in &self.inference {
            let key = if work.batch == 1 {
                "inference_1"
            } else {
                "inference"
            };
            add(&format!("{key}_ms"), json!(in_ms(work.times.median)));
            add(&format!("{key}_ms_min"), json!(in_ms(work.times.least)));
            let limit = json!(1.0 / work.fraction());
            add(&format!("{key}_times_the_limit"), limit);
        }
        add("compile_ms", json!(in_ms(self.compile)));
        add("first_step_ms", json!(in_ms(self.first_step)));
        add("arena_bytes", json!(self.memory.arena));
        add("slot_bytes", json!(self.memory.slots));
        add("input_bytes", json!(self.memory.inputs));
        if let Some(resident) = self.resident {
            add("peak_resident_bytes", json!(resident.peak));
            add("sample_bytes", json!(resident.samples));
        }
        if !self.other_batches.is_empty() {
            let batches = self.other_batches.iter().map(|work| {
                json!({
                    "batch": work.batch,
                    "step_ms": in_ms(work.times.median),
                    "step_ms_min": in_ms(work.times.least),
                })
            });
            add("batches", batches.collect());
        }
        if let Some(ablation) = &self.ablation {
            add("ablation", ablation.json());
        }
        if let Some(profile) = &self.profile {
            add("kernels", profile.json());
        }
        Value::Object(members).to_string()
    }

    fn by_batch(&self) -> Table {
        let mut table = Table::new(&[
            ("batch", Align::Right),
            ("median ms", Align::Right),
            ("us a sample", Align::Right),
            ("of peak", Align::Right),
        ]);
        for work in &self.other_batches {
            let a_sample = work.times.median.as_secs_f64() * 1e6 / work.batch as f64;
            table.row([
                work.batch.to_string(),
                milliseconds(work.times.median),
                format!("{a_sample:.2}"),
                format!("{:.1} %", 100.0 * work.fraction()),
            ]);
        }
        table
    }

    fn row(&self, what: &str, work: &Work) -> Vec<String> {
        vec![
            what.to_string(),
            work.batch.to_string(),
            milliseconds(work.times.median),
            milliseconds(work.times.least),
            flop(work.flop),
            format!("{:.1}", work.rate() / 1e9),
            format!("{:.1} %", 100.0 * work.fraction()),
            format!("{:.2}", 1.0 / work.fraction()),
        ]
    }
}

impl fmt::Display for Within<'_, Figures> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Within { it, columns } = *self;
        writeln!(
            f,
            "{}  {}, {}, FMA peak {:.1} GFLOP/s\n",
            it.net,
            plural(it.threads as u64, "thread"),
            it.isa,
            it.peak / 1e9
        )?;
        let mut table = Table::new(&[
            ("", Align::Left),
            ("batch", Align::Right),
            ("median ms", Align::Right),
            ("min ms", Align::Right),
            ("work", Align::Right),
            ("GFLOP/s", Align::Right),
            ("of peak", Align::Right),
            ("times the limit", Align::Right),
        ]);
        table.row(it.row("training step", &it.training));
        for work in &it.inference {
            table.row(it.row("inference", work));
        }
        writeln!(f, "{table}\n")?;
        if !it.other_batches.is_empty() {
            writeln!(f, "{}\n", it.by_batch())?;
        }
        writeln!(f, "compile     {} ms", milliseconds(it.compile))?;
        writeln!(
            f,
            "first step  {} ms after the start of the process",
            milliseconds(it.first_step)
        )?;
        write!(f, "memory      {}", it.memory)?;
        if let Some(Resident { peak, samples }) = it.resident {
            let rest = bytes(peak.saturating_sub(samples) as usize);
            let samples = bytes(samples as usize);
            write!(
                f,
                "\nresident    {rest} at most, besides {samples} of samples"
            )?;
        }
        if let Some(profile) = &it.profile {
            let profile = Within {
                it: profile,
                columns,
            };
            write!(f, "\n\n{profile}")?;
        }
        if let Some(scaling) = &it.scaling {
            write!(f, "\n\n{scaling}")?;
        }
        match &it.ablation {
            Some(ablation) => write!(f, "\n\n{ablation}"),
            None => Ok(()),
        }
    }
}

fn in_ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
