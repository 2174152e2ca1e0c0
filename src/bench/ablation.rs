//! What each of the large choices is worth: the training step without it, beside the step
//! with all of them, measured in turns, and each as a multiple of what the machine could do
//! at that moment.

use super::batches::Batches;
use super::measure::Times;
use super::peak::Gauge;
use super::stand::{Stand, Way};
use crate::cli::Choice;
use crate::failure::Outcome;
use crate::model::Compiler;
use crate::report::{Align, Table, bytes, milliseconds};
use clap::ValueEnum;
use nnc_compiler::target::{Isa, Target};
use nnc_runtime::Handle;
use nnc_runtime::train::Phase;
use serde_json::{Value, json};
use std::fmt;
use std::time::Duration;

/// Rounds in which all are measured, one after the other: what disturbs the machine
/// for a while disturbs all.
const ROUNDS: u32 = 4;

/// The step with everything, and without each choice.
#[derive(Clone, Debug)]
pub struct Ablation {
    rows: Vec<Row>,
}

#[derive(Clone, Debug)]
struct Row {
    without: Option<Choice>,
    times: Times,
    launches: usize,
    arena: usize,
}

/// The target without those choices that are the compiler's.
pub fn target(of: &Target, without: &[Choice]) -> Target {
    let mut target = of.clone();
    for choice in without {
        match choice {
            Choice::WideTiles => target.isa = Isa::Portable,
            Choice::Fusion => target.without.fusion = true,
            Choice::DirectConvolution => target.without.direct_convolution = true,
            Choice::StaticMemory => target.without.sharing = true,
            Choice::OneEntry => {}
        }
    }
    target
}

impl Ablation {
    /// Compiles and measures all of them, each for about `budget`.
    pub fn measure(
        compiler: &Compiler<'_>,
        batches: &Batches,
        seed: u64,
        budget: Duration,
        gauge: &mut Gauge,
    ) -> Outcome<Ablation> {
        let choices = Choice::value_variants().iter().copied().map(Some);
        let mut stands = Vec::new();
        for without in [None].into_iter().chain(choices) {
            stands.push(stand(compiler, without, seed)?);
        }
        for _ in 0..ROUNDS {
            for (stand, handle, row) in &mut stands {
                let times = stand.steady(*handle, batches, budget / ROUNDS, gauge)?;
                row.times = row.times.better(times);
            }
        }
        let rows = stands.into_iter().map(|(.., row)| row).collect();
        Ok(Ablation { rows })
    }

    /// One object per row.
    pub fn json(&self) -> Value {
        let rows = self.rows.iter().map(|row| {
            json!({
                "without": row.without.map(name),
                "step_ms": row.times.median.as_secs_f64() * 1e3,
                "step_ms_min": row.times.least.as_secs_f64() * 1e3,
                "launches": row.launches,
                "arena_bytes": row.arena,
            })
        });
        rows.collect()
    }
}

fn stand(
    compiler: &Compiler<'_>,
    without: Option<Choice>,
    seed: u64,
) -> Outcome<(Stand, Handle, Row)> {
    let left_out: Vec<Choice> = without.into_iter().collect();
    let compiler = compiler.for_target(target(compiler.target(), &left_out));
    let step = compiler.compiled(Phase::Train, compiler.batch())?;
    let mut stand = Stand::new(&compiler, seed, Way::of(&left_out))?;
    let handle = stand.load(&step)?;
    let row = Row {
        without,
        times: Times::none(),
        launches: step.program.launches.len(),
        arena: step.program.arena_bytes,
    };
    Ok((stand, handle, row))
}

/// As on the command line.
pub fn name(choice: Choice) -> String {
    choice
        .to_possible_value()
        .map_or(String::new(), |value| value.get_name().to_string())
}

impl fmt::Display for Ablation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = Table::new(&[
            ("without", Align::Left),
            ("median ms", Align::Right),
            ("min ms", Align::Right),
            ("times", Align::Right),
            ("launches", Align::Right),
            ("arena", Align::Right),
        ]);
        let whole = self.rows[0].times.possible;
        for row in &self.rows {
            table.row([
                row.without.map_or("(nothing left out)".to_string(), name),
                milliseconds(row.times.median),
                milliseconds(row.times.least),
                format!("{:.2}", row.times.possible / whole),
                row.launches.to_string(),
                bytes(row.arena),
            ]);
        }
        write!(f, "{table}")
    }
}
