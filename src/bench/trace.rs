//! A step as a Chrome trace, which the Performance panel of Chrome's developer tools, Perfetto and
//! speedscope show: a row for each thread. What lies between two kernels of a thread is waiting for the others.

use super::profile::Profile;
use serde_json::{Value, json};
use std::time::Duration;

/// The step that was traced; `net` names it.
pub fn trace(profile: &Profile, net: &str) -> String {
    let mut events = vec![json!({
        "name": "process_name", "ph": "M", "pid": 1, "args": { "name": net },
    })];
    for (thread, line) in profile.timeline.iter().enumerate() {
        events.push(json!({
            "name": "thread_name", "ph": "M", "pid": 1, "tid": thread,
            "args": { "name": format!("thread {thread}") },
        }));
        events.extend(line.iter().map(|busy| {
            let row = &profile.rows[busy.launch];
            json!({
                "name": row.kernel,
                "cat": row.origin,
                "ph": "X",
                "pid": 1,
                "tid": thread,
                "ts": in_us(busy.begun),
                "dur": in_us(busy.ended - busy.begun),
                "args": {
                    "from": row.place,
                    "flop": row.flop,
                    "bytes": row.bytes,
                    "tasks": row.tasks,
                },
            })
        }));
    }
    let events: Vec<Value> = events;
    json!({ "traceEvents": events, "displayTimeUnit": "ns" }).to_string()
}

fn in_us(time: Duration) -> f64 {
    time.as_nanos() as f64 / 1e3
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::bandwidth::Bandwidth;
    use super::super::profile::{Roofline, Row};
    use super::*;
    use nnc_runtime::Busy;

    #[test]
    fn every_thread_is_a_row_and_every_share_an_event() {
        let busy = |launch, begun, ended| Busy {
            launch,
            begun: Duration::from_micros(begun),
            ended: Duration::from_micros(ended),
        };
        let profile = Profile {
            rows: vec![Row {
                kernel: "k0_contract".into(),
                origin: "net/dense_1".into(),
                place: "net.nn:3".into(),
                time: Duration::from_micros(7),
                flop: 5,
                bytes: 6,
                tasks: 2,
                parallel: true,
            }],
            timeline: vec![vec![busy(0, 0, 7)], vec![busy(0, 1, 6)]],
            roofline: Roofline {
                peak: 1.0,
                bandwidth: Bandwidth::flat(1.0),
            },
        };
        let trace: Value = serde_json::from_str(&trace(&profile, "net")).unwrap();
        let events = trace["traceEvents"].as_array().unwrap();
        let kernels: Vec<&Value> = events.iter().filter(|event| event["ph"] == "X").collect();
        assert_eq!(kernels.len(), 2);
        assert_eq!(
            (&kernels[1]["tid"], &kernels[1]["ts"]),
            (&json!(1), &json!(1.0))
        );
        assert_eq!(kernels[1]["dur"], json!(5.0));
        assert_eq!(kernels[0]["args"]["from"], "net.nn:3");
        let names = events.iter().filter(|event| event["name"] == "thread_name");
        assert_eq!(names.count(), 2);
    }
}
