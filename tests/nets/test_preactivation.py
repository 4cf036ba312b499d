from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from gan_jax.errors import InputError
from gan_jax.nets import heads
from gan_jax.nets.preactivation import Discriminator, Down, Generator, Up
from tests.helpers import assert_close, differ, jit

KEY = jax.random.key(0)
BATCH, LABELS = 3, jnp.array([0, 2, 1])
LATENTS = jax.random.normal(KEY, (BATCH, 5))


def images(*shape: int) -> jax.Array:
    return jax.random.uniform(KEY, (BATCH, *shape), minval=-1.0)


def convolved(x: np.ndarray, layer: Any) -> np.ndarray:
    """A 3 x 3 convolution with zeros around the image, tap by tap."""
    height, width = x.shape[1:3]
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    kernel = np.asarray(layer["kernel"], np.float64)
    y = sum(padded[:, i : i + height, j : j + width] @ kernel[i, j] for i in range(3) for j in range(3))
    return y + (np.asarray(layer["bias"]) if "bias" in layer else 0)


def pooled(x: np.ndarray) -> np.ndarray:
    return (x[:, ::2, ::2] + x[:, 1::2, ::2] + x[:, ::2, 1::2] + x[:, 1::2, 1::2]) / 4


def spread(x: np.ndarray) -> np.ndarray:
    return np.kron(x, np.ones((1, 2, 2, 1)))


def dense(x: np.ndarray, layer: Any) -> np.ndarray:
    return x @ np.asarray(layer["kernel"], np.float64) + np.asarray(layer["bias"])


def normalised(x: np.ndarray, axes: tuple[int, ...]) -> np.ndarray:
    eps = 1e-6 if axes == (1, 2, 3) else 1e-5
    return (x - x.mean(axes, keepdims=True)) / np.sqrt(x.var(axes, keepdims=True) + eps)


def test_a_generators_block_doubles_before_its_first_convolution_by_hand() -> None:
    """The shortcut as the papers write it: doubled, then convolved."""
    x, block = images(2, 3, 4), Up(5)
    variables = jit(block.init, static_argnums=3)(KEY, x, None, False)
    y, _ = jit(lambda variables, x: block.apply(variables, x, None, True, mutable=["batch_stats"]))(variables, x)
    params, x = variables["params"], np.asarray(x, np.float64)
    h = convolved(spread(np.maximum(normalised(x, (0, 1, 2)), 0)), params["Conv_0"])
    h = convolved(np.maximum(normalised(h, (0, 1, 2)), 0), params["Conv_1"])
    np.testing.assert_allclose(y, h + dense(spread(x), params["Dense_0"]), rtol=1e-4, atol=1e-4)
    assert "bias" not in params["Conv_0"]


@pytest.mark.parametrize("layer_norm", [False, True])
def test_a_discriminators_block_halves_at_its_end_by_hand(layer_norm: bool) -> None:
    x, block = images(4, 6, 3), Down(5, layer_norm=layer_norm)
    variables = jit(block.init, static_argnums=2)(KEY, x, False)
    params, image = variables["params"], np.asarray(x, np.float64)

    def active(h: np.ndarray) -> np.ndarray:
        return np.maximum(normalised(h, (1, 2, 3)) if layer_norm else h, 0)

    h = convolved(active(convolved(active(image), params["Conv_0"])), params["Conv_1"])
    expected = pooled(h) + pooled(dense(image, params["Dense_0"]))
    np.testing.assert_allclose(jit(block.apply, static_argnums=2)(variables, x, True), expected, rtol=1e-4, atol=1e-4)
    assert params["Conv_0"]["kernel"].shape == (3, 3, 3, 3)


def test_the_first_block_gets_the_image_as_it_is_and_a_last_one_keeps_its_size() -> None:
    x, block = images(4, 4, 3), Down(5, first=True)
    variables = jit(block.init, static_argnums=2)(KEY, x, False)
    params, image = variables["params"], np.asarray(x, np.float64)
    h = convolved(np.maximum(convolved(image, params["Conv_0"]), 0), params["Conv_1"])
    expected = pooled(h) + dense(pooled(image), params["Dense_0"])
    np.testing.assert_allclose(jit(block.apply, static_argnums=2)(variables, x, True), expected, rtol=1e-4, atol=1e-4)
    x, same = images(4, 4, 5), Down(5, halved=False)
    variables = jit(same.init, static_argnums=2)(KEY, x, False)
    assert variables["params"].keys() == {"Conv_0", "Conv_1"}
    image, params = np.asarray(x, np.float64), variables["params"]
    h = convolved(np.maximum(convolved(np.maximum(image, 0), params["Conv_0"]), 0), params["Conv_1"])
    np.testing.assert_allclose(jit(same.apply, static_argnums=2)(variables, x, True), image + h, rtol=1e-4, atol=1e-4)


