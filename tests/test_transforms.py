from typing import Any

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import optax
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gan_jax import clip_params, recipes

N = 64
DTYPES = {"float32": np.float32, "bfloat16": ml_dtypes.bfloat16, "float16": np.float16}
every_dtype = pytest.mark.parametrize("dtype", DTYPES.values(), ids=DTYPES.keys())


@jax.jit
def become(p: jax.Array, u: jax.Array, c: jax.Array) -> jax.Array:
    """What the parameters become in a compiled step; c is a float of the step's own precision, rounded inside."""
    optimizer = clip_params(c)
    updates, _ = optimizer.update(u, optimizer.init(p), p)
    return optax.apply_updates(p, updates)


def spacing(x: Any, dtype: Any) -> float:
    """Distance of x from the next larger number of the type."""
    x = np.abs(np.asarray(x, dtype))
    return float(np.nextafter(x, np.asarray(np.inf, dtype)).astype(np.float64) - x.astype(np.float64))


@every_dtype
@given(
    seed=st.integers(0, 2**32 - 1),
    c=st.sampled_from([0.01, 0.03, 0.1, 1.0]) | st.floats(1e-3, 10),
    log_step=st.floats(-3, 3),
)
@example(seed=0, c=0.01, log_step=0.0)
@settings(deadline=None, max_examples=100)
def test_parameters_inside_the_box_become_the_clipped_sum(dtype: Any, seed: int, c: float, log_step: float) -> None:
    rng = np.random.default_rng(seed)
    bound = np.asarray(c, dtype)
    p = (bound.astype(float) * np.clip(rng.uniform(-1.1, 1.1, N), -1, 1)).astype(dtype)
    assert (np.abs(p) <= bound).all()
    u = (bound.astype(float) * 10**log_step * rng.normal(size=N)).astype(dtype)
    new = np.asarray(become(jnp.asarray(p), jnp.asarray(u), jnp.float32(c)))
    assert new.dtype == dtype
    assert (np.abs(new) <= bound).all()
    expected = np.clip(p.astype(np.float64) + u.astype(np.float64), -bound.astype(float), bound.astype(float))
    assert np.abs(new.astype(np.float64) - expected).max() <= spacing(bound, dtype)


@every_dtype
@given(seed=st.integers(0, 2**32 - 1), c=st.floats(1e-3, 1), log_scale=st.floats(-3, 3))
@settings(deadline=None, max_examples=50)
def test_parameters_outside_the_box_land_inside(dtype: Any, seed: int, c: float, log_scale: float) -> None:
    rng = np.random.default_rng(seed)
    bound = np.asarray(c, dtype)
    p, u = ((10**log_scale * rng.normal(size=N)).astype(dtype) for _ in range(2))
    new = np.asarray(become(jnp.asarray(p), jnp.asarray(u), jnp.float32(c)))
    assert (np.abs(new) <= bound).all()
    expected = np.clip(p.astype(np.float64) + u.astype(np.float64), -bound.astype(float), bound.astype(float))
    assert np.abs(new.astype(np.float64) - expected).max() <= spacing(np.abs(p).max() + bound, dtype)


def test_naive_difference_overshoots_where_the_transform_does_not() -> None:
    rng = np.random.default_rng(0)
    c = np.float32(0.01)
    p = rng.uniform(-c, c, 100_000).astype(np.float32)
    u = np.float32(0.01) * rng.normal(size=p.shape).astype(np.float32)
    naive = p + (np.clip(p + u, -c, c) - p)
    assert (np.abs(naive) > c).any()
    assert (np.abs(become(p, u, c)) <= c).all()


def test_bound_may_differ_per_member_of_a_population() -> None:
    p, u = jnp.zeros((3, 4)), jnp.broadcast_to(jnp.array([-1.0, -0.2, 0.2, 1.0]), (3, 4))
    new = jax.vmap(become)(p, u, jnp.array([0.1, 0.5, 2.0]))
    np.testing.assert_array_equal(
        new,
        np.array([[-0.1, -0.1, 0.1, 0.1], [-0.5, -0.2, 0.2, 0.5], [-1.0, -0.2, 0.2, 1.0]], np.float32),
    )


