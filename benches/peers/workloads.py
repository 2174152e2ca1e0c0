"""What is compared: one line for each workload, in the order of the table."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Workload:
    name: str
    model: str  # models/<model>.nn, and the name that every peer knows it by
    batch: int
    image: tuple  # channels, height, width
    loss: str  # "cross_entropy" of 10 classes, or "mse" with the image itself


WORKLOADS = [
    Workload("mnist_mlp 32", "mnist_mlp", 32, (1, 28, 28), "cross_entropy"),
    Workload("mnist_mlp 256", "mnist_mlp", 256, (1, 28, 28), "cross_entropy"),
    Workload("mnist_cnn 64", "mnist_cnn", 64, (1, 28, 28), "cross_entropy"),
    Workload("keras_cnn 32", "mnist_keras_cnn", 32, (1, 28, 28), "cross_entropy"),
    Workload("cifar_cnn 32", "cifar_cnn", 32, (3, 32, 32), "cross_entropy"),
    Workload("cifar_cnn 128", "cifar_cnn", 128, (3, 32, 32), "cross_entropy"),
    Workload("autoencoder 128", "autoencoder", 128, (1, 28, 28), "mse"),
]

LEARNING_RATE = 1e-3
# Different batches in turns, so that none is still in the cache by accident.
BATCHES = 8


def batches(workload):
    """Some batches of samples that mean nothing, as NumPy arrays."""
    import numpy

    random = numpy.random.default_rng(1)
    shape = (BATCHES, workload.batch, *workload.image)
    images = random.random(shape, dtype=numpy.float32)
    labels = random.integers(0, 10, (BATCHES, workload.batch))
    return images, labels
