//! What the passes make of models. `tests/stages/` holds tiny ones with everything that
//! becomes of their training step, a file per pass, for the portable instruction set so
//! that no snapshot depends on a machine. The models of the repository are held by counts.
#![allow(missing_docs, clippy::unwrap_used)]

mod support;

use nnc_compiler::emit::{Machine, clif, emit};
use nnc_compiler::graph::{Model, Phase, SlotKind, flops};
use nnc_compiler::schedule::{Plan, PlannedKernel};
use nnc_compiler::target::{Isa, Target, Without};
use nnc_compiler::{Product, plan, slot_table};
use std::path::Path;

#[test]
fn tiny_models_pass_by_pass() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/stages");
    insta::glob!(folder, "*/model.nn", |path| {
        let mut settings = insta::Settings::clone_current();
        settings.set_snapshot_path(path.parent().unwrap());
        settings.set_prepend_module_to_snapshot(false);
        settings.set_omit_expression(true);
        // The path says which input it was.
        settings.remove_snapshot_suffix();
        settings.remove_input_file();
        let text = std::fs::read_to_string(path).unwrap();
        settings.bind(|| {
            for (number, (stage, shown)) in stages(&text).iter().enumerate() {
                insta::assert_snapshot!(format!("{}-{stage}", number + 1), shown.trim_end());
            }
        });
    });
}

/// Each stage by the name that `nnc dump --stage` gives it.
fn stages(text: &str) -> Vec<(&'static str, String)> {
    let (main, model) = support::load("model.nn", text, None);
    let step = &model.steps[&Phase::Train];
    let mut stages = vec![
        ("ast", nnc_grammar::print(&main)),
        ("graph", step.to_string()),
    ];
    let names = ["grad", "simplified", "kernels", "schedule"];
    let target = target(Isa::Portable);
    let schedule = plan(step, &slot_table(&model.slots), &target, &mut |product| {
        stages.push((names[stages.len() - 2], product.to_string()));
    });
    let emitted = emit(&schedule, Machine::new(&target).config());
    // The code of a whole step fills many screens: the first product and the first loops.
    let tiled = schedule.kernels.iter().position(is_tiled);
    let looped = schedule.kernels.iter().position(|kernel| !is_tiled(kernel));
    let shown = [looped, tiled].into_iter().flatten();
    let shown: Vec<String> = shown
        .map(|kernel| clif(&emitted.units[emitted.of_kernel[kernel]]))
        .collect();
    stages.push(("clif", shown.join("\n")));
    stages
}

#[test]
fn real_models_in_numbers() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("models");
    let mut paths: Vec<_> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|end| end == "nn"))
        .collect();
    paths.sort();
    let mut tables = Vec::new();
    for path in paths {
        let name = path.file_name().unwrap().to_str().unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        let (_, model) = support::load(name, &text, None);
        tables.push(structure(name, &model).join("\n"));
    }
    insta::with_settings!({
        snapshot_path => "stages",
        prepend_module_to_snapshot => false,
        omit_expression => true,
    }, {
        insta::assert_snapshot!("structure", tables.join("\n\n"));
    });
}

/// A line per phase and instruction set, as far as those differ.
fn structure(name: &str, model: &Model) -> Vec<String> {
    let slots = slot_table(&model.slots);
    let elements = |kind| {
        let slots = model.slots.iter().filter(|slot| slot.kind == kind);
        slots.map(|slot| slot.ty.elements()).sum::<usize>()
    };
    let parameters = elements(SlotKind::Param);
    let states = elements(SlotKind::State) + elements(SlotKind::Optimizer);
    let (batch, bytes) = (model.experiment.batch, slots.bytes);
    let head = format!("{parameters} parameters, {states} states, {bytes} bytes of slots");
    let mut lines = vec![
        format!("{name}: {head}, batch {batch}"),
        "phase    isa       kernels  tiles  loops  tensors      arena     inputs          flop"
            .into(),
    ];
    for (phase, step) in &model.steps {
        for isa in Isa::ALL {
            let mut flop = 0;
            let schedule = plan(step, &slots, &target(isa), &mut |product| {
                if let Product::Simplified(step) = product {
                    flop = flops(step);
                }
            });
            // Only products are planned by instruction set.
            if flop == 0 && isa != Isa::Portable {
                continue;
            }
            let (kernels, tensors) = (schedule.kernels.len(), schedule.buffers.len());
            let tiles = schedule
                .kernels
                .iter()
                .filter(|kernel| is_tiled(kernel))
                .count();
            let (loops, phase, isa) = (kernels - tiles, format!("{phase:?}"), isa.to_string());
            let (phase, arena) = (phase.to_lowercase(), schedule.arena_bytes);
            let inputs = schedule.input_bytes();
            let counts = format!("{kernels:8} {tiles:6} {loops:6} {tensors:8}");
            lines.push(format!(
                "{phase:8} {isa:8} {counts} {arena:10} {inputs:10} {flop:13}"
            ));
        }
    }
    lines
}

fn is_tiled(planned: &PlannedKernel) -> bool {
    matches!(*planned.plan, Plan::Tiles(_))
}

/// No machine in particular.
fn target(isa: Isa) -> Target {
    Target {
        isa,
        features: Vec::new(),
        without: Without::default(),
    }
}
