"""Which training methods converge in the plane? After Mescheder et al. 2018, arXiv:1801.04406, appendix.

Twelve methods on four simple targets, three of which have no density. Each method is searched over optimizers, learning
rates and its strength (a clip, the weight of a penalty, the size of noise). Its best setting and the one in the middle
of the order are trained again from ten other seeds.
"""

import dataclasses
import functools
import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
import optax
from flax import linen as nn
from jaxtyping import Array, Float32

from experiments.reproduce import intervals, planar
from experiments.reproduce.planar import Draw, Numbers, Protocol
from experiments.reproduce.table import Budget, Column, Outcome, Published, Record, Row, Table
from gan_jax import losses, penalties, priors
from gan_jax.gan import GAN, Batch, GANState
from gan_jax.lab import style
from gan_jax.losses import Loss
from gan_jax.nets import heads, mlp
from gan_jax.penalties import Penalty
from gan_jax.transforms import clip_params
from gan_jax.typing import Condition, Data, Key, Logits, Metrics, Number, Params, Scalar

_WIDTH = 32
_LATENT = 2


class Noisy(nn.Module):
    """A discriminator that sees points `[B, D]` with Gaussian noise in training mode: instance noise.

    Sønderby et al. 2017, arXiv:1610.04490. Real and generated points get noise alike, and independent noise each time,
    from the rng stream "noise".

    Attributes:
      net: `(x, y, train) -> logits`.
      sigma: standard deviation of the noise.
    """

    net: nn.Module
    sigma: Any

    @nn.compact
    def __call__(self, x: Data, y: Condition, train: bool) -> Logits:
        if train:
            x = x + self.sigma * jax.random.normal(self.make_rng("noise"), x.shape, x.dtype)
        return self.net(x, y, train)


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Consensus(GAN):
    """A GAN trained by consensus optimisation (Mescheder et al. 2017, arXiv:1705.10461, algorithm 2).

    With v = (grad_g L_g, grad_d L_d) on one minibatch, both players step at the same time along
    v + gamma grad |v|^2 / 2, whose last term pulls towards points where both gradients vanish. In the paper v has the
    other sign, which changes nothing.

    Attributes:
      gamma: weight of the last term.
    """

    gamma: Number = 1.0

    def train_step(
        self, state: GANState, batch: Batch, rng: Key, *, norms: Array | None = None
    ) -> tuple[GANState, Metrics]:
        """As `GAN.train_step` with one minibatch, but both players move at once; for nets without other variables.

        Norms are those of v, and are always taken.
        """
        one, rng = jax.tree.map(lambda leaf: leaf[-1], batch), self.step_keys(rng).g

        def field(params: tuple[Params, Params]) -> tuple[Any, Metrics]:
            g, d = params
            here = dataclasses.replace(
                state,
                generator=dataclasses.replace(state.generator, params=g),
                discriminator=dataclasses.replace(state.discriminator, params=d),
            )
            d_grad, (_, d_metrics) = jax.grad(self.d_loss, has_aux=True)(d, here, one, self.fakes(here, one, rng), rng)
            g_grad, (_, g_metrics) = jax.grad(self.g_loss, has_aux=True)(g, here, one, rng)
            return (g_grad, d_grad), d_metrics | g_metrics

        def regulariser(params: tuple[Params, Params]) -> tuple[Scalar, Any]:
            v, metrics = field(params)
            return optax.tree.norm(v, squared=True) / 2, (v, metrics)

        players = (state.generator, state.discriminator)
        pull, (v, metrics) = jax.grad(regulariser, has_aux=True)((players[0].params, players[1].params))
        gradients = jax.tree.map(lambda own, common: own + self.gamma * common, v, pull)
        moved = []
        for player, optimizer, gradient in zip(players, (self.g_optimizer, self.d_optimizer), gradients, strict=True):
            updates, opt_state = optimizer.update(gradient, player.opt_state, player.params)
            params = optax.apply_updates(player.params, updates)
            moved.append(dataclasses.replace(player, params=params, opt_state=opt_state))
        metrics |= {"g_grad": optax.tree.norm(v[0]), "d_grad": optax.tree.norm(v[1])}
        return dataclasses.replace(state, step=state.step + 1, generator=moved[0], discriminator=moved[1]), metrics


class _Method(NamedTuple):
    """One method: its game, what its strength is, which values of it are tried, and D's updates per step."""

    loss: Loss
    kind: str = "none"
    strengths: tuple[float, ...] = (0.0,)
    n_critic: int = 1


