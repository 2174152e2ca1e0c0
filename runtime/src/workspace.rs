//! The memory that programs work on: the slots they share, and for each loaded
//! program its arena, its inputs, and its places resolved to addresses.

use crate::denormals::FlushToZero;
use crate::error::Result;
use crate::memory::{self, Region};
use crate::pool::{Crew, Worker};
use crate::program::{
    Element, InputBinding, InputKind, KernelFn, Place, Program, Region as Lifetime, SlotBinding,
    SlotKind, SlotTable,
};
use crate::shares::{MOST_TASKS, Parity};
use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;

/// A program that a [`Workspace`] holds.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Handle(usize);

/// Slots, and programs bound to them.
#[derive(Debug)]
pub struct Workspace {
    table: SlotTable,
    slots: Region,
    programs: Vec<Option<Bound>>,
}

impl Workspace {
    /// Allocates the slots, all zero.
    pub fn new(table: SlotTable) -> Result<Workspace> {
        for slot in &table.slots {
            let end = slot.offset + slot.elements() * BYTES;
            assert!(end <= table.bytes, "runtime: slot {} sticks out", slot.path);
        }
        let slots = Region::zeroed(table.bytes, "the model")?;
        Ok(Workspace {
            table,
            slots,
            programs: Vec::new(),
        })
    }

    /// Allocates a program's memory and resolves its places.
    pub fn load(&mut self, program: Arc<Program>) -> Result<Handle> {
        let bound = Bound::new(program, &self.slots)?;
        self.programs.push(Some(bound));
        Ok(Handle(self.programs.len() - 1))
    }

    /// Exchanges a program's arena for a new one, as whoever does not plan memory ahead
    /// does in every step.
    pub fn renew(&mut self, handle: Handle) -> Result<()> {
        let slots = &self.slots;
        match &mut self.programs[handle.0] {
            Some(bound) => bound.renew(slots),
            None => panic!("runtime: program {} was unloaded", handle.0),
        }
    }

    /// Frees a program's memory; its handle must not be used again.
    pub fn unload(&mut self, handle: Handle) {
        self.programs[handle.0] = None;
    }

    /// The program behind a handle.
    pub fn program(&self, handle: Handle) -> &Program {
        &self.bound(handle).program
    }

    /// An input of a program, to be filled before a step; `None` if the program has
    /// no such input.
    pub fn input<T: Stored>(&mut self, handle: Handle, kind: &InputKind) -> Option<&mut [T]> {
        let bound = self.bound_mut(handle);
        let input = bound.program.inputs.iter().find(|i| i.kind == *kind)?;
        T::check(input.element);
        let elements = input.shape.iter().product();
        Some(bound.inputs.elements_mut(input.offset, elements))
    }

    /// Sets an input that is one number; programs that do not read it do without.
    pub fn set<T: Stored>(&mut self, handle: Handle, kind: &InputKind, value: T) {
        if let Some(input) = self.input::<T>(handle, kind) {
            input.fill(value);
        }
    }

    /// A result of a program's last step; `None` if it has no such output.
    pub fn output<T: Stored>(&self, handle: Handle, name: &str) -> Option<&[T]> {
        let bound = self.bound(handle);
        let output = bound.program.outputs.iter().find(|o| o.name == name)?;
        T::check(output.element);
        let region = match output.place.region {
            Lifetime::Arena => &bound.arena,
            Lifetime::Slots => &self.slots,
            Lifetime::Inputs => &bound.inputs,
        };
        let elements = output.shape.iter().product();
        Some(region.elements(output.place.offset, elements))
    }

    /// What the slots are.
    pub fn table(&self) -> &SlotTable {
        &self.table
    }

    /// The values of a slot, by its position in the table.
    pub fn slot<T: Stored>(&self, index: usize) -> &[T] {
        let slot = &self.table.slots[index];
        T::check(slot.element);
        self.slots.elements(slot.offset, slot.elements())
    }

    /// The values of a slot, to be written.
    pub fn slot_mut<T: Stored>(&mut self, index: usize) -> &mut [T] {
        let slot = &self.table.slots[index];
        T::check(slot.element);
        self.slots.elements_mut(slot.offset, slot.elements())
    }

    /// A slot's values as bytes, whatever they are.
    pub fn slot_bytes(&self, index: usize) -> &[u8] {
        let slot = &self.table.slots[index];
        self.slots.elements(slot.offset, slot.elements() * BYTES)
    }

