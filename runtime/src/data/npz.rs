//! NumPy's files: arrays whose first axis counts samples, in stored order, so that a run can
//! read the very batches that another framework read. An archive has a field for each array;
//! single arrays are `x` and `y`.

use super::find::Places;
use super::zip::entries;
use super::{Affine, Call, Column, Dataset, Field, Provenance, Split, Values};
use crate::error::{Error, Result};
use npyz::{DType, Deserialize, NpyFile, Order, TypeChar};
use std::fs;
use std::io::ErrorKind;
use std::path::PathBuf;
use std::sync::Arc;

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
        let known = source.int("classes", 0, 0, i64::from(i32::MAX))? as usize;
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
        let test = match tests.is_empty() {
            true => tests,
            false => paired(&mut train, &tests).map_err(fault)?,
        };
        Ok(Arrays { path, train, test })
    }
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

/// Real numbers as they are, bytes as pixels, truth as 0 and 1, other integers as classes.
fn column(name: &str, bytes: &[u8], known: usize) -> Result<Column, String> {
    if !is_name(name) {
        return Err("a model cannot say this name: use letters, digits and `_`".into());
    }
    let file = NpyFile::new(bytes).map_err(|error| match error.kind() {
        ErrorKind::UnexpectedEof => "truncated: it ends before its header does".into(),
        _ => first_line(&error),
    })?;
    let shape = file.shape().to_vec();
    let [rows, shape @ ..] = shape.as_slice() else {
        return Err("expected rows, one for each sample, found a single number".into());
    };
    if *rows == 0 || shape.contains(&0) {
        return Err("it has no elements".into());
    }
    if file.order() != Order::C {
        return Err(
            "expected row-major order: save `numpy.ascontiguousarray(...)` of the array".into(),
        );
    }
    let DType::Plain(kind) = file.dtype() else {
        return Err("expected numbers, found records".into());
    };
    let (letter, size) = (kind.type_char(), kind.size_field());
    // A header may promise more than the file holds; believe the file.
    let promised = file
        .shape()
        .iter()
        .try_fold(size, |bytes, &extent| bytes.checked_mul(extent));
    if promised.is_none_or(|promised| promised > bytes.len() as u64) {
        return Err("truncated: it ends before the elements that it promises".into());
    }
    let row: u64 = shape.iter().product();
    let (values, classes) = match (letter, size) {
        (TypeChar::Float, 4) => (floats(elements::<f32>(file)?, row)?, None),
        (TypeChar::Float, 8) => {
            let numbers = elements::<f64>(file)?.into_iter().map(|x| x as f32);
            (floats(numbers.collect(), row)?, None)
        }
        (TypeChar::Bool, 1) => {
            let bytes = elements::<bool>(file)?.into_iter().map(u8::from).collect();
            (Values::Bytes(Arc::new(bytes), Affine::identity()), None)
        }
        (TypeChar::Uint, 1) => {
            let bytes = Arc::new(elements::<u8>(file)?);
            (Values::Bytes(bytes, Affine::unit_bytes()), None)
        }
        (TypeChar::Uint, 2) => integers::<u16>(file, known)?,
        (TypeChar::Uint, 4) => integers::<u32>(file, known)?,
        (TypeChar::Uint, 8) => integers::<u64>(file, known)?,
        (TypeChar::Int, 1) => integers::<i8>(file, known)?,
        (TypeChar::Int, 2) => integers::<i16>(file, known)?,
        (TypeChar::Int, 4) => integers::<i32>(file, known)?,
        (TypeChar::Int, 8) => integers::<i64>(file, known)?,
        _ => {
            return Err(format!(
                "expected 32- or 64-bit floats, integers or truth values, found `{kind}`: \
                 convert it, as by `.astype(\"float32\")`"
            ));
        }
    };
    let field = Field {
        name: name.to_owned(),
        shape: shape.iter().map(|&size| size as usize).collect(),
        classes,
    };
    Ok(Column { field, values })
}

/// Whether a model can say it.
fn is_name(name: &str) -> bool {
    let of_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    !name.is_empty() && name.chars().all(of_name) && !name.starts_with(|c: char| c.is_ascii_digit())
}

fn first_line(error: &std::io::Error) -> String {
    let text = error.to_string();
    text.lines().next().unwrap_or_default().trim().to_owned()
}

fn elements<T: Deserialize>(file: NpyFile<&[u8]>) -> Result<Vec<T>, String> {
    file.into_vec()
        .map_err(|error| format!("truncated: {}", first_line(&error)))
}

fn floats(values: Vec<f32>, row: u64) -> Result<Values, String> {
    if let Some(at) = values.iter().position(|value| value.is_nan()) {
        return Err(format!(
            "sample {} holds NaN, which is no number",
            at as u64 / row
        ));
    }
    Ok(Values::Floats(Arc::new(values), Affine::identity()))
}

