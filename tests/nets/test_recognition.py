import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import scipy.special

from gan_jax.nets import heads
from gan_jax.nets.activations import leaky_relu
from gan_jax.nets.recognition import Recognise, recognised
from tests.helpers import jit

KEY = jax.random.key(0)
HEAD = Recognise({"c1": 3, "c2": 0}, weight=2.0, continuous_weight=0.5, hidden=4)
H = jax.random.normal(KEY, (5, 6))
Y = {"c1": jnp.array([0, 1, 2, 0, 1]), "c2": jnp.array([-0.9, -0.3, 0.0, 0.4, 0.8])}
UNKNOWN = {"c1": jnp.full(5, -1, jnp.int32), "c2": jnp.full(5, jnp.nan)}


@functools.cache
def variables() -> Any:
    return {"params": jit(lambda: HEAD.init(KEY, H, Y, True))()["params"]}


@jit
def outputs(params: Any) -> tuple[Any, Any]:
    seen = leaky_relu(H @ params["Dense_0"]["kernel"])
    return seen @ params["read_c1"]["kernel"], seen @ params["read_c2"]["kernel"]


def test_terms_are_minus_the_weighted_log_likelihoods_of_the_codes() -> None:
    params = variables()["params"]
    logits, after = jit(lambda params: HEAD.apply({"params": params}, H, Y, True, mutable=["losses"]))(params)
    classes, gaussian = jax.device_get(outputs(params))
    np.testing.assert_allclose(logits, (np.asarray(H) @ params["Dense_1"]["kernel"])[:, 0], rtol=1e-5)
    likelihood = scipy.special.softmax(classes, axis=1)[np.arange(5), Y["c1"]]
    np.testing.assert_allclose(after["losses"]["c1"][0], -2 * np.log(likelihood), rtol=1e-5)
    mean, deviation = gaussian[:, 0], np.exp(gaussian[:, 1])
    density = np.exp(-(((Y["c2"] - mean) / deviation) ** 2) / 2) / (np.sqrt(2 * np.pi) * deviation)
    np.testing.assert_allclose(after["losses"]["c2"][0], -0.5 * np.log(density), rtol=1e-4)


def test_unknown_codes_cost_nothing_and_teach_nothing() -> None:
    def loss(params: Any, h: jax.Array) -> jax.Array:
        after = HEAD.apply({"params": params}, h, UNKNOWN, True, mutable=["losses"])[1]
        return sum((jnp.sum(term) for term in jax.tree.leaves(after)), start=jnp.zeros(()))

    value, gradients = jit(jax.value_and_grad(loss, argnums=(0, 1)))(variables()["params"], H)
    assert value == 0
    assert not any(np.any(leaf) for leaf in jax.tree.leaves(gradients))


def test_codes_are_read_whatever_the_condition_says() -> None:
    net = heads.Hidden(6, HEAD)
    state = {"params": net.init(KEY, H, Y, True)["params"]}
    found = recognised(net, state, H, UNKNOWN)
    assert found.keys() == {"c1", "c2"}
    assert jnp.isfinite(net.apply(state, H, UNKNOWN, False)).all()
    np.testing.assert_array_equal(found["c1"], recognised(net, state, H, Y)["c1"])


def test_what_is_read_is_the_likeliest_class_and_the_mean() -> None:
    classes, gaussian = outputs(variables()["params"])
    found = recognised(HEAD, variables(), H, UNKNOWN)
    np.testing.assert_array_equal(found["c1"], classes.argmax(axis=-1))
    np.testing.assert_allclose(found["c2"], gaussian[:, 0], rtol=1e-5)


@pytest.mark.parametrize("code", ["c1", "c2"])
def test_learning_to_read_makes_the_terms_smaller(code: str) -> None:
    """Codes that are a function of the features are read after a hundred steps."""
    h = jnp.stack([jax.nn.one_hot(Y["c1"], 3)[:, k] for k in range(3)] + [Y["c2"]], axis=1)

    def loss(params: Any) -> jax.Array:
        after = HEAD.apply({"params": params}, h, Y, True, mutable=["losses"])[1]
        return jnp.mean(after["losses"][code][0])

    params = HEAD.init(KEY, h, Y, True)["params"]
    optimizer = optax.adam(0.05)

    @jax.jit
    def step(carry: Any) -> Any:
        params, state = carry
        updates, state = optimizer.update(jax.grad(loss)(params), state)
        return optax.apply_updates(params, updates), state

    carry = params, optimizer.init(params)
    for _ in range(100):
        carry = step(carry)
    assert loss(carry[0]) < loss(params) - 0.5
