//! Pictures as the net's input: channels, size and polarity of what it was trained on.

use crate::failure::{Failure, Outcome};
use crate::report::Report;
use image::imageops::{self, FilterType};
use image::{DynamicImage, GrayImage, ImageReader, RgbImage, Rgba};
use std::path::Path;

/// Data sources whose pictures are bright strokes on black.
const BRIGHT_ON_BLACK: [&str; 2] = ["mnist", "digits"];

/// How a net reads pictures.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PictureForm {
    channels: Channels,
    height: u32,
    width: u32,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Channels {
    Grey,
    Rgb,
}

impl PictureForm {
    /// The form of an input of this shape, if pictures have such: `[1, h, w]`, `[h, w]`
    /// or `[3, h, w]`.
    pub fn of(shape: &[usize]) -> Option<PictureForm> {
        let (channels, height, width) = match *shape {
            [height, width] | [1, height, width] => (Channels::Grey, height, width),
            [3, height, width] => (Channels::Rgb, height, width),
            _ => return None,
        };
        Some(PictureForm {
            channels,
            height: u32::try_from(height).ok()?,
            width: u32::try_from(width).ok()?,
        })
    }
}

/// Reads a picture as bytes `[c, h, w]`, and says what had to be changed.
pub fn read_picture(
    path: &Path,
    form: PictureForm,
    source: &str,
    report: &Report,
) -> Outcome<Vec<u8>> {
    let picture = over_white(decode(path)?);
    let (width, height) = (picture.width(), picture.height());
    if width == 0 || height == 0 {
        return Err(
            Failure::world("bad-input", format!("`{}` has no pixels", path.display())).into(),
        );
    }
    let resized = (width, height) != (form.width, form.height);
    if resized {
        report.note(format!(
            "`{}` is {width} x {height}; resized to {} x {}",
            path.display(),
            form.width,
            form.height
        ));
    }
    Ok(match form.channels {
        Channels::Rgb => planes(&match resized {
            true => imageops::resize(
                &picture.to_rgb8(),
                form.width,
                form.height,
                FilterType::Triangle,
            ),
            false => picture.to_rgb8(),
        }),
        Channels::Grey => {
            let mut grey = picture.to_luma8();
            if BRIGHT_ON_BLACK.contains(&source) && has_bright_border(&grey) {
                imageops::invert(&mut grey);
                report.note(format!(
                    "`{}` is dark on bright, {source} is bright on black; inverted",
                    path.display()
                ));
            }
            match resized {
                true => imageops::resize(&grey, form.width, form.height, FilterType::Triangle)
                    .into_raw(),
                false => grey.into_raw(),
            }
        }
    })
}

fn decode(path: &Path) -> Outcome<DynamicImage> {
    let unreadable =
        |error| Failure::world("io", format!("cannot read `{}`: {error}", path.display()));
    // By the content, whatever the file is called.
    let file = std::fs::File::open(path).map_err(unreadable)?;
    let reader = ImageReader::new(std::io::BufReader::new(file))
        .with_guessed_format()
        .map_err(unreadable)?;
    if reader.format().is_none() {
        let fault = format!(
            "`{}` is neither a PNG nor a JPEG image nor an .npy array",
            path.display()
        );
        return Err(Failure::world("bad-input", fault).into());
    }
    let picture = reader.decode().map_err(|error| {
        Failure::world(
            "bad-input",
            format!("`{}` is damaged: {error}", path.display()),
        )
    })?;
    Ok(picture)
}

/// What is transparent becomes white, as on a page.
fn over_white(picture: DynamicImage) -> DynamicImage {
    if !picture.color().has_alpha() {
        return picture;
    }
    let mut pixels = picture.to_rgba8();
    for Rgba([r, g, b, alpha]) in pixels.pixels_mut() {
        let cover = |value: u8| {
            let (value, alpha) = (u32::from(value), u32::from(*alpha));
            ((value * alpha + 255 * (255 - alpha) + 127) / 255) as u8
        };
        (*r, *g, *b) = (cover(*r), cover(*g), cover(*b));
        *alpha = 255;
    }
    DynamicImage::ImageRgba8(pixels)
}

