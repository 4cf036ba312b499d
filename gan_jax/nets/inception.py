"""InceptionV3 as the Frechet Inception distance uses it: the network of 2015-12-05 up to its last average.

Szegedy et al. 2016, arXiv:1512.00567; the variant of TensorFlow's frozen graph, with which Heusel et al. 2017,
arXiv:1706.08500, computed the distance. It differs from the network that torchvision trains: averages leave padding
out, and the last block pools with a maximum. Names of submodules are those of the usual weight files.
"""

from collections.abc import Callable

import jax.numpy as jnp
from flax import linen as nn
from jax import lax
from jaxtyping import Array, Float

Maps = Float[Array, "batch _ _ _"]

SIZE = 299
"""Height and width of its input."""

_Kernel = int | tuple[int, int]


class Inception(nn.Module):
    """x `[B, 299, 299, 3]` in [-1, 1] to features by name.

    Names are the numbers of features, which are the channels' means over the image: "64" and "192" after the first two
    maximum pools, "768" after Mixed_6e, "2048" at the end, which is what the distance is made of.

    Batch normalisation is part of the convolutions: each has a kernel and a bias. Products are of full float32, also
    where the accelerator has faster ones.
    """

    @nn.compact
    def __call__(self, x: Maps) -> dict[str, Float[Array, "batch features"]]:
        found = {}
        x = _conv("Conv2d_1a_3x3", 32, 3, strides=2)(x)
        x = _conv("Conv2d_2a_3x3", 32, 3)(x)
        x = _conv("Conv2d_2b_3x3", 64, 3, padding=1)(x)
        x = _halved(x)
        found["64"] = _mean(x)
        x = _conv("Conv2d_3b_1x1", 80, 1)(x)
        x = _conv("Conv2d_4a_3x3", 192, 3)(x)
        x = _halved(x)
        found["192"] = _mean(x)
        for letter, pooled in zip("bcd", (32, 64, 64), strict=True):
            x = _A(pooled, name=f"Mixed_5{letter}")(x)
        x = _B(name="Mixed_6a")(x)
        for letter, width in zip("bcde", (128, 160, 160, 192), strict=True):
            x = _C(width, name=f"Mixed_6{letter}")(x)
        found["768"] = _mean(x)
        x = _D(name="Mixed_7a")(x)
        x = _E(_averaged, name="Mixed_7b")(x)
        x = _E(_largest, name="Mixed_7c")(x)
        found["2048"] = _mean(x)
        return found


class _Conv(nn.Module):
    """A convolution and a ReLU."""

    features: int
    kernel: _Kernel
    strides: int = 1
    padding: _Kernel = 0

    @nn.compact
    def __call__(self, x: Maps) -> Maps:
        kernel, (rows, columns) = _pair(self.kernel), _pair(self.padding)
        return nn.relu(
            nn.Conv(
                self.features,
                kernel,
                self.strides,
                padding=((rows, rows), (columns, columns)),
                precision=lax.Precision.HIGHEST,
                name="conv",
            )(x)
        )


class _A(nn.Module):
    """Mixed_5b to 5d."""

    pooled: int

    @nn.compact
    def __call__(self, x: Maps) -> Maps:
        return _joined(
            _conv("branch1x1", 64, 1)(x),
            _chain(x, _conv("branch5x5_1", 48, 1), _conv("branch5x5_2", 64, 5, padding=2)),
            _chain(
                x,
                _conv("branch3x3dbl_1", 64, 1),
                _conv("branch3x3dbl_2", 96, 3, padding=1),
                _conv("branch3x3dbl_3", 96, 3, padding=1),
            ),
            _conv("branch_pool", self.pooled, 1)(_averaged(x)),
        )


