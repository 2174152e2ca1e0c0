"""The workloads in PyTorch, eager with fused Adam or compiled."""

import torch
from torch import nn

from workloads import BATCHES, LEARNING_RATE, batches


def prepare(threads, compiled):
    torch.set_num_threads(threads)

    def workload(workload):
        torch.manual_seed(1)
        model = MODELS[workload.model]().to(memory_format=torch.channels_last)
        optimizer = torch.optim.Adam(model.parameters(), lr=LEARNING_RATE, fused=True)
        criterion = {"cross_entropy": nn.CrossEntropyLoss(), "mse": nn.MSELoss()}[workload.loss]
        images, labels = batches(workload)
        images, labels = torch.from_numpy(images), torch.from_numpy(labels)

        def loss_of(image, target):
            return criterion(model(image), target)

        forward = torch.compile(loss_of) if compiled else loss_of

        def step(number):
            image = images[number % BATCHES]
            target = image if workload.loss == "mse" else labels[number % BATCHES]
            optimizer.zero_grad(set_to_none=True)
            forward(image, target).backward()
            optimizer.step()

        return step

    return workload


def mnist_mlp():
    return nn.Sequential(nn.Flatten(), nn.Linear(784, 128), nn.ReLU(), nn.Linear(128, 10))


def mnist_cnn():
    return nn.Sequential(
        nn.Conv2d(1, 32, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(32, 64, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Dropout(0.25),
        nn.Flatten(),
        nn.Linear(64 * 14 * 14, 128),
        nn.ReLU(),
        nn.Dropout(0.5),
        nn.Linear(128, 10),
    )


def mnist_keras_cnn():
    return nn.Sequential(
        nn.Conv2d(1, 32, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(32 * 13 * 13, 10)
    )


def cifar_cnn():
    return nn.Sequential(
        nn.Conv2d(3, 32, 3),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 3),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(64, 64, 3),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(64 * 4 * 4, 64),
        nn.ReLU(),
        nn.Linear(64, 10),
    )


def autoencoder():
    return nn.Sequential(
        nn.Flatten(),
        nn.Linear(784, 256),
        nn.ReLU(),
        nn.Linear(256, 64),
        nn.ReLU(),
        nn.Linear(64, 256),
        nn.ReLU(),
        nn.Linear(256, 784),
        nn.Sigmoid(),
        nn.Unflatten(1, (1, 28, 28)),
    )


MODELS = {
    "mnist_mlp": mnist_mlp,
    "mnist_cnn": mnist_cnn,
    "mnist_keras_cnn": mnist_keras_cnn,
    "cifar_cnn": cifar_cnn,
    "autoencoder": autoencoder,
}
