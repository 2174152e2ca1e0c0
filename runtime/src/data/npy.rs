//! One NumPy array as a field of the samples.

use super::{Affine, Column, Field, Values};
use npyz::{DType, Deserialize, NpyFile, Order, TypeChar};
use std::io::ErrorKind;
use std::sync::Arc;

/// Real numbers as they are, bytes as pixels, truth as 0 and 1, other integers as classes.
pub(super) fn column(name: &str, bytes: &[u8], known: usize) -> Result<Column, String> {
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
pub(super) mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    pub fn npy<T: npyz::Serialize + npyz::AutoSerialize>(shape: &[u64], values: Vec<T>) -> Vec<u8> {
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
    fn damage_is_told() {
        let of_array = |bytes: &[u8]| column("x", bytes, 0).err().unwrap();
        let array = npy(&[3, 2], vec![0.5_f32; 6]);
        assert!(of_array(&array[..array.len() - 4]).contains("truncated"));
        assert!(of_array(b"nothing of the kind").contains("magic not found"));
        let nan = npy(&[3, 2], vec![0.5, 0.5, 0.5, f32::NAN, 0.5, 0.5]);
        assert!(of_array(&nan).contains("sample 1 holds NaN"));
        assert!(column("a b", &array, 0).unwrap_err().contains("cannot say"));
    }
}
