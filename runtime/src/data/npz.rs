//! NumPy's files: an archive of arrays whose first axis counts samples, in stored order, so
//! that a run can read the very batches that another framework read.

use super::find::Places;
use super::{Affine, Call, Column, Dataset, Field, Provenance, Split, Values};
use crate::error::{Error, Result};
use flate2::read::DeflateDecoder;
use npyz::{DType, NpyFile, TypeChar};
use std::fs;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

/// Arrays of this prefix are the test's; without any, the training samples are.
const TEST: &str = "test_";

/// One field for each array that is not the test's.
pub(super) fn fields(source: &Call, places: &Places) -> Result<Vec<Field>> {
    let columns = columns(source, &places.find(source.string("file")?)?)?;
    let fields = columns.into_iter().map(|column| column.field);
    Ok(fields
        .filter(|field| !field.name.starts_with(TEST))
        .collect())
}

/// All arrays of the file.
pub(super) fn load(source: &Call, places: &Places) -> Result<Dataset> {
    let path = places.find(source.string("file")?)?;
    let (test, train): (Vec<Column>, Vec<Column>) = columns(source, &path)?
        .into_iter()
        .partition(|column| column.field.name.starts_with(TEST));
    let equal = |columns: &[Column]| {
        columns
            .windows(2)
            .all(|pair| pair[0].samples() == pair[1].samples())
    };
    if train.is_empty() || !equal(&train) || !equal(&test) {
        return Err(Error::bad_file(
            &path,
            "expected arrays with equally many rows",
        ));
    }
    let train = Split::new(train);
    let test = match test.is_empty() {
        true => train.clone(),
        false => Split::new(
            test.into_iter()
                .map(|mut column| {
                    column.field.name.drain(..TEST.len());
                    column
                })
                .collect(),
        ),
    };
    Ok(Dataset {
        train,
        valid: None,
        test,
        shuffle: false,
        provenance: Provenance::Files(path),
    })
}

/// `.npz` by the names in it; a single `.npy` is `x`.
fn columns(source: &Call, path: &Path) -> Result<Vec<Column>> {
    let bytes = fs::read(path).map_err(Error::io("read", path))?;
    let damaged = |fault: String| Error::bad_file(path, fault);
    let arrays = match bytes.starts_with(b"PK") {
        true => entries(&bytes).map_err(damaged)?,
        false => vec![("x".to_owned(), bytes)],
    };
    let known = source.int("classes", 0, 0, i64::from(i32::MAX))? as usize;
    let mut columns = Vec::new();
    for (name, bytes) in arrays {
        let column = column(&name, &bytes, known);
        columns.push(column.map_err(|fault| damaged(format!("`{name}`: {fault}")))?);
    }
    Ok(columns)
}

/// Real numbers as they are, bytes as pixels, other integers as classes.
fn column(name: &str, bytes: &[u8], known: usize) -> Result<Column, String> {
    let file = NpyFile::new(bytes).map_err(|error| error.to_string())?;
    let shape = file.shape().to_vec();
    let [rows, shape @ ..] = shape.as_slice() else {
        return Err("expected rows, found a single number".into());
    };
    if *rows == 0 || shape.contains(&0) || file.order() != npyz::Order::C {
        return Err("expected elements in row-major order, found none or others".into());
    }
    let DType::Plain(kind) = file.dtype() else {
        return Err("expected numbers, found records".into());
    };
    let whole = |error: std::io::Error| format!("truncated: {error}");
    let (kind, size) = (kind.type_char(), kind.size_field());
    // A header may promise more than the file holds; believe the file.
    let promised = file
        .shape()
        .iter()
        .try_fold(size, |bytes, &extent| bytes.checked_mul(extent));
    if promised.is_none_or(|promised| promised > bytes.len() as u64) {
        return Err("truncated: it ends before the elements that it promises".into());
    }
    let (values, classes) = match (kind, size) {
        (TypeChar::Float, 4) => (floats(file.into_vec::<f32>().map_err(whole)?), None),
        (TypeChar::Float, 8) => {
            let doubles = file.into_vec::<f64>().map_err(whole)?;
            (
                floats(doubles.into_iter().map(|x| x as f32).collect()),
                None,
            )
        }
        (TypeChar::Uint, 1) => {
            let bytes = file.into_vec::<u8>().map_err(whole)?;
            (Values::Bytes(Arc::new(bytes), Affine::unit_bytes()), None)
        }
        (TypeChar::Int, 4) => {
            let numbers = file.into_vec::<i32>().map_err(whole)?;
            counted(numbers.into_iter().map(i64::from), known)?
        }
        (TypeChar::Int, 8) => counted(file.into_vec::<i64>().map_err(whole)?.into_iter(), known)?,
        _ => return Err("expected f4, f8, u1, i4 or i8".into()),
    };
    let field = Field {
        name: name.to_owned(),
        shape: shape.iter().map(|&size| size as usize).collect(),
        classes,
    };
    Ok(Column { field, values })
}