_WEIGHTS = (0.1, 1.0, 10.0)
_CLIPS = (0.03, 0.1, 0.3)
METHODS = {
    "minimax": _Method(losses.minimax()),
    "non-saturating": _Method(losses.non_saturating()),
    "WGAN": _Method(losses.wasserstein(), "clip", _CLIPS),
    "WGAN, 5 critic steps": _Method(losses.wasserstein(), "clip", _CLIPS, 5),
    "WGAN-GP": _Method(losses.wasserstein(), "wgan_gp", _WEIGHTS),
    "WGAN-GP, 5 critic steps": _Method(losses.wasserstein(), "wgan_gp", _WEIGHTS, 5),
    "DRAGAN": _Method(losses.non_saturating(), "dragan", _WEIGHTS),
    "instance noise": _Method(losses.non_saturating(), "noise", (0.1, 0.3, 1.0)),
    "consensus": _Method(losses.non_saturating(), "consensus", _WEIGHTS),
    "R1": _Method(losses.non_saturating(), "r1", _WEIGHTS),
    "R2": _Method(losses.non_saturating(), "r2", _WEIGHTS),
    "relativistic + R1 + R2": _Method(losses.relativistic_pairing(), "r1 + r2", _WEIGHTS),
}

_RATES = {0.0: (0.01, 0.03, 0.1), 1.0: (3e-4, 1e-3, 3e-3)}
"""Learning rates of SGD, and of RMSProp, whose steps are longer."""


def settings(name: str) -> list[Numbers]:
    """What is searched for a method: two optimizers, three rates of each, and its strengths."""
    return [
        {"rms": rms, "rate": rate, "strength": strength}
        for rms, rates in _RATES.items()
        for rate, strength in itertools.product(rates, METHODS[name].strengths)
    ]


@functools.cache
def maker(name: str) -> planar.MakeGAN:
    """The GAN of a method from a member's numbers."""
    return functools.partial(_made, METHODS[name])


def _made(method: _Method, numbers: Mapping[str, Any]) -> GAN:
    rate, rms, strength = (numbers[key] for key in ("rate", "rms", "strength"))
    optimizer = planar.sgd_or_rmsprop(rate, rms)
    clipped = optax.chain(optimizer, clip_params(strength)) if method.kind == "clip" else optimizer
    critic: nn.Module = mlp.Discriminator((_WIDTH,) * 3, heads.Logit())
    fields: dict[str, Any] = {
        "generator": mlp.Generator((2,), (_WIDTH,) * 3, output=None),
        "discriminator": Noisy(critic, strength) if method.kind == "noise" else critic,
        "loss": method.loss,
        "g_optimizer": optimizer,
        "d_optimizer": clipped,
        "prior": priors.normal(_LATENT),
        "n_critic": method.n_critic,
        "penalty": _penalty(method.kind, strength),
    }
    return Consensus(**fields, gamma=strength) if method.kind == "consensus" else GAN(**fields)


def _penalty(kind: str, weight: Scalar) -> Penalty:
    if kind == "r1 + r2":
        return penalties.total(penalties.r1(weight), penalties.r2(weight))
    return penalties.PENALTIES[kind](weight) if kind in penalties.PENALTIES else penalties.none


def _gaussian(rng: np.random.Generator, n: int) -> Float32[np.ndarray, "n 2"]:
    return rng.standard_normal((n, 2), dtype=np.float32)


def _line(rng: np.random.Generator, n: int) -> Float32[np.ndarray, "n 2"]:
    return np.stack([rng.uniform(-1, 1, n), np.zeros(n)], axis=1).astype(np.float32)


def _circle(rng: np.random.Generator, n: int) -> Float32[np.ndarray, "n 2"]:
    angles = rng.uniform(0, 2 * np.pi, n)
    return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)


def _four_lines(rng: np.random.Generator, n: int) -> Float32[np.ndarray, "n 2"]:
    heights = np.array([-1, -1 / 3, 1 / 3, 1])[rng.integers(4, size=n)]
    return np.stack([rng.uniform(-1, 1, n), heights], axis=1).astype(np.float32)


TARGETS: Mapping[str, Draw] = {"gaussian": _gaussian, "line": _line, "circle": _circle, "four lines": _four_lines}

_BUDGETS: Mapping[Budget, tuple[Protocol, int]] = {
    "small": (Protocol(20, 16, 2, 2, 20, 20), 2),
    "full": (Protocol(4_000, 64, 10, 2, 500, 500), 10),
    "paper": (Protocol(50_000, 64, 10, 5, 500, 500), 10),
}
_SOURCE = "Mescheder et al. 2018, sections 2 to 4 and appendix"


