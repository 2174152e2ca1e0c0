//! Where each tensor lies: slots and inputs one after the other, temporaries in an
//! arena whose places they share when they do not live at the same time.

use super::Layout;
use crate::graph::{DType, Slot, SlotKind};
use crate::nest::{Buffer, BufferId, Kernel, Role, Scalar, Stage};
use nnc_runtime::program::{self, Element, Place, Region, SlotBinding, SlotTable};
use std::ops::Range;

/// Tensors start at multiples of that many bytes: a cache line, a vector.
pub const ALIGNMENT: usize = 64;

/// Bytes of an element, whatever its type.
pub const ELEMENT_BYTES: usize = 4;

/// The region of the slots, the same for all programs of a model.
pub fn slot_table(slots: &[Slot]) -> SlotTable {
    let mut table = SlotTable::default();
    for slot in slots {
        table.slots.push(SlotBinding {
            path: slot.path.clone(),
            kind: match slot.kind {
                SlotKind::Param => program::SlotKind::Param,
                SlotKind::State => program::SlotKind::State,
                SlotKind::Optimizer => program::SlotKind::Optimizer,
                SlotKind::Total => program::SlotKind::Total,
            },
            element: match slot.ty.dtype {
                DType::I32 => Element::I32,
                DType::F32 | DType::Bool => Element::F32,
            },
            shape: slot.ty.shape.clone(),
            offset: table.bytes,
        });
        table.bytes += aligned(slot.ty.elements() * ELEMENT_BYTES);
    }
    table
}

/// Whether tensors in the arena take each other's places.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Sharing {
    /// Where they do not live at the same time.
    ByLiveness,
    /// Each has its own.
    Never,
}

/// Where everything lies.
pub struct Memory {
    /// By tensor.
    pub places: Vec<Place>,
    /// Size of the arena.
    pub arena_bytes: usize,
}

/// Places the tensors of kernels that run in this order. What the first `lasting` of them
/// write is needed to the end.
pub fn memory(
    kernels: &[&Kernel],
    buffers: &[Buffer],
    layouts: &[Layout],
    slots: &SlotTable,
    lasting: usize,
    sharing: Sharing,
) -> Memory {
    let mut places = Vec::with_capacity(buffers.len());
    let mut input_bytes = 0;
    for (buffer, layout) in buffers.iter().zip(layouts) {
        let (region, offset) = match buffer.role {
            Role::Slot(id) => (Region::Slots, slots.slots[id.index()].offset),
            Role::Input(_) => {
                input_bytes += aligned(layout.elements * ELEMENT_BYTES);
                let bytes = aligned(layout.elements * ELEMENT_BYTES);
                (Region::Inputs, input_bytes - bytes)
            }
            Role::Temporary | Role::Output => (Region::Arena, 0),
        };
        places.push(Place { region, offset });
    }
    let mut tenants = tenants(kernels, buffers, layouts, lasting);
    // Large ones first: the small ones fit between them.
    tenants.sort_by_key(|tenant| (std::cmp::Reverse(tenant.bytes), tenant.buffer));
    // By their places.
    let mut placed: Vec<(usize, &Tenant)> = Vec::with_capacity(tenants.len());
    for tenant in &tenants {
        let offset = match sharing {
            Sharing::ByLiveness => first_fit(tenant, &placed, layouts),
            Sharing::Never => placed
                .last()
                .map_or(0, |(offset, last)| offset + last.bytes),
        };
        places[tenant.buffer.index()].offset = offset;
        let position = placed.partition_point(|&(other, _)| other <= offset);
        placed.insert(position, (offset, tenant));
    }
    let ends = placed.iter().map(|(offset, tenant)| offset + tenant.bytes);
    Memory {
        places,
        arena_bytes: ends.max().unwrap_or(0),
    }
}

fn aligned(bytes: usize) -> usize {
    bytes.next_multiple_of(ALIGNMENT)
}

/// A tensor in the arena and the time for which it needs its place. Each kernel has
/// two moments: it reads, then it writes.
struct Tenant {
    buffer: BufferId,
    bytes: usize,
    life: Range<usize>,
    /// Nothing but a tensor of equal layout may ever have been in its place: its border
    /// of zeros is written once, before the first step.
    keeps_border: bool,
    /// Tensors whose last reader writes this one, element by element, so that it
    /// may take their place while they are read.
    heir_of: Vec<BufferId>,
}

