from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from gan_jax import GAN, recipes, sharding, training
from gan_jax.training import Examples
from tests.helpers import assert_close, assert_same, few_rows, jit

KEY = jax.random.key(0)
SHAPE, BATCH = (8, 8, 1), 16
GANS = {
    "BatchNorm": lambda: recipes.dcgan(SHAPE, width=8, latent=4),
    "clipping": lambda: recipes.wgan(SHAPE, width=8, latent=4, n_critic=2),
    "penalty": lambda: recipes.wgan_gp(SHAPE, width=8, latent=4, n_critic=2),
}


def data() -> Examples:
    x = np.random.default_rng(0).integers(0, 256, (40, *SHAPE)).astype(np.uint8)
    return Examples(jnp.asarray(x))


def spread(gan: GAN, devices: int) -> GAN:
    mesh = Mesh(np.array(jax.devices()[:devices]), ("data",))
    return sharding.data_parallel(gan, NamedSharding(mesh, P("data")))


@pytest.mark.parametrize(
    ("name", "devices"), few_rows([*((name, 8) for name in GANS), ("BatchNorm", 4)], ("BatchNorm", 8))
)
def test_minibatches_spread_over_devices_give_the_numbers_of_one(name: str, devices: int) -> None:
    gan = GANS[name]()
    state = jit(lambda data: training.initial_state(gan, KEY, data))(data())
    train = jit(training.train, static_argnames=("gan", "steps", "batch_size"))
    expected = train(gan, state, data(), KEY, steps=2, batch_size=BATCH)
    assert_close(
        train(spread(gan, devices), state, data(), KEY, steps=2, batch_size=BATCH), expected, rtol=1e-3, atol=2e-5
    )


def test_no_device_computes_the_work_of_another() -> None:
    gan = GANS["clipping"]()
    state = jit(lambda data: training.initial_state(gan, KEY, data))(data())

    def flops(gan: GAN) -> Any:
        batch = training.as_batch(gan, Examples(jnp.zeros((BATCH * 8, *SHAPE), jnp.uint8)))
        return jax.jit(gan.g_step).lower(state, batch, KEY).compile().cost_analysis()["flops"]

    # Not an eighth: the optimizer's arithmetic is done everywhere.
    assert flops(spread(gan, 8)) < 0.35 * flops(gan)


def test_meshes_of_jax_make_mesh_are_taken_too() -> None:
    """Their axes are Explicit, those of `Mesh` are Auto."""
    gan = GANS["clipping"]()
    explicit = sharding.data_parallel(gan, NamedSharding(jax.make_mesh((8,), ("data",)), P("data")))
    state = jit(lambda data: training.initial_state(gan, KEY, data))(data())
    train = jit(training.train, static_argnames=("gan", "steps", "batch_size"))
    assert_same(*(train(g, state, data(), KEY, steps=1, batch_size=BATCH) for g in (explicit, spread(gan, 8))))


@pytest.mark.parametrize(
    ("n", "where"),
    few_rows(
        [(5, "one device"), (5, "all devices"), (8, "one device"), (8, "all devices")],
        (5, "one device"),
        (8, "all devices"),
    ),
)
def test_samples_need_no_jit_and_any_number_of_them_can_be_drawn(n: int, where: str) -> None:
    gan = GANS["BatchNorm"]()
    state = jit(lambda data: training.initial_state(gan, KEY, data))(data())
    mesh = Mesh(np.array(jax.devices()), ("data",))
    placed = jax.device_put(state, jax.devices()[0] if where == "one device" else NamedSharding(mesh, P()))
    samples = spread(gan, 8).sample(placed, KEY, n)
    assert samples.shape == (n, *SHAPE)
    assert_close(np.asarray(samples), np.asarray(gan.sample(state, KEY, n)), rtol=1e-4)


def test_any_number_of_samples_can_be_drawn_under_jit() -> None:
    gan = GANS["clipping"]()
    state = jit(lambda data: training.initial_state(gan, KEY, data))(data())
    sample = jit(lambda gan, n: gan.sample(state, KEY, n), static_argnums=(0, 1))
    for n in (5, 16):
        assert_close(np.asarray(sample(spread(gan, 8), n)), np.asarray(sample(gan, n)), rtol=1e-4)
