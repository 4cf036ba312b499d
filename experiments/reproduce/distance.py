"""Does a critic estimate the Wasserstein distance? Its estimate against the exact distance of the same samples.

After Mallasto et al. 2019 (arXiv:1910.04427) and Stanczuk et al. 2021 (arXiv:2103.01678). A run is stopped at regular
intervals. There 512 points of the test set and 512 samples are given to the critic, whose estimate on them stands
beside their exact 1-Wasserstein distance, which is the cost of the best assignment. The same is done on the eight
minibatches of 64 into which they divide.

Four ways to keep a critic near 1-Lipschitz: clipped weights, the gradient penalty, spectral normalisation, and none,
with the c-transform in place of the critic on generated samples. The penalty's critic has 1, 5 or 20 updates per
generator update, and one of two weights.
"""

import dataclasses
import functools
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import scipy.stats
from flax import linen as nn
from jaxtyping import Array, Float
from scipy.cluster.vq import kmeans2

from experiments.reproduce import images, intervals, seeds, transport
from experiments.reproduce import table as tables
from experiments.reproduce.seeds import settings
from experiments.reproduce.table import Budget, Column, Outcome, Published, Record, Row, Table
from gan_jax import data, losses, penalties, priors
from gan_jax.data import Dataset, toys
from gan_jax.gan import GAN, GANState
from gan_jax.lab import Config, Experiment, style
from gan_jax.lab.experiment import config
from gan_jax.losses import Loss
from gan_jax.metrics import modes
from gan_jax.nets import heads, mlp
from gan_jax.recipes.builders import Fields, adam, are_points, clipped_rmsprop
from gan_jax.training import from_uint8
from gan_jax.typing import Condition, Count, Data, Logits, Positive, Rate, Scalar, Shape, Weight, Width

_SAMPLES, _PART = 512, 64
_STOPS = 20
_STEPS = 75 * _STOPS
_CENTRES = 256
_SEEDS = {"ring": 4, "grid": 3, "mnist": 3}
_PAPER_SEEDS, _PAPER_STEPS = 10, 10 * _STEPS


class WithPoints(nn.Module):
    """A critic that returns its input beside its value, as `[B, 1, 1 + D]`: the c-transform needs distances.

    Attributes:
      net: `(x, y, train) -> values [B]`.
    """

    net: nn.Module

    @nn.compact
    def __call__(self, x: Data, y: Condition, train: bool) -> Float[Array, "batch 1 columns"]:
        values = self.net(x, y, train)
        return jnp.concatenate([values[:, None], x.reshape(len(x), -1)], axis=1)[:, None]


def _values(outputs: Float[Array, "batch 1 columns"]) -> Logits:
    return outputs[:, 0, 0]


def _transformed(real: Float[Array, "batch 1 columns"], fake: Float[Array, "batch 1 columns"]) -> Logits:
    """The c-transform of the critic f over the minibatch, at every generated y: min over real x of |x - y| - f(x)."""
    x, y = real[:, 0, 1:], fake[:, 0, 1:]
    squared = jnp.sum(x**2, axis=1)[:, None] + jnp.sum(y**2, axis=1)[None] - 2 * x @ y.T
    far = squared > 1e-12  # The root's gradient at 0 is infinite.
    distances = jnp.where(far, jnp.sqrt(jnp.where(far, squared, 1.0)), 0.0)
    return jnp.min(distances - _values(real)[:, None], axis=0)


def _c_transform_d(real: Logits, fake: Logits) -> Scalar:
    return -(jnp.mean(_values(real)) + jnp.mean(_transformed(real, fake)))


def _c_transform_g(real: Logits, fake: Logits) -> Scalar:
    return jnp.mean(_transformed(real, fake))


def c_transform() -> Loss:
    """The c-transform game (Mallasto et al. 2019, arXiv:1910.04427): the semi-dual of optimal transport on minibatches.

    Of outputs of `WithPoints`. D maximises E f(x) + E f^c(G(z)) with f^c(y) = min over the minibatch's x of
    |x - y| - f(x), a lower bound of the distance of the two minibatches whatever f is; G minimises the same.
    """
    return Loss(d=_c_transform_d, g=_c_transform_g, score=_values, shown=("estimate",))


def _nets(shape: Shape, width: int, *, spectral_norm: bool = False) -> Fields:
    """G: four layers of ReLUs for points, two for images; D: three or two of leaky ReLUs. All else is shared too."""
    points = are_points(shape)
    output: Fields = {"output": None} if points else {}
    head = heads.Logit(spectral_norm=spectral_norm)
    return {
        "generator": mlp.Generator(shape, (width,) * (4 if points else 2), **output),
        "discriminator": mlp.Discriminator((width,) * (3 if points else 2), head, spectral_norm=spectral_norm),
        "loss": losses.wasserstein(),
        "prior": priors.normal(2 if points else 32),
        "data_range": (0.0, 1.0),
    }