def test_weights_start_with_the_variance_of_glorot_and_twice_that_in_blocks() -> None:
    params = jit(Down(64).init, static_argnums=2)(KEY, images(4, 4, 48), False)["params"]
    for kernel, gain, fans in (
        (params["Conv_0"]["kernel"], 2, 9 * (48 + 48)),
        (params["Conv_1"]["kernel"], 2, 9 * (48 + 64)),
        (params["Dense_0"]["kernel"], 1, 48 + 64),
    ):
        bound = np.sqrt(gain * 6 / fans)
        assert np.abs(kernel).max() <= bound
        assert np.var(kernel) == pytest.approx(bound**2 / 3, rel=0.05)


@pytest.mark.parametrize("pool", ["sum", "mean", None])
def test_the_last_features_are_those_of_all_pixels(pool: Any) -> None:
    """Of a net whose only block is the identity, once rectified."""
    net = Discriminator(heads.Features(), (4,), 0, stem=4, pool=pool)
    x = images(4, 4, 2)
    variables = jit(net.init, static_argnums=3)(KEY, x, None, False)
    zeros = jax.tree.map(jnp.zeros_like, variables["params"]["Down_0"])
    stem = variables["params"]["Conv_0"]
    found = jit(net.apply, static_argnums=3)({"params": {"Conv_0": stem, "Down_0": zeros}}, x, None, True)
    h = np.maximum(convolved(np.asarray(x, np.float64), stem), 0)
    expected = {"sum": h.sum((1, 2)), "mean": h.mean((1, 2)), None: h.reshape(BATCH, -1)}[pool]
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_spectral_norm_divides_every_weight() -> None:
    """With an estimate for each: six convolutions, two shortcuts and the head."""
    net = Discriminator(heads.Logit(spectral_norm=True), (4, 4, 4), 2, spectral_norm=True)
    variables = jit(lambda x: net.init(KEY, x, None, False))(images(8, 8, 3))
    kernels = [path for path, _ in jax.tree.leaves_with_path(variables["params"]) if path[-1].key == "kernel"]
    sigmas = [path for path, _ in jax.tree.leaves_with_path(variables["batch_stats"]) if "sigma" in str(path[-1])]
    assert len(kernels) == len(sigmas) == 9


def test_generators_make_images_of_the_class_asked_for() -> None:
    net = Generator((8, 12, 3), (4, 4), 8, num_classes=3)
    variables = jit(lambda z: net.init(KEY, z, LABELS, False))(LATENTS)
    apply = jit(lambda variables, y: net.apply(variables, LATENTS, y, False))
    x = apply(variables, LABELS)
    assert x.shape == (BATCH, 8, 12, 3)
    assert -1 <= x.min() < x.max() <= 1
    # Scales and shifts start alike.
    assert_close(apply(variables, LABELS[::-1]), x)
    noise = jax.random.normal(KEY, (3, 8))
    variables["params"]["Up_0"]["ClassBatchNorm_0"]["scale"]["embedding"] = 1 + noise
    assert differ(apply(variables, LABELS), apply(variables, LABELS[::-1]))


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_outputs_and_variables_are_float32(dtype: str) -> None:
    for net, x in (
        (Generator((8, 8, 1), (4, 4), 4, 3, dtype), LATENTS),
        (Discriminator(heads.Projection(3), (4, 4), 1, dtype=dtype), images(8, 8, 1)),
        (Discriminator(heads.Logit(), (4, 4), 2, 2, None, layer_norm=True, dtype=dtype), images(8, 8, 1)),
    ):
        net: nn.Module
        found = jax.eval_shape(lambda net=net, x=x: net.init_with_output(KEY, x, LABELS, False))
        assert {leaf.dtype for leaf in jax.tree.leaves(found)} == {np.dtype("float32")}


def test_networks_check_the_sizes_they_meet() -> None:
    with pytest.raises(InputError, match="multiples of 4"):
        Generator((10, 8, 1), (4, 4)).init(KEY, LATENTS, None, False)
    with pytest.raises(InputError, match="multiples of 4"):
        Discriminator(heads.Logit(), (4, 4), 2).init(KEY, images(8, 10, 1), None, False)
