//! Runs programs: threads from the pool, memory from the workspace.

use crate::error::Result;
use crate::pool::{Crew, Pool, Worker};
use crate::program::{Program, SlotTable};
use crate::workspace::{BatchShare, Handle, Workspace};
use std::ops::{Deref, DerefMut, Range};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Threads and memory for the programs of one model.
#[derive(Debug)]
pub struct Machine {
    pool: Pool,
    workspace: Workspace,
}

impl Machine {
    /// A machine with zeroed slots and so many threads (0: one per processor).
    pub fn new(slots: SlotTable, threads: usize) -> Result<Machine> {
        Ok(Machine {
            pool: Pool::new(threads)?,
            workspace: Workspace::new(slots)?,
        })
    }

    /// How many threads it has.
    pub fn threads(&self) -> usize {
        self.pool.threads()
    }

    /// Gathers the threads for many steps; `lead` runs on one of them.
    pub fn enter<R: Send>(&mut self, lead: impl FnOnce(&mut Session<'_>) -> R + Send) -> R {
        let workspace = &mut self.workspace;
        self.pool
            .enter(|crew| lead(&mut Session { crew, workspace }))
    }

    /// Runs a program once, on inputs that are already filled in.
    pub fn run(&mut self, program: Handle) {
        self.enter(|session| session.step(program));
    }

    /// Runs a program so many times, launch by launch, and gives the shortest time of each
    /// launch. Steps take less than the sum: their launches do not wait to be timed.
    pub fn profile(&mut self, program: Handle, steps: usize) -> Vec<Duration> {
        let launches = self.program(program).launches.len();
        let mut shortest = vec![Duration::MAX; launches];
        self.enter(|session| {
            for _ in 0..steps {
                for (index, shortest) in shortest.iter_mut().enumerate() {
                    let clock = Instant::now();
                    session.launch(program, index);
                    *shortest = clock.elapsed().min(*shortest);
                }
            }
        });
        shortest
    }

    /// One step as it runs: for each thread, in order, the launches that it had a share of
    /// and when it began and ended them, counted from the start of the step.
    pub fn timeline(&mut self, program: Handle) -> Vec<Vec<Busy>> {
        let threads = self.threads();
        let lines: Vec<Mutex<Vec<Busy>>> = (0..threads).map(|_| Mutex::default()).collect();
        self.enter(|session| session.step_timed(program, &lines));
        let lines = lines.into_iter();
        lines
            .map(|line| line.into_inner().unwrap_or_else(PoisonError::into_inner))
            .collect()
    }

    /// A step that enters the pool anew for the samples and for each launch: the results
    /// are those of [`Session::step_on`], and the difference in time is what it saves.
    pub fn step_entering(&mut self, program: Handle, fill: &(dyn Fn(&mut BatchShare<'_>) + Sync)) {
        self.enter(|session| session.fill(program, fill));
        for index in 0..self.program(program).launches.len() {
            self.enter(|session| session.launch(program, index));
        }
    }

    /// Loads a program, runs it once on `inputs` set by the caller, and frees its memory.
    pub fn run_once<R>(
        &mut self,
        program: Arc<Program>,
        prepare: impl FnOnce(&mut Workspace, Handle),
        read: impl FnOnce(&Workspace, Handle) -> R,
    ) -> Result<R> {
        let handle = self.workspace.load(program)?;
        prepare(&mut self.workspace, handle);
        self.run(handle);
        let result = read(&self.workspace, handle);
        self.workspace.unload(handle);
        Ok(result)
    }
}

impl Deref for Machine {
    type Target = Workspace;

    fn deref(&self) -> &Workspace {
        &self.workspace
    }
}

impl DerefMut for Machine {
    fn deref_mut(&mut self) -> &mut Workspace {
        &mut self.workspace
    }
}

/// A thread's work on a launch, in time since the start of the step.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Busy {
    /// Its position in the program.
    pub launch: usize,
    /// When the thread began its share.
    pub begun: Duration,
    /// When it was done with it.
    pub ended: Duration,
}

/// A machine whose threads stand ready.
#[derive(Debug)]
pub struct Session<'a> {
    crew: &'a Crew,
    workspace: &'a mut Workspace,
}

impl Session<'_> {
    /// Runs a program once, on inputs that are already filled in. Allocates nothing.
    pub fn step(&mut self, program: Handle) {
        self.perform(program, None);
    }

