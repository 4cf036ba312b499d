import functools
import re
from collections.abc import Callable
from typing import Any

import jax
import jax.export
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st
from jax.test_util import check_grads

from gan_jax import recipes
from gan_jax.nets import layers
from gan_jax.nets.activations import leaky_relu
from gan_jax.nets.layers import Conv, ConvTranspose, Encode, geometry
from tests.helpers import assert_close, few, few_rows, jit, stack

KEY = jax.random.key(0)

compiled_each_time = settings(deadline=None, max_examples=8, suppress_health_check=[HealthCheck.too_slow])
pairs = st.tuples(st.integers(1, 3), st.integers(1, 3))
kernels = st.tuples(st.integers(1, 5), st.integers(1, 5))
sizes = st.tuples(st.integers(1, 9), st.integers(1, 9))
channels = st.integers(1, 10)
paddings = st.sampled_from(["SAME", "VALID"])


def normal(seed: int, *shape: int) -> jax.Array:
    return jax.device_put(np.random.default_rng(seed).normal(size=shape).astype(np.float32))


def behaviour(layer: nn.Module, variables: Any, x: jax.Array, cotangent_seed: int = 3) -> dict[str, Any]:
    """Outputs, gradients, both gradients of a gradient penalty, tangents and a Hessian-vector product of a layer."""

    def f(variables: Any, x: jax.Array) -> jax.Array:
        y = layer.apply(variables, x)
        return jnp.sum(jnp.tanh(y) * normal(cotangent_seed, *y.shape))

    def penalty(variables: Any, x: jax.Array) -> jax.Array:
        return jnp.sum(jnp.square(jax.grad(f, argnums=1)(variables, x)))

    direction = jax.tree.map(jnp.cos, (variables, x))
    return {
        "output": layer.apply(variables, x),
        "tangents": jax.jvp(layer.apply, (variables, x), direction)[1],
        "gradients": jax.grad(f, argnums=(0, 1))(variables, x),
        "second gradients": jax.grad(penalty, argnums=(0, 1))(variables, x),
        "tangents of gradients": jax.jvp(jax.grad(f, argnums=(0, 1)), (variables, x), direction)[1],
    }


def assert_same_behaviour(ours: nn.Module, reference: nn.Module, x: jax.Array) -> None:
    variables = jax.eval_shape(reference.init, KEY, x)
    assert jax.eval_shape(ours.init, KEY, x) == variables
    leaves, treedef = jax.tree.flatten(variables)
    variables = treedef.unflatten([normal(i, *leaf.shape) / 2 for i, leaf in enumerate(leaves)])
    actual, expected = jit(lambda v, x: (behaviour(ours, v, x), behaviour(reference, v, x)))(variables, x)
    scale = {name: max(1.0, *(np.abs(leaf).max() for leaf in jax.tree.leaves(expected[name]))) for name in expected}
    for name in expected:
        assert_close(actual[name], expected[name], rtol=0, atol=2e-5 * scale[name])


# Size of the image, kernel, strides, padding, channels in and out, bias.
Sizes = tuple[tuple[int, int], tuple[int, int], tuple[int, int], str, int, int, bool]
any_sizes = st.tuples(sizes, kernels, pairs, paddings, channels, channels, st.booleans())
CONVS: list[Sizes] = [
    ((7, 7), (5, 5), (2, 2), "SAME", 9, 3, True),
    ((8, 5), (5, 4), (2, 1), "SAME", 8, 1, False),
    ((9, 6), (2, 1), (3, 3), "VALID", 10, 2, False),
    ((8, 8), (3, 3), (2, 3), "VALID", 8, 9, True),
]
TRANSPOSED: list[Sizes] = [
    ((7, 7), (5, 5), (2, 2), "SAME", 3, 9, True),
    ((4, 3), (4, 5), (1, 2), "SAME", 1, 8, False),
    ((3, 2), (1, 2), (3, 3), "VALID", 2, 10, False),
    ((4, 4), (5, 4), (2, 3), "VALID", 9, 8, True),
]


