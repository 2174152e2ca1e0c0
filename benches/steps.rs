//! Training steps and inference in their steady state, as multiples of the time that
//! their products alone would take at the machine's arithmetic limit, which is measured
//! between them: `cargo bench --bench steps`.
#![allow(missing_docs, clippy::print_stdout)]

mod support;
#[path = "support/network.rs"]
mod network;
#[path = "../src/bench/batches.rs"]
mod batches;
#[path = "../src/bench/measure.rs"]
#[allow(unused_imports, reason = "of a larger program, whose tests run there")]
mod measure;
#[path = "../src/bench/peak.rs"]
mod peak;

use batches::Batches;
use measure::steady;
use network::Network;
use nnc_compiler::graph::Phase;
use nnc_compiler::target::Target;
use std::convert::Infallible;
use std::time::Duration;
use support::table::{Align, Table};
use support::{milliseconds, models};

/// For each step of each model.
const BUDGET: Duration = Duration::from_secs(2);

fn main() {
    let target = Target::host();
    let mut table = Table::new(&[
        ("model", Align::Left),
        ("phase", Align::Left),
        ("batch", Align::Right),
        ("median ms", Align::Right),
        ("least ms", Align::Right),
        ("times the limit", Align::Right),
    ]);
    let mut gauge = peak::Gauge::new(&target);
    for (name, text) in models() {
        let mut network = Network::new(&name, &text, &target);
        let batch = network.model.experiment.batch;
        let batches = Batches::generate(&network.model.experiment.fields, batch, 1);
        for phase in [Phase::Train, Phase::Predict] {
            let (handle, flop) = network.phase(phase);
            let times = steady(
                BUDGET,
                || gauge.now(),
                |round| {
                    network.begin();
                    network.machine.enter(|session| {
                        round(&mut |number| batches.step(session, handle, number));
                    });
                    Ok::<(), Infallible>(())
                },
            );
            let Ok(times) = times;
            table.row([
                name.clone(),
                format!("{phase:?}").to_lowercase(),
                batch.to_string(),
                milliseconds(times.median),
                milliseconds(times.least),
                format!("{:.2}", times.possible / flop as f64),
            ]);
        }
    }
    println!("{table}");
    let (threads, limit) = (rayon::current_num_threads(), gauge.best() / 1e9);
    println!(
        "\nlimit: {limit:.1} GFLOP/s at most on {threads} threads, {}",
        target.isa
    );
}
