//! Generated samples in memory, gathered into batches as in training.

use nnc_compiler::graph::Field;
use nnc_runtime::data::{self, Affine, Column, Split, Values};
use nnc_runtime::rng::{Random, Stream};
use nnc_runtime::{Handle, Machine, Session};
use std::sync::Arc;

/// How many different batches: enough that none is still in the cache from the last time
/// only when batches are large, as with real data.
const BATCHES: usize = 8;

/// Some batches of samples that mean nothing.
pub struct Batches {
    samples: Split,
    order: Vec<u32>,
    batch: usize,
}

impl Batches {
    /// Real numbers in 0..1, classes below their number.
    pub fn generate(fields: &[Field], batch: usize, seed: u64) -> Batches {
        let count = batch * BATCHES;
        let columns = fields.iter().enumerate();
        let columns = columns.map(|(number, field)| column(field, count, seed, number as u64));
        let samples = Split::new(columns.collect());
        Batches {
            order: samples.in_order(),
            samples,
            batch,
        }
    }

    /// Runs one step on the batch of this number.
    pub fn step(&self, session: &mut Session<'_>, program: Handle, number: usize) {
        let rows = self.rows(number);
        session.step_on(program, &|part| self.samples.gather(rows, part));
    }

    /// The same, the threads being gathered for each launch.
    #[allow(dead_code, reason = "benches do not ask what is lost")]
    pub fn step_entering(&self, machine: &mut Machine, program: Handle, number: usize) {
        let rows = self.rows(number);
        machine.step_entering(program, &|part| self.samples.gather(rows, part));
    }

    /// Bytes of all samples.
    #[allow(dead_code, reason = "benches do not tell of memory")]
    pub fn bytes(&self) -> usize {
        let fields = self.samples.columns().iter();
        let each: usize = fields
            .map(|c| c.field.shape.iter().product::<usize>())
            .sum();
        self.order.len() * each * size_of::<f32>()
    }

    fn rows(&self, number: usize) -> &[u32] {
        let start = number % BATCHES * self.batch;
        &self.order[start..start + self.batch]
    }
}

fn column(field: &Field, count: usize, seed: u64, number: u64) -> Column {
    let elements = count * field.shape.iter().product::<usize>();
    let mut random = Random::new(seed, Stream::Data, number);
    let values = match field.classes {
        Some(classes) => {
            let draw = |_| random.below(classes as u32) as i32;
            Values::Classes(Arc::new((0..elements).map(draw).collect()))
        }
        None => {
            let draw = |_| random.uniform();
            Values::Floats(
                Arc::new((0..elements).map(draw).collect()),
                Affine::identity(),
            )
        }
    };
    Column {
        field: data::Field {
            name: field.name.clone(),
            shape: field.shape.clone(),
            classes: field.classes,
        },
        values,
    }
}
