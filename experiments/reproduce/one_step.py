"""GANs as one-step generators in the plane: what do objectives, priors and nets cover?

Ring and grid as in `points`, a hundred Gaussians and a spiral, all scaled to a standard deviation of 1. Old and new
objectives on the same nets; then, with the newest objective and a discriminator that resolves narrow modes, another
prior or a generator that may jump.

A continuous generator maps a connected prior to a connected set, so some samples must lie between modes (Tanielian et
al. 2020, arXiv:2006.04596). That bounds quality, not the number of modes.
"""

import dataclasses
import functools
import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Float32

from experiments.reproduce import intervals, planar
from experiments.reproduce import table as tables
from experiments.reproduce.planar import Draw, Numbers, Protocol
from experiments.reproduce.points import Sines, Steps
from experiments.reproduce.table import Budget, Column, Outcome, Published, Record, Row, Table
from gan_jax import losses, penalties, priors, schedules
from gan_jax.data import toys
from gan_jax.data.toys import Mixture
from gan_jax.gan import GAN
from gan_jax.lab import style
from gan_jax.losses import Loss
from gan_jax.metrics import modes
from gan_jax.metrics.prdc import prdc
from gan_jax.nets import heads, mlp
from gan_jax.transforms import clip_params, scheduled
from gan_jax.typing import Key, Latents


def _hundred() -> Mixture:
    ticks = np.arange(-9, 10, 2)
    return Mixture(np.stack(np.meshgrid(ticks, ticks, indexing="ij"), -1).reshape(-1, 2).astype(np.float32), 0.05)


def _spiral() -> Mixture:
    """200 arcs of equal length of two turns of r = angle / 4 pi, closer together than they are wide: a curve."""
    angles = np.linspace(0, 4 * np.pi, 100_001)
    length = np.concatenate([[0], np.cumsum(np.hypot(1, angles[1:]) * np.diff(angles))])
    centres = np.interp((np.arange(200) + 0.5) / 200, length / length[-1], angles)
    points = np.stack([np.cos(centres), np.sin(centres)], axis=1) * centres[:, None] / (4 * np.pi)
    return Mixture(points.astype(np.float32), 0.02)


MIXTURES: Mapping[str, Mixture] = {
    "ring": toys.RING,
    "grid": toys.GRID,
    "100 Gaussians": _hundred(),
    "spiral": _spiral(),
}


def scale(mixture: Mixture) -> float:
    """The standard deviation of a mixture's coordinates, which its points are divided by."""
    return float(np.sqrt(mixture.centres.var(axis=0).mean() + mixture.sigma**2))


def _draw(mixture: Mixture, rng: np.random.Generator, n: int) -> Float32[np.ndarray, "n 2"]:
    centres = mixture.centres[rng.integers(len(mixture.centres), size=n)]
    points = centres + np.float32(mixture.sigma) * rng.standard_normal((n, 2), dtype=np.float32)
    return points / np.float32(scale(mixture))


TARGETS: Mapping[str, Draw] = {name: functools.partial(_draw, mixture) for name, mixture in MIXTURES.items()}


def clusters(count: int = 128, sigma: float = 0.02) -> priors.Prior:
    """A prior in as many narrow round clusters, at fixed places drawn from N(0, I) in the plane, `[n, 2]`."""
    return functools.partial(_clusters, count, sigma)


def _clusters(count: int, sigma: float, rng: Key, n: int) -> Latents:
    which, where = jax.random.split(rng)
    places = jax.random.normal(jax.random.key(0), (count, 2))
    return places[jax.random.randint(which, (n,), 0, count)] + sigma * jax.random.normal(where, (n, 2))


class _Method(NamedTuple):
    """One row: the game, what its strength is and which values are tried, and what differs in prior and nets."""

    loss: Loss
    kind: str = "none"
    strengths: tuple[float, ...] = (0.0,)
    n_critic: int = 1
    prior: priors.Prior = priors.normal(2)
    sines: bool = False
    steps: bool = False


