//! A tile plan on one line:
//! `avx512 14x32 of i2 x i0, sums i4(3) i5(96), 64 tasks: columns(2)/2 i1(64)/1 i3(28)/28 rows(2)/2`.

use std::fmt;

use super::{Axis, TilePlan};

impl fmt::Display for TilePlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let dims = &self.linear.dims;
        let whole: usize = self.rows.whole.iter().map(|&dim| dims[dim]).product();
        write!(
            f,
            "{} {}x{} of ",
            self.isa,
            self.rows.large * whole,
            self.columns.width
        )?;
        for dim in self.rows.dim.iter().chain(&self.rows.whole) {
            write!(f, "i{dim} ")?;
        }
        write!(f, "x i{}, sums", self.columns.dim)?;
        for &dim in &self.reduce {
            write!(f, " i{dim}({})", dims[dim])?;
        }
        write!(f, ", {} tasks:", self.tasks())?;
        for level in &self.levels {
            match level.axis {
                Axis::Dim(dim) => write!(f, " i{dim}")?,
                Axis::Rows => write!(f, " rows")?,
                Axis::Columns => write!(f, " columns")?,
            }
            write!(f, "({})/{}", level.steps, level.chunk)?;
        }
        Ok(())
    }
}
