"""What is compared: one line for each workload, in the order of the tables."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Workload:
    name: str
    model: str  # models/<model>.nn, and the name that every peer knows it by
    batch: int
    sample: tuple  # channels, height, width of an image; or how many tokens
    # "cross_entropy" of 10 classes, "mse" with the image itself, "next" of 65 tokens;
    # None where the net is only applied, not trained.
    loss: str | None


WORKLOADS = [
    Workload("mnist_mlp 32", "mnist_mlp", 32, (1, 28, 28), "cross_entropy"),
    Workload("mnist_mlp 256", "mnist_mlp", 256, (1, 28, 28), "cross_entropy"),
    Workload("mnist_cnn 64", "mnist_cnn", 64, (1, 28, 28), "cross_entropy"),
    Workload("keras_cnn 32", "mnist_keras_cnn", 32, (1, 28, 28), "cross_entropy"),
    Workload("cifar_cnn 32", "cifar_cnn", 32, (3, 32, 32), "cross_entropy"),
    Workload("cifar_cnn 128", "cifar_cnn", 128, (3, 32, 32), "cross_entropy"),
    Workload("autoencoder 128", "autoencoder", 128, (1, 28, 28), "mse"),
    Workload("mnist_lstm 64", "mnist_lstm", 64, (1, 28, 28), "cross_entropy"),
    Workload("gpt 12", "gpt", 12, (64,), "next"),
    Workload("resnet20 128", "resnet20", 128, (3, 32, 32), "cross_entropy"),
    Workload("vgg16 apply 1", "vgg16", 1, (3, 224, 224), None),
]

LEARNING_RATE = 1e-3
TOKENS = 65
# Different batches in turns, so that none is still in the cache by accident.
BATCHES = 8


def batches(workload):
    """Some batches of samples that mean nothing, as NumPy arrays: inputs and targets."""
    import numpy

    random = numpy.random.default_rng(1)
    rows = (BATCHES, workload.batch)
    if workload.loss == "next":
        (context,) = workload.sample
        text = random.integers(0, TOKENS, (*rows, context + 1))
        return text[..., :-1].copy(), text[..., 1:].copy()
    images = random.random((*rows, *workload.sample), dtype=numpy.float32)
    return images, random.integers(0, 10, rows)
