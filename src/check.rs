//! `nnc check`: everything that can be known of a model before it runs.

use crate::cli::CheckArgs;
use crate::failure::Outcome;
use crate::model::{Loaded, Memory, calls, target};
use crate::report::{Align, Report, Table, bytes, count, flop, shape};
use nnc_compiler::graph::{Field, Phase, SlotKind, flops};
use nnc_compiler::{Product, plan, slot_table};
use nnc_runtime::program::SlotTable;
use serde_json::{Value, json};

/// Of an element of any type in memory.
const ELEMENT_BYTES: usize = 4;

/// Checks a model and sums it up.
pub fn check(args: &CheckArgs, report: Report) -> Outcome {
    let loaded = Loaded::load(&args.model, &report)?;
    let summary = Summary::of(&loaded)?;
    match args.json {
        true => report.result(summary.json(&loaded)),
        false => report.result(summary.text(&loaded, &report)),
    }
}

/// What has to be computed to be known.
struct Summary {
    /// Of one sample.
    forward: u64,
    /// Of a training step, all samples.
    step: u64,
    kernels: usize,
    memory: Memory,
}

impl Summary {
    fn of(loaded: &Loaded) -> Outcome<Summary> {
        let slots = slot_table(&loaded.model.slots);
        let (step, kernels, arena) = planned(loaded, Phase::Train, &slots)?;
        let (forward, _, _) = planned(loaded, Phase::Eval, &slots)?;
        let inputs = &loaded.model.steps[&Phase::Train].inputs;
        Ok(Summary {
            forward: forward / loaded.model.experiment.batch as u64,
            step,
            kernels,
            memory: Memory {
                arena,
                slots: slots.bytes,
                inputs: inputs
                    .iter()
                    .map(|input| input.ty.elements() * ELEMENT_BYTES)
                    .sum(),
            }
            .check()?,
        })
    }

    fn backward(&self, batch: usize) -> u64 {
        (self.step / batch as u64).saturating_sub(self.forward)
    }

    fn text(&self, loaded: &Loaded, report: &Report) -> String {
        let experiment = &loaded.model.experiment;
        let pipeline: Vec<String> = calls(&experiment.pipeline)
            .iter()
            .map(ToString::to_string)
            .collect();
        let fields: Vec<String> = experiment.fields.iter().map(field).collect();
        let mut facts = Table::new(&[("", Align::Left), ("", Align::Left)]);
        facts.row(["parameters", &self.parameters(loaded)]);
        facts.row([
            "data",
            &format!("{}: {}", pipeline.join(" |> "), fields.join(", ")),
        ]);
        facts.row([
            "training",
            &format!(
                "batch {}, {} epochs, seed {}",
                experiment.batch, experiment.epochs, experiment.seed
            ),
        ]);
        facts.row([
            "metrics",
            &[vec!["loss".to_string()], experiment.metrics.clone()]
                .concat()
                .join(", "),
        ]);
        facts.row([
            "work",
            &format!(
                "{} forward + {} backward per sample, {} per step in {} kernels",
                flop(self.forward),
                flop(self.backward(experiment.batch)),
                flop(self.step),
                self.kernels
            ),
        ]);
        facts.row(["memory", &self.memory.to_string()]);
        let mut title = report.bold(loaded.name());
        if let Some(path) = loaded.path.to_str() {
            title = format!("{title}  {}", report.dim(path));
        }
        // The second table has no headings.
        let facts = facts.to_string();
        let facts = facts.trim_start_matches('\n');
        // A net may have parameters of its own alone.
        match loaded.model.experiment.layers.is_empty() {
            true => format!("{title}\n\n{facts}"),
            false => format!("{title}\n\n{}\n\n{facts}", layers(loaded)),
        }
    }

    fn parameters(&self, loaded: &Loaded) -> String {
        let parameters = loaded.parameters();
        let states = match loaded.elements(SlotKind::State) {
            0 => String::new(),
            states => format!(", and {} of state", count(states as u64)),
        };
        format!(
            "{} ({}){states}",
            count(parameters as u64),
            bytes(parameters * ELEMENT_BYTES)
        )
    }

    fn json(&self, loaded: &Loaded) -> String {
        let experiment = &loaded.model.experiment;
        let layers = experiment.layers.iter().map(|layer| {
            json!({
                "path": layer.path,
                "call": layer.call,
                "depth": layer.depth,
                "output": layer.output,
                "parameters": layer.parameters,
            })
        });
        json!({
            "net": loaded.name(),
            "batch": experiment.batch,
            "epochs": experiment.epochs,
            "layers": layers.collect::<Vec<Value>>(),
            "parameters": loaded.parameters(),
            "flop_forward_per_sample": self.forward,
            "flop_backward_per_sample": self.backward(experiment.batch),
            "flop_per_step": self.step,
            "kernels": self.kernels,
            "arena_bytes": self.memory.arena,
            "slot_bytes": self.memory.slots,
            "input_bytes": self.memory.inputs,
        })
        .to_string()
    }
}

/// Products of a step, its kernels, and the bytes of its arena.
fn planned(loaded: &Loaded, phase: Phase, slots: &SlotTable) -> Outcome<(u64, usize, usize)> {
    let mut work = 0;
    let schedule = plan(
        &loaded.model.steps[&phase],
        slots,
        &target(None)?,
        &mut |product| {
            if let Product::Simplified(step) = product {
                work = flops(step);
            }
        },
    );
    Ok((work, schedule.kernels.len(), schedule.arena_bytes))
}

fn layers(loaded: &Loaded) -> Table {
    let mut table = Table::new(&[
        ("layer", Align::Left),
        ("output", Align::Left),
        ("parameters", Align::Right),
    ]);
    let layers = &loaded.model.experiment.layers;
    let owners: Vec<&str> = layers
        .iter()
        .map(|layer| layer.path.split('/').next().unwrap_or_default())
        .collect();
    let several = owners.iter().any(|owner| *owner != owners[0]);
    let mut above = "";
    for (layer, owner) in layers.iter().zip(owners) {
        if several && owner != above {
            table.row([owner.to_owned(), String::new(), String::new()]);
            above = owner;
        }
        let parameters = match layer.parameters {
            0 => String::new(),
            number => count(number as u64),
        };
        let indent = "  ".repeat(layer.depth + usize::from(several));
        table.row([
            format!("{indent}{}", layer.call),
            shape(&layer.output),
            parameters,
        ]);
    }
    table
}

fn field(field: &Field) -> String {
    match (field.classes, field.shape.is_empty()) {
        (Some(classes), true) => format!("{} class({classes})", field.name),
        (Some(classes), false) => {
            format!("{} {} class({classes})", field.name, shape(&field.shape))
        }
        (None, _) => format!("{} {}", field.name, shape(&field.shape)),
    }
}
