//! The training loop: initial values, epochs of shuffled batches, validation after
//! each, a test at the end, with weights and records on the way.

mod observer;
mod source;
mod passes;
mod early;
mod played;
mod pictures;
mod records;

pub use early::Early;
pub use observer::{Event, Measures, Observer, SplitName};
pub use pictures::PICTURES;
pub use source::Source;

use crate::checkpoint::{self, Best, Position};
use crate::data::{Dataset, Split};
use crate::error::{Error, Result};
use crate::play::Player;
use crate::program::{Program, SlotKind, SlotTable};
use passes::{Limits, Pass, Runner};
use played::test_by_playing;
use records::{Kept, Records};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

/// What a program is for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Phase {
    /// Fills every slot with its initial value.
    Init,
    /// One optimiser step; adds to the totals. Outputs: `loss`, and where it is a sum of
    /// several objectives, each of them.
    Train,
    /// The forward pass; adds to the totals. Output: `loss`.
    Eval,
    /// The metrics from the totals. Outputs: `loss` and each metric.
    Metrics,
    /// Pictures of given samples; not every model has any.
    Show,
    /// The net's result for given samples.
    Predict,
    /// What the policy does while learning, given what it sees. Output: `action`. Of models
    /// that play alone, as is the next.
    Explore,
    /// What the policy does when it is judged.
    Act,
}

/// Whoever compiles: a model's programs by phase and batch size.
pub trait Programs: Sync {
    /// The slots that all of them share.
    fn slots(&self) -> &SlotTable;

    /// The program for a batch of this size; asked once each. `Init` and `Metrics` do
    /// not depend on it.
    fn program(&self, phase: Phase, batch: usize) -> Result<Arc<Program>>;

    /// Whether there are pictures to be made.
    fn has_pictures(&self) -> bool {
        false
    }
}

/// How to train.
#[derive(Clone, Debug)]
pub struct Plan<'a> {
    /// Samples per step.
    pub batch: usize,
    /// Passes over the training split.
    pub epochs: usize,
    /// Stop after so many optimiser steps. Schedules still see the whole run's
    /// number of steps, so that a run can be resumed.
    pub steps: Option<u64>,
    /// Decides everything random.
    pub seed: u64,
    /// 0: one per processor.
    pub threads: usize,
    /// Where weights, checkpoints and records go; it exists. `None`: nowhere.
    pub directory: Option<PathBuf>,
    /// What the slots hold at first.
    pub start: Start,
    /// Whether to end when the validation does not get better. The best weights are then the
    /// result; a directory is needed to keep them.
    pub early: Option<Early>,
    /// When it becomes true, the run ends after the current step.
    pub stop: &'a AtomicBool,
}

/// What the slots hold at first.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Start {
    /// What the model's initialisers say.
    Fresh,
    /// What the model's initialisers say, and over it what these files hold.
    Filled(Vec<Filling>),
    /// Parameters and states from a file of weights, all else from the initialisers.
    Weights(PathBuf),
    /// Everything from the checkpoint of a run of the same model, data, seed and batch:
    /// training goes on as if it had never stopped.
    Resume(PathBuf),
}

/// Tensors of a file of weights that fill slots.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Filling {
    /// The file.
    pub path: PathBuf,
    /// Names in the file with the paths of slots.
    pub fills: Vec<(String, String)>,
}

/// How a run ended.
#[derive(Clone, PartialEq, Debug)]
pub struct Outcome {
    /// Why it ended.
    pub ending: Ending,
    /// Epochs completed.
    pub epochs: usize,
    /// Optimiser steps made.
    pub step: u64,
    /// Where the validation decides: the epoch whose weights are kept.
    pub best: Option<Best>,
    /// On the test split; `None` when interrupted.
    pub test: Option<Measures>,
    /// Where the weights are.
    pub weights: Option<PathBuf>,
}

/// Why a run ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ending {
    /// All epochs are done.
    Finished,
    /// The validation did not get better for so long as [`Early`] says.
    Early,
    /// The limit of steps was reached.
    StepLimit,
    /// The stop flag was set.
    Interrupted,
}

/// File names within a run's directory.
pub const WEIGHTS: &str = "weights.safetensors";
/// All slots and the position, for resuming.
pub const CHECKPOINT: &str = "resume.safetensors";
/// One object a line.
pub const METRICS: &str = "metrics.jsonl";
/// What the mean return of episodes is called among the measures.
const RETURN: &str = "return";