@pytest.mark.parametrize("sizes", CONVS, ids=str)
def test_conv_behaves_as_flax(sizes: Sizes) -> None:
    size, kernel, strides, padding, inputs, features, bias = sizes
    ours, reference = (net(features, kernel, strides, padding, use_bias=bias) for net in (Conv, nn.Conv))
    assert_same_behaviour(ours, reference, normal(2, 2, *size, inputs))


@pytest.mark.slow
@given(sizes=any_sizes)
@compiled_each_time
def test_any_conv_behaves_as_flax(sizes: Sizes) -> None:
    size, kernel, _, padding, *_ = sizes
    assume(padding == "SAME" or all(n >= k for n, k in zip(size, kernel, strict=True)))
    test_conv_behaves_as_flax(sizes)


@pytest.mark.parametrize("sizes", TRANSPOSED, ids=str)
def test_transposed_conv_behaves_as_flax(sizes: Sizes) -> None:
    size, kernel, strides, padding, inputs, features, bias = sizes
    assert_same_behaviour(
        ConvTranspose(features, kernel, strides, padding, use_bias=bias),
        nn.ConvTranspose(features, kernel, strides, padding, use_bias=bias, transpose_kernel=True),
        normal(2, 2, *size, inputs),
    )


@pytest.mark.slow
@given(sizes=any_sizes)
@compiled_each_time
def test_any_transposed_conv_behaves_as_flax(sizes: Sizes) -> None:
    test_transposed_conv_behaves_as_flax(sizes)


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
@example(size=(1, 1), kernel=(3, 1), strides=(1, 1), padding=((3, 1), (0, 0)), inputs=2, features=3)
@settings(deadline=None, max_examples=4, suppress_health_check=[HealthCheck.too_slow])
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
    ("primitive", "inputs"),
    few_rows(
        [("conv", 8), ("conv_transpose", 1), ("conv_transpose", 8), ("conv_weights", 8)],
        ("conv_weights", 8),
    ),
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
        check_grads(f, arguments, order=2, modes=["fwd", "rev"], atol=1e-5, rtol=1e-5)


Function = Callable[..., Any]


def linearized(f: Function, primals: Any, tangents: Any) -> Any:
    return jax.linearize(f, *primals)[1](*tangents)


def forward_over_reverse(f: Function, primals: Any, tangents: Any) -> Any:
    return jax.jvp(jax.grad(f, (0, 1)), primals, tangents)


def reverse_over_forward(f: Function, primals: Any, tangents: Any) -> Any:
    return jax.grad(lambda *primals: jax.jvp(f, primals, tangents)[1], (0, 1))(*primals)


def reverse_over_reverse(f: Function, primals: Any, tangents: Any) -> Any:
    return jax.vjp(jax.grad(f, (0, 1)), *primals)[1](tangents)


def third_order(f: Function, primals: Any, tangents: Any) -> Any:
    def of_curvature(*primals: Any) -> Any:
        return sum(jnp.sum(jnp.square(leaf)) for leaf in jax.tree.leaves(forward_over_reverse(f, primals, tangents)[1]))

    return reverse_over_forward(of_curvature, primals, tangents)


