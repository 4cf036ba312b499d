"""Coloured shapes on textured ground, drawn by NumPy alone: small colour images of which everything is known.

All arithmetic is exact (whole numbers, and fractions of powers of two), so the images are the same on every machine.
"""

import functools
from collections.abc import Callable, Mapping

import numpy as np
from jaxtyping import Float32, Int16, Int32, UInt8

from gan_jax.data import factors as made
from gan_jax.data.dataset import Dataset, Split

COLORS: Mapping[str, tuple[int, int, int]] = {
    "red": (220, 30, 40),
    "orange": (245, 140, 20),
    "yellow": (250, 225, 50),
    "green": (40, 160, 60),
    "cyan": (50, 205, 225),
    "blue": (40, 70, 220),
    "purple": (130, 40, 170),
    "pink": (250, 120, 190),
}
"""RGB of the shapes; the ground is nearly grey."""

# Of a point (u, v) whether it is inside; u to the right and v up, the shape in -1 ... 1.
_INSIDE: Mapping[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "circle": lambda u, v: _disc(u, v),
    "square": lambda u, v: np.maximum(abs(u), abs(v)) <= 0.875,
    "triangle": lambda u, v: (v >= -0.75) & (2 * abs(u) + 1.125 * v <= 1.125),
    "diamond": lambda u, v: abs(u) + abs(v) <= 1,
    "cross": lambda u, v: (np.minimum(abs(u), abs(v)) <= 0.3125) & (np.maximum(abs(u), abs(v)) <= 1),
    "ring": lambda u, v: _disc(u, v) & (u * u + v * v >= 0.3125),
    "heart": lambda u, v: _heart(1.1875 * u, 1.25 * v + 0.125),
    "moon": lambda u, v: _disc(u - 0.25, v) & ((u - 0.75) * (u - 0.75) + v * v >= 0.625),
}
# In pixels of a 32 x 32 image, as all lengths here.
_RADII: Mapping[str, float] = {"small": 4.5, "medium": 6.0, "large": 7.5}
_PLACES = ("top-left", "top", "top-right", "left", "center", "right", "bottom-left", "bottom", "bottom-right")
_CENTERS = np.array([9, 15, 21])
_JITTER = 3  # Places are so many pixels wide and high.

FACTORS: made.Factors = {
    "shape": tuple(_INSIDE),
    "color": tuple(COLORS),
    "size": tuple(_RADII),
    "place": _PLACES,
}
"""The names of the values of each factor."""

_PER_COMBINATION = 16
_SEEDS: dict[Split, int] = {"train": 0, "test": 1}
_SUBPIXELS = 16  # Along each axis of a pixel: the share of them that is inside a shape is its colour's,
_WHOLE = 128  # in parts of a whole pixel, of which 255 times as many fit an int16.
_PIECE = 64  # Images drawn at a time.


def load(place: str = "", split: Split = "train") -> Dataset:
    """20,736 training or 6,912 test images, 32 x 32 x 3 or 64 x 64 x 3, the same pictures at both sizes.

    Each combination of shape, colour, size and place has 16 images, which differ in their ground and, by a pixel or
    two, in the place. A quarter of the combinations is held out as the test split; every pair of values is in both.

    Args:
      place: SIZE or SIZE/FACTOR, the label: "32", "64/color"; nothing for "32/shape".
      split: "train" or "test".

    Raises:
      InputError: there is no such size or factor.
    """
    size, factor = made.read("shapes", place, FACTORS)
    return made.labelled("shapes", _drawn(size, split), factors(split), factor, FACTORS)


