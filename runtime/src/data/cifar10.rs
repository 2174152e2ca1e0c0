//! CIFAR-10: small photographs of ten kinds (Krizhevsky, Nair, Hinton), from the
//! official archive, from its unpacked files, or from archives of JPEG files.

use super::download::{Content, Remote, RemoteFile};
use super::find::{FileSet, Found, find};
use super::mnist::labelled_images;
use super::{Dataset, Field, Provenance, Request};
use crate::error::{Error, Result};
use flate2::read::MultiGzDecoder;
use image::ImageFormat;
use rayon::prelude::*;
use std::fs::{self, File};
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

const SIDE: usize = 32;
const PLANE: usize = SIDE * SIDE;
const PIXELS: usize = 3 * PLANE;
/// A label, then red, green and blue.
const RECORD: usize = 1 + PIXELS;

/// In the order of their labels.
const CLASSES: [&str; 10] = [
    "airplane",
    "automobile",
    "bird",
    "cat",
    "deer",
    "dog",
    "frog",
    "horse",
    "ship",
    "truck",
];

const OFFICIAL: &str = "cifar-10-binary.tar.gz";
const UNPACKED: &str = "cifar-10-batches-bin";
const TRAIN: [&str; 5] = [
    "data_batch_1.bin",
    "data_batch_2.bin",
    "data_batch_3.bin",
    "data_batch_4.bin",
    "data_batch_5.bin",
];
const TEST: [&str; 1] = ["test_batch.bin"];
const JPEG_TRAIN: &str = "train.tar.gz";
const JPEG_TEST: &str = "test.tar.gz";

const FILES: FileSet = FileSet {
    name: "cifar10",
    expected: "cifar-10-binary.tar.gz, the folder cifar-10-batches-bin, \
               or train.tar.gz and test.tar.gz with SPLIT/CLASS/*.jpg",
    is_in: |folder| {
        [OFFICIAL, UNPACKED, TRAIN[0], JPEG_TRAIN, JPEG_TEST]
            .iter()
            .any(|name| folder.join(name).exists())
    },
    remote: Remote {
        mirrors: &["https://www.cs.toronto.edu/~kriz/"],
        files: &[RemoteFile {
            name: OFFICIAL,
            content: Content::AsItIs,
            sha256: "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
        }],
    },
};

/// `image` and `label`.
pub(super) fn fields() -> Vec<Field> {
    vec![
        Field::numbers("image", &[3, SIDE, SIDE]),
        Field::classes("label", &[], CLASSES.len()),
    ]
}

/// From files or the network; nothing stands in for photographs.
pub(super) fn load(request: &mut Request<'_>) -> Result<Dataset> {
    match find(&FILES, request)? {
        Found::Folder(folder, provenance) => read(&folder, provenance),
        Found::Nowhere(reason) => Err(Error::NoData(format!(
            "there is no CIFAR-10: {reason}; `--data DIR` names a folder with {}",
            FILES.expected
        ))),
    }
}

/// Pixels and labels of a split, sample after sample.
#[derive(Default)]
struct Samples {
    pixels: Vec<u8>,
    labels: Vec<u8>,
}

fn read(folder: &Path, provenance: Provenance) -> Result<Dataset> {
    let unpacked = [folder.join(UNPACKED), folder.to_path_buf()]
        .into_iter()
        .find(|place| place.join(TRAIN[0]).exists());
    let [train, test] = if let Some(place) = unpacked {
        [from_records(&place, &TRAIN)?, from_records(&place, &TEST)?]
    } else if folder.join(OFFICIAL).exists() {
        from_official_archive(&folder.join(OFFICIAL))?
    } else {
        let archive = |name: &str| from_jpeg_archive(&folder.join(name));
        [archive(JPEG_TRAIN)?, archive(JPEG_TEST)?]
    };
    let split = |samples: Samples| labelled_images(fields(), samples.pixels, samples.labels);
    Ok(Dataset {
        train: split(train),
        valid: None,
        test: split(test),
        shuffle: true,
        provenance,
    })
}

fn from_records(folder: &Path, names: &[&str]) -> Result<Samples> {
    let mut samples = Samples::default();
    for name in names {
        let path = folder.join(name);
        let bytes = fs::read(&path).map_err(Error::io("read", &path))?;
        samples
            .add_records(&bytes)
            .map_err(|fault| Error::bad_file(&path, fault))?;
    }
    Ok(samples)
}

