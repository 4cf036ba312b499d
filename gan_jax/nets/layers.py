"""Layers that the networks share: convolutions that are fast on every platform, and encoders of conditions.

A convolution y = conv(x, w) is linear in x and linear in w. Its adjoint in x is the transposed convolution, its adjoint
in w is the weight gradient. Each of these is linear in both of its operands too, and its adjoints are the other two of
the three operations. So the three are JAX primitives here, whose derivatives are again these primitives: in forward
mode, in reverse mode, in any mixture of both and to any order, and `jax.vmap` of one is one of them too.

Each primitive is computed in a form of our choice. That matters on CPUs, where XLA computes what differentiating
`lax.conv_general_dilated` leaves behind (kernels dilated over transposed operands, in an order of dimensions that XLA
only corrects outside loops) 10 to 60 times slower than the forms written here. Accelerators get forms which their
libraries recognise as forward, data and filter convolutions.
"""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from jax import lax
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir
from jaxtyping import Array, Float

from gan_jax.nets.inits import lecun_normal
from gan_jax.typing import Condition

Images = Float[Array, "batch height width channels"]
Inputs = Float[Array, "batch height width inputs"]
Outputs = Float[Array, "batch rows columns features"]
Kernel = Float[Array, "kh kw inputs features"]
Initializer = Callable[..., Array]

_NHWC = ("NHWC", "HWIO", "NHWC")
# With fewer output channels the CPU's matrix products gain less than it costs to interleave the phases.
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


def conv(x: Inputs, w: Kernel, geo: Geometry) -> Outputs:
    """y[b, i, j, o] = sum x[b, s i + k - pad, s j + l - pad, c] w[k, l, c, o]: `[B, H, W, C]` to `[B, H', W', O]`."""
    return _bind(_conv_p, x, w, geo)


def conv_transpose(g: Outputs, w: Kernel, geo: Geometry) -> Inputs:
    """The adjoint of `conv` in x: `[B, H', W', O]` to `[B, H, W, C]`, with the kernel of that convolution."""
    return _bind(_conv_transpose_p, g, w, geo)


def conv_weights(x: Inputs, g: Outputs, geo: Geometry) -> Kernel:
    """The adjoint of `conv` in w: x `[B, H, W, C]` and g `[B, H', W', O]` to `[kh, kw, C, O]`."""
    return _bind(_conv_weights_p, x, g, geo)


def _bind(primitive: Primitive, a: Array, b: Array, geo: Geometry) -> Array:
    # Inside jax.shard_map both operands must vary over the same mesh axes. JAX casts the operands of its own binary
    # operations in the same way; the transpose of the cast sums the gradient over devices.
    over_a, over_b = (jax.typeof(operand).manual_axis_type.varying for operand in (a, b))
    a = lax.pcast(a, tuple(sorted(over_b - over_a)), to="varying")
    b = lax.pcast(b, tuple(sorted(over_a - over_b)), to="varying")
    # Read while the caller is traced: the primitive is lowered later, outside any `with` that sets the precision.
    precision = jax.config.jax_default_matmul_precision  # type: ignore[attr-defined]
    return primitive.bind(a, b, geo=geo, precision=precision)


def _conv_form(x: Inputs, w: Kernel, *, geo: Geometry) -> Outputs:
    return lax.conv_general_dilated(x, w, geo.strides, geo.padding, dimension_numbers=_NHWC)


def _conv_transpose_form(g: Outputs, w: Kernel, *, geo: Geometry) -> Inputs:
    if geo.strides == (1, 1) or w.shape[2] < _MIN_PHASE_CHANNELS:
        return _conv_transpose_dilated(g, w, geo=geo)
    return lax.platform_dependent(
        g,
        w,
        cpu=functools.partial(_conv_transpose_by_phase, geo=geo),
        default=functools.partial(_conv_transpose_dilated, geo=geo),
    )


