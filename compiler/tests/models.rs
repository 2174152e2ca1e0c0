//! Every model of the repository elaborates without a remark, into steps that verify.
#![allow(missing_docs, clippy::unwrap_used)]

mod support;

use nnc_compiler::graph::{Model, Phase, SlotKind, verify};
use nnc_grammar::render::{Color, terminal};
use std::path::Path;
use support::compile;

/// The model of a file in `models/`.
fn model(name: &str) -> Model {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../models")
        .join(name);
    let text = std::fs::read_to_string(path).unwrap();
    let (model, diagnostics, sources) = compile(name, &text, &[]);
    let told: Vec<String> = diagnostics
        .iter()
        .map(|d| terminal(d, &sources, Color::Never))
        .collect();
    assert!(told.is_empty(), "{}", told.join("\n"));
    model.unwrap()
}

fn parameters(model: &Model) -> usize {
    let slots = model
        .slots
        .iter()
        .filter(|slot| slot.kind == SlotKind::Param);
    slots.map(|slot| slot.ty.elements()).sum()
}

#[test]
fn all_models_elaborate_and_verify() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models");
    for entry in std::fs::read_dir(folder).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if !name.ends_with(".nn") {
            continue;
        }
        let model = model(&name);
        let pictures = usize::from(model.steps.contains_key(&Phase::Show));
        let policies = [Phase::Explore, Phase::Act];
        let policies = policies
            .iter()
            .filter(|phase| model.steps.contains_key(phase));
        assert_eq!(model.steps.len(), 5 + pictures + policies.count(), "{name}");
        for step in model.steps.values() {
            verify(step, "elaborate");
        }
        let filled = model.steps[&Phase::Init]
            .updates
            .iter()
            .map(|(slot, _)| slot.index());
        assert!(
            filled.eq(0..model.slots.len()),
            "{name} leaves slots without a first value"
        );
    }
}

/// Counts that Keras and PyTorch give for the same networks.
#[test]
fn models_have_as_many_parameters_as_elsewhere() {
    assert_eq!(parameters(&model("linear_regression.nn")), 5);
    assert_eq!(parameters(&model("mnist_mlp.nn")), 101_770);
    assert_eq!(parameters(&model("mnist_cnn.nn")), 1_625_866);
    assert_eq!(parameters(&model("mnist_keras_cnn.nn")), 54_410);
    assert_eq!(parameters(&model("cifar_cnn.nn")), 122_570);
    assert_eq!(parameters(&model("resnet20.nn")), 272_474);
    assert_eq!(parameters(&model("vgg16.nn")), 134_301_514);
    assert_eq!(parameters(&model("autoencoder.nn")), 435_536);
}

#[test]
fn a_summary_names_each_layer_with_its_output() {
    let model = model("mnist_cnn.nn");
    let lines: Vec<String> = model
        .experiment
        .layers
        .iter()
        .map(|l| format!("{} {} {:?} {}", l.path, l.call, l.output, l.parameters))
        .collect();
    insta::assert_snapshot!(lines.join("\n"), @r"
    mnist_cnn/conv2d_1 conv2d(32, kernel: 3, padding: 1) [32, 28, 28] 320
    mnist_cnn/conv2d_2 conv2d(64, kernel: 3, padding: 1) [64, 28, 28] 18496
    mnist_cnn/max_pool2d_1 max_pool2d(2) [64, 14, 14] 0
    mnist_cnn/dropout_1 dropout(0.25) [64, 14, 14] 0
    mnist_cnn/flatten_1 flatten [12544] 0
    mnist_cnn/dense_1 dense(128) [128] 1605760
    mnist_cnn/dropout_2 dropout(0.5) [128] 0
    mnist_cnn/dense_2 dense(10) [10] 1290
    ");
    assert_eq!(
        model.experiment.metrics,
        ["accuracy", "precision", "recall", "f1"]
    );
    assert_eq!(model.experiment.output, [10]);
    assert_eq!((model.experiment.batch, model.experiment.epochs), (64, 10));
}

/// A layer of the library and the same text in the user's file make the same graph.
#[test]
fn a_users_definition_compiles_like_the_librarys() {
    let program = |definition: &str, layer: &str| {
        format!(
            "{definition}
            net model(image: [1, 28, 28]) -> [10] {{ image |> flatten |> {layer}(16) |> relu |> {layer}(10) }}
            train {{
                data = mnist() batch = 4 epochs = 1 optimizer = adam(0.01)
                minimize cross_entropy(model(image), label)
            }}"
        )
        .replace(" batch = ", "\nbatch = ")
        .replace(" epochs = ", "\nepochs = ")
        .replace(" optimizer = ", "\noptimizer = ")
    };
    let own = "layer mine(units: int)(x: [.., n]) -> [.., units] {
        param w: [n, units] = glorot_uniform
        param b: [units] = zeros
        x @ w + b
    }";
    let operations = |text: &str| {
        let (model, diagnostics, _) = compile("model.nn", text, &[]);
        assert!(diagnostics.is_empty(), "{diagnostics:#?}");
        let step = model.unwrap().steps.remove(&Phase::Train).unwrap();
        step.graph
            .nodes
            .into_iter()
            .map(|node| (node.op, node.inputs, node.ty))
            .collect::<Vec<_>>()
    };
    let ours = operations(&program("", "dense"));
    let theirs = operations(&program(own, "mine"));
    // `dense` first multiplies, then makes its bias; the order of nodes is the text's.
    assert_eq!(ours.len(), theirs.len());
    for node in &ours {
        assert!(
            theirs
                .iter()
                .any(|(op, _, ty)| (op, ty) == (&node.0, &node.2)),
            "{node:?}"
        );
    }
}
