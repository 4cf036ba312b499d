import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from gan_jax import GAN, Batch, GANState, conditioning, losses, priors, recipes
from gan_jax.gan import NOT_TAKEN
from gan_jax.nets import heads, mlp
from gan_jax.nets.layers import Encode
from gan_jax.training import (
    Examples,
    as_batch,
    draw_indices,
    from_uint8,
    initial_state,
    to_uint8,
    train,
    train_streamed_until,
    train_until,
)
from tests.helpers import assert_close, assert_same, differ, jit, stack, untyped

KEY = jax.random.key(0)
COUNT, BATCH = 37, 4
SHAPE = (4, 4, 1)


@functools.cache
def gan() -> GAN:
    """Labels, noise, momenta, BatchNorm's statistics, dropout and an average: everything a run carries."""
    return GAN(
        generator=mlp.Generator(SHAPE, (4, 4), jnp.tanh, batch_norm=True, encode=Encode(3)),
        discriminator=mlp.Discriminator((4, 4), heads.Logit(), dropout=0.4, encode=Encode(3)),
        loss=losses.non_saturating(),
        g_optimizer=optax.adam(1e-3),
        d_optimizer=optax.adam(1e-3),
        prior=priors.normal(2),
        n_critic=2,
        conditioning=conditioning.labels(3, resample=True),
        ema_decay=0.9,
    )


@functools.cache
def data() -> Examples:
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (COUNT, *SHAPE)).astype(np.uint8)
    return Examples(jnp.asarray(x), jnp.asarray(rng.integers(0, 3, COUNT), jnp.int32))


@functools.cache
def start() -> GANState:
    return jit(lambda data: initial_state(gan(), KEY, data))(data())


@functools.cache
def run(steps: int) -> Any:
    """`train` for so many steps, compiled as users compile it."""
    return jax.jit(lambda state, rng: train(gan(), state, data(), rng, steps=steps, batch_size=BATCH))


def gathered(first: int, steps: int) -> Examples:
    """What a host with the data in NumPy gathers for `train_streamed_until`."""
    indices = np.stack([draw_indices(KEY, jnp.int32(first + i), 2, BATCH, COUNT) for i in range(steps)])
    return jax.tree.map(lambda leaf: np.asarray(leaf)[indices], data())


def test_train_is_a_loop_over_train_step() -> None:
    examples = gathered(0, 3)

    @jit
    def step(state: GANState, examples: Examples, i: int) -> Any:
        # The first half of the step's key draws the minibatch, the second is for the step.
        _, rng = jax.random.split(jax.random.fold_in(KEY, i))
        return gan().train_step(state, as_batch(gan(), examples), rng)

    state, history = start(), []
    for i in range(3):
        state, metrics = step(state, jax.tree.map(lambda leaf: leaf[i], examples), i)  # noqa: B023
        history.append(metrics)
    assert_close(run(3)(start(), KEY), (state, stack(*history)), rtol=1e-3, atol=1e-5)


def test_metrics_have_an_entry_for_each_step() -> None:
    state, metrics = run(3)(start(), KEY)
    assert {leaf.shape for leaf in metrics.values()} == {(3,)}
    assert state.step == 3


def test_streamed_data_gives_the_very_bits_of_resident_data() -> None:
    streamed = jax.jit(lambda state, chunk: train_streamed_until(gan(), state, chunk, KEY, 3))
    assert_same(streamed(start(), gathered(0, 3)), run(3)(start(), KEY))


def test_a_run_that_is_cut_and_goes_on_gives_the_very_bits_of_one_that_is_not() -> None:
    whole, metrics = run(5)(start(), KEY)
    half, first = run(2)(start(), KEY)
    rest, second = run(3)(half, KEY)
    assert_same(rest, whole)
    assert_same(jax.tree.map(lambda *leaves: np.concatenate(leaves), first, second), metrics)