    /// A slot's values as bytes, to be written.
    pub fn slot_bytes_mut(&mut self, index: usize) -> &mut [u8] {
        let slot = &self.table.slots[index];
        self.slots
            .elements_mut(slot.offset, slot.elements() * BYTES)
    }

    /// Zeroes all slots of a kind.
    pub fn zero(&mut self, kind: SlotKind) {
        for index in 0..self.table.slots.len() {
            if self.table.slots[index].kind == kind {
                self.slot_bytes_mut(index).fill(0);
            }
        }
    }

    /// Bytes held by the slots and all loaded programs.
    pub fn bytes(&self) -> usize {
        let programs = self.programs.iter().flatten();
        self.slots.bytes()
            + programs
                .map(|p| p.arena.bytes() + p.inputs.bytes())
                .sum::<usize>()
    }

    pub(crate) fn bound(&self, handle: Handle) -> &Bound {
        match &self.programs[handle.0] {
            Some(bound) => bound,
            None => panic!("runtime: program {} was unloaded", handle.0),
        }
    }

    fn bound_mut(&mut self, handle: Handle) -> &mut Bound {
        match &mut self.programs[handle.0] {
            Some(bound) => bound,
            None => panic!("runtime: program {} was unloaded", handle.0),
        }
    }
}

/// Bytes of an element in memory; all types take the same.
const BYTES: usize = 4;

impl SlotBinding {
    /// How many values it holds.
    pub fn elements(&self) -> usize {
        self.shape.iter().product()
    }
}

/// Element types that memory holds.
pub trait Stored: memory::Element {
    /// What the contract calls it.
    const ELEMENT: Element;

    /// A program that says otherwise is a bug.
    fn check(element: Element) {
        assert!(
            element == Self::ELEMENT,
            "runtime: {element:?} read as {:?}",
            Self::ELEMENT
        );
    }
}

impl Stored for f32 {
    const ELEMENT: Element = Element::F32;
}
impl Stored for i32 {
    const ELEMENT: Element = Element::I32;
}

/// A program with memory of its own and every address known.
pub(crate) struct Bound {
    program: Arc<Program>,
    arena: Region,
    inputs: Region,
    /// The arguments of all launches, one after the other.
    addresses: Addresses,
    launches: Vec<BoundLaunch>,
    /// Samples per step, if it has fields.
    samples: usize,
}

struct Addresses(Vec<*mut u8>);

// SAFETY: the addresses point into regions that live as long as the workspace,
// and are used only by kernels, under the rules of `Bound::perform`.
unsafe impl Send for Addresses {}
// SAFETY: as above.
unsafe impl Sync for Addresses {}

struct BoundLaunch {
    kernel: KernelFn,
    /// Where its arguments start among the addresses.
    first: usize,
    tasks: u64,
    alone: bool,
    /// Whether the next launch may run only when all threads are through with this one.
    meet: bool,
    /// Of the launches that threads share, which of two in a row.
    parity: Parity,
    /// How many tasks the next launch has that threads share; none if it is the last.
    following: u64,
}

impl fmt::Debug for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Bound({}, {} launches)",
            self.program.name,
            self.launches.len()
        )
    }
}

impl Bound {
    fn new(program: Arc<Program>, slots: &Region) -> Result<Bound> {
        let what = format!("the {} step", program.name);
        let arena = Region::zeroed(program.arena_bytes, &what)?;
        let inputs = Region::zeroed(program.input_bytes, &what)?;
        let mut places = 0;
        let mut launches: Vec<BoundLaunch> = Vec::new();
        for launch in &program.launches {
            let alone = !launch.parallel || launch.tasks <= 1;
            // One thread that does two launches in a row needs no meeting between them.
            if let Some(last) = launches.last_mut() {
                last.meet = !(last.alone && alone);
            }
            launches.push(BoundLaunch {
                kernel: launch.kernel,
                first: places,
                tasks: launch.tasks,
                alone,
                meet: false,
                parity: Parity::default(),
                following: 0,
            });
            places += launch.args.len();
        }
        pair_shared(&mut launches);
        let samples = check_inputs(&program);
        let mut bound = Bound {
            program,
            arena,
            inputs,
            addresses: Addresses(Vec::with_capacity(places)),
            launches,
            samples,
        };
        bound.resolve(slots);
        Ok(bound)
    }