_R3GAN = _Method(losses.relativistic_pairing(), "r1 + r2", (0.01, 0.1))
_SINES = _R3GAN._replace(sines=True)
METHODS = {
    "GAN": _Method(losses.non_saturating()),
    "WGAN": _Method(losses.wasserstein(), "clip", (0.05, 0.1), 5),
    "WGAN-GP": _Method(losses.wasserstein(), "wgan_gp", (0.1, 1.0), 5),
    "GAN + R1": _Method(losses.non_saturating(), "r1", (0.01, 0.1)),
    "R3GAN": _R3GAN,
    "R3GAN, z of 32": _R3GAN._replace(prior=priors.normal(32)),
    "R3GAN, sines": _SINES,
    "R3GAN, sines, uniform z": _SINES._replace(prior=priors.uniform(2)),
    "R3GAN, sines, z of 32": _SINES._replace(prior=priors.normal(32)),
    "R3GAN, sines, z in clusters": _SINES._replace(prior=clusters()),
    "R3GAN, sines, steps": _SINES._replace(steps=True),
}

_RATES = (3e-4, 1e-3)


def settings(name: str) -> list[Numbers]:
    """What is searched for a method: learning rates, and its strengths."""
    method = METHODS[name]
    rates = _RATES if method.kind != "none" else (1e-4, 3e-4, 1e-3, 3e-3)
    return [{"rate": rate, "strength": strength} for rate, strength in itertools.product(rates, method.strengths)]


@functools.cache
def maker(name: str, width: int, steps: int) -> planar.MakeGAN:
    """The GAN of a method from a member's numbers, with nets of this width, whose rates fall over so many steps."""
    return functools.partial(_made, METHODS[name], width, steps)


def _made(method: _Method, width: int, steps: int, numbers: Mapping[str, Any]) -> GAN:
    rate, strength = numbers["rate"], numbers["strength"]
    falling, weight = (schedules.cosine(value, 0.01 * value, steps=steps) for value in (rate, strength))
    optimizer = scheduled(_adam, falling)
    clipped = optax.chain(scheduled(_rmsprop, falling), clip_params(strength))
    generator: Any = mlp.Generator((2,), (width,) * 4, output=None)
    discriminator: Any = mlp.Discriminator((width,) * 3, heads.Logit())
    kinds = {"wgan_gp": penalties.wgan_gp(strength), "r1": penalties.r1(weight)}
    kinds["r1 + r2"] = penalties.total(penalties.r1(weight), penalties.r2(weight))
    return GAN(
        generator=Steps(generator) if method.steps else generator,
        discriminator=Sines(discriminator, 6.0) if method.sines else discriminator,
        loss=method.loss,
        g_optimizer=scheduled(_rmsprop, falling) if method.kind == "clip" else optimizer,
        d_optimizer=clipped if method.kind == "clip" else optimizer,
        prior=method.prior,
        n_critic=method.n_critic,
        penalty=kinds.get(method.kind, penalties.none),
    )


def _adam(rate: Any) -> optax.GradientTransformation:
    return optax.adam(rate, b1=0.5, b2=0.99)


def _rmsprop(rate: Any) -> optax.GradientTransformation:
    return optax.rmsprop(rate, decay=0.99, eps=1e-8, eps_in_sqrt=False)


class _Budget(NamedTuple):
    protocol: Protocol
    width: int
    seeds: int
    near: int  # Points of which distances and coverage are computed.


_BUDGETS: Mapping[Budget, _Budget] = {
    "small": _Budget(Protocol(10, 16, 2, 1, 20, 40), 8, 2, 20),
    "full": _Budget(Protocol(8_000, 128, 5, 2, 500, 2500), 64, 10, 1000),
    "paper": _Budget(Protocol(100_000, 256, 5, 2, 500, 2500), 128, 10, 1000),
}


def table(budget: Budget) -> Table:
    """Modes, quality, distance and coverage on four targets."""
    chosen = _BUDGETS[budget]
    seeds = range(chosen.seeds)
    record = dataclasses.asdict(chosen.protocol) | {"width": chosen.width, "near": chosen.near}
    rows = []
    for target in MIXTURES:
        real = functools.partial(_measure_real, chosen, target)
        rows.append(Row(_row(_REAL, target), {"near": chosen.near}, real, seeds, chosen.seeds))
    for name in _rows(budget):
        own = record | {"settings": [list(one.values()) for one in settings(name)]}
        # On an accelerator all targets are one program, and the first row's measurement is that of all four.
        runs = functools.cache(functools.partial(_explored, name, chosen))
        for target in MIXTURES:
            measure = functools.partial(_measure, runs, chosen, target)
            rows.append(Row(_row(name, target), own, measure, seeds, chosen.seeds))
    return Table("GANs as one-step generators in the plane", _note(budget), _COLUMNS, [], rows, _plot, _body)


