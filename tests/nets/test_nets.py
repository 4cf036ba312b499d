from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from jaxtyping import TypeCheckError

from gan_jax.errors import InputError
from gan_jax.nets import dcgan, heads, mlp, resnet
from gan_jax.nets.layers import Encode
from tests.helpers import assert_close, assert_same, differ, jit

KEY = jax.random.key(0)
SHAPES = [(28, 28, 1), (32, 32, 3), (8, 12, 2)]
BATCH, LATENT, CLASSES = 3, 5, 10
LABELS = jnp.array([0, 7, 9])

Make = Callable[..., nn.Module]

GENERATORS: dict[str, tuple[Make, tuple[float, float]]] = {
    "mlp sigmoid": (lambda shape, **kw: mlp.Generator(shape, (4, 4), batch_norm=True, **kw), (0, 1)),
    "mlp tanh": (lambda shape, **kw: mlp.Generator(shape, (4,), jnp.tanh, **kw), (-1, 1)),
    "dcgan": (lambda shape, **kw: dcgan.Generator(shape, 2, **kw), (-1, 1)),
    "dcgan plain": (lambda shape, **kw: dcgan.Generator(shape, 2, batch_norm=False, **kw), (-1, 1)),
    "resnet": (lambda shape, **kw: resnet.Generator(shape, 2, **kw), (-1, 1)),
}
DISCRIMINATORS: dict[str, Make] = {
    "mlp": lambda head, **kw: mlp.Discriminator((4, 4), head, dropout=0.4, **kw),
    "mlp spectral": lambda head, **kw: mlp.Discriminator((4, 4), head, spectral_norm=True, **kw),
    "dcgan": lambda head, **kw: dcgan.Discriminator(head, 2, batch_norm=True, **kw),
    "dcgan spectral": lambda head, **kw: dcgan.Discriminator(head, 2, spectral_norm=True, dropout=0.1, **kw),
    "resnet": lambda head, **kw: resnet.Discriminator(head, 2, **kw),
}
LATENTS = jax.random.normal(KEY, (BATCH, LATENT))


def fitting(nets: Any) -> list[tuple[str, tuple[int, ...]]]:
    """Every network with images of several sizes, and MLPs with points too."""
    return [(name, shape) for name in nets for shape in [*SHAPES, (2,)] if len(shape) == 3 or name.startswith("mlp")]


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


@pytest.mark.parametrize("shape", [(30, 28, 1), (28, 27, 1), (4, 8, 1), (28, 28), (2,)], ids=str)
def test_sizes_that_do_not_fit_are_refused_with_those_that_do(shape: tuple[int, ...]) -> None:
    message = r"multiples of 4 from 8 up \(28 x 28, .*\), got " + " x ".join(map(str, shape))
    with pytest.raises(InputError, match=message):
        dcgan.check_shape(shape)


@pytest.mark.parametrize("net", [dcgan, resnet], ids=["dcgan", "resnet"])
def test_networks_check_the_sizes_they_meet(net: Any) -> None:
    with pytest.raises(InputError, match="got 30 x 30 x 1"):
        net.Generator((30, 30, 1), 2).init(KEY, LATENTS, None, train=False)
    with pytest.raises(InputError, match="got 30 x 30 x 1"):
        net.Discriminator(heads.Logit(), 2).init(KEY, images((30, 30, 1)), None, train=False)


def test_annotations_are_enforced_in_this_session() -> None:
    with pytest.raises(TypeCheckError):
        mlp.Generator((2,), (4,)).init(KEY, LATENTS[0], None, train=False)


def shapes_of(net: nn.Module, *inputs: Any) -> dict[str, tuple[int, ...]]:
    params = jax.eval_shape(lambda: net.init(KEY, *inputs, train=False))["params"]
    return {"/".join(key.key for key in path): leaf.shape for path, leaf in jax.tree.leaves_with_path(params)}


def test_dcgan_players_have_the_published_layers() -> None:
    latents = jnp.zeros((1, 100))
    assert shapes_of(dcgan.Generator((28, 28, 1), 128, encode=Encode(10)), latents, LABELS[:1]) == {
        "Dense_0/kernel": (110, 7 * 7 * 256),
        "BatchNorm_0/scale": (256,),
        "BatchNorm_0/bias": (256,),
        "ConvTranspose_0/kernel": (5, 5, 128, 256),
        "BatchNorm_1/scale": (128,),
        "BatchNorm_1/bias": (128,),
        "ConvTranspose_1/kernel": (5, 5, 1, 128),
        "ConvTranspose_1/bias": (1,),
    }
    discriminator = dcgan.Discriminator(heads.Logit(), 128, batch_norm=True, encode=Encode(10))
    assert shapes_of(discriminator, jnp.zeros((1, 28, 28, 1)), LABELS[:1]) == {
        "Conv_0/kernel": (5, 5, 11, 128),
        "Conv_0/bias": (128,),
        "Conv_1/kernel": (5, 5, 128, 256),
        "BatchNorm_0/scale": (256,),
        "BatchNorm_0/bias": (256,),
        "head/Dense_0/kernel": (7 * 7 * 256, 1),
        "head/Dense_0/bias": (1,),
    }


