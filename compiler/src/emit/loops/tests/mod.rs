#![allow(clippy::unwrap_used)]
//! Compiled kernels against the interpreter: whole kernels by hand, then random ones.
//! Sums are of small integers, so that the order of additions shows in no bit.

mod by_hand;
mod random;
mod wide;

use crate::emit::{Body, CodeUnit, Machine, loop_nest};
use crate::graph::{DType, Origin};
use crate::link::load;
use crate::nest::{
    Buffer, BufferId, Elements, Kernel, Role, ScalarPool, Stage, Value, interpret_kernel,
    unwritten, verify_kernel,
};
use crate::schedule::loops::plan;
use crate::schedule::{Layout, PlacedBuffer};
use crate::target::{Isa, Target};
use cranelift_codegen::Context;
use cranelift_codegen::control::ControlPlane;
use cranelift_codegen::isa::lookup_by_name;
use cranelift_codegen::settings;
use nnc_runtime::program::{Place, Region};

/// A kernel with its tensors.
struct Case {
    kernel: Kernel,
    buffers: Vec<PlacedBuffer>,
}

impl Case {
    fn new(
        dims: &[usize],
        outer: usize,
        pool: ScalarPool,
        stages: Vec<Stage>,
        buffers: Vec<PlacedBuffer>,
    ) -> Case {
        let kernel = Kernel {
            name: "case".to_owned(),
            dims: dims.to_vec(),
            outer,
            scalars: pool.finish(),
            stages,
            origin: Origin {
                span: None,
                path: String::new(),
            },
            instead: None,
        };
        Case { kernel, buffers }
    }

    fn logical(&self) -> Vec<Buffer> {
        self.buffers
            .iter()
            .map(|placed| placed.buffer.clone())
            .collect()
    }

    /// Runs it compiled, divided in several ways, and interpreted, and compares all bits.
    fn check(&self) {
        let logical = self.logical();
        verify_kernel(&self.kernel, &logical).unwrap();
        let before = self.inputs();
        let mut expected = before.clone();
        interpret_kernel(&self.kernel, &logical, &mut expected);

        for target in targets() {
            let plan = plan(&self.kernel, &self.buffers, target.isa);
            let machine = Machine::new(&target);
            let unit = loop_nest(&plan, &self.kernel.name, machine.config());
            compile_for_aarch64(&unit);
            let units = machine.compile(vec![unit]);
            let (_code, entries) = load(&machine, &units);
            for division in divisions(plan.tasks.count) {
                let mut memory = Memory::new(&self.buffers, &before);
                let args = self.kernel.arguments();
                let args: Vec<*mut u8> = args.iter().map(|arg| memory.address(*arg)).collect();
                for (begin, end) in division {
                    // SAFETY: the arguments are the kernel's tensors, each as large as its layout.
                    unsafe { entries[0](args.as_ptr(), begin, end) };
                }
                memory.compare(&self.buffers, &expected, &format!("{plan}"));
            }
        }
    }

    /// Runs it with each tensor at the start of a page behind one that nobody may touch.
    #[cfg(unix)]
    fn run_behind_closed_pages(&self) {
        for target in targets() {
            let plan = plan(&self.kernel, &self.buffers, target.isa);
            let machine = Machine::new(&target);
            let unit = loop_nest(&plan, &self.kernel.name, machine.config());
            let (_code, entries) = load(&machine, &machine.compile(vec![unit]));
            let args = self.kernel.arguments();
            let args: Vec<*mut u8> = args
                .iter()
                .map(|arg| behind_a_closed_page(self.buffers[arg.index()].layout.elements * 4))
                .collect();
            // SAFETY: the arguments are the kernel's tensors, each as large as its layout.
            unsafe { entries[0](args.as_ptr(), 0, plan.tasks.count) };
        }
    }

    /// What is read is small integers, some negative; the rest nobody has written.
    fn inputs(&self) -> Vec<Elements> {
        let reads = self.kernel.reads();
        self.buffers
            .iter()
            .enumerate()
            .map(|(id, placed)| {
                let mut elements = unwritten(&placed.buffer);
                if reads.contains(&BufferId(id as u32)) {
                    for (i, element) in elements.iter_mut().enumerate() {
                        let number = ((i * 7 + id * 3 + i / 5) % 11) as i32 - 5;
                        *element = Some(match placed.buffer.dtype {
                            DType::I32 => Value::I32(number),
                            _ => Value::F32(number as f32),
                        });
                    }
                }
                elements
            })
            .collect()
    }
}

/// This machine with vectors of each width, and one of its kind without AVX and fused
/// multiply-add.
fn targets() -> Vec<Target> {
    let mut targets: Vec<Target> = Isa::ALL.map(Target::host_with).to_vec();
    targets.dedup();
    let mut old = Target::host_with(Isa::Portable);
    old.features.retain(|feature| feature.contains("sse"));
    if !targets.contains(&old) {
        targets.push(old);
    }
    targets
}

