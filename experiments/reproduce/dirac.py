"""Dirac-GAN: the data is the point 0, G = theta and D(x) = psi x (Mescheder et al. 2018, arXiv:1801.04406, section 2).

Every row is the library's `train_step` (SGD, D's update first) under one loss and one penalty, beside its closed form:
near theta = psi = 0 a step is the linear map [[1, h f], [0, 1]] [[1, 0], [-h f, 1 - h c]] of (theta, psi), h the
learning rate, f the slope of D's loss in psi theta at 0 (the generator's is -f) and c the curvature of the penalty in
psi. Its determinant is 1 - h c: complex eigenvalues have modulus sqrt(1 - h c), 1 without a penalty.
"""

import dataclasses
import functools
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import linen as nn
from jax import lax
from jaxtyping import Array, Float

from experiments.reproduce.table import Budget, Column, Outcome, Published, Row, Table
from gan_jax import losses, penalties, priors
from gan_jax.gan import GAN, Batch, GANState
from gan_jax.losses import Loss
from gan_jax.penalties import Penalty

_RATE = 0.1
_NEAR = 0.01
_FIT = 200


class Position(nn.Module):
    """G(z) = theta, for any z."""

    @nn.compact
    def __call__(self, z: Array, y: Array | None, train: bool) -> Float[Array, "batch 1"]:
        theta = self.param("theta", nn.initializers.zeros, ())
        return jnp.broadcast_to(theta, (z.shape[0], 1))


class Slope(nn.Module):
    """D(x) = psi x."""

    @nn.compact
    def __call__(self, x: Float[Array, "batch 1"], y: Array | None, train: bool) -> Float[Array, " batch"]:
        return self.param("psi", nn.initializers.zeros, ()) * x[:, 0]


# Loss, its slope f at 0, penalty, its curvature c (None: not smooth at psi = 0).
_GAMMA = 0.3
_CASES: dict[str, tuple[Loss, float, Penalty | None, float | None]] = {
    "minimax": (losses.minimax(), 0.5, None, 0.0),
    "non-saturating": (losses.non_saturating(), 0.5, None, 0.0),
    "relativistic pairing": (losses.relativistic_pairing(), 0.5, None, 0.0),
    "hinge": (losses.hinge(), 1.0, None, 0.0),
    "wasserstein": (losses.wasserstein(), 1.0, None, 0.0),
    "wasserstein + wgan_gp": (losses.wasserstein(), 1.0, penalties.wgan_gp(_GAMMA), None),
    "non-saturating + dragan": (losses.non_saturating(), 0.5, penalties.dragan(_GAMMA), None),
    "minimax + R1": (losses.minimax(), 0.5, penalties.r1(_GAMMA), _GAMMA),
    "non-saturating + R1": (losses.non_saturating(), 0.5, penalties.r1(_GAMMA), _GAMMA),
    "wasserstein + R1": (losses.wasserstein(), 1.0, penalties.r1(_GAMMA), _GAMMA),
    "relativistic pairing + R1 + R2": (
        losses.relativistic_pairing(), 0.5, penalties.total(penalties.r1(_GAMMA), penalties.r2(_GAMMA)), 2 * _GAMMA,
    ),
}  # fmt: skip


