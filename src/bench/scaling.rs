//! How a step's work divides among more threads than this machine may have: from the
//! schedule and the times of single kernels, not from a measurement.

use super::profile::{Profile, Row};
use crate::report::{Align, Table, milliseconds};
use std::fmt;
use std::time::Duration;

/// For how many threads.
const THREADS: [u64; 4] = [2, 4, 16, 64];

/// The division of each kernel, and what it makes of the whole step.
#[derive(Clone, Debug)]
pub struct Scaling<'a> {
    profile: &'a Profile,
    /// With which the times were measured.
    threads: u64,
}

impl<'a> Scaling<'a> {
    /// From a profile that was measured with so many threads.
    pub fn new(profile: &'a Profile, threads: usize) -> Scaling<'a> {
        Scaling {
            profile,
            threads: threads as u64,
        }
    }

    /// What a kernel would take on one thread, if its tasks are equal and nothing else
    /// stands in the way.
    fn alone(&self, row: &Row) -> Duration {
        row.time.div_f64(largest_share(row, self.threads))
    }

    /// How much faster than one thread the whole step would be: each kernel waits for
    /// the thread with most tasks.
    fn speedup(&self, threads: u64) -> f64 {
        let sum =
            |of: &dyn Fn(&Row) -> Duration| -> Duration { self.profile.rows.iter().map(of).sum() };
        let alone = sum(&|row| self.alone(row));
        let divided = sum(&|row| self.alone(row).mul_f64(largest_share(row, threads)));
        alone.as_secs_f64() / divided.as_secs_f64()
    }
}

impl fmt::Display for Scaling<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shares = THREADS.map(|threads| format!("share of {threads}"));
        let mut columns = vec![
            ("kernel", Align::Left),
            ("1 thread ms", Align::Right),
            ("tasks", Align::Right),
        ];
        columns.extend(shares.iter().map(|share| (share.as_str(), Align::Right)));
        columns.push(("barrier", Align::Left));
        let mut table = Table::new(&columns);
        let barriers = barriers(&self.profile.rows);
        for (row, &barrier) in self.profile.rows.iter().zip(&barriers) {
            let tasks = if row.alone() { 1 } else { row.tasks };
            let mut cells = vec![
                row.kernel.clone(),
                milliseconds(self.alone(row)),
                tasks.to_string(),
            ];
            cells.extend(
                THREADS.map(|threads| format!("{:.1} %", 100.0 * largest_share(row, threads))),
            );
            cells.push(if barrier { "after it" } else { "" }.to_string());
            table.row(cells);
        }
        let mut last = vec![
            "at most times faster".to_string(),
            String::new(),
            String::new(),
        ];
        last.extend(THREADS.map(|threads| format!("{:.1}", self.speedup(threads))));
        let count = barriers.iter().filter(|&&barrier| barrier).count();
        last.push(format!("{count} in all"));
        table.row(last);
        writeln!(f, "{table}\n")?;
        write!(
            f,
            "The share of a kernel is that of the thread with most tasks, before others help it. Where kernels in a row are one\n\
             thread's, there is no barrier between them; else all threads meet, whatever their number.\n\
             The last line leaves out what barriers cost and that threads share caches and memory."
        )
    }
}

/// After which kernels all threads meet.
fn barriers(rows: &[Row]) -> Vec<bool> {
    let next = rows.iter().skip(1).map(Some).chain([None]);
    rows.iter()
        .zip(next)
        // At its end, the whole step is waited for.
        .map(|(row, next)| next.is_none_or(|next| !(row.alone() && next.alone())))
        .collect()
}

/// Of a kernel's tasks, the part that the busiest thread has.
fn largest_share(row: &Row, threads: u64) -> f64 {
    if row.alone() {
        return 1.0;
    }
    row.tasks.div_ceil(threads) as f64 / row.tasks as f64
}

#[cfg(test)]
mod tests {
    use super::super::bandwidth::Bandwidth;
    use super::super::profile::Roofline;
    use super::*;

    fn row(parallel: bool, tasks: u64, ms: u64) -> Row {
        Row {
            kernel: "k".into(),
            origin: String::new(),
            place: String::new(),
            time: Duration::from_millis(ms),
            flop: 0,
            bytes: 0,
            tasks,
            parallel,
        }
    }

    #[test]
    fn the_busiest_thread_decides() {
        assert_eq!(largest_share(&row(true, 6, 1), 4), 2.0 / 6.0);
        assert_eq!(largest_share(&row(true, 6, 1), 64), 1.0 / 6.0);
        assert_eq!(largest_share(&row(false, 6, 1), 4), 1.0);
    }

    #[test]
    fn what_is_serial_limits_the_speedup() {
        // 64 ms that divide by 64, measured with 2 threads, and 1 ms that does not.
        let profile = Profile {
            rows: vec![row(true, 64, 32), row(false, 1, 1)],
            timeline: Vec::new(),
            roofline: Roofline {
                peak: 1.0,
                bandwidth: Bandwidth::flat(1.0),
            },
        };
        let scaling = Scaling::new(&profile, 2);
        assert!((scaling.speedup(1) - 1.0).abs() < 1e-9);
        assert!((scaling.speedup(64) - 65.0 / 2.0).abs() < 1e-6);
    }

    #[test]
    fn kernels_of_one_thread_do_not_meet() {
        let rows = [
            row(true, 4, 1),
            row(false, 4, 1),
            row(true, 1, 1),
            row(true, 4, 1),
        ];
        assert_eq!(barriers(&rows), [true, false, true, true]);
    }
}
