//! Rates of whole contractions, one thread. Ignored by default: a measurement, no test.
//! `cargo test --release -p nnc-compiler rates -- --ignored --nocapture`
#![allow(clippy::print_stderr)]

use std::time::Instant;

use super::cases::{Case, Conv, product};
use super::run::Loaded;
use crate::emit::{self, Machine, contraction};
use crate::peak::Peak;
use crate::schedule::tiles::{Often, TiledStep, plan};
use crate::schedule::{Layout, PlacedBuffer, loops};
use crate::target::{Isa, Target};
use nnc_runtime::program::{Place, Region};

#[test]
#[ignore = "a measurement"]
fn rates() {
    let conv = |b, c, k, size| Conv {
        b,
        c,
        h: size,
        w: size,
        k,
        kernel: 3,
        stride: 1,
        padding: 1,
    };
    let (first, second) = (conv(64, 1, 32, 28), conv(64, 32, 64, 28));
    let cases: Vec<(&str, Case)> = vec![
        ("512 x 512 x 512", product(512, 512, 512)),
        ("14 x 32 x 256", product(14, 32, 256)),
        ("conv1 forward", first.forward()),
        ("conv1 weights", first.backward_weights()),
        ("conv2 forward", second.forward()),
        ("conv2 data", second.backward_data()),
        ("conv2 weights", second.backward_weights()),
        ("dense 64 x 128 x 12544", product(64, 128, 12544)),
        ("dense 32 x 128 x 784", product(32, 128, 784)),
        ("dense 64 x 10 x 128", product(64, 10, 128)),
        ("dense data", transposed(product(64, 12544, 128))),
        ("dense weights", product(12544, 128, 64)),
    ];
    let only = std::env::var("ONLY").unwrap_or_default();
    for isa in Isa::ALL {
        if !only.is_empty() && !only.contains(&isa.to_string()) {
            continue;
        }
        for (name, case) in &cases {
            measure(name, case, isa);
        }
        let peak = Peak::new(&Target::host_with(isa));
        let seconds = least_seconds(4, &mut |_| peak.run(1));
        let rate = 4.0 * peak.flop_per_task as f64 / seconds * 1e-9;
        eprintln!("{isa:9} peak {rate:.1} GFLOP/s");
    }
}

/// With the second operand stored the other way round.
fn transposed(mut case: Case) -> Case {
    let extents = case.layouts[1].extents.clone();
    case.layouts[1] = Layout::new(extents, vec![1, 0], vec![(0, 0); 2]);
    case
}

/// Elements in a cache line, on which tensors start.
const LINE: usize = 16;

fn measure(name: &str, case: &Case, isa: Isa) {
    let target = Target::host_with(isa);
    let Some(tiled) = plan(
        &case.kernel,
        &case.buffers,
        &case.layouts,
        &target,
        Often::Once,
    ) else {
        eprintln!("{name:24} not tiled");
        return;
    };
    let added = tiled.buffers.iter().map(|(_, layout)| layout);
    let mut memory: Vec<Vec<u32>> = case
        .layouts
        .iter()
        .chain(added)
        .map(|layout| vec![0; layout.elements + LINE])
        .collect();
    let placed: Vec<PlacedBuffer> = case
        .buffers
        .iter()
        .zip(&case.layouts)
        .chain(
            tiled
                .buffers
                .iter()
                .map(|(buffer, layout)| (buffer, layout)),
        )
        .map(|(buffer, layout)| PlacedBuffer {
            buffer: buffer.clone(),
            layout: layout.clone(),
            place: Place {
                region: Region::Arena,
                offset: 0,
            },
        })
        .collect();
    for step in &tiled.steps {
        let start = Instant::now();
        let config = Machine::new(&target).isa().frontend_config();
        let (kernel, tasks, unit, plan) = match step {
            TiledStep::Tiles(kernel, plan) => {
                let unit = contraction(plan, "contraction", config);
                (kernel, plan.tasks() as u64, unit, plan.to_string())
            }
            TiledStep::Loops(kernel) => {
                let plan = loops::plan(kernel, &placed, target.isa);
                let unit = emit::loop_nest(&plan, "loops", config);
                (kernel, plan.tasks.count, unit, kernel.name.clone())
            }
        };
        let loaded = Loaded::new(unit, &target);
        let compiling = start.elapsed();
        let arguments: Vec<*mut u8> = kernel
            .arguments()
            .iter()
            .map(|buffer| {
                let memory = &mut memory[buffer.index()];
                let skipped = memory.as_ptr().align_offset(LINE * 4);
                memory[skipped..].as_mut_ptr().cast()
            })
            .collect();
        let flop = 2.0 * kernel.dims.iter().product::<usize>() as f64;
        let best = least_seconds(tasks, &mut |task| loaded.run(&arguments, task, task + 1));
        eprintln!(
            "{name:24} {:7.1} GFLOP/s {:9.1} us; {plan}; {} bytes in {compiling:.1?}",
            flop / best * 1e-9,
            best * 1e6,
            loaded.bytes,
        );
    }
}

/// The sum of the least times that the tasks took, in seconds: interruptions of the
/// process are shorter than a run of them all, so that few tasks suffer every time.
fn least_seconds(tasks: u64, run: &mut dyn FnMut(u64)) -> f64 {
    let mut least = vec![f64::INFINITY; tasks as usize];
    let begun = Instant::now();
    let mut rounds = 0;
    while rounds < 5 || begun.elapsed().as_secs_f64() < 0.3 {
        for (task, least) in (0..).zip(&mut least) {
            let start = Instant::now();
            run(task);
            *least = least.min(start.elapsed().as_secs_f64());
        }
        rounds += 1;
    }
    least.iter().sum()
}
