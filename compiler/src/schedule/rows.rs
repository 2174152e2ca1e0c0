//! How rows are moved by their numbers: each task has results of its own.

use super::tasks;
use crate::graph::Way;
use crate::nest::RowsByNumber;
use std::fmt;

/// Elements that are worth a task: some microseconds.
const TASK_ELEMENTS: usize = 1 << 15;
/// Tables are not cut into columns of fewer elements: four lines of the cache.
const NARROWEST: usize = 64;
/// A task that adds looks at all numbers, of which each costs as much as moving so many elements.
const NUMBER: usize = 8;

/// Which rows are moved, and how the work is divided.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct RowsPlan {
    /// The rows.
    pub moved: RowsByNumber,
    /// Into how many equal parts the elements of each row are divided; 1 where rows are read.
    pub columns: usize,
    /// So many rows belong to a task (the last ones have fewer): of all lists where rows are
    /// read, of one table where they are added up.
    pub each: usize,
}

impl RowsPlan {
    /// Divides the work by shapes alone, so that results do not depend on threads.
    pub fn new(moved: RowsByNumber) -> RowsPlan {
        let rows = moved.rows;
        let tables = rows.shared * rows.outer;
        let elements = match moved.way {
            Way::Gather => tables * rows.listed * rows.row,
            Way::Scatter => tables * (rows.listed + rows.count) * rows.row,
        };
        let wanted = tasks::even(tasks::within_reason(elements / TASK_ELEMENTS));
        let (columns, each) = match moved.way {
            Way::Gather => (1, (tables * rows.listed).div_ceil(wanted)),
            Way::Scatter => {
                // Columns first: however often each row occurs, all of them are equal work.
                let mut columns = 1;
                while 2 * columns * tables <= wanted
                    && rows.row.is_multiple_of(2 * columns * NARROWEST)
                {
                    columns *= 2;
                }
                let looks = NUMBER * rows.listed * columns;
                let most = (rows.count + rows.listed) * rows.row / looks;
                let parts = (wanted / (tables * columns)).min(most).max(1);
                (columns, rows.count.div_ceil(parts))
            }
        };
        RowsPlan {
            moved,
            columns,
            each,
        }
    }

    /// Into how many parts the rows are divided.
    pub fn parts(&self) -> usize {
        let rows = self.moved.rows;
        match self.moved.way {
            Way::Gather => (rows.shared * rows.outer * rows.listed).div_ceil(self.each),
            Way::Scatter => rows.count.div_ceil(self.each),
        }
    }

    /// How many tasks there are. Of those that add, the ones of a table follow each other, and of
    /// these the ones of a column.
    pub fn tasks(&self) -> usize {
        let rows = self.moved.rows;
        match self.moved.way {
            Way::Gather => self.parts(),
            Way::Scatter => rows.shared * rows.outer * self.columns * self.parts(),
        }
    }
}

impl fmt::Display for RowsPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.moved.rows.row / self.columns;
        write!(f, "{} tasks: {}", self.tasks(), self.moved)?;
        write!(f, ", {} rows of {width} a task", self.each)
    }
}
