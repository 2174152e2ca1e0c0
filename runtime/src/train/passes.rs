//! Passes over data: batch by batch, the last and smaller one with a program of its own.

use super::observer::{Event, Measures, Observer, SplitName};
use super::pictures::{MOST_SHOWN, Pictures};
use super::{Phase, Programs};
use crate::data::{Draw, Split};
use crate::error::{Error, Result};
use crate::machine::{Machine, Session};
use crate::program::{InputKind, SlotKind};
use crate::rng::{Stream, step_seed};
use crate::workspace::{BatchShare, Handle};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};

/// A machine with the programs that it has needed so far.
pub(super) struct Runner<'a> {
    pub machine: Machine,
    programs: &'a dyn Programs,
    loaded: BTreeMap<(Phase, usize), Handle>,
}

/// What all steps of a pass have in common.
#[derive(Clone, Copy)]
pub(super) struct Pass {
    pub split: SplitName,
    pub batch: usize,
    pub seed: u64,
    /// From 1.
    pub epoch: usize,
    /// Optimiser steps in the whole run.
    pub total_steps: u64,
}

/// Where to stop before the end of the data.
#[derive(Clone, Copy)]
pub(super) struct Limits<'a> {
    /// Set from outside, by Ctrl-C.
    pub stop: &'a AtomicBool,
    /// Optimiser steps after which to stop.
    pub steps: u64,
}

impl Limits<'_> {
    pub fn reached(&self, step: u64) -> bool {
        self.stop.load(Ordering::Relaxed) || step >= self.steps
    }
}

impl<'a> Runner<'a> {
    pub fn new(programs: &'a dyn Programs, threads: usize) -> Result<Runner<'a>> {
        Ok(Runner {
            machine: Machine::new(programs.slots().clone(), threads)?,
            programs,
            loaded: BTreeMap::new(),
        })
    }

    /// Runs the initialisers.
    pub fn initialize(&mut self, seed: u64, batch: usize) -> Result<()> {
        let program = self.programs.program(Phase::Init, batch)?;
        let seed = step_seed(seed, Stream::Init, 0);
        self.machine.run_once(
            program,
            |workspace, handle| workspace.set(handle, &InputKind::Seed, seed),
            |_, _| (),
        )
    }

    /// Training steps on samples in `order` (what is left of the epoch), counted on from
    /// `step`; returns the last step made.
    pub fn train(
        &mut self,
        pass: Pass,
        samples: &Split,
        order: &[u32],
        mut step: u64,
        limits: Limits<'_>,
        observer: &mut dyn Observer,
    ) -> Result<u64> {
        let mut lesson = Lesson::new(pass, observer);
        let draw = Draw {
            seed: pass.seed,
            epoch: pass.epoch as u64,
        };
        let mut learn = |session: &mut Session<'_>, handle, rows: &[u32]| {
            if limits.reached(step) {
                return Ok(false);
            }
            step += 1;
            let fill = |share: &mut BatchShare<'_>| samples.gather_changed(rows, share, draw);
            lesson.step(session, handle, step, rows.len(), None, &fill)?;
            Ok(true)
        };
        self.sweep(Phase::Train, pass, samples, order, &mut learn)?;
        Ok(step)
    }

