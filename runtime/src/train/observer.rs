//! What a run tells while it goes on.

use crate::error::Result;
use std::fmt;
use std::path::Path;
use std::time::Duration;

/// Which samples a pass goes over.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[allow(missing_docs, reason = "the names say it")]
pub enum SplitName {
    Train,
    Valid,
    Test,
}

impl fmt::Display for SplitName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            SplitName::Train => "train",
            SplitName::Valid => "valid",
            SplitName::Test => "test",
        })
    }
}

/// Numbers by name: `loss` first, then the reported metrics in order.
pub type Measures = Vec<(String, f32)>;

/// Something that happened. Epochs and steps count from 1.
#[derive(Clone, Debug)]
pub enum Event<'a> {
    /// A resumed run has left lines out of its records: those since the checkpoint, and the
    /// test, which it writes again.
    Cut {
        /// The records.
        path: &'a Path,
        /// How many.
        lines: usize,
    },
    /// A pass over a split begins.
    PassBegan {
        /// Over what.
        split: SplitName,
        /// In which epoch; for a test after training, the last one.
        epoch: usize,
        /// How many steps it has.
        steps: usize,
        /// How many of them an earlier run has made.
        done: usize,
    },
    /// A step is done.
    Step {
        /// Over what.
        split: SplitName,
        /// In which epoch.
        epoch: usize,
        /// Optimiser steps made so far in the whole run.
        step: u64,
        /// Mean over the step's samples.
        loss: f32,
        /// When training with several objectives: the mean of each.
        parts: &'a [(String, f32)],
        /// When playing: the mean return of the last episodes, once one has ended.
        mean_return: Option<f32>,
        /// How many samples.
        samples: usize,
    },
    /// A pass is over.
    PassEnded {
        /// Over what.
        split: SplitName,
        /// In which epoch.
        epoch: usize,
        /// Optimiser steps made so far in the whole run.
        step: u64,
        /// Over the whole pass.
        measures: &'a Measures,
        /// How many samples it went over.
        samples: usize,
        /// How long it took.
        elapsed: Duration,
    },
    /// A grid of pictures was written.
    Drawn {
        /// Where.
        path: &'a Path,
    },
    /// Weights were written.
    Saved {
        /// Where.
        path: &'a Path,
    },
}

/// Somebody who wants to know. Called from the thread that leads a step.
pub trait Observer: Send {
    /// Takes notice; an error ends the run.
    fn notice(&mut self, event: &Event<'_>) -> Result<()>;
}

/// Nobody.
impl Observer for () {
    fn notice(&mut self, _: &Event<'_>) -> Result<()> {
        Ok(())
    }
}
