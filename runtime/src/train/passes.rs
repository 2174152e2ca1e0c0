//! Passes over data: batch by batch, the last and smaller one with a program of its own.

use super::observer::{Event, Measures, Observer, SplitName};
use super::pictures::{MOST_SHOWN, Pictures};
use super::{Phase, Programs};
use crate::data::{Draw, Split};
use crate::error::{Error, Result};
use crate::machine::{Machine, Session};
use crate::program::{InputKind, SlotKind};
use crate::rng::{Stream, step_seed};
use crate::workspace::Handle;
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
pub(super) struct Pass<'a> {
    pub split: SplitName,
    pub samples: &'a Split,
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

    /// Training steps over `order` (what is left of the epoch), counted on from `step`;
    /// returns the last step made.
    pub fn train(
        &mut self,
        pass: Pass<'_>,
        order: &[u32],
        mut step: u64,
        limits: Limits<'_>,
        observer: &mut dyn Observer,
    ) -> Result<u64> {
        let mut losses = Losses::default();
        self.sweep(Phase::Train, pass, order, &mut |session, handle, rows| {
            if limits.reached(step) {
                return Ok(false);
            }
            step += 1;
            session.set(
                handle,
                &InputKind::Seed,
                step_seed(pass.seed, Stream::Train, step),
            );
            session.set(handle, &InputKind::Step, step as f32);
            let draw = Draw {
                seed: pass.seed,
                epoch: pass.epoch as u64,
            };
            session.step_on(handle, &|part| {
                pass.samples.gather_changed(rows, part, draw);
            });
            let loss = loss(session, handle);
            if !loss.is_finite() {
                let epoch = pass.epoch;
                return Err(Error::Diverged { loss, step, epoch });
            }
            observer.notice(&Event::Step {
                split: pass.split,
                epoch: pass.epoch,
                step,
                loss,
                parts: losses.read(session, handle),
                samples: rows.len(),
            })?;
            Ok(true)
        })?;
        Ok(step)
    }

    /// Evaluates all samples with totals of their own; `None` when stopped on the way.
    pub fn evaluate(
        &mut self,
        pass: Pass<'_>,
        step: u64,
        stop: &AtomicBool,
        observer: &mut dyn Observer,
    ) -> Result<Option<Measures>> {
        self.machine.zero(SlotKind::Total);
        let mut number = 0;
        let order = pass.samples.in_order();
        let complete = self.sweep(Phase::Eval, pass, &order, &mut |session, handle, rows| {
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
            session.step_on(handle, &|part| pass.samples.gather(rows, part));
            observer.notice(&Event::Step {
                split: pass.split,
                epoch: pass.epoch,
                step,
                loss: loss(session, handle),
                parts: &[],
                samples: rows.len(),
            })?;
            Ok(true)
        })?;
        if complete {
            self.measures(pass.batch).map(Some)
        } else {
            Ok(None)
        }
    }

    /// Whether the model makes pictures.
    pub fn has_pictures(&self) -> bool {
        self.programs.has_pictures()
    }

    /// Pictures of the first samples, made of the same random numbers each time.
    pub fn pictures(&mut self, pass: Pass<'_>, step: u64) -> Result<Vec<Pictures>> {
        let samples = pass.samples.samples().min(MOST_SHOWN);
        let order = &pass.samples.in_order()[..samples];
        let handle = self.loaded(Phase::Show, samples)?;
        pass.samples.check(self.machine.program(handle))?;
        let machine = &mut self.machine;
        machine.set(handle, &InputKind::Epoch, pass.epoch as f32);
        machine.set(handle, &InputKind::TotalSteps, pass.total_steps as f32);
        machine.set(handle, &InputKind::Step, step as f32);
        let seed = step_seed(pass.seed, Stream::Eval, 0);
        machine.set(handle, &InputKind::Seed, seed);
        machine.enter(|session| session.step_on(handle, &|part| pass.samples.gather(order, part)));
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
        pass: Pass<'_>,
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
            pass.samples.check(self.machine.program(handle))?;
            self.machine
                .set(handle, &InputKind::Epoch, pass.epoch as f32);
            self.machine
                .set(handle, &InputKind::TotalSteps, pass.total_steps as f32);
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

    fn loaded(&mut self, phase: Phase, batch: usize) -> Result<Handle> {
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