@pytest.mark.slow
def test_norms_of_gradients_are_taken_at_multiples_of_norms_every_wherever_a_run_is_cut() -> None:
    step = jax.jit(
        lambda state, stop: train_until(gan(), state, data(), KEY, stop, batch_size=BATCH, capacity=5, norms_every=3)
    )
    every = jax.jit(lambda state: train_until(gan(), state, data(), KEY, 5, batch_size=BATCH, capacity=5))
    whole, metrics = step(start(), 5)
    expected, all_norms = every(start())
    for name in ("d_grad", "g_grad"):
        found, norms = metrics.pop(name), all_norms.pop(name)
        assert_close(found[jnp.array([0, 3])], norms[jnp.array([0, 3])], rtol=1e-3)
        assert found[jnp.array([1, 2, 4])].tolist() == [NOT_TAKEN] * 3
        assert (norms > 0).all()
    assert_close((whole, metrics), (expected, all_norms), rtol=1e-3, atol=1e-5)
    half, _ = step(start(), 2)
    rest, later = step(half, 5)
    assert_same(rest, whole)
    assert [norm == NOT_TAKEN for norm in later["g_grad"][:3].tolist()] == [True, False, True]


def test_another_key_is_another_run() -> None:
    assert differ(run(3)(start(), jax.random.key(1)), run(3)(start(), KEY))


def test_initial_state_looks_at_shapes_only() -> None:
    one = Examples(jnp.zeros((1, *SHAPE), jnp.uint8), jnp.zeros(1, jnp.int32))
    assert_same(jit(lambda data: initial_state(gan(), KEY, data))(one), start())


@pytest.mark.slow
def test_populations_train_on_the_device() -> None:
    points = Examples(jnp.asarray(np.random.default_rng(0).normal(size=(COUNT, 2)), jnp.float32))

    def member(lr: jax.Array) -> Any:
        wgan = recipes.wgan((2,), width=4, latent=2, n_critic=2, lr=lr)
        return train(wgan, initial_state(wgan, KEY, points), points, KEY, steps=2, batch_size=BATCH)

    rates = jnp.array([1e-3, 1e-2])
    single = jit(member)
    alone = [single(lr) for lr in rates]
    assert_close(jit(jax.vmap(member))(rates), stack(*alone), rtol=1e-3, atol=1e-5)
    assert differ(*alone)


def of_label_and_half(lr: Any = 1e-3) -> GAN:
    """`cgan` with a condition of two kinds, in micro-batches."""
    given = conditioning.several(label=conditioning.labels(3, resample=True), half=conditioning.upper_half())
    return recipes.cgan(SHAPE, 3, lr=lr, width=4, latent=2).replace(conditioning=given, n_critic=2, accumulate=2)


def trained(examples: Examples, steps: int, lr: Any = 1e-3, state: GANState | None = None) -> GANState:
    gan = of_label_and_half(lr)
    state = initial_state(gan, KEY, examples) if state is None else state
    return train(gan, state, examples, KEY, steps=steps, batch_size=BATCH)[0]


@pytest.mark.slow
def test_conditions_of_several_kinds_train_and_a_run_that_is_cut_has_the_bits_of_one_that_is_not() -> None:
    first = jit(lambda data: trained(data, 0))(data())
    go_on = jit(lambda data, steps, state: trained(data, steps, state=state), static_argnums=1)
    whole = go_on(data(), 2, first)
    assert whole.step == 2
    assert differ(whole.generator.params, first.generator.params)
    assert_same(go_on(data(), 1, go_on(data(), 1, first)), whole)


def test_every_kind_of_a_condition_reaches_both_nets() -> None:
    gan, state = of_label_and_half(), jit(lambda data: trained(data, 0))(data())
    x, y = as_batch(gan, jax.tree.map(lambda leaf: leaf[:BATCH], data()))
    z = gan.prior(KEY, BATCH)
    for name, other in {"label": (y["label"] + 1) % 3, "half": 1 - y["half"]}.items():
        changed = y | {name: other}
        assert (gan.generate(state, z, changed) != gan.generate(state, z, y)).any(axis=(1, 2, 3)).all()
        assert (gan.discriminate(state, x, changed) != gan.discriminate(state, x, y)).all()


