//! Runs that end when their validation gets no better.

use super::*;
use crate::checkpoint::Judged;

/// A plan that stops by a measure of the validation.
fn stopping(directory: &Path, metric: &str, greatest: bool, patience: usize) -> Plan<'static> {
    Plan {
        early: Some(Early {
            metric: metric.into(),
            greatest,
            patience,
        }),
        ..plan(Some(directory))
    }
}

#[test]
fn a_run_ends_when_the_validation_gets_no_better_and_keeps_the_best_weights() {
    let directory = tempfile::tempdir().unwrap();
    // There are always as many samples, so that no epoch is better than the first.
    let outcome = run(&stopping(directory.path(), "count", true, 2));
    assert_eq!(
        (outcome.ending, outcome.epochs, outcome.step),
        (Ending::Early, 3, 18)
    );
    assert_eq!(outcome.best.map(|best| best.epoch), Some(1));
    let first = tempfile::tempdir().unwrap();
    let expected = run(&Plan {
        steps: Some(6),
        ..plan(Some(first.path()))
    });
    assert_eq!(read(directory.path(), WEIGHTS), read(first.path(), WEIGHTS));
    assert_eq!(outcome.test, expected.test, "the test is of these weights");

    // While patience lasts there is no end, and the best is what the records say.
    let directory = tempfile::tempdir().unwrap();
    let outcome = run(&stopping(directory.path(), "loss", false, 4));
    assert_eq!((outcome.ending, outcome.epochs), (Ending::Finished, 4));
    let lines = lines(directory.path()).into_iter();
    let losses = lines.filter(|line| line["split"] == "valid");
    let losses: Vec<f64> = losses.map(|line| line["loss"].as_f64().unwrap()).collect();
    let least = losses.iter().copied().fold(f64::INFINITY, f64::min);
    let best = outcome.best.unwrap();
    assert_eq!(
        (losses[best.epoch - 1], f64::from(best.value)),
        (least, least)
    );
}

#[test]
fn a_run_that_stops_early_resumes_bit_for_bit() {
    for (metric, greatest, patience) in [("count", true, 2), ("loss", false, 1), ("loss", true, 3)]
    {
        let whole = tempfile::tempdir().unwrap();
        let ended = run(&stopping(whole.path(), metric, greatest, patience));
        for stop_after in [0, 5, 6, 7, 12, 17, 18, 24] {
            let parts = tempfile::tempdir().unwrap();
            let plan = stopping(parts.path(), metric, greatest, patience);
            run(&Plan {
                steps: Some(stop_after),
                ..plan.clone()
            });
            let resumed = run(&Plan {
                start: Start::Resume(parts.path().join(CHECKPOINT)),
                ..plan
            });
            assert_eq!(
                resumed,
                Outcome {
                    weights: resumed.weights.clone(),
                    ..ended.clone()
                }
            );
            for name in [WEIGHTS, CHECKPOINT, METRICS] {
                let (parts, whole) = (read(parts.path(), name), read(whole.path(), name));
                assert!(parts == whole, "{name} after {stop_after} by {metric}");
            }
        }
    }
}

/// Presses Ctrl-C when a validation begins.
struct Hasty<'a> {
    stop: &'a AtomicBool,
    epoch: usize,
}

impl Observer for Hasty<'_> {
    fn notice(&mut self, event: &Event<'_>) -> Result<()> {
        let begins = matches!(event, Event::PassBegan { split: SplitName::Valid, epoch, .. } if *epoch == self.epoch);
        if begins {
            self.stop.store(true, Ordering::Relaxed);
        }
        Ok(())
    }
}

#[test]
fn a_validation_that_was_cut_short_is_made_again() {
    let whole = tempfile::tempdir().unwrap();
    run(&stopping(whole.path(), "count", true, 2));
    for epoch in [1, 2, 3] {
        let parts = tempfile::tempdir().unwrap();
        let stop = AtomicBool::new(false);
        let plan = stopping(parts.path(), "count", true, 2);
        let hasty = Plan {
            stop: &stop,
            ..plan.clone()
        };
        let mut observer = Hasty { stop: &stop, epoch };
        let outcome = train(&Line::new(), &samples(), &hasty, &mut observer).unwrap();
        assert_eq!(
            (outcome.ending, outcome.epochs),
            (Ending::Interrupted, epoch)
        );
        run(&Plan {
            start: Start::Resume(parts.path().join(CHECKPOINT)),
            ..plan
        });
        for name in [WEIGHTS, CHECKPOINT, METRICS] {
            let (parts, whole) = (read(parts.path(), name), read(whole.path(), name));
            assert!(parts == whole, "{name} after epoch {epoch}");
        }
    }
}

#[test]
fn a_run_that_stops_by_another_measure_is_another_run() {
    let directory = tempfile::tempdir().unwrap();
    run(&stopping(directory.path(), "loss", false, 2));
    let others = [
        ("rmse", false, "those by `loss`"),
        ("loss", true, "those of the least `loss`"),
    ];
    for (metric, greatest, told) in others {
        let other = Plan {
            start: Start::Resume(directory.path().join(CHECKPOINT)),
            ..stopping(directory.path(), metric, greatest, 2)
        };
        let error = train(&Line::new(), &samples(), &other, &mut ()).unwrap_err();
        assert!(error.to_string().contains(told), "{error}");
    }
}

#[test]
fn what_was_best_before_a_run_went_on_without_stopping_is_forgotten() {
    let directory = tempfile::tempdir().unwrap();
    let resumed = |steps, plan: Plan<'static>| {
        run(&Plan {
            steps: Some(steps),
            start: Start::Resume(directory.path().join(CHECKPOINT)),
            ..plan
        })
    };
    // Were the first epoch remembered, no other would be better than it.
    let stopping = || stopping(directory.path(), "count", true, 2);
    let first = run(&Plan {
        steps: Some(6),
        ..stopping()
    });
    assert_eq!(first.best.map(|best| best.epoch), Some(1));
    assert_eq!(resumed(12, plan(Some(directory.path()))).best, None);
    let weights = read(directory.path(), WEIGHTS);
    let last = resumed(18, stopping());
    assert_eq!(last.best.map(|best| best.epoch), Some(2));
    assert!(weights == read(directory.path(), WEIGHTS));
    // The epoch that is judged now has one line, as the others have.
    let lines = lines(directory.path()).into_iter();
    let epochs = lines.filter(|line| line["split"] == "valid");
    let epochs: Vec<u64> = epochs.map(|line| line["epoch"].as_u64().unwrap()).collect();
    assert_eq!(epochs, [1, 2, 3]);
}

#[test]
fn patience_counts_from_the_first_epoch_that_is_judged() {
    let early = Early {
        metric: "loss".into(),
        greatest: false,
        patience: 2,
    };
    // No value was finite; the epochs before these were not judged.
    for (epochs, over) in [(11, false), (12, true)] {
        let judged = Judged {
            before: 10,
            epochs,
            ..Judged::default()
        };
        assert_eq!(early.is_over(&judged), over, "{epochs}");
    }
}
