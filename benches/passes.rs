//! How long each pass takes for a training step, in milliseconds: `cargo bench --bench passes`.
#![allow(missing_docs, clippy::print_stdout)]

mod support;

use nnc_compiler::graph::Phase;
use nnc_compiler::target::Target;
use nnc_compiler::{compile, slot_table};
use std::time::{Duration, Instant};
use support::table::{Align, Table};
use support::{load, milliseconds, models, texts};

/// The median of so many compilations counts, after one that warms up.
const ROUNDS: usize = 15;

fn main() {
    let mut rows: Vec<Vec<String>> = Vec::new();
    let mut passes: Vec<&str> = Vec::new();
    for (name, text) in models().into_iter().chain(deep()) {
        once(&name, &text);
        let rounds: Vec<Vec<(&str, Duration)>> = (0..ROUNDS).map(|_| once(&name, &text)).collect();
        passes = rounds[0].iter().map(|(pass, _)| *pass).collect();
        let of = |pass: usize| median(rounds.iter().map(|round| round[pass].1).collect());
        let total = median(
            rounds
                .iter()
                .map(|round| round.iter().map(|(_, time)| time).sum())
                .collect(),
        );
        let mut row = vec![name];
        row.extend((0..passes.len()).map(|pass| milliseconds(of(pass))));
        row.push(milliseconds(total));
        rows.push(row);
    }
    let mut columns = vec![("model", Align::Left)];
    columns.extend(
        passes
            .into_iter()
            .chain(["all"])
            .map(|pass| (pass, Align::Right)),
    );
    let mut table = Table::new(&columns);
    rows.into_iter().for_each(|row| table.row(row));
    println!("{table}");
}

/// Networks of equal layers, and the same a tenth as deep.
fn deep() -> impl Iterator<Item = (String, String)> {
    texts("benches/deep").into_iter().flat_map(|(name, text)| {
        [10, 100].map(|depth| {
            let text = text.replace(" = 100\n", &format!(" = {depth}\n"));
            (format!("deep {name}, {depth}"), text)
        })
    })
}

/// The passes with their times. Reading the text and the library is one of them.
fn once(name: &str, text: &str) -> Vec<(&'static str, Duration)> {
    let mut passes = Vec::new();
    let mut clock = Instant::now();
    let mut lap = |pass| {
        passes.push((pass, clock.elapsed()));
        clock = Instant::now();
    };
    let (_, model) = load(name, text, None);
    lap("elaborate");
    let slots = slot_table(&model.slots);
    compile(
        &model.steps[&Phase::Train],
        &slots,
        &Target::host(),
        &mut |product| lap(product.pass()),
    );
    passes
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}
