//! Tables of comma-separated values with a line of column names: one column is what is to
//! be predicted, the others are what it is predicted from.

use super::find::Places;
use super::{Affine, Call, Column, Dataset, Field, Provenance, Split, Values};
use crate::error::{Error, Result};
use crate::rng::{self, Stream};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// `x` and `y`.
pub(super) fn fields(source: &Call, places: &Places) -> Result<Vec<Field>> {
    test_part(source)?;
    Ok(Table::read(source, places)?.fields())
}

/// Rows for the test are chosen at random, always the same.
pub(super) fn load(source: &Call, places: &Places) -> Result<Dataset> {
    let table = Table::read(source, places)?;
    let all = table.split();
    let (train, test) = held_out(source, &all)?;
    Ok(Dataset {
        train,
        valid: None,
        test,
        shuffle: true,
        provenance: Provenance::Files(table.path),
    })
}

/// Training samples and the fraction `test` of all that is kept apart.
pub(super) fn held_out(source: &Call, all: &Split) -> Result<(Split, Split)> {
    let fraction = test_part(source)?;
    let count = all.samples();
    let test = (count as f64 * fraction).round() as usize;
    if test == 0 || test == count {
        let fault = format!("`test: {fraction}` of {count} samples leaves a split empty");
        return Err(source.fault(fault));
    }
    let mut order = rng::permutation(0, Stream::Split, 0, count as u32);
    order[..test].sort_unstable();
    order[test..].sort_unstable();
    Ok((all.subset(&order[test..]), all.subset(&order[..test])))
}

/// How much of all samples is kept apart.
pub(super) fn test_part(source: &Call) -> Result<f64> {
    source.part("test", 0.2)
}

struct Table {
    path: PathBuf,
    features: usize,
    /// Row by row.
    x: Vec<f32>,
    y: Target,
}

/// What is to be predicted.
enum Target {
    Numbers(Vec<f32>),
    /// Classes, and how many.
    Classes(Vec<i32>, usize),
}

impl Table {
    fn read(source: &Call, places: &Places) -> Result<Table> {
        let path = places.find(source.string("file")?)?;
        let bytes = fs::read(&path).map_err(Error::io("read", &path))?;
        let text = String::from_utf8(bytes)
            .map_err(|_| Error::bad_file(&path, "expected UTF-8, found something else"))?;
        let label = source.string("label")?;
        let rows = rows(&text).map_err(|fault| Error::bad_file(&path, fault))?;
        let Some(((_, names), rows)) = rows.split_first() else {
            return Err(Error::bad_file(
                &path,
                "expected a line of column names, found nothing",
            ));
        };
        let Some(at) = names.iter().position(|name| name == label) else {
            let names = names.join(", ");
            let fault = format!("is `{label}`, but the columns are: {names}");
            return Err(source.wrong("label", fault));
        };
        if rows.is_empty() || names.len() < 2 {
            let fault = "expected rows of at least two columns below the names, found none";
            return Err(Error::bad_file(&path, fault));
        }
        let (mut x, mut targets) = (Vec::new(), Vec::new());
        for (line, row) in rows {
            if row.len() != names.len() {
                let (found, expected) = (row.len(), names.len());
                let fault = format!("expected {expected} columns in line {line}, found {found}");
                return Err(Error::bad_file(&path, fault));
            }
            for (i, cell) in row.iter().enumerate() {
                match i == at {
                    true => targets.push(cell.as_str()),
                    false => x.push(number(&path, cell, *line, &names[i])?),
                }
            }
        }
        let y = target(source, &targets)?;
        Ok(Table {
            path,
            features: names.len() - 1,
            x,
            y,
        })
    }

    fn fields(&self) -> Vec<Field> {
        let classes = match &self.y {
            Target::Numbers(_) => None,
            Target::Classes(_, count) => Some(*count),
        };
        vec![
            Field::numbers("x", &[self.features]),
            Field {
                name: "y".into(),
                shape: vec![],
                classes,
            },
        ]
    }

    fn split(&self) -> Split {
        let values = [
            Values::Floats(Arc::new(self.x.clone()), Affine::identity()),
            match &self.y {
                Target::Numbers(y) => Values::Floats(Arc::new(y.clone()), Affine::identity()),
                Target::Classes(y, _) => Values::Classes(Arc::new(y.clone())),
            },
        ];
        let columns = self.fields().into_iter().zip(values);
        Split::new(
            columns
                .map(|(field, values)| Column { field, values })
                .collect(),
        )
    }
}

