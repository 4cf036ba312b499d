import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from gan_jax import losses, penalties, recipes
from gan_jax.gan import Batch
from gan_jax.nets import augment, heads, mlp
from gan_jax.nets.activations import leaky_relu
from gan_jax.nets.augment import AUGMENTATIONS, Augmented
from tests.helpers import assert_close, assert_same, differ, jit, stack

KEY = jax.random.key(0)
SHAPE = (8, 8, 1)
ALL = tuple(AUGMENTATIONS)


def images(n: int, *shape: int) -> jax.Array:
    return jax.random.uniform(KEY, (n, *shape), minval=-1.0)


def test_color_moves_the_mean_and_scales_the_distances_to_it_and_to_grey() -> None:
    x = images(4000, 3, 2, 3)
    y = np.asarray(jit(augment.color)(KEY, x), np.float64)
    x = np.asarray(x, np.float64)
    (grey, mean), (new_grey, new_mean) = ((v.mean(3, keepdims=True), v.mean((1, 2, 3), keepdims=True)) for v in (x, y))
    brightness = (new_mean - mean)[:, 0, 0, 0]
    # Least squares of one factor for each image, and what it leaves.
    contrast = np.sum((new_grey - new_mean) * (grey - mean), (1, 2, 3)) / np.sum((grey - mean) ** 2, (1, 2, 3))
    both = np.sum((y - new_grey) * (x - grey), (1, 2, 3)) / np.sum((x - grey) ** 2, (1, 2, 3))
    np.testing.assert_allclose(new_grey - new_mean, contrast[:, None, None, None] * (grey - mean), atol=1e-5)
    np.testing.assert_allclose(y - new_grey, both[:, None, None, None] * (x - grey), atol=1e-5)
    for found, low, high in ((brightness, -0.5, 0.5), (contrast, 0.5, 1.5), (both / contrast, 0.0, 2.0)):
        # Uniform: both ends are nearly reached, and the mean is known up to five standard errors.
        assert low - 1e-3 <= found.min() < low + 0.02 * (high - low)
        assert high - 0.02 * (high - low) < found.max() <= high + 1e-3
        assert abs(found.mean() - (low + high) / 2) < 5 * (high - low) / np.sqrt(12 * len(found))
    # Three draws, not one.
    assert np.abs(np.corrcoef([brightness, contrast, both / contrast])[np.triu_indices(3, 1)]).max() < 0.1


def test_color_of_an_image_without_colours_is_brightness_and_contrast() -> None:
    x = jnp.array([[[[-0.5], [0.5]]]])
    for seed in range(5):
        rng = jax.random.key(seed)
        brightness, _, contrast = jax.random.uniform(rng, (3, 1, 1, 1, 1))[:, 0, 0, 0, 0]
        expected = brightness - 0.5 + np.array([-0.5, 0.5]) * (0.5 + contrast)
        np.testing.assert_allclose(augment.color(rng, x)[0, 0, :, 0], expected, rtol=1e-5, atol=1e-6)


def test_translation_moves_images_by_every_number_of_pixels_up_to_an_eighth() -> None:
    image = 1 + np.arange(16 * 24.0).reshape(16, 24, 1)
    y = np.asarray(jit(augment.translation)(KEY, jnp.tile(jnp.asarray(image, jnp.float32), (2000, 1, 1, 1))))
    padded = np.pad(image, ((2, 2), (3, 3), (0, 0)))
    # Moved down by dy and right by dx: what was at (0, 0) is there.
    moved = {
        (dy, dx): padded[2 - dy : 18 - dy, 3 - dx : 27 - dx].tobytes() for dy in range(-2, 3) for dx in range(-3, 4)
    }
    found = {each.astype(np.float64).tobytes() for each in y}
    assert found == set(moved.values())


