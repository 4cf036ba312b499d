"""What every recipe keeps to: states, steps, metrics, samples, dtypes."""

import functools
import inspect
import pickle
import sys
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax import Batch, GANState, InputError, recipes, schedules
from tests.helpers import few, jit
from tests.recipes.helpers import (
    BATCH,
    CASES,
    CLASSES,
    CODED,
    CONDITIONAL,
    CONDITIONED,
    CONVOLUTIONAL,
    FEW,
    KEY,
    KINDS,
    LEARNING,
    ON_POINTS,
    PICTURED,
    RECIPES,
    RESIDUAL,
    TAGGED,
    cases,
    check_step,
    draw,
    few_recipes,
    filled,
    numbers,
    options,
    tiny,
)


def test_every_public_function_of_the_families_is_a_recipe() -> None:
    functions = {
        name
        for family in (
            recipes.conv,
            recipes.mlp,
            recipes.pictures,
            recipes.tagging,
            sys.modules["gan_jax.recipes.infogan"],
        )
        for name, value in vars(family).items()
        if inspect.isfunction(value) and value.__module__ == family.__name__ and not name.startswith("_")
    }
    assert functions == RECIPES.keys()


def on_labels(batch: Batch) -> bool:
    return isinstance(batch.y, jax.Array) and jnp.issubdtype(batch.y.dtype, jnp.integer)


@cases(CASES + RESIDUAL, quick=[*FEW, ("wgan_gp", {})])
def test_protocol(name: str, kwargs: dict[str, Any]) -> None:
    shape = (28, 28, 1)
    gan = tiny(name, shape, **kwargs)
    batch = draw(gan, shape)
    y = jnp.array([7, 7, 7, 3, 3, 3]) if on_labels(batch) else batch.y
    y = jnp.tile(y[0, :3], (2, 1, 1, 1)) if name in PICTURED else y
    y = gan.conditioning.draw(KEY, 6) if name in CODED else y

    @jit
    def run(batch: Batch, rng: jax.Array) -> Any:
        before = gan.init(rng, batch)
        after, metrics = gan.train_step(before, batch, rng)
        return before, after, metrics, gan.generate(after, jnp.tile(gan.prior(rng, 3), (2, 1)), y)

    before, after, metrics, samples = jax.device_get(run(batch, KEY))
    check_step(before, after, metrics)
    assert samples.shape == (6, *batch.x.shape[2:])
    assert samples.dtype == jnp.float32
    low, high = gan.data_range
    assert low <= samples.min() < samples.max() <= high
    if on_labels(batch):
        assert (samples[:3] != samples[3:]).any(axis=(1, 2, 3)).all()
    if "clip" in options(name):
        default = np.float32(options(name)["clip"].default)
        assert max(np.abs(leaf).max() for leaf in jax.tree.leaves(after.discriminator.params)) == default


@pytest.mark.parametrize("name", few([*KINDS, "r3gan", "sngan", *sorted(CONDITIONED)], *KINDS))
def test_protocol_on_coloured_images_of_another_size(name: str) -> None:
    """Nets of every kind; the size and the channels are nothing to what else a recipe is made of."""
    shape = (32, 32, 3)
    gan = tiny(name, shape)
    batch = draw(gan, shape)
    before = filled(jax.eval_shape(gan.init, KEY, batch))
    after, metrics = jax.device_get(jit(gan.train_step)(before, batch, KEY))
    check_step(before, after, metrics)
    y = batch.y[0] if name in PICTURED else None
    assert jax.eval_shape(lambda state: gan.sample(state, KEY, BATCH, y), after).shape == batch.x.shape[1:]


QUICK_ON_POINTS = [*FEW, ("sngan", {"conditional": True})]


@cases(
    [case for case in ON_POINTS if case in QUICK_ON_POINTS or case[1] or case[0] not in LEARNING], quick=QUICK_ON_POINTS
)
def test_protocol_on_points(name: str, kwargs: dict[str, Any]) -> None:
    gan = tiny(name, (2,), **kwargs)
    batch = draw(gan, (2,))
    before = filled(jax.eval_shape(gan.init, KEY, batch))

    @jit
    def run(state: GANState, batch: Batch, rng: jax.Array) -> Any:
        after, metrics = gan.train_step(state, batch, rng)
        return after, metrics, gan.sample(after, rng, 3)

    after, metrics, samples = jax.device_get(run(before, batch, KEY))
    check_step(before, after, metrics)
    assert samples.shape == (3, 2)
    assert samples.dtype == jnp.float32
    assert (samples[0] != samples[1]).all()


@cases(CONDITIONAL)
def test_unlabelled_data_is_refused_where_labels_are_needed(name: str, kwargs: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="conditioned on labels and the data has none"):
        tiny(name, (28, 28, 1), 0, **kwargs)