fn number(path: &Path, cell: &str, line: usize, column: &str) -> Result<f32> {
    match cell.trim().parse::<f32>() {
        Ok(number) if number.is_finite() => Ok(number),
        _ => {
            let fault =
                format!("expected a number in column `{column}` of line {line}, found `{cell}`");
            Err(Error::bad_file(path, fault))
        }
    }
}

/// Numbers if all are, unless classes are asked for; a class is its place among the
/// values in order.
fn target(source: &Call, cells: &[&str]) -> Result<Target> {
    let numbers: Option<Vec<f32>> = cells.iter().map(|cell| cell.trim().parse().ok()).collect();
    match numbers {
        Some(numbers) if !source.bool("classes", false)? => Ok(Target::Numbers(numbers)),
        _ => {
            let mut values: Vec<&str> = cells.to_vec();
            values.sort_by(
                |a, b| match (a.trim().parse::<f64>(), b.trim().parse::<f64>()) {
                    (Ok(a), Ok(b)) => a.total_cmp(&b),
                    _ => a.cmp(b),
                },
            );
            values.dedup();
            let class =
                |cell: &&str| values.iter().position(|v| v == cell).unwrap_or_default() as i32;
            Ok(Target::Classes(
                cells.iter().map(class).collect(),
                values.len(),
            ))
        }
    }
}

/// Lines that are not empty, with their numbers. Cells may stand in double quotes, and then
/// hold commas and doubled quotes.
fn rows(text: &str) -> Result<Vec<(usize, Vec<String>)>, String> {
    let mut rows = Vec::new();
    for (number, line) in text.lines().enumerate() {
        if line.trim().is_empty() {
            continue;
        }
        let (mut cells, mut cell, mut quoted) = (Vec::new(), String::new(), false);
        let mut characters = line.chars().peekable();
        while let Some(c) = characters.next() {
            match c {
                '"' if quoted && characters.peek() == Some(&'"') => {
                    characters.next();
                    cell.push('"');
                }
                '"' => quoted = !quoted,
                ',' if !quoted => cells.push(std::mem::take(&mut cell)),
                c => cell.push(c),
            }
        }
        if quoted {
            return Err(format!("a quote is not closed in line {}", number + 1));
        }
        cells.push(cell);
        rows.push((number + 1, cells));
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::Value;
    use super::*;

    fn source(label: &str) -> Call {
        Call::new("csv")
            .with("file", Value::String("t.csv".into()))
            .with("label", Value::String(label.into()))
    }

    fn table(text: &str, source: &Call) -> Result<Dataset> {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("t.csv"), text).unwrap();
        load(source, &Places::beside(directory.path()))
    }

    const HOUSES: &str =
        "size,\"price, net\",kind\n1,10,b\n2,20,a\n3,30,b\n4,40,a\n5,50,\"c \"\"x\"\"\"\n";

    #[test]
    fn columns_become_fields() {
        let numbers = "a,b,y\n1,2,3\n4,5,6\n7,8,9\n\n10,11,12\n13,14,15\n";
        let data = table(numbers, &source("y")).unwrap();
        assert_eq!((data.train.samples(), data.test.samples()), (4, 1));
        assert_eq!(data.train.columns()[0].field.shape, [2]);
        assert_eq!(data.train.columns()[1].field.classes, None);
        let classes = source("y").with("classes", Value::Bool(true));
        let data = table(numbers, &classes).unwrap();
        assert_eq!(data.train.columns()[1].field.classes, Some(5));
        let data = table(HOUSES, &source("kind")).unwrap();
        let Values::Classes(kinds) = &data.train.columns()[1].values else {
            panic!("no classes");
        };
        assert_eq!(**kinds, [1, 0, 1, 0, 2]);
    }

    #[test]
    fn faults_name_the_line() {
        let message =
            |text: &str, label: &str| table(text, &source(label)).unwrap_err().to_string();
        assert!(
            message(HOUSES, "size")
                .contains("expected a number in column `kind` of line 2, found `b`")
        );
        assert!(
            message(HOUSES, "cost")
                .contains("`label` is `cost`, but the columns are: size, price, net, kind")
        );
        assert!(message("a,y\n1\n", "y").contains("expected 2 columns in line 2, found 1"));
        assert!(message("a,y\n1,\"2\n", "y").contains("a quote is not closed in line 2"));
        assert!(message("", "y").contains("found nothing"));
        assert!(message("a,y\n", "y").contains("found none"));
    }
}
