"""Pictures that are made from factors (a shape, a colour, a place ...): which size, and which factor is the label."""

import difflib
import hashlib
from collections.abc import Mapping, Sequence

import numpy as np

from gan_jax.data.dataset import Dataset
from gan_jax.errors import InputError

SIZES = (32, 64)
"""Heights, which are widths, of the images; the first is the default."""

Factors = Mapping[str, Sequence[str]]
"""What the pictures are made from: of each factor the names of its values, by number."""


def read(name: str, place: str, factors: Factors) -> tuple[int, str]:
    """The size and the factor that are asked for.

    Args:
      name: of the data.
      place: what stands behind its name and a colon: SIZE or SIZE/FACTOR; or nothing.
      factors: those of the data; the first is the default. "colour" is read as "color".

    Raises:
      InputError: there is no such size or factor.
    """
    size, slash, factor = place.partition("/")
    if place and size not in map(str, SIZES):
        sizes = " or ".join(f"{name}:{n}" for n in SIZES)
        raise InputError(f"{name} has no images of size {size!r}: choose {sizes}")
    factor = "color" if factor == "colour" else factor
    if slash and factor not in factors:
        near = difflib.get_close_matches(factor, factors, n=1)
        hint = f" (did you mean {near[0]}?)" if near else ""
        raise InputError(f"{name} has no factor {factor!r}{hint}: choose one of {', '.join(factors)}")
    return int(size or SIZES[0]), factor or next(iter(factors))


def labelled(
    name: str,
    x: np.ndarray,
    numbers: np.ndarray,
    factor: str,
    factors: Factors,
    notes: tuple[str, ...] = (),
    known_fingerprint: str | None = None,
) -> Dataset:
    """Images with one of their factors as labels.

    Args:
      name: of the data.
      x: uint8 `[N, H, W, C]`.
      numbers: of the values of all factors, int32 `[N, len(factors)]`.
      factor: which one.
      factors: all of them.
      notes: see `Dataset`.
      known_fingerprint: of the images, where it is known without reading them.
    """
    labels = np.ascontiguousarray(numbers[:, list(factors).index(factor)])
    known = None
    if known_fingerprint is not None:
        known = hashlib.blake2b(f"{known_fingerprint} {factor}".encode(), digest_size=8).hexdigest()
    return Dataset(f"{name}:{x.shape[1]}/{factor}", x, labels, tuple(factors[factor]), notes, known_fingerprint=known)