def clip(
    shape: Shape,
    num_classes: int = 0,
    *,
    lr: Rate = 5e-4,
    clip: Positive = 0.05,
    n_critic: Count = 5,
    width: Width = 64,
) -> GAN:
    """Clipped weights (Arjovsky et al. 2017, arXiv:1701.07875): Lipschitz with an unknown constant."""
    return GAN(**_nets(shape, width), **clipped_rmsprop(lr, lr, clip), n_critic=n_critic)


def penalty(
    shape: Shape,
    num_classes: int = 0,
    *,
    lr: Rate = 5e-4,
    weight: Weight = 10.0,
    n_critic: Count = 5,
    width: Width = 64,
) -> GAN:
    """The gradient penalty (Gulrajani et al. 2017, arXiv:1704.00028): norms of gradients pushed towards 1."""
    optimizers = adam(lr, lr, 0.0, 0.9)
    return GAN(**_nets(shape, width), **optimizers, n_critic=n_critic, penalty=penalties.wgan_gp(weight))


def spectral(shape: Shape, num_classes: int = 0, *, lr: Rate = 5e-4, n_critic: Count = 5, width: Width = 64) -> GAN:
    """Spectral normalisation (Miyato et al. 2018, arXiv:1802.05957) of every weight, with Wasserstein's loss."""
    return GAN(**_nets(shape, width, spectral_norm=True), **adam(lr, lr, 0.0, 0.9), n_critic=n_critic)


def transform(shape: Shape, num_classes: int = 0, *, lr: Rate = 5e-4, n_critic: Count = 5, width: Width = 64) -> GAN:
    """`c_transform`, with a critic that nothing constrains."""
    gan = GAN(**_nets(shape, width), **adam(lr, lr, 0.0, 0.9), n_critic=n_critic)
    return gan.replace(loss=c_transform(), discriminator=WithPoints(gan.discriminator))


_EXPERIMENTS = {
    recipe.__name__: Experiment(recipe, steps=_STEPS, batch_size=_PART)
    for recipe in (clip, penalty, spectral, transform)
}
_METHODS: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "clip": ("clip", {}),
    "penalty": ("penalty", {}),
    "c-transform": ("transform", {}),
    "spectral norm": ("spectral", {}),
    "penalty, other weight": ("penalty", {}),
    "penalty, 1 update": ("penalty", {"n_critic": 1}),
    "penalty, 20 updates": ("penalty", {"n_critic": 20}),
}
_WEIGHTS = {True: 0.1, False: 10.0}
"""Of the gradient penalty, for points and for images: the authors' own. The other weight is that of the other kind."""


def configured(name: str, method: str) -> Config:
    """How a method learns one kind of data."""
    recipe, options = _METHODS[method]
    if recipe == "penalty":
        points = name in toys.MIXTURES
        options = {**options, "weight": _WEIGHTS[points != method.endswith("other weight")]}
    return config(_EXPERIMENTS, recipe, dict(options))


def methods(name: str, budget: Budget) -> list[str]:
    """The critics of one kind of data: other penalties and numbers of updates on the ring alone, but by "paper"."""
    return list(_METHODS) if name == "ring" or budget == "paper" else list(_METHODS)[:4]


def table(budget: Budget) -> Table:
    """The estimate of critics on three kinds of data, beside the truth, and what they are good for.

    "paper" has all critics on all data, ten seeds and ten times the steps.
    """
    rows = []
    for name, count in _SEEDS.items():
        count = {"full": count, "small": 2, "paper": _PAPER_SEEDS}[budget]
        rows.append(
            Row(f"{name}: real", {"samples": _SAMPLES}, functools.partial(_measure_real, name), range(count), 1)
        )
        if name == "mnist":
            record = {"samples": _SAMPLES, "centres": _CENTRES}
            rows.append(Row("mnist: k-means", record, _measure_centres, range(count), 1))
        for method in methods(name, budget):
            chosen, stops = configured(name, method), _STOPS
            if budget == "small":
                chosen, stops = chosen.replace(steps=8, width=8), 4
            elif budget == "paper":
                chosen = chosen.replace(steps=_PAPER_STEPS)
            record = settings(chosen) | {"stops": stops, "samples": _SAMPLES, "part": _PART}
            transformed = _METHODS[method][0] == "transform"
            measure = functools.partial(_measure, name, transformed, chosen, stops)
            rows.append(Row(f"{name}: {method}", record, measure, range(count), seeds.at_once()))
    columns = {
        "spearman": Column("rank correlation", 2),
        "later": Column("without the first quarter", 2),
        "slope": Column("slope", 2),
        "bias": Column("bias at the end, %", 0),
        "part_bias": Column("of minibatches, %", 0),
        "distance_first": Column("exact distance at the first stop", 3),
        "distance": Column("at the end", 3),
        "part_distance": Column("of minibatches", 3),
        "high_quality": Column("% high quality", 1),
        "modes": Column("modes", 1),
        "frechet": Column("Frechet distance", 0),
    }
    made = Table("The critic's estimate against the exact distance", _NOTE, columns, _PUBLISHED, rows, _plot)
    return dataclasses.replace(made, body=functools.partial(_body, made))