def table(budget: Budget) -> Table:
    """Eigenvalues in closed form and measured, and the distance at the end of training from far away."""
    steps, starts = (5000, 10) if budget == "full" else (500, 2)
    return Table(
        "Dirac-GAN: closed form and train step",
        f"Learning rate h = {_RATE}, penalty weight gamma = {_GAMMA}, one D update a step, D first. A seed is a start "
        f"in another direction. Eigenvalues are fitted to {_FIT} train steps that begin {_NEAR:g} from the "
        f"equilibrium; the last column is the mean distance from it over the last 200 of {steps} steps that began 1 "
        "away. Where D's loss is not smooth at the equilibrium (gradients pushed towards norm 1) there is no closed "
        "form: it circles, or stays away. The saturating loss circles for ever; the non-saturating one creeps in, its "
        "radius falling as 1 / sqrt(time); R1 brings all of them in at the rate sqrt(1 - h gamma) a step.",
        {
            "modulus": Column("eigenvalue's modulus, closed form", 6),
            "modulus_measured": Column("measured", 6),
            "angle": Column("angle a step, closed form", 6),
            "angle_measured": Column("measured", 6),
            "distance": Column(f"distance after {steps} steps", 4),
        },
        [
            Published(
                "any loss, no penalty", _SOURCE, {"modulus": "1 at best (on the unit circle)", "distance": "> 0"}
            ),
            Published("WGAN, WGAN-GP", _SOURCE, {"distance": "does not converge"}),
            Published("R1 or R2", _SOURCE, {"modulus": "< 1", "distance": "0, at a linear rate"}),
        ],
        [_row(name, steps, range(starts)) for name in _CASES],
    )


_SOURCE = "Mescheder et al. 2018, sections 2 to 4"


def _row(name: str, steps: int, seeds: Sequence[int]) -> Row:
    settings = {"lr": _RATE, "gamma": _GAMMA, "near": _NEAR, "fit": _FIT, "steps": steps}
    return Row(name, settings, functools.partial(_measure, name, steps), seeds, len(seeds))


def _measure(name: str, steps: int, seeds: Sequence[int]) -> list[Outcome]:
    loss, slope, penalty, curvature = _CASES[name]
    optimizer = optax.sgd(_RATE)
    gan = GAN(
        generator=Position(),
        discriminator=Slope(),
        loss=loss,
        g_optimizer=optimizer,
        d_optimizer=optimizer,
        prior=priors.normal(1),
    )
    gan = gan if penalty is None else gan.replace(penalty=penalty)
    path = jax.jit(jax.vmap(functools.partial(_path, gan), (0, None)), static_argnums=1)
    angles = 2 * np.pi * np.random.default_rng(0).random(max(seeds) + 1)[np.asarray(seeds)]
    starts = np.stack([np.cos(angles), np.sin(angles)], axis=-1).astype(np.float32)
    near = np.asarray(path(_NEAR * starts, _FIT), np.float64)
    distances = np.linalg.norm(np.asarray(path(starts, steps)), axis=-1)[:, -200:].mean(axis=1)
    outcomes = []
    for states, distance in zip(near, distances, strict=True):
        numbers = {"distance": float(distance)}
        if curvature is not None:
            d_step = np.array([[1, 0], [-_RATE * slope, 1 - _RATE * curvature]])
            numbers["modulus"], numbers["angle"] = _leading(np.array([[1, _RATE * slope], [0, 1]]) @ d_step)
            fitted = np.linalg.lstsq(states[:-1], states[1:], rcond=None)[0].T
            numbers["modulus_measured"], numbers["angle_measured"] = _leading(fitted)
        outcomes.append(Outcome(numbers))
    return outcomes


def _path(gan: GAN, start: Float[Array, "2"], steps: int) -> Float[Array, "steps 2"]:
    """(theta, psi) after every one of `steps` train steps."""
    batch = Batch(jnp.zeros((1, 1, 1)))
    state = gan.init(jax.random.key(0), batch)
    state = dataclasses.replace(
        state,
        generator=dataclasses.replace(state.generator, params={"theta": start[0]}),
        discriminator=dataclasses.replace(state.discriminator, params={"psi": start[1]}),
    )

    def body(state: GANState, rng: Array) -> tuple[GANState, Any]:
        state, _ = gan.train_step(state, batch, rng)
        return state, jnp.stack([state.generator.params["theta"], state.discriminator.params["psi"]])

    return lax.scan(body, state, jax.random.split(jax.random.key(1), steps))[1]


def _leading(step: np.ndarray) -> tuple[float, float]:
    """Modulus and angle, radians in [0, pi], of the largest eigenvalue of a real 2 x 2 matrix."""
    value = max(np.linalg.eigvals(step), key=abs)
    return float(abs(value)), float(abs(np.angle(value)))