@pytest.mark.parametrize("name", sorted(CONVOLUTIONAL))
def test_sizes_that_do_not_fit_are_refused(name: str) -> None:
    with pytest.raises(InputError, match=r"got 30 x 28 x 1: resize or pad (them|the images) to (28|32) x 28"):
        tiny(name, (30, 28, 1))


@pytest.mark.parametrize("name", [name for name in PICTURED if name not in TAGGED])
def test_points_are_refused_where_pictures_are_needed(name: str) -> None:
    with pytest.raises(InputError, match="got 2"):
        tiny(name, (2,))


@cases(CONDITIONAL)
def test_every_class_is_drawn_and_none_beyond(name: str, kwargs: dict[str, Any]) -> None:
    gan = tiny(name, (8, 8, 1), **kwargs)
    y = gan.conditioning.draw(KEY, 1000)
    assert y.dtype == jnp.int32
    # The rarest of ten classes in a thousand draws: 100 less five standard deviations of 9.5.
    counts = np.bincount(y, minlength=CLASSES)
    assert len(counts) == CLASSES
    assert counts.min() > 50
    fresh = gan.conditioning.for_fakes(KEY, jnp.full(1000, 11, jnp.int32))
    if name in ("cgan_embedding", "acgan"):
        assert len(np.bincount(fresh)) == CLASSES
    else:
        np.testing.assert_array_equal(fresh, 11)


@cases(CASES + RESIDUAL, quick=FEW)
def test_bfloat16_keeps_parameters_statistics_and_samples_in_float32(name: str, kwargs: dict[str, Any]) -> None:
    gan = tiny(name, (8, 8, 1), dtype="bfloat16", **kwargs)
    batch = draw(gan, (8, 8, 1))

    def step(batch: Batch, rng: jax.Array) -> Any:
        state, metrics = gan.train_step(gan.init(rng, batch), batch, rng)
        return state, metrics, gan.sample(state, rng, BATCH, batch.y[0] if name in PICTURED else None)

    state, metrics, samples = jax.eval_shape(step, batch, KEY)
    floats = {leaf.dtype for leaf in jax.tree.leaves((state, metrics, samples)) if leaf.dtype != jnp.int32}
    assert floats == {np.dtype("float32")}
    x, y = jax.tree.map(lambda leaf: leaf[0], batch)
    for net, player, inputs in (
        (gan.generator, state.generator, gan.prior(KEY, BATCH)),
        (gan.discriminator, state.discriminator, x),
    ):
        computation = jax.make_jaxpr(functools.partial(net.apply, train=False))(player.variables, inputs, y)
        assert "bf16" in str(computation)


@few_recipes
def test_average_is_an_option(name: str) -> None:
    batch = jax.eval_shape(lambda: draw(tiny(name, (8, 8, 1)), (8, 8, 1)))
    states = {ema: jax.eval_shape(tiny(name, (8, 8, 1), ema=ema).init, KEY, batch) for ema in (None, 0.9)}
    assert states[None].ema is None
    assert states[0.9].ema == states[0.9].generator.variables


@cases(CASES, quick=FEW)
def test_gans_can_be_pickled(name: str, kwargs: dict[str, Any]) -> None:
    """With schedules, on images and on points; what comes back is the same computation."""
    changing = {option: schedules.stages([0.05, 0.1], 10) for option in numbers(name)}
    pickle.loads(pickle.dumps(tiny(name, (8, 8, 1), **changing, **kwargs)))
    shape = (8, 8, 1) if name in PICTURED else (2,)
    gan = tiny(name, shape, **changing, **kwargs)
    again = pickle.loads(pickle.dumps(gan))
    batch = draw(gan, shape)
    state = jax.eval_shape(gan.init, KEY, batch)
    assert jax.eval_shape(again.init, KEY, batch) == state
    steps = [str(jax.make_jaxpr(g.g_step)(state, jax.tree.map(lambda leaf: leaf[0], batch), KEY)) for g in (gan, again)]
    assert steps[0] == steps[1]


@cases(CASES + RESIDUAL, quick=FEW)
def test_everything_is_float32_where_jax_knows_float64(name: str, kwargs: dict[str, Any]) -> None:
    with jax.enable_x64(True):
        gan = tiny(name, (8, 8, 1), **kwargs)
        batch = draw(gan, (8, 8, 1))
        if on_labels(batch):
            batch = batch._replace(y=batch.y.astype(jnp.int64))
        state = jax.eval_shape(gan.init, KEY, batch)
        after, _ = jax.eval_shape(gan.train_step, state, batch, KEY)
        assert jax.tree.map(lambda leaf: leaf.dtype, after) == jax.tree.map(lambda leaf: leaf.dtype, state)
        floats = {leaf.dtype for leaf in jax.tree.leaves((after, gan.prior(KEY, 3))) if leaf.dtype != jnp.int32}
        assert floats == {np.dtype("float32")}
