import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st
from jax.test_util import check_grads

from gan_jax.nets import layers
from gan_jax.nets.layers import Conv, ConvTranspose, Encode, geometry, leaky_relu
from tests.helpers import assert_close, jit, stack

KEY = jax.random.key(0)

compiled_each_time = settings(deadline=None, max_examples=8, suppress_health_check=[HealthCheck.too_slow])
pairs = st.tuples(st.integers(1, 3), st.integers(1, 3))
kernels = st.tuples(st.integers(1, 5), st.integers(1, 5))
sizes = st.tuples(st.integers(1, 9), st.integers(1, 9))
channels = st.integers(1, 10)
paddings = st.sampled_from(["SAME", "VALID"])


def normal(seed: int, *shape: int) -> jax.Array:
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape), jnp.float32)


def behaviour(layer: nn.Module, variables: Any, x: jax.Array, cotangent_seed: int = 3) -> dict[str, Any]:
    """All that training ever asks of a layer: outputs, both gradients, and both gradients of a gradient penalty."""

    def f(variables: Any, x: jax.Array) -> jax.Array:
        y = layer.apply(variables, x)
        return jnp.sum(jnp.tanh(y) * normal(cotangent_seed, *y.shape))

    def penalty(variables: Any, x: jax.Array) -> jax.Array:
        return jnp.sum(jnp.square(jax.grad(f, argnums=1)(variables, x)))

    return {
        "output": layer.apply(variables, x),
        "gradients": jax.grad(f, argnums=(0, 1))(variables, x),
        "second gradients": jax.grad(penalty, argnums=(0, 1))(variables, x),
    }


def assert_same_behaviour(ours: nn.Module, reference: nn.Module, x: jax.Array) -> None:
    variables = jax.eval_shape(reference.init, KEY, x)
    assert jax.eval_shape(ours.init, KEY, x) == variables
    leaves, treedef = jax.tree.flatten(variables)
    variables = treedef.unflatten([normal(i, *leaf.shape) / 2 for i, leaf in enumerate(leaves)])
    actual, expected = jit(lambda v, x: (behaviour(ours, v, x), behaviour(reference, v, x)))(variables, x)
    scale = {name: max(1.0, *(float(abs(leaf).max()) for leaf in jax.tree.leaves(expected[name]))) for name in expected}
    for name in expected:
        assert_close(actual[name], expected[name], rtol=0, atol=2e-5 * scale[name])


@given(
    size=sizes, kernel=kernels, strides=pairs, padding=paddings, inputs=channels, features=channels, bias=st.booleans()
)
@example(size=(7, 7), kernel=(5, 5), strides=(2, 2), padding="SAME", inputs=9, features=3, bias=True)
@example(size=(8, 5), kernel=(5, 4), strides=(2, 1), padding="SAME", inputs=8, features=1, bias=False)
@example(size=(9, 6), kernel=(2, 1), strides=(3, 3), padding="VALID", inputs=10, features=2, bias=False)
@example(size=(8, 8), kernel=(3, 3), strides=(2, 3), padding="VALID", inputs=8, features=9, bias=True)
@compiled_each_time
def test_conv_behaves_as_flax(
    size: tuple[int, int],
    kernel: tuple[int, int],
    strides: tuple[int, int],
    padding: str,
    inputs: int,
    features: int,
    bias: bool,
) -> None:
    assume(padding == "SAME" or all(n >= k for n, k in zip(size, kernel, strict=True)))
    assert_same_behaviour(
        Conv(features, kernel, strides, padding, use_bias=bias),
        nn.Conv(features, kernel, strides, padding, use_bias=bias),
        normal(2, 2, *size, inputs),
    )


@given(
    size=sizes, kernel=kernels, strides=pairs, padding=paddings, inputs=channels, features=channels, bias=st.booleans()
)
@example(size=(7, 7), kernel=(5, 5), strides=(2, 2), padding="SAME", inputs=3, features=9, bias=True)
@example(size=(4, 3), kernel=(4, 5), strides=(1, 2), padding="SAME", inputs=1, features=8, bias=False)
@example(size=(3, 2), kernel=(1, 2), strides=(3, 3), padding="VALID", inputs=2, features=10, bias=False)
@example(size=(4, 4), kernel=(5, 4), strides=(2, 3), padding="VALID", inputs=9, features=8, bias=True)
@compiled_each_time
def test_transposed_conv_behaves_as_flax(
    size: tuple[int, int],
    kernel: tuple[int, int],
    strides: tuple[int, int],
    padding: str,
    inputs: int,
    features: int,
    bias: bool,
) -> None:
    assert_same_behaviour(
        ConvTranspose(features, kernel, strides, padding, use_bias=bias),
        nn.ConvTranspose(features, kernel, strides, padding, use_bias=bias, transpose_kernel=True),
        normal(2, 2, *size, inputs),
    )


