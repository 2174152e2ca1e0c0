//! CIFAR-10 in all the forms in which it is found.

use super::*;

/// Writes a gzipped archive.
fn write_archive(path: &Path, files: &[(&str, Vec<u8>)]) {
    let packed =
        flate2::write::GzEncoder::new(fs::File::create(path).unwrap(), flate2::Compression::fast());
    let mut archive = tar::Builder::new(packed);
    for (name, bytes) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        archive.append_data(&mut header, name, &bytes[..]).unwrap();
    }
    archive.into_inner().unwrap().finish().unwrap();
}

/// A CIFAR-10 record: red 10, green 20, blue 30 everywhere.
fn record(label: u8) -> Vec<u8> {
    let mut record = vec![label];
    record.extend([10, 20, 30].iter().flat_map(|&value| [value; 1024]));
    record
}

#[test]
fn cifar10_is_read_in_all_its_forms() {
    let load = |folder: &Path| load(&[Call::new("cifar10")], &mut request(Some(folder)));
    let empty = tempfile::tempdir().unwrap();
    assert!(
        load(empty.path())
            .unwrap_err()
            .to_string()
            .contains("there is no cifar10 in")
    );

    let batches: Vec<(String, Vec<u8>)> = (1..=6)
        .map(|i| {
            let name = if i == 6 {
                "test_batch.bin".into()
            } else {
                format!("data_batch_{i}.bin")
            };
            (name, record(i))
        })
        .collect();
    let unpacked = tempfile::tempdir().unwrap();
    for (name, bytes) in &batches {
        fs::write(unpacked.path().join(name), bytes).unwrap();
    }
    let official = tempfile::tempdir().unwrap();
    let entries: Vec<(String, Vec<u8>)> = batches
        .iter()
        .map(|(name, bytes)| (format!("cifar-10-batches-bin/{name}"), bytes.clone()))
        .collect();
    let entries: Vec<(&str, Vec<u8>)> = entries
        .iter()
        .map(|(n, b)| (n.as_str(), b.clone()))
        .collect();
    write_archive(&official.path().join("cifar-10-binary.tar.gz"), &entries);
    for folder in [&unpacked, &official] {
        let data = load(folder.path()).unwrap();
        assert_eq!(labels(&data.train), [1, 2, 3, 4, 5]);
        assert_eq!(labels(&data.test), [6]);
        assert_eq!(bytes(&data.test), &record(6)[1..]);
    }
    write_archive(
        &official.path().join("cifar-10-binary.tar.gz"),
        &entries[1..],
    );
    let message = load(official.path()).unwrap_err().to_string();
    assert!(
        message.contains("expected 6 files of samples, found 5"),
        "{message}"
    );
    fs::write(unpacked.path().join("test_batch.bin"), [0; 100]).unwrap();
    let message = load(unpacked.path()).unwrap_err().to_string();
    assert!(
        message.contains("expected samples of 3073 bytes, found 100 bytes"),
        "{message}"
    );
}

#[test]
fn cifar10_is_read_from_photographs() {
    let photograph = |side: u32| {
        let mut jpeg = std::io::Cursor::new(Vec::new());
        let grey = image::RgbImage::from_pixel(side, side, image::Rgb([128, 128, 128]));
        grey.write_to(&mut jpeg, image::ImageFormat::Jpeg).unwrap();
        jpeg.into_inner()
    };
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    write_archive(
        &path("train.tar.gz"),
        &[
            ("train/truck/0.jpg", photograph(32)),
            ("train/bird/1.jpg", photograph(32)),
        ],
    );
    let load = || load(&[Call::new("cifar10")], &mut request(Some(folder.path())));
    assert!(load().unwrap_err().to_string().contains("test.tar.gz"));
    write_archive(&path("test.tar.gz"), &[("test/frog/0.jpg", photograph(32))]);
    let data = load().unwrap();
    assert_eq!(
        (labels(&data.train), labels(&data.test)),
        (vec![2, 9], vec![6])
    );
    assert!(bytes(&data.train).iter().all(|&b| b.abs_diff(128) <= 1));

    for (name, content, fault) in [
        (
            "test/newt/0.jpg",
            photograph(32),
            "`test/newt/0.jpg` lies in no folder named by a class",
        ),
        (
            "test/frog/0.jpg",
            photograph(16),
            "expected 32 x 32 pixels, found 16 x 16",
        ),
        (
            "test/frog/0.jpg",
            b"no photograph".to_vec(),
            "`test/frog/0.jpg`: ",
        ),
    ] {
        write_archive(&path("test.tar.gz"), &[(name, content)]);
        let message = load().unwrap_err().to_string();
        assert!(message.contains(fault), "{message}");
    }
    fs::write(path("test.tar.gz"), b"no archive").unwrap();
    assert!(load().unwrap_err().to_string().contains("as an archive"));
}

/// Real files, where `NNC_DATA` points at them.
#[test]
fn real_cifar10_is_whole() {
    let Some(root) = std::env::var_os("NNC_DATA").map(PathBuf::from) else {
        eprintln!("skipped: set NNC_DATA to the folder of the data sets");
        return;
    };
    if !root.join("cifar10").exists() {
        eprintln!("skipped: set NNC_DATA to a folder with `cifar10` in it");
        return;
    }
    let data = load(&[Call::new("cifar10")], &mut request(Some(&root))).unwrap();
    assert_eq!(
        (data.train.samples(), data.test.samples()),
        (50_000, 10_000)
    );
    for class in 0..10 {
        assert_eq!(
            labels(&data.test).iter().filter(|&&l| l == class).count(),
            1000
        );
    }
}