@functools.cache
def factors(split: Split = "train") -> Int32[np.ndarray, "n 4"]:
    """Of every image of a split the numbers of its values, by `FACTORS`: shape, colour, size and place."""
    counts = tuple(len(values) for values in FACTORS.values())
    combinations = np.indices(counts, np.int32).reshape(len(counts), -1).T
    # Shapes and colours are multiples of four, so that of each value of each factor just a quarter is held out.
    of_split = combinations[(combinations.sum(axis=1) % 4 == 0) == (split == "test")]
    rows = np.random.default_rng(_SEEDS[split]).permutation(len(of_split) * _PER_COMBINATION)
    found = np.ascontiguousarray(of_split[rows // _PER_COMBINATION])
    found.flags.writeable = False
    return found


def _drawn(size: int, split: Split) -> UInt8[np.ndarray, "n {size} {size} 3"]:
    unit, numbers = size // 32, factors(split)
    n = len(numbers)
    rng = np.random.default_rng((_SEEDS[split], 1))
    offsets = rng.integers(0, _JITTER, (n, 2), np.uint8)
    tints = rng.integers(-12, 13, (n, 3), np.int8)
    coarse = rng.integers(64, 192, (n, 5, 5), np.uint8)
    fine = rng.integers(-24, 25, (n, 17, 17), np.int8)
    shape, color, radius, place = numbers.T
    palette, masks = np.array(list(COLORS.values()), np.int16), _masks(size)
    # Row of the image in the canvas of its mask.
    tops = unit * (32 - _CENTERS[place // 3] + 1 - offsets[:, 0])
    lefts = unit * (32 - _CENTERS[place % 3] + 1 - offsets[:, 1])
    x = np.empty((n, size, size, 3), np.uint8)
    for start in range(0, n, _PIECE):
        of = slice(start, start + _PIECE)
        grey = _smooth(coarse[of], size) + _smooth(fine[of], size)
        grey = grey.astype(np.int16)
        mask = masks[shape[of], radius[of], tops[of], lefts[of]]
        for channel in range(3):
            ground = grey + tints[of, channel, None, None]
            paint = palette[color[of], channel, None, None]
            x[of, ..., channel] = (_WHOLE * ground + mask * (paint - ground) + _WHOLE // 2) // _WHOLE
    return x


def _smooth(nodes: np.ndarray, size: int) -> Float32[np.ndarray, "n {size} {size}"]:
    """Square grids of values `[n, k, k]` over the whole image, linear in between."""
    cells = nodes.shape[1] - 1
    at = (np.arange(size) + 0.5) * cells / size
    weights = np.maximum(0, 1 - abs(at[:, None] - np.arange(cells + 1))).astype(np.float32)
    return weights @ nodes.astype(np.float32) @ weights.T


@functools.cache
def _masks(size: int) -> Int16[np.ndarray, "shape size y x {size} {size}"]:
    """How much of each pixel is inside, in 128 parts: of each shape and size, windows of a canvas twice as large.

    The centre of the shape is that of pixel (32, 32) of the canvas, in units of a 32 x 32 image.
    """
    unit = size // 32
    at = (np.arange(2 * size * _SUBPIXELS) + 0.5) / (_SUBPIXELS * unit) - 32.5
    near = np.flatnonzero(abs(at) < 8.5)
    canvas = np.zeros((len(_INSIDE), len(_RADII), 2 * size, 2 * size), np.int16)
    pixels = slice(near[0] // _SUBPIXELS, near[-1] // _SUBPIXELS + 1)
    for i, inside in enumerate(_INSIDE.values()):
        for j, radius in enumerate(_RADII.values()):
            found = inside(at[near] / radius, -at[near, None] / radius)
            side = len(near) // _SUBPIXELS
            counted = found.reshape(side, _SUBPIXELS, side, _SUBPIXELS).sum(axis=(1, 3))
            canvas[i, j, pixels, pixels] = (_WHOLE * counted + _SUBPIXELS**2 // 2) // _SUBPIXELS**2
    return np.lib.stride_tricks.sliding_window_view(canvas, (size, size), axis=(2, 3))


def _disc(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    return u * u + v * v <= 1


def _heart(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """The inside of (u^2 + v^2 - 1)^3 = u^2 v^3."""
    w = u * u + v * v - 1
    return w * w * w <= u * u * v * v * v
