"""Stacked MNIST: three random digits as the colours of one image, a thousand classes.

Metz et al. 2017, arXiv:1611.02163; Srivastava et al. 2017, arXiv:1705.07761. Modes can be counted by reading the three
digits: `gan_jax.metrics.modes`.
"""

from collections.abc import Callable

import numpy as np

from gan_jax.data.dataset import Dataset, Split

_SEEDS: dict[Split, int] = {"train": 0, "test": 1}
_COUNTS: dict[Split, int] = {"train": 60_000, "test": 26_000}


def load(mnist: Callable[[Split], Dataset], split: Split = "train") -> Dataset:
    """60,000 training or 26,000 test images, 28 x 28 x 3, labelled 100 a + 10 b + c, the same ones at each call.

    Each channel is drawn uniformly, with replacement, from the images of that split of MNIST, whose digits are not
    quite equally frequent; neither are the classes. Papers count modes in 26,000 samples.

    Args:
      mnist: loads a split of MNIST.
      split: "train" or "test".
    """
    digits = mnist(split)
    assert digits.labels is not None
    indices = np.random.default_rng(_SEEDS[split]).integers(len(digits), size=(_COUNTS[split], 3))
    x = np.stack([digits.x[indices[:, channel], :, :, 0] for channel in range(3)], axis=-1)
    labels = digits.labels[indices] @ np.array([100, 10, 1], np.int32)
    return Dataset("stacked", x, labels, tuple(map(str, range(1000))))
