//! What is remembered: a ring of rows, column by column.

use crate::data::{Affine, Column, Field, Split, Values};
use crate::error::{Error, Result};
use crate::program::{InputKind, Program};
use crate::workspace::BatchShare;
use std::sync::Arc;

/// Rows of some fields, up to a fixed number; the oldest give way. All are allocated at once.
pub(super) struct Memory {
    fields: Vec<Field>,
    /// Numbers, and of a class its number.
    columns: Vec<Vec<f32>>,
    capacity: usize,
    first: usize,
    count: usize,
}

impl Memory {
    pub fn new(fields: Vec<Field>, capacity: usize) -> Memory {
        let columns = fields.iter();
        Memory {
            columns: columns
                .map(|field| vec![0.0; capacity * field.elements()])
                .collect(),
            fields,
            capacity,
            first: 0,
            count: 0,
        }
    }

    /// How many rows there are.
    pub fn rows(&self) -> usize {
        self.count
    }

    /// Adds a row, in place of the oldest when there is no more room.
    pub fn push(&mut self, row: &[&[f32]]) {
        let place = self.next_place();
        for ((column, field), values) in self.columns.iter_mut().zip(&self.fields).zip(row) {
            let size = field.elements();
            column[place * size..][..size].copy_from_slice(values);
        }
    }

    /// Adds all rows of a memory of the same fields.
    pub fn append(&mut self, other: &Memory) {
        for row in 0..other.count {
            let place = self.next_place();
            for (number, column) in self.columns.iter_mut().enumerate() {
                let values = other.value(number, row);
                column[place * values.len()..][..values.len()].copy_from_slice(values);
            }
        }
    }

    fn next_place(&mut self) -> usize {
        let place = (self.first + self.count) % self.capacity;
        match self.count == self.capacity {
            true => self.first = (self.first + 1) % self.capacity,
            false => self.count += 1,
        }
        place
    }

    /// Drops the oldest rows.
    pub fn forget(&mut self, rows: usize) {
        self.first = (self.first + rows) % self.capacity.max(1);
        self.count -= rows;
    }

    /// The values of a row, counted from the oldest.
    pub fn value(&self, column: usize, row: usize) -> &[f32] {
        let size = self.fields[column].elements();
        &self.columns[column][self.place(row) * size..][..size]
    }

    /// A number of a row.
    pub fn number_mut(&mut self, column: usize, row: usize) -> &mut f32 {
        let place = self.place(row);
        &mut self.columns[column][place]
    }

    fn place(&self, row: usize) -> usize {
        (self.first + row) % self.capacity
    }

    /// Whether a program's fields are among the columns.
    pub fn check(&self, program: &Program) -> Result<()> {
        for input in &program.inputs {
            let InputKind::Field(name) = &input.kind else {
                continue;
            };
            let field = self.fields.iter().find(|field| field.name == *name);
            field
                .ok_or_else(|| format!("there is no field `{name}`"))
                .and_then(|field| field.check(input))
                .map_err(Error::DataMismatch)?;
        }
        Ok(())
    }

    /// Fills a thread's share of a step's samples with the chosen rows.
    pub fn gather(&self, chosen: &[u32], share: &mut BatchShare<'_>) {
        let chosen = &chosen[share.samples()];
        for input in 0..share.inputs().len() {
            let InputKind::Field(name) = &share.inputs()[input].kind else {
                continue;
            };
            let Some(column) = self.fields.iter().position(|field| field.name == *name) else {
                unreachable!("`check` passed");
            };
            let rows = chosen.iter().map(|&row| self.value(column, row as usize));
            fill(share, input, &self.fields[column], rows);
        }
    }

    /// All rows, as samples.
    pub fn split(&self) -> Split {
        let columns = self.fields.iter().enumerate().map(|(column, field)| {
            let rows = (0..self.count).flat_map(|row| self.value(column, row));
            let values = match field.classes {
                Some(_) => Values::Classes(Arc::new(rows.map(|&value| value as i32).collect())),
                None => Values::Floats(Arc::new(rows.copied().collect()), Affine::identity()),
            };
            Column {
                field: field.clone(),
                values,
            }
        });
        Split::new(columns.collect())
    }

    /// All that changes, for whoever saves or restores it.
    pub fn visit(&mut self, visitor: &mut dyn Visitor) {
        visitor.count(&mut self.first);
        visitor.count(&mut self.count);
        for value in self.columns.iter_mut().flatten() {
            visitor.float(value);
        }
    }
}

/// Fills one field of a thread's share of a step's samples.
pub(super) fn fill<'r>(
    share: &mut BatchShare<'_>,
    input: usize,
    field: &Field,
    rows: impl Iterator<Item = &'r [f32]>,
) {
    let size = field.elements();
    match field.classes {
        None => {
            let to = share.field::<f32>(input);
            to.chunks_exact_mut(size)
                .zip(rows)
                .for_each(|(to, row)| to.copy_from_slice(row));
        }
        Some(_) => {
            let to = share.field::<i32>(input).chunks_exact_mut(size);
            to.zip(rows).for_each(|(to, row)| {
                to.iter_mut()
                    .zip(row)
                    .for_each(|(to, &class)| *to = class as i32);
            });
        }
    }
}

/// Somebody who saves or restores numbers, all in the same order.
pub(super) trait Visitor {
    /// Eight bytes.
    fn bits(&mut self, bits: &mut u64);

    /// Four bytes.
    fn float(&mut self, value: &mut f32);

    /// A number of things.
    fn count(&mut self, count: &mut usize) {
        let mut bits = *count as u64;
        self.bits(&mut bits);
        *count = bits as usize;
    }

    /// A number of higher precision.
    fn double(&mut self, value: &mut f64) {
        let mut bits = value.to_bits();
        self.bits(&mut bits);
        *value = f64::from_bits(bits);
    }
}

/// Writes down what it visits.
#[derive(Default)]
pub(super) struct Save(pub Vec<u8>);

impl Visitor for Save {
    fn bits(&mut self, bits: &mut u64) {
        self.0.extend_from_slice(&bits.to_le_bytes());
    }

    fn float(&mut self, value: &mut f32) {
        self.0.extend_from_slice(&value.to_le_bytes());
    }
}

/// Gives what it visits the values that were written down: of as many bytes.
pub(super) struct Restore<'b>(pub &'b [u8]);

impl Restore<'_> {
    fn next<const N: usize>(&mut self) -> [u8; N] {
        let Some((next, rest)) = self.0.split_first_chunk() else {
            panic!("runtime: fewer bytes than were saved");
        };
        self.0 = rest;
        *next
    }
}

impl Visitor for Restore<'_> {
    fn bits(&mut self, bits: &mut u64) {
        *bits = u64::from_le_bytes(self.next());
    }

    fn float(&mut self, value: &mut f32) {
        *value = f32::from_le_bytes(self.next());
    }
}
