//! The gradient of a scan, and the scan itself, equal those of its unrolling.
#![allow(clippy::unwrap_used)]

use super::differentiate;
use crate::eval::eval;
use crate::graph::{Step, verify};
use crate::ops::Precision;
use crate::testing::{Numbers, recurrences, unrolled};

#[test]
fn scans_equal_their_unrolling() {
    for seed in 0..40 {
        for (what, step) in recurrences(seed) {
            let plain = unrolled(&step);
            verify(&plain, "the test");
            let inputs = step
                .inputs
                .iter()
                .map(|input| Numbers(seed + 7).f32(&input.ty.shape, -1.0, 1.0));
            let inputs: Vec<_> = inputs.collect();
            let run = |step: &Step| {
                let step = differentiate(step);
                verify(&step, "differentiate");
                eval(&step, &inputs, &[], Precision::F64)
            };
            let (scanned, plain) = (run(&step), run(&plain));
            for ((name, a), (_, b)) in scanned.outputs.iter().zip(&plain.outputs) {
                for (a, b) in a.elements.iter().zip(&b.elements) {
                    let close = (a - b).abs() <= 1e-9 * (1.0 + b.abs());
                    assert!(close, "{what}, seed {seed}: {name} is {a}, not {b}\n{step}");
                }
            }
        }
    }
}
