"""The workloads in Keras on TensorFlow, a step being one compiled graph."""


def prepare(threads):
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    import keras
    from keras import layers
    from workloads import BATCHES, LEARNING_RATE

    def conv(filters, padding):
        return layers.Conv2D(filters, 3, padding=padding, activation="relu")

    models = {
        "mnist_mlp": lambda: [
            layers.Flatten(),
            layers.Dense(128, activation="relu"),
            layers.Dense(10),
        ],
        "mnist_cnn": lambda: [
            conv(32, "same"),
            conv(64, "same"),
            layers.MaxPooling2D(),
            layers.Dropout(0.25),
            layers.Flatten(),
            layers.Dense(128, activation="relu"),
            layers.Dropout(0.5),
            layers.Dense(10),
        ],
        "mnist_keras_cnn": lambda: [
            conv(32, "valid"),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dense(10),
        ],
        "cifar_cnn": lambda: [
            conv(32, "valid"),
            layers.MaxPooling2D(),
            conv(64, "valid"),
            layers.MaxPooling2D(),
            conv(64, "valid"),
            layers.Flatten(),
            layers.Dense(64, activation="relu"),
            layers.Dense(10),
        ],
        "autoencoder": lambda: [
            layers.Flatten(),
            layers.Dense(256, activation="relu"),
            layers.Dense(64, activation="relu"),
            layers.Dense(256, activation="relu"),
            layers.Dense(784, activation="sigmoid"),
        ],
        "mnist_lstm": lambda: [
            layers.Reshape((28, 28)),
            layers.LSTM(128),
            layers.Dense(10),
        ],
    }
    clip_norms = {"mnist_lstm": 1.0}

    def workload(workload, images, labels):
        if workload.model not in models:
            return None
        channels, height, width = workload.sample
        model = keras.Sequential(
            [keras.Input((height, width, channels)), *models[workload.model]()]
        )
        clip_norm = clip_norms.get(workload.model)
        optimizer = keras.optimizers.Adam(LEARNING_RATE, global_clipnorm=clip_norm)
        optimizer.build(model.trainable_variables)
        cross_entropy = keras.losses.SparseCategoricalCrossentropy(from_logits=True)

        @tf.function
        def train(image, label):
            with tf.GradientTape() as tape:
                y = model(image, training=True)
                if workload.loss == "mse":
                    loss = tf.reduce_mean((y - tf.reshape(image, tf.shape(y))) ** 2)
                else:
                    loss = cross_entropy(label, y)
            grads = tape.gradient(loss, model.trainable_variables)
            optimizer.apply_gradients(zip(grads, model.trainable_variables))
            return loss

        images = [tf.constant(image) for image in images.transpose(0, 1, 3, 4, 2)]
        labels = [tf.constant(label) for label in labels]

        def step(number):
            at = number % BATCHES
            train(images[at], labels[at]).numpy()

        return step

    return workload
