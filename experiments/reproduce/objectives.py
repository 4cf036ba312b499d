"""The objectives that `created_equal` compares: what is searched of each, and GANs that differ in them alone."""

import functools
import math
import operator
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import optax

from gan_jax import losses, penalties, priors
from gan_jax.gan import GAN
from gan_jax.losses import Loss
from gan_jax.nets import dcgan, heads, mlp
from gan_jax.nets.activations import leaky_relu, tanh
from gan_jax.nets.inits import he_normal
from gan_jax.penalties import Penalty
from gan_jax.population import Hyperparams
from gan_jax.transforms import clip_params, scheduled
from gan_jax.typing import Logits, Number, Scalar

_SHAPE = (28, 28, 1)
LATENT = 64
PRIOR = priors.normal(LATENT)
"""One object, so that whatever samples from these generators shares a program."""

# What is searched, uniformly in the logarithm but for b1; `weight` is each objective's own.
SPACE: Mapping[str, tuple[float, float]] = {
    "lr": (1e-5, 1e-2), "d_lr": (1e-5, 1e-2), "b1": (0.0, 0.9), "1 - b2": (1e-3, 1e-1),
}  # fmt: skip
CRITICS = (1, 5)


class Objective(NamedTuple):
    """A row.

    Attributes:
      loss: the game.
      penalty: of its weight; None for none.
      weights: least and largest weight of the penalty, or c of the clip; None where there is neither.
      clips: whether D's parameters are clipped to [-c, c].
      published: the paper's Frechet distances in Inception's features, of MNIST and of Fashion-MNIST.
    """

    loss: Loss
    penalty: Any = None
    weights: tuple[float, float] | None = None
    clips: bool = False
    published: tuple[float, float] | None = None


def _r1_r2(gamma: Number) -> Penalty:
    return penalties.total(penalties.r1(gamma), penalties.r2(gamma))


OBJECTIVES: Mapping[str, Objective] = {
    "minimax": Objective(losses.minimax(), published=(9.8, 29.6)),
    "non-saturating": Objective(losses.non_saturating(), published=(6.8, 26.5)),
    "least squares": Objective(losses.least_squares(), published=(7.8, 30.7)),
    "hinge": Objective(losses.hinge()),
    "Wasserstein, clip": Objective(losses.wasserstein(), None, (1e-3, 1.0), clips=True, published=(6.7, 21.5)),
    "Wasserstein, gradient penalty": Objective(
        losses.wasserstein(), penalties.wgan_gp, (0.1, 100.0), published=(20.3, 24.5)
    ),
    "DRAGAN": Objective(losses.non_saturating(), penalties.dragan, (0.1, 100.0), published=(7.6, 27.7)),
    "relativistic, R1 + R2": Objective(losses.relativistic_pairing(), _r1_r2, (0.01, 100.0)),
}


def setting(name: str, number: int) -> dict[str, float]:
    """Setting `number` of an objective: of all objectives the same but for the weight, whose range is its own."""
    lr, d_lr, b1, b2, weight = np.random.default_rng([2018, number]).random(5)
    found = {key: _log_uniform(SPACE[key], share) for key, share in (("lr", lr), ("d_lr", d_lr))}
    found |= {"b1": SPACE["b1"][1] * b1, "b2": 1 - _log_uniform(SPACE["1 - b2"], b2)}
    weights = OBJECTIVES[name].weights
    found["weight"] = 0.0 if weights is None else _log_uniform(weights, weight)
    return found | {"n_critic": CRITICS[number % len(CRITICS)]}


def _log_uniform(ends: tuple[float, float], share: float) -> float:
    low, high = ends
    return float(low * (high / low) ** share)


def alike(name: str) -> tuple[str, ...]:
    """The objectives that differ from this one in numbers only: those with the same penalty, or without one."""
    return tuple(other for other in OBJECTIVES if OBJECTIVES[other].penalty is OBJECTIVES[name].penalty)


@functools.cache
def maker(names: tuple[str, ...], n_critic: int, width: int) -> Any:
    """The function of `gan_jax.population` that makes a member of one of these objectives, which are all alike.

    The same object for each program. A member's objective is a number too: its share of the loss, 1 or 0.
    """
    return functools.partial(_made, names, n_critic, width)


def _made(names: tuple[str, ...], n_critic: int, width: int, numbers: Hyperparams) -> GAN:
    penalty, betas = OBJECTIVES[names[0]].penalty, (numbers["b1"], numbers["b2"])
    d_optimizer = scheduled(optax.adam, numbers["d_lr"], *betas)
    if any(OBJECTIVES[name].clips for name in names):
        d_optimizer = optax.chain(d_optimizer, scheduled(clip_params, numbers["clip"]))
    made = GAN(
        **nets(width),
        loss=_blended({name: numbers[name] for name in names}),
        g_optimizer=scheduled(optax.adam, numbers["lr"], *betas),
        d_optimizer=d_optimizer,
        prior=PRIOR,
        n_critic=n_critic,
    )
    return made if penalty is None else made.replace(penalty=penalty(numbers["weight"]))


def _blended(shares: Mapping[str, Number]) -> Loss:
    def total(player: str, real_logits: Logits, fake_logits: Logits) -> Scalar:
        terms = [share * getattr(OBJECTIVES[name].loss, player)(real_logits, fake_logits)
                 for name, share in shares.items()]  # fmt: skip
        return functools.reduce(operator.add, terms)

    return Loss(d=functools.partial(total, "d"), g=functools.partial(total, "g"))


def numbers_of(names: Sequence[str], name: str, own: Mapping[str, float]) -> dict[str, float]:
    """A setting as the numbers that `maker(names, ...)` takes; without a clip c is infinite."""
    found = {key: own[key] for key in ("lr", "d_lr", "b1", "b2", "weight")}
    found["clip"] = own["weight"] if OBJECTIVES[name].clips else math.inf
    return found | {other: float(other == name) for other in names}


def nets(width: int) -> dict[str, Any]:
    """Both networks: MLPs of two hidden layers, or with width 0 those of InfoGAN, D without BatchNorm."""
    if width == 0:
        return {
            "generator": dcgan.Generator(_SHAPE, (128, 64), hidden=1024),
            "discriminator": dcgan.Discriminator(heads.Hidden(1024, heads.Logit()), (64, 128)),
        }
    return {
        "generator": mlp.Generator(_SHAPE, (width,) * 2, tanh, leaky_relu, batch_norm=True),
        "discriminator": mlp.Discriminator((width,) * 2, heads.Logit(he_normal())),
    }
