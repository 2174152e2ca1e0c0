//! The products of each model's training step, one by one, against the machine's
//! arithmetic limit, and how much of the step is everything else: `cargo bench --bench kernels`.
#![allow(missing_docs, clippy::print_stdout)]

mod support;
#[path = "support/network.rs"]
mod network;
#[path = "../src/bench/peak.rs"]
mod peak;

use network::Network;
use nnc_compiler::graph::Phase;
use nnc_compiler::target::Target;
use nnc_runtime::program::Launch;
use std::time::Duration;
use support::table::{Align, Table};
use support::{milliseconds, models};

/// How often each kernel is timed; the shortest time counts.
const ROUNDS: usize = 30;

fn main() {
    let target = Target::host();
    let mut gauge = peak::Gauge::new(&target);
    for (name, text) in models() {
        let mut network = Network::new(&name, &text, &target);
        network.begin();
        let (handle, _) = network.phase(Phase::Train);
        let times = network.machine.profile(handle, ROUNDS);
        gauge.now();
        let launches = &network.machine.program(handle).launches;
        println!("{}\n", table(&name, launches, &times, gauge.best()));
    }
    let (threads, limit) = (rayon::current_num_threads(), gauge.best() / 1e9);
    println!(
        "limit: {limit:.1} GFLOP/s on {threads} threads, {}",
        target.isa
    );
}

fn table(name: &str, launches: &[Launch], times: &[Duration], limit: f64) -> Table {
    let mut table = Table::new(&[
        (name, Align::Left),
        ("ms", Align::Right),
        ("GFLOP/s", Align::Right),
        ("of limit", Align::Right),
        ("GB/s", Align::Right),
        ("tasks", Align::Right),
    ]);
    let mut others = Duration::ZERO;
    for (launch, &time) in launches.iter().zip(times) {
        if launch.flop == 0 {
            others += time;
            continue;
        }
        let seconds = time.as_secs_f64();
        let rate = launch.flop as f64 / seconds;
        table.row([
            launch.name.clone(),
            milliseconds(time),
            format!("{:.1}", rate / 1e9),
            format!("{:.1} %", 100.0 * rate / limit),
            format!("{:.1}", launch.bytes as f64 / seconds / 1e9),
            launch.tasks.to_string(),
        ]);
    }
    table.row(["everything else".to_owned(), milliseconds(others)]);
    table
}
