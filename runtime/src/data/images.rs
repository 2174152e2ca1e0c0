//! Photographs in folders: one folder per class, PNG and JPEG files of any size, which are
//! brought to one.

use super::csv::{held_out, test_part};
use super::find::Places;
use super::mnist::labelled_images;
use super::{Call, Dataset, Field, Provenance};
use crate::error::{Error, Result};
use image::imageops::FilterType;
use rayon::prelude::*;
use std::fs;
use std::path::{Path, PathBuf};

/// Pixels of a side; more would not fit into memory in any number.
const LARGEST_SIDE: f64 = 4096.0;

/// `image` and `label`.
pub(super) fn fields(source: &Call, places: &Places) -> Result<Vec<Field>> {
    test_part(source)?;
    let folder = places.find(source.string("folder")?)?;
    described(source, classes(&training(&folder))?.len())
}

/// `FOLDER/CLASS/*`, of which some are kept for the test; or `FOLDER/train/CLASS/*` and
/// `FOLDER/test/CLASS/*`.
pub(super) fn load(source: &Call, places: &Places) -> Result<Dataset> {
    let folder = places.find(source.string("folder")?)?;
    let names = classes(&training(&folder))?;
    let read = |folder: &Path| {
        let (pixels, labels) = decoded(source, folder, &names)?;
        Ok::<_, Error>(labelled_images(
            described(source, names.len())?,
            pixels,
            labels,
        ))
    };
    let all = read(&training(&folder))?;
    let own_test = folder.join("test");
    let (train, test) = match own_test.is_dir() {
        true => (all, read(&own_test)?),
        false => held_out(source, &all)?,
    };
    Ok(Dataset {
        train,
        valid: None,
        test,
        shuffle: true,
        provenance: Provenance::Files(folder),
    })
}

fn training(folder: &Path) -> PathBuf {
    let own = folder.join("train");
    if own.is_dir() {
        own
    } else {
        folder.to_path_buf()
    }
}

fn described(source: &Call, classes: usize) -> Result<Vec<Field>> {
    let [height, width] = size(source)?;
    Ok(vec![
        Field::numbers("image", &[3, height, width]),
        Field::classes("label", &[], classes),
    ])
}

fn size(source: &Call) -> Result<[usize; 2]> {
    let sides = source.floats("size")?;
    let whole = |side: &f64| side.fract() == 0.0 && (1.0..=LARGEST_SIDE).contains(side);
    match sides.as_slice() {
        [h, w] if whole(h) && whole(w) => Ok([*h as usize, *w as usize]),
        _ => Err(source.wrong(
            "size",
            format!(
                "must be a height and a width of at most {LARGEST_SIDE}, as in `size: [224, 224]`"
            ),
        )),
    }
}

/// The folders, in the order of their labels.
fn classes(folder: &Path) -> Result<Vec<String>> {
    let mut names: Vec<String> = listed(folder)?
        .into_iter()
        .filter(|path| path.is_dir())
        .filter_map(|path| Some(path.file_name()?.to_str()?.to_owned()))
        .collect();
    names.sort_unstable();
    match names.len() {
        0..=1 => Err(Error::NoData(format!(
            "`{}` has {} folders; images need one for each of at least two classes",
            folder.display(),
            names.len()
        ))),
        // Labels are bytes.
        257.. => Err(Error::NoData(format!(
            "`{}` has more than 256 classes",
            folder.display()
        ))),
        _ => Ok(names),
    }
}

fn listed(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).map_err(Error::io("read", folder))?;
    let mut paths = Vec::new();
    for entry in entries {
        paths.push(entry.map_err(Error::io("read", folder))?.path());
    }
    paths.sort_unstable();
    Ok(paths)
}