@pytest.mark.parametrize("padding", [((1, 2), (0, 3)), ((6, 0), (5, 7))])
def test_conv_with_explicit_padding_behaves_as_flax(padding: tuple[tuple[int, int], tuple[int, int]]) -> None:
    assert_same_behaviour(Conv(3, (3, 4), (2, 3), padding), nn.Conv(3, (3, 4), (2, 3), padding), normal(2, 2, 8, 7, 9))


def test_conv_by_hand() -> None:
    # One output: 1 * 1 + 2 * 10 + 3 * 100 + 4 * 1000.
    x = jnp.array([[1.0, 2.0], [3.0, 4.0]]).reshape(1, 2, 2, 1)
    w = jnp.array([[1.0, 10.0], [100.0, 1000.0]]).reshape(2, 2, 1, 1)
    geo = geometry((2, 2), (2, 2), (2, 2), "VALID")
    assert layers.conv(x, w, geo).item() == 4321
    # And its adjoints: one pixel of 5 through the kernel, and that pixel times the image.
    g = jnp.full((1, 1, 1, 1), 5.0)
    np.testing.assert_array_equal(layers.conv_transpose(g, w, geo), 5 * w.reshape(1, 2, 2, 1))
    np.testing.assert_array_equal(layers.conv_weights(x, g, geo), 5 * x.reshape(2, 2, 1, 1))


sides = st.tuples(st.integers(0, 5), st.integers(0, 5))


@given(
    size=sizes,
    kernel=kernels,
    strides=pairs,
    padding=paddings | st.tuples(sides, sides),
    inputs=st.integers(1, 4),
    features=st.integers(1, 4),
)
@example(size=(7, 5), kernel=(2, 1), strides=(3, 3), padding="SAME", inputs=2, features=3)
@example(size=(8, 8), kernel=(3, 2), strides=(3, 3), padding="VALID", inputs=1, features=1)
@example(size=(8, 7), kernel=(3, 4), strides=(2, 3), padding=((6, 0), (5, 7)), inputs=3, features=3)
@example(size=(3, 2), kernel=(3, 4), strides=(2, 2), padding=((9, 0), (0, 9)), inputs=3, features=3)
@settings(deadline=None, max_examples=10, suppress_health_check=[HealthCheck.too_slow])
def test_phases_give_what_the_dilated_form_gives(
    size: tuple[int, int],
    kernel: tuple[int, int],
    strides: tuple[int, int],
    padding: Any,
    inputs: int,
    features: int,
) -> None:
    geo = geometry(size, kernel, strides, padding)
    assume(min(geo.outputs) > 0)
    g, w = normal(0, 2, *geo.outputs, features), normal(1, *geo.kernel, inputs, features)
    by_phase = functools.partial(layers._conv_transpose_by_phase, geo=geo)
    dilated = functools.partial(layers._conv_transpose_dilated, geo=geo)
    actual, expected = jit(lambda g, w: (by_phase(g, w), dilated(g, w)))(g, w)
    assert actual.shape == (2, *geo.inputs, inputs)
    np.testing.assert_allclose(actual, expected, atol=1e-4)


@pytest.mark.parametrize(
    ("primitive", "inputs"), [("conv", 8), ("conv_transpose", 1), ("conv_transpose", 8), ("conv_weights", 8)]
)
def test_gradients_of_every_order_match_finite_differences(primitive: str, inputs: int) -> None:
    geo = geometry((4, 5), (3, 2), (2, 2), "SAME")
    with jax.enable_x64(True):
        rng = np.random.default_rng(0)
        x, w, g = (
            jnp.asarray(rng.normal(size=shape))
            for shape in [(2, *geo.inputs, inputs), (*geo.kernel, inputs, 2), (2, *geo.outputs, 2)]
        )
        arguments = {"conv": (x, w), "conv_transpose": (g, w), "conv_weights": (x, g)}[primitive]
        f = jax.jit(lambda *operands: jnp.tanh(getattr(layers, primitive)(*operands, geo)))
        check_grads(f, arguments, order=2, modes=["rev"], atol=1e-5, rtol=1e-5)


LAYERS = {"Conv": Conv(3), "ConvTranspose to many": ConvTranspose(8), "ConvTranspose to few": ConvTranspose(3)}
every_layer = pytest.mark.parametrize("layer", LAYERS.values(), ids=LAYERS.keys())


