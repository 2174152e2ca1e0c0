//! `.npy` arrays as the net's input: one sample, or a batch of them.

use crate::failure::{Failure, Outcome};
use crate::report::shape;
use npyz::{DType, NpyFile, Order, TypeChar};
use std::path::Path;

/// An array in memory, row-major.
#[derive(Clone, PartialEq, Debug)]
pub struct Array {
    /// Extent of each axis.
    pub shape: Vec<usize>,
    /// The values.
    pub values: Numbers,
}

/// The values of an array, by what they stand for.
#[derive(Clone, PartialEq, Debug)]
pub enum Numbers {
    /// Unsigned bytes: pixels.
    Bytes(Vec<u8>),
    /// Real numbers.
    Floats(Vec<f32>),
    /// Integers: classes, tokens, or numbers that happen to be whole.
    Integers(Vec<i64>),
}

/// Reads an array of any real type.
pub fn read_array(path: &Path) -> Outcome<Array> {
    let bytes = std::fs::read(path).map_err(|error| {
        Failure::world("io", format!("cannot read `{}`: {error}", path.display()))
    })?;
    parse(&bytes).map_err(|fault| {
        Failure::world("bad-input", format!("`{}`: {fault}", path.display())).into()
    })
}

fn parse(bytes: &[u8]) -> Result<Array, String> {
    let damaged = |error: std::io::Error| format!("not a sound .npy file: {error}");
    let file = NpyFile::new(bytes).map_err(damaged)?;
    if file.order() != Order::C {
        return Err("the array is in Fortran order; save `np.ascontiguousarray(x)` instead".into());
    }
    let DType::Plain(ty) = file.dtype() else {
        return Err("the array has records for elements; save a plain array of numbers".into());
    };
    let size = ty.size_field();
    let extents: Vec<usize> = file.shape().iter().map(|&extent| extent as usize).collect();
    // A header may promise more than the file holds; believe the file.
    let promised = extents
        .iter()
        .try_fold(size as usize, |bytes, &extent| bytes.checked_mul(extent));
    if promised.is_none_or(|promised| promised > bytes.len()) {
        return Err(format!(
            "the file ends before the {} elements that it promises",
            shape(&extents)
        ));
    }
    macro_rules! read {
        ($from:ty, $to:ty) => {
            file.into_vec::<$from>()
                .map_err(damaged)?
                .into_iter()
                .map(|value| value as $to)
                .collect()
        };
    }
    let values = match (ty.type_char(), size) {
        (TypeChar::Float, 4) => Numbers::Floats(file.into_vec().map_err(damaged)?),
        (TypeChar::Float, 8) => Numbers::Floats(read!(f64, f32)),
        (TypeChar::Uint, 1) => Numbers::Bytes(file.into_vec().map_err(damaged)?),
        (TypeChar::Uint, 2) => Numbers::Integers(read!(u16, i64)),
        (TypeChar::Uint, 4) => Numbers::Integers(read!(u32, i64)),
        (TypeChar::Uint, 8) => Numbers::Integers(read!(u64, i64)),
        (TypeChar::Int, 1) => Numbers::Integers(read!(i8, i64)),
        (TypeChar::Int, 2) => Numbers::Integers(read!(i16, i64)),
        (TypeChar::Int, 4) => Numbers::Integers(read!(i32, i64)),
        (TypeChar::Int, 8) => Numbers::Integers(file.into_vec().map_err(damaged)?),
        _ => {
            return Err(format!(
                "elements of type `{ty}` are not supported; save `x.astype(np.float32)`"
            ));
        }
    };
    Ok(Array {
        shape: extents,
        values,
    })
}

impl Array {
    /// How many samples of this shape the array holds: `shape` itself is one,
    /// `[n] + shape` are n.
    pub fn samples_of(&self, sample: &[usize]) -> Result<usize, String> {
        if self.shape == sample {
            return Ok(1);
        }
        match self.shape.split_first() {
            Some((&0, rest)) if rest == sample => Err("the array is empty".into()),
            Some((&count, rest)) if rest == sample => Ok(count),
            _ => {
                let sizes = sample.iter().map(usize::to_string);
                let batch: Vec<String> = ["n".to_owned()].into_iter().chain(sizes).collect();
                Err(format!(
                    "the net reads {} (or a batch, [{}]), but the array is {}",
                    shape(sample),
                    batch.join(", "),
                    shape(&self.shape)
                ))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use npyz::WriterBuilder;

    fn npy<T: npyz::AutoSerialize + npyz::Serialize + Copy>(
        shape: &[u64],
        values: &[T],
        order: Order,
    ) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut writer = npyz::WriteOptions::new()
            .default_dtype()
            .order(order)
            .shape(shape)
            .writer(&mut bytes)
            .begin_nd()
            .unwrap();
        writer.extend(values.iter().copied()).unwrap();
        writer.finish().unwrap();
        bytes
    }

    #[test]
    fn numbers_of_any_width_are_read() {
        let array = |values| Array {
            shape: vec![2],
            values,
        };
        let of = |bytes: Vec<u8>| parse(&bytes).unwrap();
        assert_eq!(
            of(npy(&[2], &[1.5_f32, -2.0], Order::C)),
            array(Numbers::Floats(vec![1.5, -2.0]))
        );
        assert_eq!(
            of(npy(&[2], &[1.5_f64, -2.0], Order::C)),
            array(Numbers::Floats(vec![1.5, -2.0]))
        );
        assert_eq!(
            of(npy(&[2], &[0_u8, 255], Order::C)),
            array(Numbers::Bytes(vec![0, 255]))
        );
        assert_eq!(
            of(npy(&[2], &[-3_i16, 7], Order::C)),
            array(Numbers::Integers(vec![-3, 7]))
        );
        assert_eq!(
            of(npy(&[2], &[-3_i64, 7], Order::C)),
            array(Numbers::Integers(vec![-3, 7]))
        );
    }

    #[test]
    fn a_sample_and_a_batch_fit_and_nothing_else() {
        let array = |shape: &[usize]| Array {
            shape: shape.to_vec(),
            values: Numbers::Bytes(vec![0; shape.iter().product()]),
        };
        assert_eq!(array(&[1, 28, 28]).samples_of(&[1, 28, 28]), Ok(1));
        assert_eq!(array(&[5, 1, 28, 28]).samples_of(&[1, 28, 28]), Ok(5));
        assert_eq!(array(&[5]).samples_of(&[]), Ok(5));
        let fault = array(&[28, 28, 1]).samples_of(&[1, 28, 28]).unwrap_err();
        assert_eq!(
            fault,
            "the net reads [1, 28, 28] (or a batch, [n, 1, 28, 28]), but the array is [28, 28, 1]"
        );
        let fault = array(&[3, 4]).samples_of(&[]).unwrap_err();
        assert!(fault.contains("reads [] (or a batch, [n]), but"), "{fault}");
        assert!(
            array(&[0, 3])
                .samples_of(&[3])
                .unwrap_err()
                .contains("empty")
        );
    }

    #[test]
    fn broken_files_are_refused() {
        assert!(parse(b"hello").is_err());
        let whole = npy(&[4], &[1.0_f32; 4], Order::C);
        assert!(parse(&whole[..whole.len() - 20]).is_err());
        let fault = parse(&npy(&[2, 2], &[1.0_f32; 4], Order::Fortran)).unwrap_err();
        assert!(fault.contains("Fortran"), "{fault}");
    }
}