def _rows(budget: Budget) -> list[str]:
    """The methods of a budget: all of them are too many for a CPU's."""
    return list(METHODS) if budget == "paper" else [name for name in METHODS if name in _FEW]


_FEW = ("GAN", "R3GAN", "R3GAN, sines", "R3GAN, sines, z in clusters", "R3GAN, sines, steps")


_REAL = "real points"
_SHOWN = "100 Gaussians", "spiral"
_COLUMNS = {
    "modes": Column("modes", 1),
    "high_quality": Column("% high quality", 1),
    "kl": Column("reverse KL", 3),
    "sigma_ratio": Column("sigma ratio", 2),
    "distance": Column("W1", 3),
    "coverage": Column("coverage", 3),
}
_PUBLISHED = {
    "ring": [
        Published("GAN", "Lin et al. 2018, table 1", {"modes": "6.3 ± 0.5", "high_quality": "98.2", "kl": ".45"}),
        Published("PacGAN4", "Lin et al. 2018, table 1", {"modes": "7.8 ± 0.1", "high_quality": "95.9", "kl": ".07"}),
    ],
    "grid": [
        Published("GAN", "Lin et al. 2018, table 1", {"modes": "17.3 ± 0.8", "high_quality": "94.8", "kl": ".70"}),
        Published("PacGAN4", "Lin et al. 2018, table 1", {"modes": "24.8 ± 0.2", "high_quality": "93.6", "kl": ".04"}),
    ],
}


def _row(name: str, target: str) -> str:
    return f"{target}: {name}"


def _note(budget: Budget) -> str:
    chosen = _BUDGETS[budget]
    protocol = chosen.protocol
    more = (
        " WGAN has RMSProp; it and WGAN-GP update D five times per step."
        if budget == "paper"
        else " WGAN, WGAN-GP, R1 alone, and priors of 32 dimensions or uniform are rows of `--budget paper` alone."
    )
    return (
        "Interquartile mean over seeds and its 95 % bootstrap interval (Agarwal et al. 2021, arXiv:2108.13264).\n\n"
        f"{protocol.samples:,} samples of each seed after {protocol.steps:,} generator updates with minibatches of "
        f"{protocol.batch_size}. Modes, quality, reverse KL and sigma ratio as in PacGAN's protocol (Lin et al. 2018, "
        "arXiv:1712.04086): high quality is within three sigma of the nearest mode, and a mode counts with one such "
        f"sample. W1 is the exact distance (assignment) of {chosen.near:,} samples to as many real points, coverage "
        "the share of these real points whose ball to the fifth real neighbour holds a sample (Naeem et al. 2020, "
        "arXiv:2002.09797). `real points` is what other real points get: no method can be expected to do better. "
        "Targets: eight modes (sigma .01) on the unit circle; 25 and 100 modes (sigma .05) 2 apart on a square; 200 "
        "arcs (sigma .02) of a spiral of two turns and radius 1, where a mode is an arc and quality means lying on the "
        "curve. All are divided by their standard deviation, and W1 is in that unit.\n\n"
        f"G: four layers of {chosen.width} ReLUs, z normal in the plane unless the row says otherwise. D: three of "
        f"{chosen.width} leaky ReLUs; with sines it sees 64 sines of the point beside it, whose frequencies are "
        "learned. With steps G sees beside z the sides of 64 random lines on which z lies, so it may jump. Adam "
        "(b1 .5, b2 .99); rates and the weights of R1 and R2 fall along a cosine to a hundredth. `GAN` is the "
        f"non-saturating loss, `R3GAN` the relativistic pairing loss with R1 and R2. Clusters of z: 128 of them, "
        f"sigma .02, at fixed random places of the plane.{more}\n\n"
        "Each method is searched on every target over four settings of rate and strength on "
        f"{protocol.search_seeds} seeds by W1 of {protocol.search_samples}; the best one is trained again from "
        f"{chosen.seeds} other seeds, whose numbers these are. Published rows have other "
        "nets, batches and lengths (400,000 updates)."
    )


def _body(rows: Mapping[str, Record]) -> str:
    """One table for each target."""
    parts = []
    for target in MIXTURES:
        own = {name: rows[_row(name, target)] for name in (_REAL, *METHODS) if _row(name, target) in rows}
        columns = {key: column for key, column in _COLUMNS.items() if target != "spiral" or key != "sigma_ratio"}
        part = Table(target, "", columns, _PUBLISHED.get(target, []), [])
        parts.append(f"## {target[0].upper()}{target[1:]}\n\n{tables.lines(part, {'rows': own})}")
    return "\n\n".join(parts)