/// Trains from initial values, or from where the checkpoint stands.
pub fn train<'a>(
    programs: &'a dyn Programs,
    source: impl Into<Source<'a>>,
    plan: &'a Plan<'a>,
    observer: &'a mut dyn Observer,
) -> Result<Outcome> {
    let mut run = Run::begin(programs, source.into(), plan, observer)?;
    run.judge_again()?;
    while run.position.epochs < plan.epochs
        && !run.is_over()
        && !run.limits().reached(run.position.step)
    {
        run.epoch()?;
    }
    run.end()
}

/// Evaluates saved weights on the test; `None` when stopped on the way.
pub fn evaluate<'a>(
    programs: &dyn Programs,
    source: impl Into<Source<'a>>,
    weights: &Path,
    plan: &Plan<'_>,
    observer: &mut dyn Observer,
) -> Result<Option<Measures>> {
    let mut runner = Runner::new(programs, plan.threads)?;
    checkpoint::load_weights(&mut runner.machine, weights)?;
    let pass = Pass {
        split: SplitName::Test,
        batch: plan.batch,
        seed: plan.seed,
        epoch: 1,
        total_steps: 1,
    };
    test(&mut runner, pass, source.into(), 0, plan.stop, observer)
}

struct Run<'a> {
    runner: Runner<'a>,
    source: Source<'a>,
    /// Who plays, where the samples are played.
    player: Option<Player>,
    plan: &'a Plan<'a>,
    position: Position,
    saved: bool,
    watchers: Watchers<'a>,
}