    /// Finds the address of each launch's arguments.
    fn resolve(&mut self, slots: &Region) {
        let (arena, inputs) = (&self.arena, &self.inputs);
        let address = |place: &Place| match place.region {
            Lifetime::Arena => arena.address(place.offset),
            Lifetime::Slots => slots.address(place.offset),
            Lifetime::Inputs => inputs.address(place.offset),
        };
        let places = self.program.launches.iter().flat_map(|launch| &launch.args);
        self.addresses.0.clear();
        self.addresses.0.extend(places.map(address));
    }

    /// Exchanges the arena for a new one.
    fn renew(&mut self, slots: &Region) -> Result<()> {
        // That it fits was found when the program was loaded.
        let bytes = self.program.arena_bytes;
        self.arena = Region::zeroed_within(bytes, &self.program.name, u64::MAX)?;
        self.resolve(slots);
        Ok(())
    }

    /// Lays out the tasks of the first launch that threads share, before they perform a step.
    pub(crate) fn lay_out(&self, crew: &Crew) {
        if let Some(first) = self.launches.iter().find(|launch| !launch.alone) {
            crew.lay_out(first.parity, first.tasks);
        }
    }

    /// Lays out the tasks of one launch, before threads perform it.
    pub(crate) fn lay_out_one(&self, crew: &Crew, index: usize) {
        let launch = &self.launches[index];
        if !launch.alone {
            crew.lay_out(launch.parity, launch.tasks);
        }
    }

    /// One thread's part of a step.
    ///
    /// # Safety
    /// All threads of the crew call this together after [`Bound::lay_out`], and meanwhile
    /// nobody else touches the workspace.
    pub(crate) unsafe fn perform(&self, worker: Worker<'_>) {
        let _flush = FlushToZero::new();
        for launch in &self.launches {
            // SAFETY: launches are separated by meetings, or done by one thread in order.
            unsafe { self.launch(launch, worker) };
            if launch.meet {
                worker.meet();
            }
        }
    }

    /// One thread's part of a step, telling when it began and ended each launch of which it
    /// did tasks.
    ///
    /// # Safety
    /// As for `perform`.
    pub(crate) unsafe fn perform_timed(
        &self,
        worker: Worker<'_>,
        tell: &mut dyn FnMut(usize, Range<Instant>),
    ) {
        let _flush = FlushToZero::new();
        for (index, launch) in self.launches.iter().enumerate() {
            let begun = Instant::now();
            // SAFETY: as in `perform`.
            if unsafe { self.launch(launch, worker) } {
                tell(index, begun..Instant::now());
            }
            if launch.meet {
                worker.meet();
            }
        }
    }

    /// One thread's part of one launch, by its position in the program.
    ///
    /// # Safety
    /// As for `perform`, but after [`Bound::lay_out_one`], and all launches before it are complete.
    pub(crate) unsafe fn perform_one(&self, index: usize, worker: Worker<'_>) {
        let _flush = FlushToZero::new();
        // SAFETY: passed on.
        unsafe { self.launch(&self.launches[index], worker) };
    }

    /// One thread's part of a launch; whether there was any.
    ///
    /// # Safety
    /// As for `perform_one`.
    unsafe fn launch(&self, launch: &BoundLaunch, worker: Worker<'_>) -> bool {
        let args = self.addresses.0[launch.first..].as_ptr();
        // SAFETY: by the contract of `Program`, the kernel touches only the tensors
        // of its arguments, and tasks of one launch may run at once.
        let perform = |tasks: Range<u64>| unsafe { (launch.kernel)(args, tasks.start, tasks.end) };
        if launch.alone {
            let worked = worker.index() == 0 && launch.tasks > 0;
            if worked {
                perform(0..launch.tasks);
            }
            return worked;
        }
        let mut has_any = false;
        while let Some(tasks) = worker.take(launch.parity) {
            perform(tasks);
            has_any = true;
        }
        worker.lay_out(launch.parity.other(), launch.following);
        has_any
    }