_MALLASTO = "Mallasto et al. 2019, abstract"
_STANCZUK = "Stanczuk et al. 2021, abstract"
_PUBLISHED = [
    Published("c-transform", _MALLASTO, {"bias": "estimates best", "frechet": "generates worse"}),
    Published("WGAN, WGAN-GP", _STANCZUK, {"bias": "poor estimates", "frechet": "good samples all the same"}),
]
_NOTE = (
    f"Each run has {_STEPS:,} generator updates and is stopped {_STOPS} times. At each stop {_SAMPLES} images or "
    "points of the test set (of a seed always the same) and as many samples are given to the critic. The truth is "
    "their exact 1-Wasserstein distance under the Euclidean distance of points, or of pixels in [0, 1], as the cost "
    "of the best assignment (SciPy). The estimate is the mean of the critic over real less that over generated ones; "
    "of `c-transform` it is the mean of f over real and of the c-transform of f over generated ones. `of "
    f"minibatches`: the same for each of the {_SAMPLES // _PART} minibatches of {_PART} (the batch size of training), "
    "then the mean.\n\n`slope` is that of the least-squares line of estimates over distances along a run: 1 for an "
    "estimate in the distance's own unit. `bias` is the relative excess of the estimate over the last quarter of the "
    "stops. The distance `at the end` is the mean over the same stops. `real` compares two samples of the data "
    "itself: it is the least that a generator can honestly have, and is far from 0 because samples are finite. "
    f"`k-means` are centres of {_CENTRES} clusters of {40 * _CENTRES:,} training images: blurred means, with a "
    "smaller distance than real images.\n\nAll critics have the same networks (leaky ReLUs: three layers of 64 for "
    "points, two for images), learn at the rate 5e-4 on minibatches of 64 and have five updates per generator update "
    "unless the row says otherwise. `clip` has RMSProp and weights in [-.05, .05], the others Adam with b1 0, b2 .9. "
    "`penalty` has the weight of its authors, 10 for images and .1 for points; `other weight` exchanges the two. The "
    "other weight, 1 update and 20 updates are measured on the ring alone; `--budget paper` has all of it on all "
    "data, ten seeds and ten times the steps. The generators have ReLUs and no average of weights. Tried on the "
    "ring, two seeds: weights clipped to [-.2, .2], whose estimates were 490 and 370 % too large at the end, with "
    "rank correlations .02 and .42. Brackets are 95 % bootstrap intervals of the interquartile mean over seeds "
    "(Agarwal et al. 2021, arXiv:2108.13264; too narrow where seeds are fewer than five)."
)


def _measure_real(name: str, numbers: Sequence[int]) -> list[Outcome]:
    """Two draws of real data: the distance that a generator of the data itself would have."""
    found = []
    for seed in numbers:
        train, test = (_scaled(data.load(name, split)) for split in ("train", "test"))
        rng = np.random.default_rng(seed)
        real, other = (part[rng.choice(len(part), _SAMPLES, replace=False)] for part in (test, train))
        found.append(Outcome(_ends(real, other) | _quality_of_points(name, other)))
    return found


def _measure_centres(numbers: Sequence[int]) -> list[Outcome]:
    """Images that nobody would take for digits: means of clusters, each as often as its cluster is large."""
    train, test = (_scaled(data.load("mnist", split)) for split in ("train", "test"))
    found = []
    for seed in numbers:
        rng = np.random.default_rng(seed)
        some = train[rng.choice(len(train), 40 * _CENTRES, replace=False)].reshape(-1, train[0].size)
        centres, cluster = kmeans2(some, _CENTRES, minit="points", seed=rng)
        drawn = centres[rng.choice(cluster, _SAMPLES)]
        real = test[rng.choice(len(test), _SAMPLES, replace=False)]
        found.append(Outcome(_ends(real, drawn)))
    return found


