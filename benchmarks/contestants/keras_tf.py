"""The study in Keras 3 on TensorFlow, in the manner of Keras' own VAE example."""

import os

os.environ.setdefault("KERAS_BACKEND", "tensorflow")

import keras
import numpy as np
import tensorflow as tf
from keras import layers, ops
from protocol import BATCH, LATENT, RATE, Weights, serve

THREADS = int(os.environ["OMP_NUM_THREADS"])
tf.config.threading.set_intra_op_parallelism_threads(THREADS)
tf.config.threading.set_inter_op_parallelism_threads(THREADS)


class Sampling(layers.Layer):
    """z = mean + σ ε."""

    def call(self, inputs: list) -> object:
        mean, log_var = inputs
        return mean + ops.exp(0.5 * log_var) * keras.random.normal(ops.shape(mean))


def encoder() -> keras.Model:
    image = keras.Input((28, 28, 1))
    h = layers.Conv2D(32, 3, activation="relu", strides=2, padding="same")(image)
    h = layers.Conv2D(64, 3, activation="relu", strides=2, padding="same")(h)
    h = layers.Dense(16, activation="relu")(layers.Flatten()(h))
    mean, log_var = layers.Dense(LATENT)(h), layers.Dense(LATENT)(h)
    return keras.Model(image, [mean, log_var, Sampling()([mean, log_var])])


def decoder() -> keras.Model:
    code = keras.Input((LATENT,))
    h = layers.Reshape((7, 7, 64))(layers.Dense(7 * 7 * 64, activation="relu")(code))
    h = layers.Conv2DTranspose(64, 3, activation="relu", strides=2, padding="same")(h)
    h = layers.Conv2DTranspose(32, 3, activation="relu", strides=2, padding="same")(h)
    return keras.Model(code, layers.Conv2DTranspose(1, 3, activation="sigmoid", padding="same")(h))


class VAE(keras.Model):
    """The model with its own training step, as the example has it."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder, self.decoder = encoder(), decoder()
        self.watched = [keras.metrics.Mean(name=n) for n in ("loss", "reconstruction", "kl")]

    @property
    def metrics(self) -> list:
        return self.watched

    def terms(self, x: object) -> tuple:
        mean, log_var, z = self.encoder(x)
        cross_entropy = keras.losses.binary_crossentropy(x, self.decoder(z))
        kl = -0.5 * (1 + log_var - ops.square(mean) - ops.exp(log_var))
        return ops.mean(ops.sum(cross_entropy, axis=(1, 2))), ops.mean(ops.sum(kl, axis=1))

    def train_step(self, x: object) -> dict:
        with tf.GradientTape() as tape:
            reconstruction, kl = self.terms(x)
            loss = reconstruction + kl
        gradients = tape.gradient(loss, self.trainable_weights)
        self.optimizer.apply_gradients(zip(gradients, self.trainable_weights, strict=True))
        for metric, value in zip(self.watched, (loss, reconstruction, kl), strict=True):
            metric.update_state(value)
        return {metric.name: metric.result() for metric in self.watched}


class Keras:
    versions = {"keras": keras.__version__, "tensorflow": tf.__version__}

    def __init__(self) -> None:
        keras.utils.set_random_seed(0)
        self.model = VAE()
        self.model.compile(optimizer=keras.optimizers.Adam(RATE))

    def parameters(self) -> int:
        return sum(int(np.prod(w.shape)) for w in self.model.trainable_weights)

    def load(self, weights: Weights) -> None:
        """Our networks work on images turned by half a turn: so are their kernels."""
        w = list(weights.values())
        turned = lambda kernel: kernel.transpose(2, 3, 1, 0)[::-1, ::-1]  # noqa: E731
        rows = lambda m: m.reshape(7, 7, 64, -1)[::-1, ::-1].reshape(7 * 7 * 64, -1)  # noqa: E731
        head, bias = w[6].T, w[7]
        self.model.encoder.set_weights(
            [
                turned(w[0]),
                w[1],
                turned(w[2]),
                w[3],
                rows(w[4].T),
                w[5],
                head[:, :LATENT],
                bias[:LATENT],
                head[:, LATENT:],
                bias[LATENT:],
            ]
        )
        d = w[8:]
        self.model.decoder.set_weights(
            [
                rows(d[0]).T,
                rows(d[1])[:, 0],
                turned(d[2]),
                d[3],
                turned(d[4]),
                d[5],
                turned(d[6]),
                d[7],
            ]
        )

    def loss(self, x: np.ndarray) -> float:
        parts = [self.model.terms(part[..., None]) for part in np.array_split(x, len(x) // 250 + 1)]
        sizes = [len(part) for part in np.array_split(x, len(x) // 250 + 1)]
        return float(np.average([float(a) + float(b) for a, b in parts], weights=sizes))

    def train(self, pixels: np.ndarray, epochs: int) -> None:
        x = pixels[..., None].astype("float32") / 255
        self.model.fit(x, epochs=epochs, batch_size=BATCH, verbose=0)


if __name__ == "__main__":
    serve(Keras())