class _B(nn.Module):
    """Mixed_6a, which halves the image."""

    @nn.compact
    def __call__(self, x: Maps) -> Maps:
        return _joined(
            _conv("branch3x3", 384, 3, strides=2)(x),
            _chain(
                x,
                _conv("branch3x3dbl_1", 64, 1),
                _conv("branch3x3dbl_2", 96, 3, padding=1),
                _conv("branch3x3dbl_3", 96, 3, strides=2),
            ),
            _halved(x),
        )


class _C(nn.Module):
    """Mixed_6b to 6e."""

    width: int

    @nn.compact
    def __call__(self, x: Maps) -> Maps:
        width = self.width
        return _joined(
            _conv("branch1x1", 192, 1)(x),
            _chain(x, _conv("branch7x7_1", width, 1), _row("branch7x7_2", width), _column("branch7x7_3", 192)),
            _chain(
                x,
                _conv("branch7x7dbl_1", width, 1),
                _column("branch7x7dbl_2", width),
                _row("branch7x7dbl_3", width),
                _column("branch7x7dbl_4", width),
                _row("branch7x7dbl_5", 192),
            ),
            _conv("branch_pool", 192, 1)(_averaged(x)),
        )


class _D(nn.Module):
    """Mixed_7a, which halves the image."""

    @nn.compact
    def __call__(self, x: Maps) -> Maps:
        return _joined(
            _chain(x, _conv("branch3x3_1", 192, 1), _conv("branch3x3_2", 320, 3, strides=2)),
            _chain(
                x,
                _conv("branch7x7x3_1", 192, 1),
                _row("branch7x7x3_2", 192),
                _column("branch7x7x3_3", 192),
                _conv("branch7x7x3_4", 192, 3, strides=2),
            ),
            _halved(x),
        )


class _E(nn.Module):
    """Mixed_7b and 7c, which differ in how they pool."""

    pool: Callable[[Maps], Maps]

    @nn.compact
    def __call__(self, x: Maps) -> Maps:
        inner = _conv("branch3x3_1", 384, 1)(x)
        double = _chain(x, _conv("branch3x3dbl_1", 448, 1), _conv("branch3x3dbl_2", 384, 3, padding=1))
        return _joined(
            _conv("branch1x1", 320, 1)(x),
            _conv("branch3x3_2a", 384, (1, 3), padding=(0, 1))(inner),
            _conv("branch3x3_2b", 384, (3, 1), padding=(1, 0))(inner),
            _conv("branch3x3dbl_3a", 384, (1, 3), padding=(0, 1))(double),
            _conv("branch3x3dbl_3b", 384, (3, 1), padding=(1, 0))(double),
            _conv("branch_pool", 192, 1)(self.pool(x)),
        )


def _conv(name: str, features: int, kernel: _Kernel, *, strides: int = 1, padding: _Kernel = 0) -> _Conv:
    return _Conv(features, kernel, strides, padding, name=name)


def _row(name: str, features: int) -> _Conv:
    return _conv(name, features, (1, 7), padding=(0, 3))


def _column(name: str, features: int) -> _Conv:
    return _conv(name, features, (7, 1), padding=(3, 0))


def _chain(x: Maps, *layers: _Conv) -> Maps:
    for layer in layers:
        x = layer(x)
    return x


def _joined(*branches: Maps) -> Maps:
    return jnp.concatenate(branches, axis=-1)


def _halved(x: Maps) -> Maps:
    return nn.max_pool(x, (3, 3), (2, 2))


def _averaged(x: Maps) -> Maps:
    """Means over 3 x 3 pixels, of those at the border over the four or six that there are."""
    return nn.avg_pool(x, (3, 3), padding="SAME", count_include_pad=False)


def _largest(x: Maps) -> Maps:
    return nn.max_pool(x, (3, 3), padding="SAME")


def _mean(x: Maps) -> Float[Array, "batch channels"]:
    return x.mean(axis=(1, 2))


def _pair(n: _Kernel) -> tuple[int, int]:
    rows, columns = (n, n) if isinstance(n, int) else n
    return rows, columns
