from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from gan_jax import recipes, training
from gan_jax.nets.packing import Packed
from gan_jax.training import Examples
from tests.helpers import few, jit

KEY = jax.random.key(0)


class Digits(nn.Module):
    """The logit of (a, b, ...) is a + 10 b + ..., with a parameter for the tens' base."""

    @nn.compact
    def __call__(self, x: jax.Array, y: Any, train: bool) -> jax.Array:
        base = self.param("base", nn.initializers.constant(10.0), ())
        return x @ base ** jnp.arange(x.shape[-1], dtype=jnp.float32)


def test_a_pack_has_one_logit_of_all_its_examples() -> None:
    net = Packed(Digits(), 2)
    x = jnp.array([[1.0], [2.0], [3.0], [4.0]])
    variables = net.init(KEY, x[:1], None, train=False)
    # The packs (1, 3) and (2, 4).
    np.testing.assert_allclose(net.apply(variables, x, None, train=False), [31, 42, 31, 42], rtol=1e-6)


def test_images_are_packed_along_their_channels() -> None:
    shapes = []

    class Shape(nn.Module):
        @nn.compact
        def __call__(self, x: jax.Array, y: Any, train: bool) -> jax.Array:
            shapes.append(x.shape)
            return x.mean((1, 2, 3))

    Packed(Shape(), 4).apply({}, jnp.zeros((8, 6, 5, 3)), None, train=False)
    assert shapes == [(2, 6, 5, 12)]


@pytest.mark.parametrize("name", few(["wgan", "gan", "sngan"], "wgan"))
def test_a_packed_discriminator_trains(name: str) -> None:
    gan = getattr(recipes, name)((2,), width=8)
    gan = gan.replace(discriminator=Packed(gan.discriminator, 3))
    data = Examples(jnp.ones((10, 2)))
    state = jit(lambda: training.initial_state(gan, KEY, data))()
    assert state.discriminator.params["net"]["Dense_0"]["kernel"].shape == (6, 8)
    trained, metrics = jit(lambda: training.train(gan, state, data, KEY, steps=2, batch_size=6))()
    assert int(trained.step) == 2
    assert all(np.isfinite(values).all() for values in jax.tree.leaves(metrics))


def test_what_can_not_be_packed_is_refused() -> None:
    net = Packed(Digits(), 3)
    with pytest.raises(ValueError, match="without conditions"):
        net.apply({}, jnp.zeros((3, 1)), jnp.zeros(3, jnp.int32), train=False)
    with pytest.raises(ValueError, match="multiple of the pack size 3, got 4"):
        net.apply({}, jnp.zeros((4, 1)), None, train=False)
