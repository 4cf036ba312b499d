from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from jaxtyping import TypeCheckError

from gan_jax.errors import InputError
from gan_jax.nets import dcgan, heads, mlp, resample, resnet
from gan_jax.nets.activations import leaky_relu
from gan_jax.nets.layers import Encode
from gan_jax.nets.sizes import check_shape
from tests.helpers import assert_close, assert_same, differ, few, jit

KEY = jax.random.key(0)
SHAPES = [(28, 28, 1), (32, 32, 3), (8, 12, 2)]
BATCH, LATENT, CLASSES = 3, 5, 10
LABELS = jnp.array([0, 7, 9])

Make = Callable[..., nn.Module]

GENERATORS: dict[str, tuple[Make, tuple[float, float]]] = {
    "mlp sigmoid": (lambda shape, **kw: mlp.Generator(shape, (4, 4), batch_norm=True, **kw), (0, 1)),
    "mlp tanh": (lambda shape, **kw: mlp.Generator(shape, (4,), jnp.tanh, **kw), (-1, 1)),
    "dcgan": (lambda shape, **kw: dcgan.Generator(shape, (4, 2), **kw), (-1, 1)),
    "dcgan plain": (lambda shape, **kw: dcgan.Generator(shape, (4, 2), batch_norm=False, **kw), (-1, 1)),
    "resnet": (lambda shape, **kw: resnet.Generator(shape, (8, 4, 2), **kw), (-1, 1)),
}
DISCRIMINATORS: dict[str, Make] = {
    "mlp": lambda head, **kw: mlp.Discriminator((4, 4), head, dropout=0.4, **kw),
    "mlp spectral": lambda head, **kw: mlp.Discriminator((4, 4), head, spectral_norm=True, **kw),
    "dcgan": lambda head, **kw: dcgan.Discriminator(head, (2, 4), batch_norm=True, **kw),
    "dcgan spectral": lambda head, **kw: dcgan.Discriminator(head, (2, 4), spectral_norm=True, **kw),
    "resnet": lambda head, **kw: resnet.Discriminator(head, (2, 4, 8), **kw),
}
LATENTS = jax.random.normal(KEY, (BATCH, LATENT))


def fitting(nets: Any) -> list[Any]:
    """Every network with images of several sizes, and MLPs with points too; all but one size of images are slow."""
    found = [(name, shape) for name in nets for shape in [*SHAPES, (2,)] if len(shape) == 3 or name.startswith("mlp")]
    slow = [pytest.mark.slow]
    return [pytest.param(*case, marks=slow if case[1] in SHAPES[:2] else []) for case in found]


def images(shape: tuple[int, ...]) -> jax.Array:
    return jax.random.uniform(KEY, (BATCH, *shape), minval=-1.0)


def dtypes(tree: Any) -> set[np.dtype]:
    return {leaf.dtype for leaf in jax.tree.leaves(tree)}


@pytest.mark.parametrize(("name", "shape"), fitting(GENERATORS), ids=str)
@pytest.mark.parametrize("encode", [None, Encode(CLASSES), Encode(CLASSES, 3)], ids=["plain", "one-hot", "embedding"])
def test_generators_of_any_dtype_map_latents_to_float32_data(name: str, shape: Any, encode: Encode | None) -> None:
    net = GENERATORS[name][0](shape, encode=encode, dtype="bfloat16")
    y = None if encode is None else LABELS
    x, variables = jax.eval_shape(lambda: net.init_with_output(KEY, LATENTS, y, train=False))
    assert x.shape == (BATCH, *shape)
    assert dtypes((x, variables)) == {np.dtype("float32")}


@pytest.mark.parametrize(("name", "shape"), fitting(DISCRIMINATORS), ids=str)
@pytest.mark.parametrize(
    "head", [heads.Logit(), heads.Projection(CLASSES), heads.Classify(CLASSES)], ids=["logit", "projection", "classify"]
)
def test_discriminators_of_any_dtype_map_data_to_float32_logits(name: str, shape: Any, head: nn.Module) -> None:
    net = DISCRIMINATORS[name](head, dtype="bfloat16")
    logits, variables = jax.eval_shape(lambda: net.init_with_output(KEY, images(shape), LABELS, train=False))
    assert logits.shape == (BATCH,)
    assert dtypes((logits, variables)) == {np.dtype("float32")}


