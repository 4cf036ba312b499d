"""R1 + R2 at every k-th step only: quality, cost and failures, and how long weights should be averaged.

Users of R3GAN (Huang et al. 2024, arXiv:2501.05441) evaluate its penalties, which cost most of a step, at every k-th
step (lazy regularisation, Karras et al. 2020, arXiv:1912.04958, section 3.1); no table says what that does.
"""

import dataclasses
import functools
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from experiments.reproduce import averages, defaults, images, intervals
from experiments.reproduce import table as tables
from experiments.reproduce.averages import PowerAverages
from experiments.reproduce.members import Members, distances
from experiments.reproduce.objectives import PRIOR, nets
from experiments.reproduce.table import Budget, Column, Outcome, Record, Row, Table
from gan_jax import penalties, recipes, training
from gan_jax.compiling import jit_training
from gan_jax.gan import GAN
from gan_jax.lab import style
from gan_jax.population import Hyperparams

_SHAPE = (28, 28, 1)
_BATCH = 64
_LR, _GAMMA = 1e-3, 0.3
_STORED = (0.05, 0.10)
_LENGTHS = (0.03, 0.05, 0.075, 0.1, 0.15, 0.2, 0.25)
_STOPS = 64
_ENDS = (16, 32, 48, 64)
_CROSSED = (1, 16)
_TURNS = 5

# Steps from one penalty to the next; 0 for none.
EVERY: Mapping[str, int] = {f"k = {k}": k for k in (1, 2, 4, 8, 16)} | {"no penalty": 0}


class Protocol(NamedTuple):
    """How much is spent.

    Attributes:
      steps: of training.
      seeds: of every row.
      samples: of a score; of those along the way a fifth.
      width: of the MLPs; 0 for the convolutional networks of `recipes.r3gan`.
      timed: steps of a stretch that is timed.
    """

    steps: int
    seeds: int
    samples: int
    width: int
    timed: int


PROTOCOLS: Mapping[Budget, Protocol] = {
    "small": Protocol(64, 2, 100, 8, 16),
    "full": Protocol(4000, 10, 10_000, 128, 160),
    "paper": Protocol(30_000, 10, 10_000, 0, 320),
}


def table(budget: Budget) -> Table:
    """A row of seeds for every k, and one of seconds."""
    protocol = PROTOCOLS[budget]
    settings = protocol._asdict() | {"lr": _LR, "gamma": _GAMMA, "batch_size": _BATCH, "stored": _STORED}
    seeds, few = range(protocol.seeds), range(min(3, protocol.seeds))
    rows = [Row("real images", settings, functools.partial(_measure_real, protocol), few, 1)]
    for name, k in EVERY.items():
        own = settings | {"every": k, "lengths": _LENGTHS}
        rows.append(Row(name, own, functools.partial(_measure, protocol, k), seeds, len(seeds)))
    rows.append(Row("milliseconds", settings, functools.partial(_measure_time, protocol), range(_TURNS), _TURNS))
    return Table("R1 + R2 at every k-th step", _note(protocol), _COLUMNS, [], rows, _plot, _body)


_COLUMNS = {
    "frechet": Column("Frechet distance, last weights", 1),
    "averaged": Column(f"averaged, length {_STORED[0]:g}", 1),
    "smallest": Column("smallest class, %", 1),
}


@functools.cache
def maker(every: int, width: int) -> Any:
    """The function of `gan_jax.population` that makes a member, the same object for each program."""
    return functools.partial(_made, every, width)


def _made(every: int, width: int, numbers: Hyperparams) -> GAN:
    made = recipes.r3gan(_SHAPE, lr=numbers["lr"], gamma=numbers["gamma"], ema=None)
    penalty = penalties.lazy(made.penalty, every=every) if every else penalties.none
    made = made.replace(penalty=penalty, prior=PRIOR, **(nets(width) if width else {}))
    fields = {field.name: getattr(made, field.name) for field in dataclasses.fields(made)}
    return PowerAverages(**fields, exponents=tuple(map(averages.exponent_of, _STORED)))


def _read(uint8: Array) -> tuple[Array, Array]:
    """Features, and which digit the classifier reads."""
    classifier = images.reference(False).classifier
    assert classifier is not None
    return classifier.features(uint8), jnp.argmax(classifier.logits(uint8), axis=-1)


def _measure_real(protocol: Protocol, seeds: Sequence[int]) -> list[Outcome]:
    reference = images.reference(False)
    found = []
    for seed in seeds:
        draw = reference.real(protocol.samples, jax.random.key(seed))
        (distance,) = distances(reference.features_of(draw.x)[None], reference.moments)
        found.append(Outcome({"frechet": float(distance), "smallest": _smallest(reference.logits_of(draw.x))}))
    return found


