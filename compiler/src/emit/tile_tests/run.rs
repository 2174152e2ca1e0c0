//! Cases run by the interpreter and as compiled tiles.

use std::any::Any;
use std::sync::Arc;

use super::cases::Case;
use crate::emit::{CodeUnit, Machine, contraction};
use crate::graph::DType;
use crate::link;
use crate::nest::{Buffer, Elements, Value, interpret_kernel, unwritten};
use crate::schedule::Layout;
use crate::schedule::tiles::{Often, TiledStep, plan};
use crate::target::Target;
use nnc_runtime::program::KernelFn;

/// The elements of all tensors, row-major.
pub type Memory = Vec<Elements>;

/// Small whole numbers: their sums and products are exact in any order.
pub fn operands(case: &Case) -> Memory {
    let mut state = 1u32;
    let written = case.kernel.writes();
    let read = case.kernel.reads();
    let mut memory = Memory::new();
    for (id, buffer) in case.ids().zip(&case.buffers) {
        if written.contains(&id) && !read.contains(&id) {
            memory.push(unwritten(buffer));
            continue;
        }
        let numbers = (0..buffer.extents.iter().product()).map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let number = (state >> 16) as i32 % 9 - 4;
            Some(match buffer.dtype {
                DType::F32 => Value::F32(number as f32),
                _ => Value::I32(number),
            })
        });
        memory.push(numbers.collect());
    }
    memory
}

/// What the kernel's definition says.
pub fn interpreted(case: &Case, mut memory: Memory) -> Memory {
    interpret_kernel(&case.kernel, &case.buffers, &mut memory);
    memory
}

/// What compiled tiles make of it, if it can be tiled: their tasks handed out in so many pieces, the last
/// first; loop nests before and behind them are interpreted.
pub fn compiled(case: &Case, target: &Target, mut memory: Memory, pieces: u64) -> Option<Memory> {
    let tiled = plan(
        &case.kernel,
        &case.buffers,
        &case.layouts,
        target,
        Often::Once,
    )?;
    let mut case = case.clone();
    for (buffer, layout) in tiled.buffers {
        memory.push(unwritten(&buffer));
        case.buffers.push(buffer);
        case.layouts.push(layout);
    }
    for step in tiled.steps {
        match step {
            TiledStep::Loops(kernel) => interpret_kernel(&kernel, &case.buffers, &mut memory),
            TiledStep::Tiles(kernel, plan) => {
                let config = Machine::new(target).isa().frontend_config();
                let loaded = Loaded::new(contraction(&plan, "contraction", config), target);
                let mut lying: Vec<Vec<u32>> = case
                    .buffers
                    .iter()
                    .zip(&case.layouts)
                    .zip(&memory)
                    .map(|((buffer, layout), elements)| lay(buffer, layout, elements))
                    .collect();
                let arguments: Vec<*mut u8> = kernel
                    .arguments()
                    .iter()
                    .map(|buffer| lying[buffer.index()].as_mut_ptr().cast())
                    .collect();
                let tasks = plan.tasks() as u64;
                let bound = |piece: u64| tasks * piece / pieces;
                for piece in (0..pieces).rev() {
                    loaded.run(&arguments, bound(piece), bound(piece + 1));
                }
                for id in kernel.writes() {
                    let id = id.index();
                    memory[id] = pick(&case.buffers[id], &case.layouts[id], &lying[id]);
                }
            }
        }
    }
    Some(memory)
}

/// A kernel in executable memory.
pub struct Loaded {
    entry: KernelFn,
    _code: Arc<dyn Any + Send + Sync>,
    /// Of machine code, constants included.
    pub bytes: usize,
}

impl Loaded {
    pub fn new(unit: CodeUnit, target: &Target) -> Loaded {
        let machine = Machine::new(target);
        let units = machine.compile(vec![unit]);
        let bytes = units[0].iter().map(|function| function.bytes.len()).sum();
        let (code, entries) = link::load(&machine, &units);
        Loaded {
            entry: entries[0],
            _code: code,
            bytes,
        }
    }

    /// Runs tasks `begin..end` on these arguments.
    pub fn run(&self, arguments: &[*mut u8], begin: u64, end: u64) {
        // SAFETY: the arguments are as large as the layouts that the code was made for.
        unsafe { (self.entry)(arguments.as_ptr(), begin, end) }
    }
}

/// What an element that nobody wrote holds: it shows where it is used.
const UNWRITTEN: u32 = 0x7fc0_dead;

/// Elements as a layout wants them, zeros in the borders.
fn lay(buffer: &Buffer, layout: &Layout, elements: &Elements) -> Vec<u32> {
    let mut lying = vec![0; layout.elements];
    for (place, element) in places(buffer, layout).zip(elements) {
        lying[place] = match *element {
            None => UNWRITTEN,
            Some(Value::F32(x)) => x.to_bits(),
            Some(Value::I32(x)) => x as u32,
            Some(Value::Mask(_)) => panic!("a mask in memory"),
        };
    }
    lying
}

fn pick(buffer: &Buffer, layout: &Layout, lying: &[u32]) -> Elements {
    let mut rest = lying.to_vec();
    let elements = places(buffer, layout)
        .map(|place| {
            let bits = std::mem::take(&mut rest[place]);
            Some(match buffer.dtype {
                DType::F32 => Value::F32(f32::from_bits(bits)),
                _ => Value::I32(bits as i32),
            })
        })
        .collect();
    assert!(rest.iter().all(|&bits| bits == 0), "borders stay zero");
    elements
}

/// Where each element lies, in row-major order.
fn places(buffer: &Buffer, layout: &Layout) -> impl Iterator<Item = usize> + use<> {
    let (extents, layout) = (buffer.extents.clone(), layout.clone());
    (0..extents.iter().product()).map(move |mut number: usize| {
        let mut place = layout.base;
        for axis in (0..extents.len()).rev() {
            place += number % extents[axis] * layout.strides[axis];
            number /= extents[axis];
        }
        place
    })
}
