"""Layers that the networks share: convolutions that are fast on every platform, conditions, the output range.

A convolution y = conv(x, w) defines the trilinear form <g, conv(x, w)> in (x, w, g). Its three partial derivatives
are the convolution, the transposed convolution and the weight gradient, and the gradient of each one is made of the
other two. So three primitives, each with that rule as its custom derivative, give gradients of any order, and every
convolution that runs, in whatever order of differentiation, is one of three forms that we choose. That matters on CPUs,
where XLA computes the forms which automatic differentiation would leave behind (a dilated kernel over transposed
operands, in a dimension order it only mends outside loops) 10 to 60 times slower than the forms written here.
Accelerators get the same canonical forms, which their libraries recognise as forward, data and filter convolutions.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from jax import lax
from jaxtyping import Array, Float, Int

Images = Float[Array, "batch height width channels"]
Inputs = Float[Array, "batch height width inputs"]
Outputs = Float[Array, "batch rows columns features"]
Kernel = Float[Array, "kh kw inputs features"]
Initializer = Callable[..., Array]

_NHWC = ("NHWC", "HWIO", "NHWC")
# Below this many output channels the phases are too thin for the CPU's matrix product to pay for interleaving them.
_MIN_PHASE_CHANNELS = 8


class Geometry(NamedTuple):
    """Sizes of a strided convolution, per axis (height, width): input, kernel, stride, padding before and after."""

    inputs: tuple[int, int]
    kernel: tuple[int, int]
    strides: tuple[int, int]
    padding: tuple[tuple[int, int], tuple[int, int]]

    @property
    def outputs(self) -> tuple[int, int]:
        sizes = zip(self.inputs, self.kernel, self.strides, self.padding, strict=True)
        height, width = ((n + sum(p) - k) // s + 1 for n, k, s, p in sizes)
        return height, width


def geometry(
    inputs: Sequence[int], kernel: Sequence[int], strides: Sequence[int], padding: str | Sequence[tuple[int, int]]
) -> Geometry:
    """The geometry of a convolution over `inputs` (height, width) with padding "SAME", "VALID" or explicit pairs."""
    if isinstance(padding, str):
        padding = lax.padtype_to_pads(inputs, kernel, strides, padding)
    (top, bottom), (left, right) = padding
    (h, w), (kh, kw), (sh, sw) = inputs, kernel, strides
    return Geometry((h, w), (kh, kw), (sh, sw), ((top, bottom), (left, right)))


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def conv(x: Inputs, w: Kernel, geo: Geometry) -> Outputs:
    """y[b, i, j, o] = sum x[b, s i + k - pad, s j + l - pad, c] w[k, l, c, o]: `[B, H, W, C]` to `[B, H', W', O]`."""
    return lax.conv_general_dilated(x, w, geo.strides, geo.padding, dimension_numbers=_NHWC)


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def conv_transpose(g: Outputs, w: Kernel, geo: Geometry) -> Inputs:
    """The adjoint of `conv` in x: `[B, H', W', O]` to `[B, H, W, C]`, with the kernel of that convolution."""
    if geo.strides == (1, 1) or w.shape[2] < _MIN_PHASE_CHANNELS:
        return _conv_transpose_dilated(g, w, geo=geo)
    return lax.platform_dependent(
        g,
        w,
        cpu=functools.partial(_conv_transpose_by_phase, geo=geo),
        default=functools.partial(_conv_transpose_dilated, geo=geo),
    )


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def conv_weights(x: Inputs, g: Outputs, geo: Geometry) -> Kernel:
    """The adjoint of `conv` in w: x `[B, H, W, C]` and g `[B, H', W', O]` to `[kh, kw, C, O]`."""
    padding = [
        (low, (n - 1) * s + k - size - low)
        for n, k, s, size, (low, _) in zip(geo.outputs, geo.kernel, geo.strides, geo.inputs, geo.padding, strict=True)
    ]
    kernel = lax.conv_general_dilated(
        x.transpose(3, 1, 2, 0),
        g.transpose(1, 2, 0, 3),
        (1, 1),
        padding,
        rhs_dilation=geo.strides,
        dimension_numbers=_NHWC,
    )
    return kernel.transpose(1, 2, 0, 3)


def _conv_transpose_dilated(g: Outputs, w: Kernel, *, geo: Geometry) -> Inputs:
    padding = [
        (k - 1 - low, size + low - 1 - (n - 1) * s)
        for n, k, s, size, (low, _) in zip(geo.outputs, geo.kernel, geo.strides, geo.inputs, geo.padding, strict=True)
    ]
    flipped = w[::-1, ::-1].transpose(0, 1, 3, 2)
    return lax.conv_general_dilated(g, flipped, (1, 1), padding, lhs_dilation=geo.strides, dimension_numbers=_NHWC)


def _conv_transpose_by_phase(g: Outputs, w: Kernel, *, geo: Geometry) -> Inputs:
    """The pixels at rows a, a + s, a + 2 s, ... see only every s-th tap: a dense unit-stride convolution a phase."""
    counts = [-(-size // s) for size, s in zip(geo.inputs, geo.strides, strict=True)]
    rows, columns = (
        [_phase(a, k, s, low, n, count) for a in range(s)]
        for k, s, (low, _), n, count in zip(geo.kernel, geo.strides, geo.padding, geo.outputs, counts, strict=True)
    )
    phases = [[_phase_conv(g, w, row, column) for column in columns] for row in rows]
    y = jnp.stack([jnp.stack(row, axis=3) for row in phases], axis=2)
    (sh, sw), (nh, nw) = geo.strides, counts
    return y.reshape(y.shape[0], nh * sh, nw * sw, -1)[:, : geo.inputs[0], : geo.inputs[1]]


class _Phase(NamedTuple):
    taps: tuple[int, ...]
    padding: tuple[int, int]
    size: int


def _phase(a: int, k: int, s: int, low: int, n: int, size: int) -> _Phase:
    """Output pixel s q + a reads g[q + (a + low - t) / s] for each tap t that divides; taps in order of g."""
    taps = tuple(t for t in reversed(range(k)) if (a + low - t) % s == 0)
    if not taps:
        return _Phase((), (0, 0), size)
    first, last = (a + low - taps[0]) // s, (a + low - taps[-1]) // s
    return _Phase(taps, (-first, size - 1 + last - (n - 1)), size)


def _phase_conv(g: Outputs, w: Kernel, row: _Phase, column: _Phase) -> Inputs:
    if not row.taps or not column.taps:
        return jnp.zeros((g.shape[0], row.size, column.size, w.shape[2]), g.dtype)
    kernel = w[np.array(row.taps)][:, np.array(column.taps)].transpose(0, 1, 3, 2)
    padding = (row.padding, column.padding)
    if min(row.padding + column.padding) < 0:
        # jaxlib 0.10.2 on CPUs reads beyond g in some convolutions with negative padding.
        g = lax.pad(g, jnp.zeros((), g.dtype), ((0, 0, 0), (*row.padding, 0), (*column.padding, 0), (0, 0, 0)))
        padding = ((0, 0), (0, 0))
    return lax.conv_general_dilated(g, kernel, (1, 1), padding, dimension_numbers=_NHWC)


conv.defvjp(
    lambda x, w, geo: (conv(x, w, geo), (x, w)),
    lambda geo, saved, g: (conv_transpose(g, saved[1], geo), conv_weights(saved[0], g, geo)),
)
conv_transpose.defvjp(
    lambda g, w, geo: (conv_transpose(g, w, geo), (g, w)),
    lambda geo, saved, x: (conv(x, saved[1], geo), conv_weights(x, saved[0], geo)),
)
conv_weights.defvjp(
    lambda x, g, geo: (conv_weights(x, g, geo), (x, g)),
    lambda geo, saved, w: (conv_transpose(saved[1], w, geo), conv(saved[0], w, geo)),
)


def constant_maps(code: Float[Array, "batch codes"], w: Float[Array, "kh kw codes features"], geo: Geometry) -> Outputs:
    """`conv` of images whose channels are constant: channel f of image b is code[b, f] everywhere.

    What such a channel adds to an output pixel is its constant times the sum of the taps that lie inside the image, so
    F maps of these sums, made once a batch, take the place of convolving B x F maps.
    """
    inside = [
        [[0 <= s * i + k - low < size for k in range(taps)] for i in range(n)]
        for s, low, size, taps, n in zip(
            geo.strides, (p[0] for p in geo.padding), geo.inputs, geo.kernel, geo.outputs, strict=True
        )
    ]
    rows, columns = (np.asarray(axis, w.dtype) for axis in inside)
    sums = jnp.einsum("ik,jl,klfo->fijo", rows, columns, w)
    return jnp.tensordot(code, sums, 1)


class Conv(nn.Module):
    """Strided 2-D convolution: the numbers and the parameters of `flax.linen.Conv`, in the forms above.

    With a `code` `[B, F]` it convolves the input with F more channels, that code at every pixel, and never makes them.
    """

    features: int
    kernel: tuple[int, int] = (5, 5)
    strides: tuple[int, int] = (2, 2)
    padding: str | Sequence[tuple[int, int]] = "SAME"
    use_bias: bool = True
    kernel_init: Initializer = nn.initializers.lecun_normal()
    dtype: Any = None

    @nn.compact
    def __call__(self, x: Inputs, code: Float[Array, "batch codes"] | None = None) -> Outputs:
        channels = x.shape[-1]
        shape = (*self.kernel, channels + (0 if code is None else code.shape[-1]), self.features)
        w = self.param("kernel", self.kernel_init, shape)
        bias = self.param("bias", nn.initializers.zeros, (self.features,)) if self.use_bias else None
        x, code, w, bias = nn.dtypes.promote_dtype(x, code, w, bias, dtype=self.dtype)
        geo = geometry(x.shape[1:3], self.kernel, self.strides, self.padding)
        y = conv(x, w[:, :, :channels], geo)
        if code is not None:
            y += constant_maps(code, w[:, :, channels:], geo)
        return y if bias is None else y + bias.reshape(1, 1, 1, -1)


class ConvTranspose(nn.Module):
    """Transposed 2-D convolution: the numbers and the parameters of `flax.linen.ConvTranspose(transpose_kernel=True)`.

    The adjoint of the `Conv` with the same kernel `[kh, kw, features, inputs]`, strides and padding, whose input is
    s H x s W ("SAME") or the smallest that fits ("VALID").
    """

    features: int
    kernel: tuple[int, int] = (5, 5)
    strides: tuple[int, int] = (2, 2)
    padding: str = "SAME"
    use_bias: bool = True
    kernel_init: Initializer = nn.initializers.lecun_normal(in_axis=-1, out_axis=-2)
    dtype: Any = None

    @nn.compact
    def __call__(self, x: Inputs) -> Outputs:
        w = self.param("kernel", self.kernel_init, (*self.kernel, self.features, x.shape[-1]))
        bias = self.param("bias", nn.initializers.zeros, (self.features,)) if self.use_bias else None
        x, w, bias = nn.dtypes.promote_dtype(x, w, bias, dtype=self.dtype)
        sizes = [
            n * s + (max(k - s, 0) if self.padding == "VALID" else 0)
            for n, k, s in zip(x.shape[1:3], self.kernel, self.strides, strict=True)
        ]
        y = conv_transpose(x, w, geometry(sizes, self.kernel, self.strides, self.padding))
        return y if bias is None else y + bias.reshape(1, 1, 1, -1)


class Encode(nn.Module):
    """A condition as a vector `[B, F]`: labels int32 `[B]` one-hot or embedded, any other array flattened.

    Attributes:
      num_classes: number of labels.
      embedding: width of a learned embedding of labels; None for one-hot.
    """

    num_classes: int
    embedding: int | None = None

    @nn.compact
    def __call__(self, y: Int[Array, " batch"] | Float[Array, "batch *shape"] | None) -> Float[Array, "batch features"]:
        if y is None:
            raise ValueError("this network is conditioned: give it y [B, ...], a label or an array for each example")
        if not jnp.issubdtype(y.dtype, jnp.integer):
            return y.reshape(y.shape[0], -1)
        if self.embedding is None:
            return jax.nn.one_hot(y, self.num_classes)
        return nn.Embed(self.num_classes, self.embedding, embedding_init=nn.initializers.normal(1.0))(y)


def leaky_relu(x: Float[Array, "..."]) -> Float[Array, "..."]:
    """LeakyReLU with slope 0.2, as in every GAN since DCGAN (Flax's default is 0.01)."""
    return nn.leaky_relu(x, 0.2)