def derivatives(f: Function, operands: tuple[jax.Array, jax.Array]) -> dict[str, Any]:
    """Derivatives of f(a, b), an array, in every mode, alone and under vmaps over both operands and over either one."""
    a, b = operands
    directions = jax.tree.map(jnp.cos, operands)
    many_a, many_b = many = jax.tree.map(lambda operand: jnp.stack([operand, -operand, operand / 2]), operands)

    def energy(a: jax.Array, b: jax.Array) -> jax.Array:
        return jnp.sum(jnp.tanh(f(a, b)))

    def energy_of_all(a: jax.Array, b: jax.Array) -> jax.Array:
        return jnp.sum(jnp.tanh(jax.vmap(jax.vmap(f, (None, 0)), (0, None))(a, b)))

    def curvature(a: jax.Array, b: jax.Array) -> Any:
        return forward_over_reverse(energy, (a, b), directions)

    return {
        "jvp": jax.jvp(f, operands, directions),
        "linearize": linearized(f, operands, directions),
        "jacfwd": jax.jacfwd(f, (0, 1))(a, b),
        "jacrev": jax.jacrev(f, (0, 1))(a, b),
        "hessian": jax.hessian(lambda scale: energy(scale[0] * a, scale[1] * b))(jnp.ones(2)),
        "forward over reverse": curvature(a, b),
        "reverse over forward": reverse_over_forward(energy, operands, directions),
        "reverse over reverse": jax.vjp(jax.grad(energy, (0, 1)), a, b)[1](directions),
        "third order": third_order(energy, operands, directions),
        "vmap over both": jax.vmap(curvature)(many_a, many_b),
        "vmap over the first": jax.vmap(curvature, (0, None))(many_a, b),
        "vmap over the last axis of the second": jax.vmap(curvature, (None, -1))(a, jnp.moveaxis(many_b, 0, -1)),
        "nested vmaps": jax.vmap(jax.vmap(jax.grad(energy, (0, 1)), (None, 0)), (0, None))(many_a, many_b),
        "of nested vmaps": forward_over_reverse(energy_of_all, many, many),
    }


def plain_conv(x: jax.Array, w: jax.Array, geo: layers.Geometry) -> jax.Array:
    """The convolution that JAX differentiates by its own rules, as it does those of Linen."""
    return jax.lax.conv_general_dilated(x, w, geo.strides, geo.padding, dimension_numbers=("NHWC", "HWIO", "NHWC"))


def plain_conv_transpose(g: jax.Array, w: jax.Array, geo: layers.Geometry) -> jax.Array:
    x = jax.ShapeDtypeStruct((g.shape[0], *geo.inputs, w.shape[2]), g.dtype)
    return jax.linear_transpose(lambda x: plain_conv(x, w, geo), x)(g)[0]


def plain_conv_weights(x: jax.Array, g: jax.Array, geo: layers.Geometry) -> jax.Array:
    w = jax.ShapeDtypeStruct((*geo.kernel, x.shape[-1], g.shape[-1]), g.dtype)
    return jax.linear_transpose(lambda w: plain_conv(x, w, geo), w)(g)[0]


def assert_equal_up_to_scale(actual: Any, expected: Any, tolerance: float) -> None:
    """Leaf by leaf, up to `tolerance` of the largest number of the leaf."""
    assert jax.tree.structure(actual) == jax.tree.structure(expected)
    for a, b in zip(jax.tree.leaves(actual), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=tolerance * max(1.0, np.abs(b).max()))


@pytest.mark.parametrize(
    "primitive",
    few(["conv", "conv_transpose to few", "conv_transpose to many", "conv_weights"], "conv_transpose to many"),
)
def test_every_mode_of_differentiation_gives_what_jax_gives_for_its_own_convolution(primitive: str) -> None:
    geo = geometry((3, 4), (3, 2), (2, 2), "SAME")
    name, inputs = primitive.split()[0], 8 if "many" in primitive else 2
    x, w, g = normal(0, 2, *geo.inputs, inputs), normal(1, *geo.kernel, inputs, 3), normal(2, 2, *geo.outputs, 3)
    ours, reference, operands = {
        "conv": (layers.conv, plain_conv, (x, w)),
        "conv_transpose": (layers.conv_transpose, plain_conv_transpose, (g, w)),
        "conv_weights": (layers.conv_weights, plain_conv_weights, (x, g)),
    }[name]
    actual, expected = (
        jit(functools.partial(derivatives, functools.partial(f, geo=geo)))(operands) for f in (ours, reference)
    )
    assert_equal_up_to_scale(actual, expected, 1e-4)