def table(budget: Budget) -> Table:
    """The distance to the target at the end, of every method's best setting and of the one in the middle."""
    protocol, count = _BUDGETS[budget]
    seeds, record = range(count), dataclasses.asdict(protocol)
    rows = [
        Row("real points", {"samples": protocol.samples}, functools.partial(_measure_real, protocol), seeds, count),
        Row("untrained", record, functools.partial(_measure_untrained, protocol), seeds, count),
    ]
    for name, method in METHODS.items():
        own = record | {"width": _WIDTH, "strengths": method.strengths, "rates": list(_RATES.values())}
        rows.append(Row(name, own, functools.partial(_measure, name, protocol), seeds, count))
    columns = {f"{target}_{which}": Column(f"{target}, {which}", 3) for target in TARGETS for which in _WHICH}
    columns |= {
        "reached": Column("% of settings near the floor", 0),
        "diverged": Column("% diverged", 0),
        "moved": Column("best still moves", 3),
        "runs": Column("runs of one program", 0),
        "per_minute": Column("per minute", 0),
    }
    doubtful = {"reached": "does not always converge"}
    published = [
        Published("unregularised, WGAN, WGAN-GP", _SOURCE, doubtful),
        Published("instance noise, R1, R2, consensus", _SOURCE, {"reached": "converges (locally)"}),
    ]
    return Table("Which methods converge in the plane", _note(budget), columns, published, rows, _plot)


_WHICH = ("best", "median")
_NEAR = 2.0


def _note(budget: Budget) -> str:
    protocol, count = _BUDGETS[budget]
    return (
        f"Exact Wasserstein-1 distance (assignment) between {protocol.samples} generated points and as many real ones "
        f"after {protocol.steps:,} generator updates with minibatches of {protocol.batch_size}, lower is better. `real "
        "points` is the floor: two real samples of that size. `untrained` is where all methods begin. Targets: a "
        "standard normal; a segment of length 2; the unit circle; four parallel segments of length 2, two thirds "
        f"apart. G: z normal in the plane, three layers of {_WIDTH} ReLUs; D: three of {_WIDTH} leaky ReLUs.\n\n"
        "Each method is searched, on every target apart, over SGD (rates .01, .03, .1) and RMSProp (3e-4, 1e-3, "
        "3e-3), the same for both players, and three strengths: clip .03, .1, .3; weight of the penalty or of "
        "consensus .1, 1, 10; standard deviation of the instance noise .1, .3, 1. Minimax and non-saturating have "
        f"none, and so 6 settings in place of 18. Settings are compared by their mean on {protocol.search_seeds} seeds "
        f"(a seed that becomes non-finite counts as infinitely far); the best one and the one in the middle of the "
        f"order are trained again from {count} other seeds, whose numbers these are. `% of settings near the floor` is "
        f"of the search, over all targets: those whose mean is below {_NEAR:g} times the floor. `% diverged` are those "
        "with a seed that became non-finite. `best still moves` is the mean distance by which the points of fixed "
        "latents moved in the last tenth of the training of the best setting, the mean over targets: zero where "
        "training has converged. `runs of one program`: on a CPU those of the search alone, on an accelerator all "
        "settings with all seeds; `per minute` includes its compilation.\n\n"
        "Where we differ from the source: it publishes pictures of bars and no numbers, so there is nothing to repeat "
        "to a digit; targets, networks, rates and strengths are ours, and DRAGAN and the relativistic loss are new "
        "here. All methods but minimax and the three Wasserstein games have the non-saturating loss; consensus moves "
        "both players at once, the others D first."
    )


def _measure_real(protocol: Protocol, seeds: Sequence[int]) -> list[Outcome]:
    return _of_targets(planar.floor(TARGETS, seeds, protocol.samples))


def _measure_untrained(protocol: Protocol, seeds: Sequence[int]) -> list[Outcome]:
    name, short = next(iter(METHODS)), dataclasses.replace(protocol, steps=1, stops=1)
    found = planar.explore(maker(name), settings(name)[:1], TARGETS, seeds, short, planar.best)
    return _of_targets(planar.distances(found.samples[:, :, :, :1], seeds, TARGETS)[:, 0, :, 0])


def _of_targets(found: np.ndarray) -> list[Outcome]:
    return [Outcome({f"{target}_best": value for target, value in zip(TARGETS, row, strict=True)}) for row in found.T]


