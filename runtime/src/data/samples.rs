//! Samples in memory, and the gathering of batches.

use super::augment::{self, Augment, Draw};
use super::{Affine, Field};
use crate::error::{Error, Result};
use crate::program::{InputKind, Program};
use crate::rng::{self, Stream};
use crate::workspace::BatchShare;
use std::collections::HashSet;
use std::sync::Arc;

/// One field of all samples.
#[derive(Clone, Debug)]
pub struct Column {
    /// What it is.
    pub field: Field,
    /// One sample after the other, each row-major.
    pub values: Values,
}

/// Values of a column, as small as they come; converted when a batch is gathered.
/// Splits of one data set share them.
#[derive(Clone, Debug)]
pub enum Values {
    /// Real numbers `byte * scale + offset`: images.
    Bytes(Arc<Vec<u8>>, Affine),
    /// Real numbers `float * scale + offset`.
    Floats(Arc<Vec<f32>>, Affine),
    /// Classes.
    Classes(Arc<Vec<i32>>),
    /// Classes in windows, which may overlap, of one long sequence.
    Windows(Arc<Vec<i32>>, Windows),
}

/// Where the windows of a sequence start.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Windows {
    /// The first one.
    pub offset: usize,
    /// From one to the next.
    pub stride: usize,
    /// How many there are.
    pub count: usize,
}

/// Some of the samples of a data set.
#[derive(Clone, Debug)]
pub struct Split {
    columns: Vec<Column>,
    /// Positions of its samples in the columns.
    members: Arc<[u32]>,
    /// What changes the first field's samples in training.
    changes: Vec<Augment>,
}

impl Split {
    /// All samples of some columns of equal length.
    pub fn new(columns: Vec<Column>) -> Split {
        let count = columns.first().map_or(0, Column::samples);
        assert!(columns.iter().all(|column| column.samples() == count));
        assert!(
            u32::try_from(count).is_ok(),
            "more samples than can be numbered"
        );
        Split {
            columns,
            members: (0..count as u32).collect(),
            changes: Vec::new(),
        }
    }

    /// How many samples.
    pub fn samples(&self) -> usize {
        self.members.len()
    }

    /// Its fields with their values.
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// The samples in the order of the source.
    pub fn in_order(&self) -> Vec<u32> {
        self.members.to_vec()
    }

    /// The samples in the order of one epoch.
    pub fn shuffled(&self, seed: u64, epoch: u64) -> Vec<u32> {
        let order = rng::permutation(seed, Stream::Shuffle, epoch, self.members.len() as u32);
        order.iter().map(|&i| self.members[i as usize]).collect()
    }

    /// Those of the samples at `positions` within this split.
    pub(super) fn subset(&self, positions: &[u32]) -> Split {
        Split {
            columns: self.columns.clone(),
            members: positions
                .iter()
                .map(|&i| self.members[i as usize])
                .collect(),
            changes: self.changes.clone(),
        }
    }

    /// Whether all samples of a class lie one behind the other, as in folders named by
    /// classes or in a sorted table, so that the first ones are all of one class.
    pub(super) fn comes_class_by_class(&self) -> bool {
        let columns = self.columns.iter();
        let mut classes = columns.filter_map(|column| match &column.values {
            Values::Classes(all) if column.field.shape.is_empty() => Some(all),
            _ => None,
        });
        // Of several columns of classes, nobody says which one is the label.
        let (Some(classes), None) = (classes.next(), classes.next()) else {
            return false;
        };
        let mut seen: HashSet<i32> = HashSet::new();
        let mut last = None;
        for &member in self.members.iter() {
            let class = classes[member as usize];
            if last != Some(class) && !seen.insert(class) {
                return false;
            }
            last = Some(class);
        }
        seen.len() > 1 && seen.len() < self.members.len()
    }

    /// One more change of its samples.
    pub(super) fn change(&mut self, change: Augment) {
        self.changes.push(change);
    }

    /// Its samples as they are: what is judged by is not changed.
    pub(super) fn unchanged(&mut self) {
        self.changes.clear();
    }

    /// Whether its samples are changed in training.
    pub fn is_augmented(&self) -> bool {
        !self.changes.is_empty()
    }

    /// As [`Split::gather`], with the random changes of one epoch of a run.
    pub fn gather_changed(&self, batch: &[u32], share: &mut BatchShare<'_>, draw: Draw) {
        self.gather(batch, share);
        let Some(first) = self.columns.first().filter(|_| self.is_augmented()) else {
            return;
        };
        let batch = &batch[share.samples()];
        let name = &first.field.name;
        let of_first = |kind: &InputKind| matches!(kind, InputKind::Field(field) if field == name);
        let Some(input) = share
            .inputs()
            .iter()
            .position(|input| of_first(&input.kind))
        else {
            return;
        };
        let samples = share.field::<f32>(input).chunks_exact_mut(first.elements());
        for (values, &sample) in samples.zip(batch) {
            augment::apply(&self.changes, &first.field.shape, sample, draw, values);
        }
    }