NETS = {
    "dcgan": functools.partial(recipes.dcgan, (8, 8, 1), widths=(8, 4)),
    "cdcgan": functools.partial(recipes.cdcgan, (8, 8, 2), 3, widths=(8, 4)),
    "sngan": functools.partial(recipes.sngan, (8, 8, 1), widths=(8, 4)),
    "r3gan": functools.partial(recipes.r3gan, (8, 8, 1), widths=(16, 8, 4)),
}


@pytest.mark.parametrize("role", few(["generator", "discriminator"], "generator"))
@pytest.mark.parametrize("name", few(NETS, "cdcgan"))
def test_nets_have_the_derivatives_of_nets_of_plain_convolutions(
    name: str, role: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    net = getattr(NETS[name](width=4, latent=3), role)
    inputs, labels = normal(0, 2, 3) if role == "generator" else normal(0, 2, *NETS[name].args[0]), jnp.array([2, 0])
    variables = jax.eval_shape(lambda: net.init(KEY, inputs, labels, train=True))
    leaves, treedef = jax.tree.flatten(variables)
    variables = treedef.unflatten([0.5 + 0.3 * normal(i, *leaf.shape) for i, leaf in enumerate(leaves)])
    rest = {name: collection for name, collection in variables.items() if name != "params"}

    def outputs(params: Any, inputs: jax.Array) -> Any:
        updated = [*rest]
        return net.apply({"params": params, **rest}, inputs, labels, train=True, mutable=updated)[0]

    def energy(params: Any, inputs: jax.Array) -> jax.Array:
        return jnp.sum(jnp.sin(outputs(params, inputs)))

    def behaviour(params: Any, inputs: jax.Array) -> Any:
        primals, tangents = (params, inputs), jax.tree.map(jnp.cos, (params, inputs))
        return {
            "jvp": jax.jvp(outputs, primals, tangents),
            "jacfwd": jax.jacfwd(lambda scale: outputs(params, scale * inputs))(1.0),
            "forward over reverse": forward_over_reverse(energy, primals, tangents),
            "reverse over forward": reverse_over_forward(energy, primals, tangents),
        }

    actual = jit(lambda *primals: behaviour(*primals))(variables["params"], inputs)
    monkeypatch.setattr(layers, "conv", plain_conv)
    monkeypatch.setattr(layers, "conv_transpose", plain_conv_transpose)
    expected = jit(lambda *primals: behaviour(*primals))(variables["params"], inputs)
    assert_equal_up_to_scale(actual, expected, 1e-4)


LAYERS = {"Conv": Conv(3), "ConvTranspose to many": ConvTranspose(8), "ConvTranspose to few": ConvTranspose(3)}
every_layer = pytest.mark.parametrize("layer", LAYERS.values(), ids=LAYERS.keys())


def energy(layer: nn.Module, variables: Any, x: jax.Array) -> jax.Array:
    return jnp.sum(jnp.square(layer.apply(variables, x)))


def penalty(layer: nn.Module, variables: Any, x: jax.Array) -> jax.Array:
    return jnp.sum(jnp.square(jax.grad(functools.partial(energy, layer), 1)(variables, x)))


def programs(layer: nn.Module) -> dict[str, Function]:
    """Functions of (variables, x) that differentiate the layer in all the ways in which somebody may."""
    f, g = functools.partial(energy, layer), functools.partial(penalty, layer)

    def directed(f: Function) -> Function:
        return lambda v, x: jax.jvp(f, (v, x), (v, x))

    def over_scan(v: Any, x: jax.Array) -> jax.Array:
        return jax.lax.scan(lambda total, x: (total + g(v, x), None), 0.0, x[:, None])[0]

    def over_examples(v: Any, x: jax.Array) -> jax.Array:
        return jnp.sum(jax.vmap(g, (None, 0))(v, x[:, None]))

    def over_members(v: Any, x: jax.Array) -> jax.Array:
        return jnp.sum(jax.vmap(g)(jax.tree.map(lambda leaf: jnp.stack([leaf, -leaf]), v), x[:, None]))

    return {
        "gradient": jax.grad(f, (0, 1)),
        "gradient of a penalty": jax.grad(g, (0, 1)),
        "gradient of a scan": jax.grad(over_scan, (0, 1)),
        "gradient of a map over examples": jax.grad(over_examples, (0, 1)),
        "gradient of a map over members": jax.grad(over_members, (0, 1)),
        "gradients, mapped": lambda v, x: jax.vmap(jax.grad(g), (None, 0))(v, x[:, None]),
        "tangent": directed(layer.apply),
        "tangent of a gradient": directed(jax.grad(f, (0, 1))),
        "gradient of a tangent": jax.grad(lambda v, x: directed(f)(v, x)[1], (0, 1)),
    }


@every_layer
def test_every_convolution_of_any_order_of_differentiation_has_the_form_that_is_fast(layer: nn.Module) -> None:
    x = normal(0, 2, 6, 6, 4)
    variables = jax.eval_shape(layer.init, KEY, x)

    def forms(program: Function) -> set[str]:
        text = jax.jit(program).lower(variables, x).as_text()
        return set(re.findall(r"stablehlo.convolution.* dim_numbers = (.*?), window", text))

    canonical = {"[b, 0, 1, f]x[0, 1, i, o]->[b, 0, 1, f]"}
    ours = programs(layer)
    assert {name: forms(program) for name, program in ours.items()} == {name: canonical for name in ours}
    linen: nn.Module = nn.Conv(3, (5, 5), (2, 2))
    if isinstance(layer, ConvTranspose):
        linen = nn.ConvTranspose(layer.features, (5, 5), (2, 2), transpose_kernel=True)
    assert forms(programs(linen)["gradient"]) != canonical


def test_a_map_over_one_operand_leaves_a_dense_convolution() -> None:
    geo = geometry((6, 6), (3, 3), (2, 2), "SAME")
    x, w, g = normal(0, 2, 6, 6, 8), normal(1, 3, 3, 8, 3), normal(2, 2, 3, 3, 3)
    for f, a, b in [(layers.conv, x, w), (layers.conv_transpose, g, w), (layers.conv_weights, x, g)]:
        for axes, a_many, b_many in [((0, None), stack(a, a), b), ((None, 0), a, stack(b, b))]:
            text = jax.jit(jax.vmap(functools.partial(f, geo=geo), axes)).lower(a_many, b_many).as_text()
            assert set(re.findall(r"feature_group_count = (\d+)", text)) == {"1"}


@every_layer
@pytest.mark.parametrize("check_vma", few([True, False], True))
def test_derivatives_inside_shard_map_sum_to_those_of_the_whole_batch(layer: nn.Module, check_vma: bool) -> None:
    x = normal(0, 4, 6, 6, 4)
    variables = jit(layer.init)(KEY, x)
    f = functools.partial(energy, layer)

    def derivatives(variables: Any, x: jax.Array) -> Any:
        gradient = jax.grad(f)
        one_each = jax.grad(lambda v: jnp.sum(jax.vmap(f, (None, 0))(v, x[:, None])))
        return jax.jvp(gradient, (variables, x), (variables, x)), one_each(variables)

    def summed(variables: Any, x: jax.Array) -> Any:
        # Where JAX tracks over which axes values vary, the gradient of replicated variables is a sum over devices.
        parts = derivatives(variables, x)
        return parts if check_vma else jax.lax.psum(parts, "data")

    spread = jax.shard_map(
        summed,
        mesh=jax.sharding.Mesh(np.array(jax.devices()[:2]), ("data",)),
        in_specs=(jax.P(), jax.P("data")),
        out_specs=jax.P(),
        check_vma=check_vma,
    )
    assert_equal_up_to_scale(jit(spread)(variables, x), jit(derivatives)(variables, x), 1e-5)


def test_derivatives_are_exported_for_several_platforms_and_any_batch_size() -> None:
    layer, x = ConvTranspose(8), normal(0, 3, 4, 4, 2)
    variables = jit(layer.init)(KEY, x)
    f = jit(programs(layer)["tangent of a gradient"])
    (batch,) = jax.export.symbolic_shape("batch")
    exported = jax.export.export(f, platforms=("cpu", "cuda", "tpu"))(
        variables, jax.ShapeDtypeStruct((batch, *x.shape[1:]), x.dtype)
    )
    restored = jax.export.deserialize(exported.serialize())
    assert_equal_up_to_scale(jit(restored.call)(variables, x), f(variables, x), 1e-5)


def test_the_precision_that_a_function_sets_holds_for_its_convolutions_and_their_gradients() -> None:
    geo = geometry((4, 4), (3, 3), (2, 2), "SAME")

    def f(x: jax.Array, w: jax.Array) -> jax.Array:
        with jax.default_matmul_precision("highest"):
            return jnp.sum(jnp.square(layers.conv(x, w, geo)))

    lowered = jax.jit(jax.grad(f, (0, 1))).lower(normal(0, 1, 4, 4, 1), normal(1, 3, 3, 1, 1)).as_text()
    precisions = re.findall(r"stablehlo.convolution.*?precision_config = (.*?)}", lowered)
    assert precisions == 3 * ["[#stablehlo<precision HIGHEST>, #stablehlo<precision HIGHEST>]"]


def layer_gradients(layer: nn.Module, variables: Any, x: jax.Array) -> Any:
    return jax.grad(functools.partial(energy, layer), argnums=(0, 1))(variables, x)


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
    in_a_scan = jit(lambda v, x: jax.lax.scan(lambda carry, inputs: (carry, gradients(*inputs)), None, (v, x))[1])
    assert_close(in_a_scan(stacked, x), expected, rtol=1e-4, atol=1e-4)


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
    np.testing.assert_allclose(y.astype(jnp.float32), exact, atol=0.02 * np.abs(exact).max())
    assert {leaf.dtype for leaf in jax.tree.leaves(gradients)} == {np.dtype("float32")}


def test_labels_are_encoded_one_hot() -> None:
    y = jnp.array([2, 0])
    np.testing.assert_array_equal(Encode(3).apply({}, y), [[0, 0, 1], [1, 0, 0]])
    np.testing.assert_array_equal(Encode(3, scale=2.5).apply({}, y), [[0, 0, 2.5], [2.5, 0, 0]])


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


def test_conditions_of_several_kinds_are_concatenated_in_the_order_of_their_keys() -> None:
    image = normal(0, 2, 2, 2, 1)
    y = {"label": jnp.array([2, 0]), "image": image}
    expected = np.concatenate([image.reshape(2, 4), [[0, 0, 1], [1, 0, 0]]], axis=1)
    np.testing.assert_array_equal(Encode(3).apply({}, y), expected)


def test_labels_of_several_kinds_have_their_own_number_of_classes() -> None:
    y = {"digit": jnp.array([1, 0]), "colour": jnp.array([0, 2])}
    np.testing.assert_array_equal(Encode({"digit": 2, "colour": 3}).apply({}, y), [[1, 0, 0, 0, 1], [0, 0, 1, 1, 0]])
    tables = jax.tree.leaves(Encode({"digit": 2, "colour": 3}, embedding=4).init(KEY, y))
    assert sorted(table.shape for table in tables) == [(2, 4), (3, 4)]


@pytest.mark.parametrize("y", [None, {}])
def test_a_missing_condition_is_named(y: Any) -> None:
    with pytest.raises(ValueError, match="this network is conditioned"):
        Encode(3).apply({}, y)


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

        def derivatives(f: Function) -> Any:
            primals = (variables, x, code)
            gradient = jax.value_and_grad(f, (0, 1, 2))
            return gradient(*primals), jax.jvp(gradient, primals, jax.tree.map(jnp.cos, primals))

        return [derivatives(f) for f in (concatenated, spared)]

    expected, actual = both(variables, x, code)
    assert_equal_up_to_scale(actual, expected, 1e-5)