fn from_official_archive(path: &Path) -> Result<[Samples; 2]> {
    let (mut train, mut test) = (Samples::default(), Samples::default());
    let mut batches = 0;
    for_each_file(path, |name, bytes| {
        let file = name.file_name().and_then(|name| name.to_str());
        let samples = match file {
            Some(file) if TRAIN.contains(&file) => &mut train,
            Some(file) if TEST.contains(&file) => &mut test,
            _ => return Ok(()),
        };
        batches += 1;
        samples.add_records(&bytes)
    })?;
    if batches != TRAIN.len() + TEST.len() {
        return Err(Error::bad_file(
            path,
            format!("expected 6 files of samples, found {batches}"),
        ));
    }
    Ok([train, test])
}

impl Samples {
    fn add_records(&mut self, bytes: &[u8]) -> Result<(), String> {
        if bytes.is_empty() || !bytes.len().is_multiple_of(RECORD) {
            return Err(format!(
                "expected samples of {RECORD} bytes, found {} bytes",
                bytes.len()
            ));
        }
        for record in bytes.chunks_exact(RECORD) {
            if usize::from(record[0]) >= CLASSES.len() {
                return Err(format!("expected labels below 10, found {}", record[0]));
            }
            self.labels.push(record[0]);
            self.pixels.extend_from_slice(&record[1..]);
        }
        Ok(())
    }
}

/// An archive of `SPLIT/CLASS/*.jpg`.
fn from_jpeg_archive(path: &Path) -> Result<Samples> {
    let mut files: Vec<(PathBuf, Vec<u8>)> = Vec::new();
    for_each_file(path, |name, bytes| {
        files.push((name, bytes));
        Ok(())
    })?;
    // The order of an archive is an accident.
    files.sort_unstable();
    if files.is_empty() {
        return Err(Error::bad_file(path, "it holds no files"));
    }
    let decoded: Result<Vec<(u8, Vec<u8>)>, String> = files
        .par_iter()
        .map(|(name, bytes)| Ok((class(name)?, pixels(name, bytes)?)))
        .collect();
    let mut samples = Samples::default();
    for (label, pixels) in decoded.map_err(|fault| Error::bad_file(path, fault))? {
        samples.labels.push(label);
        samples.pixels.extend(pixels);
    }
    Ok(samples)
}

fn class(name: &Path) -> Result<u8, String> {
    let folder = name.parent().and_then(Path::file_name);
    CLASSES
        .iter()
        .position(|class| folder.is_some_and(|folder| folder == *class))
        .map(|position| position as u8)
        .ok_or_else(|| format!("`{}` lies in no folder named by a class", name.display()))
}

/// Red, green and blue planes.
fn pixels(name: &Path, bytes: &[u8]) -> Result<Vec<u8>, String> {
    let image = image::load_from_memory_with_format(bytes, ImageFormat::Jpeg)
        .map_err(|error| format!("`{}`: {error}", name.display()))?
        .into_rgb8();
    if image.dimensions() != (SIDE as u32, SIDE as u32) {
        return Err(format!(
            "`{}`: expected {SIDE} x {SIDE} pixels, found {} x {}",
            name.display(),
            image.width(),
            image.height()
        ));
    }
    let mut planes = vec![0; PIXELS];
    for (i, pixel) in image.pixels().enumerate() {
        for (channel, &value) in pixel.0.iter().enumerate() {
            planes[channel * PLANE + i] = value;
        }
    }
    Ok(planes)
}

/// Calls `act` for every file of a gzipped tar archive.
fn for_each_file(
    path: &Path,
    mut act: impl FnMut(PathBuf, Vec<u8>) -> Result<(), String>,
) -> Result<()> {
    /// A file of an archive that claims more is not one of ours.
    const LARGEST: u64 = 64 << 20;
    let file = File::open(path).map_err(Error::io("open", path))?;
    let broken = |error: std::io::Error| Error::bad_file(path, format!("as an archive: {error}"));
    let mut archive = tar::Archive::new(MultiGzDecoder::new(BufReader::new(file)));
    for entry in archive.entries().map_err(broken)? {
        let entry = entry.map_err(broken)?;
        if !entry.header().entry_type().is_file() {
            continue;
        }
        let name = entry.path().map_err(broken)?.into_owned();
        let (size, mut bytes) = (entry.size(), Vec::new());
        entry
            .take(LARGEST)
            .read_to_end(&mut bytes)
            .map_err(broken)?;
        if (bytes.len() as u64) < size {
            let fault = format!(
                "expected {size} bytes of `{}`, found {}",
                name.display(),
                bytes.len()
            );
            return Err(Error::bad_file(path, fault));
        }
        act(name, bytes).map_err(|fault| Error::bad_file(path, fault))?;
    }
    Ok(())
}
