"""Recipes whose samples depend on codes or pictures."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax import GAN, GANState, InputError, recipes, training
from tests.helpers import assert_close, differ, few_rows, jit
from tests.recipes.helpers import BATCH, KEY, TAGS, draw, filled, tiny


@pytest.mark.slow
def test_both_players_of_infogan_minimise_what_the_codes_of_fakes_cost_to_read() -> None:
    """Both players get the mean of -log Q over fakes, weighted, and nothing of the real examples."""
    weighted = {"info": 0.7, "info_continuous": 0.3}
    gan, without = (tiny("infogan", (2,), **weights) for weights in (weighted, dict.fromkeys(weighted, 0.0)))
    batch = jax.tree.map(lambda leaf: leaf[0], draw(gan, (2,)))
    state = jit(gan.init)(KEY, draw(gan, (2,)))

    def losses_of(gan: GAN) -> Any:
        fakes = gan.fakes(state, batch, KEY)
        of_d = jax.value_and_grad(lambda p: gan.d_loss(p, state, batch, fakes, KEY)[0])(state.discriminator.params)
        of_g = jax.value_and_grad(lambda p: gan.g_loss(p, state, batch, KEY)[0])(state.generator.params)
        return of_d, of_g

    def terms(state: GANState) -> Any:
        fakes = gan.fakes(state, batch, KEY)
        sown = gan.discriminator.apply(state.discriminator.variables, *fakes, True, mutable=["losses"])[1]
        assert len(jax.tree.leaves(sown)) == 3
        return sum(jnp.mean(term) for term in jax.tree.leaves(sown))

    value, slope = jit(jax.value_and_grad(terms, allow_int=True))(state)
    with_terms, plain = jit(lambda: losses_of(gan))(), jit(lambda: losses_of(without))()
    for own, (found, gradient), (base, base_gradient) in zip(
        (slope.discriminator.params, slope.generator.params), with_terms, plain, strict=True
    ):
        np.testing.assert_allclose(found - base, value, rtol=1e-4)
        assert_close(jax.tree.map(jnp.subtract, gradient, base_gradient), own, rtol=1e-3, atol=1e-5)
        assert any((leaf != 0).any() for leaf in jax.tree.leaves(own))


def test_translation_adds_the_distance_to_the_true_image() -> None:
    """Equation 4 of the paper, by hand: the loss over patches, and lambda times the mean absolute difference."""
    gan = tiny("translation", (8, 8, 1), l1=7.0, dropout=0.0, norm="instance")
    batch = jax.tree.map(lambda leaf: leaf[0], draw(gan, (8, 8, 1)))
    state = filled(jax.eval_shape(gan.init, KEY, jax.tree.map(lambda leaf: leaf[None], batch)))
    inputs = gan.inputs(batch, KEY)

    @jit
    def run(state: GANState) -> Any:
        fake = gan.fakes(state, batch, KEY).x
        logits = gan.discriminate(state, fake, batch.y)
        return gan.g_loss(state.generator.params, state, batch, KEY, inputs)[0], fake, logits

    found, fake, logits = run(state)
    assert logits.shape == (BATCH, 4, 4)
    expected = np.log1p(np.exp(-np.asarray(logits))).mean() + 7 * np.abs(batch.x - fake).mean()
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_what_translation_makes_depends_on_z_on_what_is_given_and_on_dropout() -> None:
    gan = tiny("translation", (16, 16, 1))
    batch = jax.tree.map(lambda leaf: leaf[0], draw(gan, (16, 16, 1)))
    state = filled(jax.eval_shape(gan.init, KEY, jax.tree.map(lambda leaf: leaf[None], batch)))
    z = gan.prior(KEY, BATCH)
    generate = jit(gan.generate)
    plain = generate(state, z, batch.y)
    assert not differ(plain, generate(state, z, batch.y))
    for other in (generate(state, -z, batch.y), generate(state, z, -batch.y), generate(state, z, batch.y, KEY)):
        assert differ(plain, other)


@pytest.mark.parametrize(
    ("condition", "channels"),
    few_rows(
        [("grey", 1), ("outline", 1), ("masked", 4), ("upper_half", 3), ("blurred", 3), ("low_resolution:2", 3)],
        ("masked", 4),
        ("low_resolution:2", 3),
    ),
)
def test_translation_takes_every_condition(condition: str, channels: int) -> None:
    gan = tiny("translation", (8, 8, 3), condition=condition)
    batch = jax.eval_shape(lambda: draw(gan, (8, 8, 3)))
    assert batch.y.shape[-1] == channels
    state = jax.eval_shape(gan.init, KEY, batch)
    assert jax.eval_shape(gan.train_step, state, batch, KEY)[0] == state


def test_completion_samples_below_the_half_that_is_given_and_asks_for_one() -> None:
    gan = tiny("completion", (8, 8, 1))
    batch = draw(gan, (8, 8, 1))
    np.testing.assert_array_equal(batch.y, batch.x[:, :, :4])
    state = jit(gan.init)(KEY, batch)
    samples = gan.sample(state, KEY, BATCH, batch.y[0])
    np.testing.assert_array_equal(samples[:, :4], batch.y[0])
    with pytest.raises(InputError, match=r"give them as y \[n, H // 2, W, C\]"):
        gan.sample(state, KEY, 3)


def test_tagger_draws_a_tag_where_its_probability_is_above_its_number_of_z() -> None:
    gan = tiny("tagger", (8, 8, 1))
    batch = jax.tree.map(lambda leaf: leaf[0], draw(gan, (8, 8, 1)))
    state = filled(jax.eval_shape(gan.init, KEY, jax.tree.map(lambda leaf: leaf[None], batch)))
    z = np.array(gan.prior(KEY, BATCH))
    assert z.shape == (BATCH, 4 + TAGS)
    levels = np.linspace(-1, 1, 101)

    @jit
    def drawn(level: jax.Array) -> jax.Array:
        return gan.generate(state, jnp.asarray(z).at[:, 4:].set(level), batch.y)

    tags = np.stack([drawn(level) for level in levels])
    assert set(np.unique(tags)) == {0.0, 1.0}
    assert (np.diff(tags, axis=0) <= 0).all()
    assert (tags[0] == 1).all() and (tags[-1] == 0).all()
    # The share of levels at which a tag is drawn is its probability, and its gradient is that of the draw.
    probability = tags.mean(axis=0)
    params = state.generator.params

    def total(params: Any) -> jax.Array:
        return jnp.sum(gan.generator.apply({"params": params}, jnp.asarray(z), batch.y, False), axis=0)[0]

    slope = jit(jax.grad(total))(params)["Dense_1"]["bias"]
    expected = np.zeros(TAGS)
    expected[0] = np.sum(probability * (1 - probability), axis=0)[0]
    np.testing.assert_allclose(slope, expected, atol=0.02)


def test_tagger_takes_tags_of_pictures_alone() -> None:
    with pytest.raises(InputError, match="this data is images: choose --data tags:SPEC"):
        recipes.tagger((8, 8, 1))
    gan = recipes.tagger((2,))
    with pytest.raises(InputError, match="no pictures with tags"):
        training.as_batch(gan, training.Examples(jnp.zeros((3, 2)), jnp.zeros(3, jnp.int32)))
