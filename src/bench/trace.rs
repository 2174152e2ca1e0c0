//! A profile in the form of Chrome's trace viewer (`chrome://tracing`, Perfetto).

use super::profile::Profile;
use serde_json::{Value, json};
use std::time::Duration;

/// The kernels of one step, one after the other.
pub fn trace(profile: &Profile) -> String {
    let mut at = Duration::ZERO;
    let events = profile.rows.iter().map(|row| {
        let begun = at;
        at += row.time;
        json!({
            "name": row.kernel,
            "cat": row.origin,
            "ph": "X",
            "pid": 1,
            "tid": 1,
            "ts": in_us(begun),
            "dur": in_us(row.time),
            "args": { "flop": row.flop, "bytes": row.bytes, "tasks": row.tasks, "from": row.origin },
        })
    });
    let events: Vec<Value> = events.collect();
    json!({ "traceEvents": events, "displayTimeUnit": "ns" }).to_string()
}

fn in_us(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}