@pytest.mark.parametrize("name", GENERATORS)
def test_generators_fill_their_range_and_no_more(name: str) -> None:
    make, (low, high) = GENERATORS[name]
    net = make((8, 8, 1))
    variables = jit(lambda z: net.init(KEY, z, None, train=False))(LATENTS)
    loud = {**variables, "params": jax.tree.map(lambda p: 30 * p, variables["params"])}
    x = jit(lambda v, z: net.apply(v, 10 * z, None, train=False))(loud, LATENTS)
    assert x.min() >= low
    assert x.max() <= high
    assert x.min() < low + 0.1 * (high - low)
    assert x.max() > high - 0.1 * (high - low)


@pytest.mark.parametrize("name", ["mlp sigmoid", "dcgan", "resnet"])
def test_bfloat16_computes_nearly_the_same_images(name: str) -> None:
    exact, rough = (GENERATORS[name][0]((8, 8, 1), dtype=dtype) for dtype in ("float32", "bfloat16"))
    variables = jit(lambda z: exact.init(KEY, z, None, train=False))(LATENTS)
    apply = jit(lambda v, z: (exact.apply(v, z, None, train=False), rough.apply(v, z, None, train=False)))
    expected, actual = apply(variables, LATENTS)
    assert differ(actual, expected)
    # bfloat16 has 8 bits of mantissa; a few layers of them.
    np.testing.assert_allclose(actual, expected, atol=0.05)


@pytest.mark.parametrize(
    ("shape", "halvings", "step", "examples"),
    [
        ((30, 28, 1), 2, 4, "28 x 28, 32 x 32, 64 x 64"),
        ((28, 27, 1), 2, 4, "28 x 28, 32 x 32, 64 x 64"),
        ((4, 8, 1), 2, 4, "28 x 28, 32 x 32, 64 x 64"),
        ((8, 4, 1), 2, 4, "28 x 28, 32 x 32, 64 x 64"),
        ((28, 28), 2, 4, "28 x 28, 32 x 32, 64 x 64"),
        ((2,), 2, 4, "28 x 28, 32 x 32, 64 x 64"),
        ((28, 28, 1), 3, 8, "32 x 32, 64 x 64, 128 x 128"),
        ((64, 16, 3), 4, 16, "32 x 32, 64 x 64, 128 x 128"),
        ((64, 64, 3), 6, 64, "128 x 128, 256 x 256, 512 x 512"),
        ((1, 2, 3), 0, 1, "28 x 28, 32 x 32, 64 x 64"),
    ],
    ids=str,
)
def test_sizes_that_do_not_fit_are_refused_with_those_that_do(
    shape: tuple[int, ...], halvings: int, step: int, examples: str
) -> None:
    with pytest.raises(InputError) as refusal:
        check_shape(shape, halvings)
    got = " x ".join(map(str, shape))
    assert f"multiples of {step} from {2 * step} up ({examples}, ...), got {got}: " in str(refusal.value)


@pytest.mark.parametrize(
    ("shape", "halvings"),
    [((28, 28, 1), 2), ((8, 12, 2), 2), ((16, 24, 3), 3), ((64, 64, 3), 4), ((128, 192, 4), 6), ((2, 3, 1), 0)],
    ids=str,
)
def test_sizes_from_a_base_of_two_pixels_up_fit(shape: tuple[int, int, int], halvings: int) -> None:
    assert check_shape(list(shape), halvings) == shape


@pytest.mark.parametrize(("net", "widths"), [(dcgan, (2, 2, 2)), (resnet, (2, 2, 2, 2))], ids=["dcgan", "resnet"])
def test_networks_check_the_sizes_they_meet(net: Any, widths: tuple[int, ...]) -> None:
    """Three halvings: 28 is divisible by 4 and not by 8."""
    with pytest.raises(InputError, match=r"multiples of 8 .* got 28 x 32 x 1"):
        net.Generator((28, 32, 1), widths).init(KEY, LATENTS, None, train=False)
    with pytest.raises(InputError, match=r"multiples of 8 .* got 32 x 28 x 1"):
        net.Discriminator(heads.Logit(), widths).init(KEY, images((32, 28, 1)), None, train=False)


