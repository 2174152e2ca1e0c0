//! Which kernels are equal, so that each is planned once: the numbers of their tensors,
//! their names and their origins make no difference to how they run.

use super::Layout;
use crate::graph::{InputId, Origin, SlotId};
use crate::nest::{Buffer, BufferId, Kernel, Role, hash_bits, same_bits};
use rustc_hash::FxHashMap;
use std::hash::{Hash, Hasher};

/// A kernel by itself: its tensors are numbered in the order of its arguments, and it has
/// no name. It equals another when all bits of its constants do.
#[derive(Clone, Debug)]
pub struct Alone {
    /// What to compute.
    pub kernel: Kernel,
    /// Its tensors; of slots and inputs it is not told which.
    pub buffers: Vec<Buffer>,
    /// How they lie.
    pub layouts: Vec<Layout>,
}

impl Alone {
    /// A kernel without its surroundings.
    pub fn new(kernel: &Kernel, all: &[Buffer], all_layouts: &[Layout]) -> Alone {
        let arguments = kernel.arguments();
        let buffers = arguments.iter().map(|id| {
            let buffer = &all[id.index()];
            Buffer {
                role: anonymous(buffer.role),
                ..buffer.clone()
            }
        });
        let buffers = buffers.collect();
        let layouts = arguments.iter().map(|id| all_layouts[id.index()].clone());
        let layouts = layouts.collect();
        let numbered = arguments.into_iter().zip((0..).map(BufferId));
        let number: FxHashMap<BufferId, BufferId> = numbered.collect();
        let mut kernel = Kernel {
            name: String::new(),
            origin: Origin::default(),
            ..kernel.clone()
        };
        kernel.map_buffers(|buffer| number[&buffer]);
        Alone {
            kernel,
            buffers,
            layouts,
        }
    }
}

fn anonymous(role: Role) -> Role {
    match role {
        Role::Input(_) => Role::Input(InputId(0)),
        Role::Slot(_) => Role::Slot(SlotId(0)),
        Role::Temporary | Role::Output => role,
    }
}

impl PartialEq for Alone {
    fn eq(&self, other: &Alone) -> bool {
        let (a, b) = (&self.kernel, &other.kernel);
        let same_scalars = a.scalars.len() == b.scalars.len()
            && a.scalars
                .iter()
                .zip(&b.scalars)
                .all(|(a, b)| same_bits(a, b));
        same_scalars
            && (&a.dims, a.outer, &a.stages) == (&b.dims, b.outer, &b.stages)
            && a.rows() == b.rows()
            && (&self.buffers, &self.layouts) == (&other.buffers, &other.layouts)
    }
}

impl Eq for Alone {}

impl Hash for Alone {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let kernel = &self.kernel;
        (&kernel.dims, kernel.outer, &kernel.stages, kernel.rows()).hash(state);
        (&self.buffers, &self.layouts).hash(state);
        for scalar in &kernel.scalars {
            hash_bits(scalar, state);
        }
    }
}

/// The kernels that differ, in the order in which they first occur, and for each kernel
/// which of them it is.
pub fn distinct(kernels: impl Iterator<Item = Alone>) -> (Vec<Alone>, Vec<usize>) {
    let mut known: FxHashMap<Alone, usize> = FxHashMap::default();
    let which = kernels.map(|kernel| {
        let next = known.len();
        *known.entry(kernel).or_insert(next)
    });
    let which: Vec<usize> = which.collect();
    let mut distinct: Vec<(Alone, usize)> = known.into_iter().collect();
    distinct.sort_unstable_by_key(|&(_, number)| number);
    let distinct = distinct.into_iter().map(|(kernel, _)| kernel);
    (distinct.collect(), which)
}
