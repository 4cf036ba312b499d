"""Losses, penalties and optimizers are those of the papers."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from gan_jax import GAN, Loss, losses
from tests.recipes.helpers import KEY, RECIPES, every_recipe, options, tiny


class Spec(NamedTuple):
    """What the paper says.

    Attributes:
      loss: the game.
      penalty: its value with weight or gamma 2 on a critic whose gradient norm is 5 everywhere.
      b2: Adam's second beta, or None for RMSProp.
      low: lower end of the images' range, 1 is the upper.
    """

    loss: Loss = losses.non_saturating()
    penalty: float = 0.0
    b2: float | None = 0.999
    low: float = -1.0


SPECS = {
    "gan": Spec(low=0.0),
    "gan_deep": Spec(),
    "wgan": Spec(losses.wasserstein(), b2=None, low=0.0),
    "wgan_dcgan": Spec(losses.wasserstein(), b2=None),
    "cgan": Spec(low=0.0),
    "cgan_embedding": Spec(),
    "cdcgan": Spec(),
    "dcgan": Spec(),
    "lsgan": Spec(losses.least_squares()),
    "acgan": Spec(),
    "infogan": Spec(),
    # 2 (5 - 1)^2.
    "wgan_gp": Spec(losses.wasserstein(), 32.0, b2=0.9),
    "sngan": Spec(losses.hinge()),
    "dragan": Spec(penalty=32.0, b2=0.9),
    # 2 / 2 * 5^2 on real and on fake.
    "r3gan": Spec(losses.relativistic_pairing(), 50.0, b2=0.99),
    "completion": Spec(),
    "translation": Spec(),
    "tagger": Spec(losses.relativistic_pairing(), 25.0),  # 2 / 2 * 5^2.
}


def test_every_recipe_has_its_specification_here() -> None:
    assert SPECS.keys() == RECIPES.keys()


def specified(name: str) -> GAN:
    weights = {option: 2.0 for option in ("weight", "gamma") if option in options(name)}
    betas = {"b1": 0.3} if "b1" in options(name) else {"clip": 1e3}
    return tiny(name, (8, 8, 1), lr=0.01, d_lr=0.02, **weights, **betas)


@every_recipe
def test_loss_is_that_of_the_paper(name: str) -> None:
    actual, expected = specified(name).loss, SPECS[name].loss
    real, fake = jnp.array([0.3, -1.2, 2.0]), jnp.array([-0.4, 0.9, 0.1])
    assert (actual.d(real, fake), actual.g(real, fake)) == (expected.d(real, fake), expected.g(real, fake))
    assert specified(name).data_range == (SPECS[name].low, 1.0)


def test_original_gan_has_the_saturating_loss_as_an_option() -> None:
    fake = jnp.array([-0.4, 0.9])
    assert tiny("gan", (2,), saturating=True).loss.g(fake, fake) == losses.minimax().g(fake, fake)


@every_recipe
def test_penalty_is_that_of_the_paper(name: str) -> None:
    x = jax.random.normal(KEY, (3, 8, 8, 1))
    penalty = specified(name).penalty(lambda x: 5 / 8 * jnp.sum(x, axis=(1, 2, 3)), x, 2 * x, KEY, jnp.int32(0))
    np.testing.assert_allclose(penalty, SPECS[name].penalty, rtol=1e-5)


def adam(gradients: np.ndarray, lr: float, b1: float, b2: float) -> float:
    m = v = p = 0.0
    for t, g in enumerate(gradients, 1):
        m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g**2
        p -= lr * (m / (1 - b1**t)) / (np.sqrt(v / (1 - b2**t)) + 1e-8)
    return p


def rmsprop(gradients: np.ndarray, lr: float) -> float:
    v = p = 0.0
    for g in gradients:
        v = 0.99 * v + 0.01 * g**2
        p -= lr * g / (np.sqrt(v) + 1e-8)
    return p


@every_recipe
def test_each_player_has_its_learning_rate_and_the_optimizer_of_the_paper(name: str) -> None:
    gan, b2 = specified(name), SPECS[name].b2
    gradients = np.array([1.0, -3.0, 0.5, 2.0])
    for optimizer, lr in ((gan.g_optimizer, 0.01), (gan.d_optimizer, 0.02)):
        params = jnp.zeros(())
        state = optimizer.init(params)
        for g in gradients:
            updates, state = optimizer.update(jnp.float32(g), state, params)
            params = optax.apply_updates(params, updates)
        expected = rmsprop(gradients, lr) if b2 is None else adam(gradients, lr, 0.3, b2)
        np.testing.assert_allclose(params, expected, rtol=1e-4)


@every_recipe
def test_players_share_a_learning_rate_unless_told(name: str) -> None:
    told = options(name)["d_lr"].default is not None  # The paper has two rates.
    own = {"d_lr": None} if told else {}
    assert told == (name == "infogan")
    gan = tiny(name, (8, 8, 1), lr=0.02, **own, **({"clip": 1e3} if "clip" in options(name) else {}))
    updates = [
        optimizer.update(jnp.ones(()), optimizer.init(jnp.zeros(())), jnp.zeros(()))[0]
        for optimizer in (gan.g_optimizer, gan.d_optimizer)
    ]
    np.testing.assert_allclose(*updates, rtol=1e-6)
