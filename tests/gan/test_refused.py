"""What can't be is refused with a sentence."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from gan_jax import GAN, Batch, GANState, losses, recipes
from gan_jax.nets import activations, mlp
from tests.gan.helpers import KEY, POINTS, Position, dirac, normed, normed_state, real
from tests.helpers import assert_same, jit, untyped


@pytest.mark.parametrize("method", ["init", "train_step"])
def test_batch_without_a_minibatch_per_critic_update_is_refused(method: str) -> None:
    gan = dirac(losses.wasserstein(), n_critic=2)
    state = jit(gan.init)(KEY, real(0.0, n_critic=2))
    calls = {"train_step": lambda batch: gan.train_step(state, batch, KEY), "init": lambda batch: gan.init(KEY, batch)}
    with pytest.raises(ValueError, match=r"n_critic=2.*\(3, 1, 1\)"):
        calls[method](real(0.0, n_critic=3))
    with pytest.raises(ValueError, match=r"n_critic=2"):
        calls[method](Batch(jnp.zeros((2, 4, 1)), jnp.zeros(4)))


@pytest.mark.parametrize("n_critic", [0, -1])
def test_n_critic_below_one_is_refused(n_critic: int) -> None:
    with pytest.raises(ValueError, match=f"n_critic must be at least 1, got {n_critic}"):
        dirac(losses.wasserstein(), n_critic=n_critic)
    with pytest.raises(ValueError, match="n_critic must be at least 1"):
        dirac(losses.wasserstein()).replace(n_critic=n_critic)


class Column(nn.Module):
    """The usual slip: logits [B, 1]."""

    @nn.compact
    def __call__(self, x: jax.Array, y: Any, train: bool) -> jax.Array:
        return nn.Dense(1)(x)


@pytest.mark.parametrize("step", ["d_step", "g_step"])
def test_logits_in_a_column_are_refused(step: str) -> None:
    gan = dirac(losses.wasserstein(), discriminator=Column())
    state = jit(gan.init)(KEY, real(0.0, 0.0))
    with pytest.raises(ValueError, match=r"logits \[B\] = \(2,\), got \(2, 1\)"):
        getattr(gan, step)(state, Batch(real(0.0, 0.0).x[0]), KEY)


def test_minibatch_that_does_not_divide_is_refused() -> None:
    gan = normed().replace(accumulate=3)
    with pytest.raises(ValueError, match=r"minibatch of 8 .* accumulate=3"):
        gan.train_step(normed_state(), POINTS, KEY)
    with pytest.raises(ValueError, match="accumulate must be at least 1, got 0"):
        gan.replace(accumulate=0)


SHAPE = (8, 8, 1)


def of_images(make: Any = recipes.cgan, **fields: Any) -> tuple[GAN, GANState]:
    gan = make(SHAPE, 3, width=4, latent=2).replace(**fields)
    return gan, jax.eval_shape(gan.init, KEY, images(gan))


def images(gan: GAN, x: Any = None, y: Any = None) -> Batch:
    x = jnp.zeros((gan.n_critic, 4, *SHAPE)) if x is None else x
    return Batch(x, jnp.zeros((gan.n_critic, 4), jnp.int32) if y is None and gan.conditioning.kind == "labels" else y)


WRONG_BATCHES = {
    "bytes": (
        {"x": jnp.zeros((1, 4, *SHAPE), jnp.uint8)},
        r"x must be float32 in data_range \(0\.0, 1\.0\), got uint8",
    ),
    "integers": ({"x": jnp.zeros((1, 4, *SHAPE), jnp.int32)}, "got int32"),
    "labels in a column": ({"y": jnp.zeros((1, 4, 1), jnp.int32)}, r"integers \[1, 4\].* got int32 \[1, 4, 1\]"),
    "float labels": ({"y": jnp.zeros((1, 4))}, "labels must be integers .* got float32"),
    "another number of labels": ({"y": jnp.zeros((1, 5), jnp.int32)}, r"leading axes \[1, 4\]"),
    "labels from one": ({"y": jnp.array([[1, 2, 3, 3]])}, "classes 0 to 2, got 1 to 3"),
}


# Numbers can't be looked at while they are traced.
@pytest.mark.parametrize(
    ("wrong", "compiled"), [(wrong, c) for wrong in WRONG_BATCHES for c in (False, True) if not c or "one" not in wrong]
)
@pytest.mark.parametrize("method", ["init", "train_step"])
@untyped()
def test_batches_of_the_wrong_kind_are_refused(method: str, wrong: str, compiled: bool) -> None:
    gan, abstract = of_images()
    changed, message = WRONG_BATCHES[wrong]
    state = jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), abstract)
    calls = {"init": lambda batch: gan.init(KEY, batch), "train_step": lambda batch: gan.train_step(state, batch, KEY)}
    call = jax.jit(calls[method]) if compiled else calls[method]
    with pytest.raises(ValueError, match=message):
        call(images(gan, **changed))


@pytest.mark.parametrize("method", ["d_step", "g_step", "fakes"])
@untyped()
def test_minibatches_of_the_wrong_kind_are_refused(method: str) -> None:
    gan, state = of_images()
    for batch in (
        Batch(jnp.zeros((4, *SHAPE), jnp.uint8), jnp.zeros(4, jnp.int32)),
        Batch(jnp.zeros((4, *SHAPE)), jnp.zeros((4, 1), jnp.int32)),
        Batch(jnp.zeros((4, *SHAPE))),
    ):
        with pytest.raises(ValueError, match=r"must be|is conditioned"):
            jax.eval_shape(lambda state: getattr(gan, method)(state, batch, KEY), state)  # noqa: B023


def test_conditions_of_an_unconditional_gan_are_refused() -> None:
    gan, state = of_images(recipes.gan)
    y = jnp.zeros((1, 4), jnp.int32)
    for call in (
        lambda state: gan.init(KEY, images(gan, y=y)),
        lambda state: gan.train_step(state, images(gan, y=y), KEY),
        lambda state: gan.sample(state, KEY, 4, y[0]),
        lambda state: gan.generate(state, jnp.zeros((4, 2)), y[0]),
        lambda state: gan.discriminate(state, jnp.zeros((4, *SHAPE)), y[0]),
    ):
        with pytest.raises(ValueError, match="unconditional and ignores y"):
            jax.eval_shape(call, state)


def pooled(**fields: Any) -> GAN:
    """A GAN whose discriminator takes images of any size."""

    class Pooling(nn.Module):
        @nn.compact
        def __call__(self, x: jax.Array, y: Any, train: bool) -> jax.Array:
            return nn.Dense(1)(x.mean((1, 2)))[:, 0]

    return recipes.dcgan((16, 16, 1), width=4, latent=2).replace(discriminator=Pooling(), **fields)


def test_a_generator_of_another_shape_than_the_data_is_refused() -> None:
    gan, batch = pooled(), Batch(jnp.zeros((1, 4, *SHAPE)))
    with pytest.raises(ValueError, match=r"examples of shape \(16, 16, 1\) and the data has \(8, 8, 1\)"):
        jax.eval_shape(gan.init, KEY, batch)
    state = jax.eval_shape(gan.init, KEY, Batch(jnp.zeros((1, 4, 16, 16, 1))))
    with pytest.raises(ValueError, match=r"real examples have shape \(8, 8, 1\) and generated ones \(16, 16, 1\)"):
        jax.eval_shape(gan.train_step, state, batch, KEY)
    points = recipes.gan((2,), width=4).replace(generator=Position())
    with pytest.raises(ValueError, match=r"examples of shape \(1,\) and the data has \(2,\)"):
        points.init(KEY, Batch(jnp.zeros((1, 4, 2))))


@pytest.mark.parametrize("output", [nn.sigmoid, activations.sigmoid], ids=["flax", "ours"])
@pytest.mark.parametrize("net", [mlp.Generator, nn.remat(mlp.Generator, static_argnums=(3,))], ids=["net", "remat"])
def test_a_generator_that_can_not_reach_the_data_is_refused(output: Any, net: Any) -> None:
    gan, batch = recipes.gan(SHAPE, width=4, latent=2), Batch(jnp.zeros((1, 4, *SHAPE)))
    sigmoid, tanh = (gan.replace(generator=net(SHAPE, (4,), last)) for last in (output, jnp.tanh))
    jax.eval_shape(sigmoid.init, KEY, batch)
    jax.eval_shape(tanh.replace(data_range=(-1.0, 1.0)).init, KEY, batch)
    with pytest.raises(ValueError, match=r"between 0 and 1 and data_range is \(-1\.0, 1\.0\): set data_range"):
        jax.eval_shape(sigmoid.replace(data_range=(-1.0, 1.0)).init, KEY, batch)
    with pytest.raises(ValueError, match=r"between -1 and 1 and data_range is \(0\.0, 255\.0\)"):
        jax.eval_shape(tanh.replace(data_range=(0.0, 255.0)).init, KEY, batch)


@pytest.mark.parametrize("data_range", [(1.0, -1.0), (0.0, 0.0)])
def test_an_empty_data_range_is_refused(data_range: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="low < high"):
        recipes.gan(SHAPE).replace(data_range=data_range)


@untyped()
def test_labels_to_sample_may_be_one_a_list_or_an_array() -> None:
    gan, _ = of_images(recipes.cgan)
    state = jit(gan.init)(KEY, images(gan))
    expected = gan.sample(state, KEY, 3, jnp.array([2, 2, 2]))
    for y in (2, [2, 2, 2], np.array([2, 2, 2]), np.int32(2)):
        assert_same(gan.sample(state, KEY, 3, y), expected)
    assert_same(
        gan.generate(state, np.zeros((2, 2), np.float32), [1, 0]),
        gan.generate(state, jnp.zeros((2, 2)), jnp.array([1, 0])),
    )


@pytest.mark.parametrize(
    ("y", "message"),
    [
        ([1, 1], r"leading axes \[3\]"),
        (3, "classes 0 to 2, got 3 to 3"),
        ([-1, 0, 1], "got -1 to 1"),
        (1.0, "got float32"),
        (np.ones((3, 1), np.int32), r"got int32 \[3, 1\]"),
    ],
)
def test_labels_that_can_not_be_sampled_are_refused(y: Any, message: str) -> None:
    gan, abstract = of_images()
    state = jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), abstract)
    with pytest.raises(ValueError, match=message):
        gan.sample(state, KEY, 3, y)


@untyped()
def test_bytes_are_not_discriminated() -> None:
    gan, state = of_images(recipes.gan)
    with pytest.raises(ValueError, match="got uint8"):
        jax.eval_shape(lambda state: gan.discriminate(state, np.zeros((4, *SHAPE), np.uint8)), state)
