"""Averages of weights of any length, made after training from two that were stored along it.

Karras et al. 2024 (arXiv:2312.02696, section 3): an average with the profile t^g over the run so far, g its exponent,
is a running one, of decay (1 - 1/t)^(g + 1) at step t. Stored now and then with two exponents, it gives those of other
exponents, and of earlier ends, by least squares between profiles. Its length is said as the profile's standard
deviation relative to the training so far.
"""

import dataclasses
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from gan_jax.gan import GAN, Batch, GANState
from gan_jax.typing import Key, Metrics


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class PowerAverages(GAN):
    """A GAN whose `state.ema` is a tuple of averages of the generator's variables, one of each exponent.

    To generate, put the variables that are to be used in their place.
    """

    exponents: tuple[float, ...] = ()

    def init(self, rng: Key, batch: Batch) -> GANState:
        """As `GAN.init`."""
        state = super().init(rng, batch)
        averages = tuple(jax.tree.map(jnp.copy, state.generator.variables) for _ in self.exponents)
        return dataclasses.replace(state, ema=averages)

    def train_step(
        self, state: GANState, batch: Batch, rng: Key, *, norms: Array | None = None
    ) -> tuple[GANState, Metrics]:
        """As `GAN.train_step`; then every average takes the generator in."""
        averages = state.ema
        state, metrics = super().train_step(dataclasses.replace(state, ema=None), batch, rng, norms=norms)
        taken = [1 - decay(exponent, state.step) for exponent in self.exponents]
        averages = tuple(
            jax.tree.map(lambda old, new: old + share * (new - old), average, state.generator.variables)  # noqa: B023
            for average, share in zip(averages, taken, strict=True)
        )
        return dataclasses.replace(state, ema=averages), metrics


def decay(exponent: float, step: Array | int) -> Float[Array, ""]:
    """What the average keeps of itself at the step with this number, from 1; nothing at the first."""
    return (1 - 1 / jnp.asarray(step, jnp.float32)) ** (exponent + 1)


def exponent_of(length: float) -> float:
    """The exponent of a profile whose standard deviation is this share of the training so far.

    Args:
      length: in (0, .28].

    Raises:
      ValueError: it is longer: an average of all steps alike, exponent 0, has .289.
    """
    if not 0 < length <= 0.28:
        raise ValueError(f"an average's relative length is in (0, .28], got {length}")
    # (g + 1) / ((g + 2)^2 (g + 3)) = length^2, a cubic.
    roots = np.roots([1, 7, 16 - length**-2, 12 - length**-2])
    return float(max(root.real for root in roots if abs(root.imag) < 1e-6))


def coefficients(stored: Sequence[tuple[float, float]], wanted: tuple[float, float]) -> Float[np.ndarray, " stored"]:
    """How much of each stored average makes the wanted one: the least squared difference of profiles.

    The sum is scaled to 1, which the paper leaves to the fit: it falls short where the wanted profile reaches back to
    before the first stored one.

    Args:
      stored: (exponent, step) of every one, distinct.
      wanted: (exponent, step) of the one to make.
    """
    products = np.array([[_product(a, b) for b in stored] for a in stored])
    with_wanted = np.array([_product(a, wanted) for a in stored])
    # Scaled, so that early profiles, which are high and narrow, do not hide the others.
    scale = 1 / np.sqrt(np.diag(products))
    found = scale * np.linalg.lstsq(products * scale * scale[:, None], with_wanted * scale, rcond=1e-12)[0]
    return found / found.sum()


def _product(a: tuple[float, float], b: tuple[float, float]) -> float:
    """The integral of two profiles (g + 1) t^g / T^(g + 1), each over [0, T]."""
    (g, end), (h, other) = a, b
    log = (g + h + 1) * np.log(min(end, other)) - (g + 1) * np.log(end) - (h + 1) * np.log(other)
    return float((g + 1) * (h + 1) / (g + h + 1) * np.exp(log))
