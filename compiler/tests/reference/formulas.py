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


def pair(x):
    return x if isinstance(x, tuple) else (x, x)


def conv2d(x, filters, kernel, stride=1, before=(0, 0), after=(0, 0), dilation=1, groups=1):
    # Every output by itself: a sum over the window's places and the channels of its group.
    (c, h, w), each = x.shape, x.shape[0] // groups
    kernel, stride, dilation = pair(kernel), pair(stride), pair(dilation)
    weight, bias = counted(kernel[0] * kernel[1] * each * filters), counted(filters)
    weight = weight.reshape(*kernel, each, filters)
    reach = [(k - 1) * d + 1 for k, d in zip(kernel, dilation)]
    rows = (h + before[0] + after[0] - reach[0]) // stride[0] + 1
    columns = (w + before[1] + after[1] - reach[1]) // stride[1] + 1
    y = np.empty((filters, rows, columns))
    for f in range(filters):
        first = f // (filters // groups) * each
        for i in range(rows):
            for j in range(columns):
                total = bias[f]
                for u in range(kernel[0]):
                    for v in range(kernel[1]):
                        row = i * stride[0] + u * dilation[0] - before[0]
                        column = j * stride[1] + v * dilation[1] - before[1]
                        if 0 <= row < h and 0 <= column < w:
                            total += (x[first : first + each, row, column] * weight[u, v, :, f]).sum()
                y[f, i, j] = total
    return y