def _conv_weights_form(x: Inputs, g: Outputs, *, geo: Geometry) -> Kernel:
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
    return _unit_stride_conv(g, w[::-1, ::-1].transpose(0, 1, 3, 2), padding, geo.strides)


def _conv_transpose_by_phase(g: Outputs, w: Kernel, *, geo: Geometry) -> Inputs:
    """Pixels at rows a, a + s, a + 2 s, ... use only every s-th tap: one dense unit-stride convolution per phase."""
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
    taps: range
    padding: tuple[int, int]
    size: int


def _phase(a: int, k: int, s: int, low: int, n: int, size: int) -> _Phase:
    """Output pixel s q + a reads g[q + (a + low - t) / s] for each tap t that divides; taps in order of g."""
    taps = range(k)[(a + low) % s :: s][::-1]
    if not taps:
        return _Phase(taps, (0, 0), size)
    first, last = (a + low - taps[0]) // s, (a + low - taps[-1]) // s
    return _Phase(taps, (-first, size - 1 + last - (n - 1)), size)


def _phase_conv(g: Outputs, w: Kernel, row: _Phase, column: _Phase) -> Inputs:
    if not row.taps or not column.taps:
        return jnp.zeros((g.shape[0], row.size, column.size, w.shape[2]), g.dtype)
    rows, columns = (slice(phase.taps.start, None, phase.taps.step) for phase in (row, column))
    kernel = w[rows, columns].transpose(0, 1, 3, 2)  # Taps as slices, which XLA compiles faster than indices.
    return _unit_stride_conv(g, kernel, (row.padding, column.padding))


def _unit_stride_conv(
    x: Array, w: Array, padding: Sequence[tuple[int, int]], dilation: tuple[int, int] = (1, 1)
) -> Array:
    """Convolution of images into which dilation - 1 zeros are put between any two neighbouring pixels."""
    if min(map(min, padding)) < 0:
        # jaxlib 0.10.2 on CPUs reads beyond x in some convolutions with negative padding.
        rows, columns = ((low, high, d - 1) for (low, high), d in zip(padding, dilation, strict=True))
        x = lax.pad(x, jnp.zeros((), x.dtype), ((0, 0, 0), rows, columns, (0, 0, 0)))
        padding, dilation = ((0, 0), (0, 0)), (1, 1)
    return lax.conv_general_dilated(x, w, (1, 1), padding, lhs_dilation=dilation, dimension_numbers=_NHWC)


# Dimensions of the three arrays of a convolution: B, C and O are each shared by two of them.
_INPUTS, _KERNEL, _OUTPUTS = "BHWC", "hwCO", "BIJO"


def _primitive(name: str, form: Callable[..., Array], dims: tuple[str, str], result: str) -> Primitive:
    """A JAX primitive that computes `form`, mapped over whatever leading axes both operands have (none outside vmaps).

    How it is differentiated is defined separately, since the derivatives of one primitive are the others.

    Args:
      name: of the primitive.
      form: function of two arrays, and of a geometry as `geo`.
      dims: names of the dimensions of the two arrays.
      result: names of the dimensions of what `form` returns.
    """
    primitive = Primitive(name)

    def apply(a: Array, b: Array, *, geo: Geometry, precision: str | None) -> Array:
        f = functools.partial(form, geo=geo)
        for _ in range(a.ndim - len(dims[0])):
            f = jax.vmap(f)
        with jax.default_matmul_precision(precision):
            return f(a, b)

    def batch(operands: Sequence[Array], axes: Sequence[Any], **params: Any) -> tuple[Array, int]:
        if None not in axes:
            a, b = (jnp.moveaxis(operand, axis, 0) for operand, axis in zip(operands, axes, strict=True))
            return primitive.bind(a, b, **params), 0
        # An axis that one operand alone has is merged into the dimension which that operand shares with the result: the
        # convolution stays dense, while over a leading axis it would be a grouped one, which is slower.
        which = 0 if axes[1] is None else 1
        (shared,) = set(dims[which]) & set(result)
        axis = dims[which].index(shared) - len(dims[which])
        operand = jnp.moveaxis(operands[which], axes[which], axis - 1)
        sizes = operand.shape[axis - 1], operand.shape[axis]
        merged = list(operands)
        merged[which] = lax.collapse(operand, operand.ndim + axis - 1, operand.ndim + axis + 1)
        y = primitive.bind(*merged, **params)
        axis = y.ndim + result.index(shared) - len(result)
        return y.reshape(*y.shape[:axis], *sizes, *y.shape[axis + 1 :]), axis

    compiled = jax.jit(apply, static_argnames=("geo", "precision"))
    primitive.def_impl(compiled)
    primitive.def_abstract_eval(lambda a, b, **params: compiled.trace(a, b, **params).jaxpr.out_avals[0])
    batching.primitive_batchers[primitive] = batch
    mlir.register_lowering(primitive, mlir.lower_fun(apply, multiple_results=False))
    return primitive