    /// Mean and deviation of the first field for each index of its leading axis, or of all
    /// values if it has none; `None` for classes.
    pub(super) fn moments(&self) -> Option<(Vec<f64>, Vec<f64>)> {
        let column = &self.columns[0];
        let size = column.elements();
        let parts = column.field.shape.first().copied().unwrap_or(1);
        let (mut sums, mut squares) = (vec![0.0; parts], vec![0.0; parts]);
        let mut sample = vec![0.0; size];
        for &member in self.members.iter() {
            let place = member as usize * size..(member as usize + 1) * size;
            match &column.values {
                Values::Bytes(all, affine) => affine.bytes(&all[place], &mut sample),
                Values::Floats(all, affine) => affine.floats(&all[place], &mut sample),
                Values::Classes(_) | Values::Windows(..) => return None,
            }
            for (part, values) in sample.chunks_exact(size / parts).enumerate() {
                for &value in values {
                    sums[part] += f64::from(value);
                    squares[part] += f64::from(value) * f64::from(value);
                }
            }
        }
        let n = (self.members.len() * size / parts) as f64;
        let means: Vec<f64> = sums.iter().map(|sum| sum / n).collect();
        let variances = squares
            .iter()
            .zip(&means)
            .map(|(s, m)| (s / n - m * m).max(0.0));
        let stds = variances.map(f64::sqrt).collect();
        Some((means, stds))
    }

    pub(super) fn columns_mut(&mut self) -> &mut [Column] {
        &mut self.columns
    }

    /// Whether a program's fields are those of the samples.
    pub fn check(&self, program: &Program) -> Result<()> {
        for input in &program.inputs {
            if let InputKind::Field(name) = &input.kind {
                self.column(name)
                    .ok_or_else(|| format!("there is no field `{name}`"))
                    .and_then(|column| column.field.check(input))
                    .map_err(Error::DataMismatch)?;
            }
        }
        Ok(())
    }

    /// Fills a thread's share of a step's samples with the samples of `batch`, which come from
    /// [`Split::in_order`] or [`Split::shuffled`]. The program passed [`Split::check`].
    pub fn gather(&self, batch: &[u32], share: &mut BatchShare<'_>) {
        let batch = &batch[share.samples()];
        for input in 0..share.inputs().len() {
            let InputKind::Field(name) = &share.inputs()[input].kind else {
                continue;
            };
            let Some(column) = self.column(name) else {
                unreachable!("`check` passed");
            };
            match &column.values {
                Values::Classes(all) => {
                    column.copy(all, batch, share.field(input), |from, to| {
                        to.copy_from_slice(from);
                    });
                }
                Values::Windows(all, windows) => {
                    let size = column.elements();
                    let out: &mut [i32] = share.field(input);
                    for (to, &sample) in out.chunks_exact_mut(size).zip(batch) {
                        let start = windows.offset + sample as usize * windows.stride;
                        to.copy_from_slice(&all[start..start + size]);
                    }
                }
                Values::Bytes(all, affine) => {
                    column.copy(all, batch, share.field(input), |from, to| {
                        affine.bytes(from, to);
                    });
                }
                Values::Floats(all, affine) => {
                    column.copy(all, batch, share.field(input), |from, to| {
                        affine.floats(from, to);
                    });
                }
            }
        }
    }

    fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.field.name == name)
    }
}

impl Column {
    fn elements(&self) -> usize {
        self.field.elements()
    }

    pub(super) fn samples(&self) -> usize {
        let values = match &self.values {
            Values::Bytes(values, _) => values.len(),
            Values::Floats(values, _) => values.len(),
            Values::Classes(values) => values.len(),
            Values::Windows(_, windows) => return windows.count,
        };
        values / self.elements()
    }

    fn copy<T: Copy, U>(
        &self,
        all: &[T],
        batch: &[u32],
        out: &mut [U],
        convert: impl Fn(&[T], &mut [U]),
    ) {
        let size = self.elements();
        let source = |sample: &u32| &all[*sample as usize * size..][..size];
        let group = (GROUP_BYTES / (size * size_of::<T>())).max(1);
        for (to, batch) in out.chunks_mut(group * size).zip(batch.chunks(group)) {
            for sample in batch {
                touch(source(sample));
            }
            for (to, sample) in to.chunks_exact_mut(size).zip(batch) {
                convert(source(sample), to);
            }
        }
    }
}

/// So much of a batch is fetched ahead of its conversion: it fits the nearest cache.
const GROUP_BYTES: usize = 24 << 10;

/// Reads one byte of each cache line. Samples lie all over memory, so that waiting for
/// one line after the other would take most of a batch's time; these reads overlap.
fn touch<T: Copy>(values: &[T]) {
    const LINE: usize = 64;
    let per_line = (LINE / size_of::<T>()).max(1);
    for value in values.iter().step_by(per_line) {
        // Keeps the read, orders nothing.
        std::hint::black_box(*value);
    }
}
