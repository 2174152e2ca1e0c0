//! `nnc dump`: what each pass makes of a model.

use crate::cli::{DumpArgs, PhaseChoice, StageChoice};
use crate::failure::{Blame, Failure, Outcome, Stop};
use crate::model::{Text, target};
use crate::report::{Align, Report, Table, milliseconds};
use clap::ValueEnum;
use nnc_compiler::graph::{Model, Phase, Step};
use nnc_compiler::{Product, compile, plan, slot_table};
use nnc_runtime::files::write_atomically;
use std::path::Path;
use std::time::{Duration, Instant};

/// Shows one stage, all of them, or what each pass takes.
pub fn dump(args: &DumpArgs, report: Report) -> Outcome {
    match (&args.all, args.time) {
        (Some(directory), _) => write_all(args, directory, &report),
        (None, true) => time(args, &report),
        (None, false) if args.stage == StageChoice::Ast => {
            let text = Text::read(&args.model, &report)?;
            report.result(nnc_grammar::print(&text.main).trim_end())
        }
        (None, false) => {
            let model = elaborated(args, &report)?;
            let shown = stage(args, &model, args.stage)?;
            report.result(shown.trim_end())
        }
    }
}

/// A file per stage, numbered in the order of the passes.
fn write_all(args: &DumpArgs, directory: &Path, report: &Report) -> Outcome {
    std::fs::create_dir_all(directory).map_err(|error| {
        Failure::world(
            "io",
            format!("cannot create `{}`: {error}", directory.display()),
        )
    })?;
    let text = Text::read(&args.model, report)?;
    let model = elaborated(args, report)?;
    for (number, choice) in StageChoice::value_variants().iter().enumerate() {
        let shown = match choice {
            StageChoice::Ast => nnc_grammar::print(&text.main),
            choice => stage(args, &model, *choice)?,
        };
        let file = directory.join(format!("{}-{}.txt", number + 1, name(*choice)));
        write_atomically(&file, format!("{}\n", shown.trim_end()).as_bytes())?;
        report.say(file.display())?;
    }
    Ok(())
}

fn name(choice: StageChoice) -> String {
    match choice.to_possible_value() {
        Some(value) => value.get_name().to_string(),
        None => panic!("bug in `dump`: {choice:?} has no name"),
    }
}

fn elaborated(args: &DumpArgs, report: &Report) -> Outcome<Model> {
    let text = Text::read(&args.model, report)?;
    let (model, diagnostics) = text.elaborate(args.model.batch);
    report.diagnostics(&diagnostics, &text.sources);
    model.ok_or(Stop::Told(Blame::Model))
}

/// What one stage looks like.
fn stage(args: &DumpArgs, model: &Model, choice: StageChoice) -> Outcome<String> {
    let step = chosen_step(args, model)?;
    let mut shown = None;
    let mut keep = |product: Product<'_>| {
        if stage_of(&product) == Some(choice) {
            shown = Some(match &product {
                Product::Differentiated(step) | Product::Simplified(step) => show(step, args.dot),
                product => product.to_string(),
            });
        }
    };
    let (slots, target) = (slot_table(&model.slots), target(args.isa)?);
    match choice {
        StageChoice::Ast | StageChoice::Graph => return Ok(show(step, args.dot)),
        StageChoice::Grad
        | StageChoice::Simplified
        | StageChoice::Kernels
        | StageChoice::Schedule => {
            plan(step, &slots, &target, &mut keep);
        }
        StageChoice::Clif | StageChoice::Asm => {
            compile(step, &slots, &target, &mut keep);
        }
    }
    match shown {
        Some(shown) if !args.dot || is_graph(choice) => Ok(shown),
        Some(_) => {
            let fault = format!("the stage `{}` is no graph", name(choice));
            let help = "`--dot` goes with graph, grad and simplified";
            Err(Failure::world("usage", fault).help(help).into())
        }
        None => panic!("bug in `dump`: no pass made {choice:?}"),
    }
}

fn show(step: &Step, dot: bool) -> String {
    if dot { step.dot() } else { step.to_string() }
}

fn is_graph(choice: StageChoice) -> bool {
    matches!(
        choice,
        StageChoice::Graph | StageChoice::Grad | StageChoice::Simplified
    )
}

fn stage_of(product: &Product<'_>) -> Option<StageChoice> {
    match product {
        Product::Differentiated(_) => Some(StageChoice::Grad),
        Product::Simplified(_) => Some(StageChoice::Simplified),
        Product::Fused(_) => Some(StageChoice::Kernels),
        Product::Scheduled(_) => Some(StageChoice::Schedule),
        Product::Emitted(_) => Some(StageChoice::Clif),
        Product::Code(_) => Some(StageChoice::Asm),
        Product::Linked => None,
    }
}

fn chosen_step<'a>(args: &DumpArgs, model: &'a Model) -> Outcome<&'a Step> {
    let phase = match args.phase {
        PhaseChoice::Init => Phase::Init,
        PhaseChoice::Train => Phase::Train,
        PhaseChoice::Eval => Phase::Eval,
        PhaseChoice::Metrics => Phase::Metrics,
        PhaseChoice::Predict => Phase::Predict,
        PhaseChoice::Explore => Phase::Explore,
        PhaseChoice::Act => Phase::Act,
    };
    let none = || {
        Failure::model(
            "no-step",
            format!("the model has no {phase:?} step").to_lowercase(),
        )
    };
    Ok(model.steps.get(&phase).ok_or_else(none)?)
}

/// A table of the passes with their times.
fn time(args: &DumpArgs, report: &Report) -> Outcome {
    let mut passes: Vec<(&str, Duration)> = Vec::new();
    let mut clock = Instant::now();
    let mut lap = |pass: &'static str, passes: &mut Vec<(&str, Duration)>| {
        passes.push((pass, clock.elapsed()));
        clock = Instant::now();
    };
    let text = Text::read(&args.model, report)?;
    lap("parse", &mut passes);
    let (model, diagnostics) = text.elaborate(args.model.batch);
    report.diagnostics(&diagnostics, &text.sources);
    let model = model.ok_or(Stop::Told(Blame::Model))?;
    lap("elaborate", &mut passes);
    let step = chosen_step(args, &model)?;
    let slots = slot_table(&model.slots);
    compile(step, &slots, &target(args.isa)?, &mut |product| {
        lap(product.pass(), &mut passes);
    });

    let total: Duration = passes.iter().map(|(_, time)| *time).sum();
    let mut table = Table::new(&[
        ("pass", Align::Left),
        ("ms", Align::Right),
        ("share", Align::Right),
    ]);
    for (pass, time) in &passes {
        let share = 100.0 * time.as_secs_f64() / total.as_secs_f64();
        table.row([
            pass.to_string(),
            milliseconds(*time),
            format!("{share:.1} %"),
        ]);
    }
    table.row(["total".to_string(), milliseconds(total)]);
    report.result(table)
}