def _ends(real: np.ndarray, other: np.ndarray) -> dict[str, float]:
    cost = transport.costs(real, other)
    return {
        "distance": transport.assigned(cost),
        "part_distance": float(np.mean([*map(transport.assigned, _parts(cost))])),
    }


def _parts(cost: np.ndarray) -> list[np.ndarray]:
    """The costs within each of the minibatches into which the samples divide."""
    return [cost[start : start + _PART, start : start + _PART] for start in range(0, len(cost), _PART)]


def _scaled(dataset: Dataset) -> np.ndarray:
    """The data as critics see it."""
    return np.asarray(from_uint8(jnp.asarray(dataset.x), (0.0, 1.0)))


def _quality_of_points(name: str, points: np.ndarray) -> dict[str, float]:
    if name not in toys.MIXTURES:
        return {}
    found = modes.quality(jnp.asarray(points), toys.MIXTURES[name])
    return {"high_quality": 100 * float(found.high_quality), "modes": float(found.modes)}


def _measure(name: str, transformed: bool, chosen: Config, stops: int, numbers: Sequence[int]) -> list[Outcome]:
    train, test = data.load(name), _scaled(data.load(name, "test"))
    real = [test[np.random.default_rng(seed).choice(len(test), _SAMPLES, replace=False)] for seed in numbers]
    rngs = jnp.stack([jax.random.key(seed) for seed in numbers])
    job = seeds.job_of(chosen, train)
    look = jax.jit(jax.vmap(functools.partial(_look, job.gan())))
    waiting: list[list[Any]] = [[] for _ in numbers]
    examples = jax.tree.map(jnp.asarray, train.examples)
    for states, _ in seeds.train(job, examples, numbers, every=job.options["steps"] // stops):
        fakes, of_real, of_fakes = jax.device_get(look(states, rngs, jnp.stack(real)))
        for k, own in enumerate(waiting):
            arguments = real[k], fakes[k], of_real[k], of_fakes[k], transformed
            own.append(transport.pool().submit(compared, *arguments))
    outcomes = []
    for k, seed in enumerate(numbers):
        curves = {key: [each.result()[key] for each in waiting[k]] for key in waiting[k][0].result()}
        quality = _quality_of_points(name, fakes[k])
        if name == "mnist":
            reference = images.reference(False)
            draw = images.drawer(job.gan(), reference, 2500)(seeds.member(states, k), seed)
            quality = images.numbers(reference, draw, ["frechet"])
        outcomes.append(Outcome(summary(curves) | quality, curves))
    return outcomes


def _look(gan: GAN, state: GANState, rng: Array, real: Data) -> tuple[Data, Logits, Logits]:
    """Samples `[N, ...]`, and the critic's values at real points and at them, both `[N]`."""
    fakes = gan.sample(state, rng, len(real))
    of_real, of_fakes = (gan.loss.score(gan.discriminate(state, x)) for x in (real, fakes))
    return fakes, of_real, of_fakes


def compared(
    real: np.ndarray, fakes: np.ndarray, of_real: np.ndarray, of_fakes: np.ndarray, transformed: bool
) -> dict[str, float]:
    """The critic's estimate and the exact distance, of all samples and as means over their minibatches.

    Args:
      real, fakes: N points each.
      of_real, of_fakes: the critic's values at them, `[N]`.
      transformed: whether the c-transform takes the place of the critic's values at fakes.
    """
    cost = transport.costs(real, fakes)

    def estimate(start: int, stop: int) -> float:
        f = np.asarray(of_real[start:stop], np.float64)
        if transformed:
            return float(f.mean() + (cost[start:stop, start:stop] - f[:, None]).min(axis=0).mean())
        return float(f.mean() - np.asarray(of_fakes[start:stop], np.float64).mean())

    parts = [estimate(start, start + _PART) for start in range(0, len(cost), _PART)]
    return {
        "estimate": estimate(0, len(cost)),
        "distance": transport.assigned(cost),
        "part_estimate": float(np.mean(parts)),
        "part_distance": float(np.mean([*map(transport.assigned, _parts(cost))])),
    }


def summary(curves: Mapping[str, Sequence[float]]) -> dict[str, float]:
    """A run's numbers: how its estimates follow the distances.

    `slope` is that of the least-squares line of estimates over distances; `bias` the mean relative excess of the
    estimates over the last quarter of the stops, in per cent, and `error` the mean size of the relative excess without
    the first quarter; "distance" is the mean over the last quarter.
    """
    found = {key: np.asarray(values) for key, values in curves.items()}
    estimate, distance, quarter = found["estimate"], found["distance"], max(1, len(found["distance"]) // 4)
    excess = {key: found[f"{key}estimate"] / found[f"{key}distance"] - 1 for key in ("", "part_")}
    return {
        "spearman": _spearman(estimate, distance),
        "later": _spearman(estimate[quarter:], distance[quarter:]),
        "slope": float(np.polyfit(distance, estimate, 1)[0]),
        "bias": 100 * float(excess[""][-quarter:].mean()),
        "part_bias": 100 * float(excess["part_"][-quarter:].mean()),
        "error": 100 * float(np.abs(excess[""][quarter:]).mean()),
        "distance_first": float(distance[0]),
        "distance": float(distance[-quarter:].mean()),
        "part_distance": float(found["part_distance"][-quarter:].mean()),
    }


def _spearman(a: np.ndarray, b: np.ndarray) -> float:
    if np.ptp(a) == 0 or np.ptp(b) == 0:
        return math.nan  # Of numbers that are all equal there are no ranks.
    return float(scipy.stats.spearmanr(a, b).statistic)


def _body(table: Table, rows: Mapping[str, Record]) -> str:
    """The table, and below it how errors and samples go together."""
    head = ["", "critics", "seeds", *_QUALITIES.values()]
    found = [[f"**{name}**", *_together(name, rows)] for name in _SEEDS]
    together = "\n".join(f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *found))
    return "\n\n".join([tables.lines(table, {"rows": rows}), _TOGETHER, together])


_QUALITIES = {"distance": "exact distance at the end", "high_quality": "low quality", "frechet": "Frechet distance"}
_TOGETHER = (
    "Do better estimates make better samples? Rank correlation, over the critics of a seed, of the size of the "
    "estimate's relative error (without the first quarter of the run) and of how bad the samples are: 1 if the "
    "critic that estimates best has the best samples, -1 if it has the worst."
)


def _together(name: str, rows: Mapping[str, Record]) -> list[str]:
    """How many critics are measured, on how many seeds all of them, and the rank correlations with `_QUALITIES`."""
    found = [rows.get(f"{name}: {method}", {"results": []})["results"] for method in _METHODS]
    of_seeds = [{result["seed"]: result["numbers"] for result in results} for results in found if results]
    common = sorted(set.intersection(*map(set, of_seeds))) if of_seeds else []
    texts = []
    for key in _QUALITIES:
        sign = -1 if key == "high_quality" else 1
        pairs = [
            [(each[seed]["error"], sign * each[seed][key]) for each in of_seeds if key in each[seed]] for seed in common
        ]
        values = [_spearman(*np.transpose(own)) for own in pairs if own]
        texts.append(intervals.shown([value for value in values if np.isfinite(value)], 2))
    return [str(len(of_seeds)), str(len(common)), *texts]


def _plot(rows: Mapping[str, Sequence[Record]], file: Path) -> None:
    """Above, estimates over distances along runs; below, what each run's error and samples are."""
    with style.applied("readme"):
        figure = style.figure(12.0, 6.4)
        for column, name in enumerate(_SEEDS):
            paths, ends = (figure.add_subplot(2, 3, 1 + column + 3 * below) for below in (0, 1))
            quality = "frechet" if name == "mnist" else "distance"
            found: list[float] = []
            errors: list[float] = []
            for number, method in enumerate(_METHODS):
                results = rows.get(f"{name}: {method}", [])
                color = style.COLORS[number]
                for k, result in enumerate(results):
                    curves, numbers = result["curves"], result["numbers"]
                    if k < 3:
                        label = method if k == 0 else None
                        paths.plot(
                            curves["distance"], curves["estimate"], ".-", color=color, label=label, linewidth=0.6
                        )
                    ends.plot(numbers["error"], numbers[quality], "o", color=color, alpha=0.7)
                    found += curves["distance"]
                    errors.append(numbers["error"])
            if found:
                low, high = np.quantile(found, [0.0, 0.97])
                paths.plot([0, high], [0, high], "--", color=style.PALE, linewidth=1)
                paths.set(xlim=(0.9 * low, 1.05 * high), ylim=(-0.4 * high, 1.4 * high))
                style.set_logarithmic(ends, "x", errors)
            paths.set(title=name, xlabel="exact distance", ylabel="estimate" if column == 0 else None)
            ends.set(
                xlabel="error of the estimate, %",
                ylabel="Frechet distance" if name == "mnist" else "exact distance at the end",
            )
            if column == 0:
                figure.legend(*paths.get_legend_handles_labels(), loc="outside lower center", ncols=len(_METHODS))
        style.save(figure, file)
