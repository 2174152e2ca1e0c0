"""The workloads in JAX: the whole step, Adam included, as one jitted function whose
arguments are given away. Images lie channels last, which is what XLA is fastest with."""

import os

LAYERS = {
    "mnist_mlp": [("flatten",), ("dense", 784, 128), ("relu",), ("dense", 128, 10)],
    "mnist_cnn": [
        ("conv", 1, 32, "SAME"),
        ("relu",),
        ("conv", 32, 64, "SAME"),
        ("relu",),
        ("pool",),
        ("dropout", 0.25),
        ("flatten",),
        ("dense", 64 * 14 * 14, 128),
        ("relu",),
        ("dropout", 0.5),
        ("dense", 128, 10),
    ],
    "mnist_keras_cnn": [
        ("conv", 1, 32, "VALID"),
        ("relu",),
        ("pool",),
        ("flatten",),
        ("dense", 32 * 13 * 13, 10),
    ],
    "cifar_cnn": [
        ("conv", 3, 32, "VALID"),
        ("relu",),
        ("pool",),
        ("conv", 32, 64, "VALID"),
        ("relu",),
        ("pool",),
        ("conv", 64, 64, "VALID"),
        ("relu",),
        ("flatten",),
        ("dense", 64 * 4 * 4, 64),
        ("relu",),
        ("dense", 64, 10),
    ],
    "autoencoder": [
        ("flatten",),
        ("dense", 784, 256),
        ("relu",),
        ("dense", 256, 64),
        ("relu",),
        ("dense", 64, 256),
        ("relu",),
        ("dense", 256, 784),
        ("sigmoid",),
    ],
}


def prepare(threads):
    # XLA takes as many threads as the process may use processors.
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])
    import jax
    import jax.numpy as jnp
    from jax import lax
    from workloads import BATCHES, LEARNING_RATE

    jax.config.update("jax_platforms", "cpu")

    def initial(key, layers):
        parameters = []
        for number, layer in enumerate(layers):
            kind = layer[0]
            shape = {"dense": lambda: layer[1:3], "conv": lambda: (3, 3, *layer[1:3])}.get(kind)
            if shape is None:
                parameters.append(())
                continue
            draw = jax.random.normal(jax.random.fold_in(key, number), shape()) * 0.05
            parameters.append((draw, jnp.zeros(layer[2])))
        return parameters

    def apply(layers, parameters, x, key):
        for number, (layer, p) in enumerate(zip(layers, parameters)):
            match layer[0]:
                case "flatten":
                    x = x.reshape(x.shape[0], -1)
                case "dense":
                    x = x @ p[0] + p[1]
                case "conv":
                    numbers = ("NHWC", "HWIO", "NHWC")
                    x = lax.conv_general_dilated(x, p[0], (1, 1), layer[3], dimension_numbers=numbers)
                    x = x + p[1]
                case "pool":
                    window = (1, 2, 2, 1)
                    x = lax.reduce_window(x, -jnp.inf, lax.max, window, window, "VALID")
                case "relu":
                    x = jax.nn.relu(x)
                case "sigmoid":
                    x = jax.nn.sigmoid(x)
                case "dropout":
                    keep = 1 - layer[1]
                    kept = jax.random.bernoulli(jax.random.fold_in(key, number), keep, x.shape)
                    x = jnp.where(kept, x / keep, 0)
        return x

    def workload(workload, images, labels):
        layers = LAYERS.get(workload.model)
        if layers is None:
            return None

        def loss(parameters, image, label, key):
            y = apply(layers, parameters, image, key)
            if workload.loss == "mse":
                return jnp.mean((y - image.reshape(y.shape)) ** 2)
            rows = jnp.arange(label.shape[0])
            return -jnp.mean(jax.nn.log_softmax(y)[rows, label])

        def update(state, image, label, key):
            parameters, m, v, t = state
            grads = jax.grad(loss)(parameters, image, label, key)
            tree = jax.tree_util.tree_map
            t = t + 1
            m = tree(lambda m, g: 0.9 * m + 0.1 * g, m, grads)
            v = tree(lambda v, g: 0.999 * v + 0.001 * g * g, v, grads)
            first, second = 1 - 0.9**t, 1 - 0.999**t
            parameters = tree(
                lambda w, m, v: w - LEARNING_RATE * (m / first) / (jnp.sqrt(v / second) + 1e-8),
                parameters,
                m,
                v,
            )
            return parameters, m, v, t

        compiled = jax.jit(update, donate_argnums=0)
        images = jnp.asarray(images.transpose(0, 1, 3, 4, 2))
        images = [images[i] for i in range(BATCHES)]
        labels = [jnp.asarray(labels[i]) for i in range(BATCHES)]
        key = jax.random.key(1)
        parameters = initial(key, layers)
        zeros = jax.tree_util.tree_map(jnp.zeros_like, parameters)
        also = jax.tree_util.tree_map(jnp.zeros_like, parameters)
        held = [(parameters, zeros, also, jnp.float32(0))]

        def step(number):
            at = number % BATCHES
            held[0] = compiled(held[0], images[at], labels[at], key)
            jax.block_until_ready(held[0])

        return step

    return workload
