"""The workloads in PyTorch, eager with fused optimisers or compiled."""

import torch
from torch import nn
from torch.nn import functional as F

from workloads import BATCHES, LEARNING_RATE, TOKENS


def prepare(threads, compiled):
    torch.set_num_threads(threads)
    # As `nnc` does; before the first threads start, since these take it over.
    torch.set_flush_denormal(True)

    def workload(workload, inputs, targets):
        torch.manual_seed(1)
        model = MODELS[workload.model]().to(memory_format=torch.channels_last)
        inputs, targets = torch.from_numpy(inputs), torch.from_numpy(targets)
        if inputs.dim() == 5:
            inputs = [batch.contiguous(memory_format=torch.channels_last) for batch in inputs]
        if workload.loss is None:
            return applying(model, inputs, compiled)
        return training(workload, model, inputs, targets, compiled)

    return workload


def training(workload, model, inputs, targets, compiled):
    optimizer = OPTIMIZERS.get(workload.model, adam)(model.parameters())
    clip_norm = CLIP_NORMS.get(workload.model)
    criterion = nn.MSELoss() if workload.loss == "mse" else nn.CrossEntropyLoss()

    def loss_of(batch, target):
        return criterion(model(batch), target)

    forward = torch.compile(loss_of) if compiled else loss_of

    def step(number):
        batch = inputs[number % BATCHES]
        target = batch if workload.loss == "mse" else targets[number % BATCHES]
        optimizer.zero_grad(set_to_none=True)
        forward(batch, target).backward()
        if clip_norm is not None:
            nn.utils.clip_grad_norm_(model.parameters(), clip_norm)
        optimizer.step()

    return step


def applying(model, inputs, compiled):
    model.eval()
    forward = torch.compile(model) if compiled else model

    @torch.inference_mode()
    def step(number):
        forward(inputs[number % BATCHES])

    return step


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


class MnistLstm(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(28, 128, batch_first=True)
        self.head = nn.Linear(128, 10)

    def forward(self, image):
        states, _ = self.lstm(image.squeeze(1))
        return self.head(states[:, -1])


class Block(nn.Module):
    """Of a Transformer: `heads` times as many numbers as one head has."""

    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.before_attention = nn.LayerNorm(width)
        self.in_attention = nn.Linear(width, 3 * width)
        self.out_attention = nn.Linear(width, width)
        self.wide = nn.Sequential(
            nn.LayerNorm(width), nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width)
        )

    def forward(self, x):
        b, t, d = x.shape
        q, k, v = (
            part.view(b, t, self.heads, d // self.heads).transpose(1, 2)
            for part in self.in_attention(self.before_attention(x)).split(d, dim=2)
        )
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out_attention(y.transpose(1, 2).reshape(b, t, d))
        return x + self.wide(x)


class Gpt(nn.Module):
    def __init__(self, width=128, heads=4, context=64, layers=4):
        super().__init__()
        self.embedding = nn.Embedding(TOKENS, width)
        self.positions = nn.Parameter(torch.randn(context, width) * 0.02)
        self.blocks = nn.Sequential(*(Block(width, heads) for _ in range(layers)))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, TOKENS, bias=False)

    def forward(self, tokens):
        x = self.embedding(tokens) + self.positions
        # [batch, tokens, context], as a cross entropy of several places wants it.
        return self.head(self.norm(self.blocks(x))).transpose(1, 2)


class BasicBlock(nn.Module):
    def __init__(self, before, channels, stride):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(before, channels, 3, stride, 1, bias=False),
            nn.BatchNorm2d(channels),
            nn.ReLU(),
            nn.Conv2d(channels, channels, 3, 1, 1, bias=False),
            nn.BatchNorm2d(channels),
        )
        self.skip = nn.Identity()
        if before != channels or stride != 1:
            self.skip = nn.Sequential(
                nn.Conv2d(before, channels, 1, stride, bias=False), nn.BatchNorm2d(channels)
            )

    def forward(self, x):
        return F.relu(self.body(x) + self.skip(x))


def resnet20():
    layers = [nn.Conv2d(3, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU()]
    before = 16
    for channels, stride in [(16, 1), (32, 2), (64, 2)]:
        for number in range(3):
            layers.append(BasicBlock(before, channels, stride if number == 0 else 1))
            before = channels
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10))


def vgg16():
    layers = []
    before = 3
    for channels, times in [(64, 2), (128, 2), (256, 3), (512, 3), (512, 3)]:
        for _ in range(times):
            layers += [nn.Conv2d(before, channels, 3, padding=1), nn.ReLU(inplace=True)]
            before = channels
        layers.append(nn.MaxPool2d(2))
    for inputs in [512 * 7 * 7, 4096]:
        dense = nn.Linear(inputs, 4096)
        layers += [nn.Flatten(), dense, nn.ReLU(inplace=True), nn.Dropout(0.5)]
    return nn.Sequential(*layers, nn.Linear(4096, 10))


def adam(parameters):
    return torch.optim.Adam(parameters, lr=LEARNING_RATE, fused=True)


def adamw(parameters):
    return torch.optim.AdamW(parameters, lr=LEARNING_RATE, weight_decay=0.1, fused=True)


def momentum(parameters):
    return torch.optim.SGD(parameters, lr=0.1, momentum=0.9, weight_decay=5e-4, fused=True)


MODELS = {
    "mnist_mlp": mnist_mlp,
    "mnist_cnn": mnist_cnn,
    "mnist_keras_cnn": mnist_keras_cnn,
    "cifar_cnn": cifar_cnn,
    "autoencoder": autoencoder,
    "mnist_lstm": MnistLstm,
    "gpt": Gpt,
    "resnet20": resnet20,
    "vgg16": vgg16,
}
# Where it is not Adam.
OPTIMIZERS = {"gpt": adamw, "resnet20": momentum}
CLIP_NORMS = {"mnist_lstm": 1.0}