# The names contain that of JAX's own convolution, by which gan_jax.population finds convolutions in a jaxpr.
_conv_p = _primitive("conv_general_dilated_forward", _conv_form, (_INPUTS, _KERNEL), _OUTPUTS)
_conv_transpose_p = _primitive("conv_general_dilated_inputs", _conv_transpose_form, (_OUTPUTS, _KERNEL), _INPUTS)
_conv_weights_p = _primitive("conv_general_dilated_weights", _conv_weights_form, (_INPUTS, _OUTPUTS), _KERNEL)

# A bilinear primitive is its own derivative in either operand. Its transposes, which reverse mode needs, are these.
ad.defbilinear(
    _conv_p,
    lambda g, x, w, **params: _conv_transpose_p.bind(g, w, **params),
    lambda g, x, w, **params: _conv_weights_p.bind(x, g, **params),
)
ad.defbilinear(
    _conv_transpose_p,
    lambda x, g, w, **params: _conv_p.bind(x, w, **params),
    lambda x, g, w, **params: _conv_weights_p.bind(x, g, **params),
)
ad.defbilinear(
    _conv_weights_p,
    lambda w, x, g, **params: _conv_transpose_p.bind(g, w, **params),
    lambda w, x, g, **params: _conv_p.bind(x, w, **params),
)


def constant_maps(code: Float[Array, "batch codes"], w: Float[Array, "kh kw codes features"], geo: Geometry) -> Outputs:
    """`conv` of images whose channels are constant: channel f of image b is code[b, f] everywhere.

    What such a channel adds to an output pixel is its constant times the sum of the taps that lie inside the image, so
    F maps of these sums, computed once per batch, take the place of convolving B x F maps.
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

    With a `code` `[B, F]` it convolves the input with F more channels, that code at every pixel, without storing them.

    Attributes:
      features: channels of the output.
      kernel_size: height and width of the kernel.
      strides: vertical and horizontal stride.
      padding: "SAME", "VALID", or pairs (before, after) for the height and the width.
      use_bias: whether a learned constant is added to each output channel.
      kernel_init: initializer of the kernel `[kh, kw, inputs, features]`.
      dtype: of the computation and of the output; None for that which input and float32 parameters promote to.
    """

    features: int
    kernel_size: tuple[int, int] = (5, 5)
    strides: tuple[int, int] = (2, 2)
    padding: str | Sequence[tuple[int, int]] = "SAME"
    use_bias: bool = True
    kernel_init: Initializer = lecun_normal()
    dtype: Any = None

    @nn.compact
    def __call__(self, x: Inputs, code: Float[Array, "batch codes"] | None = None) -> Outputs:
        channels = x.shape[-1]
        shape = (*self.kernel_size, channels + (0 if code is None else code.shape[-1]), self.features)
        w = self.param("kernel", self.kernel_init, shape, jnp.float32)
        bias = self.param("bias", nn.initializers.zeros, (self.features,), jnp.float32) if self.use_bias else None
        x, code, w, bias = nn.dtypes.promote_dtype(x, code, w, bias, dtype=self.dtype)
        geo = geometry(x.shape[1:3], self.kernel_size, self.strides, self.padding)
        y = conv(x, w[:, :, :channels], geo)
        if code is not None:
            y += constant_maps(code, w[:, :, channels:], geo)
        return y if bias is None else y + bias.reshape(1, 1, 1, -1)


