//! NumPy's files: arrays whose first axis counts samples, in stored order, so that a run can
//! read the very batches that another framework read. An archive has a field for each array;
//! single arrays are `x` and `y`.

use super::find::Places;
use super::npy::column;
use super::zip::entries;
use super::{Call, Column, Dataset, Field, Provenance, Split, Value};
use crate::error::{Error, Result};
use std::fs;
use std::path::PathBuf;

/// Arrays of this prefix are the test's; without any, the training samples are.
const TEST: &str = "test_";
const ARCHIVE: &[u8] = b"PK";

/// One field for each array that is not the test's.
pub(super) fn fields(source: &Call, places: &Places) -> Result<Vec<Field>> {
    let arrays = Arrays::read(source, places)?;
    Ok(arrays
        .train
        .into_iter()
        .map(|column| column.field)
        .collect())
}

/// All arrays of the file or the files.
pub(super) fn load(source: &Call, places: &Places) -> Result<Dataset> {
    let Arrays { path, train, test } = Arrays::read(source, places)?;
    let train = Split::new(train);
    let test = match test.is_empty() {
        true => train.clone(),
        false => Split::new(test),
    };
    Ok(Dataset {
        train,
        valid: None,
        test,
        shuffle: false,
        provenance: Provenance::Files(path),
    })
}

/// A field each, the test's in the order of the others.
struct Arrays {
    path: PathBuf,
    train: Vec<Column>,
    test: Vec<Column>,
}

impl Arrays {
    fn read(source: &Call, places: &Places) -> Result<Arrays> {
        let counts = source.ints("classes", 0, 0, i64::from(i32::MAX))?;
        let is_list = matches!(source.argument("classes"), Some(Value::List(_)));
        let known = if is_list { 0 } else { counts[0] as usize };
        let (path, arrays) = match source.name.as_str() {
            "npy" => single(source, places)?,
            _ => archived(source, places)?,
        };
        let (mut train, mut tests) = (Vec::new(), Vec::new());
        for (name, path, bytes) in arrays {
            let fault = |fault: String| Error::bad_file(&path, format!("`{name}`: {fault}"));
            let own = name.strip_prefix(TEST);
            let column = column(own.unwrap_or(&name), &bytes, known).map_err(fault)?;
            match own {
                Some(_) => tests.push(column),
                None => train.push(column),
            }
        }
        let fault = |fault: String| Error::bad_file(&path, fault);
        equally_long(&train).map_err(fault)?;
        equally_long(&tests).map_err(fault)?;
        if is_list {
            count_each(source, &mut train, &mut tests, &counts)?;
        }
        let test = match tests.is_empty() {
            true => tests,
            false => paired(&mut train, &tests).map_err(fault)?,
        };
        Ok(Arrays { path, train, test })
    }
}

/// Gives each array of classes a number of its own, and the test's the same.
fn count_each(
    source: &Call,
    train: &mut [Column],
    tests: &mut [Column],
    counts: &[i64],
) -> Result<()> {
    let classes = train
        .iter_mut()
        .filter(|column| column.field.classes.is_some());
    let mut classes: Vec<&mut Column> = classes.collect();
    if classes.len() != counts.len() {
        let names = classes
            .iter()
            .map(|column| format!("`{}`", column.field.name));
        let names = names.collect::<Vec<_>>().join(", ");
        let fault = format!(
            "has {} numbers, but the arrays of classes are {names}",
            counts.len()
        );
        return Err(source.wrong("classes", fault));
    }
    for (column, &count) in classes.iter_mut().zip(counts) {
        let name = column.field.name.clone();
        let tests = tests.iter_mut().filter(|test| test.field.name == name);
        for column in std::iter::once(&mut **column).chain(tests) {
            let found = column.field.classes.unwrap_or(0);
            if count > 0 && (count as usize) < found {
                let greatest = found - 1;
                let fault = format!("says {count} for `{name}`, which has the class {greatest}");
                return Err(source.wrong("classes", fault));
            }
            if count > 0 {
                column.field.classes = Some(count as usize);
            }
        }
    }
    Ok(())
}

/// An array's name, the file that it is from, and the bytes of an `.npy` file.
type Array = (String, PathBuf, Vec<u8>);

fn archived(source: &Call, places: &Places) -> Result<(PathBuf, Vec<Array>)> {
    let path = places.find(source.string("file")?)?;
    let bytes = fs::read(&path).map_err(Error::io("read", &path))?;
    if !bytes.starts_with(ARCHIVE) {
        let fault = "expected an .npz archive; a single array is read by `npy(\"x.npy\")`";
        return Err(Error::bad_file(&path, fault));
    }
    let entries = entries(&bytes).map_err(|fault| Error::bad_file(&path, fault))?;
    let arrays = entries
        .into_iter()
        .map(|(name, bytes)| (name, path.clone(), bytes));
    let arrays: Vec<Array> = arrays.collect();
    Ok((path, arrays))
}