def test_annotations_are_enforced_in_this_session() -> None:
    with pytest.raises(TypeCheckError):
        mlp.Generator((2,), (4,)).init(KEY, LATENTS[0], None, train=False)


def shapes_of(net: nn.Module, *inputs: Any) -> dict[str, tuple[int, ...]]:
    params = jax.eval_shape(lambda: net.init(KEY, *inputs, train=False))["params"]
    return {"/".join(key.key for key in path): leaf.shape for path, leaf in jax.tree.leaves_with_path(params)}


def test_dcgan_players_have_the_published_layers() -> None:
    latents = jnp.zeros((1, 100))
    assert shapes_of(dcgan.Generator((28, 28, 1), (256, 128), encode=Encode(10)), latents, LABELS[:1]) == {
        "Dense_0/kernel": (110, 7 * 7 * 256),
        "BatchNorm_0/scale": (256,),
        "BatchNorm_0/bias": (256,),
        "ConvTranspose_0/kernel": (5, 5, 128, 256),
        "BatchNorm_1/scale": (128,),
        "BatchNorm_1/bias": (128,),
        "ConvTranspose_1/kernel": (5, 5, 1, 128),
        "ConvTranspose_1/bias": (1,),
    }
    discriminator = dcgan.Discriminator(heads.Logit(), (128, 256), batch_norm=True, encode=Encode(10))
    assert shapes_of(discriminator, jnp.zeros((1, 28, 28, 1)), LABELS[:1]) == {
        "Conv_0/kernel": (5, 5, 11, 128),
        "Conv_0/bias": (128,),
        "Conv_1/kernel": (5, 5, 128, 256),
        "BatchNorm_0/scale": (256,),
        "BatchNorm_0/bias": (256,),
        "head/Dense_0/kernel": (7 * 7 * 256, 1),
        "head/Dense_0/bias": (1,),
    }


def test_four_widths_are_the_paper_s_layers() -> None:
    generator = dcgan.Generator((64, 64, 3), (1024, 512, 256, 128))
    kernels = {name: shape for name, shape in shapes_of(generator, jnp.zeros((1, 100)), None).items() if "ker" in name}
    assert kernels == {
        "Dense_0/kernel": (100, 4 * 4 * 1024),
        "ConvTranspose_0/kernel": (5, 5, 512, 1024),
        "ConvTranspose_1/kernel": (5, 5, 256, 512),
        "ConvTranspose_2/kernel": (5, 5, 128, 256),
        "ConvTranspose_3/kernel": (5, 5, 3, 128),
    }
    discriminator = dcgan.Discriminator(heads.Logit(), (128, 256, 512, 1024), batch_norm=True)
    shapes = shapes_of(discriminator, jnp.zeros((1, 64, 64, 3)), None)
    assert {name: shape for name, shape in shapes.items() if "ker" in name} == {
        "Conv_0/kernel": (5, 5, 3, 128),
        "Conv_1/kernel": (5, 5, 128, 256),
        "Conv_2/kernel": (5, 5, 256, 512),
        "Conv_3/kernel": (5, 5, 512, 1024),
        "head/Dense_0/kernel": (4 * 4 * 1024, 1),
    }
    # BatchNorm, instead of a bias, in every layer but the first.
    assert {name for name in shapes if name.endswith(("Norm_0/scale", "Norm_1/scale", "Norm_2/scale"))} == {
        f"BatchNorm_{i}/scale" for i in range(3)
    }
    assert {name for name in shapes if name.startswith("Conv") and "bias" in name} == {"Conv_0/bias"}