@pytest.mark.parametrize(("height", "width"), [(8, 12), (7, 10)], ids=str)
def test_cutout_hides_a_rectangle_around_any_pixel(height: int, width: int) -> None:
    n = 4000
    y = np.asarray(jit(augment.cutout)(KEY, jnp.ones((n, height, width, 2))))
    hidden = y == 0
    assert ((y == 0) | (y == 1)).all()
    np.testing.assert_array_equal(hidden[..., 0], hidden[..., 1])
    rows, columns = hidden[..., 0].any(2), hidden[..., 0].any(1)
    np.testing.assert_array_equal(hidden[..., 0], rows[:, :, None] & columns[:, None])
    for along, size in ((rows, height), (columns, width)):
        cut = size // 2
        centres = range(size + 1 - cut % 2)
        wanted = np.array([[c - cut // 2 <= i < c - cut // 2 + cut for i in range(size)] for c in centres])
        assert {row.tobytes() for row in along} == {row.tobytes() for row in wanted if row.any()} | (
            {np.zeros(size, bool).tobytes()} if not wanted.any(1).all() else set()
        )
        share = wanted.mean(0)
        assert (np.abs(along[rows.any(1) & columns.any(1)].mean(0) / share - 1) < 0.2).all()


@pytest.mark.parametrize("name", ["translation", "cutout"])
def test_gradients_are_those_of_a_linear_map(name: str) -> None:
    """<T x, w> = <x, T' w>, and what does not depend on x has no gradient."""
    x, w = images(5, 16, 16, 3), jax.random.normal(jax.random.key(1), (5, 16, 16, 3))
    transform = functools.partial(AUGMENTATIONS[name], KEY)

    @jit
    def products(x: jax.Array) -> Any:
        there, back = jax.value_and_grad(lambda x: jnp.sum(transform(x) * w))(x)
        return there, jnp.sum(x * back), jax.grad(lambda x: jnp.sum(transform(x)))(x)

    there, back, kept = products(x)
    np.testing.assert_allclose(there, back, rtol=1e-4)
    assert set(np.unique(kept)) == {0.0, 1.0}


def test_gradients_flow_through_all_of_them() -> None:
    def f(x: jax.Array) -> jax.Array:
        for name in ALL:
            x = AUGMENTATIONS[name](KEY, x)
        return x

    x = images(3, 16, 16, 3)
    gradient = jit(jax.grad(lambda x: jnp.sum(f(x) ** 2)))(x)
    assert np.isfinite(gradient).all()
    # A quarter may be cut out, and an eighth of either side move out.
    assert (np.abs(gradient) > 0).mean() > 0.5


def discriminator() -> nn.Module:
    return mlp.Discriminator((4, 4), heads.Logit(), leaky_relu, dropout=0.5)


def test_an_augmented_net_has_the_variables_and_the_inference_of_the_net() -> None:
    x, net = images(3, *SHAPE), discriminator()
    wrapped = Augmented(net, ALL)
    variables = net.init({"params": KEY}, x, None, False)
    assert_same(wrapped.init_with_output({"params": KEY}, x, None, False)[1], variables)
    assert_same(wrapped.apply(variables, x, None, False), net.apply(variables, x, None, False))
    rngs = {"dropout": KEY, "augment": jax.random.key(1)}
    plain = net.apply(variables, x, None, True, rngs=rngs)
    assert_same(Augmented(net, ()).apply(variables, x, None, True, rngs=rngs), plain)
    augmented = wrapped.apply(variables, x, None, True, rngs=rngs)
    assert differ(augmented, plain)
    assert differ(augmented, wrapped.apply(variables, x, None, True, rngs=rngs | {"augment": KEY}))
    assert_same(augmented, wrapped.apply(variables, x, None, True, rngs=rngs))


def test_what_moves_in_is_the_middle_of_the_range() -> None:
    class Image(nn.Module):
        def __call__(self, x: Any, y: Any, train: bool) -> Any:
            return x

    x = jnp.ones((50, 8, 8, 1))
    for data_range, middle in (((-1.0, 1.0), 0.0), ((0.0, 1.0), 0.5), ((0.0, 4.0), 2.0)):
        y = Augmented(Image(), ("cutout",), data_range).apply({}, x, None, True, rngs={"augment": KEY})
        assert set(np.unique(y)) == {middle, 1.0}


class Mean(nn.Module):
    """The mean of an image, times a parameter that starts at 1."""

    @nn.compact
    def __call__(self, x: Any, y: Any, train: bool) -> Any:
        return self.param("scale", nn.initializers.ones, ()) * jnp.mean(x, axis=(1, 2, 3))


def test_real_and_generated_images_are_augmented_in_both_steps_and_under_the_penalty(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(augment, "AUGMENTATIONS", {"affine": lambda rng, x: 3 * x + 1})
    gan = recipes.dcgan(SHAPE, width=4, latent=2).replace(loss=losses.wasserstein(), penalty=penalties.r1(2.0))
    plain, augmented = (gan.replace(discriminator=net) for net in (Mean(), Augmented(Mean(), ("affine",))))
    batch = Batch(images(2, *SHAPE)[None])
    state = jit(plain.init)(KEY, batch)
    (_, expected), (_, found) = (jit(g.train_step)(state, batch, KEY) for g in (plain, augmented))
    for name in ("d_real", "d_fake"):
        np.testing.assert_allclose(found[name], 3 * expected[name] + 1, rtol=1e-5, atol=1e-6)
    # gamma / 2 times the squared norm of a gradient of 1 / 64 per pixel; through 3 x of three times that.
    np.testing.assert_allclose([expected["penalty"], found["penalty"]], [1 / 64, 9 / 64], rtol=1e-5)
    g_batch = jax.tree.map(lambda leaf: leaf[0], batch)
    losses_of_g = [g.g_loss(state.generator.params, state, g_batch, KEY)[0] for g in (plain, augmented)]
    np.testing.assert_allclose(losses_of_g[1], 3 * losses_of_g[0] - 1, rtol=1e-5, atol=1e-6)


def test_without_augmentations_the_step_is_the_recipes() -> None:
    batch = Batch(images(4, *SHAPE)[None])
    gan = recipes.gan(SHAPE, width=4, latent=2)
    state = jax.eval_shape(gan.init, KEY, batch)

    def steps(policy: tuple[str, ...] | None) -> str:
        net = gan.discriminator if policy is None else Augmented(gan.discriminator, policy, gan.data_range)
        return str(jax.make_jaxpr(gan.replace(discriminator=net).train_step)(state, batch, KEY))

    assert steps(()) == steps(None)
    assert steps(("color",)) != steps(None)


@pytest.mark.slow
def test_members_of_a_population_are_what_they_are_alone() -> None:
    batch = Batch(images(4, *SHAPE)[None])

    def step(lr: Any, rng: jax.Array) -> Any:
        gan = recipes.gan(SHAPE, width=4, latent=2, lr=lr).replace(discriminator=Augmented(Mean(), ALL))
        state = jax.tree.map(lambda leaf: jnp.full(leaf.shape, 0.1, leaf.dtype), jax.eval_shape(gan.init, KEY, batch))
        return gan.d_step(state, jax.tree.map(lambda leaf: leaf[0], batch), rng)

    lrs, rngs = np.array([1e-3, 1e-2], np.float32), jax.random.split(KEY)
    single = jit(step)
    alone = [single(*member) for member in zip(lrs, rngs, strict=True)]
    assert_close(jit(jax.vmap(step))(lrs, rngs), stack(*alone), rtol=1e-4, atol=1e-5)
    assert differ(*alone)