fn has_bright_border(grey: &GrayImage) -> bool {
    let (right, bottom) = (grey.width() - 1, grey.height() - 1);
    let border = grey
        .enumerate_pixels()
        .filter(|(x, y, _)| *x == 0 || *y == 0 || *x == right || *y == bottom);
    let (sum, count) = border.fold((0, 0), |(sum, count), (_, _, pixel)| {
        (sum + u64::from(pixel.0[0]), count + 1)
    });
    sum > 127 * count
}

/// From interleaved `[h, w, c]` to `[c, h, w]`.
fn planes(picture: &RgbImage) -> Vec<u8> {
    (0..3)
        .flat_map(|channel| picture.pixels().map(move |pixel| pixel.0[channel]))
        .collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::cli::{ErrorFormat, OutputOptions, When};
    use image::{Luma, Rgb, RgbaImage};

    fn silent() -> Report {
        Report::new(&OutputOptions {
            color: When::Never,
            quiet: true,
            error_format: ErrorFormat::Human,
        })
    }

    fn read(picture: impl Into<DynamicImage>, shape: &[usize], source: &str) -> Vec<u8> {
        let file = tempfile::Builder::new().suffix(".png").tempfile().unwrap();
        picture.into().save(file.path()).unwrap();
        read_picture(
            file.path(),
            PictureForm::of(shape).unwrap(),
            source,
            &silent(),
        )
        .unwrap()
    }

    #[test]
    fn shapes_that_are_pictures() {
        assert!(PictureForm::of(&[1, 28, 28]).is_some() && PictureForm::of(&[3, 32, 32]).is_some());
        assert_eq!(PictureForm::of(&[28, 28]), PictureForm::of(&[1, 28, 28]));
        assert!(PictureForm::of(&[784]).is_none() && PictureForm::of(&[2, 28, 28]).is_none());
    }

    #[test]
    fn a_picture_of_the_right_form_is_read_as_it_is() {
        let grey = GrayImage::from_fn(3, 2, |x, y| Luma([(10 * y + x) as u8]));
        assert_eq!(read(grey, &[1, 2, 3], "mnist"), [0, 1, 2, 10, 11, 12]);
        let colour = RgbImage::from_fn(2, 1, |x, _| Rgb([x as u8, 100, 200 + x as u8]));
        assert_eq!(
            read(colour, &[3, 1, 2], "cifar10"),
            [0, 1, 100, 100, 200, 201]
        );
    }

    #[test]
    fn dark_digits_are_inverted_for_sources_that_are_bright_on_black() {
        let digit = GrayImage::from_fn(3, 3, |x, y| Luma([if (x, y) == (1, 1) { 0 } else { 255 }]));
        let inverted = [0, 0, 0, 0, 255, 0, 0, 0, 0];
        assert_eq!(read(digit.clone(), &[3, 3], "mnist"), inverted);
        assert_eq!(read(digit, &[3, 3], "photos")[0], 255);
        let drawn = RgbaImage::from_fn(3, 3, |x, y| {
            Rgba([0, 0, 0, if (x, y) == (1, 1) { 255 } else { 0 }])
        });
        assert_eq!(read(drawn, &[3, 3], "digits"), inverted);
    }

    #[test]
    fn a_larger_picture_is_averaged_down() {
        let checks = GrayImage::from_fn(56, 56, |x, y| {
            Luma([if (x + y) % 2 == 0 { 0 } else { 200 }])
        });
        let small = read(checks, &[1, 28, 28], "photos");
        assert_eq!(small.len(), 28 * 28);
        assert!(
            small.iter().all(|&value| (90..=110).contains(&value)),
            "{small:?}"
        );
    }

    #[test]
    fn what_is_no_picture_is_refused() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "not a picture").unwrap();
        let form = PictureForm::of(&[28, 28]).unwrap();
        assert!(read_picture(file.path(), form, "mnist", &silent()).is_err());
        std::fs::write(file.path(), b"\x89PNG\r\n\x1a\nbroken").unwrap();
        assert!(read_picture(file.path(), form, "mnist", &silent()).is_err());
    }
}
