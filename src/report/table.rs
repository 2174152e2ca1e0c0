//! Aligned columns of text.

use std::fmt;

/// Where a column's text stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Align {
    Left,
    Right,
}

/// Something to show on a terminal of so many columns, or where lines can have any length.
#[derive(Clone, Copy, Debug)]
pub struct Within<'a, T> {
    /// What is shown.
    pub it: &'a T,
    /// Of the terminal, if it is one.
    pub columns: Option<usize>,
}

/// What stands between two columns.
const BETWEEN: &str = "  ";

/// Rows under headings.
#[derive(Clone, Debug)]
pub struct Table {
    columns: Vec<(String, Align)>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table without rows.
    pub fn new(columns: &[(&str, Align)]) -> Table {
        Table {
            columns: columns
                .iter()
                .map(|(name, align)| (name.to_string(), *align))
                .collect(),
            rows: Vec::new(),
        }
    }

    /// Adds a row; it may be shorter than the headings.
    pub fn row<T: ToString>(&mut self, cells: impl IntoIterator<Item = T>) {
        self.rows
            .push(cells.into_iter().map(|cell| cell.to_string()).collect());
    }

    /// Leaves out the columns of these headings, one after the other, until a line is no longer than
    /// `width`; those that it left out.
    pub fn narrow<'a>(&mut self, width: usize, headings: &[&'a str]) -> Vec<&'a str> {
        let mut without = Vec::new();
        for &heading in headings {
            let found = self.columns.iter().position(|(name, _)| name == heading);
            let Some(column) = found.filter(|_| self.line_width() > width) else {
                continue;
            };
            self.columns.remove(column);
            for row in self.rows.iter_mut().filter(|row| column < row.len()) {
                row.remove(column);
            }
            without.push(heading);
        }
        without
    }

    fn line_width(&self) -> usize {
        let columns = (0..self.columns.len()).map(|column| self.width(column) + BETWEEN.len());
        columns.sum::<usize>().saturating_sub(BETWEEN.len())
    }

    /// A single line of columns that are at least as wide as given: for tables that
    /// grow while time goes by.
    pub fn line(cells: &[(String, Align, usize)]) -> String {
        let padded: Vec<String> = cells
            .iter()
            .map(|(text, align, width)| pad(text, *align, *width))
            .collect();
        padded.join(BETWEEN).trim_end().to_string()
    }

    fn width(&self, column: usize) -> usize {
        let cells = self.rows.iter().filter_map(|row| row.get(column));
        let widths = cells
            .chain([&self.columns[column].0])
            .map(|text| text.chars().count());
        widths.max().unwrap_or(0)
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let widths: Vec<usize> = (0..self.columns.len())
            .map(|column| self.width(column))
            .collect();
        let headings: Vec<String> = self.columns.iter().map(|(name, _)| name.clone()).collect();
        for (i, row) in std::iter::once(&headings).chain(&self.rows).enumerate() {
            if i > 0 {
                writeln!(f)?;
            }
            let cells = row.iter().zip(&self.columns).zip(&widths);
            let cells: Vec<_> = cells
                .map(|((text, (_, align)), width)| (text.clone(), *align, *width))
                .collect();
            write!(f, "{}", Table::line(&cells))?;
        }
        Ok(())
    }
}

fn pad(text: &str, align: Align, width: usize) -> String {
    match align {
        Align::Left => format!("{text:<width$}"),
        Align::Right => format!("{text:>width$}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_stand_below_each_other() {
        let mut table = Table::new(&[("layer", Align::Left), ("parameters", Align::Right)]);
        table.row(["dense(128)", "100,480"]);
        table.row(["relu"]);
        table.row(["dense(10)", "1,290"]);
        let expected = "\
layer       parameters
dense(128)     100,480
relu
dense(10)        1,290";
        assert_eq!(table.to_string(), expected);
    }

    #[test]
    fn what_does_not_fit_goes_in_the_order_given() {
        let table = || {
            let headings = ["kernel", "ms", "share", "from"];
            let mut table = Table::new(&headings.map(|heading| (heading, Align::Left)));
            table.row(["k00", "0.25", "50 %", "dense_1"]);
            table.row(["sum"]);
            table
        };
        let full = table().to_string();
        let width = full.lines().map(str::len).max().unwrap_or(0);
        for (width, without) in [
            (width, vec![]),
            (width - 1, vec!["share"]),
            (width - 9, vec!["share", "ms"]),
            (1, vec!["share", "ms"]),
        ] {
            let mut table = table();
            assert_eq!(table.narrow(width, &["share", "absent", "ms"]), without);
            let shown = table.to_string();
            assert!(
                without.iter().all(|heading| !shown.contains(heading)),
                "{shown}"
            );
            assert!(
                shown.contains("dense_1") && shown.contains("sum"),
                "{shown}"
            );
        }
    }
}