@pytest.mark.slow
def test_conditions_of_several_kinds_train_as_populations() -> None:
    rates = jnp.array([1e-3, 1e-2])

    def member(lr: jax.Array, data: Examples) -> GANState:
        return trained(data, 2, lr)

    single = jit(member)
    alone = [single(lr, data()) for lr in rates]
    assert_close(jit(jax.vmap(member, (0, None)))(rates, data()), stack(*alone), rtol=1e-3, atol=1e-5)
    assert differ(*alone)


def test_minibatches_are_drawn_uniformly_from_all_examples() -> None:
    draw = jit(jax.vmap(lambda step: draw_indices(KEY, step, 5, 20, COUNT)))
    indices = draw(jnp.arange(200))
    assert indices.shape == (200, 5, 20)
    assert indices.dtype == jnp.int32
    counts = np.bincount(indices.ravel())
    assert len(counts) == COUNT
    # 20,000 draws of 37: 540.5 each, with standard deviation sqrt(540.5 * 36 / 37) = 22.9.
    assert abs(counts - 20_000 / COUNT).max() < 5 * 22.9


def test_minibatches_are_a_function_of_key_and_step() -> None:
    first = draw_indices(KEY, jnp.int32(7), 2, BATCH, COUNT)
    assert_same(draw_indices(KEY, jnp.int32(7), 2, BATCH, COUNT), first)
    assert differ(draw_indices(KEY, jnp.int32(8), 2, BATCH, COUNT), first)
    assert differ(draw_indices(jax.random.key(1), jnp.int32(7), 2, BATCH, COUNT), first)
    assert differ(first[0], first[1])


@pytest.mark.parametrize("data_range", [(-1.0, 1.0), (0.0, 1.0)])
def test_all_256_values_survive_the_way_to_the_gan_and_back(data_range: tuple[float, float]) -> None:
    values = jnp.arange(256, dtype=jnp.uint8)
    unit = from_uint8(values, data_range)
    assert unit.dtype == jnp.float32
    np.testing.assert_allclose(unit[jnp.array([0, 51, 255])], np.interp([0, 0.2, 1], [0, 1], data_range), atol=1e-6)
    back = to_uint8(unit, data_range)
    assert back.dtype == jnp.uint8
    np.testing.assert_array_equal(back, values)


def test_images_that_leave_are_rounded_and_clipped() -> None:
    # 2 * 100.4 / 255 - 1 and 2 * 100.6 / 255 - 1, and beyond both ends.
    images = jnp.array([-0.2125490, -0.2109804, -1.5, 1.5])
    np.testing.assert_array_equal(to_uint8(images, (-1.0, 1.0)), [100, 101, 0, 255])


def test_points_are_used_as_they_are() -> None:
    points = jnp.array([[3.5, -200.0]])
    assert_same(from_uint8(points, (-1.0, 1.0)), points)


def test_batches_are_scaled_and_conditioned() -> None:
    x = jnp.array([[[0, 255]]], jnp.uint8).reshape(1, 1, 2, 1, 1)
    labels = jnp.array([[2]])
    conditional = recipes.cgan((2, 1, 1), 3)
    assert_same(as_batch(conditional, Examples(x, labels)), Batch(jnp.float32(x) / 255, labels))
    unconditional = recipes.gan((2, 1, 1))
    assert as_batch(unconditional, Examples(x, labels)).y is None
    assert as_batch(unconditional, Examples(x)).y is None


@pytest.mark.parametrize("impl", ["threefry2x32", "rbg", "unsafe_rbg"])
def test_minibatches_depend_on_key_and_step_alone_whatever_draws_them(impl: str) -> None:
    """Drawn for many steps at once, as streaming does, and for many members at once, as populations do."""
    keys, steps = jax.random.split(jax.random.key(0, impl=impl), 2), jnp.arange(3, 7)
    alone = np.stack([[draw_indices(key, step, 2, BATCH, COUNT) for step in steps] for key in keys])
    together = jax.jit(jax.vmap(lambda key: jax.vmap(lambda step: draw_indices(key, step, 2, BATCH, COUNT))(steps)))
    np.testing.assert_array_equal(together(keys), alone)
    assert len({row.tobytes() for row in alone.reshape(-1, 2 * BATCH)}) == 8


