//! Pictures of what the nets make, as a grid for each epoch: `pictures/fake-003.png`.

use crate::error::{Error, Result};
use crate::files::write_atomically;
use image::{DynamicImage, GrayImage, ImageFormat, RgbImage};
use std::fs;
use std::io::Cursor;
use std::path::{Path, PathBuf};

/// Where they lie within a run's directory.
pub const PICTURES: &str = "pictures";

/// How many samples a grid shows at most.
pub(super) const MOST_SHOWN: usize = 64;

/// Between two pictures of a grid.
const GAP: usize = 2;

/// The brightness between pictures.
const BACKGROUND: u8 = 128;

/// One picture per sample; black is 0, white 1, and what lies outside is cut off.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Pictures {
    pub name: String,
    pub samples: usize,
    pub channels: usize,
    pub height: usize,
    pub width: usize,
    /// `[samples, channels, height, width]`
    pub values: Vec<f32>,
}

impl Pictures {
    /// Of a tensor of `[n, h, w]`, `[n, 1, h, w]` or `[n, 3, h, w]`.
    pub fn new(name: &str, shape: &[usize], values: &[f32]) -> Pictures {
        let (samples, channels, height, width) = match *shape {
            [samples, height, width] => (samples, 1, height, width),
            [samples, channels @ (1 | 3), height, width] => (samples, channels, height, width),
            _ => panic!("runtime: {name} of {shape:?} is no picture"),
        };
        Pictures {
            name: name.to_owned(),
            samples,
            channels,
            height,
            width,
            values: values.to_vec(),
        }
    }

    /// Writes the grid of an epoch and returns where it is.
    pub fn write(&self, directory: &Path, epoch: usize) -> Result<PathBuf> {
        let folder = directory.join(PICTURES);
        fs::create_dir_all(&folder).map_err(Error::io("create", &folder))?;
        let path = folder.join(format!("{}-{epoch:03}.png", self.name));
        let mut bytes = Cursor::new(Vec::new());
        match self.grid().write_to(&mut bytes, ImageFormat::Png) {
            Ok(()) => write_atomically(&path, bytes.get_ref())?,
            Err(error) => panic!("runtime: cannot encode {}: {error}", path.display()),
        }
        Ok(path)
    }

    /// All pictures in rows of equal length, as square as can be.
    fn grid(&self) -> DynamicImage {
        let columns = (1..).find(|n| n * n >= self.samples).unwrap_or(1);
        let rows = self.samples.div_ceil(columns);
        let width = columns * (self.width + GAP) - GAP;
        let height = rows * (self.height + GAP) - GAP;
        let mut bytes = vec![BACKGROUND; width * height * self.channels];
        let mut values = self.values.iter();
        for sample in 0..self.samples {
            let left = sample % columns * (self.width + GAP);
            let top = sample / columns * (self.height + GAP);
            for channel in 0..self.channels {
                for y in 0..self.height {
                    let row = &mut bytes[((top + y) * width + left) * self.channels..];
                    for (x, value) in values.by_ref().take(self.width).enumerate() {
                        row[x * self.channels + channel] = brightness(*value);
                    }
                }
            }
        }
        let (width, height) = (width as u32, height as u32);
        let image = match self.channels {
            1 => GrayImage::from_raw(width, height, bytes).map(DynamicImage::from),
            _ => RgbImage::from_raw(width, height, bytes).map(DynamicImage::from),
        };
        match image {
            Some(image) => image,
            None => unreachable!("there are as many bytes as the grid has"),
        }
    }
}

/// Not a number is black.
fn brightness(value: f32) -> u8 {
    (value.clamp(0.0, 1.0) * 255.0).round() as u8
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_grid_shows_each_sample_in_its_place() {
        let values: Vec<f32> = (0..3 * 3 * 2 * 4).map(|i| i as f32 / 72.0).collect();
        let pictures = Pictures::new("x", &[3, 3, 2, 4], &values);
        let directory = tempfile::tempdir().unwrap();
        let path = pictures.write(directory.path(), 7).unwrap();
        assert!(path.ends_with("pictures/x-007.png"));
        let image = image::open(path).unwrap().to_rgb8();
        assert_eq!(image.dimensions(), (2 * 4 + GAP as u32, 2 * 2 + GAP as u32));
        // Sample 2 stands below the first; its pixel (1, 0) has one value per channel.
        let expected = [0, 1, 2].map(|c| brightness(values[2 * 24 + c * 8 + 1]));
        assert_eq!(image.get_pixel(1, 2 + GAP as u32).0, expected);
        assert_eq!(image.get_pixel(4, 0).0, [BACKGROUND; 3]);
    }

    #[test]
    fn brightness_is_cut_off() {
        let cases = [(-1.0, 0), (0.0, 0), (0.5, 128), (1.0, 255), (9.0, 255)];
        for (value, expected) in cases {
            assert_eq!(brightness(value), expected);
        }
        assert_eq!(brightness(f32::NAN), 0);
    }
}