fn single(source: &Call, places: &Places) -> Result<(PathBuf, Vec<Array>)> {
    let mut arrays = Vec::new();
    for name in ["x", "y", "test_x", "test_y"] {
        let file = match source.argument(name) {
            None if name != "x" => continue,
            _ => source.string(name)?,
        };
        if file.is_empty() {
            continue;
        }
        let path = places.find(file)?;
        let bytes = fs::read(&path).map_err(Error::io("read", &path))?;
        if bytes.starts_with(ARCHIVE) {
            let fault = "expected one array; an archive is read by `npz(\"batches.npz\")`";
            return Err(Error::bad_file(&path, fault));
        }
        arrays.push((name.to_owned(), path, bytes));
    }
    match arrays.first() {
        Some((_, path, _)) => Ok((path.clone(), arrays)),
        None => Err(source.wrong("x", "names no file")),
    }
}

fn equally_long(columns: &[Column]) -> Result<(), String> {
    let named = |column: &Column| format!("`{}` has {}", column.field.name, column.samples());
    match columns
        .windows(2)
        .find(|pair| pair[0].samples() != pair[1].samples())
    {
        None => Ok(()),
        Some(pair) => Err(format!(
            "expected arrays with equally many rows, but {} and {}",
            named(&pair[0]),
            named(&pair[1])
        )),
    }
}

/// The test's array for each of the others: of the same shape and kind, with classes in common.
fn paired(train: &mut [Column], tests: &[Column]) -> Result<Vec<Column>, String> {
    let mut paired = Vec::new();
    for column in &mut *train {
        let name = &column.field.name;
        let Some(test) = tests.iter().find(|test| test.field.name == *name) else {
            return Err(format!(
                "the test has arrays of its own, but no `{TEST}{name}`"
            ));
        };
        if test.field.shape != column.field.shape
            || test.field.classes.is_some() != column.field.classes.is_some()
        {
            return Err(format!(
                "`{name}` and `{TEST}{name}` differ: {} and {}",
                kind(&column.field),
                kind(&test.field)
            ));
        }
        let classes = column.field.classes.max(test.field.classes);
        column.field.classes = classes;
        let mut test = test.clone();
        test.field.classes = classes;
        paired.push(test);
    }
    match tests
        .iter()
        .find(|test| !train.iter().any(|c| c.field.name == test.field.name))
    {
        None => Ok(paired),
        Some(alone) => {
            let name = &alone.field.name;
            Err(format!("there is `{TEST}{name}`, but no `{name}`"))
        }
    }
}