impl<'a> Run<'a> {
    fn begin(
        programs: &'a dyn Programs,
        source: Source<'a>,
        plan: &'a Plan<'a>,
        observer: &'a mut dyn Observer,
    ) -> Result<Run<'a>> {
        let start = Position {
            seed: plan.seed,
            batch: plan.batch,
            samples: source.samples(plan.batch),
            ..Position::default()
        };
        let mut player = match source {
            Source::Samples(_) => None,
            Source::World(world) => Some(Player::learning(world, plan.batch, plan.seed)),
        };
        let mut runner = Runner::new(programs, plan.threads)?;
        let position = match &plan.start {
            Start::Fresh => {
                runner.initialize(plan.seed, plan.batch)?;
                start
            }
            Start::Filled(files) => {
                runner.initialize(plan.seed, plan.batch)?;
                for file in files {
                    checkpoint::fill_weights(&mut runner.machine, &file.path, &file.fills)?;
                }
                start
            }
            Start::Weights(path) => {
                runner.initialize(plan.seed, plan.batch)?;
                checkpoint::load_weights(&mut runner.machine, path)?;
                start
            }
            Start::Resume(path) => {
                let mut played = player.as_mut().map(Player::save);
                let machine = &mut runner.machine;
                let mut position =
                    checkpoint::load_checkpoint(machine, played.as_deref_mut(), path)?;
                check_resumed(path, &position, &start)?;
                early::resumed(path, &mut position, plan.early.as_ref())?;
                if let (Some(player), Some(played)) = (&mut player, &played) {
                    player.restore(played);
                }
                position
            }
        };
        let resumed = matches!(plan.start, Start::Resume(_)).then(|| Kept {
            position: &position,
            undecided: early::undecided(&position, plan.early.as_ref()),
        });
        let provenance = source.provenance();
        let substitute = provenance.is_substitute();
        let substitute = substitute.then(|| provenance.to_string());
        let records = match &plan.directory {
            None => None,
            Some(dir) => Some(Records::open(&dir.join(METRICS), resumed, substitute)?),
        };
        if let Some(records) = &records
            && records.cut > 0
        {
            observer.notice(&Event::Cut {
                path: records.path(),
                lines: records.cut,
            })?;
        }
        Ok(Run {
            runner,
            source,
            player,
            plan,
            position,
            saved: false,
            watchers: Watchers { records, observer },
        })
    }

    /// What is left of the current epoch, then validation.
    fn epoch(&mut self) -> Result<()> {
        let pass = self.pass(SplitName::Train);
        let done = self.position.steps_into_epoch;
        if done == 0 {
            self.runner.machine.zero(SlotKind::Total);
        }
        let steps = self.steps_per_epoch();
        self.watchers.notice(&Event::PassBegan {
            split: pass.split,
            epoch: pass.epoch,
            steps,
            done,
        })?;
        let clock = Instant::now();
        let before = self.position.step;
        let limits = self.limits();
        let (runner, watchers) = (&mut self.runner, &mut self.watchers);
        let step = match (self.source, &mut self.player) {
            (Source::Samples(data), _) => {
                let order = match data.shuffle {
                    true => data.train.shuffled(pass.seed, pass.epoch as u64),
                    false => data.train.in_order(),
                };
                let rest = &order[(done * pass.batch).min(order.len())..];
                runner.train(pass, &data.train, rest, before, limits, watchers)?
            }
            (Source::World(_), Some(player)) => {
                runner.train_playing(pass, player, steps - done, before, limits, watchers)?
            }
            (Source::World(_), None) => unreachable!("train: nobody plays"),
        };
        let now_done = done + (step - before) as usize;
        self.position.step = step;
        self.position.steps_into_epoch = now_done;
        let complete = now_done == steps;
        if complete {
            self.position.epochs += 1;
            self.position.steps_into_epoch = 0;
        }
        self.save()?;
        if !complete && self.plan.stop.load(Ordering::Relaxed) {
            return Ok(());
        }
        let mut measures = self.runner.measures(pass.batch)?;
        if let Some(player) = &self.player {
            let mean = player.mean_return().unwrap_or(f32::NAN);
            measures.push((RETURN.to_owned(), mean));
        }
        self.watchers.notice(&Event::PassEnded {
            split: pass.split,
            epoch: pass.epoch,
            step,
            measures: &measures,
            samples: (now_done * pass.batch).min(self.position.samples),
            elapsed: clock.elapsed(),
        })?;
        self.draw()?;
        let measures = self.validate(pass)?;
        match complete {
            true => self.note_validation(measures),
            false => Ok(()),
        }
    }

    /// What the validation split says, if there is one and nobody is in a hurry.
    fn validate(&mut self, pass: Pass) -> Result<Option<Measures>> {
        let Source::Samples(Dataset {
            valid: Some(valid), ..
        }) = self.source
        else {
            return Ok(None);
        };
        let pass = Pass {
            split: SplitName::Valid,
            ..pass
        };
        let (step, stop) = (self.position.step, self.plan.stop);
        let (runner, watchers) = (&mut self.runner, &mut self.watchers);
        judge(runner, pass, valid, None, step, stop, watchers)
    }

    /// The test, unless somebody is in a hurry.
    fn end(mut self) -> Result<Outcome> {
        if !self.saved {
            self.save()?;
        }
        self.load_best()?;
        let step = self.position.step;
        let mut pass = self.pass(SplitName::Test);
        pass.epoch = self.position.epochs.max(1);
        let over = self.is_over();
        let (stop, watchers) = (self.plan.stop, &mut self.watchers);
        let test = test(&mut self.runner, pass, self.source, step, stop, watchers)?;
        let ending = if stop.load(Ordering::Relaxed) {
            Ending::Interrupted
        } else if over && self.position.epochs < self.plan.epochs {
            Ending::Early
        } else if self.position.epochs < self.plan.epochs {
            Ending::StepLimit
        } else {
            Ending::Finished
        };
        Ok(Outcome {
            ending,
            epochs: self.position.epochs,
            step,
            best: self.best(),
            test,
            weights: self.plan.directory.as_ref().map(|d| d.join(WEIGHTS)),
        })
    }

    fn save(&mut self) -> Result<()> {
        // The best weights so far stay.
        if self.best().is_none() {
            self.save_weights()?;
        }
        self.save_checkpoint()
    }

    fn save_weights(&mut self) -> Result<()> {
        let Some(directory) = &self.plan.directory else {
            return Ok(());
        };
        let path = directory.join(WEIGHTS);
        let remarks = format!("trained on {}", self.source.provenance());
        checkpoint::save_weights(&self.runner.machine, &path, &remarks)?;
        self.watchers.notice(&Event::Saved { path: &path })
    }

    fn save_checkpoint(&mut self) -> Result<()> {
        let Some(directory) = &self.plan.directory else {
            return Ok(());
        };
        let played = self.player.as_mut().map(Player::save);
        let (machine, path) = (&self.runner.machine, directory.join(CHECKPOINT));
        checkpoint::save_checkpoint(machine, played.as_deref(), &path, &self.position)?;
        self.saved = true;
        Ok(())
    }

    /// Pictures of the first samples that training does not see.
    fn draw(&mut self) -> Result<()> {
        let Some(directory) = &self.plan.directory else {
            return Ok(());
        };
        let Source::Samples(data) = self.source else {
            return Ok(());
        };
        if !self.runner.has_pictures() {
            return Ok(());
        }
        let mut pass = self.pass(SplitName::Test);
        pass.epoch = self.position.epochs.max(1);
        let step = self.position.step;
        for pictures in self.runner.pictures(pass, &data.test, step)? {
            let path = pictures.write(directory, pass.epoch)?;
            self.watchers.notice(&Event::Drawn { path: &path })?;
        }
        Ok(())
    }

    fn pass(&self, split: SplitName) -> Pass {
        Pass {
            split,
            batch: self.plan.batch,
            seed: self.plan.seed,
            epoch: self.position.epochs + 1,
            total_steps: self.plan.epochs as u64 * self.steps_per_epoch() as u64,
        }
    }

    fn limits(&self) -> Limits<'a> {
        Limits {
            stop: self.plan.stop,
            steps: self.plan.steps.unwrap_or(u64::MAX),
        }
    }

    fn steps_per_epoch(&self) -> usize {
        let samples = self.source.samples(self.plan.batch);
        samples.div_ceil(self.plan.batch)
    }
}

