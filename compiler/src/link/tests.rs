#![allow(clippy::unwrap_used)]
use super::link;
use crate::emit::{Machine, asm, clif, emit};
use crate::graph::{self, DType, InputId, Origin, Type};
use crate::index::IndexExpr;
use crate::nest::{BinaryOp, Buffer, BufferId, Kernel, Role, Scalar, ScalarPool, Stage};
use crate::schedule::{Layout, PlacedBuffer, Plan, PlannedKernel, Schedule, loops};
use crate::target::{Isa, Target};
use nnc_runtime::program::{InputKind, Place, Region};
use std::sync::Arc;

const N: usize = 50;

/// `y = x * x; z = y * y`, with `x` an input and `z` an output.
fn schedule() -> Schedule {
    let buffer = |role, region, offset| PlacedBuffer {
        buffer: Buffer {
            dtype: DType::F32,
            extents: vec![N],
            role,
        },
        layout: Layout::row_major(vec![N]),
        place: Place { region, offset },
    };
    let buffers = vec![
        buffer(Role::Input(InputId(0)), Region::Inputs, 64),
        buffer(Role::Temporary, Region::Arena, 0),
        buffer(Role::Output, Region::Arena, 256),
    ];
    let kernels = [("square", 0, 1), ("again", 1, 2)].map(|(name, from, to)| {
        let kernel = square(name, BufferId(from), BufferId(to));
        let plan = Arc::new(Plan::Loops(loops::plan(&kernel, &buffers, Isa::Portable)));
        PlannedKernel { kernel, plan }
    });
    Schedule {
        kernels: kernels.into(),
        outputs: vec![("z".to_owned(), BufferId(2))],
        arena_bytes: 512,
        buffers,
    }
}

fn square(name: &str, from: BufferId, to: BufferId) -> Kernel {
    let mut pool = ScalarPool::default();
    let at = vec![IndexExpr::dim(0)];
    let fill = None;
    let x = pool.add(Scalar::Load {
        buffer: from,
        at: at.clone(),
        fill,
    });
    let value = pool.binary(BinaryOp::Mul, x, x);
    Kernel {
        name: name.to_owned(),
        dims: vec![N],
        outer: 1,
        scalars: pool.finish(),
        stages: vec![Stage::Store {
            over: Vec::new(),
            buffer: to,
            at,
            value,
        }],
        origin: Origin {
            span: None,
            path: "net".to_owned(),
        },
        instead: None,
    }
}

#[test]
fn equal_kernels_share_their_code_and_keep_their_places() {
    let schedule = schedule();
    let machine = Machine::new(&Target::host());
    let emitted = emit(&schedule, machine.config());
    assert_eq!((emitted.units.len(), &emitted.of_kernel), (1, &vec![0, 0]));
    assert!(clif(&emitted.units[0]).contains("fmul"));

    let units = machine.compile(emitted.units.clone());
    assert!(asm(&units[0]).starts_with("; square\n"));
    let input = graph::Input {
        kind: graph::InputKind::Field("x".to_owned()),
        ty: Type::f32([N]),
    };
    let program = link("test", &schedule, &[input], &emitted, &units, &machine);
    assert_eq!(program.input_bytes, 64 + N * 4);
    assert_eq!(program.inputs[0].kind, InputKind::Field("x".to_owned()));
    assert_eq!(program.outputs[0].place.offset, 256);

    let mut inputs = vec![0f32; program.input_bytes / 4];
    for (i, x) in inputs[16..].iter_mut().enumerate() {
        *x = i as f32;
    }
    let mut arena = vec![0f32; program.arena_bytes / 4];
    for launch in &program.launches {
        let address = |place: &Place| match place.region {
            Region::Inputs => inputs.as_mut_ptr().wrapping_byte_add(place.offset).cast(),
            _ => arena.as_mut_ptr().wrapping_byte_add(place.offset).cast(),
        };
        let args: Vec<*mut u8> = launch.args.iter().map(address).collect();
        // SAFETY: the program's code is alive, and its regions are as large as it says.
        unsafe { (launch.kernel)(args.as_ptr(), 0, launch.tasks) };
    }
    for (i, &z) in arena[64..64 + N].iter().enumerate() {
        assert_eq!(z, (i as f32).powi(4));
    }
}