def test_needs_the_parameters() -> None:
    optimizer = clip_params(0.1)
    updates = {"w": jnp.ones(2)}
    with pytest.raises(ValueError, match="clip_params needs the parameters"):
        optimizer.update(updates, optimizer.init(updates))


def test_clips_every_leaf_unless_masked() -> None:
    params = {"kernel": jnp.ones(2), "scale": jnp.ones(2)}
    zeros = jax.tree.map(jnp.zeros_like, params)

    def after(optimizer: optax.GradientTransformation) -> Any:
        updates, _ = optimizer.update(zeros, optimizer.init(params), params)
        return optax.apply_updates(params, updates)

    np.testing.assert_allclose(after(clip_params(0.1))["scale"], [0.1, 0.1], rtol=1e-6)
    spared = after(optax.masked(clip_params(0.1), {"kernel": True, "scale": False}))
    np.testing.assert_allclose(spared["kernel"], [0.1, 0.1], rtol=1e-6)
    np.testing.assert_array_equal(spared["scale"], [1.0, 1.0])


def torch_rmsprop(p: np.ndarray, gradients: np.ndarray, lr: float, clip: float = np.inf) -> np.ndarray:
    """torch.optim.RMSprop with its defaults alpha = .99 and eps = 1e-8, then clamp_(-clip, clip), in float64."""
    v = np.zeros_like(p)
    for g in gradients:
        v = 0.99 * v + 0.01 * g**2
        p = np.clip(p - lr * g / (np.sqrt(v) + 1e-8), -clip, clip)
    return p


def run(optimizer: optax.GradientTransformation, p: np.ndarray, gradients: np.ndarray) -> jax.Array:
    params = jnp.asarray(p, jnp.float32)
    state = optimizer.init(params)
    for g in gradients:
        updates, state = optimizer.update(jnp.asarray(g, jnp.float32), state, params)
        params = optax.apply_updates(params, updates)
    return params


GRADIENTS = np.random.default_rng(1).normal(size=(20, 8)) * np.logspace(-6, 2, 8)
START = np.random.default_rng(2).uniform(-0.02, 0.02, 8)


def test_wgan_generator_is_trained_with_rmsprop_as_in_pytorch() -> None:
    optimizer = recipes.wgan((28, 28, 1), lr=5e-3).g_optimizer
    np.testing.assert_allclose(
        run(optimizer, START, GRADIENTS), torch_rmsprop(START, GRADIENTS, 5e-3), rtol=1e-4, atol=1e-6
    )


def test_wgan_critic_is_trained_with_rmsprop_as_in_pytorch_and_clipped_after_each_update() -> None:
    optimizer = recipes.wgan((28, 28, 1), lr=1.0, d_lr=5e-3, clip=0.03).d_optimizer
    expected = torch_rmsprop(START, GRADIENTS, 5e-3, 0.03)
    assert (np.abs(expected) == 0.03).any()
    assert (np.abs(expected) < 0.03).any()
    np.testing.assert_allclose(run(optimizer, START, GRADIENTS), expected, rtol=1e-4, atol=1e-6)


def test_first_step_of_rmsprop_by_hand() -> None:
    optimizer = recipes.wgan((28, 28, 1), lr=0.1).g_optimizer
    # v = .01 * 4^2 = .16; p = 1 - .1 * 4 / (.4 + 1e-8) = 0.
    np.testing.assert_allclose(run(optimizer, np.ones(1), np.full((1, 1), 4.0)), [0.0], atol=1e-6)
    # g = 1e-8, v = .01e-16; p = 1 - .1 * 1e-8 / (.1e-8 + 1e-8) = 1 - 1 / 11: eps is added to the root, not under it.
    np.testing.assert_allclose(run(optimizer, np.ones(1), np.full((1, 1), 1e-8)), [10 / 11], rtol=1e-5)