/// The test: of its samples, or of the steps of its episodes.
fn test(
    runner: &mut Runner<'_>,
    pass: Pass,
    source: Source<'_>,
    step: u64,
    stop: &AtomicBool,
    observer: &mut dyn Observer,
) -> Result<Option<Measures>> {
    match source {
        Source::Samples(data) => judge(runner, pass, &data.test, None, step, stop, observer),
        Source::World(world) => match test_by_playing(runner, pass, world, step, stop)? {
            None => Ok(None),
            Some((played, mean)) => judge(runner, pass, &played, Some(mean), step, stop, observer),
        },
    }
}

/// Evaluates and tells of it, and of the mean return of the episodes that the samples come from.
fn judge(
    runner: &mut Runner<'_>,
    pass: Pass,
    samples: &Split,
    mean_return: Option<f32>,
    step: u64,
    stop: &AtomicBool,
    observer: &mut dyn Observer,
) -> Result<Option<Measures>> {
    let clock = Instant::now();
    if stop.load(Ordering::Relaxed) {
        return Ok(None);
    }
    observer.notice(&Event::PassBegan {
        split: pass.split,
        epoch: pass.epoch,
        steps: samples.samples().div_ceil(pass.batch),
        done: 0,
    })?;
    let mut measures = runner.evaluate(pass, samples, step, stop, observer)?;
    if let Some(measures) = &mut measures {
        measures.extend(mean_return.map(|mean| (RETURN.to_owned(), mean)));
        observer.notice(&Event::PassEnded {
            split: pass.split,
            epoch: pass.epoch,
            step,
            measures,
            samples: samples.samples(),
            elapsed: clock.elapsed(),
        })?;
    }
    Ok(measures)
}

fn check_resumed(path: &Path, position: &Position, start: &Position) -> Result<()> {
    let numbers = |p: &Position| [p.seed, p.batch as u64, p.samples as u64];
    let names = ["seed", "batch", "number of training samples"];
    for ((name, was), is) in names.iter().zip(numbers(position)).zip(numbers(start)) {
        if was != is {
            return Err(Error::BadCheckpoint {
                path: path.to_path_buf(),
                faults: vec![format!("its {name} is {was}, that of this run {is}")],
            });
        }
    }
    Ok(())
}

/// The records, and whoever else watches.
struct Watchers<'a> {
    records: Option<Records>,
    observer: &'a mut dyn Observer,
}

impl Observer for Watchers<'_> {
    fn notice(&mut self, event: &Event<'_>) -> Result<()> {
        if let Some(records) = &mut self.records {
            records.notice(event)?;
        }
        self.observer.notice(event)
    }
}

#[cfg(test)]
mod tests;