@pytest.mark.parametrize(
    "net", [mlp.Generator((2,), (4,), None, encode=Encode(CLASSES)), dcgan.Generator((8, 8, 1), 2)]
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
    plain = dcgan.Discriminator(heads.Logit(), 2)
    conditional = dcgan.Discriminator(heads.Logit(), 2, encode=Encode(0))
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


def test_channels_apart_are_images_of_one_channel() -> None:
    """Three equal channels look to D like one image three times, and G's weights know nothing of their number."""
    x = images((8, 8, 1))
    alone = dcgan.Discriminator(heads.Logit(), 4)
    apart = dcgan.Discriminator(heads.Logit(), 4, apart=True)
    variables = alone.init(KEY, x, None, train=False)
    wide = jax.tree.map(lambda leaf: leaf, variables)
    kernel = variables["params"]["head"]["Dense_0"]["kernel"]
    wide["params"]["head"]["Dense_0"]["kernel"] = jnp.concatenate([kernel, 10 * kernel, 100 * kernel])
    bias = variables["params"]["head"]["Dense_0"]["bias"]
    logits = alone.apply(variables, x, None, train=False) - bias
    together = apart.apply(wide, jnp.repeat(x, 3, axis=-1), None, train=False) - bias
    np.testing.assert_allclose(together, 111 * logits, rtol=1e-4)

    two, three = (dcgan.Generator((8, 8, n), 4, apart=True) for n in (2, 3))
    z = jax.random.normal(KEY, (5, 6))
    variables = three.init(KEY, z, None, train=False)
    assert variables["params"]["Dense_0"]["kernel"].shape == (6, 18)
    painted = three.apply(variables, z, None, train=False)
    assert painted.shape == (5, 8, 8, 3)
    narrow = jax.tree.map(lambda leaf: leaf, variables)
    narrow["params"]["Dense_0"] = {k: v[..., :12] for k, v in variables["params"]["Dense_0"].items()}
    np.testing.assert_allclose(two.apply(narrow, z, None, train=False), painted[..., :2], rtol=1e-5, atol=1e-6)


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


@pytest.mark.parametrize("name", ["mlp", "dcgan spectral"])
def test_dropout_is_random_in_training_and_absent_in_inference(name: str) -> None:
    net = DISCRIMINATORS[name](heads.Logit())
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
    np.testing.assert_array_equal(resnet._mean_pool(x).reshape(2, 2), [[2.5, 4.5], [10.5, 12.5]])


def test_completion_keeps_the_given_half_and_paints_the_other() -> None:
    paint = mlp.Generator((4, 8, 1), (4,), jnp.tanh, encode=Encode(0))
    net = mlp.Completion(paint)
    given = images((4, 8, 1))
    variables = jit(lambda z: net.init(KEY, z, given, train=False))(LATENTS)
    x = net.apply(variables, LATENTS, given, train=False)
    assert x.shape == (BATCH, 8, 8, 1)
    assert_same(x[:, :4], given)
    assert differ(x[:, 4:], net.apply(variables, LATENTS, given[::-1], train=False)[:, 4:])


def test_he_initialisation_has_its_standard_deviation() -> None:
    w = mlp.he_normal()(KEY, (200, 1000), jnp.float32)
    # 1 / sqrt(fan_in / 2) = 1 / 10, to five standard errors of 200,000 draws.
    np.testing.assert_allclose(w.std(), 0.1, rtol=5 / np.sqrt(2 * w.size))
    np.testing.assert_allclose(w.mean(), 0.0, atol=5 * 0.1 / np.sqrt(w.size))


def test_dcgan_initialisation_is_a_truncated_normal() -> None:
    w = dcgan.normal_002()(KEY, (200, 1000), jnp.float32)
    # Cut at two deviations: std .02 sqrt(1 - 4 phi(2) / (2 Phi(2) - 1)) = .02 sqrt(1 - .21596 / .95450) = .017592.
    assert abs(w).max() <= 0.04
    np.testing.assert_allclose(w.mean(), 0.0, atol=5 * 0.02 / np.sqrt(w.size))
    np.testing.assert_allclose(w.std(), 0.017592, rtol=5 / np.sqrt(2 * w.size))