def _explored(name: str, chosen: _Budget, seeds: tuple[int, ...], targets: tuple[str, ...]) -> planar.Found:
    make, drawn = maker(name, chosen.width, chosen.protocol.steps), {target: TARGETS[target] for target in targets}
    return planar.explore(make, settings(name), drawn, seeds, chosen.protocol, planar.best)


def _measure(runs: Any, chosen: _Budget, target: str, seeds: Sequence[int]) -> list[Outcome]:
    targets = tuple(MIXTURES) if planar.vectorised() else (target,)
    found, place = runs(tuple(seeds), targets), targets.index(target)
    tried = {"search": planar.until_non_finite(found.scores[place]), "chosen": [float(found.chosen[place, 0])]}
    tried["runs of one program, seconds"] = [found.runs, found.seconds]
    samples = found.samples[place, 0]
    outcomes = [_outcome(chosen, target, seed, samples[s]) for s, seed in enumerate(seeds)]
    picture = planar.picture(samples[0][None], {target: TARGETS[target]}) if target in _SHOWN else None
    outcomes[0] = Outcome(outcomes[0].numbers, {**outcomes[0].curves, **tried}, picture)
    return outcomes


def _measure_real(chosen: _Budget, target: str, seeds: Sequence[int]) -> list[Outcome]:
    draws = [TARGETS[target](np.random.default_rng([2, seed]), chosen.protocol.samples) for seed in seeds]
    return [_outcome(chosen, target, seed, draw[None]) for seed, draw in zip(seeds, draws, strict=True)]


def _outcome(chosen: _Budget, target: str, seed: int, samples: Float32[np.ndarray, "stops n 2"]) -> Outcome:
    """A seed's numbers at the end, and the modes that it had along training."""
    mixture, one = MIXTURES[target], {target: TARGETS[target]}
    along = [
        {key: float(value) for key, value in modes.quality(jnp.asarray(x * scale(mixture)), mixture)._asdict().items()}
        for x in samples
    ]
    numbers = along[-1]
    numbers["high_quality"] *= 100
    near = samples[-1][: chosen.near]
    real = planar.references(one, seed, chosen.near)[0]
    numbers["coverage"] = float(_coverage(jnp.asarray(real), jnp.asarray(near)))
    numbers["distance"] = float(planar.distances(near[None, None, None, None], [seed], one)[0, 0, 0, 0])
    return Outcome(numbers, {"modes": planar.until_non_finite([each["modes"] for each in along])})


@jax.jit
def _coverage(real: jax.Array, fake: jax.Array) -> jax.Array:
    return prdc(real, fake).coverage


def _plot(rows: Mapping[str, Sequence[Record]], file: Path) -> None:
    """Modes, quality and distance of every method on every target, with intervals."""
    shown = {"modes": "% of modes", "high_quality": "% high quality", "distance": "W1"}
    names = [name for name in (_REAL, *METHODS) if any(rows.get(_row(name, target)) for target in MIXTURES)]
    with style.applied("readme"):
        figure = style.figure(13.0, 0.6 + 3.2 * len(shown) * (len(names) + 4) / 16)
        axes = figure.subplots(len(shown), len(MIXTURES), sharex="row", sharey=True, squeeze=False)
        for column, (target, mixture) in enumerate(MIXTURES.items()):
            for one, (key, heading) in zip(axes[:, column], shown.items(), strict=True):
                factor = 100 / len(mixture.centres) if key == "modes" else 1
                for place, name in enumerate(names):
                    found = [result["numbers"][key] for result in rows.get(_row(name, target), [])]
                    values = [factor * value for value in found if value is not None]
                    if values:
                        color = "black" if name == _REAL else style.COLORS[0]
                        ends = intervals.interval(values) if len(values) > 1 else values * 2
                        one.plot(ends, [place] * 2, color=color)
                        one.plot(intervals.interquartile_mean(values), place, "o", color=color)
                one.set(xlabel=heading, ylim=(max(len(names), 1) - 0.5, -0.5))
                if key != "distance":
                    one.set_xlim(0, 103)
                one.set_yticks(range(len(names)), names)
                if key == "distance":
                    style.set_logarithmic(one, "x", [0.05, 1.0])
            axes[0, column].set_title(target)
        style.save(figure, file)
