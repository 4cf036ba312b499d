import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.export
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import linen as nn
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from gan_jax import GAN, Batch, GANState, conditioning, losses, penalties, priors, recipes
from gan_jax.nets import dcgan, heads, mlp
from gan_jax.nets.layers import Encode
from gan_jax.typing import Metrics
from tests.helpers import assert_close, assert_same, differ, few, jit, stack

KEY = jax.random.key(0)
DEVICES = 8
N_CRITIC, BATCH, LATENT, CLASSES = 2, 2 * DEVICES, 3, 2
AXIS = "devices"


def no_latents(rng: jax.Array, n: int) -> jax.Array:
    """The noise travels in the condition, where one device and eight see the same."""
    return jnp.zeros((n, 1))


def fields() -> dict[str, Any]:
    """SGD, whose steps show a wrong scale of the gradient; Adam would hide it."""
    return {
        "g_optimizer": optax.sgd(0.05),
        "d_optimizer": optax.sgd(0.05),
        "prior": no_latents,
        "conditioning": conditioning.given(),
        "n_critic": N_CRITIC,
        "ema_decay": 0.9,
    }


def mlp_gan(axis_name: str | None) -> GAN:
    return GAN(
        generator=mlp.Generator((2,), (8, 8), None, encode=Encode(CLASSES), batch_norm=True, axis_name=axis_name),
        discriminator=mlp.Discriminator((8,), heads.Logit()),
        loss=losses.non_saturating(),
        penalty=penalties.total(penalties.r1(0.5), penalties.r2(0.5)),
        axis_name=axis_name,
        **fields(),
    )


def conv_gan(axis_name: str | None) -> GAN:
    """BatchNorm in both players, and a penalty whose gradient passes through it."""
    return GAN(
        generator=dcgan.Generator((8, 8, 1), (4, 2), encode=Encode(CLASSES), axis_name=axis_name),
        discriminator=dcgan.Discriminator(heads.Logit(), (2, 4), batch_norm=True, axis_name=axis_name),
        loss=losses.relativistic_pairing(),
        penalty=penalties.r1(0.5),
        axis_name=axis_name,
        **fields(),
    )


GANS: dict[str, tuple[Callable[[str | None], GAN], tuple[int, ...]]] = {
    "mlp": (mlp_gan, (2,)),
    "conv": (conv_gan, (8, 8, 1)),
}
# What is slow is compiled for eight devices.
few_gans = pytest.mark.parametrize("name", few(GANS, "mlp"))


def batches(shape: tuple[int, ...]) -> list[Batch]:
    """Two global batches, in which every device's part has moments of its own."""
    rng = np.random.default_rng(0)
    scale = np.linspace(0.5, 2, BATCH).reshape(1, BATCH, *[1] * len(shape))

    def draw() -> Batch:
        x = scale * rng.normal(1, 1, size=(N_CRITIC, BATCH, *shape))
        noise = rng.normal(size=(N_CRITIC, BATCH, LATENT))
        labels = rng.integers(0, CLASSES, (N_CRITIC, BATCH))
        y = {"noise": jnp.asarray(noise, jnp.float32), "label": jnp.asarray(labels, jnp.int32)}
        return Batch(jnp.asarray(x, jnp.float32), y)

    return [draw(), draw()]


def run(step: Callable[..., Any], state: Any, inputs: list[Any]) -> Any:
    metrics = None
    for i, batch in enumerate(inputs):
        state, metrics = step(state, batch, jax.random.fold_in(KEY, i))
    return state, metrics


@functools.cache
def initial_state(name: str) -> GANState:
    make, shape = GANS[name]
    return jit(make(None).init)(KEY, batches(shape)[0])


@functools.cache
def one_device(name: str) -> tuple[GANState, Any]:
    make, shape = GANS[name]
    state, metrics = run(jit(make(None).train_step), initial_state(name), batches(shape))
    before = initial_state(name)
    assert differ(state.generator.params, before.generator.params)
    assert differ(state.discriminator.params, before.discriminator.params)
    return state, metrics


def split(batch: Batch) -> Batch:
    """`[n_critic, B, ...]` to `[n_critic, devices, B / devices, ...]`."""
    return jax.tree.map(lambda leaf: leaf.reshape(N_CRITIC, DEVICES, -1, *leaf.shape[2:]), batch)


def mesh() -> Mesh:
    return Mesh(np.array(jax.devices()), (AXIS,))


def assert_equals_one_device(name: str, result: Any) -> None:
    assert_close(result, one_device(name), rtol=1e-4, atol=2e-5)


def test_session_has_eight_devices() -> None:
    assert jax.device_count() == DEVICES