/// All tasks at once, one by one from the last, and two halves, the second first.
fn divisions(count: u64) -> [Vec<(u64, u64)>; 3] {
    [
        vec![(0, count)],
        (0..count).rev().map(|task| (task, task + 1)).collect(),
        vec![(0, 0), (count / 2, count), (0, count / 2)],
    ]
}

/// Nothing is special to the machine that the tests run on.
fn compile_for_aarch64(unit: &CodeUnit) {
    let flags = settings::Flags::new(settings::builder());
    let isa = lookup_by_name("aarch64-unknown-linux-gnu")
        .unwrap()
        .finish(flags)
        .unwrap();
    for function in &unit.functions {
        let Body::Clif(clif, _) = &function.body else {
            continue;
        };
        let mut context = Context::for_function((**clif).clone());
        context
            .compile(&*isa, &mut ControlPlane::default())
            .unwrap();
    }
}

/// Zeros behind a page that cannot be read; they stay until the test's process ends.
#[cfg(unix)]
fn behind_a_closed_page(bytes: usize) -> *mut u8 {
    const PAGE: usize = 1 << 16;
    // SAFETY: new memory of its own, the part of which that is given away stays open.
    unsafe {
        let start = libc::mmap(
            std::ptr::null_mut(),
            PAGE + bytes,
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_PRIVATE | libc::MAP_ANON,
            -1,
            0,
        );
        assert_ne!(start, libc::MAP_FAILED);
        assert_eq!(libc::mprotect(start, PAGE, libc::PROT_NONE), 0);
        start.cast::<u8>().add(PAGE)
    }
}

/// Words around each tensor that no kernel may touch.
const FENCE: usize = 64;
const UNTOUCHED: u32 = 0x7fc0_dead;

/// The memory of each tensor, as laid out, between fences.
struct Memory(Vec<Vec<u32>>);

impl Memory {
    fn new(buffers: &[PlacedBuffer], elements: &[Elements]) -> Memory {
        let tensors = buffers.iter().zip(elements).map(|(placed, elements)| {
            let layout = &placed.layout;
            let mut words = vec![UNTOUCHED; layout.elements + 2 * FENCE];
            words[FENCE..FENCE + layout.elements].fill(0);
            for (i, element) in elements.iter().enumerate() {
                words[FENCE + offset(layout, i)] = match element {
                    None => UNTOUCHED,
                    Some(value) => bits(*value),
                };
            }
            words
        });
        Memory(tensors.collect())
    }

    fn address(&mut self, buffer: BufferId) -> *mut u8 {
        self.0[buffer.index()][FENCE..].as_mut_ptr().cast()
    }

    fn compare(&self, buffers: &[PlacedBuffer], expected: &[Elements], what: &str) {
        for (id, placed) in buffers.iter().enumerate() {
            let mut wanted = Memory::new(&buffers[id..=id], &expected[id..=id])
                .0
                .remove(0);
            for (i, element) in expected[id].iter().enumerate() {
                let at = FENCE + offset(&placed.layout, i);
                let found = f32::from_bits(self.0[id][at]);
                if matches!(element, Some(Value::F32(x)) if x.is_nan() && found.is_nan()) {
                    wanted[at] = self.0[id][at];
                }
            }
            let wrong = (0..wanted.len()).find(|&i| wanted[i] != self.0[id][i]);
            if let Some(i) = wrong {
                panic!(
                    "{what}\nb{id} word {} of {:?}: {} instead of {}",
                    i as i64 - FENCE as i64,
                    placed.layout,
                    f32::from_bits(self.0[id][i]),
                    f32::from_bits(wanted[i]),
                );
            }
        }
    }
}

/// Where the element with a row-major index lies.
fn offset(layout: &Layout, mut index: usize) -> usize {
    let mut offset = layout.base;
    for axis in (0..layout.extents.len()).rev() {
        offset += index % layout.extents[axis] * layout.strides[axis];
        index /= layout.extents[axis];
    }
    offset
}

fn bits(value: Value) -> u32 {
    match value {
        Value::F32(x) => x.to_bits(),
        Value::I32(x) => x.cast_unsigned(),
        Value::Mask(_) => unreachable!("masks are never stored"),
    }
}

fn placed(dtype: DType, layout: Layout) -> PlacedBuffer {
    PlacedBuffer {
        buffer: Buffer {
            dtype,
            extents: layout.extents.clone(),
            role: Role::Temporary,
        },
        layout,
        place: Place {
            region: Region::Arena,
            offset: 0,
        },
    }
}

fn f32s(extents: &[usize]) -> PlacedBuffer {
    placed(DType::F32, Layout::row_major(extents.to_vec()))
}