def conv_transpose2d(x, filters, kernel, stride=1, padding=0, more=0, dilation=1, groups=1):
    # Every input by itself: the kernel, times the input, is added to what lies around its place.
    (c, h, w), each = x.shape, x.shape[0] // groups
    kernel, stride, padding, dilation = pair(kernel), pair(stride), pair(padding), pair(dilation)
    weight = counted(kernel[0] * kernel[1] * each * filters).reshape(*kernel, each, filters)
    rows, columns = (
        (size - 1) * s - 2 * p + (k - 1) * d + 1 + more
        for size, k, s, p, d in zip((h, w), kernel, stride, padding, dilation)
    )
    y = np.zeros((filters, rows, columns)) + counted(filters)[:, None, None]
    for channel in range(c):
        first = channel // each * (filters // groups)
        for i in range(h):
            for j in range(w):
                for u in range(kernel[0]):
                    for v in range(kernel[1]):
                        row = i * stride[0] + u * dilation[0] - padding[0]
                        column = j * stride[1] + v * dilation[1] - padding[1]
                        if 0 <= row < rows and 0 <= column < columns:
                            for f in range(first, first + filters // groups):
                                y[f, row, column] += x[channel, i, j] * weight[u, v, channel % each, f]
    return y


def pool2d(x, size, stride, padding, of, empty):
    # Of each window; what lies outside of x is `empty`.
    c, h, w = x.shape
    y = []
    for channel in x:
        for top in range(-padding[0], h + padding[0] - size[0] + 1, stride[0]):
            for left in range(-padding[1], w + padding[1] - size[1] + 1, stride[1]):
                places = [(i, j) for i in range(top, top + size[0]) for j in range(left, left + size[1])]
                y.append(of([channel[i, j] if 0 <= i < h and 0 <= j < w else empty for i, j in places]))
    return np.array(y)


def same(size, kernel, stride):
    # ceil(size / stride) outputs; of an odd number of zeros, one more behind.
    total = max((math.ceil(size / stride) - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2


def conv2d_same(x, filters, kernel, stride):
    padding = [same(size, kernel, stride) for size in x.shape[1:]]
    before, after = zip(*padding)
    return conv2d(x, filters, kernel, stride, before, after)


def conv1d(x, filters, kernel, stride, padding, dilation, groups=1):
    c, size = x.shape
    each, part = c // groups, filters // groups
    weight, bias = counted(kernel * each * filters).reshape(kernel, each, filters), counted(filters)
    outputs = (size + 2 * padding - (kernel - 1) * dilation - 1) // stride + 1
    y = np.tile(bias[:, None], (1, outputs))
    for g in range(groups):
        read, made = slice(g * each, (g + 1) * each), slice(g * part, (g + 1) * part)
        for i in range(outputs):
            for u in range(kernel):
                at = i * stride + u * dilation - padding
                if 0 <= at < size:
                    y[made, i] += x[read, at] @ weight[u][:, made]
    return y


def bilinear(x, by):
    # Centres of pixels lie at half numbers; beyond the outermost centres nothing changes.
    c, h, w = x.shape
    y = np.empty((c, h * by, w * by))
    for i in range(h * by):
        for j in range(w * by):
            row = min(max((i + 0.5) / by - 0.5, 0), h - 1)
            column = min(max((j + 0.5) / by - 0.5, 0), w - 1)
            top, left = min(int(row), h - 2), min(int(column), w - 2)
            a, b = row - top, column - left
            upper = (1 - b) * x[:, top, left] + b * x[:, top, left + 1]
            lower = (1 - b) * x[:, top + 1, left] + b * x[:, top + 1, left + 1]
            y[:, i, j] = (1 - a) * upper + a * lower
    return y


def elman_both_ways(x):
    # Elman 1990, one unit in each direction; what reads backwards stands where it belongs in time.
    def run(rows):
        h, states = 0.0, []
        for row in rows:
            h = math.tanh(row @ counted(x.shape[1]) + 1 + h * 1 + 1)
            states.append(h)
        return states

    return np.stack([run(x), run(x[::-1])[::-1]], axis=1)


def lora(x, units, rank, scale):
    # Hu et al. 2021, section 4.1.
    n = x.shape[1]
    base = x @ counted(n * units).reshape(n, units) + counted(units)
    down, up = counted(n * rank).reshape(n, rank), counted(rank * units).reshape(rank, units)
    return base + scale * (x @ down @ up)


def multi_head_attention(x, memory, heads):
    # Vaswani et al. 2017, section 3.2.2, query by query and head by head.
    d = x.shape[1]
    e = d // heads

    def dense(row):
        return row @ counted(len(row) * d).reshape(len(row), d) + counted(d)

    result = []
    for query in x:
        q, joined = dense(query), []
        for h in range(heads):
            part = slice(h * e, (h + 1) * e)
            scores = [sum(q[part] * dense(row)[part]) / math.sqrt(e) for row in memory]
            weights = [math.exp(score - max(scores)) for score in scores]
            mean = sum(w * dense(row)[part] for w, row in zip(weights, memory)) / sum(weights)
            joined.extend(mean)
        result.append(dense(np.array(joined)))
    return np.array(result)


def attention_cases():
    def parts(x):  # queries of 3 steps; keys and values of 5, the values half as wide
        return x[:12].reshape(3, 4), x[12:32].reshape(5, 4), x[32:42].reshape(5, 2)

    everything = np.ones((3, 5), bool)
    padding = everything & (np.arange(5) < 3)
    return {
        "multi_head_attention": (
            [42],
            lambda x: multi_head_attention(0.1 * parts(x)[0], 0.1 * parts(x)[1], 2),
        ),
        "attend": ([42], lambda x: attend(*parts(x), 2, everything)),
        "attend_padding": ([42], lambda x: attend(*parts(x), 2, padding)),
        "attend_causal": (
            [24],
            lambda x: attend(*x.reshape(3, 2, 4).transpose(1, 0, 2), x.reshape(3, 2, 4)[:, 0], 1, np.tri(3, dtype=bool)),
        ),
    }


# Keeps sums of products with large parameters as small as the others' results.
small = 0.01

CASES = {
    "rms_norm": ([4, 6], rms_norm),
    "instance_norm": ([4, 2, 3], instance_norm),
    "group_norm": ([4, 2, 3], lambda x: group_norm(x, 2)),
    "sinusoidal_positions": ([4, 6], sinusoidal),
    "rotary": ([4, 6], rotary),
    "rotary_heads": ([3, 2, 4], lambda x: rotary(x, 100.0)),
    **attention_cases(),
    "silu": ([4, 6], lambda x: x / (1 + np.exp(-x))),
    "log_sigmoid": ([4, 6], lambda x: -np.log(1 + np.exp(-x))),
    "conv2d_groups": ([4, 5, 6], lambda x: conv2d(small * x, 6, 3, 2, (1, 1), (1, 1), groups=2)),
    "conv2d_dilation": ([2, 7, 6], lambda x: conv2d(small * x, 3, 3, 1, (1, 1), (1, 1), dilation=2)),
    "conv2d_same": ([2, 5, 6], lambda x: conv2d_same(small * x, 3, 4, 2)),
    "conv2d_rectangular": (
        [2, 5, 7],
        lambda x: conv2d(small * x, 3, (1, 3), (2, 1), (0, 2), (0, 2), (1, 2)),
    ),
    "conv_transpose2d": ([4, 3, 2], lambda x: conv_transpose2d(small * x, 6, 3, 2, 1, 1, 2, 2)),
    "conv_transpose2d_rectangular": (
        [2, 3, 4],
        lambda x: conv_transpose2d(small * x, 3, (2, 3), (3, 1), (1, 0)),
    ),
    "max_pool2d_rectangular": ([2, 4, 7], lambda x: pool2d(x, (2, 3), (2, 3), (0, 1), max, -math.inf)),
    "avg_pool2d_rectangular": ([2, 5, 4], lambda x: pool2d(x, (3, 2), (1, 2), (1, 0), np.mean, 0.0)),
    "conv1d_groups": ([4, 9], lambda x: conv1d(small * x, 6, 3, 2, 1, 1, groups=2)),
    "conv1d": ([3, 9], lambda x: conv1d(small * x, 4, 3, 2, 1, 2)),
    "depthwise_conv2d": ([3, 5, 4], lambda x: conv2d(small * x, 6, 3, 1, (1, 1), (1, 1), groups=3)),
    "upsample2d": ([2, 3, 4], lambda x: x.repeat(2, axis=1).repeat(2, axis=2)),
    "upsample2d_bilinear": ([2, 3, 4], lambda x: bilinear(x, 3)),
    "bidirectional": ([5, 3], elman_both_ways),
    "lora": ([3, 4], lambda x: lora(x, 3, 2, 0.5)),
}

if __name__ == "__main__":
    lines = []
    for name, (shape, of) in CASES.items():
        values = np.stack([of(sample(number, shape)) for number in range(2)])
        lines.append(f"{json.dumps(name)}: {json.dumps(values.ravel().tolist())}")
    print("{\n" + ",\n".join(lines) + "\n}")
