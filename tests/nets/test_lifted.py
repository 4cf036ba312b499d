import jax
import jax.numpy as jnp
import numpy as np

from gan_jax.nets import mlp
from gan_jax.nets.activations import leaky_relu
from gan_jax.nets.layers import Encode
from gan_jax.nets.lifted import Lifted

KEY = jax.random.key(0)
Z, Y = jax.random.normal(KEY, (6, 4)), jnp.arange(6) % 3


def test_latents_and_condition_pass_a_normalised_layer_to_the_net() -> None:
    inner = mlp.Generator((2,), (5,), None)
    net = Lifted(inner, 7, Encode(3))
    variables = net.init(KEY, Z, Y, False)
    x, _ = net.apply(variables, Z, Y, True, mutable=["batch_stats"])
    params = variables["params"]
    h = jnp.concatenate([Z, jax.nn.one_hot(Y, 3)], axis=1) @ params["Dense_0"]["kernel"]
    h = leaky_relu((h - h.mean(axis=0)) / jnp.sqrt(h.var(axis=0) + 1e-5))
    np.testing.assert_allclose(x, inner.apply({"params": params["net"]}, h, None, True), rtol=1e-4, atol=1e-5)
