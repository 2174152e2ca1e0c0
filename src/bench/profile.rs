//! Where a step's time goes, kernel by kernel, beside what the machine would allow.

use super::bandwidth::Bandwidth;
use crate::report::{Align, Table, Within, bytes, flop, milliseconds};
use nnc_runtime::program::Launch;
use nnc_runtime::{Busy, Handle, Machine};
use serde_json::{Value, json};
use std::fmt;
use std::time::Duration;

/// What a narrow terminal is spared first.
const DISPENSABLE: [&str; 7] = [
    "share", "GB/s", "memory", "bound by", "work", "limit ms", "tasks",
];

/// How often each kernel is timed; the shortest time counts.
const ROUNDS: usize = 20;

/// The kernels of a step with their times.
#[derive(Clone, Debug)]
pub struct Profile {
    /// In the order in which they run.
    pub rows: Vec<Row>,
    /// The shortest of some whole steps, thread by thread.
    pub timeline: Vec<Vec<Busy>>,
    /// What the machine can do.
    pub roofline: Roofline,
}

/// The machine's limits, as measured in the same run.
#[derive(Clone, Debug)]
pub struct Roofline {
    /// FLOP per second.
    pub peak: f64,
    /// Bytes per second.
    pub bandwidth: Bandwidth,
}

/// A kernel.
#[derive(Clone, Debug)]
pub struct Row {
    /// Its name in the schedule.
    pub kernel: String,
    /// The instance it belongs to.
    pub origin: String,
    /// Where in the model it came from: `mnist_cnn.nn:6`.
    pub place: String,
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

/// Which limit a kernel is nearer to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Bound {
    /// Multiply-adds.
    Arithmetic,
    /// Moving its operands and results.
    Memory,
}

impl Roofline {
    /// The least time that a kernel could take, and what says so.
    fn limit(&self, row: &Row) -> (Duration, Bound) {
        let arithmetic = row.flop as f64 / self.peak;
        let memory = row.bytes as f64 / self.bandwidth.of(row.bytes);
        match arithmetic >= memory {
            true => (Duration::from_secs_f64(arithmetic), Bound::Arithmetic),
            false => (Duration::from_secs_f64(memory), Bound::Memory),
        }
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Bound::Arithmetic => "arithmetic",
            Bound::Memory => "memory",
        })
    }
}

/// Times each kernel of a loaded program; `places` says for each where it came from.
pub fn profile(
    machine: &mut Machine,
    program: Handle,
    places: &[String],
    roofline: Roofline,
) -> Profile {
    let times = machine.profile(program, ROUNDS);
    let timelines = (0..ROUNDS).map(|_| machine.timeline(program));
    let end = |line: &Vec<Vec<Busy>>| line.iter().flatten().map(|busy| busy.ended).max();
    let timeline = timelines.min_by_key(end).unwrap_or_default();
    let launches = &machine.program(program).launches;
    let rows = launches.iter().zip(times).zip(places);
    Profile {
        rows: rows
            .map(|((launch, time), place)| Row::new(launch, time, place.clone()))
            .collect(),
        timeline,
        roofline,
    }
}

impl Profile {
    /// One object per kernel.
    pub fn json(&self) -> Value {
        let rows = self.rows.iter().map(|row| {
            let (limit, bound) = self.roofline.limit(row);
            json!({
                "kernel": row.kernel,
                "origin": row.origin,
                "place": row.place,
                "ms": row.time.as_secs_f64() * 1e3,
                "flop": row.flop,
                "bytes": row.bytes,
                "limit_ms": limit.as_secs_f64() * 1e3,
                "bound": bound.to_string(),
                "tasks": row.tasks,
            })
        });
        rows.collect()
    }
}

