//! Where a step's time goes, kernel by kernel.

use crate::report::{Align, Table, bytes, flop, milliseconds};
use nnc_runtime::program::Launch;
use nnc_runtime::{Handle, Machine};
use serde_json::{Value, json};
use std::fmt;
use std::time::Duration;

/// How often each kernel is timed; the shortest time counts.
const ROUNDS: usize = 20;

/// The kernels of a step with their times.
#[derive(Clone, Debug)]
pub struct Profile {
    /// In the order in which they run.
    pub rows: Vec<Row>,
    /// FLOP per second that the machine can do.
    pub peak: f64,
}

/// A kernel.
#[derive(Clone, Debug)]
pub struct Row {
    /// Its name in the schedule.
    pub kernel: String,
    /// Where in the model it came from.
    pub origin: String,
    /// The shortest that was measured.
    pub time: Duration,
    /// Of its products.
    pub flop: u64,
    /// Of distinct memory that it reads and writes.
    pub bytes: u64,
    /// Into how many equal parts its work divides.
    pub tasks: u64,
    /// Whether more than one thread performs them.
    pub parallel: bool,
}

/// Times each kernel of a loaded program.
pub fn profile(machine: &mut Machine, program: Handle, peak: f64) -> Profile {
    let times = machine.profile(program, ROUNDS);
    let launches = &machine.program(program).launches;
    Profile {
        rows: launches
            .iter()
            .zip(times)
            .map(|(launch, time)| Row::new(launch, time))
            .collect(),
        peak,
    }
}

impl Profile {
    /// One object per kernel.
    pub fn json(&self) -> Value {
        let rows = self.rows.iter().map(|row| {
            json!({
                "kernel": row.kernel,
                "origin": row.origin,
                "ms": row.time.as_secs_f64() * 1e3,
                "flop": row.flop,
                "bytes": row.bytes,
                "tasks": row.tasks,
            })
        });
        rows.collect()
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let total: Duration = self.rows.iter().map(|row| row.time).sum();
        let mut table = Table::new(&[
            ("kernel", Align::Left),
            ("ms", Align::Right),
            ("share", Align::Right),
            ("work", Align::Right),
            ("GFLOP/s", Align::Right),
            ("of peak", Align::Right),
            ("memory", Align::Right),
            ("GB/s", Align::Right),
            ("tasks", Align::Right),
            ("from", Align::Left),
        ]);
        for row in &self.rows {
            table.row(row.cells(total, self.peak));
        }
        table.row(["sum".to_string(), milliseconds(total)]);
        write!(f, "{table}")
    }
}

impl Row {
    fn new(launch: &Launch, time: Duration) -> Row {
        Row {
            kernel: launch.name.clone(),
            origin: launch.origin.clone(),
            time,
            flop: launch.flop,
            bytes: launch.bytes,
            tasks: launch.tasks,
            parallel: launch.parallel,
        }
    }

    fn cells(&self, total: Duration, peak: f64) -> [String; 10] {
        let seconds = self.time.as_secs_f64();
        let rate = self.flop as f64 / seconds;
        // Element-wise work has no rate to compare.
        let if_product = |text: String| if self.flop == 0 { String::new() } else { text };
        [
            self.kernel.clone(),
            milliseconds(self.time),
            percent(seconds / total.as_secs_f64()),
            if_product(flop(self.flop)),
            if_product(format!("{:.1}", rate / 1e9)),
            if_product(percent(rate / peak)),
            bytes(self.bytes as usize),
            format!("{:.1}", self.bytes as f64 / seconds / 1e9),
            self.tasks.to_string(),
            self.origin.clone(),
        ]
    }
}

fn percent(fraction: f64) -> String {
    format!("{:.1} %", 100.0 * fraction)
}
