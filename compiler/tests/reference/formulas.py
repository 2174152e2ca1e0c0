"""Expected values of layers and functions of the library, for `compiler/tests/formulas.rs`.

Written from the papers' formulas, without a look at the library's text, in NumPy alone:

    python3 compiler/tests/reference/formulas.py > compiler/tests/reference/formulas.json

Each case's input are the numbers 1, 2, 3, ... for two samples, of which the sine is taken,
under the shape of the case; parameters count 1, 2, 3, ... as well.
"""

import json
import math

import numpy as np


def sample(number, shape):
    size = math.prod(shape)
    return np.sin(np.arange(1, size + 1) + number * size).reshape(shape)


def counted(n):
    return np.arange(1.0, n + 1)


def rms_norm(x, eps=1e-6):
    # Zhang and Sennrich 2019, equation 4.
    rms = np.sqrt(np.mean(x * x, axis=-1, keepdims=True) + eps)
    return x / rms * counted(x.shape[-1])


def instance_norm(x, eps=1e-5):
    # Ulyanov et al. 2016: each channel of each sample by itself, the variance uncorrected.
    y = np.empty_like(x)
    for c in range(x.shape[0]):
        y[c] = (x[c] - x[c].mean()) / math.sqrt(x[c].var() + eps) * (c + 1) + (c + 1)
    return y


def group_norm(x, groups, eps=1e-5):
    # Wu and He 2018: so many groups of neighbouring channels.
    y = np.empty_like(x)
    size = x.shape[0] // groups
    for g in range(groups):
        part = x[g * size : (g + 1) * size]
        y[g * size : (g + 1) * size] = (part - part.mean()) / math.sqrt(part.var() + eps)
    for c in range(x.shape[0]):
        y[c] = y[c] * (c + 1) + (c + 1)
    return y


def sinusoidal(x):
    # Vaswani et al. 2017, section 3.5.
    y = x.copy()
    for t in range(x.shape[0]):
        for i in range(x.shape[1]):
            angle = t / 10000 ** (2 * (i // 2) / x.shape[1])
            y[t, i] += math.sin(angle) if i % 2 == 0 else math.cos(angle)
    return y


def rotary(x, base=10000.0):
    # Su et al. 2021: the pair (i, i + e / 2) as a complex number, turned by t / base^(2i / e).
    half = x.shape[-1] // 2
    y = np.empty_like(x)
    for t in range(x.shape[0]):
        for i in range(half):
            z = (x[t, ..., i] + 1j * x[t, ..., half + i]) * np.exp(1j * t * base ** (-2 * i / (2 * half)))
            y[t, ..., i], y[t, ..., half + i] = z.real, z.imag
    return y


def attend(q, k, v, heads, keep):
    # Vaswani et al. 2017, equation 1, head by head; `keep[t, u]` says what query t may see.
    result = []
    e, f = q.shape[1] // heads, v.shape[1] // heads
    for h in range(heads):
        scores = q[:, h * e : (h + 1) * e] @ k[:, h * e : (h + 1) * e].T / math.sqrt(e)
        weights = np.where(keep, np.exp(scores), 0)
        weights = weights / weights.sum(axis=1, keepdims=True)
        result.append(weights @ v[:, h * f : (h + 1) * f])
    return np.concatenate(result, axis=1)


def attention_cases():
    def parts(x):  # queries of 3 steps; keys and values of 5, the values half as wide
        return x[:12].reshape(3, 4), x[12:32].reshape(5, 4), x[32:42].reshape(5, 2)

    everything = np.ones((3, 5), bool)
    padding = everything & (np.arange(5) < 3)
    return {
        "attend": ([42], lambda x: attend(*parts(x), 2, everything)),
        "attend_padding": ([42], lambda x: attend(*parts(x), 2, padding)),
        "attend_causal": (
            [24],
            lambda x: attend(*x.reshape(3, 2, 4).transpose(1, 0, 2), x.reshape(3, 2, 4)[:, 0], 1, np.tri(3, dtype=bool)),
        ),
    }


CASES = {
    "rms_norm": ([4, 6], rms_norm),
    "instance_norm": ([4, 2, 3], instance_norm),
    "group_norm": ([4, 2, 3], lambda x: group_norm(x, 2)),
    "sinusoidal_positions": ([4, 6], sinusoidal),
    "rotary": ([4, 6], rotary),
    "rotary_heads": ([3, 2, 4], lambda x: rotary(x, 100.0)),
    **attention_cases(),
}

if __name__ == "__main__":
    lines = []
    for name, (shape, of) in CASES.items():
        values = np.stack([of(sample(number, shape)) for number in range(2)])
        lines.append(f"{json.dumps(name)}: {json.dumps(values.ravel().tolist())}")
    print("{\n" + ",\n".join(lines) + "\n}")
