//! Stopping when the validation does not get better, with the best weights kept.

use super::passes::Pass;
use super::{Measures, Run, SplitName, WEIGHTS};
use crate::checkpoint::{self, Best, Judged, Position};
use crate::error::{Error, Result};
use std::path::Path;

/// When to end before the last epoch.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Early {
    /// The measure of the validation that counts.
    pub metric: String,
    /// Whether greater values are better.
    pub greatest: bool,
    /// After so many epochs without a better value.
    pub patience: usize,
}

impl Early {
    fn is_better(&self, value: f32, best: Option<Best>) -> bool {
        value.is_finite()
            && best.is_none_or(|best| match self.greatest {
                true => value > best.value,
                false => value < best.value,
            })
    }
}

/// A checkpoint that was judged by something else says nothing of this run's best.
pub(super) fn check(path: &Path, position: &Position, early: Option<&Early>) -> Result<()> {
    let (Some(judged), Some(early)) = (&position.judged, early) else {
        return Ok(());
    };
    if judged.metric == early.metric {
        return Ok(());
    }
    Err(Error::BadCheckpoint {
        path: path.to_path_buf(),
        faults: vec![format!(
            "its best weights are those by `{}`, this run stops by `{}`",
            judged.metric, early.metric
        )],
    })
}

impl Run<'_> {
    /// Makes up for a validation that an interrupt cut short: what it decides must not depend
    /// on the interrupt.
    pub(super) fn judge_again(&mut self) -> Result<()> {
        let judged = self.position.judged.as_ref().map_or(0, |j| j.epochs);
        let between = self.position.steps_into_epoch == 0 && self.position.epochs > judged;
        if self.plan.early.is_none() || !between {
            return Ok(());
        }
        let pass = Pass {
            epoch: self.position.epochs,
            ..self.pass(SplitName::Valid)
        };
        let measures = self.validate(pass)?;
        self.note_validation(measures)
    }

    /// Keeps the weights of a complete epoch if its validation is the best so far.
    pub(super) fn note_validation(&mut self, measures: Option<Measures>) -> Result<()> {
        let (Some(early), Some(measures)) = (&self.plan.early, measures) else {
            return Ok(());
        };
        let value = measures.iter().find(|(name, _)| *name == early.metric);
        let Some(&(_, value)) = value else {
            panic!("train: the model reports no {}", early.metric);
        };
        let epoch = self.position.epochs;
        let judged = self.position.judged.get_or_insert_with(|| Judged {
            metric: early.metric.clone(),
            ..Judged::default()
        });
        judged.epochs = epoch;
        if early.is_better(value, judged.best) {
            judged.best = Some(Best { epoch, value });
            self.save_weights()?;
        }
        self.save_checkpoint()
    }

    /// Whether there was no better validation for long enough.
    pub(super) fn is_over(&self) -> bool {
        let (Some(early), Some(judged)) = (&self.plan.early, &self.position.judged) else {
            return false;
        };
        let best = judged.best.map_or(0, |best| best.epoch);
        judged.epochs - best >= early.patience
    }

    /// The epoch whose weights are kept.
    pub(super) fn best(&self) -> Option<Best> {
        let judged = self.plan.early.as_ref().and(self.position.judged.as_ref());
        judged?.best
    }

    /// What is judged at the end are the weights that are kept.
    pub(super) fn load_best(&mut self) -> Result<()> {
        match (self.best(), &self.plan.directory) {
            (Some(_), Some(directory)) => {
                checkpoint::load_weights(&mut self.runner.machine, &directory.join(WEIGHTS))
            }
            _ => Ok(()),
        }
    }
}