@few_gans
def test_pmap_equals_one_device_on_the_global_batch(name: str) -> None:
    make, shape = GANS[name]
    step = jax.pmap(make(AXIS).train_step, AXIS, in_axes=(0, 1, None))
    state = stack(*[initial_state(name)] * DEVICES)
    result = run(step, state, [split(batch) for batch in batches(shape)])
    per_device = jax.tree.map(np.asarray, result)
    first = jax.tree.map(lambda leaf: leaf[0], per_device)
    assert_same(stack(*[first] * DEVICES), per_device)
    assert_equals_one_device(name, first)


@few_gans
@pytest.mark.parametrize("check_vma", few([True, False], True))
def test_shard_map_equals_one_device_on_the_global_batch(name: str, check_vma: bool) -> None:
    make, shape = GANS[name]
    step = jax.shard_map(
        make(AXIS).train_step,
        mesh=mesh(),
        in_specs=(P(), P(None, AXIS), P()),
        out_specs=P(),
        check_vma=check_vma,
    )
    assert_equals_one_device(name, run(jit(step), initial_state(name), batches(shape)))


@few_gans
def test_vmap_with_an_axis_name_equals_one_device_on_the_global_batch(name: str) -> None:
    make, shape = GANS[name]
    step = jax.vmap(make(AXIS).train_step, in_axes=(None, 1, None), out_axes=None, axis_name=AXIS)
    assert_equals_one_device(name, run(jit(step), initial_state(name), [split(batch) for batch in batches(shape)]))


@few_gans
def test_jit_over_a_sharded_batch_equals_one_device(name: str) -> None:
    make, shape = GANS[name]
    replicated, sharded = NamedSharding(mesh(), P()), NamedSharding(mesh(), P(None, AXIS))
    step = jit(
        make(None).train_step,
        in_shardings=(replicated, sharded, replicated),
        out_shardings=(replicated, replicated),
    )
    inputs = [jax.device_put(batch, sharded) for batch in batches(shape)]
    assert len(inputs[0].x.sharding.device_set) == DEVICES
    state, metrics = run(step, jax.device_put(initial_state(name), replicated), inputs)
    assert_equals_one_device(name, (state, metrics))


class Echo(nn.Module):
    """G(z) = theta + z."""

    @nn.compact
    def __call__(self, z: jax.Array, y: Any, train: bool) -> jax.Array:
        return z + self.param("theta", nn.initializers.zeros, (1, 1))


class Identity(nn.Module):
    """D(x) = psi x, psi = 1."""

    @nn.compact
    def __call__(self, x: jax.Array, y: Any, train: bool) -> jax.Array:
        return x[:, 0] * self.param("psi", nn.initializers.ones, ())


@pytest.mark.parametrize("step", ["d_step", "g_step"])
def test_devices_with_the_same_key_draw_different_noise(step: str) -> None:
    # One fake z a device: the mean over devices of z^2 exceeds the square of the mean of z by their variance.
    square = lambda real_logits, fake_logits: jnp.mean(jnp.square(fake_logits))  # noqa: E731
    gan = GAN(
        generator=Echo(),
        discriminator=Identity(),
        loss=losses.wasserstein()._replace(d=square, g=square),
        g_optimizer=optax.sgd(0.0),
        d_optimizer=optax.sgd(0.0),
        prior=priors.normal(1),
        axis_name=AXIS,
    )
    state = gan.replace(axis_name=None).init(KEY, Batch(jnp.zeros((1, 1, 1))))
    _, metrics = jit(jax.vmap(getattr(gan, step), in_axes=(None, 0, None), out_axes=None, axis_name=AXIS))(
        state, Batch(jnp.zeros((DEVICES, 1, 1))), KEY
    )
    loss, score = {"d_step": ("d_loss", "d_fake"), "g_step": ("g_loss", "d_fake_after")}[step]
    assert metrics[loss] - metrics[score] ** 2 > 0.05


@pytest.mark.parametrize(
    ("make", "shape"),
    [
        (lambda: recipes.gan((2,), width=4, latent=4), (2,)),
        pytest.param(lambda: recipes.wgan((28, 28, 1), width=4, latent=4), (28, 28, 1), marks=pytest.mark.slow),
        pytest.param(lambda: recipes.wgan_gp((8, 8, 1), width=8, latent=4), (8, 8, 1), marks=pytest.mark.slow),
        (lambda: recipes.dcgan((8, 8, 1), width=8, latent=4), (8, 8, 1)),
    ],
    ids=["gan", "wgan", "wgan_gp", "dcgan"],
)
def test_train_step_lowers_for_gpus_and_tpus(make: Callable[[], GAN], shape: tuple[int, ...]) -> None:
    gan = make()
    batch = Batch(jax.ShapeDtypeStruct((gan.n_critic, 4, *shape), jnp.float32))
    state = jax.eval_shape(gan.init, KEY, batch)
    exported = jax.export.export(jax.jit(gan.train_step), platforms=["cuda", "tpu"])(
        state, batch, jax.eval_shape(lambda: KEY)
    )
    assert exported.platforms == ("cuda", "tpu")
    assert len(exported.out_avals) == len(jax.tree.leaves(state)) + len(Metrics.__annotations__)