    /// Evaluates all samples with totals of their own; `None` when stopped on the way.
    pub fn evaluate(
        &mut self,
        pass: Pass,
        samples: &Split,
        step: u64,
        stop: &AtomicBool,
        observer: &mut dyn Observer,
    ) -> Result<Option<Measures>> {
        self.machine.zero(SlotKind::Total);
        let mut number = 0;
        let order = samples.in_order();
        let mut judge = |session: &mut Session<'_>, handle, rows: &[u32]| {
            if stop.load(Ordering::Relaxed) {
                return Ok(false);
            }
            number += 1;
            session.set(
                handle,
                &InputKind::Seed,
                step_seed(pass.seed, Stream::Eval, number),
            );
            session.set(handle, &InputKind::Step, step as f32);
            session.step_on(handle, &|share| samples.gather(rows, share));
            observer.notice(&Event::Step {
                split: pass.split,
                epoch: pass.epoch,
                step,
                loss: loss(session, handle),
                parts: &[],
                mean_return: None,
                samples: rows.len(),
            })?;
            Ok(true)
        };
        match self.sweep(Phase::Eval, pass, samples, &order, &mut judge)? {
            true => self.measures(pass.batch).map(Some),
            false => Ok(None),
        }
    }

    /// Whether the model makes pictures.
    pub fn has_pictures(&self) -> bool {
        self.programs.has_pictures()
    }

    /// Pictures of the first samples, made of the same random numbers each time.
    pub fn pictures(&mut self, pass: Pass, samples: &Split, step: u64) -> Result<Vec<Pictures>> {
        let shown = samples.samples().min(MOST_SHOWN);
        let order = &samples.in_order()[..shown];
        let handle = self.loaded(Phase::Show, shown)?;
        samples.check(self.machine.program(handle))?;
        self.set_pass(handle, pass);
        let machine = &mut self.machine;
        machine.set(handle, &InputKind::Step, step as f32);
        let seed = step_seed(pass.seed, Stream::Eval, 0);
        machine.set(handle, &InputKind::Seed, seed);
        machine.enter(|session| session.step_on(handle, &|part| samples.gather(order, part)));
        let outputs = self.machine.program(handle).outputs.iter();
        let pictures =
            outputs.map(
                |output| match self.machine.output::<f32>(handle, &output.name) {
                    Some(values) => Pictures::new(&output.name, &output.shape, values),
                    None => panic!("runtime: the program gives no {}", output.name),
                },
            );
        Ok(pictures.collect())
    }

    /// The metrics from their totals.
    pub fn measures(&mut self, batch: usize) -> Result<Measures> {
        let handle = self.loaded(Phase::Metrics, batch)?;
        self.machine.run(handle);
        let outputs = &self.machine.program(handle).outputs;
        let value = |name: &str| match self.machine.output::<f32>(handle, name) {
            Some([value]) => *value,
            other => panic!("runtime: metric {name} is {other:?}, not one number"),
        };
        Ok(outputs
            .iter()
            .map(|o| (o.name.clone(), value(&o.name)))
            .collect())
    }

    /// Calls `act` for each batch until it says `false`; whether it never did. All full
    /// batches run within one gathering of the threads.
    fn sweep(
        &mut self,
        phase: Phase,
        pass: Pass,
        samples: &Split,
        order: &[u32],
        act: &mut Act<'_>,
    ) -> Result<bool> {
        let full = order.len() / pass.batch * pass.batch;
        let (full, rest) = order.split_at(full);
        for part in [full, rest] {
            if part.is_empty() {
                continue;
            }
            let handle = self.loaded(phase, part.len().min(pass.batch))?;
            samples.check(self.machine.program(handle))?;
            self.set_pass(handle, pass);
            let complete = self.machine.enter(|session| {
                for rows in part.chunks(pass.batch) {
                    if !act(session, handle, rows)? {
                        return Ok::<bool, Error>(false);
                    }
                }
                Ok(true)
            })?;
            if !complete {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Tells a program what stays the same throughout a pass.
    pub fn set_pass(&mut self, handle: Handle, pass: Pass) {
        let (epoch, total_steps) = (pass.epoch as f32, pass.total_steps as f32);
        self.machine.set(handle, &InputKind::Epoch, epoch);
        self.machine
            .set(handle, &InputKind::TotalSteps, total_steps);
    }

    /// The program of a phase, ready to be run.
    pub fn loaded(&mut self, phase: Phase, batch: usize) -> Result<Handle> {
        if let Some(&handle) = self.loaded.get(&(phase, batch)) {
            return Ok(handle);
        }
        let program = self.programs.program(phase, batch)?;
        let handle = self.machine.load(program)?;
        self.loaded.insert((phase, batch), handle);
        Ok(handle)
    }
}

/// What to do with one batch; `false` ends the pass.
type Act<'a> = dyn FnMut(&mut Session<'_>, Handle, &[u32]) -> Result<bool> + Send + 'a;

/// Training steps of a pass, wherever their samples come from.
pub(super) struct Lesson<'o> {
    pass: Pass,
    losses: Losses,
    observer: &'o mut dyn Observer,
}

impl<'o> Lesson<'o> {
    pub fn new(pass: Pass, observer: &'o mut dyn Observer) -> Lesson<'o> {
        Lesson {
            pass,
            losses: Losses::default(),
            observer,
        }
    }

    /// One step on `samples` samples that `fill` brings; where episodes are played, their
    /// mean return is told.
    pub fn step(
        &mut self,
        session: &mut Session<'_>,
        handle: Handle,
        step: u64,
        samples: usize,
        mean_return: Option<f32>,
        fill: &(dyn Fn(&mut BatchShare<'_>) + Sync),
    ) -> Result<()> {
        let Pass {
            split, seed, epoch, ..
        } = self.pass;
        let seed = step_seed(seed, Stream::Train, step);
        session.set(handle, &InputKind::Seed, seed);
        session.set(handle, &InputKind::Step, step as f32);
        session.step_on(handle, fill);
        let loss = loss(session, handle);
        if !loss.is_finite() {
            return Err(Error::Diverged { loss, step, epoch });
        }
        self.observer.notice(&Event::Step {
            split,
            epoch,
            step,
            loss,
            parts: self.losses.read(session, handle),
            mean_return,
            samples,
        })
    }
}

fn loss(session: &Session<'_>, handle: Handle) -> f32 {
    match session.output::<f32>(handle, "loss") {
        Some([loss]) => *loss,
        other => panic!("runtime: the loss is {other:?}, not one number"),
    }
}

/// The losses that a step's is the sum of.
#[derive(Default)]
struct Losses {
    of: Option<Handle>,
    parts: Measures,
}

impl Losses {
    /// As the last step of a program has left them.
    fn read(&mut self, session: &Session<'_>, handle: Handle) -> &[(String, f32)] {
        if self.of != Some(handle) {
            let outputs = session.program(handle).outputs.iter();
            let parts = outputs.filter(|output| output.name != "loss");
            self.parts = parts.map(|output| (output.name.clone(), 0.0)).collect();
            self.of = Some(handle);
        }
        for (name, value) in &mut self.parts {
            if let Some([part]) = session.output::<f32>(handle, name) {
                *value = *part;
            }
        }
        &self.parts
    }
}