fn tenants(
    kernels: &[&Kernel],
    buffers: &[Buffer],
    layouts: &[Layout],
    lasting: usize,
) -> Vec<Tenant> {
    let mut lives: Vec<Option<Range<usize>>> = vec![None; buffers.len()];
    for (time, kernel) in kernels.iter().enumerate() {
        let reads = kernel.reads().into_iter().map(|buffer| (buffer, 2 * time));
        let writes = kernel
            .writes()
            .into_iter()
            .map(|buffer| (buffer, 2 * time + 1));
        for (buffer, moment) in reads.chain(writes) {
            let end = match time < lasting {
                true => 2 * kernels.len(),
                false => moment + 1,
            };
            let life = lives[buffer.index()].get_or_insert(moment..end);
            *life = life.start.min(moment)..life.end.max(end);
        }
    }
    let mut tenants = Vec::new();
    for (index, (buffer, layout)) in buffers.iter().zip(layouts).enumerate() {
        let id = BufferId(index as u32);
        let life = match buffer.role {
            Role::Temporary => lives[index].clone(),
            // The caller reads it after the step.
            Role::Output => Some(0..2 * kernels.len() + 1),
            Role::Input(_) | Role::Slot(_) => None,
        };
        let Some(life) = life else { continue };
        let heir_of = match buffer.role {
            Role::Temporary => heritage(kernels[life.start / 2], id, layouts)
                .into_iter()
                .filter(|old| buffers[old.index()].role == Role::Temporary)
                .filter(|old| {
                    lives[old.index()]
                        .as_ref()
                        .is_some_and(|l| l.end == life.start)
                })
                .collect(),
            _ => Vec::new(),
        };
        tenants.push(Tenant {
            buffer: id,
            bytes: aligned(layout.elements * ELEMENT_BYTES),
            life,
            keeps_border: layout.border.iter().any(|&border| border != (0, 0)),
            heir_of,
        });
    }
    tenants
}

/// The tensors that a kernel reads at no other place than where it writes `new`, and
/// not after it has done so.
fn heritage(kernel: &Kernel, new: BufferId, layouts: &[Layout]) -> Vec<BufferId> {
    let mut stores = kernel
        .stages
        .iter()
        .enumerate()
        .filter_map(|(position, stage)| match stage {
            Stage::Store { buffer, at, .. } if *buffer == new => Some((position, at)),
            _ => None,
        });
    let (Some((position, at)), None) = (stores.next(), stores.next()) else {
        return Vec::new();
    };
    let later: Vec<Vec<bool>> = (position + 1..kernel.stages.len())
        .map(|stage| kernel.cone(stage))
        .collect();
    let inherits = |old: &BufferId| {
        let mut loads = kernel
            .scalars
            .iter()
            .enumerate()
            .filter_map(|(id, scalar)| match scalar {
                Scalar::Load { buffer, at, .. } if buffer == old => Some((id, at)),
                _ => None,
            });
        layouts[old.index()] == layouts[new.index()]
            && loads.all(|(id, from)| from == at && later.iter().all(|cone| !cone[id]))
    };
    // A product reads its operands in an order of its own.
    match kernel.is_product() || kernel.instead.is_some() {
        true => Vec::new(),
        false => kernel.reads().into_iter().filter(inherits).collect(),
    }
}

/// The lowest place that is free for the whole life of a tensor: the first gap between
/// those that it has to stay clear of, or the place of one that it may take. Those placed
/// already come in the order of their places.
fn first_fit(tenant: &Tenant, placed: &[(usize, &Tenant)], layouts: &[Layout]) -> usize {
    let conflicts: Vec<Conflict> = placed
        .iter()
        .filter_map(|&(offset, other)| conflict(tenant, offset, other, layouts))
        .collect();
    let starts = |group: Option<&[Conflict]>| group.map(|group| group[0].space.start);
    let mut groups = conflicts
        .chunk_by(|one, next| one.space.start == next.space.start)
        .peekable();
    // All conflicts so far end here.
    let mut end = 0;
    while let Some(group) = groups.next() {
        let start = group[0].space.start;
        if end + tenant.bytes <= start {
            return end;
        }
        let next = starts(groups.peek().copied());
        let may_coincide = group.iter().all(|conflict| conflict.may_coincide);
        if may_coincide && end <= start && next.is_none_or(|next| start + tenant.bytes <= next) {
            return start;
        }
        let ends = group.iter().map(|conflict| conflict.space.end);
        end = ends.fold(end, usize::max);
    }
    end
}

/// Memory that a tensor has to stay clear of.
struct Conflict {
    space: Range<usize>,
    /// Whether it may be exactly there, though.
    may_coincide: bool,
}

fn conflict(
    tenant: &Tenant,
    offset: usize,
    other: &Tenant,
    layouts: &[Layout],
) -> Option<Conflict> {
    let at_once = tenant.life.start < other.life.end && other.life.start < tenant.life.end;
    let borders = tenant.keeps_border || other.keeps_border;
    // A life ends with the moment of reading, and an heir's begins with the writing
    // after it; all others begin while their kernel reads.
    let meets = touches(tenant, other) || touches(other, tenant);
    if !at_once && !meets && !borders {
        return None;
    }
    Some(Conflict {
        space: offset..offset + other.bytes,
        may_coincide: match (at_once, meets) {
            (true, _) => false,
            (false, true) => {
                tenant.heir_of.contains(&other.buffer) || other.heir_of.contains(&tenant.buffer)
            }
            (false, false) => layouts[tenant.buffer.index()] == layouts[other.buffer.index()],
        },
    })
}

/// Whether `new` is written by a kernel that reads `old` as the last one.
fn touches(old: &Tenant, new: &Tenant) -> bool {
    old.life.end == new.life.start && new.life.start % 2 == 1
}
