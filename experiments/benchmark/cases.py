"""The recipes that the benchmark measures, at their papers' widths. Free of JAX and of PyTorch: both sides use it."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

CLASSES = 10
_MNIST = (28, 28, 1)
_NOISE = 2048


class Case(NamedTuple):
    """One recipe at one setting.

    Attributes:
      name: in `EXPERIMENTS` and in the peer.
      recipe: keyword arguments of the recipe.
      batch_size: examples per minibatch.
      tanh: whether images are scaled to [-1, 1], rather than [0, 1].
      shape: of an image.
    """

    name: str
    recipe: Mapping[str, Any]
    batch_size: int
    tanh: bool = False
    shape: tuple[int, int, int] = _MNIST

    @property
    def title(self) -> str:
        """The recipe's name, with the images' height where they are not MNIST's."""
        return self.name if self.shape == _MNIST else f"{self.name}_{self.shape[0]}"

    def images(self) -> tuple[np.ndarray, np.ndarray]:
        """Images uint8 `[N, H, W, C]` and labels int32 `[N]`: MNIST, or of another shape noise, for speed alone."""
        if self.shape == _MNIST:
            from gan_jax import data  # Not earlier: it imports JAX.

            mnist = data.load("mnist")
            assert mnist.labels is not None
            return mnist.x, mnist.labels
        rng = np.random.default_rng(0)
        x = rng.integers(0, 256, (_NOISE, *self.shape), np.uint8)
        return x, rng.integers(0, CLASSES, _NOISE).astype(np.int32)


CASES: Mapping[str, Case] = {
    case.title: case
    for case in (
        Case("gan", {"width": 256, "lr": 2e-4, "b1": 0.9}, 128),
        Case("wgan", {"width": 128, "depth": 1, "lr": 5e-5, "clip": 0.01, "n_critic": 5}, 64),
        Case("wgan_4x512", {"width": 512, "depth": 4, "lr": 5e-5, "clip": 0.01, "n_critic": 5}, 64),
        Case("cgan", {"width": 128, "lr": 2e-4, "b1": 0.9}, 128),
        Case("cgan_embedding", {"width": 512, "lr": 2e-4, "b1": 0.5}, 64, tanh=True),
        Case("dcgan", {"width": 128, "lr": 2e-4, "b1": 0.5}, 100, tanh=True),
        Case("cdcgan", {"width": 128, "lr": 2e-4, "b1": 0.5}, 100, tanh=True),
        Case("wgan_dcgan", {"width": 64, "lr": 5e-5, "clip": 0.01, "n_critic": 5}, 64, tanh=True),
        # Smaller minibatches than the papers': one step of these would take ten seconds.
        Case("dcgan", {"width": 128, "lr": 2e-4, "b1": 0.5}, 32, tanh=True, shape=(64, 64, 3)),
        Case("r3gan", {"width": 64, "lr": 2e-4, "b1": 0.0, "gamma": 1.0}, 32, tanh=True, shape=(32, 32, 3)),
    )
}