def test_residual_widths_are_those_of_each_resolution() -> None:
    generator = shapes_of(resnet.Generator((64, 64, 3), (40, 30, 20, 10, 5)), jnp.zeros((1, 7)), None)
    assert {name: shape for name, shape in generator.items() if name.startswith(("Dense", "Conv"))} == {
        "Dense_0/kernel": (7, 4 * 4 * 40),
        "Dense_0/bias": (4 * 4 * 40,),
        "Dense_1/kernel": (40, 30),
        "Dense_2/kernel": (30, 20),
        "Dense_3/kernel": (20, 10),
        "Dense_4/kernel": (10, 5),
        "Conv_0/kernel": (3, 3, 5, 3),
        "Conv_0/bias": (3,),
    }
    blocks = [generator[f"Block_{i}/Conv_1/kernel"] for i in range(5)]
    assert blocks == [(3, 3, n, n) for n in (40, 30, 20, 10, 5)]
    net = resnet.Discriminator(heads.Logit(), (5, 10, 20, 30, 40))
    discriminator = shapes_of(net, jnp.zeros((1, 64, 64, 3)), None)
    assert discriminator["Conv_0/kernel"] == (3, 3, 3, 5)
    assert [discriminator[f"Dense_{i}/kernel"] for i in range(4)] == [(5, 10), (10, 20), (20, 30), (30, 40)]
    assert discriminator["head/Dense_0/kernel"] == (4 * 4 * 40, 1)


class PlainDCGANGenerator(nn.Module):
    """Three layers for 16 x 24 x 2 in Flax's own convolutions."""

    @nn.compact
    def __call__(self, z: jax.Array, y: jax.Array, train: bool) -> jax.Array:
        h = jnp.concatenate([z, jax.nn.one_hot(y, CLASSES)], axis=-1)
        h = nn.Dense(2 * 3 * 6, use_bias=False)(h).reshape(-1, 2, 3, 6)
        h = nn.leaky_relu(nn.BatchNorm(not train, momentum=0.9)(h), 0.2)
        for features in (5, 4):
            h = nn.ConvTranspose(features, (5, 5), (2, 2), transpose_kernel=True, use_bias=False)(h)
            h = nn.leaky_relu(nn.BatchNorm(not train, momentum=0.9)(h), 0.2)
        return jnp.tanh(nn.ConvTranspose(2, (5, 5), (2, 2), transpose_kernel=True)(h))


class PlainDCGANDiscriminator(nn.Module):
    head: nn.Module

    @nn.compact
    def __call__(self, x: jax.Array, y: jax.Array, train: bool) -> jax.Array:
        maps = jnp.broadcast_to(jax.nn.one_hot(y, CLASSES)[:, None, None], (*x.shape[:3], CLASSES))
        h = nn.leaky_relu(nn.Conv(4, (5, 5), (2, 2))(jnp.concatenate([x, maps], axis=-1)), 0.2)
        for features in (5, 6):
            h = nn.Conv(features, (5, 5), (2, 2), use_bias=False)(h)
            h = nn.leaky_relu(nn.BatchNorm(not train, momentum=0.9)(h), 0.2)
        return self.head(h.reshape(h.shape[0], 2 * 3 * 6), y, train)


class PlainResnetGenerator(nn.Module):
    @nn.compact
    def __call__(self, z: jax.Array, y: jax.Array, train: bool) -> jax.Array:
        h = jnp.concatenate([z, jax.nn.one_hot(y, CLASSES)], axis=-1)
        h = nn.Dense(2 * 3 * 7)(h).reshape(-1, 2, 3, 7)
        h = _block(h, 0)
        for i, (features, size) in enumerate([(6, (4, 6)), (5, (8, 12)), (4, (16, 24))], 1):
            h = nn.Dense(features, use_bias=False)(h)
            h = jax.image.resize(h, (h.shape[0], *size, features), "nearest")
            h = _block(h, i)
        return jnp.tanh(nn.Conv(2, (3, 3))(nn.leaky_relu(h, 0.2)))


class PlainResnetDiscriminator(nn.Module):
    head: nn.Module

    @nn.compact
    def __call__(self, x: jax.Array, y: jax.Array, train: bool) -> jax.Array:
        h = nn.Conv(4, (3, 3))(x)
        for i, features in enumerate((5, 6, 7)):
            h = nn.Dense(features, use_bias=False)(_block(h, i))
            h = nn.avg_pool(h, (2, 2), (2, 2))
        return self.head(nn.leaky_relu(_block(h, 3), 0.2).reshape(h.shape[0], 2 * 3 * 7), y, train)


