import math

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from experiments.reproduce import objectives
from experiments.reproduce.objectives import OBJECTIVES
from tests.helpers import assert_same

PLAIN = ("minimax", "non-saturating", "least squares", "hinge", "Wasserstein, clip")


def test_objectives_without_a_penalty_share_a_program() -> None:
    assert [objectives.alike(name) for name in PLAIN] == [PLAIN] * 5
    assert {objectives.alike(name) for name in OBJECTIVES if name not in PLAIN} == {
        (name,) for name in OBJECTIVES if name not in PLAIN
    }
    assert objectives.maker(PLAIN, 1, 8) is objectives.maker(PLAIN, 1, 8)
    assert objectives.maker(PLAIN, 1, 8) is not objectives.maker(PLAIN, 5, 8)


@pytest.mark.parametrize("name", PLAIN)
def test_an_objective_s_share_of_the_loss_is_all_of_it(name: str) -> None:
    real, fake = jnp.array([1.5, -0.3, 40.0]), jnp.array([-2.0, 0.7, -9.0])
    numbers = objectives.numbers_of(PLAIN, name, objectives.setting(name, 3))
    blended = objectives._made(PLAIN, 1, 8, numbers).loss
    for player in ("d", "g"):
        of_blend, own = (jax.value_and_grad(getattr(loss, player), (0, 1)) for loss in (blended, OBJECTIVES[name].loss))
        assert_same(of_blend(real, fake), own(real, fake))


@pytest.mark.parametrize(("name", "clip"), [("Wasserstein, clip", True), ("hinge", False)])
def test_only_the_clipped_critic_stays_in_its_box(name: str, clip: bool) -> None:
    own = objectives.setting(name, 0) | {"d_lr": 0.5}
    numbers = objectives.numbers_of(PLAIN, name, own)
    assert numbers["clip"] == (own["weight"] if clip else math.inf)
    optimizer = objectives._made(PLAIN, 1, 8, numbers).d_optimizer
    params = {"w": jnp.array([5.0, -0.1])}
    updates, _ = optimizer.update({"w": jnp.array([1.0, -1.0])}, optimizer.init(params), params, step=0)
    after = np.abs(optax.apply_updates(params, updates)["w"])
    # Adam's first step is as long as its rate.
    np.testing.assert_allclose(after, np.float32(own["weight"]) if clip else [4.5, 0.4], rtol=1e-5)


@pytest.mark.parametrize("name", ["Wasserstein, gradient penalty", "DRAGAN", "relativistic, R1 + R2"])
def test_a_weight_scales_the_penalty(name: str) -> None:
    real, fake = jnp.linspace(-1, 1, 12).reshape(4, 3), jnp.ones((4, 3))
    found = []
    for weight in (1.0, 3.0):
        numbers = objectives.numbers_of((name,), name, objectives.setting(name, 0) | {"weight": weight})
        penalty = objectives._made((name,), 1, 8, numbers).penalty
        critic = lambda x: jnp.sum(jnp.square(x), axis=-1)  # noqa: E731
        found.append(float(penalty(critic, real, fake, jax.random.key(0), jnp.int32(0))))
    assert found[0] > 0
    assert found[1] == pytest.approx(3 * found[0], rel=1e-5)
    if name == "relativistic, R1 + R2":  # Half of the mean of |2 x|^2 on both.
        assert found[0] == pytest.approx(2 * float(jnp.mean(jnp.sum(real**2, 1))) + 2 * 3, rel=1e-5)


def test_settings_are_wide_and_the_same_for_all_but_for_the_weight() -> None:
    settings = [objectives.setting("DRAGAN", k) for k in range(200)]
    for key, low, high in (("lr", 1e-5, 1e-2), ("d_lr", 1e-5, 1e-2), ("b1", 0, 0.9), ("b2", 0.9, 0.999)):
        values = np.array([each[key] for each in settings])
        assert low <= values.min() and values.max() <= high
        assert np.quantile(values, 0.5) == pytest.approx({"b1": 0.45, "b2": 0.99}.get(key, 10**-3.5), rel=0.35)
    weights = [each["weight"] for each in settings]
    assert 0.1 <= min(weights) < 0.2
    assert 50 < max(weights) <= 100
    assert {each["n_critic"] for each in settings} == {1, 5}
    other = objectives.setting("relativistic, R1 + R2", 7)
    assert {key for key in other if other[key] != settings[7][key]} == {"weight"}