fn kind(field: &Field) -> String {
    let what = match field.classes {
        Some(_) => "classes",
        None => "numbers",
    };
    format!("{what} of {:?}", field.shape)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::npy::tests::npy;
    use super::*;

    /// As `numpy.savez` writes it: nothing packed, no sums that anyone checks.
    fn zip(files: &[(&str, Vec<u8>)]) -> Vec<u8> {
        let (mut archive, mut directory) = (Vec::new(), Vec::new());
        let u16 = |n: usize| (n as u16).to_le_bytes();
        let u32 = |n: usize| (n as u32).to_le_bytes();
        for (name, content) in files {
            let at = archive.len();
            let sizes = [u32(0), u32(content.len()), u32(content.len())].concat();
            let lengths = [u16(name.len()), u16(0)].concat();
            archive.extend(
                [
                    b"PK\x03\x04".to_vec(),
                    vec![0; 10],
                    sizes.clone(),
                    lengths.clone(),
                ]
                .concat(),
            );
            archive.extend(name.bytes());
            archive.extend(content);
            directory.extend(
                [
                    b"PK\x01\x02".to_vec(),
                    vec![0; 12],
                    sizes,
                    lengths,
                    vec![0; 10],
                ]
                .concat(),
            );
            directory.extend(u32(at));
            directory.extend(name.bytes());
        }
        let start = archive.len();
        archive.extend(&directory);
        archive.extend([b"PK\x05\x06".to_vec(), vec![0; 4]].concat());
        archive.extend([u16(files.len()), u16(files.len())].concat());
        archive.extend([u32(directory.len()), u32(start)].concat());
        archive.extend(u16(0));
        archive
    }

    fn read(bytes: &[u8], classes: i64) -> Result<Dataset> {
        read_as(bytes, Value::Int(classes))
    }

    fn read_as(bytes: &[u8], classes: Value) -> Result<Dataset> {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("b.npz"), bytes).unwrap();
        let source = Call::new("npz").with("file", Value::String("b.npz".into()));
        load(
            &source.with("classes", classes),
            &Places::beside(directory.path()),
        )
    }

    #[test]
    fn each_array_of_classes_can_have_a_number_of_its_own() {
        let archive = zip(&[
            ("tokens.npy", npy(&[2, 3], vec![0_i64, 6, 2, 1, 1, 3])),
            ("weight.npy", npy(&[2], vec![0.5_f32, 1.0])),
            ("label.npy", npy(&[2], vec![1_i64, 0])),
            ("test_label.npy", npy(&[1], vec![1_i64])),
            ("test_weight.npy", npy(&[1], vec![2.0_f32])),
            ("test_tokens.npy", npy(&[1, 3], vec![0_i64, 7, 2])),
        ]);
        let list = |counts: &[i64]| Value::List(counts.iter().map(|&n| Value::Int(n)).collect());
        let data = read_as(&archive, list(&[48, 0])).unwrap();
        for split in [&data.train, &data.test] {
            let classes = split.columns().iter().map(|column| column.field.classes);
            assert!(classes.eq([Some(48), None, Some(2)]));
        }
        let message = |counts| read_as(&archive, list(counts)).unwrap_err().to_string();
        let few = message(&[48]);
        assert!(
            few.contains("the arrays of classes are `tokens`, `label`"),
            "{few}"
        );
        let small = message(&[7, 2]);
        assert!(
            small.contains("says 7 for `tokens`, which has the class 7"),
            "{small}"
        );
    }

    #[test]
    fn two_files_are_x_and_y() {
        let directory = tempfile::tempdir().unwrap();
        let write = |name: &str, bytes| fs::write(directory.path().join(name), bytes).unwrap();
        write("a.npy", npy(&[3, 2], vec![0.5_f32; 6]));
        write("b.npy", npy(&[3], vec![0_i64, 4, 1]));
        write("c.npy", npy(&[2], vec![0_i64, 6]));
        let source = |names: &[(&str, &str)]| {
            names.iter().fold(Call::new("npy"), |call, (name, file)| {
                call.with(name, Value::String((*file).into()))
            })
        };
        let read = |names: &[(&str, &str)]| load(&source(names), &Places::beside(directory.path()));
        let data = read(&[("x", "a.npy"), ("y", "b.npy")]).unwrap();
        let fields = data.train.columns().iter().map(|column| &column.field);
        let expected = [Field::numbers("x", &[2]), Field::classes("y", &[], 5)];
        assert!(fields.eq(&expected));
        assert_eq!(data.test.samples(), 3);
        let data = read(&[("x", "b.npy"), ("test_x", "c.npy")]).unwrap();
        assert_eq!((data.train.samples(), data.test.samples()), (3, 2));
        // The test's classes count too.
        assert_eq!(data.train.columns()[0].field.classes, Some(7));
        let message = |names: &[(&str, &str)]| read(names).unwrap_err().to_string();
        let uneven = message(&[("x", "a.npy"), ("y", "c.npy")]);
        assert!(uneven.contains("but `x` has 3 and `y` has 2"), "{uneven}");
        let other = message(&[("x", "a.npy"), ("test_x", "c.npy")]);
        assert!(
            other.contains("differ: numbers of [2] and classes of []"),
            "{other}"
        );
        let alone = message(&[("x", "a.npy"), ("test_y", "c.npy")]);
        assert!(alone.contains("but no `test_x`"), "{alone}");
    }

    #[test]
    fn arrays_become_fields_in_stored_order() {
        let archive = zip(&[
            (
                "x.npy",
                npy(&[3, 2], vec![0.5_f32, 1.0, 1.5, 2.0, 2.5, 3.0]),
            ),
            ("label.npy", npy(&[3], vec![2_i64, 0, 1])),
        ]);
        let data = read(&archive, 0).unwrap();
        assert!(!data.shuffle);
        assert_eq!((data.train.samples(), data.test.samples()), (3, 3));
        let [x, label] = data.train.columns() else {
            panic!("not two fields")
        };
        assert_eq!(
            (x.field.name.as_str(), x.field.shape.as_slice()),
            ("x", &[2][..])
        );
        assert_eq!(
            (label.field.name.as_str(), label.field.classes),
            ("label", Some(3))
        );
        assert_eq!(
            read(&archive, 7).unwrap().train.columns()[1].field.classes,
            Some(7)
        );
        assert!(
            read(&archive, 2)
                .unwrap_err()
                .to_string()
                .contains("expected classes below 2, found 2")
        );
    }

    #[test]
    fn the_test_may_have_arrays_of_its_own() {
        let rows = |n: u64| npy(&[n, 1], vec![1.0_f64; n as usize]);
        let data = read(&zip(&[("x.npy", rows(4)), ("test_x.npy", rows(2))]), 0).unwrap();
        assert_eq!((data.train.samples(), data.test.samples()), (4, 2));
        assert_eq!(data.test.columns()[0].field.name, "x");
        assert_eq!(data.train.columns().len(), 1);
    }

    #[test]
    fn damage_is_told() {
        let archive = zip(&[("x.npy", npy(&[3, 2], vec![0.5_f32; 6]))]);
        let message = |bytes: &[u8]| read(bytes, 0).unwrap_err().to_string();
        assert!(message(&archive[..archive.len() - 30]).contains("damaged or cut off"));
        let array = npy(&[3, 2], vec![0.5_f32; 6]);
        assert!(message(&array).contains("a single array is read by `npy("));
        let uneven = zip(&[
            ("x.npy", npy(&[3], vec![1.0_f32; 3])),
            ("y.npy", npy(&[2], vec![1.0_f32; 2])),
        ]);
        assert!(message(&uneven).contains("equally many rows"));
        let negative = zip(&[("y.npy", npy(&[2], vec![1_i32, -1]))]);
        assert!(message(&negative).contains("integers are classes from 0, but one is -1"));
    }
}