class _PlainBlock(nn.Module):
    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        h = nn.Conv(x.shape[-1], (3, 3))(nn.leaky_relu(x, 0.2))
        return x + nn.Conv(x.shape[-1], (3, 3))(nn.leaky_relu(h, 0.2))


def _block(x: jax.Array, i: int) -> Any:
    return _PlainBlock(name=f"Block_{i}")(x)


@pytest.mark.parametrize(
    ("net", "plain"),
    [
        (dcgan.Generator((16, 24, 2), (6, 5, 4), encode=Encode(CLASSES)), PlainDCGANGenerator()),
        (
            dcgan.Discriminator(heads.Logit(), (4, 5, 6), batch_norm=True, encode=Encode(CLASSES)),
            PlainDCGANDiscriminator(heads.Logit()),
        ),
        (resnet.Generator((16, 24, 2), (7, 6, 5, 4), encode=Encode(CLASSES)), PlainResnetGenerator()),
        (
            resnet.Discriminator(heads.Projection(CLASSES), (4, 5, 6, 7)),
            PlainResnetDiscriminator(heads.Projection(CLASSES)),
        ),
    ],
    ids=["dcgan G", "dcgan D", "resnet G", "resnet D"],
)
@pytest.mark.parametrize(
    "train", [pytest.param(False, id="inference", marks=pytest.mark.slow), pytest.param(True, id="training")]
)
def test_convolutional_nets_are_these_layers_of_flax(net: nn.Module, plain: nn.Module, train: bool) -> None:
    x = images((16, 24, 2)) if hasattr(net, "head") else LATENTS
    shapes, of_plain = (jax.eval_shape(lambda net=net: net.init(KEY, x, LABELS, False)) for net in (net, plain))
    assert of_plain == shapes
    rng = np.random.default_rng(0)
    params = jax.tree.map(lambda leaf: rng.normal(size=leaf.shape) / 3, shapes["params"])
    # Positive, since variances are among them.
    stats = jax.tree.map(lambda leaf: rng.uniform(0.5, 2, leaf.shape), shapes.get("batch_stats", {}))
    variables = jax.tree.map(jnp.float32, {"params": params, "batch_stats": stats})
    actual, expected = jit(lambda v, x: [n.apply(v, x, LABELS, train, mutable=["batch_stats"]) for n in (net, plain)])(
        variables, x
    )
    assert_close(actual, expected, rtol=2e-4, atol=2e-5)


@pytest.mark.parametrize(
    "net", [mlp.Generator((2,), (4,), None, encode=Encode(CLASSES)), dcgan.Generator((8, 8, 1), (4, 2))]
)
def test_only_a_generator_with_an_encoder_reads_the_condition(net: nn.Module) -> None:
    variables = jit(lambda z: net.init(KEY, z, LABELS, train=False))(LATENTS)
    apply = jit(lambda y: net.apply(variables, LATENTS, y, train=False))
    x, other = apply(LABELS), apply(LABELS[::-1])
    if net.encode is None:
        assert_same(x, other)
    else:
        assert (x[0] != other[0]).all()
        assert_close(x[1], other[1])


def test_condition_enters_an_mlp_discriminator_beside_the_data() -> None:
    net = mlp.Discriminator((), heads.Logit(), encode=Encode(2))
    x, y = jnp.array([[1.0, 2.0], [1.0, 2.0]]), jnp.array([0, 1])
    params = {"head": {"Dense_0": {"kernel": jnp.array([[1.0], [10.0], [100.0], [1000.0]]), "bias": jnp.zeros(1)}}}
    # 1 + 20 and the entry of the label.
    np.testing.assert_allclose(net.apply({"params": params}, x, y, train=False), [121.0, 1021.0])