@pytest.mark.slow
@pytest.mark.parametrize("impl", ["rbg"])
def test_streamed_and_cut_runs_are_exact_whatever_draws_them(impl: str) -> None:
    rng = jax.random.key(0, impl=impl)
    draw = jax.vmap(lambda step: draw_indices(rng, step, 2, BATCH, COUNT))

    def streamed(state: GANState, first: int, stop: int) -> GANState:
        chunk = jax.tree.map(lambda leaf: leaf[np.asarray(draw(first + np.arange(4)))], data())
        return train_until_stop(state, chunk, rng, stop)

    train_until_stop = jax.jit(lambda *args: train_streamed_until(gan(), *args)[0])
    whole = streamed(start(), 0, 4)
    assert_same(streamed(streamed(start(), 0, 1), 1, 4), whole)
    assert_same(run(4)(start(), rng)[0], whole)


def test_minibatches_are_threefry_numbers_of_the_first_half_of_the_steps_key() -> None:
    rng, _ = jax.random.split(jax.random.fold_in(KEY, 7))
    np.testing.assert_array_equal(draw_indices(KEY, 7, 2, BATCH, COUNT), jax.random.randint(rng, (2, BATCH), 0, COUNT))


X, LABELS = np.zeros((COUNT, *SHAPE), np.uint8), np.zeros(COUNT, np.int32)


@pytest.mark.parametrize(
    ("examples", "message"),
    [
        (Examples(X, LABELS[:-1]), "equally many"),
        (Examples(X[:0], LABELS[:0]), "at least one"),
        (Examples(X.astype(np.float32) / 255, LABELS), "images must be uint8"),
        (Examples(X.astype(np.int64), LABELS), "images must be uint8"),
        (Examples(X[..., 0], LABELS), r"shape \(4, 4, 1\) and the data has \(4, 4\)"),
        (Examples(X, LABELS[:, None]), "labels must be integers"),
        (Examples(X, LABELS.astype(np.float32)), "labels must be integers"),
        (Examples(X), "is conditioned"),
    ],
)
@untyped()
def test_data_of_the_wrong_kind_is_refused(examples: Examples, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        jax.eval_shape(lambda examples: initial_state(gan(), KEY, examples), examples)
    if "shape" in message:
        return  # What a state fits is seen when it is made.
    for call in (
        lambda state, examples: train(gan(), state, examples, KEY, steps=1, batch_size=BATCH),
        lambda state, examples: train_until(gan(), state, examples, KEY, 1, batch_size=BATCH, capacity=1),
    ):
        with pytest.raises(ValueError, match=message):
            jax.eval_shape(call, start(), examples)


@untyped()
def test_chunks_of_the_wrong_kind_are_refused() -> None:
    chunk = gathered(0, 3)
    for wrong in (chunk._replace(labels=chunk.labels[:2]), chunk._replace(x=chunk.x / np.float32(255))):
        with pytest.raises(ValueError, match=r"equally many|uint8"):
            jax.eval_shape(lambda state, chunk: train_streamed_until(gan(), state, chunk, KEY, 3), start(), wrong)


@untyped()
def test_only_bytes_and_floats_are_scaled() -> None:
    for wrong in (np.zeros(3, np.int32), np.zeros(3, bool)):
        with pytest.raises(ValueError, match="uint8 images or float32 points"):
            from_uint8(wrong, (0.0, 1.0))
    assert from_uint8(np.zeros(3, np.float16), (0.0, 1.0)).dtype == np.float32
    with pytest.raises(ValueError, match="are floats, got uint8"):
        to_uint8(np.zeros(3, np.uint8), (-1.0, 1.0))


def test_a_step_is_traced_once(monkeypatch: pytest.MonkeyPatch) -> None:
    traced, step = [], GAN.train_step
    monkeypatch.setattr(GAN, "train_step", lambda self, *x, **how: traced.append(x) or step(self, *x, **how))
    jax.make_jaxpr(lambda state, stop: train_until(gan(), state, data(), KEY, stop, batch_size=BATCH, capacity=3))(
        start(), 3
    )
    assert len(traced) == 1