    /// Lets all threads fill in their share of the samples, then runs the program once.
    pub fn step_on(&mut self, program: Handle, fill: &(dyn Fn(&mut BatchShare<'_>) + Sync)) {
        self.perform(program, Some(fill));
    }

    fn fill(&mut self, program: Handle, fill: &(dyn Fn(&mut BatchShare<'_>) + Sync)) {
        let bound = self.workspace.bound(program);
        self.crew.each(&|worker: Worker<'_>| {
            // SAFETY: as in `perform`.
            fill(&mut unsafe { bound.share(worker) });
        });
    }

    fn step_timed(&mut self, program: Handle, lines: &[Mutex<Vec<Busy>>]) {
        let bound = self.workspace.bound(program);
        bound.lay_out(self.crew);
        let start = Instant::now();
        self.crew.each(&|worker: Worker<'_>| {
            let mut line = lines[worker.index()]
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            let mut tell = |launch, times: Range<Instant>| {
                line.push(Busy {
                    launch,
                    begun: times.start - start,
                    ended: times.end - start,
                });
            };
            // SAFETY: as in `perform`.
            unsafe { bound.perform_timed(worker, &mut tell) };
        });
    }

    fn launch(&mut self, program: Handle, index: usize) {
        let bound = self.workspace.bound(program);
        bound.lay_out_one(self.crew, index);
        self.crew.each(&|worker: Worker<'_>| {
            // SAFETY: every thread is here, and `&mut self` keeps everybody else away from
            // the workspace until `each` returns; so do the launches before this one.
            unsafe { bound.perform_one(index, worker) };
        });
    }

    fn perform(&mut self, program: Handle, fill: Option<&(dyn Fn(&mut BatchShare<'_>) + Sync)>) {
        let bound = self.workspace.bound(program);
        bound.lay_out(self.crew);
        self.crew.each(&|worker: Worker<'_>| {
            if let Some(fill) = fill {
                // SAFETY: `&mut self` keeps everybody else away from the workspace until
                // `each` returns, and this thread drops its share before the meeting.
                fill(&mut unsafe { bound.share(worker) });
                worker.meet();
            }
            // SAFETY: every thread is here, nobody else is, as above.
            unsafe { bound.perform(worker) };
        });
    }
}

impl Deref for Session<'_> {
    type Target = Workspace;

    fn deref(&self) -> &Workspace {
        self.workspace
    }
}

impl DerefMut for Session<'_> {
    fn deref_mut(&mut self) -> &mut Workspace {
        self.workspace
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::undocumented_unsafe_blocks)]
    use super::*;
    use crate::program::{
        Element, InputBinding, InputKind, Launch, OutputBinding, Place, Region, SlotBinding,
        SlotKind,
    };

    const SAMPLES: usize = 37;
    const FEATURES: usize = 5;

    // Kernels by hand, in the form the compiler would make them: sizes baked in.

    /// y[i] = sum over j of x[i, j] * w[j]; one task per sample.
    unsafe extern "C" fn product(args: *const *mut u8, begin: u64, end: u64) {
        let (x, w, y) = unsafe { (f32s(args, 0), f32s(args, 1), f32s(args, 2)) };
        for i in begin as usize..end as usize {
            let mut sum = 0.0_f32;
            for j in 0..FEATURES {
                sum += unsafe { *x.add(i * FEATURES + j) * *w.add(j) };
            }
            unsafe { *y.add(i) = sum };
        }
    }

    /// loss = mean of y; one task.
    unsafe extern "C" fn mean(args: *const *mut u8, begin: u64, end: u64) {
        let (y, loss) = unsafe { (f32s(args, 0), f32s(args, 1)) };
        assert_eq!((begin, end), (0, 1));
        let sum: f32 = (0..SAMPLES).map(|i| unsafe { *y.add(i) }).sum();
        unsafe { *loss = sum / SAMPLES as f32 };
    }

    /// w[j] += loss + step; one task per feature.
    unsafe extern "C" fn update(args: *const *mut u8, begin: u64, end: u64) {
        let (w, loss, step) = unsafe { (f32s(args, 0), f32s(args, 1), f32s(args, 2)) };
        for j in begin as usize..end as usize {
            unsafe { *w.add(j) += 0.01 * *loss + *step * j as f32 };
        }
    }

    unsafe fn f32s(args: *const *mut u8, index: usize) -> *mut f32 {
        unsafe { (*args.add(index)).cast() }
    }

    fn place(region: Region, offset: usize) -> Place {
        Place { region, offset }
    }

    fn launch(kernel: crate::program::KernelFn, args: &[Place], tasks: u64) -> Launch {
        Launch {
            name: String::new(),
            kernel,
            args: args.to_vec(),
            tasks,
            parallel: true,
            flop: 0,
            bytes: 0,
            origin: String::new(),
        }
    }

    fn step_program() -> Program {
        let (x, step) = (place(Region::Inputs, 0), place(Region::Inputs, 768));
        let (w, y, loss) = (
            place(Region::Slots, 64),
            place(Region::Arena, 0),
            place(Region::Arena, 192),
        );
        let f32_input = |kind, shape: &[usize], offset| InputBinding {
            kind,
            element: Element::F32,
            shape: shape.to_vec(),
            offset,
        };
        Program {
            name: "train".into(),
            launches: vec![
                launch(product, &[x, w, y], SAMPLES as u64),
                launch(mean, &[y, loss], 1),
                launch(update, &[w, loss, step], FEATURES as u64),
            ],
            arena_bytes: 256,
            inputs: vec![
                f32_input(InputKind::Field("x".into()), &[SAMPLES, FEATURES], 0),
                f32_input(InputKind::Step, &[], 768),
            ],
            input_bytes: 832,
            outputs: vec![OutputBinding {
                name: "loss".into(),
                element: Element::F32,
                shape: vec![],
                place: loss,
            }],
            code: Arc::new(()),
        }
    }

    fn slots() -> SlotTable {
        SlotTable {
            slots: vec![SlotBinding {
                path: "net/w".into(),
                kind: SlotKind::Param,
                element: Element::F32,
                shape: vec![FEATURES],
                offset: 64,
            }],
            bytes: 128,
        }
    }

    /// The ways to make a step, which differ in nothing but time.
    #[derive(Clone, Copy, PartialEq, Debug)]
    enum Way {
        InOneEntry,
        Entering,
        Renewing,
    }

    fn losses_and_weights(threads: usize, way: Way) -> (Vec<f32>, Vec<f32>) {
        let mut machine = Machine::new(slots(), threads).unwrap();
        let program = machine.load(Arc::new(step_program())).unwrap();
        let mut losses = Vec::new();
        for step in 1..=50 {
            machine.set(program, &InputKind::Step, step as f32);
            let fill = |share: &mut BatchShare<'_>| {
                let samples = share.samples();
                let x = share.field::<f32>(0);
                for (row, i) in x.chunks_mut(FEATURES).zip(samples) {
                    for (j, value) in row.iter_mut().enumerate() {
                        *value = ((i * 7 + j * 3 + step) % 11) as f32 * 0.01 - 0.04;
                    }
                }
            };
            match way {
                Way::InOneEntry => machine.enter(|session| session.step_on(program, &fill)),
                Way::Entering => machine.step_entering(program, &fill),
                Way::Renewing => machine.enter(|session| {
                    session.renew(program).unwrap();
                    session.step_on(program, &fill);
                }),
            }
            losses.push(machine.output::<f32>(program, "loss").unwrap()[0]);
        }
        (losses, machine.slot::<f32>(0).to_vec())
    }

    #[test]
    fn results_do_not_depend_on_the_number_of_threads() {
        let one = losses_and_weights(1, Way::InOneEntry);
        assert!(one.0.iter().all(|loss| loss.is_finite()) && one.0[49] != one.0[48]);
        for threads in [2, 3, 8] {
            for way in [Way::InOneEntry, Way::Entering, Way::Renewing] {
                let these = losses_and_weights(threads, way);
                assert_eq!(these, one, "{threads} threads, {way:?}");
            }
        }
    }

    #[test]
    fn a_timeline_has_a_row_for_each_thread_and_does_the_work_once() {
        let mut machine = Machine::new(slots(), 2).unwrap();
        let program = machine.load(Arc::new(step_program())).unwrap();
        machine.set(program, &InputKind::Step, 1.0_f32);
        let lines = machine.timeline(program);
        let launches: Vec<Vec<usize>> = lines
            .iter()
            .map(|line| line.iter().map(|busy| busy.launch).collect())
            .collect();
        // The mean is one task, which the first thread has.
        assert_eq!(launches, [vec![0, 1, 2], vec![0, 2]]);
        for line in &lines {
            assert!(line.iter().all(|busy| busy.begun <= busy.ended));
            assert!(line.windows(2).all(|two| two[0].ended <= two[1].begun));
        }
        assert_eq!(machine.slot::<f32>(0), [0.0, 1.0, 2.0, 3.0, 4.0]);
    }

    #[test]
    fn a_profile_times_every_launch_and_does_its_work() {
        let mut machine = Machine::new(slots(), 2).unwrap();
        let program = machine.load(Arc::new(step_program())).unwrap();
        machine.set(program, &InputKind::Step, 1.0_f32);
        let times = machine.profile(program, 3);
        assert_eq!(times.len(), 3);
        assert!(times.iter().all(|&time| time < Duration::from_secs(10)));
        assert_eq!(machine.slot::<f32>(0), [0.0, 3.0, 6.0, 9.0, 12.0]);
    }

    #[test]
    fn a_program_too_large_is_refused_before_it_is_allocated() {
        let mut machine = Machine::new(slots(), 1).unwrap();
        let program = Program {
            arena_bytes: 1 << 60,
            ..step_program()
        };
        let message = machine.load(Arc::new(program)).unwrap_err().to_string();
        assert!(
            message.starts_with("the train step needs 1.0 EiB, but"),
            "{message}"
        );
    }

    #[test]
    fn a_program_that_ran_once_leaves_only_its_effects() {
        let mut machine = Machine::new(slots(), 2).unwrap();
        let before = machine.bytes();
        let loss = machine
            .run_once(
                Arc::new(step_program()),
                |w, program| {
                    w.set(program, &InputKind::Step, 2.0_f32);
                    w.input::<f32>(program, &InputKind::Field("x".into()))
                        .unwrap()
                        .fill(1.0);
                },
                |w, program| w.output::<f32>(program, "loss").unwrap()[0],
            )
            .unwrap();
        assert_eq!(loss, 0.0);
        assert_eq!(machine.slot::<f32>(0), [0.0, 2.0, 4.0, 6.0, 8.0]);
        assert_eq!(machine.bytes(), before);
    }

    #[test]
    #[should_panic(expected = "read as I32")]
    fn reading_a_number_as_another_type_is_a_bug() {
        let machine = Machine::new(slots(), 1).unwrap();
        machine.slot::<i32>(0);
    }
}