def _measure(name: str, protocol: Protocol, seeds: Sequence[int]) -> list[Outcome]:
    tried = settings(name)
    found = planar.explore(maker(name), tried, TARGETS, seeds, protocol, planar.best_and_median)
    # The best one's along training, the median one's at the end.
    best = planar.distances(found.samples[:, :1], seeds, TARGETS)[:, 0]
    median = planar.distances(found.samples[:, 1:, :, -1:], seeds, TARGETS)[:, 0, :, 0]
    moved = np.linalg.norm(found.samples[:, 0, :, -1] - found.samples[:, 0, :, -2], axis=-1).mean(axis=(0, 2))
    outcomes = []
    for s in range(len(seeds)):
        numbers = {"moved": float(moved[s])}
        for k, target in enumerate(TARGETS):
            numbers |= {f"{target}_best": float(best[k, s, -1]), f"{target}_median": float(median[k, s])}
        curves = {target: planar.until_non_finite(best[k, s]) for k, target in enumerate(TARGETS)}
        outcomes.append(Outcome(numbers, curves))
    # What the search found belongs to none of these seeds, and is said once.
    floors = planar.floor(TARGETS, seeds, protocol.search_samples).mean(axis=1, keepdims=True)
    numbers = {
        "reached": 100 * float((found.scores < _NEAR * floors).mean()),
        "diverged": 100 * float(np.isinf(found.scores).mean()),
        "runs": found.runs,
        "per_minute": 60 * found.runs / found.seconds,
    }
    curves = {f"{target}, search": planar.until_non_finite(sorted(found.scores[k])) for k, target in enumerate(TARGETS)}
    for k, target in enumerate(TARGETS):
        for which, i in zip(_WHICH, found.chosen[k], strict=True):
            curves[f"{target}, {which}: {', '.join(tried[i])}"] = list(tried[i].values())
    picture = planar.picture(found.samples[:, 0, 0], TARGETS)
    outcomes[0] = Outcome({**outcomes[0].numbers, **numbers}, {**outcomes[0].curves, **curves}, picture)
    return outcomes


def _plot(rows: Mapping[str, Sequence[Record]], file: Path) -> None:
    """Above each target's distances, of all settings and of the chosen ones; below those of the best along training."""
    names = [name for name in METHODS if rows.get(name)]
    with style.applied("readme"):
        figure = style.figure(13.0, 7.6)
        axes = figure.subplots(2, len(TARGETS), sharey="row", height_ratios=(1.3, 1))
        for column, target in enumerate(TARGETS):
            above, below = axes[:, column]
            for name, dashes in (("real points", ":"), ("untrained", "--")):
                level = _middle(rows.get(name, []), f"{target}_best")
                if level is not None:
                    above.axvline(level, color="black", linestyle=dashes, linewidth=0.7)
                    below.axhline(level, color="black", linestyle=dashes, linewidth=0.7)
            for place, name in enumerate(names):
                scores = np.minimum(rows[name][0]["curves"].get(f"{target}, search", []), _LIMITS[1])
                above.plot(scores, [place] * len(scores), "|", color=style.PALE, markersize=6, linewidth=0.6)
                for which, marker, color in zip(_WHICH, "os", style.COLORS, strict=False):
                    values = _values(rows[name], f"{target}_{which}")
                    if values:
                        ends = intervals.interval(values) if len(values) > 1 else values * 2
                        above.plot(np.minimum(ends, _LIMITS[1]), [place] * 2, color=color)
                        middle = min(intervals.interquartile_mean(values), _LIMITS[1])
                        above.plot(middle, place, marker, color=color, label=which if place == 0 else None)
                curves = [result["curves"][target] for result in rows[name]]
                whole = [curve for curve in curves if len(curve) == max(map(len, curves))]
                means = [intervals.interquartile_mean(values) for values in zip(*whole, strict=True)]
                below.plot(np.linspace(0, 1, len(means)), means, label=name, linewidth=0.9, **style.line(place))
            style.set_logarithmic(above, "x", _LIMITS)
            style.set_logarithmic(below, "y", _LIMITS)
            above.set(title=target, xlabel="W1 at the end", xlim=_LIMITS, ylim=(max(len(names), 1) - 0.5, -0.5))
            above.set_yticks(range(len(names)), names)
            below.set(xlabel="share of the training, best setting", ylim=_LIMITS)
        axes[1, 0].set_ylabel("W1")
        if names:
            axes[0, -1].legend(loc="lower right")
            figure.legend(*axes[1, 0].get_legend_handles_labels(), loc="outside lower center", ncols=6)
        style.save(figure, file)


_LIMITS = (0.04, 1.9)
"""What is farther than the last is drawn there."""


def _values(results: Sequence[Record], key: str) -> list[float]:
    found = [result["numbers"].get(key) for result in results]
    return [value for value in found if value is not None]


def _middle(results: Sequence[Record], key: str) -> float | None:
    values = _values(results, key)
    return intervals.interquartile_mean(values) if values else None