fn floats(values: Vec<f32>) -> Values {
    Values::Floats(Arc::new(values), Affine::identity())
}

/// Classes, as many as the source says, or one more than the greatest.
fn counted(
    numbers: impl Iterator<Item = i64>,
    known: usize,
) -> Result<(Values, Option<usize>), String> {
    let classes: Option<Vec<i32>> = numbers
        .map(|number| i32::try_from(number).ok().filter(|class| *class >= 0))
        .collect();
    let classes = classes.ok_or("expected classes from 0, found another integer")?;
    let least = classes.iter().max().map_or(1, |&most| most as usize + 1);
    if known != 0 && known < least {
        return Err(format!(
            "expected classes below {known}, found {}",
            least - 1
        ));
    }
    Ok((Values::Classes(Arc::new(classes)), Some(known.max(least))))
}

/// The files of a zip archive, by its directory at the end (PKWARE's APPNOTE, section 4.3).
fn entries(archive: &[u8]) -> Result<Vec<(String, Vec<u8>)>, String> {
    const END: &[u8] = b"PK\x05\x06";
    const END_BYTES: usize = 22;
    const ENTRY_BYTES: usize = 46;
    const LOCAL_BYTES: usize = 30;
    let damaged = || "the archive's directory is damaged or cut off".to_owned();
    let u16_at = |at: usize| {
        let bytes = archive.get(at..at + 2).ok_or_else(damaged)?;
        Ok::<usize, String>(usize::from(u16::from_le_bytes([bytes[0], bytes[1]])))
    };
    let u32_at = |at: usize| Ok::<usize, String>(u16_at(at)? | u16_at(at + 2)? << 16);
    let starts = 0..archive.len().saturating_sub(END_BYTES - 1);
    let end = starts
        .rev()
        .find(|&at| archive[at..].starts_with(END))
        .ok_or_else(damaged)?;
    let (count, mut at) = (u16_at(end + 10)?, u32_at(end + 16)?);
    let mut files = Vec::new();
    for _ in 0..count {
        let (method, packed, size) = (u16_at(at + 10)?, u32_at(at + 20)?, u32_at(at + 24)?);
        let (name_bytes, extra, comment) = (u16_at(at + 28)?, u16_at(at + 30)?, u16_at(at + 32)?);
        let local = u32_at(at + 42)?;
        let name = archive
            .get(at + ENTRY_BYTES..at + ENTRY_BYTES + name_bytes)
            .ok_or_else(damaged)?;
        let name = String::from_utf8_lossy(name)
            .trim_end_matches(".npy")
            .to_owned();
        let start = local + LOCAL_BYTES + u16_at(local + 26)? + u16_at(local + 28)?;
        let content = archive.get(start..start + packed).ok_or_else(damaged)?;
        let content = match method {
            0 => content.to_vec(),
            8 => {
                let mut unpacked = Vec::new();
                let mut decoder = DeflateDecoder::new(content).take(size as u64);
                decoder
                    .read_to_end(&mut unpacked)
                    .map_err(|error| error.to_string())?;
                unpacked
            }
            other => return Err(format!("`{name}` is packed by an unknown method, {other}")),
        };
        if content.len() != size {
            return Err(format!(
                "expected {size} bytes of `{name}`, found {}",
                content.len()
            ));
        }
        files.push((name, content));
        at += ENTRY_BYTES + name_bytes + extra + comment;
    }
    Ok(files)
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
        let source = Call::new("npz")
            .with("file", Value::String("b.npz".into()))
            .with("classes", Value::Int(classes));
        let model = Some(directory.path().to_path_buf());
        load(
            &source,
            &Places {
                directory: None,
                model,
            },
        )
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
        assert!(message(&array[..array.len() - 4]).contains("truncated"));
        assert!(message(b"nothing of the kind").contains("`x`: "));
        let uneven = zip(&[
            ("x.npy", npy(&[3], vec![1.0_f32; 3])),
            ("y.npy", npy(&[2], vec![1.0_f32; 2])),
        ]);
        assert!(message(&uneven).contains("equally many rows"));
        let negative = zip(&[("y.npy", npy(&[2], vec![1_i32, -1]))]);
        assert!(message(&negative).contains("expected classes from 0"));
    }
}