class ConvTranspose(nn.Module):
    """Transposed 2-D convolution: the numbers and the parameters of `flax.linen.ConvTranspose(transpose_kernel=True)`.

    The adjoint of the `Conv` with the same kernel `[kh, kw, features, inputs]`, strides and padding, whose input is
    s H x s W ("SAME") or the smallest that fits ("VALID").

    Attributes:
      features: channels of the output.
      kernel_size: height and width of the kernel.
      strides: vertical and horizontal stride s.
      padding: "SAME" or "VALID".
      use_bias: whether a learned constant is added to each output channel.
      kernel_init: initializer of the kernel `[kh, kw, features, inputs]`.
      dtype: of the computation and of the output; None for that which input and float32 parameters promote to.
    """

    features: int
    kernel_size: tuple[int, int] = (5, 5)
    strides: tuple[int, int] = (2, 2)
    padding: str = "SAME"
    use_bias: bool = True
    kernel_init: Initializer = lecun_normal(in_axis=-1, out_axis=-2)
    dtype: Any = None

    @nn.compact
    def __call__(self, x: Inputs) -> Outputs:
        w = self.param("kernel", self.kernel_init, (*self.kernel_size, self.features, x.shape[-1]), jnp.float32)
        bias = self.param("bias", nn.initializers.zeros, (self.features,), jnp.float32) if self.use_bias else None
        x, w, bias = nn.dtypes.promote_dtype(x, w, bias, dtype=self.dtype)
        sizes = [
            n * s + (max(k - s, 0) if self.padding == "VALID" else 0)
            for n, k, s in zip(x.shape[1:3], self.kernel_size, self.strides, strict=True)
        ]
        y = conv_transpose(x, w, geometry(sizes, self.kernel_size, self.strides, self.padding))
        return y if bias is None else y + bias.reshape(1, 1, 1, -1)


class Encode(nn.Module):
    """A condition as a vector `[B, F]`: labels int32 `[B]` one-hot or embedded, any other array flattened.

    Of a condition of several kinds, a pytree of such arrays, these vectors are concatenated in the order of its leaves
    (of a dict, that of its keys).

    Attributes:
      num_classes: number of labels; of a dict in which several arrays are labels, a mapping of their keys to it.
      embedding: width of a learned embedding of labels; None for one-hot.
      scale: what a one-hot vector has in place of 1.
    """

    num_classes: int | Mapping[str, int]
    embedding: int | None = None
    scale: float = 1.0

    @nn.compact
    def __call__(self, y: Condition) -> Float[Array, "batch features"]:
        leaves = jax.tree.leaves_with_path(y)
        if not leaves:
            raise ValueError("this network is conditioned: give it y [B, ...], one label or array per example")
        return jnp.concatenate([self._vector(path, leaf) for path, leaf in leaves], axis=-1)

    def _vector(self, path: Any, y: Array) -> Float[Array, "batch features"]:
        if not jnp.issubdtype(y.dtype, jnp.integer):
            return y.reshape(y.shape[0], -1)
        classes = self.num_classes[path[0].key] if isinstance(self.num_classes, Mapping) else self.num_classes
        if self.embedding is None:
            return self.scale * jax.nn.one_hot(y, classes)
        return nn.Embed(classes, self.embedding, embedding_init=nn.initializers.normal(1.0))(y)