fn decoded(source: &Call, folder: &Path, names: &[String]) -> Result<(Vec<u8>, Vec<u8>)> {
    let size = size(source)?;
    let mut files: Vec<(u8, PathBuf)> = Vec::new();
    for (label, name) in names.iter().enumerate() {
        let kind = |path: &PathBuf| {
            let extension = path
                .extension()
                .and_then(|e| e.to_str())
                .unwrap_or_default();
            ["png", "jpg", "jpeg"].contains(&extension.to_ascii_lowercase().as_str())
        };
        let inside = listed(&folder.join(name))?.into_iter().filter(kind);
        let before = files.len();
        files.extend(inside.map(|path| (label as u8, path)));
        if files.len() == before {
            let empty = folder.join(name);
            return Err(Error::NoData(format!(
                "`{}` holds no PNG or JPEG file",
                empty.display()
            )));
        }
    }
    let decoded: Result<Vec<Vec<u8>>> = files
        .par_iter()
        .map(|(_, path)| planes(path, size))
        .collect();
    Ok((
        decoded?.concat(),
        files.iter().map(|(label, _)| *label).collect(),
    ))
}

/// Red, green and blue planes.
fn planes(path: &Path, [height, width]: [usize; 2]) -> Result<Vec<u8>> {
    let bytes = fs::read(path).map_err(Error::io("read", path))?;
    let image = image::load_from_memory(&bytes)
        .map_err(|error| Error::bad_file(path, format!("expected a picture: {error}")))?;
    let (h, w) = (height as u32, width as u32);
    let image = match (image.height(), image.width()) == (h, w) {
        true => image.into_rgb8(),
        false => image.resize_exact(w, h, FilterType::Triangle).into_rgb8(),
    };
    let channel = |c: usize| image.pixels().map(move |pixel| pixel.0[c]);
    Ok((0..3).flat_map(channel).collect())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::{Value, Values};
    use super::*;
    use image::RgbImage;

    fn source(size: &[i64]) -> Call {
        Call::new("images")
            .with("folder", Value::String("pets".into()))
            .with(
                "size",
                Value::List(size.iter().map(|&n| Value::Int(n)).collect()),
            )
            .with("test", Value::Float(0.25))
    }

    fn pets() -> (tempfile::TempDir, Places) {
        let directory = tempfile::tempdir().unwrap();
        for (class, value) in [("cat", 10_u8), ("dog", 200)] {
            let folder = directory.path().join("pets").join(class);
            fs::create_dir_all(&folder).unwrap();
            for name in ["a.png", "b.jpg"] {
                let image = RgbImage::from_pixel(6, 4, image::Rgb([value, value, value]));
                image.save(folder.join(name)).unwrap();
            }
            fs::write(folder.join("notes.txt"), "no picture").unwrap();
        }
        let places = Places::beside(directory.path());
        (directory, places)
    }

    #[test]
    fn folders_are_classes() {
        let (_directory, places) = pets();
        let described = fields(&source(&[8, 8]), &places).unwrap();
        assert_eq!(
            (described[0].shape.as_slice(), described[1].classes),
            (&[3, 8, 8][..], Some(2))
        );
        let data = load(&source(&[8, 8]), &places).unwrap();
        assert_eq!((data.train.samples(), data.test.samples()), (3, 1));
        let Values::Bytes(pixels, _) = &data.train.columns()[0].values else {
            panic!("no pixels")
        };
        assert_eq!(pixels.len(), 4 * 3 * 8 * 8);
        let near = |pixel: u8, value: u8| pixel.abs_diff(value) < 3;
        assert!(
            pixels[..384].iter().all(|&p| near(p, 10))
                && pixels[384..].iter().all(|&p| near(p, 200))
        );
    }

    #[test]
    fn what_is_no_picture_is_told() {
        let (directory, places) = pets();
        let message = |source: &Call| load(source, &places).unwrap_err().to_string();
        assert!(message(&source(&[8])).contains("`size` must be a height and a width"));
        let cats = directory.path().join("pets/cat");
        fs::write(cats.join("c.png"), "not a picture").unwrap();
        assert!(message(&source(&[8, 8])).contains("expected a picture"));
        fs::remove_dir_all(&cats).unwrap();
        assert!(message(&source(&[8, 8])).contains("has 1 folders; images need one for each"));
    }
}