impl fmt::Display for Within<'_, Profile> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Within {
            it: profile,
            columns,
        } = *self;
        let total: Duration = profile.rows.iter().map(|row| row.time).sum();
        let mut table = Table::new(&[
            ("kernel", Align::Left),
            ("ms", Align::Right),
            ("share", Align::Right),
            ("work", Align::Right),
            ("GFLOP/s", Align::Right),
            ("memory", Align::Right),
            ("GB/s", Align::Right),
            ("limit ms", Align::Right),
            ("reached", Align::Right),
            ("bound by", Align::Left),
            ("tasks", Align::Right),
            ("from", Align::Left),
        ]);
        let mut limits = Duration::ZERO;
        for row in &profile.rows {
            limits += profile.roofline.limit(row).0;
            table.row(profile.cells(row, total));
        }
        let reached = percent(limits.as_secs_f64() / total.as_secs_f64());
        let mut sum = ["sum".to_string(), milliseconds(total)].to_vec();
        sum.extend(std::iter::repeat_n(String::new(), 5));
        sum.extend([milliseconds(limits), reached]);
        table.row(sum);
        let without = match columns {
            Some(columns) => table.narrow(columns, &DISPENSABLE),
            None => Vec::new(),
        };
        writeln!(f, "{table}\n")?;
        if !without.is_empty() {
            writeln!(f, "A wider terminal also shows: {}.", without.join(", "))?;
        }
        write!(
            f,
            "The limit of a kernel is the longer of its products at {:.1} GFLOP/s and its bytes at the rate at\n\
             which as many can be copied, both measured in this run on all threads.",
            profile.roofline.peak / 1e9
        )
    }
}

impl Profile {
    fn cells(&self, row: &Row, total: Duration) -> [String; 12] {
        let seconds = row.time.as_secs_f64();
        let (limit, bound) = self.roofline.limit(row);
        // Element-wise work has no rate to compare.
        let if_product = |text: String| if row.flop == 0 { String::new() } else { text };
        [
            row.kernel.clone(),
            milliseconds(row.time),
            percent(seconds / total.as_secs_f64()),
            if_product(flop(row.flop)),
            if_product(format!("{:.1}", row.flop as f64 / seconds / 1e9)),
            bytes(row.bytes as usize),
            format!("{:.1}", row.bytes as f64 / seconds / 1e9),
            milliseconds(limit),
            percent(limit.as_secs_f64() / seconds),
            bound.to_string(),
            row.tasks.to_string(),
            format!("{} {}", row.place, row.origin).trim().to_string(),
        ]
    }
}

impl Row {
    fn new(launch: &Launch, time: Duration, place: String) -> Row {
        Row {
            kernel: launch.name.clone(),
            origin: launch.origin.clone(),
            place,
            time,
            flop: launch.flop,
            bytes: launch.bytes,
            tasks: launch.tasks,
            parallel: launch.parallel,
        }
    }

    /// Whether one thread does all of it.
    pub fn alone(&self) -> bool {
        !self.parallel || self.tasks <= 1
    }
}

fn percent(fraction: f64) -> String {
    format!("{:.1} %", 100.0 * fraction)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn roofline() -> Roofline {
        Roofline {
            peak: 100e9,
            bandwidth: Bandwidth::flat(10e9),
        }
    }

    fn row(flop: u64, bytes: u64) -> Row {
        Row {
            kernel: "k1_contract_add_relu".into(),
            origin: "net/dense_1".into(),
            place: "net.nn:3".into(),
            time: Duration::from_millis(1),
            flop,
            bytes,
            tasks: 1,
            parallel: false,
        }
    }

    /// A wide one, and what is no terminal, show all.
    #[test]
    fn a_narrow_terminal_is_spared_columns() {
        let profile = Profile {
            rows: vec![row(200_000_000, 1_000_000)],
            timeline: Vec::new(),
            roofline: roofline(),
        };
        let shown = |columns| {
            let it = &profile;
            Within { it, columns }.to_string()
        };
        let whole = shown(None);
        assert!(whole.contains("tasks") && !whole.contains("A wider terminal"));
        assert_eq!(shown(Some(200)), whole);
        let narrow = shown(Some(80));
        assert!(narrow.contains("A wider terminal also shows: share"));
        let table = narrow.lines().take_while(|line| !line.is_empty());
        assert!(table.into_iter().all(|line| line.len() <= 80), "{narrow}");
    }

    #[test]
    fn the_longer_limit_binds() {
        let roofline = roofline();
        let product = roofline.limit(&row(200_000_000, 1_000_000));
        assert_eq!(product, (Duration::from_millis(2), Bound::Arithmetic));
        let copy = roofline.limit(&row(0, 10_000_000));
        assert_eq!(copy, (Duration::from_millis(1), Bound::Memory));
    }
}