def test_condition_enters_a_convolutional_discriminator_as_constant_maps() -> None:
    # One example conditioned on a float vector equals an unconditional net that gets the maps as channels.
    plain = dcgan.Discriminator(heads.Logit(), (2, 4))
    conditional = dcgan.Discriminator(heads.Logit(), (2, 4), encode=Encode(0))
    x, y = images((8, 8, 1)), jnp.array([[0.5, -1.0], [2.0, 3.0], [0.0, 1.0]])
    maps = jnp.stack([jnp.full((8, 8, 2), row) for row in y])
    variables = jit(lambda x: conditional.init(KEY, x, y, train=False))(x)
    assert_close(
        conditional.apply(variables, x, y, train=False),
        plain.apply(variables, jnp.concatenate([x, maps], axis=-1), None, train=False),
    )


def test_projection_head_is_its_formula() -> None:
    head = heads.Projection(3)
    h, y = jnp.array([[1.0, 2.0], [3.0, 4.0]]), jnp.array([2, 0])
    params = {
        "Embed_0": {"embedding": jnp.array([[0.5, -1.0], [9.0, 9.0], [10.0, 100.0]])},
        "Dense_0": {"kernel": jnp.array([[2.0], [-3.0]]), "bias": jnp.array([7.0])},
    }
    # psi = 2 - 6 + 7 = 3, 6 - 12 + 7 = 1; <V_y, h> = 10 + 200, 1.5 - 4.
    np.testing.assert_allclose(head.apply({"params": params}, h, y, train=False), [213.0, -1.5])


def test_hidden_head_is_a_dense_layer_before_another_head() -> None:
    head = heads.Hidden(2, heads.Logit())
    params = {
        "Dense_0": {"kernel": jnp.array([[1.0, 0.0], [0.0, 2.0]]), "bias": jnp.array([0.0, -1.0])},
        "head": {"Dense_0": {"kernel": jnp.array([[3.0], [10.0]]), "bias": jnp.array([0.5])}},
    }
    # (1, 2) -> (1, 3) -> 3 + 30 + .5; (5, 0) -> (5, -1), leaky (5, -.2) -> 15 - 2 + .5.
    h = jnp.array([[1.0, 2.0], [5.0, 0.0]])
    np.testing.assert_allclose(head.apply({"params": params}, h, None, train=False), [33.5, 13.5], rtol=1e-6)


def test_hidden_head_normalises_before_its_activation() -> None:
    head = heads.Hidden(2, heads.Logit(), batch_norm=True)
    norm = {"scale": jnp.array([2.0, 1.0]), "bias": jnp.array([0.0, 1.0])}
    params = {
        "Dense_0": {"kernel": jnp.array([[1.0, 0.0], [0.0, 2.0]])},
        "BatchNorm_0": norm,
        "head": {"Dense_0": {"kernel": jnp.array([[3.0], [10.0]]), "bias": jnp.array([0.5])}},
    }
    # The batch has (1, 4) and (5, 0): normalised (-1, 1) and (1, -1), scaled (-2, 2) and (2, 0), then leaky.
    h = jnp.array([[1.0, 2.0], [5.0, 0.0]])
    variables = {"params": params, "batch_stats": {"BatchNorm_0": {"mean": jnp.zeros(2), "var": jnp.ones(2)}}}
    found, _ = head.apply(variables, h, None, True, mutable=["batch_stats"])
    np.testing.assert_allclose(found, [-1.2 + 20 + 0.5, 6.5], rtol=1e-4)


@pytest.mark.parametrize("name", few(DISCRIMINATORS, "mlp", "dcgan spectral"))
def test_without_a_head_a_discriminator_returns_what_its_head_would_get(name: str) -> None:
    make = DISCRIMINATORS[name]
    x = images((8, 8, 1))
    variables = jit(lambda x: make(heads.Logit()).init(KEY, x, None, train=False))(x)
    body = {kind: {name: tree for name, tree in of.items() if name != "head"} for kind, of in variables.items()}
    expected = jax.eval_shape(lambda: make(heads.Features()).init(KEY, x, None, train=False))
    assert jax.tree.map(jnp.shape, body) == jax.tree.map(jnp.shape, expected)
    h = jit(lambda body: make(heads.Features()).apply(body, x, None, train=False))(body)
    assert h.ndim == 2
    last = variables["params"]["head"]["Dense_0"]
    logits = jit(lambda variables: make(heads.Logit()).apply(variables, x, None, train=False))(variables)
    assert_close(logits, (h @ last["kernel"])[:, 0] + last["bias"][0])


