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

    /// Whether there was no better value for long enough; while none was finite, since the
    /// first that was judged.
    pub(super) fn is_over(&self, judged: &Judged) -> bool {
        let best = judged.best.map_or(judged.before, |best| best.epoch);
        judged.epochs - best >= self.patience
    }
}

/// A checkpoint that was judged by something else says nothing of this run's best; and of one
/// that goes on without stopping, the best weights do not stay.
pub(super) fn resumed(path: &Path, position: &mut Position, early: Option<&Early>) -> Result<()> {
    let Some(early) = early else {
        position.judged = None;
        return Ok(());
    };
    let fault = match &position.judged {
        Some(judged) if judged.metric != early.metric => format!(
            "its best weights are those by `{}`, this run stops by `{}`",
            judged.metric, early.metric
        ),
        Some(judged) if judged.greatest != early.greatest => format!(
            "its best weights are those of the {} `{}`, this run stops by the {}",
            extreme(judged.greatest),
            judged.metric,
            extreme(early.greatest)
        ),
        _ => return Ok(()),
    };
    Err(Error::BadCheckpoint {
        path: path.to_path_buf(),
        faults: vec![fault],
    })
}

fn extreme(greatest: bool) -> &'static str {
    match greatest {
        true => "greatest",
        false => "least",
    }
}

/// The complete epoch whose validation has yet to decide: it was cut short, or nothing was to
/// be decided by it.
pub(super) fn undecided(position: &Position, early: Option<&Early>) -> Option<usize> {
    let judged = position.judged.as_ref().map_or(0, |judged| judged.epochs);
    let between = position.steps_into_epoch == 0 && position.epochs > judged;
    (early.is_some() && between).then_some(position.epochs)
}

impl Run<'_> {
    /// Makes up for a validation that has not decided yet: what it decides must not depend on
    /// an interrupt.
    pub(super) fn judge_again(&mut self) -> Result<()> {
        let Some(epoch) = undecided(&self.position, self.plan.early.as_ref()) else {
            return Ok(());
        };
        let pass = Pass {
            epoch,
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
            greatest: early.greatest,
            before: epoch - 1,
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
        match (&self.plan.early, &self.position.judged) {
            (Some(early), Some(judged)) => early.is_over(judged),
            _ => false,
        }
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