def _smallest(logits: np.ndarray) -> float:
    return _share(logits.argmax(axis=-1))


def _share(read: np.ndarray) -> float:
    """The share of the rarest digit, per cent."""
    return 100 * float(np.min(np.bincount(read, minlength=10))) / len(read)


def _measure(protocol: Protocol, every: int, seeds: Sequence[int]) -> list[Outcome]:
    """Trains the seeds, stores two averages along the way, and measures what they make."""
    data = jax.tree.map(jnp.asarray, images.reference(False).train.examples)
    numbers = {"lr": [_LR] * len(seeds), "gamma": [_GAMMA] * len(seeds)}
    keys = [jax.random.key(seed) for seed in seeds]
    members = Members(maker(every, protocol.width), numbers, keys, data, places=len(seeds), batch_size=_BATCH)
    everyone = np.ones(len(seeds), bool)
    exponents = [averages.exponent_of(length) for length in _STORED]
    stored: list[tuple[float, float]] = []
    kept: list[Any] = []
    curves: dict[str, list[list[float]]] = {f"{length:g}": [[] for _ in seeds] for length in (0, *_LENGTHS)}

    def distance(variables: Any, n: int) -> tuple[np.ndarray, np.ndarray]:
        features, read = members.sampled(everyone, n, _read, variables)
        found = distances(features, images.reference(False).moments)
        return np.where(members.finite, found, np.inf), read

    ends = _ENDS if every in _CROSSED else _ENDS[-1:]
    for stop in range(1, _STOPS + 1):
        members.advance(everyone, protocol.steps * stop // _STOPS)
        stored += [(exponent, stop) for exponent in exponents]
        kept += members.states.ema
        if stop not in ends:
            continue
        few = max(protocol.samples // 5, 20)
        for length in (0, *_LENGTHS):
            variables = members.states.generator.variables
            if length:
                variables = _combined(kept, averages.coefficients(stored, (averages.exponent_of(length), stop)))
            for curve, value in zip(curves[f"{length:g}"], distance(variables, few)[0], strict=True):
                curve.append(float(value))
    last, read = distance(members.states.generator.variables, protocol.samples)
    averaged, _ = distance(members.states.ema[0], protocol.samples)
    return [
        Outcome(
            {"frechet": float(last[k]), "averaged": float(averaged[k]), "smallest": _share(read[k])},
            {length: own[k] for length, own in curves.items()},
        )
        for k in range(len(seeds))
    ]


def _combined(trees: Sequence[Any], weights: np.ndarray) -> Any:
    """The weighted sum of trees of host arrays."""

    def total(*leaves: np.ndarray) -> np.ndarray:
        return np.tensordot(weights, np.stack(leaves).astype(np.float64), axes=1).astype(np.float32)

    return jax.tree.map(total, *trees)


def _measure_time(protocol: Protocol, turns: Sequence[int]) -> list[Outcome]:
    """Milliseconds of a step of one run alone, by k, on CPUs of their time; the ks take turns."""
    data = jax.tree.map(jnp.asarray, images.reference(False).train.examples)
    gans = {name: maker(k, protocol.width)({"lr": _LR, "gamma": _GAMMA}) for name, k in EVERY.items()}
    run, rng = jit_training(training.train, donate=["state"]), jax.random.key(0)
    states = {name: training.initial_state(gan, rng, data) for name, gan in gans.items()}
    # Others that are at work on the machine do not count.
    clock = time.process_time if jax.default_backend() == "cpu" else time.perf_counter
    found: list[Outcome] = []
    for turn in range(len(turns) + 1):
        numbers = {}
        for name, gan in gans.items():
            started = clock()
            states[name], _ = run(gan, states[name], data, rng, steps=protocol.timed, batch_size=_BATCH)
            jax.block_until_ready(states[name])
            numbers[name] = 1000 * (clock() - started) / protocol.timed
        if turn:  # The first one compiles.
            found.append(Outcome(numbers))
    return found


def _body(rows: Mapping[str, Record]) -> str:
    found = {name: row["results"] for name, row in rows.items()}
    return "\n\n".join(filter(None, [_quality(found), *(_lengths(found, f"k = {k}") for k in _CROSSED)]))


def _quality(rows: Mapping[str, Sequence[Record]]) -> str:
    head = ["", "seeds", "failed", *(column.heading for column in _COLUMNS.values()), "milliseconds per step",
            "times that without penalty"]  # fmt: skip
    lines = []
    timed = rows.get("milliseconds", [])
    for name in ("real images", *EVERY):
        if results := rows.get(name, []):
            failed = "" if name == "real images" else str(len(defaults.failed(results)))
            line = [f"**{name}**", str(len(results)), failed]
            line += [tables.spread(results, key, column.decimals) for key, column in _COLUMNS.items()]
            lines.append(line + (_time_shown(timed, name) if timed and name in EVERY else ["", ""]))
    return tables.grid(head, lines)


def _time_shown(timed: Sequence[Record], name: str) -> list[str]:
    ratios = [{"numbers": {"x": each["numbers"][name] / each["numbers"]["no penalty"]}} for each in timed]
    return [tables.spread(timed, name, 2), tables.spread(ratios, "x", 2)]


def _lengths(rows: Mapping[str, Sequence[Record]], name: str) -> str:
    """Frechet distances by the average's length and the training's."""
    results = rows.get(name, [])
    if not results:
        return ""
    shares = [f"{end / _STOPS:.0%} of the training" for end in _ENDS]
    lines = []
    for length in map("{:g}".format, (0, *_LENGTHS)):
        at = [{"numbers": dict(enumerate(each["curves"][length]))} for each in results]
        cells = [tables.spread(at, k, 1) for k in range(len(_ENDS))]  # type: ignore[arg-type]
        lines.append(["last weights" if length == "0" else length, *cells])
    return tables.grid([f"{name}: length of the average", *shares], lines)


def _plot(rows: Mapping[str, Sequence[Record]], file: Path) -> None:
    with style.applied("readme"):
        figure = style.figure(12.0, 4.0)
        quality, lengths = figure.subplots(1, 2)
        shown = []
        for place, name in enumerate(EVERY):
            for key, shift, label in (("frechet", -0.1, "last weights"), ("averaged", 0.1, "averaged")):
                values = [r["numbers"][key] for r in rows.get(name, []) if r["numbers"][key] is not None]
                if len(values) > 1:
                    color = style.COLORS[key == "averaged"]
                    shown += values
                    quality.plot([place + shift] * len(values), values, "_", color=style.PALE)
                    quality.plot([place + shift] * 2, intervals.interval(values), color=color, linewidth=5, alpha=0.5)
                    mean = intervals.interquartile_mean(values)
                    quality.plot([place + shift], [mean], "o", color=color, label=label if place == 0 else None)
        found = []
        for number, name in enumerate(EVERY):
            curves = [each["curves"] for each in rows.get(name, [])]
            if curves:
                means = [intervals.interquartile_mean([own[f"{x:g}"][-1] for own in curves]) for x in _LENGTHS]
                found += means
                lengths.plot(_LENGTHS, means, marker=".", label=name, **style.line(number))
        quality.set_xticks(range(len(EVERY)), list(EVERY))
        quality.set(ylabel="Frechet distance (lower is better)")
        style.set_logarithmic(quality, "y", shown)
        quality.legend(*quality.get_legend_handles_labels())
        lengths.set(xlabel="length of the average, share of the training", ylabel="Frechet distance")
        style.set_logarithmic(lengths, "y", found)
        lengths.legend(*lengths.get_legend_handles_labels())
        style.save(figure, file)


def _note(protocol: Protocol) -> str:
    networks = f"MLPs of two hidden layers with {protocol.width} units" if protocol.width else "`r3gan`'s networks"
    few = max(protocol.samples // 5, 20)
    return (
        f"**Protocol.** The relativistic pairing loss with R1 + R2 (weight {_GAMMA:g}) on MNIST, {networks}, Adam "
        f"{_LR:g} (b1 0, b2 .99), batch {_BATCH}, {protocol.steps} steps. With k the penalty is evaluated at every "
        "k-th step and weighs k times as much (lazy regularisation, Karras et al. 2020, arXiv:1912.04958, section 3.1; "
        "their change of Adam's numbers with it is left out). Interquartile means over seeds with 95 % bootstrap "
        f"intervals (Agarwal et al. 2021, arXiv:2108.13264); {protocol.samples} samples against the test set in the "
        "features of the project's classifier, of the last weights and of an average. Smallest class is the share of "
        "the digit that the classifier reads least often. A seed failed as in the table of defaults: something not "
        "finite, a digit below 1 % of the samples, or a distance above twice the median of its row. There is no "
        "published table of this.\n\n"
        "**Cost.** Milliseconds are those of a step of one run alone, on CPUs of processor time, the ks in turns; the "
        "ratio is within a turn.\n\n"
        "**Averages** are of the power-function kind (Karras et al. 2024, arXiv:2312.02696): an average's length is "
        "the standard deviation of its profile relative to the training so far. Two were kept during training "
        f"({_STORED[0]:g} and {_STORED[1]:g}) and stored {_STOPS} times; all others, and those of shorter trainings, "
        f"are made from the stored ones by least squares between profiles. They are compared by {few} samples, so "
        "their distances are larger than those of the first table."
    )
