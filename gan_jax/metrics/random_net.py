"""Features of any images from a net that nothing was taught: fixed random weights.

    random = load((64, 64, 3))
    random.features(images)   # uint8 [N, 64, 64, 3] -> [N, 64]

Naeem et al. 2020, arXiv:2002.09797: where images are unlike ImageNet's, a convolutional net with random weights
measures them more sensibly than one that learned ImageNet. Ours (`gan_jax.nets.embedding`) is smaller than theirs, and
made for images of 28 to 128 pixels without resizing them. `python -m experiments.reproduce random_net` compares how it
ranks samples with how a classifier of the data does.
"""

import functools
import hashlib
import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from gan_jax.metrics.features import Extractor, in_pieces, unit
from gan_jax.nets.embedding import Embedding
from gan_jax.typing import Shape

VERSION = 1
"""Of the net and of how its weights are drawn: it is part of the name, since distances of two do not compare."""

WIDTH = 64


def load(shape: Shape, seed: int = 0) -> Extractor:
    """The extractor of 64 features of images of a shape `(H, W, C)`; `seed` decides its weights.

    The weights are uniform, of He's variance (2 over the inputs; 1 over them in the last layer), from the bits of
    NumPy's PCG64, so that they are the same on every machine and with every version of JAX. That they are is on record:
    the extractor's fingerprint is theirs.
    """
    return _loaded(tuple(shape), seed)


@functools.cache
def _loaded(shape: Shape, seed: int) -> Extractor:
    net = Embedding(WIDTH)
    image = jax.ShapeDtypeStruct((1, *shape), jnp.float32)
    abstract = jax.eval_shape(net.init, jax.random.key(0), image)["params"]
    leaves, tree = jax.tree.flatten(abstract)
    bits = np.random.Generator(np.random.PCG64(seed))
    params: Any = jax.tree.unflatten(tree, [_uniform(bits, leaf.shape) for leaf in leaves])
    digest = hashlib.sha256(b"".join(leaf.tobytes() for leaf in jax.tree.leaves(params))).hexdigest()[:8]
    apply: Callable[..., Any] = net.apply
    features = functools.partial(in_pieces, lambda images: apply({"params": params}, unit(images)), size=_piece(shape))
    name = f"random net {VERSION}" + (f" of seed {seed}" if seed else "")
    return Extractor(features, {"name": name, "fingerprint": digest})


def _piece(shape: Shape) -> int:
    """How many images at a time: their first layer takes 128 MiB, and no more than 500."""
    height, width, channels = shape
    largest = min(height, 128) * min(width, 128) * Embedding.width + height * width * channels
    return max(1, min(500, 2**25 // largest))


def _uniform(bits: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    variance = (2 if len(shape) == 4 else 1) / math.prod(shape[:-1])
    return ((2 * bits.random(shape) - 1) * math.sqrt(3 * variance)).astype(np.float32)
