"""Adversarial losses on logits.

A loss is a value of pure functions: what the discriminator minimises, what the generator minimises, how a logit becomes
a score for the log, and which divergence the discriminator's loss estimates. All take logits `[B]` (never
`[B, 1]`) and stay finite, with finite gradients, at logits of up to 1e17 in magnitude (and B up to 10,000: squares of
larger ones leave float32): cross-entropies are written with softplus, because log(sigmoid(x) + eps) saturates.

The functions are module-level ones, so that a loss can be pickled.

Sigmoid cross-entropy in two identities: -log sigmoid(a) = softplus(-a) and -log(1 - sigmoid(a)) = softplus(a).
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp

from gan_jax.typing import Logits, Scalar


def _identity(logits: Logits) -> Logits:
    return logits


def _negative(d_loss: Scalar) -> Scalar:
    return -d_loss


class Loss(NamedTuple):
    """One adversarial game.

    Attributes:
      d: `(real_logits [B], fake_logits [B]) -> scalar`, minimised by the discriminator.
      g: `(real_logits [B], fake_logits [B]) -> scalar`, minimised by the generator.
      score: `logits [B] -> [B]`, how D's output is logged: a probability where D models one, else the logit itself.
      estimate: `d_loss -> scalar`, the divergence between data and generator that this discriminator loss bounds from
        below: 0 where D can't tell the two apart. By default what D maximises.
      shown: the metrics that progress lines show beside both losses.
    """

    d: Callable[[Logits, Logits], Scalar]
    g: Callable[[Logits, Logits], Scalar]
    score: Callable[[Logits], Logits] = _identity
    estimate: Callable[[Scalar], Scalar] = _negative
    shown: tuple[str, ...] = ("d_real", "d_fake")


def _probability(logits: Logits) -> Logits:
    return jax.nn.sigmoid(logits)


def _negative_mean_of_fakes(real_logits: Logits, fake_logits: Logits) -> Scalar:
    return -jnp.mean(fake_logits)


def _cross_entropy_d(real_logits: Logits, fake_logits: Logits) -> Scalar:
    return jnp.mean(jax.nn.softplus(-real_logits)) + jnp.mean(jax.nn.softplus(fake_logits))


def _saturating_g(real_logits: Logits, fake_logits: Logits) -> Scalar:
    return -jnp.mean(jax.nn.softplus(fake_logits))


def _non_saturating_g(real_logits: Logits, fake_logits: Logits) -> Scalar:
    return jnp.mean(jax.nn.softplus(-fake_logits))


def _jensen_shannon(d_loss: Scalar) -> Scalar:
    return jnp.log(2.0) - d_loss / 2


def _least_squares_d(real_logits: Logits, fake_logits: Logits) -> Scalar:
    return jnp.mean(jnp.square(real_logits - 1)) / 2 + jnp.mean(jnp.square(fake_logits)) / 2


def _least_squares_g(real_logits: Logits, fake_logits: Logits) -> Scalar:
    return jnp.mean(jnp.square(fake_logits - 1)) / 2


def _vincze_le_cam(d_loss: Scalar) -> Scalar:
    return 1 - 4 * d_loss


def _hinge_d(real_logits: Logits, fake_logits: Logits) -> Scalar:
    return jnp.mean(jax.nn.relu(1 - real_logits)) + jnp.mean(jax.nn.relu(1 + fake_logits))


def _total_variation(d_loss: Scalar) -> Scalar:
    return 1 - d_loss / 2


def _wasserstein_d(real_logits: Logits, fake_logits: Logits) -> Scalar:
    return jnp.mean(fake_logits) - jnp.mean(real_logits)


def _pairing_d(real_logits: Logits, fake_logits: Logits) -> Scalar:
    return jnp.mean(jax.nn.softplus(fake_logits - real_logits))


def _pairing_g(real_logits: Logits, fake_logits: Logits) -> Scalar:
    return jnp.mean(jax.nn.softplus(real_logits - fake_logits))


def _order_of_pairs(d_loss: Scalar) -> Scalar:
    return jnp.log(2.0) - d_loss


def minimax() -> Loss:
    """The saturating game of the original paper (Goodfellow et al. 2014, arXiv:1406.2661, eq. 1).

    D minimises -E log D(x) - E log(1 - D(G(z))), G minimises E log(1 - D(G(z))). `estimate` is the Jensen-Shannon
    divergence in nats: log 2 - d_loss / 2 (theorem 1), which can't exceed log 2.
    """
    return Loss(d=_cross_entropy_d, g=_saturating_g, score=_probability, estimate=_jensen_shannon)


def non_saturating() -> Loss:
    """The game as played in practice (Goodfellow et al. 2014, section 3): `minimax`, but G minimises -E log D(G(z))."""
    return minimax()._replace(g=_non_saturating_g)


def least_squares() -> Loss:
    """Least-squares GAN with targets a = 0, b = c = 1 (Mao et al. 2017, arXiv:1611.04076, eq. 9).

    D minimises E (D(x) - 1)^2 / 2 + E D(G(z))^2 / 2, G minimises E (D(G(z)) - 1)^2 / 2. At the optimal D the loss is
    half of E[p q / (p + q)], so `estimate` 1 - 4 d_loss is the Vincze-Le Cam divergence, in [0, 1].
    """
    return Loss(d=_least_squares_d, g=_least_squares_g, estimate=_vincze_le_cam)


def hinge() -> Loss:
    """Hinge loss (Lim & Ye 2017, arXiv:1705.02894; Miyato et al. 2018, arXiv:1802.05957, eq. 16-17).

    D minimises E max(0, 1 - D(x)) + E max(0, 1 + D(G(z))), G minimises -E D(G(z)). `estimate` 1 - d_loss / 2 is the
    total variation distance at the optimal D.
    """
    return Loss(d=_hinge_d, g=_negative_mean_of_fakes, estimate=_total_variation)


def wasserstein() -> Loss:
    """The Wasserstein game (Arjovsky et al. 2017, arXiv:1701.07875, algorithm 1): no log, no sigmoid.

    D (the critic) minimises E D(G(z)) - E D(x), G minimises -E D(G(z)). `estimate` is the critic's estimate of the
    distance, E D(x) - E D(G(z)), up to the critic's Lipschitz constant: the curve that shows convergence.
    """
    return Loss(d=_wasserstein_d, g=_negative_mean_of_fakes, shown=("estimate",))


def relativistic_pairing() -> Loss:
    """Relativistic pairing (Jolicoeur-Martineau 2018, arXiv:1807.00734; Huang et al. 2024, arXiv:2501.05441, eq. 2).

    With u = D(x_i) - D(G(z_i)) on pairs of the batch, D minimises E softplus(-u), G minimises E softplus(u).
    `estimate` log 2 - d_loss is 0 where D can't order a pair.
    """
    return Loss(d=_pairing_d, g=_pairing_g, estimate=_order_of_pairs)


LOSSES: Mapping[str, Callable[[], Loss]] = {
    loss.__name__: loss for loss in (minimax, non_saturating, least_squares, hinge, wasserstein, relativistic_pairing)
}
"""Losses by name, for command lines."""