/// Classes, as many as the source says, or one more than the greatest.
fn integers<T: Deserialize + TryInto<i32> + ToString + Copy>(
    file: NpyFile<&[u8]>,
    known: usize,
) -> Result<(Values, Option<usize>), String> {
    let class = |number: T| match number.try_into() {
        Ok(class @ 0..) => Ok(class),
        _ => Err(format!(
            "integers are classes from 0, but one is {}; save numbers as floats",
            number.to_string()
        )),
    };
    let classes = elements::<T>(file)?.into_iter().map(class);
    let classes: Vec<i32> = classes.collect::<Result<_, _>>()?;
    let least = classes.iter().max().map_or(1, |&most| most as usize + 1);
    if known != 0 && known < least {
        let most = least - 1;
        return Err(format!("expected classes below {known}, found {most}"));
    }
    Ok((Values::Classes(Arc::new(classes)), Some(known.max(least))))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::Value;
    use super::*;

    fn npy<T: npyz::Serialize + npyz::AutoSerialize>(shape: &[u64], values: Vec<T>) -> Vec<u8> {
        use npyz::WriterBuilder;
        let mut bytes = Vec::new();
        let mut writer = npyz::WriteOptions::new()
            .default_dtype()
            .shape(shape)
            .writer(&mut bytes)
            .begin_nd()
            .unwrap();
        writer.extend(values).unwrap();
        writer.finish().unwrap();
        bytes
    }

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
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("b.npz"), bytes).unwrap();
        let source = Call::new("npz").with("file", Value::String("b.npz".into()));
        load(
            &source.with("classes", Value::Int(classes)),
            &Places::beside(directory.path()),
        )
    }

    fn numbers(column: &Column) -> Vec<f32> {
        let mut row = vec![0.0; column.field.shape.iter().product()];
        let mut all = Vec::new();
        for sample in 0..column.samples() {
            let from = sample * row.len()..(sample + 1) * row.len();
            match &column.values {
                Values::Floats(values, map) => map.floats(&values[from], &mut row),
                Values::Bytes(bytes, map) => map.bytes(&bytes[from], &mut row),
                Values::Classes(classes) => row
                    .iter_mut()
                    .zip(&classes[from])
                    .for_each(|(to, &class)| *to = class as f32),
                Values::Windows(..) => panic!("no windows here"),
            }
            all.extend_from_slice(&row);
        }
        all
    }

    /// Whatever the kind of its numbers, an array says the same.
    #[test]
    fn every_kind_of_number_is_read() {
        let floats = [
            npy(&[2, 2], vec![0.0_f32, 1.0, 2.0, 3.0]),
            npy(&[2, 2], vec![0.0_f64, 1.0, 2.0, 3.0]),
        ];
        let classes = [
            npy(&[2, 2], vec![0_i8, 1, 2, 3]),
            npy(&[2, 2], vec![0_i16, 1, 2, 3]),
            npy(&[2, 2], vec![0_i32, 1, 2, 3]),
            npy(&[2, 2], vec![0_i64, 1, 2, 3]),
            npy(&[2, 2], vec![0_u16, 1, 2, 3]),
            npy(&[2, 2], vec![0_u32, 1, 2, 3]),
            npy(&[2, 2], vec![0_u64, 1, 2, 3]),
        ];
        let all = floats.iter().map(|array| (array, None));
        for (array, count) in all.chain(classes.iter().map(|array| (array, Some(4)))) {
            let column = column("x", array, 0).unwrap();
            assert_eq!(numbers(&column), [0.0, 1.0, 2.0, 3.0]);
            assert_eq!(column.field.classes, count);
        }
        let pixels = column("x", &npy(&[2], vec![0_u8, 255]), 0).unwrap();
        assert_eq!(numbers(&pixels), [0.0, 1.0]);
        let truth = column("x", &npy(&[2], vec![false, true]), 0).unwrap();
        assert_eq!(numbers(&truth), [0.0, 1.0]);
        assert_eq!(truth.field.classes, None);
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
        let of_array = |bytes: &[u8]| column("x", bytes, 0).err().unwrap();
        assert!(message(&archive[..archive.len() - 30]).contains("damaged or cut off"));
        let array = npy(&[3, 2], vec![0.5_f32; 6]);
        assert!(of_array(&array[..array.len() - 4]).contains("truncated"));
        assert!(of_array(b"nothing of the kind").contains("magic not found"));
        assert!(message(&array).contains("a single array is read by `npy("));
        let nan = npy(&[3, 2], vec![0.5, 0.5, 0.5, f32::NAN, 0.5, 0.5]);
        assert!(of_array(&nan).contains("sample 1 holds NaN"));
        assert!(column("a b", &array, 0).unwrap_err().contains("cannot say"));
        let uneven = zip(&[
            ("x.npy", npy(&[3], vec![1.0_f32; 3])),
            ("y.npy", npy(&[2], vec![1.0_f32; 2])),
        ]);
        assert!(message(&uneven).contains("equally many rows"));
        let negative = zip(&[("y.npy", npy(&[2], vec![1_i32, -1]))]);
        assert!(message(&negative).contains("integers are classes from 0, but one is -1"));
    }
}