def test_classify_head_sows_the_cross_entropy_of_each_example() -> None:
    head = heads.Classify(2)
    h, y = jnp.array([[1.0], [2.0]]), jnp.array([0, 0])
    params = {
        "Dense_0": {"kernel": jnp.log(jnp.array([[3.0, 1.0]])), "bias": jnp.zeros(2)},
        "Dense_1": {"kernel": jnp.array([[5.0]]), "bias": jnp.array([1.0])},
    }
    logits, sown = head.apply({"params": params}, h, y, train=True, mutable=["losses"])
    np.testing.assert_allclose(logits, [6.0, 11.0])
    # p(0) = 3 / (3 + 1), 9 / (9 + 1): log 4/3 and log 10/9.
    (cross_entropy,) = jax.tree.leaves(sown)
    np.testing.assert_allclose(cross_entropy, [0.2876821, 0.1053605], rtol=1e-6)


@pytest.mark.parametrize("name", ["mlp spectral", "dcgan spectral"])
def test_spectral_norm_divides_by_the_largest_singular_value(name: str) -> None:
    net = DISCRIMINATORS[name](heads.Logit(spectral_norm=True))
    x = images((8, 8, 1))
    variables = jit(lambda x: net.init(KEY, x, None, train=False))(x)
    params = jax.tree.map(lambda p: 7 * p, variables["params"])

    def power_iteration(_: int, stats: Any) -> Any:
        inputs = {"params": params, "batch_stats": stats}
        _, updates = net.apply(inputs, x, None, train=True, mutable=["batch_stats"], rngs={"dropout": KEY})
        return updates["batch_stats"]

    stats = jit(lambda stats: jax.lax.fori_loop(0, 200, power_iteration, stats))(variables["batch_stats"])
    sigmas = [leaf for path, leaf in jax.tree.leaves_with_path(stats) if "sigma" in path[-1].key]
    kernels = [leaf for path, leaf in jax.tree.leaves_with_path(params) if path[-1].key == "kernel"]
    assert len(sigmas) == len(kernels) == 3
    largest = [np.linalg.svd(np.asarray(w).reshape(-1, w.shape[-1]), compute_uv=False)[0] for w in kernels]
    np.testing.assert_allclose(sorted(float(s) for s in sigmas), sorted(largest), rtol=1e-3)
    # Scaling every weight scales nothing but the biases, which are zero here.
    unscaled = {"params": variables["params"], "batch_stats": stats}
    scaled = {"params": params, "batch_stats": stats}
    apply = jit(lambda v: net.apply(v, x, None, train=True, mutable=["batch_stats"], rngs={"dropout": KEY})[0])
    assert_close(apply(scaled), apply(unscaled), rtol=1e-3)


def test_dropout_is_random_in_training_and_absent_in_inference() -> None:
    net = DISCRIMINATORS["mlp"](heads.Logit())
    x = images((8, 8, 1))
    variables = jit(lambda x: net.init(KEY, x, None, train=False))(x)

    @jit
    def apply(rng: jax.Array) -> Any:
        inference = net.apply(variables, x, None, train=False)
        training, _ = net.apply(variables, x, None, train=True, rngs={"dropout": rng}, mutable=["batch_stats"])
        return inference, training

    (inference, training), (again, other) = apply(KEY), apply(jax.random.key(1))
    assert_same(inference, again)
    assert differ(training, other)