def layer_gradients(layer: nn.Module, variables: Any, x: jax.Array) -> Any:
    return jax.grad(lambda v, x: jnp.sum(jnp.square(layer.apply(v, x))), argnums=(0, 1))(variables, x)


@every_layer
def test_layers_under_vmap_and_scan_give_what_a_loop_gives(layer: nn.Module) -> None:
    x = normal(0, 3, 2, 6, 6, 4)
    variables = [layer.init(jax.random.key(i), x[0]) for i in range(3)]
    stacked = stack(*variables)
    gradients = functools.partial(layer_gradients, layer)
    single = jit(gradients)
    loop = [single(v, x[i]) for i, v in enumerate(variables)]
    expected = stack(*loop)
    assert_close(jit(jax.vmap(gradients))(stacked, x), expected, rtol=1e-4, atol=1e-4)
    scanned = jit(lambda v, x: jax.lax.scan(lambda carry, inputs: (carry, gradients(*inputs)), None, (v, x))[1])
    assert_close(scanned(stacked, x), expected, rtol=1e-4, atol=1e-4)


@every_layer
def test_layers_compute_in_bfloat16_and_keep_float32_parameters(layer: nn.Module) -> None:
    x = normal(0, 2, 6, 6, 4)
    half = layer.clone(dtype=jnp.bfloat16)
    variables = jit(half.init)(KEY, x)
    assert {leaf.dtype for leaf in jax.tree.leaves(variables)} == {np.dtype("float32")}
    y, exact, gradients = jit(lambda v, x: (half.apply(v, x), layer.apply(v, x), layer_gradients(half, v, x)))(
        variables, x
    )
    assert y.dtype == jnp.bfloat16
    assert exact.dtype == jnp.float32
    # 8 bits of mantissa in the operands, and sums of up to 100 products.
    np.testing.assert_allclose(y.astype(jnp.float32), exact, atol=0.02 * float(abs(exact).max()))
    assert {leaf.dtype for leaf in jax.tree.leaves(gradients)} == {np.dtype("float32")}


def test_labels_are_encoded_one_hot() -> None:
    y = jnp.array([2, 0])
    np.testing.assert_array_equal(Encode(3).apply({}, y), [[0, 0, 1], [1, 0, 0]])


def test_labels_are_encoded_by_rows_of_a_learned_table() -> None:
    y = jnp.array([2, 0, 2])
    encode = Encode(3, embedding=4)
    variables = encode.init(KEY, y)
    (table,) = jax.tree.leaves(variables)
    assert table.shape == (3, 4)
    np.testing.assert_array_equal(encode.apply(variables, y), table[y])


def test_other_conditions_are_flattened() -> None:
    y = normal(0, 2, 3, 4, 1)
    np.testing.assert_array_equal(Encode(0).apply({}, y), y.reshape(2, 12))


def test_leaky_relu_leaks_a_fifth() -> None:
    np.testing.assert_allclose(leaky_relu(jnp.array([-5.0, 0.0, 3.0])), [-1.0, 0.0, 3.0])


@pytest.mark.parametrize("padding", ["SAME", "VALID"])
@pytest.mark.parametrize("size", [(8, 8), (7, 10)])
def test_a_code_is_convolved_as_constant_channels(size: tuple[int, int], padding: str) -> None:
    x, code = (jax.random.normal(jax.random.key(i), shape) for i, shape in enumerate([(3, *size, 2), (3, 4)]))
    layer = Conv(5, padding=padding)
    maps = jnp.concatenate([x, jnp.broadcast_to(code[:, None, None], (3, *size, 4))], axis=-1)
    variables = layer.init(jax.random.key(2), maps)
    assert_close(layer.init(jax.random.key(2), x, code), variables)

    @jit
    def both(variables: Any, x: jax.Array, code: jax.Array) -> Any:
        def concatenated(variables: Any, x: jax.Array, code: jax.Array) -> jax.Array:
            maps = jnp.concatenate([x, jnp.broadcast_to(code[:, None, None], (3, *size, 4))], axis=-1)
            return jnp.sum(jnp.sin(layer.apply(variables, maps)))

        def spared(variables: Any, x: jax.Array, code: jax.Array) -> jax.Array:
            return jnp.sum(jnp.sin(layer.apply(variables, x, code)))

        return [jax.value_and_grad(f, (0, 1, 2))(variables, x, code) for f in (concatenated, spared)]

    expected, actual = both(variables, x, code)
    assert_close(actual, expected, rtol=1e-4, atol=1e-5)
