//! What is said about data that are not what a model takes them for: each case is a folder, a
//! description of data, and the words in `tests/errors/data-sources.snap`.

use super::elsewhere::{npy, stored};
use super::place::Place;
use image::{ImageFormat, RgbImage};
use std::io::Cursor;

/// A file's path and what is in it.
type File = (&'static str, Vec<u8>);

#[test]
fn faulty_data_are_told_with_a_place_and_a_way_out() {
    let mut said = String::new();
    for (data, files) in cases() {
        let place = Place::new();
        for (path, bytes) in files {
            let folder = place.path(path);
            std::fs::create_dir_all(folder.parent().unwrap()).unwrap();
            place.write(path, bytes);
        }
        place.write("model.nn", model(data));
        // Some faults show only when all of a file is read.
        let mut done = place.nnc("check model.nn");
        if done.code == Some(0) {
            done = place.nnc("run model.nn --offline --out out");
            assert!(!place.path("out").exists(), "{data} left a folder");
        }
        assert!(matches!(done.code, Some(1 | 2)), "{data}: {}", done.out);
        let told = done.err.trim_end().trim_end_matches("1 error").trim_end();
        said += &format!("data = {data}\n\n{told}\n\n\n");
    }
    insta::with_settings!({
        snapshot_path => "../errors",
        prepend_module_to_snapshot => false,
        omit_expression => true,
    }, {
        insta::assert_snapshot!("data-sources", said.trim_end());
    });
}

/// The data do not matter to the rest of it.
fn model(data: &str) -> String {
    format!(
        "net model(x: [2]) {{ x |> dense(1) |> reshape([]) }}

train {{
    data      = {data}
    batch     = 2
    epochs    = 1
    optimizer = sgd(0.1)
    minimize model(normal([2]))
}}
"
    )
}

fn cases() -> Vec<(&'static str, Vec<File>)> {
    let table = |text: &str| vec![("t.csv", text.as_bytes().to_vec())];
    let text = |text: &[u8]| vec![("t.txt", text.to_vec())];
    let x = || npy(&[3, 2], &[0.5_f32; 6]);
    let archive = |arrays: &[(&str, Vec<u8>)]| vec![("b.npz", stored(arrays))];
    let whole = || stored(&[("x.npy", x())]);
    let pictures = |files: Vec<(&'static str, Vec<u8>)>| files;
    vec![
        // Tables.
        (r#"csv("none.csv", label: "y")"#, vec![]),
        (r#"csv("t.csv", label: "z")"#, table("a,y\n1,2\n3,4\n")),
        (r#"csv("t.csv", label: "y")"#, table("")),
        (r#"csv("t.csv", label: "y")"#, table("a,y\n")),
        (r#"csv("t.csv", label: "y")"#, table("a,y\n1,2\nthree,4\n")),
        (r#"csv("t.csv", label: "y")"#, table("a,y\n1,2\nnan,4\n")),
        (r#"csv("t.csv", label: "y")"#, table("a,y\n1,2\n3\n")),
        (r#"csv("t.csv", label: "y")"#, table("a,y\n1,\"2\n")),
        (
            r#"csv("t.csv", label: "y", test: 1.5)"#,
            table("a,y\n1,2\n"),
        ),
        (r#"csv("t.csv", label: "y")"#, table("a,y\n1,2\n")),
        (r#"csv("t.csv", label: 3)"#, table("a,y\n1,2\n")),
        (
            r#"csv("t.csv", label: "y")"#,
            vec![("t.csv", b"a,y\n1,\xff\n".to_vec())],
        ),
        // Arrays.
        (r#"npz("b.npz")"#, vec![("b.npz", whole()[..90].to_vec())]),
        (r#"npz("b.npz")"#, vec![("b.npz", x())]),
        (r#"npz("b.npz")"#, vec![("b.npz", vec![])]),
        (
            r#"npz("b.npz")"#,
            archive(&[("x.npy", x()), ("y.npy", npy(&[2], &[1_i64, 2]))]),
        ),
        (
            r#"npz("b.npz")"#,
            archive(&[("x.npy", x()), ("test_x.npy", npy(&[3, 5], &[0.5_f32; 15]))]),
        ),
        (r#"npz("b.npz")"#, archive(&[("test_x.npy", x())])),
        (r#"npz("b.npz")"#, archive(&[("my array.npy", x())])),
        (
            r#"npz("b.npz")"#,
            archive(&[("x.npy", npy(&[2], &[0.5, f32::NAN]))]),
        ),
        (
            r#"npz("b.npz")"#,
            archive(&[("label.npy", npy(&[2], &[3_i64, -1]))]),
        ),
        (
            r#"npz("b.npz", classes: 3)"#,
            archive(&[("label.npy", npy(&[2], &[0_i32, 3]))]),
        ),
        (r#"npz("b.npz", classes: -3)"#, archive(&[("x.npy", x())])),
        (
            r#"npz("b.npz")"#,
            archive(&[("x.npy", npy(&[0, 2], &[0.0_f32; 0]))]),
        ),
        (r#"npy("x.npy", "y.npy")"#, vec![("x.npy", x())]),
        (
            r#"npy("x.npy", "y.npy")"#,
            vec![("x.npy", x()), ("y.npy", npy(&[4], &[0_i32; 4]))],
        ),
        (r#"npy("x.npy")"#, vec![("x.npy", whole())]),
        (r#"npy("x.npy")"#, vec![("x.npy", x()[..100].to_vec())]),
        // Pictures.
        (r#"images("pets", size: [4, 4])"#, vec![]),
        (
            r#"images("pets", size: [4, 4])"#,
            pictures(vec![("pets/cat/1.png", picture())]),
        ),
        (
            r#"images("pets", size: [4, 4])"#,
            pictures(vec![
                ("pets/cat/1.png", picture()),
                ("pets/dog/1.txt", vec![]),
            ]),
        ),
        (
            r#"images("pets", size: [4, 4])"#,
            pictures(vec![
                ("pets/cat/1.png", picture()[..40].to_vec()),
                ("pets/dog/1.png", picture()),
            ]),
        ),
        (
            r#"images("pets", size: [4, 0])"#,
            pictures(vec![
                ("pets/cat/1.png", picture()),
                ("pets/dog/1.png", picture()),
            ]),
        ),
        (r#"images("pets", size: 4)"#, vec![]),
        // Text.
        (r#"text("t.txt", context: 8)"#, text(b"short")),
        (r#"text("t.txt", context: 8)"#, text(b"")),
        (r#"text("t.txt", context: 8)"#, text(b"not \xff text")),
        (r#"text("t.txt", context: 0)"#, text(&[b'a'; 200])),
        (
            r#"text("t.txt", context: 8, stride: -1)"#,
            text(&[b'a'; 200]),
        ),
        (
            r#"text("t.txt", context: 8, valid: 0.01)"#,
            text(&[b'a'; 200]),
        ),
        ("tinyshakespeare(context: 8, valid: 2)", vec![]),
        // Generated data.
        ("sequences(length: 8)", vec![]),
        ("sequences(length: 8, classes: 0)", vec![]),
        ("sequences(length: 1_000_000_000_000, classes: 2)", vec![]),
        ("shapes(size: 4)", vec![]),
        ("digits(train: 0)", vec![]),
        ("points(samples: 1_000_000_000_000)", vec![]),
        ("linear(noise: 1e999)", vec![]),
        // Steps.
        ("digits() |> rotate(degrees: -3)", vec![]),
        ("digits() |> cutout(size: 0)", vec![]),
        ("digits() |> random_crop(padding: 5000)", vec![]),
        ("digits() |> noise(std: \"loud\")", vec![]),
        ("digits() |> augment { flip }", vec![]),
        ("digits() |> flip_horizontal()", vec![]),
        ("linear(features: 2) |> flip()", vec![]),
        ("sentences() |> noise(std: 0.1)", vec![]),
        ("sentences() |> standardize()", vec![]),
        ("digits() |> normalize(mean: 0.5, std: [0])", vec![]),
        ("digits() |> split(valid: 1)", vec![]),
        ("points(samples: 2) |> split(valid: 0.1)", vec![]),
        ("digits() |> take(0)", vec![]),
    ]
}

fn picture() -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    let image = RgbImage::from_pixel(6, 4, image::Rgb([10, 20, 30]));
    image.write_to(&mut bytes, ImageFormat::Png).unwrap();
    bytes.into_inner()
}