@pytest.mark.parametrize(
    ("net", "arguments", "x"),
    [
        (dcgan.Generator, ((8, 8, 1), (4, 2), True, Encode(CLASSES)), LATENTS),
        (dcgan.Discriminator, (heads.Logit(), (2, 4), True, False, Encode(CLASSES)), images((8, 8, 1))),
        pytest.param(resnet.Generator, ((8, 8, 1), (8, 4, 2), Encode(CLASSES)), LATENTS, marks=pytest.mark.slow),
        pytest.param(
            resnet.Discriminator,
            (heads.Projection(CLASSES), (2, 4, 8)),
            images((8, 8, 1)),
            marks=pytest.mark.slow,
        ),
        (mlp.Generator, ((2,), (4, 4), None, leaky_relu, True, Encode(CLASSES)), LATENTS),
        (mlp.Discriminator, ((4, 4), heads.Hidden(3, heads.Projection(CLASSES))), images((2,))),
    ],
    ids=["dcgan G", "dcgan D", "resnet G", "resnet D", "mlp G", "mlp D"],
)
def test_networks_can_be_rematerialised(net: Any, arguments: tuple[Any, ...], x: jax.Array) -> None:
    """Called as `(x, y, train)` by position, with `train` static."""
    stored, rematerialised = net(*arguments), nn.remat(net, static_argnums=(3,))(*arguments)
    variables = jit(lambda x: stored.init(KEY, x, LABELS, False))(x)
    assert jax.eval_shape(lambda: rematerialised.init(KEY, x, LABELS, False)) == jax.eval_shape(lambda: variables)

    def run(net: nn.Module, params: Any) -> Any:
        out, updates = net.apply({**variables, "params": params}, x, LABELS, True, mutable=["batch_stats"])
        return jnp.sum(jnp.sin(out + jnp.arange(float(out.size)).reshape(out.shape))), (out, updates)

    def gradients(net: nn.Module) -> Any:
        return jax.value_and_grad(lambda params: run(net, params), has_aux=True)(variables["params"])

    actual, expected = jit(lambda: (gradients(rematerialised), gradients(stored)))()
    assert_close(actual, expected)
    assert "remat" in str(jax.make_jaxpr(lambda: gradients(rematerialised))())


def test_residual_blocks_start_as_the_identity() -> None:
    x = images((8, 8, 3))
    block = resnet.Block()
    variables = jit(block.init)(KEY, x)
    assert_same(block.apply(variables, x), x)
    shifted = jax.tree.map(lambda p: p + 0.1, variables)
    assert differ(block.apply(shifted, x), x)


def test_mean_pool_by_hand() -> None:
    x = jnp.arange(16.0).reshape(1, 4, 4, 1)
    # (0 + 1 + 4 + 5) / 4, (2 + 3 + 6 + 7) / 4, ...
    np.testing.assert_array_equal(resample.halve(x).reshape(2, 2), [[2.5, 4.5], [10.5, 12.5]])


def test_completion_keeps_the_given_half_and_paints_the_other() -> None:
    paint = mlp.Generator((4, 8, 1), (4,), jnp.tanh, encode=Encode(0))
    net = mlp.Completion(paint)
    given = images((4, 8, 1))
    variables = jit(lambda z: net.init(KEY, z, given, train=False))(LATENTS)
    x = net.apply(variables, LATENTS, given, train=False)
    assert x.shape == (BATCH, 8, 8, 1)
    assert_same(x[:, :4], given)
    assert differ(x[:, 4:], net.apply(variables, LATENTS, given[::-1], train=False)[:, 4:])


def test_batchnorm_of_one_example_is_refused_where_it_forgets_the_latents() -> None:
    deep, shallow = (mlp.Generator((2,), hidden, batch_norm=True) for hidden in ((4, 4), (4,)))
    variables = [jit(net.init, static_argnums=3)(KEY, LATENTS, None, False) for net in (deep, shallow)]

    def run(net: Any, variables: Any, z: jax.Array, train: bool) -> Any:
        return net.apply(variables, z, None, train, mutable=["batch_stats"])

    def traced(*args: Any) -> Any:
        return jax.eval_shape(lambda: run(*args))

    with pytest.raises(InputError, match="use a batch size of at least 2"):
        traced(deep, variables[0], LATENTS[:1], True)
    traced(deep, variables[0], LATENTS[:2], True)
    traced(deep, variables[0], LATENTS[:1], False)
    traced(shallow, variables[1], LATENTS[:1], True)
    over_devices = mlp.Generator((2,), (4, 4), batch_norm=True, axis_name="device")
    over = jax.vmap(lambda z: run(over_devices, variables[0], z[None], True), axis_name="device")
    jax.eval_shape(over, LATENTS)