    /// One thread's samples of all fields, to be filled in.
    ///
    /// # Safety
    /// Each thread of the crew holds at most one of these at a time, and meanwhile
    /// nobody else touches the program's inputs.
    pub(crate) unsafe fn share(&self, worker: Worker<'_>) -> BatchShare<'_> {
        let share = worker.share(self.samples as u64);
        BatchShare {
            bound: self,
            samples: share.start as usize..share.end as usize,
        }
    }
}

/// Some samples of a step's inputs, to be filled in by one thread.
#[derive(Debug)]
pub struct BatchShare<'a> {
    bound: &'a Bound,
    samples: Range<usize>,
}

impl BatchShare<'_> {
    /// Which samples of the step.
    pub fn samples(&self) -> Range<usize> {
        self.samples.clone()
    }

    /// The inputs of the program; fields are among them.
    pub fn inputs(&self) -> &[InputBinding] {
        &self.bound.program.inputs
    }

    /// The memory of these samples in a field, by its position among the inputs.
    pub fn field<T: Stored>(&mut self, input: usize) -> &mut [T] {
        let binding = &self.bound.program.inputs[input];
        assert!(
            matches!(binding.kind, InputKind::Field(_)),
            "runtime: {:?} has no samples",
            binding.kind
        );
        T::check(binding.element);
        let row: usize = binding.shape[1..].iter().product();
        let start = binding.offset + self.samples.start * row * BYTES;
        let address = self.bound.inputs.address(start).cast();
        let elements = self.samples.len() * row;
        // SAFETY: `check_inputs` saw that the field lies within the region, aligned, and
        // apart from the others. `share` promises that no other thread has these samples,
        // and `&mut self` that this one has no second reference to them.
        unsafe { std::slice::from_raw_parts_mut(address, elements) }
    }
}

/// Tells each launch that threads share which of two in a row it is, and how many tasks the next
/// one has.
fn pair_shared(launches: &mut [BoundLaunch]) {
    let mut following = 0;
    let mut parity = Parity::default();
    for launch in launches.iter_mut().rev().filter(|launch| !launch.alone) {
        assert!(
            launch.tasks <= MOST_TASKS,
            "runtime: {} tasks",
            launch.tasks
        );
        parity = parity.other();
        launch.parity = parity;
        launch.following = following;
        following = launch.tasks;
    }
}

/// Sees that inputs lie within their region, apart from each other, and that all
/// fields have one number of samples, which it returns.
fn check_inputs(program: &Program) -> usize {
    let mut samples = None;
    let mut ranges = Vec::new();
    for input in &program.inputs {
        let bytes = input.shape.iter().product::<usize>() * BYTES;
        ranges.push((input.offset, input.offset + bytes));
        if let InputKind::Field(name) = &input.kind {
            let count = input.shape.first().copied();
            assert!(
                count.is_some() && (samples.is_none() || samples == count),
                "runtime: field {name} of {:?} in a step of {samples:?} samples",
                input.shape
            );
            samples = count;
        }
        assert!(
            input.offset.is_multiple_of(BYTES) && input.offset + bytes <= program.input_bytes,
            "runtime: input {:?} sticks out",
            input.kind
        );
    }
    ranges.sort_unstable();
    assert!(
        ranges.windows(2).all(|pair| pair[0].1 <= pair[1].0),
        "runtime: inputs overlap"
    );
    samples.unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    unsafe extern "C" fn nothing(_: *const *mut u8, _: u64, _: u64) {}

    fn launch(tasks: u64, alone: bool) -> BoundLaunch {
        BoundLaunch {
            kernel: nothing,
            first: 0,
            tasks,
            alone,
            meet: true,
            parity: Parity::default(),
            following: 0,
        }
    }

    /// However many launches of one thread lie between them.
    #[test]
    fn launches_that_threads_share_alternate_and_know_the_next() {
        let tasks = [(5, false), (1, true), (7, false), (3, false), (1, true)];
        for count in 0..=tasks.len() {
            let mut launches: Vec<BoundLaunch> = tasks[..count]
                .iter()
                .map(|&(tasks, alone)| launch(tasks, alone))
                .collect();
            pair_shared(&mut launches);
            let shared: Vec<&BoundLaunch> = launches.iter().filter(|l| !l.alone).collect();
            for pair in shared.windows(2) {
                assert_eq!(pair[0].parity, pair[1].parity.other());
                assert_eq!(pair[0].following, pair[1].tasks);
            }
            assert!(shared.last().is_none_or(|last| last.following == 0));
        }
    }
}
