//! MNIST: handwritten digits (LeCun, Cortes, Burges), in the four files of old.

use super::download::{Content, Remote, RemoteFile};
use super::find::{FileSet, Found, find};
use super::idx::{Idx, read_idx};
use super::{Affine, Column, Dataset, Field, Provenance, Request, Split, Values, digits};
use crate::error::{Error, Result};
use std::path::{Path, PathBuf};
use std::sync::Arc;

const SIDE: usize = 28;
const CLASSES: usize = 10;

const TRAIN: [&str; 2] = ["train-images-idx3-ubyte", "train-labels-idx1-ubyte"];
const TEST: [&str; 2] = ["t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"];

pub(super) const MNIST: FileSet = FileSet {
    name: "mnist",
    expected: "train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images-idx3-ubyte and \
               t10k-labels-idx1-ubyte, each plain or .gz",
    is_in: |folder| {
        let mut names = TRAIN.iter().chain(&TEST);
        names.any(|name| find_file(folder, name).is_some())
    },
    remote: Remote {
        mirrors: &[
            "https://storage.googleapis.com/cvdf-datasets/mnist/",
            "https://ossci-datasets.s3.amazonaws.com/mnist/",
            "https://raw.githubusercontent.com/fgnt/mnist/master/",
        ],
        files: &[
            packed(
                "train-images-idx3-ubyte.gz",
                "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
            ),
            packed(
                "train-labels-idx1-ubyte.gz",
                "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
            ),
            packed(
                "t10k-images-idx3-ubyte.gz",
                "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
            ),
            packed(
                "t10k-labels-idx1-ubyte.gz",
                "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
            ),
        ],
    },
};

/// Clothing in the form of MNIST. Xiao, Rasul and Vollgraf 2017.
pub(super) const FASHION: FileSet = FileSet {
    name: "fashion_mnist",
    remote: Remote {
        mirrors: &[
            "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
            "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
        ],
        files: &[
            as_it_is(
                "train-images-idx3-ubyte.gz",
                "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
            ),
            as_it_is(
                "train-labels-idx1-ubyte.gz",
                "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
            ),
            as_it_is(
                "t10k-images-idx3-ubyte.gz",
                "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
            ),
            as_it_is(
                "t10k-labels-idx1-ubyte.gz",
                "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
            ),
        ],
    },
    ..MNIST
};

const fn packed(name: &'static str, sha256: &'static str) -> RemoteFile {
    RemoteFile {
        name,
        content: Content::Gunzipped,
        sha256,
    }
}

const fn as_it_is(name: &'static str, sha256: &'static str) -> RemoteFile {
    RemoteFile {
        name,
        content: Content::AsItIs,
        sha256,
    }
}

/// `image` and `label`.
pub(super) fn fields() -> Vec<Field> {
    vec![
        Field::numbers("image", &[1, SIDE, SIDE]),
        Field::classes("label", &[], CLASSES),
    ]
}

/// From files or the network, else synthetic digits.
pub(super) fn load(set: &FileSet, request: &mut Request<'_>) -> Result<Dataset> {
    match find(set, request)? {
        Found::Folder(folder, provenance) => from_files(&folder, provenance),
        Found::Nowhere(reason) => {
            let mut dataset = digits::default()?;
            dataset.provenance = Provenance::Substitute {
                wanted: set.name.into(),
                used: dataset.provenance.to_string(),
                reason,
            };
            Ok(dataset)
        }
    }
}

fn from_files(directory: &Path, provenance: Provenance) -> Result<Dataset> {
    let (train, test) = rayon::join(|| split(directory, TRAIN), || split(directory, TEST));
    Ok(Dataset {
        train: train?,
        valid: None,
        test: test?,
        shuffle: true,
        provenance,
    })
}

fn split(directory: &Path, [images, labels]: [&str; 2]) -> Result<Split> {
    let (image_path, label_path) = (required(directory, images)?, required(directory, labels)?);
    let pixels = read_idx(&image_path, 3)?;
    let labels = read_idx(&label_path, 1)?;
    check(&image_path, &pixels, &label_path, &labels)?;
    Ok(labelled_images(fields(), pixels.bytes, labels.bytes))
}

/// Bytes as images, bytes as labels: the columns of two such fields.
pub(super) fn labelled_images(fields: Vec<Field>, pixels: Vec<u8>, labels: Vec<u8>) -> Split {
    let classes = labels.into_iter().map(i32::from).collect();
    let values = [
        Values::Bytes(Arc::new(pixels), Affine::unit_bytes()),
        Values::Classes(Arc::new(classes)),
    ];
    let columns = fields.into_iter().zip(values);
    Split::new(
        columns
            .map(|(field, values)| Column { field, values })
            .collect(),
    )
}

fn check(image_path: &Path, images: &Idx, label_path: &Path, labels: &Idx) -> Result<()> {
    if images.extents[1..] != [SIDE, SIDE] {
        return Err(Error::bad_file(
            image_path,
            format!(
                "expected images of {SIDE} x {SIDE}, found {} x {}",
                images.extents[1], images.extents[2]
            ),
        ));
    }
    if images.extents[0] != labels.extents[0] {
        return Err(Error::bad_file(
            label_path,
            format!(
                "expected {} labels, one per image of `{}`, found {}",
                images.extents[0],
                image_path.display(),
                labels.extents[0]
            ),
        ));
    }
    match labels.bytes.iter().position(|&l| usize::from(l) >= CLASSES) {
        None => Ok(()),
        Some(at) => Err(Error::bad_file(
            label_path,
            format!(
                "expected labels below {CLASSES}, found {} at {at}",
                labels.bytes[at]
            ),
        )),
    }
}

fn required(directory: &Path, name: &str) -> Result<PathBuf> {
    find_file(directory, name).ok_or_else(|| {
        Error::NoData(format!(
            "`{}` has some files of MNIST, but neither {name} nor {name}.gz",
            directory.display()
        ))
    })
}

/// The file of that name, plain or packed, also in the other usual spelling.
fn find_file(directory: &Path, name: &str) -> Option<PathBuf> {
    let dotted = name.replacen("-idx", ".idx", 1);
    [name, &dotted]
        .iter()
        .flat_map(|name| [name.to_string(), format!("{name}.gz")])
        .map(|name| directory.join(name))
        .find(|path| path.is_file())
}
